"""Generated rows under CHECK constraints: SQLite enforces them, and contradictions are said."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    column,
    func,
    or_,
)

from sqlmodel_framework import create_custom_target, deploy_data_objects, generate_rows
from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.utils.generation.checks import RowChecks
from sqlmodel_framework.utils.seeding import seed_tables

ROWS = 300


def table_with(*checks: Any, metadata: MetaData | None = None, nullable: bool = True) -> Table:
    return Table(
        "t",
        metadata or MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("code", String(20), nullable=nullable),
        Column("status", String(20), nullable=nullable),
        Column("kind", String(5), nullable=nullable),
        Column("price", Numeric(8, 2), nullable=nullable),
        Column("discount", Numeric(8, 2), nullable=nullable),
        Column("weight", Float, nullable=nullable),
        Column("count", Integer, nullable=nullable),
        Column("active", Boolean, nullable=nullable),
        Column("starts", Date, nullable=nullable),
        Column("ends", Date, nullable=nullable),
        Column("at", DateTime, nullable=nullable),
        Column("parent_id", Integer, ForeignKey("t.id")),
        Column("twice", Integer, Computed("count * 2")),
        *(CheckConstraint(check, name=f"c{number}") for number, check in enumerate(checks)),
    )


MET: list[list[Any]] = [
    ["price BETWEEN 0 AND 100"],
    ["price > 999999.5"],
    ["price < -5"],
    ["count = 123456"],
    ["count % 17 = 3"],
    ["weight >= 0.25 AND weight <= 0.5"],
    ["status IN ('draft', 'final')"],
    ["status = 'it''s'"],
    ["length(code) = 3"],
    ["length(code) > 15"],
    ["code = upper(code)"],
    ["code LIKE 'AB-%'"],
    ["code LIKE '__-__'"],
    [column("code").regexp_match("^[A-Z]{3}[0-9]{2}$")],
    ["ends > starts"],
    ["ends > starts", "starts >= '2031-05-05'"],
    ["at >= '2035-01-01' AND at < '2035-01-02'"],
    ["(kind = 'x') = (price IS NULL)"],
    ["discount < price", "price > 0", "discount >= 0"],
    ["active OR count > 10"],
    ["status IN ('a', 'b', 'c')", "kind IN ('x', 'y')", "status <> 'a' OR kind = 'x'"],
    ["status = 'paid' AND price IS NOT NULL OR status = 'open' AND price IS NULL"],
    ["parent_id <> id"],
    ["id > 0"],
    ["id > 5000"],
    ["id % 3 = 1"],
    ["id % 31 = 1"],
    ["id <> count"],
    ["parent_id IS NULL OR parent_id > 2"],
    ["twice < 100"],
    ["twice BETWEEN 500 AND 510"],
    [func.length(column("code")) == 7, or_(column("price") > 3, column("active").is_(True))],
    ["coalesce(price, 0) + coalesce(discount, 0) > 100"],
    ["price = round(price, 0)"],
]


@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "required"])
@pytest.mark.parametrize("checks", MET, ids=lambda checks: " & ".join(str(check) for check in checks))
def test_checks_are_met(checks: list[Any], nullable: bool) -> None:
    if not nullable and any("IS NULL" in str(check) and "parent" not in str(check) for check in checks):
        nullable = True
    table = table_with(*checks, nullable=nullable)
    rows = pa.Table.from_batches(generate_rows(table, ROWS))
    assert rows.num_rows == ROWS
    assert not any(RowChecks(table).broken(rows.to_pydict()))
    with create_custom_target("sqlite") as target:
        if "regexp" not in str(checks[0]).lower() and "REGEXP" not in str(
            checks[0].compile() if hasattr(checks[0], "compile") else ""
        ):
            deploy_data_objects([table], target)
            assert seed_tables([table], target, ROWS).tables == {"t": ROWS}


def test_natural_values_stay_where_the_checks_let_them() -> None:
    table = table_with("price BETWEEN 0 AND 100", nullable=False)
    prices = pa.Table.from_batches(generate_rows(table, ROWS)).column("price").to_pylist()
    assert len(set(prices)) > 100


def test_children_of_a_checked_table_have_their_parents() -> None:
    metadata = MetaData()
    parent = Table(
        "p",
        metadata,
        Column("code", String(12), CheckConstraint("code LIKE 'P%' AND length(code) = 6"), primary_key=True),
        Column("number", Integer, CheckConstraint("number % 7 = 2"), unique=True, nullable=False),
    )
    child = Table(
        "c",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("code", String(12), ForeignKey("p.code"), nullable=False),
        Column("number", Integer, ForeignKey("p.number"), nullable=False),
        Column("other", String(12), ForeignKey("p.code")),
        CheckConstraint("code <> other"),
    )
    with create_custom_target("sqlite") as target:
        deploy_data_objects([parent, child], target)
        assert seed_tables([parent, child], target, ROWS).success
    whole = pa.Table.from_batches(generate_rows(child, ROWS))
    assert pa.Table.from_batches(generate_rows(child, ROWS, batch_size=11)).equals(whole)


@pytest.mark.parametrize(
    ("checks", "never"),
    [
        (["price > 5 AND price < 5"], "c0"),
        (["price > 5", "price < 5"], "no row that was tried met all of them at once"),
        (["price > discount", "discount > price"], "no row that was tried met all of them at once"),
        (["status = 'a'", "status = 'b'"], "no row that was tried met all of them at once"),
        (["id < 0 AND id > 0"], "c0"),
        (["parent_id = id + 1 AND parent_id IS NOT NULL"], "c0"),
    ],
    ids=str,
)
def test_contradictory_checks_are_named(checks: list[str], never: str) -> None:
    with pytest.raises(RowsNotGeneratedError, match="no row was found that the checks let in") as caught:
        generate_rows(table_with(*checks, nullable=False), 10)
    assert caught.value.where == "table t"
    assert never in str(caught.value.seen)


def test_a_check_that_cannot_be_evaluated_ends_its_table_only() -> None:
    metadata = MetaData()
    table = table_with("no_such_function(price)", metadata=metadata)
    other = Table("other", metadata, Column("id", Integer, primary_key=True))
    found: list[str] = []
    with pytest.raises(RowsNotGeneratedError, match="a check cannot be evaluated outside of its database"):
        found.extend(table.name for table, _ in generate_rows([table, other], 10))  # type: ignore[union-attr]
    assert found == ["other"]


# equations


def of_numbers(*checks: str) -> Table:
    money = [
        Column(n, Numeric(10, 2), nullable=False) for n in ("net", "vat", "total", "unit_price", "line_total")
    ]
    whole = [Column(n, Integer, nullable=False) for n in ("quantity", "p", "q", "r")]
    return Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=False),
        *money,
        *whole,
        Column("first", String(20), nullable=False),
        Column("last", String(20), nullable=False),
        Column("full_name", String(45), nullable=False),
        Column("ordered", Date, nullable=False),
        Column("due", Date, nullable=False),
        *(CheckConstraint(check, name=f"c{number}") for number, check in enumerate(checks)),
    )


EQUATIONS: list[list[str]] = [
    ["total = net + vat"],
    ["(net + vat) = total"],
    ["total - net - vat = 0"],
    ["p + q + r = 100"],
    ["p + q + r = 100", "p >= 0", "q >= 0", "r >= 0"],
    ["line_total = quantity * unit_price"],
    ["total = net + vat AND vat = round(net * 0.19, 2)", "net > 0"],
    ["total = net + vat", "total <= 5", "net > 0", "vat > 0"],
    ["id = p + q"],
    ["full_name = first || ' ' || last"],
    ["due = ordered"],
    ["total = net + vat OR total = net - vat"],
    ["p = 3 AND total = net + vat OR p = 4 AND (total = net - vat AND line_total BETWEEN 0 AND 99)"],
    ["NOT (p = 3) OR total = net + vat", "p IN (3, 4)", "total > 0"],
    ["(total = net + vat OR total = 7.5) AND (r = p + q OR r = p - q)"],
    ["total = CASE WHEN p > 100 AND q > 50 THEN net ELSE net + vat END"],
]


@pytest.mark.parametrize("checks", EQUATIONS, ids=str)
def test_equations_are_solved(checks: list[str]) -> None:
    table = of_numbers(*checks)
    whole = pa.Table.from_batches(generate_rows(table, ROWS))
    assert not any(RowChecks(table).broken(whole.to_pydict()))
    assert pa.Table.from_batches(generate_rows(table, ROWS, batch_size=17)).equals(whole)
    read = [name for name in whole.schema.names if name != "id" and any(name in check for check in checks)]
    assert len(set(zip(*(whole.column(name).to_pylist() for name in read), strict=True))) > ROWS // 4
    with create_custom_target("sqlite") as target:
        deploy_data_objects([table], target)
        assert seed_tables([table], target, ROWS).success


def test_an_equation_is_not_met_by_one_value_alone() -> None:
    rows = pa.Table.from_batches(generate_rows(of_numbers("line_total = quantity * unit_price"), ROWS))
    assert len(set(rows.column("quantity").to_pylist())) > 20


def test_each_way_to_meet_an_equation_is_taken() -> None:
    check = "p = 3 AND total = net + vat OR p = 4 AND total = net * 2 OR p = 5"
    rows = pa.Table.from_batches(generate_rows(of_numbers(check, "p BETWEEN 3 AND 5"), ROWS)).to_pylist()
    assert {row["p"] for row in rows} == {3, 4, 5}
    assert len({row["total"] for row in rows if row["p"] == 5}) > 20


def test_equations_joined_by_or_are_taken_in_turns() -> None:
    rows = pa.Table.from_batches(generate_rows(of_numbers("r = p + q OR r = p - q"), ROWS)).to_pylist()
    assert sum(row["r"] == row["p"] + row["q"] for row in rows) > ROWS // 4
    assert sum(row["r"] == row["p"] - row["q"] for row in rows) > ROWS // 10


def test_an_equation_keeps_nulls_and_limits() -> None:
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        *(Column(name, Numeric(3, 2)) for name in ("a", "b", "c")),
        CheckConstraint("a = b + c"),
    )
    rows = pa.Table.from_batches(generate_rows(table, ROWS)).to_pylist()
    assert any(row["a"] is None for row in rows)
    assert all(row["a"] is None or row["a"] < 10 for row in rows)


def test_what_cannot_be_found_is_not_called_a_contradiction() -> None:
    with pytest.raises(RowsNotGeneratedError) as caught:
        generate_rows(of_numbers("total = net + vat", "total = net + vat + 1"), 10)
    assert caught.value.next_step == (
        "make the rows yourself, or state the checks in another way: they may be met by rows that were not tried"
    )
    assert "contradict" not in str(caught.value)
