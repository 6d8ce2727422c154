"""Keys and foreign keys of generated rows: SQLite itself, with its keys enforced, is what they are held against."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Time,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

from sqlmodel_framework import create_custom_target, deploy_data_objects, generate_rows
from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.utils.generation import plan_rows
from sqlmodel_framework.utils.seeding import SeedResult, seed_tables
from sqlmodel_framework.utils.tables import TableScope


class Colour(enum.Enum):
    """Three values."""

    red = 1
    green = 2
    blue = 3


def key(name: str = "id", kind: Any = Integer, *parts: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, *parts, primary_key=True, autoincrement=False, **options)


def seeded(tables: Sequence[Table], rows: int) -> SeedResult:
    """What a real database says: it refuses rows that break a key."""
    with create_custom_target("sqlite") as target:
        deploy_data_objects(tables, target)
        return seed_tables(tables, target, rows)


def columns(item: Table, rows: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pa.Table.from_batches(generate_rows(item, rows)).to_pydict()
    return found


# keys of one column

MANY: list[TypeEngine[Any]] = [
    Integer(),
    SmallInteger(),
    BigInteger(),
    String(3),
    String(4),
    String(12),
    String(60),
    String(),
    Numeric(10, 2),
    Numeric(5, 2),
    Numeric(38, 10),
    Float(),
    Date(),
    DateTime(),
    DateTime(timezone=True),
    Time(),
    Uuid(),
    LargeBinary(4),
]


@pytest.mark.parametrize("kind", MANY, ids=repr)
def test_a_key_differs_in_every_row(kind: TypeEngine[Any]) -> None:
    metadata = MetaData()
    table = Table("t", metadata, key("id", kind), Column("other", kind, unique=True, nullable=False))
    found = columns(table, 5_000)
    assert len(set(found["id"])) == len(set(found["other"])) == 5_000
    if isinstance(kind, String):
        assert len({text.casefold().strip() for text in found["other"]}) == 5_000
    assert seeded([table], 2_000).tables == {"t": 2_000}


@pytest.mark.parametrize(
    ("kind", "capacity"),
    [
        (Enum(Colour), 3),
        (Boolean(), 2),
        (String(1), 36),
        (Numeric(2, 1), 99),
        (LargeBinary(1), 256),
        (Numeric(1, 0), 9),
    ],
    ids=repr,
)
def test_a_key_of_few_values_limits_the_rows(kind: TypeEngine[Any], capacity: int) -> None:
    table = Table("t", MetaData(), key("id", kind), Column("v", Integer))
    assert len(set(columns(table, 1_000)["id"])) >= capacity
    plan = plan_rows([table], 1_000)
    assert plan.tables[0].count < 1_000
    assert plan.tables[0].why_fewer == f"the key (id) takes {plan.tables[0].count} different values"
    (note,) = seeded([table], 1_000).notes
    assert (
        note
        == f"t has {plan.tables[0].count} rows: the key (id) takes {plan.tables[0].count} different values"
    )


def test_a_unique_column_that_may_be_null_is_null_beyond_its_values() -> None:
    table = Table("t", MetaData(), key(), Column("v", Enum(Colour), unique=True))
    found = columns(table, 100)["v"]
    assert len(found) == 100
    given = [value for value in found if value is not None]
    assert 1 <= len(given) == len(set(given)) <= 3


def test_keys_are_realistic() -> None:
    with TableScope.new().entered():

        class Person(SQLModel, table=True):
            id: int = Field(primary_key=True)
            email: str = Field(unique=True, max_length=60)
            number: int = Field(unique=True)

    rows = pa.Table.from_batches(generate_rows(Person, 500)).to_pydict()
    assert rows["id"] == list(range(1, 501))
    assert all("@example." in email for email in rows["email"])
    assert len(set(rows["email"])) == 500
    assert sorted(rows["number"]) == list(range(1, 501))


def test_a_million_keys_differ() -> None:
    table = Table("t", MetaData(), key("id", Uuid()), Column("code", String(8), unique=True, nullable=False))
    rows = pa.Table.from_batches(generate_rows(table, 1_000_000))
    assert all(len(rows.column(name).unique()) == 1_000_000 for name in rows.schema.names)


# keys of several columns


def test_keys_of_several_columns() -> None:
    metadata = MetaData()
    tables = [
        Table("a", metadata, key()),
        Table("b", metadata, key("code", Enum(Colour))),
        Table(
            "link",
            metadata,
            key("a_id", Integer, ForeignKey("a.id")),
            key("b", Enum(Colour), ForeignKey("b.code")),
        ),
        Table("line", metadata, key("a_id", Integer, ForeignKey("a.id")), key("number", Integer)),
        Table("flags", metadata, key("one", Boolean), key("two", Boolean), key("three", Enum(Colour))),
        Table(
            "several",
            metadata,
            key(),
            Column("x", Integer, ForeignKey("a.id"), nullable=False),
            Column("y", Boolean, nullable=False),
            Column("z", Boolean, nullable=False),
            UniqueConstraint("x", "y"),
            UniqueConstraint("y", "z", "x"),
            UniqueConstraint("x", "z"),
        ),
        Table("history", metadata, key("a_id", Integer, ForeignKey("a.id")), key("since", DateTime)),
        Table("one_to_one", metadata, key("a_id", Integer, ForeignKey("a.id"))),
    ]
    counts = seeded(tables, 400).tables
    assert counts.pop("b") == 3
    assert counts.pop("flags") == 12
    assert set(counts.values()) == {400}


def test_a_link_table_of_small_parents_is_small() -> None:
    metadata = MetaData()
    parent = Table("p", metadata, key("kind", Enum(Colour)))
    link = Table(
        "link",
        metadata,
        key("one", Enum(Colour), ForeignKey("p.kind")),
        key("two", Enum(Colour), ForeignKey("p.kind")),
    )
    result = seeded([parent, link], 50)
    assert result.tables == {"p": 3, "link": 9}
    assert [note.split(":")[0] for note in result.notes] == ["p has 3 rows", "link has 9 rows"]


def test_rows_of_a_link_table_are_spread_over_both_parents() -> None:
    metadata = MetaData()
    tables = [Table(name, metadata, key()) for name in "ab"]
    link = Table(
        "link", metadata, key("a", Integer, ForeignKey("a.id")), key("b", Integer, ForeignKey("b.id"))
    )
    found = columns(link, 1_000)
    assert len(set(zip(found["a"], found["b"], strict=True))) == 1_000
    assert len(set(found["a"])) > 300
    assert len(set(found["b"])) > 300
    assert seeded([*tables, link], 1_000).success


def test_a_unique_index_is_a_key_and_a_partial_one_is_not() -> None:
    table = Table(
        "t", MetaData(), key(), Column("v", Boolean, nullable=False), Column("w", Boolean, nullable=False)
    )
    Index("ix_v", table.c.v, unique=True, sqlite_where=table.c.w)
    assert len(columns(table, 50)["v"]) == 50
    Index("ix_w", table.c.w, unique=True)
    assert len(columns(table, 50)["w"]) == 2


def test_lines_of_orders_are_numbered_from_one() -> None:
    metadata = MetaData()
    orders = Table("orders", metadata, key())
    line = Table("line", metadata, key("order_id", Integer, ForeignKey("orders.id")), key("line_no", Integer))
    found = columns(line, 1_000)
    lines: dict[int, list[int]] = {}
    for order, number in zip(found["order_id"], found["line_no"], strict=True):
        lines.setdefault(order, []).append(number)
    assert len(found["order_id"]) == 1_000
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in lines.values())
    assert {len(numbers) for numbers in lines.values()} == {1, 2, 3, 4, 5}
    whole = pa.Table.from_batches(generate_rows(line, 1_000))
    assert pa.Table.from_batches(generate_rows(line, 1_000, batch_size=7)).equals(whole)
    assert seeded([orders, line], 1_000).tables == {"orders": 1_000, "line": 1_000}
    assert seeded([orders, line], 1).tables == {"orders": 1, "line": 1}


def test_texts_of_a_pattern_in_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with TableScope.new().entered():

        class Coded(SQLModel, table=True):
            code: str = Field(primary_key=True, max_length=8, regex="^[A-Z]{3}-[0-9]{4}$")

        class Few(SQLModel, table=True):
            code: str = Field(primary_key=True, max_length=8, regex="^[A-C]$")

    assert plan_rows([Coded], 30_000).tables[0].count == 30_000
    monkeypatch.setattr("sqlmodel_framework.utils.generation.keys._PATTERN_TEXTS", 50)
    (limited,) = plan_rows([Coded], 100).tables
    assert limited.why_fewer == "the key (code): at most 50 texts of a pattern are made"
    (few,) = plan_rows([Few], 40).tables
    assert few.why_fewer == "the key (code): 3 different texts of its pattern were found"


# foreign keys


def test_foreign_keys_point_at_keys_of_any_kind() -> None:
    metadata = MetaData()
    tables = []
    for number, kind in enumerate(MANY):
        tables.append(Table(f"p{number}", metadata, key("id", kind)))
        tables.append(
            Table(
                f"c{number}", metadata, key(), Column("p", kind, ForeignKey(f"p{number}.id"), nullable=False)
            )
        )
    result = seeded(tables[::-1], 200)
    assert set(result.tables.values()) == {200}


def test_children_are_spread_over_their_parents_and_some_have_none() -> None:
    metadata = MetaData()
    Table("p", metadata, key())
    child = Table("c", metadata, key(), Column("p_id", Integer, ForeignKey("p.id")))
    found = columns(child, 1_000)["p_id"]
    assert 50 < found.count(None) < 200
    assert 400 < len(set(found)) < 1_000
    assert {value for value in found if value} <= set(range(1, 1_001))


def test_foreign_keys_of_several_columns_and_to_a_unique_column() -> None:
    metadata = MetaData()
    parent = Table(
        "p",
        metadata,
        key("x", String(5)),
        key("y", Integer),
        Column("code", String(9), unique=True),
        Column("name", String(30)),
    )
    child = Table(
        "c",
        metadata,
        key(),
        Column("px", String(5), nullable=False),
        Column("py", Integer, nullable=False),
        Column("code", String(9), ForeignKey("p.code"), nullable=False),
        ForeignKeyConstraint(["px", "py"], ["p.x", "p.y"]),
    )
    assert seeded([child, parent], 500).tables == {"p": 500, "c": 500}


def test_a_chain_of_keys_that_are_foreign_keys() -> None:
    metadata = MetaData()
    tables = [Table("t0", metadata, key("code", String(10)))]
    for number in range(1, 6):
        target = f"t{number - 1}.code"
        tables.append(Table(f"t{number}", metadata, key("code", String(10), ForeignKey(target))))
    assert set(seeded(tables, 300).tables.values()) == {300}


def test_tenants() -> None:
    """Foreign keys of several columns that share one: both parents belong to the same tenant."""
    metadata = MetaData()
    tenant = Table("tenant", metadata, key())

    def of_tenant(name: str, *parts: Any) -> Table:
        return Table(name, metadata, key("tenant_id", Integer, ForeignKey("tenant.id")), key(), *parts)

    tables = [
        tenant,
        of_tenant("customer"),
        of_tenant("product"),
        of_tenant(
            "orders",
            Column("customer_id", Integer, nullable=False),
            Column("product_id", Integer, nullable=False),
            Column("previous_id", Integer),
            ForeignKeyConstraint(["tenant_id", "customer_id"], ["customer.tenant_id", "customer.id"]),
            ForeignKeyConstraint(["tenant_id", "product_id"], ["product.tenant_id", "product.id"]),
            ForeignKeyConstraint(["tenant_id", "previous_id"], ["orders.tenant_id", "orders.id"]),
        ),
    ]
    assert set(seeded(tables, 300).tables.values()) == {300}


# tables that refer to themselves


def test_a_table_that_refers_to_itself_takes_earlier_rows() -> None:
    table = Table("t", MetaData(), key(), Column("parent_id", Integer, ForeignKey("t.id")))
    found = columns(table, 500)
    assert found["parent_id"][0] is None
    assert all(p is None or p < i for i, p in zip(found["id"], found["parent_id"], strict=True))
    assert len(set(found["parent_id"])) > 100
    assert seeded([table], 500).success


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("nullable", [True, False])
def test_a_table_that_must_refer_to_itself(unique: bool, nullable: bool) -> None:
    reference = Column("parent_id", Integer, ForeignKey("t.id"), nullable=nullable, unique=unique)
    table = Table("t", MetaData(), key(), reference)
    assert seeded([table], 200).tables == {"t": 200}


# cycles


def cycle(**options: Any) -> list[Table]:
    metadata = MetaData()
    return [
        Table("a", metadata, key(), Column("b_id", Integer, ForeignKey("b.id", use_alter=True, name="fk", **options), nullable=not options)),
        Table("b", metadata, key(), Column("a_id", Integer, ForeignKey("a.id"), nullable=False)),
        Table("c", metadata, key(), Column("a_id", Integer, ForeignKey("a.id"), nullable=False)),
    ]  # fmt: skip


def test_a_cycle_is_cut_at_a_key_that_may_be_null() -> None:
    tables = cycle()
    assert set(columns(tables[0], 50)["b_id"]) == {None}
    assert [made.contract.table for made in plan_rows(tables, 5).tables] == ["a", "b", "c"]


def test_a_deferred_key_closes_a_cycle() -> None:
    tables = cycle(deferrable=True, initially="DEFERRED")
    found = {table.name: batch.to_pydict() for table, batch in generate_rows(tables, 50)}  # type: ignore[union-attr]
    assert set(found["a"]["b_id"]) <= set(found["b"]["id"])
    assert set(found["b"]["a_id"]) <= set(found["a"]["id"])


def test_a_cycle_of_required_keys_is_said_and_the_others_go_on() -> None:
    metadata = MetaData()
    tables = [
        Table("a", metadata, key(), Column("b_id", Integer, ForeignKey("b.id"), nullable=False)),
        Table("b", metadata, key(), Column("a_id", Integer, ForeignKey("a.id"), nullable=False)),
        Table("needs", metadata, key(), Column("a_id", Integer, ForeignKey("a.id"), nullable=False)),
        Table("may", metadata, key(), Column("a_id", Integer, ForeignKey("a.id"))),
        Table("free", metadata, key()),
    ]
    rows = generate_rows(tables, 10)
    seen: list[tuple[str, pa.RecordBatch]] = []
    with pytest.raises(RowsNotGeneratedError) as caught:
        seen.extend((table.name, batch) for table, batch in rows)  # type: ignore[union-attr]
    assert {name for name, _ in seen} == {"may", "free"}
    assert dict(seen)["may"].column("a_id").null_count == 10
    assert caught.value.where == "a, b, needs"
    assert "a(b_id) -> b, b(a_id) -> a" in str(caught.value.seen)
    assert "it needs rows of a, for which none can be made" in str(caught.value.seen)
    with pytest.raises(RowsNotGeneratedError) as alone:
        generate_rows(tables[0], 10)
    assert str(alone.value) == (
        "tables need rows of one another before they can have their first (table a); seen: a(b_id) -> b, b(a_id) -> a;"
        " expected: a foreign key in the cycle that may be null, or that is deferrable initially deferred;"
        " next: let one of these columns be null"
    )


def test_parents_outside_of_what_is_given() -> None:
    metadata = MetaData()
    parent = Table("p", metadata, key("code", String(8)))
    child = Table("c", metadata, key(), Column("p", String(8), ForeignKey("p.code"), nullable=False))
    codes = set(columns(parent, 100)["code"])
    assert set(columns(child, 100)["p"]) <= codes
    assert [table.name for table, _ in generate_rows([child], 100)] == ["c"]  # type: ignore[union-attr]
    with create_custom_target("sqlite") as target:
        deploy_data_objects([parent, child], target)
        assert seed_tables([child], target, 100).tables == {"p": 100, "c": 100}
