"""Landed rows into deployed tables: every type on every target, all or nothing, errors without values."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, insert, select
from sqlmodel import SQLModel

from sqlmodel_framework import (
    ConfigurationError,
    DatakitError,
    DeploymentError,
    TargetConfig,
    TryAgainError,
    contract_of,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    load_rows,
)
from sqlmodel_framework.base.errors import RowError
from sqlmodel_framework.utils.loading import read_parquet
from sqlmodel_framework.utils.tables import TableLike

CANARY = "canary-value-91bc"

KIT = """
    import enum
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from uuid import UUID

    from sqlalchemy import ARRAY, JSON, BigInteger, CheckConstraint, Column, DateTime, Integer, Numeric, SmallInteger
    from sqlalchemy import String, Text, TypeDecorator, UniqueConstraint
    from sqlmodel_framework.base.models.columns import current_time_field, time_field

    KEY = {"primary_key": True, "sa_column_kwargs": {"autoincrement": False}}
"""

EVERYTHING = """
    class Mood(enum.Enum):
        sad = 1
        very_happy = 2

    class Everything(SQLModel, table=True):
        id: int = Field(**KEY)
        big: int | None = Field(default=None, sa_type=BigInteger)
        small: int | None = Field(default=None, sa_type=SmallInteger)
        flag: bool | None = None
        ratio: float | None = None
        price: Decimal | None = Field(default=None, max_digits=12, decimal_places=2)
        name: str | None = Field(default=None, max_length=50)
        words: str | None = Field(default=None, sa_type=Text)
        data: bytes | None = None
        day: date | None = None
        clock: time | None = None
        moment: datetime | None = time_field(default=None)
        local: datetime | None = Field(default=None, sa_type=DateTime)
        long: timedelta | None = None
        token: UUID | None = None
        doc: dict | None = Field(default=None, sa_type=JSON(none_as_null=True))
        mood: Mood | None = None
        written: datetime = current_time_field()
