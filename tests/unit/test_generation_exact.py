"""Checks that calculate: what holds in one database's arithmetic and not in another's is undecided."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Column, Computed, Float, Integer, MetaData, Numeric, String, Table

from sqlmodel_framework import generate_rows
from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.engines.base import installed_engines
from sqlmodel_framework.utils.generation.checks import RowChecks


def table_with(check: str) -> Table:
    return Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("whole", Integer),
        Column("code", String(20)),
        Column("price", Numeric(8, 2)),
        Column("wide", Numeric(30, 2)),
        Column("share", Float),
        Column("twice", Numeric(8, 2), Computed("price * 2")),
        CheckConstraint(check, name="c"),
    )


def verdict(check: str, row: dict[str, Any], kind: str | None = None) -> bool | None:
    arithmetic = None if kind is None else installed_engines()[kind].conditions.arithmetic
    checks = RowChecks(table_with(check), arithmetic=arithmetic)
    ((found,),) = checks.verdicts({name: [value] for name, value in {"id": 1, **row}.items()})
    return found


PRICE, WIDE = {"price": Decimal("1.50")}, Decimal("1234567890123456789012.34")
# Condition, row, and what comes of it on SQLite, PostgreSQL and MySQL.
DIFFERENT: list[tuple[str, dict[str, Any], tuple[bool | None, bool | None, bool | None]]] = [
    ("price = 0.1 + 0.2", {"price": Decimal("0.30")}, (False, True, True)),
    ("price * 3 <= 0.3", {"price": Decimal("0.10")}, (False, True, True)),
    ("whole / 2 = 1", {"whole": 3}, (True, True, False)),
    ("whole / -2 = -1", {"whole": 3}, (True, True, False)),
    ("price / 3 = 0.500001", {"price": Decimal("1.50")}, (False, False, False)),
    ("price / 7 = 0.214286", PRICE, (False, False, True)),
    ("whole / 0 > 1", {"whole": 3}, (True, None, None)),
    ("price % 1 = 0.5", PRICE, (False, True, True)),
    ("greatest(whole, price) > 2", {**PRICE, "whole": None}, (False, None, None)),
    # SQLite keeps a decimal without a fraction as a whole number.
    ("twice / 2 = price", PRICE, (False, True, True)),
    ("wide = 1234567890123456789012.35", {"wide": WIDE}, (True, False, False)),
    ("wide BETWEEN 1234567890123456789012.35 AND 1e30", {"wide": WIDE}, (True, False, False)),
    ("wide IN (1, 1234567890123456789012.35)", {"wide": WIDE}, (True, False, False)),
    ("wide IS NOT DISTINCT FROM 1234567890123456789012.35", {"wide": WIDE}, (True, False, False)),
]


@pytest.mark.parametrize(("check", "row", "expected"), DIFFERENT, ids=lambda value: str(value)[:40])
def test_each_database_calculates_in_its_own_way(
    check: str, row: dict[str, Any], expected: tuple[bool | None, ...]
) -> None:
    assert tuple(verdict(check, row, kind) for kind in ("sqlite", "postgres", "mysql")) == expected
    one = expected[0] if len(set(expected)) == 1 else None
    assert verdict(check, row) is one


# The same everywhere: how operators bind, and what stands around numbers.
ALIKE: list[tuple[str, dict[str, Any], bool]] = [
    ("price + 1 * 2 = 3.5", PRICE, True),
    ("(price + 1) * 2 = 5", PRICE, True),
    ("-price + 2 = 0.5", PRICE, True),
    ("price - 1 - 0.5 = 0", PRICE, True),
    ("NOT price * 2 > 3 OR code = 'a'", {**PRICE, "code": "b"}, True),
    ("NOT (price * 2 > 2 AND code LIKE 'a%')", {**PRICE, "code": "abc"}, False),
    ("price * 2 BETWEEN 3 AND 4 AND code IS NOT NULL", {**PRICE, "code": "x"}, True),
    ("price * 2 NOT BETWEEN 3 AND 4", PRICE, False),
    ("price * 2 IN (1, 3, 5)", PRICE, True),
    ("price * 2 NOT IN (1, 3.0, 5)", PRICE, False),
    ("CASE WHEN price * 2 > 2 THEN whole = 1 ELSE whole = 2 END", {**PRICE, "whole": 1}, True),
    ("coalesce(price, 0) * 2 = 0", {"price": None}, True),
    ("price * 2 = 3", {"price": None}, True),
    ("abs(price - 3) <= 1.5 AND code NOT LIKE '%+%'", {**PRICE, "code": "a+"}, False),
    ("twice = 3", PRICE, True),
    ("round(price * 1.11, 1) = 1.7", PRICE, True),
    ("floor(price * 2.5) = 3 AND ceil(price * 2.5) = 4", PRICE, True),
    ("CAST(price * 3 AS NUMERIC(8, 1)) = 4.5", PRICE, True),
    ("share * 3 = 0.3", {"share": 0.1}, False),
    ("share + price >= 2", {**PRICE, "share": 0.5}, True),
    ("mod(whole, 2) = 1 AND whole % 2 = 1", {"whole": 3}, True),
    ("whole / 2 >= 1", {"whole": 5}, True),
    ("char_length(code || 'a') / 1.5 = 2", {"code": "ab"}, True),
    ("price * 2 = 3 AND code ~ '^[A-Z]+$'", {**PRICE, "code": "AB"}, True),
    ("price * 2 IS NOT NULL AND price > 1", PRICE, True),
]


@pytest.mark.parametrize(("check", "row", "expected"), ALIKE, ids=lambda value: str(value)[:40])
def test_a_calculation_that_is_alike_everywhere(check: str, row: dict[str, Any], expected: bool) -> None:
    assert verdict(check, row) is expected


def test_what_is_undecided_is_neither_broken_nor_held() -> None:
    checks = RowChecks(table_with("whole / 2 = 1"))
    rows = {"id": [1, 2, 3], "whole": [2, 3, 4]}
    assert checks.verdicts(rows) == [(True,), (None,), (False,)]
    assert [len(row) for row in checks.broken(rows)] == [0, 0, 1]
    assert [len(row) for row in checks.not_held(rows)] == [0, 1, 1]


def test_generated_rows_hold_in_every_arithmetic() -> None:
    table = table_with("wide = price * whole / 4 AND whole > 1")
    rows = [row for batch in generate_rows(table, 300, seed=3) for row in batch.to_pylist()]
    assert {
        verdict("wide = price * whole / 4", row, kind) for row in rows for kind in installed_engines()
    } == {True}
    assert any(row["wide"] for row in rows)


@pytest.mark.parametrize("check", ["price * 2 LIKE '3%'", "(price + 1) || 'x' = 'y'", "(price * 2) & 1 = 1"])
def test_a_number_that_is_read_by_its_digits_cannot_be_decided(check: str) -> None:
    with pytest.raises(RowsNotGeneratedError, match="a calculation whose end depends on the database"):
        RowChecks(table_with(check))
