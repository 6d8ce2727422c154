"""Foreign keys that lead nowhere, as DDL planning reports them."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from sqlmodel_framework import DeploymentError, create_custom_target
from sqlmodel_framework.utils.deployment import plan_deployment


def problem(*tables: Table) -> str:
    with pytest.raises(DeploymentError) as caught:
        plan_deployment(tables, create_custom_target("sqlite"))
    return str(caught.value)


def with_key(metadata: MetaData, reference: str, *, schema: str | None = None) -> Table:
    """A table `orders` whose column `film_id` refers to that."""
    return Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("film_id", ForeignKey(reference)),
        schema=schema,
    )


def film(metadata: MetaData, *, schema: str | None = None) -> Table:
    return Table(
        "film",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("title", Integer),
        schema=schema,
    )


def test_a_foreign_key_to_a_column_that_is_not_there() -> None:
    metadata = MetaData()
    assert problem(with_key(metadata, "film.idd"), film(metadata)) == (
        "a foreign key refers to a column that its table does not have (table orders, column film_id);"
        " seen: film.idd; expected: one of the columns of film: id, title;"
        " next: correct the reference, or add the column"
    )


def test_the_schemas_of_both_sides_are_named() -> None:
    metadata = MetaData()
    Table("film", metadata, Column("other", Integer, primary_key=True))
    orders = with_key(metadata, "stock.film.idd", schema="sales")
    assert problem(orders, film(metadata, schema="stock")) == (
        "a foreign key refers to a column that its table does not have (table sales.orders, column film_id);"
        " seen: stock.film.idd; expected: one of the columns of stock.film: id, title;"
        " next: correct the reference, or add the column"
    )


def test_a_reference_without_schema_means_the_table_without() -> None:
    metadata = MetaData()
    film(metadata, schema="stock")
    plain = Table("film", metadata, Column("other", Integer, primary_key=True))
    assert "columns of film: other;" in problem(with_key(metadata, "film.idd", schema="sales"), plain)


def test_the_default_schema_of_a_kit_counts() -> None:
    metadata = MetaData(schema="stock")
    assert "columns of stock.film: id, title;" in problem(with_key(metadata, "film.idd"), film(metadata))


def test_a_foreign_key_to_a_table_that_is_not_there() -> None:
    metadata = MetaData()
    orders = with_key(metadata, "films.id", schema="sales")
    assert problem(orders, film(metadata)) == (
        "a foreign key refers to a table that no class defines (table sales.orders, column film_id);"
        " seen: films.id; expected: one of film, sales.orders;"
        " next: deploy the folder that holds both classes, or correct the reference"
    )


def test_of_several_wrong_keys_the_same_one_is_reported_each_time() -> None:
    metadata = MetaData()
    columns: list[Column[int]] = [Column(f"c{number}", ForeignKey(f"film.x{number}")) for number in range(5)]
    wide = Table("wide", metadata, Column("id", Integer, primary_key=True), *columns)
    assert "(table wide, column c0); seen: film.x0;" in problem(wide, film(metadata))


def test_planning_for_one_database_leaves_the_keys_of_another() -> None:
    """SQLAlchemy marks keys of a cycle when it writes them as ALTER TABLE, and then leaves them out elsewhere."""
    metadata = MetaData()
    tables = [
        Table(
            "one",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("two_id", ForeignKey("two.id", name="a")),
        ),
        Table(
            "two",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("one_id", ForeignKey("one.id", name="b")),
        ),
    ]
    sqlite, postgres = create_custom_target("sqlite"), create_custom_target("postgres", "any")
    before = [statement.text for statement in plan_deployment(tables, sqlite)]
    assert any("ALTER TABLE" in statement.text for statement in plan_deployment(tables, postgres))
    assert [statement.text for statement in plan_deployment(tables, sqlite)] == before
    assert sum(text.count("FOREIGN KEY") for text in before) == 2
