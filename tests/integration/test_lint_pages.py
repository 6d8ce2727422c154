"""What the pages of lint claim of databases is what these do."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Table, insert, select
from sqlalchemy.exc import SQLAlchemyError

from sqlmodel_framework import TargetConfig, create_custom_target, create_engine_for_target, load_datakit
from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.base.models.families import family_of, plain_type
from sqlmodel_framework.engines.base import engine_of
from sqlmodel_framework.tests.lint_pages import PAGES, Claim, claims_of, files_of
from sqlmodel_framework.utils.deployment import deploy_data_objects
from sqlmodel_framework.utils.discovery import Datakit
from sqlmodel_framework.utils.tables import table_of

WORDS = {**vars(datetime), **vars(decimal)}
FILLERS: dict[str | None, Any] = {
    "integer": 1,
    "text": "a",
    "decimal": decimal.Decimal(1),
    "time": datetime.time(9),
    "datetime": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
}
WITHOUT_DATABASE = {"DL001", "DL002", "DL501"}


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def empty_target(request: pytest.FixtureRequest) -> Iterator[TargetConfig]:
    """One target of each type, empty."""
    if request.param == "sqlite":
        with create_custom_target("sqlite", name="sqlite_memory") as made:
            yield made
    else:
        yield request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def kit_of(tmp_path: Path) -> Callable[[Path], Datakit]:
    """Reads the kit that a page's claims are about."""

    def read(page: Path) -> Datakit:
        kit = "stored" if files_of(page, "stored") else "wrong"
        for name, text in files_of(page, kit).items():
            path = tmp_path / page.stem / kit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_datakit(tmp_path / page.stem / kit)

    return read


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in WITHOUT_DATABASE], ids=lambda page: page.stem
)
def test_a_database_does_what_the_page_says(
    page: Path, empty_target: TargetConfig, kit_of: Callable[[Path], Datakit]
) -> None:
    mariadb = _is_mariadb(empty_target)
    claims = [
        claim
        for claim in claims_of(page)
        if claim.database == empty_target.type and claim.mariadb in (None, mariadb)
    ]
    assert claims, "the page says nothing of this database"
    kit = kit_of(page)
    for claim in claims:
        if claim.kind == "create":
            assert _created(kit, empty_target) == claim.cells[0]
        elif claim.kind == "type":
            assert _type_of(_column(kit, claim.column), empty_target) == claim.cells[0]
    if any(claim.kind in ("sent", "sql") for claim in claims):
        _created(kit, empty_target)
    for claim in claims:
        if claim.kind == "sent":
            sent, read = claim.cells
            assert _read_back(kit, claim.column, sent, empty_target) == _as_printed(read, kit), claim
        elif claim.kind == "sql":
            assert _answer(claim, empty_target) == claim.cells[1], claim


def _is_mariadb(target: TargetConfig) -> bool:
    with create_engine_for_target(target).connect() as connection:
        return bool(getattr(connection.dialect, "is_mariadb", False))


def _created(kit: Datakit, target: TargetConfig) -> str:
    try:
        deploy_data_objects(kit.tables, target, if_exists="skip")
    except DatakitError:
        return "refused"
    return "works"


def _column(kit: Datakit, name: str) -> Column[Any]:
    return next(table_of(item).c[name] for item in kit.tables if name in table_of(item).c)


def _type_of(column: Column[Any], target: TargetConfig) -> str:
    return str(column.type.compile(dialect=engine_of(target).offline_dialect()))


def _read_back(kit: Datakit, name: str, sent: str, target: TargetConfig) -> str:
    column = _column(kit, name)
    engine = create_engine_for_target(target)
    values = _row(column.table, column, eval(sent, {**WORDS, **_words_of(kit)}))  # noqa: S307 - our own pages
    try:
        with engine.begin() as connection:
            connection.execute(column.table.delete())
            connection.execute(insert(column.table).values(values))
            return repr(connection.execute(select(column)).scalar_one())
    except (SQLAlchemyError, ValueError, TypeError):
        return "refused"


def _row(table: Table, column: Column[Any], value: object) -> dict[str, Any]:
    """A row with the value, and something in each other column that needs it."""
    needed = [
        other
        for other in table.columns
        if other is not column and not other.nullable and other.default is None and not _is_numbered(other)
    ]
    return {
        **{other.name: FILLERS[family_of(plain_type(other.type))] for other in needed},
        column.name: value,
    }


def _is_numbered(column: Column[Any]) -> bool:
    return column is column.table.autoincrement_column


def _words_of(kit: Datakit) -> dict[str, Any]:
    return {name: value for module in kit.modules for name, value in vars(module).items()}


def _as_printed(read: str, kit: Datakit) -> str:
    return read if read == "refused" else repr(eval(read, {**WORDS, **_words_of(kit)}))  # noqa: S307


def _answer(claim: Claim, target: TargetConfig) -> str:
    engine: Engine = create_engine_for_target(target)
    try:
        with engine.begin() as connection:
            for statement in claim.cells[0].split("; "):
                result = connection.exec_driver_sql(statement)
            rows = [tuple(row) for row in result] if result.returns_rows else []
    except SQLAlchemyError:
        return "refused"
    return re.sub(r"^\[|\]$", "", repr(rows[0] if len(rows) == 1 else rows)) if rows else "nothing"
