"""Every type of PostgreSQL at its limits: by COPY and by cursor the same values as the driver's own."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlmodel_framework import PostgresConnector
from sqlmodel_framework.tests.integration.postgres_matrix import KINDS, OWN_TYPES, Kind, shown
from sqlmodel_framework.tests.integration.postgres_sources import PostgresHands

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"
NAMES = [f"{number} {kind.sql}" for number, kind in enumerate(KINDS)]


@pytest.fixture
def version(hands: PostgresHands) -> int:
    """The server's version, such as 150004."""
    ((number,),) = hands.fetch("SELECT current_setting('server_version_num')::integer")
    return int(number)


def fill(hands: PostgresHands, kind: Kind, values: tuple[str, ...]) -> None:
    """The table t with the values and a NULL, in the order of id."""
    if kind.sql == "hstore":
        needed(
            hands, "SELECT count(*) FROM pg_available_extensions WHERE name = 'hstore'", "extension hstore"
        )
        hands.run("CREATE EXTENSION hstore")
    if kind.sql == "xml":
        needed(hands, "SELECT count(*) FROM pg_config WHERE setting LIKE '%with-libxml%'", "support for XML")
    hands.run(OWN_TYPES, f"CREATE TABLE t (id integer, v {kind.sql})")
    rows = [(number, value) for number, value in enumerate([*values, None])]
    hands.insert(f"INSERT INTO t VALUES (%s, {cast(kind, '%s')})", rows)


def needed(hands: PostgresHands, statement: str, what: str) -> None:
    if hands.fetch(statement) == [(0,)]:
        pytest.skip(f"this server has no {what}")


def cast(kind: Kind, value: str) -> str:
    """Money has no input of digits that every locale takes."""
    return f"CAST({value} AS numeric)::money" if kind.sql == "money" else f"CAST({value} AS {kind.sql})"


def column(source: PostgresConnector, **options: Any) -> list[Any]:
    read = pa.Table.from_batches(source.extract("SELECT v FROM t ORDER BY id", query=True, **options))
    found: list[Any] = read.column("v").to_pylist()
    return found


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_every_value_is_the_driver_s_own(
    postgres_source: PostgresConnector, hands: PostgresHands, version: int, kind: Kind
) -> None:
    if version < kind.since:
        assert "infinity" in kind.values  # the only kind that came with a version
        return
    fill(hands, kind, kind.values)
    assert str(postgres_source.schema("t").field("v").type) == kind.arrow
    by_copy = column(postgres_source)
    # The driver has no infinite intervals, none of millions of years, and no special times in arrays and ranges.
    unreadable = kind.sql == "interval" or (
        kind.form != "value" and any("BC" in value or "inf" in value for value in kind.values)
    )
    printed = "v::text" if unreadable else "v"
    with postgres_source.connection_context() as connection:
        by_cursor = [row[0] for row in connection.exec_driver_sql(f"SELECT {printed} FROM t ORDER BY id")]
    assert len(by_copy) == len(kind.values) + 1
    assert by_copy[-1] is None
    check = {"value": check_values, "text": check_texts, "array": check_arrays}[kind.form]
    check(hands, kind, by_copy, by_cursor)


def check_values(hands: PostgresHands, kind: Kind, by_copy: list[Any], by_cursor: list[Any]) -> None:
    driver = [value for (value,) in hands.fetch("SELECT v FROM t ORDER BY id")]
    if kind.sql == "real":
        # The driver reads the shortest digits as a float of double size.
        driver, by_cursor = ([single(value) for value in values] for values in (driver, by_cursor))
    assert exact(by_copy) == exact(driver) == exact(by_cursor)


def single(value: float | None) -> float | None:
    return value if value is None else float(struct.unpack("f", struct.pack("f", value))[0])


def exact(values: list[Any]) -> list[str]:
    """By type and text: NaN is NaN, -0.0 is not 0.0, 1.10 is not 1.1."""
    plain = [bytes(value) if isinstance(value, memoryview) else value for value in values]
    return [
        f"{value.astimezone(UTC).isoformat()}"
        if isinstance(value, datetime) and value.tzinfo
        else repr(value)
        for value in plain
    ]


def check_texts(hands: PostgresHands, kind: Kind, by_copy: list[Any], by_cursor: list[Any]) -> None:
    # A cast to text changes some values, such as ::1 of inet; format prints as the driver is given them.
    printed = "v::numeric" if kind.sql == "money" else "v"
    # A row of NULLs alone is not NULL, though IS NOT NULL says otherwise.
    statement = (
        f"SELECT CASE WHEN v IS DISTINCT FROM NULL THEN format('%s', {printed}) END FROM t ORDER BY id"
    )
    driver = [value for (value,) in hands.fetch(statement)]
    if not kind.sql.startswith("interval"):
        assert by_copy == driver
        # Text to the driver too, unless it makes objects of these.
        texts = [
            (ours, value) for ours, value in zip(by_copy, by_cursor, strict=True) if isinstance(value, str)
        ]
        if kind.sql not in ("money", "json", "jsonb"):
            assert [ours for ours, _ in texts] == [value for _, value in texts]
    # And the server makes the same value of the text.
    back = hands.fetch(
        f"SELECT {cast(kind, '%(v)s')}::text = (SELECT v::text FROM t WHERE id = %(n)s)", many(by_copy)
    )
    assert back == [(True,)] * (len(by_copy) - 1)


def many(by_copy: list[Any]) -> list[dict[str, Any]]:
    return [{"v": value, "n": number} for number, value in enumerate(by_copy[:-1])]


