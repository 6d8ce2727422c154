"""The order in which tables get rows, without a database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from sqlmodel_framework.utils.table_order import order_of


def tables(**references: list[tuple[str, dict[str, Any]]]) -> list[Table]:
    """Tables by name, with the tables that they refer to and the options of the column or key."""
    metadata = MetaData()
    for name, keys in references.items():
        columns = []
        for other, options in keys:
            of_key = {option: options[option] for option in options if option != "nullable"}
            nullable = options.get("nullable", False)
            columns.append(
                Column(f"{other}_id", Integer, ForeignKey(f"{other}.id", **of_key), nullable=nullable)
            )
        Table(name, metadata, Column("id", Integer, primary_key=True), *columns)
    return list(metadata.tables.values())


NULLABLE = {"nullable": True}
DEFERRED = {"deferrable": True, "initially": "DEFERRED"}


def test_parents_come_first() -> None:
    order = order_of(tables(c=[("b", {})], b=[("a", {})], a=[]))
    assert [table.name for table in order.tables] == ["a", "b", "c"]
    assert not order.cut
    assert not order.cycles


def test_a_self_reference_cuts_nothing() -> None:
    order = order_of(tables(a=[("a", NULLABLE)], b=[("b", {})]))
    assert [table.name for table in order.tables] == ["a", "b"]
    assert not order.cut
    assert not order.cycles


def test_a_cycle_is_opened_where_a_key_may_be_null() -> None:
    order = order_of(tables(a=[("b", {})], b=[("c", {})], c=[("a", NULLABLE)]))
    assert [key.label for key in order.cut] == ["c(a_id) -> a"]
    assert [table.name for table in order.tables] == ["c", "b", "a"]


def test_a_cycle_is_opened_where_a_key_is_looked_at_later() -> None:
    order = order_of(tables(a=[("b", DEFERRED)], b=[("a", {})]))
    assert [key.label for key in order.late] == ["a(b_id) -> b"]
    assert [table.name for table in order.tables] == ["a", "b"]


def test_a_cycle_that_cannot_be_opened_is_said_of_its_tables_alone() -> None:
    order = order_of(tables(a=[("b", {})], b=[("a", {})], c=[("a", {})], d=[]))
    said = {table.name: keys for table, keys in order.cycles.items()}
    assert said == dict.fromkeys("ab", "a(b_id) -> b, b(a_id) -> a")
    assert {table.name for table in order.tables} == {"c", "d"}


def test_two_keys_to_one_table_open_together() -> None:
    metadata = MetaData()
    Table(
        "a",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("one", ForeignKey("b.id"), nullable=True),
        Column("two", ForeignKey("b.id"), nullable=True),
    )
    Table(
        "b",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("a", ForeignKey("a.id"), nullable=False),
    )
    order = order_of(list(metadata.tables.values()))
    assert {key.columns for key in order.cut} == {("one",), ("two",)}
    assert not order.cycles
