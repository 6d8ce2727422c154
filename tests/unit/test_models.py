"""Mixins, metadata columns, UTC times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from sqlmodel_framework import load_datakit
from sqlmodel_framework.base.models import UTCDateTime, utc_now

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect(), "mysql": mysql.dialect()}  # type: ignore[no-untyped-call]
BRONZE = [
    "bronze_load_timestamp",
    "bronze_source_system",
    "bronze_source_table",
    "bronze_source_host",
    "bronze_extraction_method",
]
KIT = """
    from datetime import datetime
    from sqlmodel_framework.base.models import *
    from sqlmodel_framework.base.models import MetadataColumns, time_field

    class FilmBronze(BronzeMetadata, SQLModel, table=True):
        film_id: int = Field(primary_key=True)
        title: str = Field(max_length=10)

    class OtherOrder(SQLModel, BronzeMetadata, table=True):
        film_id: int = Field(primary_key=True)
        title: str = Field(max_length=10)

    class Base(BronzeMetadata):
        film_id: int = Field(primary_key=True)

    class OnABase(Base, table=True):
        title: str = Field(max_length=10)

    class Country(ReferenceTable, table=True):
        code: str = Field(primary_key=True, max_length=2)

    class Payment(TransactionalTable, table=True):
        id: int = Field(primary_key=True)

    class Price(TemporalTable, table=True):
        id: int = Field(primary_key=True)

    class Both(ReferenceTableMixin, BronzeMetadata, SQLModel, table=True):
        id: int = Field(primary_key=True)

    class OwnStamp(MetadataColumns):
        checked_by: str = Field(max_length=5)

    class Own(OwnStamp, table=True):
        id: int = Field(primary_key=True)
"""


@pytest.fixture
def tables(write_kit: Callable[..., Path]) -> dict[str, Any]:
    kit = load_datakit(write_kit("models", {"kit.py": KIT}))
    return {getattr(cls, "__name__", ""): cls for cls in kit.tables}


def columns(cls: Any) -> list[str]:
    table: Table = cls.__table__
    return [column.name for column in table.columns]


def ddl(cls: Any, dialect: Dialect) -> str:
    return " ".join(str(CreateTable(cls.__table__).compile(dialect=dialect)).split())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("FilmBronze", ["film_id", "title", *BRONZE]),
        ("OtherOrder", ["film_id", "title", *BRONZE]),
        ("OnABase", ["film_id", "title", *BRONZE]),
        ("Country", ["code", "inactivated_date", "systime"]),
        ("Payment", ["id", "systime", "created_at", "updated_at"]),
        ("Price", ["id", "effective_time", "systime"]),
        ("Both", ["id", *BRONZE, "inactivated_date", "systime"]),
        ("Own", ["id", "checked_by"]),
    ],
)
def test_business_columns_come_first(name: str, expected: list[str], tables: dict[str, Any]) -> None:
    assert columns(tables[name]) == expected
    for dialect in DIALECTS.values():
        text = ddl(tables[name], dialect)
        positions = [text.index(f"{column} ") for column in expected]
        assert positions == sorted(positions)


def test_bases_are_no_tables() -> None:
    from sqlmodel_framework.base import models

    for name in ("ReferenceTable", "TransactionalTable", "TemporalTable", "BronzeMetadata", "SilverMetadata"):
        assert not hasattr(getattr(models, name), "__table__")


def test_the_load_time_is_indexed_in_each_table(tables: dict[str, Any]) -> None:
    for name in ("FilmBronze", "OtherOrder"):
        (index,) = tables[name].__table__.indexes
        assert [column.name for column in index.columns] == ["bronze_load_timestamp"]


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("sqlite", "systime DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL"),
        ("postgresql", "systime TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL"),
        ("mysql", "systime DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"),
    ],
)
def test_systime_has_a_server_default(dialect: str, expected: str, tables: dict[str, Any]) -> None:
    assert expected in ddl(tables["Payment"], DIALECTS[dialect])


def test_nullability_of_the_mixins(tables: dict[str, Any]) -> None:
    nullable = {c.name for cls in tables.values() for c in cls.__table__.columns if c.nullable}
    assert nullable == {"inactivated_date", "bronze_source_host"}


def test_an_instance_is_stamped_in_utc(tables: dict[str, Any]) -> None:
    payment = tables["Payment"](id=1)
    for stamp in (payment.systime, payment.created_at, payment.updated_at):
        assert stamp.tzinfo is UTC
        assert abs(utc_now() - stamp) < timedelta(seconds=10)


def test_times_are_converted_to_utc() -> None:
    kind = UTCDateTime()
    there = datetime(2024, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert kind.process_bind_param(there, DIALECTS["sqlite"]) == datetime(2024, 3, 1, 6, 30, tzinfo=UTC)
    assert kind.process_bind_param(None, DIALECTS["sqlite"]) is None
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    assert kind.process_result_value(moment.replace(tzinfo=None), DIALECTS["mysql"]) == moment
    assert kind.process_result_value(None, DIALECTS["mysql"]) is None


def test_a_naive_time_is_refused() -> None:
    naive = datetime(2024, 3, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="naive"):
        UTCDateTime().process_bind_param(naive, DIALECTS["sqlite"])