"""


@pytest.fixture
def make_table(write_kit: Callable[..., Path]) -> Callable[..., type[SQLModel]]:
    """Writes a kit of one module and gives the class of its only, or its named table."""

    def make(source: str, name: str | None = None) -> type[SQLModel]:
        kit = load_datakit(write_kit(f"kit_{uuid4().hex[:8]}", {"tables.py": KIT + source}))
        named: dict[str, Any] = {getattr(table, "__name__", ""): table for table in kit.tables}
        return named[name] if name else next(iter(named.values()))  # type: ignore[no-any-return]

    return make


@pytest.fixture
def deployed(
    make_table: Callable[..., type[SQLModel]], target: TargetConfig
) -> Callable[..., type[SQLModel]]:
    """The class of a table that is deployed to the target."""
    if target.type == "mysql":
        # MariaDB's own default is latin1.
        with create_engine_for_target(target).begin() as connection:
            connection.exec_driver_sql("ALTER DATABASE CHARACTER SET utf8mb4")

    def deploy(source: str, *names: str) -> type[SQLModel]:
        table_class = make_table(source, *names[:1])
        tables: list[TableLike] = [table_class]
        deploy_data_objects(tables, target)
        return table_class

    return deploy


def stored(table_class: type[SQLModel], target: TargetConfig) -> list[dict[str, Any]]:
    """All rows by the name of their columns, ordered by key."""
    table = table_class.__table__  # type: ignore[attr-defined]
    with create_engine_for_target(target).connect() as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key)).all()
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in rows]


def landed(table_class: type[SQLModel], *rows: dict[str, Any]) -> pa.RecordBatch:
    """Rows in the types of the contract, with the columns that the first row has."""
    schema = contract_of(table_class).schema
    return pa.RecordBatch.from_pylist(list(rows), schema=pa.schema([schema.field(name) for name in rows[0]]))


MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
TOKEN = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")

# A row as landed, and what SQLAlchemy reads where that is something else.
FULL = {
    "id": 1,
    "big": -(2**63),
    "small": -32768,
    "flag": False,
    "ratio": 0.1,
    "price": Decimal("-1234567890.12"),
    "name": "",
    "words": 'quote " comma , line\nbreak \\. \\N 漢🎉 %s %(x)s :x ?',
    "data": b"\x00\xff\n'\"\\",
    "day": date(2024, 2, 29),
    "clock": time(23, 59, 59),
    "moment": MOMENT,
    "local": datetime(2024, 2, 29, 12),  # noqa: DTZ001
    "long": timedelta(days=1, seconds=5),
    "token": str(TOKEN),
    "doc": '{"a": [1, null, "é"], "b": 1.5}',
    "mood": "very_happy",
    "written": MOMENT,
}
READ = {**FULL, "token": TOKEN, "doc": {"a": [1, None, "é"], "b": 1.5}}


def test_every_type_comes_back_equal(deployed: Callable[..., type[SQLModel]], target: TargetConfig) -> None:
    table_class = deployed(EVERYTHING, "Everything")
    empty = {**dict.fromkeys(FULL), "id": 2, "written": MOMENT}
    assert load_rows([landed(table_class, FULL, empty)], table_class, target) == 2
    first, second = stored(table_class, target)
    assert first.pop("mood").name == "very_happy"
    assert first == {name: value for name, value in READ.items() if name != "mood"}
    assert second == empty


def test_json_that_is_null_is_sql_null(deployed: Callable[..., type[SQLModel]], target: TargetConfig) -> None:
    table_class = deployed("""
    class Documents(SQLModel, table=True):
        id: int = Field(**KEY)
        doc: dict | None = Field(default=None, sa_type=JSON)
    """)
    load_rows([landed(table_class, {"id": 1, "doc": None}, {"id": 2, "doc": "[1]"})], table_class, target)
    with create_engine_for_target(target).connect() as connection:
        null = connection.exec_driver_sql("SELECT id FROM documents WHERE doc IS NULL").all()
    assert null == [(1,)]
    assert [row["doc"] for row in stored(table_class, target)] == [None, [1]]


def test_an_instant_is_the_same_instant_from_any_zone(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    table_class = deployed(EVERYTHING, "Everything")
    moments = pa.array([MOMENT], pa.timestamp("us", "Asia/Tokyo"))
    batch = pa.RecordBatch.from_arrays([pa.array([1], pa.int32()), moments], names=["id", "moment"])
    load_rows([batch], table_class, target)
    (row,) = stored(table_class, target)
    assert row["moment"] == MOMENT
    assert row["moment"].utcoffset() == timedelta(0)
    # The server's own clock filled the column that the rows lack.
    assert abs(row["written"] - datetime.now(UTC)) < timedelta(minutes=5)


WAYS: list[Callable[[pa.RecordBatch, Path], Any]] = [
    lambda batch, folder: [batch],
    lambda batch, folder: iter([batch.slice(0, 1), batch.slice(1)]),
    lambda batch, folder: pa.Table.from_batches([batch]),
    lambda batch, folder: batch.to_pandas(),
    lambda batch, folder: read_parquet(_parquet(batch, folder / "rows.parquet")),
]


def _parquet(batch: pa.RecordBatch, path: Path) -> Path:
    pq.write_table(pa.Table.from_batches([batch]), path)
    return path


@pytest.mark.parametrize("way", WAYS, ids=["list", "iterator", "table", "dataframe", "parquet"])
def test_rows_come_in_any_form(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig, tmp_path: Path, way: Callable[..., Any]
) -> None:
    table_class = deployed(EVERYTHING, "Everything")
    rows: list[dict[str, Any]] = [
        {"id": 1, "price": Decimal("1.10"), "name": "a", "moment": MOMENT, "data": b"x"},
        {"id": 2, "price": None, "name": None, "moment": None, "data": None},
    ]
    assert load_rows(way(landed(table_class, *rows), tmp_path), table_class, target) == 2
    assert [{name: row[name] for name in rows[0]} for row in stored(table_class, target)] == rows


def test_lists_and_dicts_of_a_dataframe_are_json(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    table_class = deployed(EVERYTHING, "Everything")
    frame = pd.DataFrame({"id": [1, 2, 3], "doc": pd.Series([["a", None], [], None], dtype=object)})
    assert load_rows(frame, table_class, target) == 3
    assert [row["doc"] for row in stored(table_class, target)] == [["a", None], [], None]


def test_many_batches_and_none(deployed: Callable[..., type[SQLModel]], target: TargetConfig) -> None:
    table_class = deployed("""
    class Counted(SQLModel, table=True):
        id: int = Field(**KEY)
        name: str
    """)
    assert load_rows([], table_class, target) == 0
    assert load_rows([landed(table_class, {"id": 0, "name": "a"}).slice(1)], table_class, target) == 0
    ids = pa.array(range(100_000), pa.int32())
    table = pa.table({"id": ids, "name": ids.cast(pa.string())})
    assert load_rows(table, table_class, target) == 100_000
    rows = stored(table_class, target)
    assert len(rows) == 100_000
    assert all(row["name"] == str(row["id"]) for row in rows)


def test_the_server_goes_on_counting_behind_the_largest_number(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    table_class = deployed("""
    class Counted(SQLModel, table=True):
        __tablename__ = 'Coun"ted %s'
        number: int | None = Field(default=None, sa_column=Column("nu'm %", Integer, primary_key=True))
        name: str
    """)
    table = table_class.__table__  # type: ignore[attr-defined]
    for loaded, largest in [([7, 3], 7), ([5], 8)]:
        load_rows(
            pa.table({"nu'm %": pa.array(loaded, pa.int32()), "name": ["a"] * len(loaded)}),
            table_class,
            target,
        )
        with create_engine_for_target(target).begin() as connection:
            connection.execute(insert(table).values(name="b"))
            assert connection.execute(select(func.max(table.c["nu'm %"]))).scalar_one() == largest + 1


HOSTILE = """
    class Hostile(SQLModel, table=True):
        __tablename__ = 'per%cent (x) "t"'
        id: int = Field(sa_column=Column("id %s", Integer, primary_key=True, autoincrement=False))
        a: str = Field(sa_column=Column("a:b ? %(c)s", String(20)))
        b: str = Field(sa_column=Column("select", String(20)))
        c: str = Field(sa_column=Column("ünïcode 漢", String(20), default="from Python", server_default="from the server"))
