"""Random classes: their generated rows go into a real SQLite, which enforces every key and check, and keep every limit."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Time,
    UniqueConstraint,
    Uuid,
)
from sqlmodel import Field, SQLModel

from sqlmodel_framework import create_custom_target, deploy_data_objects, generate_rows
from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.utils.generation import plan_rows
from sqlmodel_framework.utils.seeding import seed_tables

TYPES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [Integer(), BigInteger(), SmallInteger(), Boolean(), Date(), DateTime(), Time(), Uuid(), Float()]
    ),
    st.integers(1, 60).map(String),
    st.tuples(st.integers(1, 38), st.integers(0, 9)).map(lambda pair: Numeric(pair[0], min(pair))),
    st.integers(1, 5).map(lambda n: Enum(*[f"m{number}" for number in range(n)], name=f"e{n}")),
)
NAMES = [
    "email",
    "name",
    "price",
    "code",
    "created_at",
    "updated_at",
    "city",
    "quantity",
    "note",
    "start",
    "end",
]
CHECKS = [
    "{0} IS NOT NULL OR {1} IS NOT NULL",
    "{0} <> {1}",
    "{0} > {1} OR {0} <= {1}",
    "{0} >= {1} OR {1} IS NOT NULL",
]


@st.composite
def kits(draw: st.DrawFn) -> list[Table]:
    """One to four tables with keys, foreign keys and checks at random; some of them cannot be filled."""
    metadata = MetaData()
    tables: list[Table] = []
    for number in range(draw(st.integers(1, 4))):
        keys: list[Column[Any]] = [
            Column(f"k{position}", draw(TYPES), primary_key=True, autoincrement=False)
            for position in range(draw(st.integers(1, 2)))
        ]
        names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
        others: list[Column[Any]] = [
            Column(name, draw(TYPES), nullable=draw(st.booleans())) for name in names
        ]
        parts: list[Any] = []
        for position, parent in enumerate(
            draw(st.lists(st.sampled_from(tables), max_size=2)) if tables else []
        ):
            in_key, may_be_null = draw(st.booleans()), draw(st.booleans())
            referring = [
                Column(
                    f"f{position}_{c.name}",
                    c.type,
                    primary_key=in_key,
                    autoincrement=False,
                    nullable=may_be_null and not in_key,
                )
                for c in parent.primary_key
            ]
            others += referring
            parts.append(ForeignKeyConstraint([c.name for c in referring], list(parent.primary_key)))
        every = [*keys, *others]
        if draw(st.booleans()):
            chosen = draw(st.lists(st.sampled_from(every), min_size=1, max_size=3, unique=True))
            parts.append(UniqueConstraint(*(c.name for c in chosen)))
        if draw(st.booleans()) and len(every) > 1:
            pair = draw(st.lists(st.sampled_from(every), min_size=2, max_size=2, unique=True))
            parts.append(
                CheckConstraint(draw(st.sampled_from(CHECKS)).format(*(f'"{c.name}"' for c in pair)))
            )
        tables.append(Table(f"t{number}", metadata, *every, *parts))
    return tables


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables=kits(), rows=st.integers(0, 120), seed=st.integers(0, 2**64))
def test_rows_of_random_tables_go_into_a_real_database(tables: list[Table], rows: int, seed: int) -> None:
    with create_custom_target("sqlite") as target:
        deploy_data_objects(tables, target)
        result = seed_tables(tables, target, rows, seed)
    assert set(result.tables) | set(result.failures) == {table.name for table in tables}
    assert all("checks let in" in why or "it needs rows of" in why for why in result.failures.values())
    for made in plan_rows(tables, rows, seed).tables:
        whole = pa.Table.from_batches(made.batches(1_000), made.schema)
        assert whole.validate(full=True) is None
        assert whole.equals(pa.Table.from_batches(made.batches(13), made.schema))
        for name in whole.schema.names:
            assert made.contract.columns[name].nullable or whole.column(name).null_count == 0
        assert made.count == rows or made.why_fewer


def test_a_key_of_two_columns_is_not_null_where_a_check_forbids_it() -> None:
    metadata = MetaData()
    parent = Table("t0", metadata, *(Column(name, Integer, primary_key=True) for name in ("a", "b")))
    child = Table(
        "t1",
        metadata,
        Column("id", Integer, primary_key=True),
        *(Column(name, Integer) for name in ("a", "b")),
        ForeignKeyConstraint(["a", "b"], [parent.c.a, parent.c.b]),
        CheckConstraint("a IS NOT NULL OR b IS NOT NULL"),
    )
    with create_custom_target("sqlite") as target:
        deploy_data_objects([parent, child], target)
        assert seed_tables([parent, child], target, 200).tables == {"t0": 200, "t1": 200}


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "min_length": st.integers(0, 30),
        "max_length": st.integers(0, 60),
        "regex": st.sampled_from(["^[a-z]+$", r"\d", "^x|y$"]),
    },
)
RANGES = st.fixed_dictionaries(
    {},
    optional={name: st.integers(-1_000, 1_000) for name in ("ge", "gt", "le", "lt")}
    | {"multiple_of": st.integers(1, 50)},
)


def class_with(kind: Any, limits: dict[str, Any], *, unique: bool) -> type[SQLModel]:
    namespace = {
        "__annotations__": {"id": int, "v": kind},
        "__module__": __name__,
        "id": Field(primary_key=True),
        "v": Field(unique=unique, **limits),
        "metadata": MetaData(),
    }
    make: Any = type(SQLModel)
    made: type[SQLModel] = make(f"T{uuid4().hex}", (SQLModel,), namespace, table=True)
    return made


@settings(max_examples=120, deadline=None)
@given(limits=LIMITS, unique=st.booleans(), seed=st.integers(0, 99))
def test_texts_keep_random_limits(limits: dict[str, Any], unique: bool, seed: int) -> None:
    table = class_with(str, limits, unique=unique)
    try:
        rows = list(generate_rows(table, 50, seed))
    except RowsNotGeneratedError:
        # Nothing but limits that exclude each other: at most a text of no character, or two of the pattern's.
        assert limits.get("max_length", 99) < max(
            limits.get("min_length", 0), 1 if "regex" in limits or unique else 0
        )
        return
    found = [value for batch in rows for value in batch.column("v").to_pylist()]
    assert not unique or len({value.casefold() for value in found}) == len(found)
    for value in found:
        assert limits.get("min_length", 0) <= len(value) <= limits.get("max_length", 10**6)
        assert re.search(limits.get("regex", ""), value)


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from([int, float, Decimal]), limits=RANGES, unique=st.booleans(), seed=st.integers(0, 99)
)
def test_numbers_keep_random_limits(kind: Any, limits: dict[str, Any], unique: bool, seed: int) -> None:
    digits = {"max_digits": 8, "decimal_places": 2} if kind is Decimal else {}
    table = class_with(kind, limits | digits, unique=unique)
    try:
        rows = list(generate_rows(table, 50, seed))
    except RowsNotGeneratedError:
        # None of the whole numbers that come into question keeps the limits; a float may lie between two of them.
        assert not any(keeps(value, limits) for value in range(-2_000, 2_001))
        assert kind is not float or "multiple_of" in limits or not keeps_between(limits)
        return
    found = [value for batch in rows for value in batch.column("v").to_pylist()]
    assert found
    assert not unique or len(set(found)) == len(found)
    for value in found:
        assert keeps(value, limits)


def keeps(value: Any, limits: dict[str, Any]) -> bool:
    return bool(
        value >= limits.get("ge", value)
        and value > limits.get("gt", value - 1)
        and value <= limits.get("le", value)
        and value < limits.get("lt", value + 1)
        and ("multiple_of" not in limits or value % limits["multiple_of"] == 0)
    )


def keeps_between(limits: dict[str, Any]) -> bool:
    return any(keeps(value + 0.5, limits) for value in range(-2_000, 2_000))
