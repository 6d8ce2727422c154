"""What is read: described, filtered, chosen; and what is bad about it: wide, huge, changed under the reader's hands."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sqlmodel_framework import (
    ConfigurationError,
    ExtractionError,
    PostgresConfig,
    PostgresConnector,
    TargetConfig,
    TryAgainError,
)
from sqlmodel_framework.base.connectors.base import ForeignKey
from sqlmodel_framework.tests.integration.postgres_sources import PostgresHands, reading_threads, settled

pytestmark = pytest.mark.postgres


def rows_of(source: PostgresConnector, table: str, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.Table.from_batches(source.extract(table, **options)).to_pylist()
    return rows


def test_a_table_is_described(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(
        'CREATE SCHEMA "o ther"',
        'CREATE TABLE "o ther".shop (a integer, b integer, PRIMARY KEY (b, a))',
        "CREATE TABLE sale (id bigint PRIMARY KEY, shop_b integer, shop_a integer, code text UNIQUE, day date,"
        ' UNIQUE (day, code), FOREIGN KEY (shop_b, shop_a) REFERENCES "o ther".shop (b, a))',
        "INSERT INTO sale SELECT i, NULL, NULL, i::text FROM generate_series(1, 500) i",
    )
    assert postgres_source.describe("sale").row_estimate is None
    hands.run("ANALYZE sale")
    described = postgres_source.describe("sale")
    assert described.schema == postgres_source.schema("sale")
    assert described.table == "sale"
    assert described.primary_key == ("id",)
    assert described.unique_keys == (("code",), ("day", "code"))
    assert described.foreign_keys == (ForeignKey(("shop_b", "shop_a"), "o ther.shop", ("b", "a")),)
    assert described.row_estimate == 500
    there = PostgresConnector(replace(postgres_source.config, schema="o ther"))
    assert there.describe("shop").primary_key == ("b", "a")


def test_views_and_partitions_are_described(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(
        "CREATE TABLE p (id integer PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p_one PARTITION OF p FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE p_two PARTITION OF p FOR VALUES FROM (100) TO (1000)",
        "INSERT INTO p SELECT i FROM generate_series(0, 299) i",
        "ANALYZE p",
        "CREATE VIEW v AS SELECT * FROM p",
    )
    assert postgres_source.describe("p").row_estimate == 300
    assert postgres_source.describe("p").primary_key == ("id",)
    view = postgres_source.describe("v")
    assert (view.primary_key, view.row_estimate, view.schema.names) == ((), None, ["id"])
    with pytest.raises(ExtractionError, match="UndefinedTable"):
        postgres_source.describe("none")


FILTERS: list[tuple[str, dict[str, Any] | None, list[int]]] = [
    ("id > 8", None, [9, 10]),
    ("id % 5 = 0", None, [5, 10]),
    ("id %% 5 = %(rest)s", {"rest": 0}, [5, 10]),
    ("word = %(word)s", {"word": "it's 100%; DROP TABLE t --"}, [3]),
    ("word = %(word)s", {"word": "' OR true --"}, []),
    (
        "day >= %(day)s AND day < %(end)s",
        {"day": date(2024, 1, 9), "end": datetime(2024, 1, 11, tzinfo=UTC)},
        [8, 9],
    ),
    ("id = ANY (%(ids)s)", {"ids": [1, 4]}, [1, 4]),
    ("ratio > %(ratio)s -- a comment", {"ratio": Decimal("0.95")}, [10]),
    ("word IS NULL OR word = %(none)s", {"none": None}, [1, 2, 4, 5, 6, 7, 8, 9, 10]),
    ("id < 3 OR id > 9", None, [1, 2, 10]),
]


@pytest.mark.parametrize(("where", "parameters", "expected"), FILTERS)
def test_the_server_filters(
    postgres_source: PostgresConnector,
    hands: PostgresHands,
    where: str,
    parameters: dict[str, Any] | None,
    expected: list[int],
) -> None:
    hands.run(
        "CREATE TABLE t AS SELECT i AS id, CASE i WHEN 3 THEN 'it''s 100%; DROP TABLE t --' END AS word,"
        " date '2024-01-01' + i AS day, i / 10.0 AS ratio FROM generate_series(1, 10) i"
    )
    rows = rows_of(postgres_source, "t", columns=["id"], where=where, parameters=parameters)
    assert [row["id"] for row in rows] == expected
    assert postgres_source.count("t", where=where, parameters=parameters) == len(expected)


BAD_VALUES: list[tuple[str, dict[str, Any]]] = [
    ("id = %(id)s", {}),
    ("id = %(id)s", {"other": "canary"}),
    ("id = %s", {"id": "canary"}),
    ("id = %(id)d", {"id": "canary"}),
    ("id = %(id)s AND 5 % 2 = 1", {"id": "canary"}),
    ("id = %(id)s", {"id": object()}),
    ("word = %(id)s", {"id": "canary\0"}),
]


@pytest.mark.parametrize(("where", "parameters"), BAD_VALUES)
def test_values_that_do_not_fit_their_places(
    postgres_source: PostgresConnector, hands: PostgresHands, where: str, parameters: dict[str, Any]
) -> None:
    hands.run("CREATE TABLE t (id integer, word text)")
    with pytest.raises(ConfigurationError) as caught:
        rows_of(postgres_source, "t", where=where, parameters=parameters)
    assert str(caught.value) == (
        f"the parameters do not fit the placeholders (extract table public.t, {postgres_source.config.address}); seen:"
        f" parameters {', '.join(sorted(parameters))}; expected: a value the driver knows for each %(name)s; a percent sign"
        " itself is %%"
    )


def test_a_query_takes_values(postgres_source: PostgresConnector) -> None:
    query = "SELECT %(a)s::text AS a, %(b)s::integer AS b"
    given = {"a": "it's", "b": 2}
    assert rows_of(postgres_source, query, query=True, parameters=given) == [given]
    assert postgres_source.count(query, query=True, parameters=given) == 1


def test_sixteen_hundred_columns(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    listed = ", ".join(f"c{number} integer" for number in range(1600))
    values = ", ".join(str(number) for number in range(1600))
    hands.run(f"CREATE TABLE wide ({listed})", f"INSERT INTO wide VALUES ({values}), (NULL{', NULL' * 1599})")
    rows = rows_of(postgres_source, "wide")
    assert list(rows[0].values()) == list(range(1600))
    assert set(rows[1].values()) == {None}
    assert len(rows) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_value_of_one_gigabyte(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    size = 1_000_000_000
    query = f"SELECT 'before' AS v UNION ALL SELECT repeat('x', {size}) UNION ALL SELECT 'after'"
    sizes = []
    for batch in postgres_source.extract(query, query=True):
        sizes += pc.binary_length(batch.column("v")).to_pylist()
    assert sizes == [6, size, 5]
    with pytest.raises(ExtractionError) as caught:
        list(postgres_source.extract("SELECT repeat('\"', 600000000) AS v", query=True))
    # What the server cannot print it refuses; nothing is cut.
    assert "(SQLSTATE 54000)" in str(caught.value.seen)
    del caught
    assert hands.left_alone()


UNKNOWN = [
    ("SELECT 'x'::unknown AS v", "x"),
    ("SELECT NULL AS v", None),
    ("SELECT row(1, 'a b') AS v", '(1,"a b")'),
    ("SELECT pg_sleep(0) AS v", ""),
    ("SELECT '{1}'::anyarray AS v", None),
    ("SELECT 'two'::own AS v", "two"),
]


@pytest.mark.parametrize(("query", "expected"), UNKNOWN, ids=[query for query, _ in UNKNOWN])
def test_a_column_of_a_type_that_nobody_knows(
    postgres_source: PostgresConnector, hands: PostgresHands, query: str, expected: str | None
) -> None:
    hands.run(
        "CREATE TYPE own",
        "CREATE FUNCTION own_in(cstring) RETURNS own LANGUAGE internal IMMUTABLE STRICT AS 'textin'",
        "CREATE FUNCTION own_out(own) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'",
        "CREATE TYPE own (INPUT = own_in, OUTPUT = own_out, LIKE = text)",
    )
    if "anyarray" in query:
        with pytest.raises(ExtractionError, match="SQLSTATE"):
            rows_of(postgres_source, query, query=True)
        return
    assert postgres_source.schema(query, query=True).field("v").type == pa.string()
    assert rows_of(postgres_source, query, query=True) == [{"v": expected}]


CHANGES = [
    "DROP TABLE t",
    "ALTER TABLE t DROP COLUMN v",
    "ALTER TABLE t ALTER COLUMN id TYPE text",
    "TRUNCATE t",
]


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_table_waits_for_its_reader(
    postgres_source: PostgresConnector, hands: PostgresHands, change: str, parallel: int
) -> None:
    """The one who changes waits, or the reader is told to try again: never a table half read as if it were whole."""
    hands.run("CREATE TABLE t AS SELECT i AS id, repeat('x', 400) AS v FROM generate_series(1, 60000) i")
    batches = postgres_source.extract("t", parallel=parallel)
    first = next(batches)
    changing = threading.Thread(target=hands.run, args=(change,))
    changing.start()
    try:
        rows = first.num_rows + sum(batch.num_rows for batch in batches)
    except TryAgainError as exc:
        assert parallel > 1
        assert "LockNotAvailable" in str(exc)  # noqa: PT017 - either end is right
    else:
        assert rows == 60_000
    batches.close()
    changing.join()
    assert hands.left_alone()


def test_a_table_that_is_gone_when_the_reading_begins(
    postgres_source: PostgresConnector, hands: PostgresHands
) -> None:
    hands.run("CREATE TABLE t (id integer)")
    batches = postgres_source.extract("t")
    hands.run("DROP TABLE t")
    with pytest.raises(ExtractionError, match="UndefinedTable"):
        next(batches)


def fails_in_the_middle(source: PostgresConnector, **options: Any) -> None:
    list(
        source.extract(
            "SELECT i AS id, 1 / (150000 - i) AS v FROM generate_series(1, 300000) i", query=True, **options
        )
    )


STOPS: list[Callable[[Any], None]] = [
    lambda batches: batches.close(),
    lambda batches: batches.throw(ValueError),
]


@pytest.mark.parametrize("stop", STOPS, ids=["close", "throw"])
def test_a_consumer_that_stops_early(
    postgres_source: PostgresConnector, hands: PostgresHands, stop: Callable[[Any], None]
) -> None:
    query = "SELECT i, CASE WHEN i > 90000 THEN pg_sleep(600)::text ELSE repeat('x', 100) END FROM generate_series(1, 100000) i"
    batches = postgres_source.extract(query, query=True)
    assert next(batches).num_rows > 0
    assert "datakit-copy" in reading_threads()
    with suppress(ValueError):
        stop(batches)
    assert hands.left_alone()


def test_an_error_in_the_middle_leaves_nothing(
    postgres_source: PostgresConnector, hands: PostgresHands
) -> None:
    with pytest.raises(ExtractionError) as caught:
        fails_in_the_middle(postgres_source)
    assert caught.value.seen == "DivisionByZero (SQLSTATE 22012)"
    del caught
    assert hands.left_alone()


def test_timeouts_of_the_configuration(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run("CREATE TABLE t (id integer)")
    hurried = PostgresConnector(replace(postgres_source.config, statement_timeout=0.1, lock_timeout=0.05))
    with pytest.raises(ExtractionError, match=r"QueryCanceled \(SQLSTATE 57014\)"):
        rows_of(hurried, "SELECT pg_sleep(600)", query=True)
    with closing(postgres_source.get_connection()) as other:
        other.cursor().execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TryAgainError, match=r"LockNotAvailable \(SQLSTATE 55P03\)"):
            rows_of(hurried, "t")


def test_a_replica_is_read_in_parallel(postgres_database: TargetConfig) -> None:
    port = os.environ.get("TEST_POSTGRES_REPLICA_PORT")
    if not port:
        if os.environ.get("DATAKIT_REQUIRE_SERVICES"):
            pytest.fail("DATAKIT_REQUIRE_SERVICES is set and TEST_POSTGRES_REPLICA_PORT is not")
        pytest.skip("no replica is configured (TEST_POSTGRES_REPLICA_PORT, see .ci/services)")
    config = PostgresConfig.from_target(postgres_database)
    hands = PostgresHands(PostgresConnector(config))
    hands.run("CREATE TABLE t AS SELECT i AS id, repeat('x', 400) AS v FROM generate_series(1, 60000) i")
    ((position,),) = hands.fetch("SELECT pg_current_wal_lsn()")
    replica = PostgresConnector(replace(config, port=int(port)))
    # The new database is not there before the position is reached.
    waiting = PostgresConnector(replace(replica.config, database="postgres"))
    assert settled(lambda: replayed(waiting, position)), "the replica does not follow"
    assert sum(batch.num_rows for batch in replica.extract("t", parallel=2)) == 60_000


def replayed(replica: PostgresConnector, position: str) -> bool:
    query = "SELECT pg_last_wal_replay_lsn() >= %(position)s::pg_lsn AS reached"
    return bool(rows_of(replica, query, query=True, parameters={"position": position})[0]["reached"])


def test_nothing_can_be_written(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run("CREATE TABLE t (id integer)")
    hands.run("CREATE FUNCTION put() RETURNS integer LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'")
    with pytest.raises(ExtractionError, match="ReadOnlySqlTransaction"):
        rows_of(postgres_source, "SELECT put()", query=True)
    with pytest.raises(psycopg2.ProgrammingError), closing(postgres_source.get_connection()) as connection:
        connection.cursor().execute("SELECT no_such_column FROM t")
