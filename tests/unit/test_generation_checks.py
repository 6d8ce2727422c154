"""CHECK constraints held against rows, and the values that conditions name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    and_,
    column,
    func,
)

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import contract_of
from sqlmodel_framework.utils.generation.checks import RowChecks, literals_of


def table_with(*checks: Any) -> Table:
    return Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("code", String(20)),
        Column("price", Numeric(8, 2)),
        Column("active", Boolean),
        Column("starts", Date),
        Column("ends", Date),
        Column("at", DateTime(timezone=True)),
        Column("net", Numeric(8, 2), Computed("price * 2")),
        *(CheckConstraint(check, name=f"c{number}") for number, check in enumerate(checks)),
    )


GOOD_AND_BAD: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    ("price BETWEEN 0 AND 100", {"price": Decimal("99.99")}, {"price": Decimal("100.01")}),
    ("price >= 0", {"price": None}, {"price": Decimal(-1)}),
    ("code IN ('a', 'it''s')", {"code": "it's"}, {"code": "A"}),
    ("length(code) = 3", {"code": "äöü"}, {"code": "äö"}),
    ("char_length(code) = 3", {"code": "äöü"}, {"code": "äö"}),
    (
        "ends > starts",
        {"starts": date(2020, 1, 1), "ends": date(2020, 1, 2)},
        {"starts": date(2020, 1, 1), "ends": date(2020, 1, 1)},
    ),
    ("(code = 'x') = (price IS NULL)", {"code": "x", "price": None}, {"code": "x", "price": Decimal(1)}),
    ("code ~ '^[A-Z]+$'", {"code": "AB"}, {"code": "Ab"}),
    ("code ~* '^[A-Z]+$'", {"code": "Ab"}, {"code": "A1"}),
    ("code !~ '~'", {"code": "Ab"}, {"code": "A~"}),
    ("code ILIKE 'a%'", {"code": "Abc"}, {"code": "bcd"}),
    ("code LIKE 'a%'", {"code": "abc"}, {"code": "Abc"}),
    ("code::text <> ''::character varying", {"code": "a"}, {"code": ""}),
    ("EXTRACT(year FROM starts) >= 2020", {"starts": date(2020, 1, 1)}, {"starts": date(2019, 1, 1)}),
    ("starts >= DATE '2020-01-01'", {"starts": date(2020, 1, 1)}, {"starts": date(2019, 1, 1)}),
    (
        "at >= '2020-01-01'",
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"at": datetime(2019, 1, 1, tzinfo=UTC)},
    ),
    ("mod(id, 2) = 0", {"id": 4}, {"id": 3}),
    ("greatest(id, 5) < 7", {"id": 6}, {"id": 7}),
    ("active", {"active": True}, {"active": False}),
    ("active IS TRUE OR id = 1", {"active": True, "id": 2}, {"active": False, "id": 2}),
    ("net < 10", {"price": Decimal(4)}, {"price": Decimal(5)}),
    (column("price") > 0, {"price": Decimal(1)}, {"price": Decimal(0)}),
    (and_(func.length(column("code")) > 1, column("code").regexp_match("^a")), {"code": "ab"}, {"code": "a"}),
]


@pytest.mark.parametrize(("check", "good", "bad"), GOOD_AND_BAD, ids=lambda value: str(value)[:40])
def test_a_check_holds_and_breaks(check: Any, good: dict[str, Any], bad: dict[str, Any]) -> None:
    checks = RowChecks(table_with(check))
    (rule,) = checks.rules
    rows = {name: [good.get(name), bad.get(name)] for name in {**good, **bad}}
    assert checks.broken(rows) == [(), (rule,)]


def test_each_row_names_the_checks_that_it_breaks() -> None:
    checks = RowChecks(table_with("price > 0", "price > 5", "code <> 'x'"))
    broken = checks.broken({"price": [Decimal(9), Decimal(3), Decimal(-1)], "code": ["x", None, "y"]})
    assert [[rule.label for rule in row] for row in broken] == [["c2"], ["c1"], ["c0", "c1"]]


def test_columns_that_a_check_reads() -> None:
    checks = RowChecks(contract_of(table_with("price > 0 OR code = 'starts'", column("at").is_(None))))
    assert sorted(checks.columns.values()) == [("at",), ("code", "price")]


def test_nothing_to_check() -> None:
    assert RowChecks(table_with()).broken({"id": [1, 2]}) == [(), ()]
    assert RowChecks(table_with("price > 0")).broken({}) == []


@pytest.mark.parametrize("check", ["no_such_function(price) > 0", "price >", "no_such_column > 0"])
def test_a_check_that_cannot_be_evaluated(check: str) -> None:
    with pytest.raises(RowsNotGeneratedError) as caught:
        RowChecks(table_with(check))
    assert str(caught.value).startswith(
        "a check cannot be evaluated outside of its database (table t, check c0); seen: "
    )
    assert caught.value.next_step


def test_literals() -> None:
    (rule,) = contract_of(
        table_with("price BETWEEN -1.5 AND 100 AND code IN ('a', 'it''s 5') AND id2 <> 3")
    ).checks
    assert literals_of(rule) == [Decimal("1.5"), Decimal("-1.5"), 100, "a", "it's 5", 3]