"""


def test_names_are_only_names(deployed: Callable[..., type[SQLModel]], target: TargetConfig) -> None:
    table_class = deployed(HOSTILE)
    row = {"id %s": 1, "a:b ? %(c)s": "100 %s", "select": "?"}
    assert load_rows([landed(table_class, row)], table_class, target) == 1
    assert stored(table_class, target) == [{**row, "ünïcode 漢": "from the server"}]


def test_a_named_schema(make_table: Callable[..., type[SQLModel]], target: TargetConfig) -> None:
    schema = f"schema_{uuid4().hex[:8]}"
    table_class = make_table(f"""
    class Placed(SQLModel, table=True):
        __table_args__ = {{"schema": "{schema}"}}
        id: int = Field(**KEY)
    """)
    tables: list[TableLike] = [table_class]
    deploy_data_objects(tables, target)
    assert load_rows([landed(table_class, {"id": 1})], table_class, target) == 1
    assert stored(table_class, target) == [{"id": 1}]


def test_a_users_own_type_stores_as_it_says(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    table_class = deployed(
        """
    class Reversed(TypeDecorator):
        impl = String(20)
        cache_ok = True

        def process_bind_param(self, value, dialect):
            return None if value is None else value[::-1]

    class Secrets(SQLModel, table=True):
        id: int = Field(**KEY)
        word: str | None = Field(default=None, sa_type=Reversed)
    """,
        "Secrets",
    )
    load_rows([landed(table_class, {"id": 1, "word": "abc"}, {"id": 2, "word": None})], table_class, target)
    assert [row["word"] for row in stored(table_class, target)] == ["cba", None]


ARRAYS = """
    class Arrays(SQLModel, table=True):
        id: int = Field(**KEY)
        words: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
        numbers: list[int] | None = Field(default=None, sa_type=ARRAY(Integer))
        doc: dict | None = Field(default=None, sa_type=JSON(none_as_null=True))
        moment: datetime | None = time_field(default=None)
        amount: Decimal | None = Field(default=None, max_digits=12, decimal_places=2)
        data: bytes | None = None
