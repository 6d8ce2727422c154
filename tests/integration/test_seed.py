"""`datakit seed`: generated rows in real databases, foreign keys holding, all or nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from sqlalchemy import Connection, Table, and_, func, select
from typer.testing import CliRunner

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
)
from sqlmodel_framework.scripts.datakit import app
from sqlmodel_framework.utils.reports import report_schema
from sqlmodel_framework.utils.seeding import seed_tables
from sqlmodel_framework.utils.table_order import Reference, references_of
from sqlmodel_framework.utils.tables import tables_of

KITS = ["bronze_flights", "bronze_pagila", "silver_flights", "silver_pagila"]

SHOP = {
    "shop.py": """
    import enum
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from uuid import UUID

    from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKeyConstraint, Numeric, SmallInteger, String, UniqueConstraint
    from sqlmodel_framework.base.models.columns import time_field

    class State(enum.Enum):
        open = 1
        paid = 2

    class Country(SQLModel, table=True):
        code: str = Field(primary_key=True, max_length=2)
        name: str = Field(max_length=80, unique=True)

    class Customer(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        country: str = Field(foreign_key="country.code", max_length=2)
        email: str = Field(unique=True, max_length=50)
        born: date
        referred_by: int | None = Field(default=None, foreign_key="customer.id")

    class Product(SQLModel, table=True):
        __table_args__ = (
            CheckConstraint("price BETWEEN 1 AND 500", name="ck_price"),
            CheckConstraint("(discontinued IS NULL) = (kind <> 'old')", name="ck_kind"),
            CheckConstraint("length(sku) = 8", name="ck_sku"),
        )
        sku: str = Field(primary_key=True, max_length=10)
        kind: str = Field(max_length=10)
        price: Decimal = Field(max_digits=8, decimal_places=2)
        discontinued: date | None = None
        token: UUID = Field(unique=True)
        details: dict = Field(sa_type=JSON)

    class Purchase(SQLModel, table=True):
        __table_args__ = (CheckConstraint("shipped >= ordered", name="ck_shipped"),)
        id: int | None = Field(default=None, primary_key=True)
        customer_id: int = Field(foreign_key="customer.id")
        state: State
        ordered: datetime = time_field()
        shipped: datetime | None = time_field(default=None, nullable=True)
        at: time
        lasts: timedelta

    class Line(SQLModel, table=True):
        purchase_id: int = Field(primary_key=True, foreign_key="purchase.id")
        sku: str = Field(primary_key=True, foreign_key="product.sku", max_length=10)
        quantity: int = Field(sa_type=SmallInteger, ge=1)
    """
}


def orphans(connection: Connection, reference: Reference) -> int:
    """Rows whose foreign key points at nothing."""
    child, parent = reference.table, reference.parent.alias("parent")
    pairs = list(zip(reference.columns, reference.referred, strict=True))
    given = [child.c[name].is_not(None) for name in reference.columns]
    partner = select(1).where(*(child.c[own] == parent.c[other] for own, other in pairs)).exists()
    found = connection.execute(select(func.count()).select_from(child).where(and_(*given, ~partner)))
    return int(found.scalar_one())


def counts(target: TargetConfig, tables: list[Table]) -> dict[str, int]:
    """Rows by table, after making sure that all foreign keys hold."""
    with create_engine_for_target(target).connect() as connection:
        assert [
            orphans(connection, key)
            for table in tables
            for key in references_of(table)
            if orphans(connection, key)
        ] == []
        return {
            table.fullname: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        }


@pytest.mark.parametrize("name", KITS)
def test_the_bundled_kits(target: TargetConfig, name: str) -> None:
    kit = load_datakit(f"sqlmodel_framework.datakits.{name}")
    tables = tables_of(kit.tables)
    deploy_data_objects(kit.tables, target)
    result = seed_tables(kit.tables, target, 1_000, seed=3)
    assert result.success
    assert result["success"]
    assert result.notes == ()
    assert counts(target, tables) == dict.fromkeys((table.fullname for table in tables), 1_000)


def test_a_kit_with_checks_and_keys_of_all_kinds(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("shop", SHOP))
    deploy_data_objects(kit.tables, target)
    result = seed_tables(kit.tables, target, 700)
    assert result.failures == {}
    assert (
        result.notes == ("country has 676 rows: the key (code) takes 676 different values",)
        or not result.notes
    )
    assert set(counts(target, tables_of(kit.tables)).values()) == {700}


def test_schemas_and_another_kit(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    files = {
        "kit.py": """
        class One(SQLModel, table=True):
            __table_args__ = {"schema": "here"}
            id: int = Field(primary_key=True)

        class Two(SQLModel, table=True):
            __table_args__ = {"schema": "here"}
            one_id: int = Field(primary_key=True, foreign_key="here.one.id")
        """
    }
    kit = load_datakit(write_kit("kit", files))
    one, two = kit.tables
    deploy_data_objects(kit.tables, target)
    assert seed_tables([two], target, 50).tables == {"here.one": 50, "here.two": 50}
    assert counts(target, tables_of([one, two])) == {"here.one": 50, "here.two": 50}


def test_tables_must_be_deployed_and_empty(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("shop", SHOP))
    with pytest.raises(ConfigurationError) as missing:
        seed_tables(kit.tables, target, 5)
    assert missing.value.what == "tables are not there"
    assert str(missing.value.next_step).startswith(
        "seed a file or a server of your own"
        if target.ends_with_process
        else "deploy the datakit first: datakit deploy PATH "
    )
    deploy_data_objects(kit.tables, target)
    seed_tables(kit.tables[:1], target, 5)
    with pytest.raises(ConfigurationError) as filled:
        seed_tables(kit.tables, target, 5)
    assert filled.value.what == "tables hold rows already"
    assert filled.value.seen == "country"


def test_all_or_nothing(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    """The database has a rule that the classes do not know."""
    strict = {"kit.py": """
        from sqlalchemy import CheckConstraint
        class One(SQLModel, table=True):
            id: int = Field(primary_key=True)
        class Two(SQLModel, table=True):
            __table_args__ = (CheckConstraint("one_id < 3"),)
            id: int = Field(primary_key=True)
            one_id: int = Field(foreign_key="one.id")
        """}  # fmt: skip
    loose = {"kit.py": strict["kit.py"].replace('__table_args__ = (CheckConstraint("one_id < 3"),)', "")}
    deployed, given = load_datakit(write_kit("strict", strict)), load_datakit(write_kit("loose", loose))
    deploy_data_objects(deployed.tables, target)
    with pytest.raises(DeploymentError):
        seed_tables(given.tables, target, 50)
    assert set(counts(target, tables_of(deployed.tables)).values()) == {0}
    assert seed_tables(deployed.tables, target, 50).success


# the command


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["seed", *map(str, arguments)])


@pytest.fixture
def shop(tmp_path: Path, write_kit: Callable[..., Path]) -> tuple[Path, Path]:
    """A kit and the SQLite file that it is deployed to."""
    folder, file = write_kit("shop", SHOP), tmp_path / "shop.db"
    with create_custom_target("sqlite", str(file)) as target:
        deploy_data_objects(load_datakit(folder).tables, target)
        target.live.created.tables.clear()
    return folder, file


def test_the_command(shop: tuple[Path, Path]) -> None:
    folder, file = shop
    done = run(folder, "--target-type", "sqlite", "--database", file, "--rows", "30", "--seed", "4")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"ok   custom (sqlite file {file}): 150 rows in 5 tables")
    assert "customer" in done.stdout
    with create_custom_target("sqlite", str(file)) as target:
        assert set(counts(target, tables_of(load_datakit(folder).tables)).values()) == {30}


def test_the_command_as_json(shop: tuple[Path, Path]) -> None:
    folder, file = shop
    arguments = (folder, "--target-type", "sqlite", "--database", file, "--format", "json")
    document = json.loads(run(*arguments).stdout)
    (only,) = document["targets"]
    assert document["success"]
    assert document["format_version"] == 1
    assert set(only["seeding"]["tables"].values()) == {100}
    Draft202012Validator(report_schema()).validate(document)
    again = run(*arguments)
    assert again.exit_code == 1
    Draft202012Validator(report_schema()).validate(json.loads(again.stdout))
    for spoilt in ({**document, "targets": [{**only, "seeding": {}}]}, {**document, "targets": [{}]}):
        with pytest.raises(ValidationError):
            Draft202012Validator(report_schema()).validate(spoilt)
    (only,) = json.loads(again.stdout)["targets"]
    assert only["seeding"] is None
    assert only["error"]["message"] == "tables hold rows already"


def test_a_table_without_rows_is_named_and_the_others_are_filled(
    tmp_path: Path, write_kit: Callable[..., Path]
) -> None:
    files = {
        "kit.py": """
        from sqlalchemy import CheckConstraint
        class Good(SQLModel, table=True):
            id: int = Field(primary_key=True)
        class Bad(SQLModel, table=True):
            __table_args__ = (CheckConstraint("v > 5 AND v < 5", name="never"),)
            id: int = Field(primary_key=True)
            v: int
        """
    }
    folder, file = write_kit("kit", files), tmp_path / "kit.db"
    with create_custom_target("sqlite", str(file)) as target:
        deploy_data_objects(load_datakit(folder).tables, target)
        target.live.created.tables.clear()
    done = run(folder, "--target-type", "sqlite", "--database", file, "--rows", "7")
    assert done.exit_code == 1
    assert "FAIL" in done.stdout
    assert "7 rows in 1 tables" in done.stdout
    assert (
        "no rows for bad: no row was found that the checks let in (table bad); seen: no row that was tried met never"
        in done.stdout
    )
    with create_custom_target("sqlite", str(file)) as target:
        assert counts(target, tables_of(load_datakit(folder).tables)) == {"bad": 0, "good": 7}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "sqlite_memory", "--rows", "-1"], "--rows is no number of rows"),
        (["--target", "sqlite_memory", "--format", "sarif"], "unknown format"),
        ([], "no target is named"),
        (["--target", "sqlite_memory"], "tables are not there"),
    ],
)
def test_wrong_use(shop: tuple[Path, Path], arguments: list[str], message: str) -> None:
    done = run(shop[0], *arguments)
    assert done.exit_code == 1
    assert message in done.output


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    done = run(write_kit("shop", SHOP), "--target-type", "sqlite", "--database", tmp_path / "no.db")
    assert done.exit_code == 1
    assert not (tmp_path / "no.db").exists()


def test_the_command_that_deploys_is_named(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    folder, file = write_kit("shop", SHOP), tmp_path / "empty.db"
    sqlite3.connect(file).execute("CREATE TABLE other (n INTEGER)").connection.close()
    done = run(folder, "--target-type", "sqlite", "--database", file)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"FAIL custom (sqlite file {file}): nothing was loaded")
    assert f"datakit deploy {folder} with the options of this call" in done.stdout


def test_as_a_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("datakit")),
            "seed",
            "sqlmodel_framework.datakits.bronze_flights",
            "--target",
            "sqlite_memory",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "seed a file or a server of your own" in done.stdout
    assert "datakit deploy" not in done.stdout
