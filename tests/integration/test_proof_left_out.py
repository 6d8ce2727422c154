"""What a proof could not try, for keys that are taken and checks that tie columns together: it is tried harder, or told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from sqlmodel_framework import (
    TargetConfig,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    prove_deployment,
    validate_deployment,
)
from sqlmodel_framework.utils.proof.store import RowStore
from sqlmodel_framework.utils.reports.document import TargetReport
from sqlmodel_framework.utils.reports.text import headline
from sqlmodel_framework.utils.seeding import seed_tables

KITS = ("bronze_pagila", "silver_pagila", "bronze_flights", "silver_flights")


def run(target: TargetConfig, *statements: str) -> None:
    with create_engine_for_target(target).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def rows_sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rows that were taken."""
    sent: list[dict[str, Any]] = []
    insert = RowStore.insert

    def keeping(store: RowStore, rows: Any) -> Any:
        refusal = insert(store, rows)
        if refusal is None:
            sent.extend(rows)
        return refusal

    monkeypatch.setattr(RowStore, "insert", keeping)
    return sent


ONE = """
    class One(SQLModel, table=True):
        id: int = Field(primary_key=True)
        name: str = Field(max_length=20)
"""


def test_boundary_keys_of_others_are_left_out(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("one", {"one.py": ONE}))
    deploy_data_objects(kit.tables, target)
    if target.type == "mysql":
        run(
            target,
            f"ALTER DATABASE {target.database} CHARACTER SET utf8mb4",
            "ALTER TABLE one CONVERT TO CHARACTER SET utf8mb4",
        )
    run(target, *(f"INSERT INTO one VALUES ({key}, 'x')" for key in (1, -1, 2147483647)))
    result = prove_deployment(kit.tables, target)
    assert result.findings == ()
    assert result.not_proven == {}
    note = "one: boundary values of id not tried: taken by rows that are there"
    # On MySQL copies without rows are proven.
    assert (note in result.notes) is (target.type != "mysql")


@pytest.mark.parametrize("name", KITS)
def test_a_seeded_datakit_is_proven(target: TargetConfig, name: str) -> None:
    if target.type == "mysql":
        run(target, f"ALTER DATABASE {target.database} CHARACTER SET utf8mb4")
    kit = load_datakit(f"sqlmodel_framework.datakits.{name}")
    deploy_data_objects(kit.tables, target)
    seed_tables(kit.tables, target, 1000)
    result = prove_deployment(kit.tables, target)
    assert result.findings == ()
    assert result.not_proven == {}


TIED = """
    import enum
    from datetime import datetime
    from decimal import Decimal
    import sqlalchemy as sa

    class Status(enum.Enum):
        NEW = "new"
        SHIPPED = "shipped"
        CANCELLED = "cancelled"

    class Orders(SQLModel, table=True):
        __table_args__ = (
            sa.CheckConstraint("total = net + vat", name="ck_total"),
            sa.CheckConstraint("(status = 'SHIPPED') = (shipped_on IS NOT NULL)", name="ck_shipped"),
        )
        id: int = Field(primary_key=True)
        net: Decimal = Field(max_digits=8, decimal_places=2)
        vat: Decimal = Field(max_digits=8, decimal_places=2)
        total: Decimal = Field(max_digits=8, decimal_places=2)
        status: Status
        shipped_on: date | None = None
"""


@pytest.mark.sqlite
def test_values_that_checks_tie_together_are_tried(
    write_kit: Callable[..., Path], rows_sent: list[dict[str, Any]]
) -> None:
    source = TIED.replace("from datetime import datetime", "from datetime import date")
    kit = load_datakit(write_kit("tied", {"tied.py": source}))
    with create_custom_target("sqlite") as target:
        deploy_data_objects(kit.tables, target)
        result = prove_deployment(kit.tables, target)
    assert {row["status"].name for row in rows_sent} == {"NEW", "SHIPPED", "CANCELLED"}
    assert {str(row[name]) for name in ("net", "vat", "total") for row in rows_sent} >= {
        "999999.99",
        "-999999.99",
        "0.01",
    }
    for name in ("net", "vat", "total"):
        assert {"999999.99", "-999999.99", "0.01", "-0.01"} <= {str(row[name]) for row in rows_sent}
    assert None in {row["shipped_on"] for row in rows_sent}
    assert result.findings == ()
    assert result.proven == ("orders",)
    assert not any("not tried, by a CHECK" in note for note in result.notes)