"""


@pytest.mark.postgres
def test_arrays(postgres_database: TargetConfig, make_table: Callable[..., type[SQLModel]]) -> None:
    table_class = make_table(ARRAYS)
    tables: list[TableLike] = [table_class]
    deploy_data_objects(tables, postgres_database)
    full = {"doc": '{"a": 1}', "moment": MOMENT, "amount": Decimal("1.10"), "data": b"\x00"}
    batch = landed(
        table_class,
        {"id": 1, "words": '["a \\"b\\"", null, "NULL", "", "é,{}\\\\"]', "numbers": "[1, null]", **full},
        {"id": 2, "words": "[]", "numbers": None, **dict.fromkeys(full)},
    )
    assert load_rows([batch], table_class, postgres_database) == 2
    assert stored(table_class, postgres_database) == [
        {
            "id": 1,
            "words": ['a "b"', None, "NULL", "", "é,{}\\"],
            "numbers": [1, None],
            **full,
            "doc": {"a": 1},
        },
        {"id": 2, "words": [], "numbers": None, **dict.fromkeys(full)},
    ]


# Refusals: the table stays as it was, and no message holds CANARY.

STRICT = """
    class Strict(SQLModel, table=True):
        __table_args__ = (UniqueConstraint("word"), CheckConstraint("word <> 'canary-value-91bc'", name="no_canary"))
        id: int = Field(**KEY)
        word: str = Field(max_length=50)
        doc: dict | None = Field(default=None, sa_type=JSON(none_as_null=True))
        amount: int | None = None
        moment: datetime | None = time_field(default=None)
        ratio: float | None = None
        token: UUID | None = None
