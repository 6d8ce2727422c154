"""Each kind of difference is planted, and found: one kit is deployed, its changed twin is validated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sqlmodel_framework import TargetConfig, deploy_data_objects, load_datakit, validate_deployment
from sqlmodel_framework.engines.base import engine_of

BASE = {
    "shop.py": """
        import enum
        from decimal import Decimal
        from sqlalchemy import BigInteger, PrimaryKeyConstraint, DateTime
        from datetime import datetime

        class Colour(enum.Enum):
            red = "red"
            tan = "tan"

        class Shop(SQLModel, table=True):
            id: int = Field(primary_key=True)

        class Item(SQLModel, table=True):
            __table_args__ = (PrimaryKeyConstraint("id", "line"),)
            id: int = Field(sa_column_kwargs={"autoincrement": False})
            line: int = Field(sa_column_kwargs={"autoincrement": False})
            name: str = Field(max_length=50)
            price: Decimal = Field(max_digits=7, decimal_places=2)
            stock: int
            seen: datetime = Field(sa_type=DateTime(timezone=True))
            colour: Colour
            note: str | None = Field(default=None, max_length=20)
            shop_id: int = Field(foreign_key="shop.id", ondelete="CASCADE")
    """
}


@dataclass(frozen=True)
class Change:
    """A text of the class to replace, and the finding to expect: code, column, words of expected and found."""

    old: str
    new: str
    code: str
    column: str | None
    expected: str = ""
    found: str = ""
    needs: str | None = None


CHANGES = {
    "column added to the class": Change(
        "    stock: int", "    stock: int\n            extra: int", "DK201", "extra", found="no such column"
    ),
    "column renamed in case": Change("    stock: int", "    Stock: int", "DK201", "Stock", found="stock"),
    "length": Change("max_length=50", "max_length=60", "DK211", "name", "60", "50"),
    "precision": Change("max_digits=7", "max_digits=8", "DK211", "price", "8", "7"),
    "scale": Change("decimal_places=2", "decimal_places=3", "DK211", "price", "3", "2"),
    "integer width": Change(
        "stock: int", "stock: int = Field(sa_type=BigInteger)", "DK211", "stock", "BIGINT", "INT"
    ),
    "type family": Change("stock: int", "stock: bytes", "DK211", "stock"),
    "time zone": Change(
        "sa_type=DateTime(timezone=True)", "sa_type=DateTime", "DK211", "seen", needs="time_zones"
    ),
    "enum member": Change('tan = "tan"', 'tea = "tea"', "DK218", "colour", "tea", "tan", needs="native_enum"),
    "nullable in the class": Change(
        "stock: int", "stock: int | None", "DK212", "stock", "NULL allowed", "NOT NULL"
    ),
    "nullable in the database": Change(
        "note: str | None = Field(default=None, max_length=20)",
        "note: str = Field(max_length=20)",
        "DK212",
        "note",
        "NOT NULL",
        "NULL allowed",
    ),
    "key column dropped": Change(
        'PrimaryKeyConstraint("id", "line")',
        'PrimaryKeyConstraint("id")',
        "DK301",
        None,
        "(id)",
        "(id, line)",
    ),
    "key columns reordered": Change(
        'PrimaryKeyConstraint("id", "line")',
        'PrimaryKeyConstraint("line", "id")',
        "DK301",
        None,
        "(line, id)",
    ),
    "foreign key only in the database": Change(
        'Field(foreign_key="shop.id", ondelete="CASCADE")',
        "Field()",
        "DK402",
        "shop_id",
        "no foreign key",
        "REFERENCES shop",
    ),
    "foreign key only in the class": Change(
        "stock: int",
        'stock: int = Field(foreign_key="shop.id")',
        "DK401",
        "stock",
        "REFERENCES shop",
        "no such",
    ),
    "on delete": Change('ondelete="CASCADE"', 'ondelete="RESTRICT"', "DK403", "shop_id", found="CASCADE"),
    "table only in the class": Change(
        "class Item(",
        "class Till(SQLModel, table=True):\n            id: int = Field(primary_key=True)\n\n        class Item(",
        "DK101",
        None,
        "a table",
        "no such table",
    ),
}


def _needs_skipping(change: Change, target: TargetConfig) -> str | None:
    """What no tool can see because the database stores no difference; derived from the capabilities."""
    capabilities = engine_of(target).capabilities
    if change.needs and not getattr(capabilities, change.needs):
        return f"{target.type} stores no difference here: {change.needs} is False"
    return None


@pytest.mark.parametrize("name", CHANGES)
def test_a_seeded_difference_is_found(
    name: str, target: TargetConfig, write_kit: Callable[..., Path], request: pytest.FixtureRequest
) -> None:
    change = CHANGES[name]
    assert change.old in BASE["shop.py"]
    gap = _needs_skipping(change, target)
    if gap:
        request.applymarker(pytest.mark.xfail(reason=gap, strict=True))
    deployed = load_datakit(write_kit("deployed", BASE))
    changed = load_datakit(write_kit("changed", {"shop.py": BASE["shop.py"].replace(change.old, change.new)}))
    deploy_data_objects(deployed.tables, target)

    result = validate_deployment(changed.tables, target)

    assert result["success"] is False
    findings = [f for f in result.findings if f.code == change.code and f.column == change.column]
    assert len(findings) == 1, result.findings
    assert len(result.findings) <= 2, result.findings  # a changed key may change nullability or its key too
    finding = findings[0]
    assert change.expected.lower() in finding.expected.lower()
    assert change.found.lower() in finding.found.lower()
    assert finding.cause


def test_an_unchanged_twin_has_no_finding(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    deploy_data_objects(load_datakit(write_kit("deployed", BASE)).tables, target)
    result = validate_deployment(load_datakit(write_kit("twin", BASE)).tables, target)
    assert result.success
    assert result.findings == ()
    assert sorted(result.tables) == ["item", "shop"]


def test_tables_of_others_are_no_findings(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    other = {"other.py": "class Other(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"}
    deploy_data_objects(load_datakit(write_kit("other", other)).tables, target)
    deploy_data_objects(load_datakit(write_kit("deployed", BASE)).tables, target)
    assert validate_deployment(load_datakit(write_kit("twin", BASE)).tables, target).findings == ()


def test_an_empty_target_lacks_every_table(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    if target.conn_method == "file":
        Path(str(target.database)).touch()
    result = validate_deployment(load_datakit(write_kit("deployed", BASE)).tables, target)
    assert [(f.code, f.table) for f in result.findings] == [("DK101", "item"), ("DK101", "shop")]