@pytest.mark.sqlite
def test_what_a_check_never_takes_is_told(write_kit: Callable[..., Path]) -> None:
    source = """
        import enum
        import sqlalchemy as sa

        class Kind(enum.Enum):
            A = "a"
            B = "b"

        class Few(SQLModel, table=True):
            __table_args__ = (
                sa.CheckConstraint("(size = 3 AND weight = 4) OR (size = 4 AND weight = 3)", name="ck_circle"),
            )
            id: int = Field(primary_key=True)
            size: int
            weight: int

        class Never(SQLModel, table=True):
            __table_args__ = (sa.CheckConstraint("kind <> 'B' OR size * 0 = 1", name="ck_kind"),)
            id: int = Field(primary_key=True)
            kind: Kind
            size: int

        class Alone(SQLModel, table=True):
            __table_args__ = (sa.CheckConstraint("size > 3", name="ck_size"),)
            id: int = Field(primary_key=True)
            size: int
    """
    kit = load_datakit(write_kit("never", {"never.py": source}))
    with create_custom_target("sqlite") as target:
        deploy_data_objects(kit.tables, target)
        result = prove_deployment(kit.tables, target)
    assert result.findings == ()
    notes = [note for note in result.notes if "by a CHECK" in note]
    assert any(note.startswith("few: not tried, by a CHECK: size 2147483647") for note in notes)
    assert "never: not tried, by a CHECK: kind Kind.B" in notes
    # What a check of the column alone refuses is no value of the class.
    assert not any(note.startswith("alone") for note in notes)
    assert result.not_proven == {"never": "no row was found for members of an enum: kind Kind.B"}
    assert set(result.proven) == {"few", "alone"}


@pytest.mark.sqlite
def test_the_first_cause_is_told_without_the_way_to_it(write_kit: Callable[..., Path]) -> None:
    source = """
        import sqlalchemy as sa

        class Wrong(SQLModel, table=True):
            __table_args__ = (sa.CheckConstraint("id > 5 AND id < 3", name="ck"),)
            id: int = Field(primary_key=True)

        class Child(SQLModel, table=True):
            id: int = Field(primary_key=True)
            of: int = Field(foreign_key="wrong.id")

        class Grandchild(SQLModel, table=True):
            id: int = Field(primary_key=True)
            of: int = Field(foreign_key="child.id")
    """
    kit = load_datakit(write_kit("kin", {"kin.py": source}))
    with create_custom_target("sqlite") as target:
        deploy_data_objects(kit.tables, target)
        reasons = prove_deployment(kit.tables, target).not_proven
    assert reasons["grandchild"] == reasons["child"]
    assert reasons["child"].count("to refer to") == 1


@pytest.mark.mysql
def test_missing_characters_are_told_with_the_remedy(
    mysql_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("one", {"one.py": ONE}))
    run(mysql_database, f"ALTER DATABASE {mysql_database.database} CHARACTER SET latin1")
    deploy_data_objects(kit.tables, mysql_database)
    (finding,) = prove_deployment(kit.tables, mysql_database).findings
    assert finding.code == "DK902"
    assert "a character that the column's character set does not have" in str(finding.found)
    assert finding.cause == (
        "the character set or the type of the column lacks these characters; where that is the database's own:"
        " ALTER DATABASE … CHARACTER SET utf8mb4 before the tables are made"
    )
    assert "20 characters" in str(finding.expected)


@pytest.mark.sqlite
def test_one_line_where_all_tables_have_one_reason(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    source = """
        class Parent(SQLModel, table=True):
            id: int = Field(primary_key=True)

        class Child(SQLModel, table=True):
            id: int = Field(primary_key=True)
            of: int = Field(foreign_key="parent.id")
    """
    kit = load_datakit(write_kit("kin", {"kin.py": source}))
    file = str(tmp_path / "kin.db")
    with create_custom_target("sqlite", file) as target, create_custom_target("sqlite", file) as reader:
        deploy_data_objects(kit.tables, target)
        event.listen(
            create_engine_for_target(reader),
            "connect",
            lambda raw, _: raw.execute("PRAGMA query_only = ON"),
        )
        report = TargetReport("t", "a", proof=prove_deployment(kit.tables, reader), proof_required=True)
    (line,) = report.unverified
    assert line.startswith("not proven: all 2 tables (rows cannot be written or read here: SQLITE_READONLY")


@pytest.mark.sqlite
def test_differences_that_do_not_count_are_not_denied(write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("one", {"one.py": ONE}))
    with create_custom_target("sqlite") as target:
        result = validate_deployment(kit.tables, target, select=["DK9"])
        report = TargetReport("t", "a", validation=result)
    assert result.left_out == 1
    assert "validated: no difference that counts in 1 table" in headline(report)