"""
STRICT_TYPES = {
    "id": pa.int32(),
    "word": pa.string(),
    "doc": pa.string(),
    "amount": pa.int32(),
    "moment": pa.timestamp("us", "UTC"),
    "ratio": pa.float64(),
    "token": pa.string(),
}


def strict(types: dict[str, pa.DataType] | None = None, **columns: list[Any]) -> pa.Table:
    kinds = {**STRICT_TYPES, **(types or {})}
    return pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})


REFUSALS: list[tuple[str, pa.Table, tuple[type[DatakitError], ...], str]] = [
    ("unknown column", strict(id=[1], word=["x"], colour=[CANARY]), (ConfigurationError,), "colour"),
    ("missing column", strict(id=[1]), (DeploymentError,), "strict"),
    ("null", strict(id=[1], word=[None]), (DeploymentError,), "strict"),
    ("same key", strict(id=[1, 1], word=[CANARY + "a", CANARY + "b"]), (DeploymentError,), "strict"),
    ("same word", strict(id=[1, 2], word=[CANARY + "a"] * 2), (DeploymentError,), "strict"),
    ("check", strict(id=[1], word=[CANARY]), (DeploymentError,), "strict"),
    ("no JSON", strict(id=[1], word=["x"], doc=[CANARY]), (RowError, DeploymentError), "strict"),
    ("no UUID", strict(id=[1], word=["x"], token=[CANARY]), (RowError, DeploymentError), "strict"),
    (
        "not a number",
        strict({"amount": pa.string()}, id=[1], word=["x"], amount=[CANARY]),
        (RowError,),
        "amount",
    ),
    ("too large", strict({"amount": pa.int64()}, id=[1], word=["x"], amount=[2**40]), (RowError,), "amount"),
    ("a fraction", strict({"amount": pa.float64()}, id=[1], word=["x"], amount=[1.5]), (RowError,), "amount"),
    (
        "no time zone",
        strict({"moment": pa.timestamp("us")}, id=[1], word=["x"], moment=[MOMENT.replace(tzinfo=None)]),
        (RowError,),
        "moment",
    ),
]


@pytest.mark.parametrize(("name", "rows", "kinds", "named"), REFUSALS, ids=[case[0] for case in REFUSALS])
def test_a_refusal_names_the_place_and_no_value(
    deployed: Callable[..., type[SQLModel]],
    target: TargetConfig,
    name: str,
    rows: pa.Table,
    kinds: tuple[type[DatakitError], ...],
    named: str,
) -> None:
    table_class = deployed(STRICT)
    with pytest.raises(DatakitError) as caught:
        load_rows(rows, table_class, target)
    error = caught.value
    assert type(error) in kinds
    assert "strict" in str(error.where)
    assert named in str(error)
    shown = [str(error), repr(error), *map(repr, error.args), *traceback.format_exception(error)]
    assert [text for text in shown if CANARY in text] == []
    assert stored(table_class, target) == []


def test_messages_have_four_parts(deployed: Callable[..., type[SQLModel]], target: TargetConfig) -> None:
    table_class = deployed(STRICT)
    with pytest.raises(ConfigurationError) as unknown:
        load_rows(strict(id=[1], word=["x"], colour=["red"]), table_class, target)
    assert str(unknown.value) == (
        "the rows have columns that the class does not have (table strict); seen: colour; expected: some of id, word,"
        " doc, amount, moment, ratio, token; next: add them to the class, or leave them out of the rows"
    )
    with pytest.raises(RowError) as lossy:
        load_rows(strict({"amount": pa.float64()}, id=[1], word=["x"], amount=[1.5]), table_class, target)
    assert str(lossy.value) == (
        "values do not fit the class without a change (table strict, column amount); seen: double; expected: int32;"
        " next: correct the values, or give the column of the class a type that holds them"
    )


def test_a_number_that_the_database_does_not_have_is_not_made_null(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    table_class = deployed(STRICT)
    rows = strict(id=[1], word=["x"], ratio=[float("nan")])
    if target.type == "postgres":
        load_rows(rows, table_class, target)
        assert str(stored(table_class, target)[0]["ratio"]) == "nan"
        return
    with pytest.raises(RowError) as caught:
        load_rows(rows, table_class, target)
    assert str(caught.value) == (
        "values do not fit the type of their column (table strict, column ratio); seen: NaN; expected: Float();"
        " next: correct the values, or give the column a type that holds them"
    )


def test_an_error_in_a_later_batch_takes_the_earlier_ones_back(
    deployed: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    table_class = deployed(STRICT)
    good, bad = strict(id=[1], word=["a"]), strict(id=[1], word=["b"])
    with pytest.raises(DeploymentError):
        load_rows([*good.to_batches(), *bad.to_batches()], table_class, target)
    assert stored(table_class, target) == []

    def failing() -> Iterator[pa.RecordBatch]:
        yield from good.to_batches()
        raise OSError("the source went away")

    with pytest.raises(OSError, match="the source went away"):
        load_rows(failing(), table_class, target)
    assert stored(table_class, target) == []
    assert load_rows(good, table_class, target) == 1


def test_a_table_that_is_not_deployed(
    make_table: Callable[..., type[SQLModel]], target: TargetConfig
) -> None:
    with pytest.raises(DeploymentError, match="strict"):
        load_rows(strict(id=[1], word=["x"]), make_table(STRICT), target)


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_target_that_does_not_answer(make_table: Callable[..., type[SQLModel]], kind: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with (
            create_custom_target(kind, "d", host="127.0.0.1", port=port, user="u", password=CANARY) as target,
            pytest.raises(TryAgainError) as caught,
        ):
            load_rows(strict(id=[1], word=["x"]), make_table(STRICT), target)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