def check_arrays(hands: PostgresHands, kind: Kind, by_copy: list[Any], by_cursor: list[Any]) -> None:
    for number, text in enumerate(by_copy[:-1]):
        found = json.loads(text, parse_float=str, parse_int=str)
        rows = hands.fetch(
            "SET IntervalStyle = iso_8601;"
            " SELECT CASE WHEN u IS NOT NULL THEN format('%%s', u) END FROM t, unnest(v) WITH ORDINALITY e(u, place) WHERE id = %(n)s ORDER BY place",
            {"n": number},
        )
        elements = [spelled(value) for value in flat(found)]
        assert elements == [spelled(value) for (value,) in rows]
        if isinstance(by_cursor[number], list):
            assert shape(found) == shape(by_cursor[number])


def flat(value: Any) -> Iterator[Any]:
    for one in value:
        if isinstance(one, list):
            yield from flat(one)
        else:
            yield one


def shape(value: Any) -> Any:
    return [shape(one) for one in value] if isinstance(value, list) else None


def spelled(value: Any) -> Any:
    """JSON spells timestamps with T and a whole offset, and truth in words."""
    if isinstance(value, bool):
        return str(value)[0].lower()
    return (
        re.sub(
            r"^(\d+-\d\d-\d\d)T(\S+?)(\+00:00)?$", lambda m: f"{m[1]} {m[2]}{'+00' if m[3] else ''}", value
        )
        if value
        else value
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.unfit], ids=lambda kind: kind.sql)
def test_what_does_not_fit_is_dealt_with_as_asked(
    postgres_source: PostgresConnector, hands: PostgresHands, kind: Kind
) -> None:
    fill(hands, kind, (kind.values[0], *kind.unfit))
    (good, *_, none) = column(postgres_source, on_unrepresentable="null")
    driver = hands.fetch("SELECT v::text FROM t ORDER BY id")
    assert exact([good, none]) == exact([*hands.fetch("SELECT v FROM t WHERE id = 0")[0], None])
    assert column(postgres_source, on_unrepresentable="null") == [good, *[None] * (len(kind.unfit) + 1)]
    assert column(postgres_source, on_unrepresentable="string") == [text for (text,) in driver]
    rejected: list[pa.RecordBatch] = []
    kept = column(postgres_source, on_unrepresentable="reject", on_reject=rejected.append)
    assert kept == [good, None]
    (batch,) = rejected
    assert batch.to_pylist() == [{"v": text, "reject_columns": ["v"]} for (text,) in driver[1:-1]]
    assert batch.num_rows == len(kind.unfit)


def test_the_page_shows_the_matrix() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(shown()), "run: python docs/generate_fidelity.py"


# Tables made by hypothesis: SQL type, Python values that the driver sends.
_COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double precision": st.floats(),
    "real": st.floats(width=32),
    "numeric(20,5)": st.decimals(-(10**14), 10**14, places=5),
    "numeric(60,20)": st.decimals(-(10**39), 10**39, places=20),
    "numeric": st.decimals(allow_infinity=False).filter(lambda value: not value.is_snan() and abs(value.adjusted() if value.is_finite() else 0) < 1000),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "character(7)": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=7),
    "bytea": st.binary(),
    "integer[]": st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=4),
    "text[]": st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4),
    "uuid": st.uuids().map(str),
    "date": st.dates(),
    "time": st.times(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.timezones()),  # noqa: DTZ001 - the zone is drawn
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(_COLUMNS)), min_size=1, max_size=6))
    row = st.tuples(*(st.none() | _COLUMNS[kind] for kind in kinds))
    return kinds, draw(st.lists(row, max_size=8))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=tables())
def test_any_table_is_read_as_the_driver_reads_it(
    postgres_source: PostgresConnector, hands: PostgresHands, made: tuple[list[str], list[tuple[Any, ...]]]
) -> None:
    kinds, rows = made
    listed = ", ".join(f"c{number} {kind}" for number, kind in enumerate(kinds))
    hands.run("DROP TABLE IF EXISTS made", f"CREATE TABLE made ({listed})")
    hands.insert(f"INSERT INTO made VALUES ({', '.join(['%s'] * len(kinds))})", rows)
    read = pa.Table.from_batches(postgres_source.extract("made", batch_size=3))
    ours = [
        exact([pythonic(value, kind) for value, kind in zip(row.values(), kinds, strict=True)])
        for row in read.to_pylist()
    ]
    driver = [
        exact([single(value) if kind == "real" else value for value, kind in zip(row, kinds, strict=True)])
        for row in hands.fetch("SELECT * FROM made")
    ]
    assert ours == driver


def pythonic(value: Any, kind: str) -> Any:
    """What is text by design, as the driver reads it."""
    if value is None:
        return None
    if kind.endswith("[]"):
        return json.loads(value)
    return Decimal(value) if kind == "numeric" else value


def test_dates_are_dates(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    """The comparison above can fail: a value that is another's neighbour differs."""
    assert exact([date(2024, 1, 1)]) != exact([datetime(2024, 1, 1)])  # noqa: DTZ001
    assert exact([Decimal("1.10")]) != exact([Decimal("1.1")])
    assert exact([0.0]) != exact([-0.0])
    hands.run("CREATE TABLE t (id integer, v date)", "INSERT INTO t VALUES (1, '2024-01-01')")
    assert exact(column(postgres_source)) == ["datetime.date(2024, 1, 1)"]
