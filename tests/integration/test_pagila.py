"""Pagila, a real database: from its source to files, and from them to every target, all 15 tables and every value."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from sqlmodel_framework import (
    BronzeIngestionPipeline,
    PostgresConnector,
    TargetConfig,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    load_rows,
)
from sqlmodel_framework.utils.demo import source_config, source_table, table_classes
from sqlmodel_framework.utils.loading import read_parquet

PAGILA = Path(__file__).parents[3] / "shared" / "data" / "pagila" / "pagila.sql.gz"

# As its README counts them; `payment` is partitioned, and is one table.
ROWS = {
    "actor": 200,
    "address": 603,
    "category": 16,
    "city": 600,
    "country": 109,
    "customer": 599,
    "film": 1000,
    "film_actor": 5462,
    "film_category": 2367,
    "inventory": 4581,
    "language": 6,
    "payment": 16049,
    "rental": 16044,
    "staff": 1500,
    "store": 500,
}


@pytest.fixture
def pagila(postgres_server: TargetConfig, request: pytest.FixtureRequest) -> PostgresConnector:
    """A connector to a database that holds Pagila."""
    if not PAGILA.is_file():
        pytest.skip(f"Pagila's dump is not at {PAGILA}")
    database: TargetConfig = request.getfixturevalue("source_database")
    connector = PostgresConnector(source_config(database))
    with closing(connector.get_connection()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(gzip.decompress(PAGILA.read_bytes()).decode())
    return connector


def driver_rows(connector: PostgresConnector, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the columns and the rows, sorted, as psycopg2 gives them."""
    with closing(connector.get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        names = [column.name for column in cursor.description or ()]
        return names, sorted(map(tuple, cursor.fetchall()), key=repr)


@pytest.mark.postgres
def test_the_tables_are_those_a_user_would_name(pagila: PostgresConnector) -> None:
    assert pagila.get_tables("public") == list(ROWS)
    assert {table: pagila.count(table) for table in ROWS} == ROWS


@pytest.mark.postgres
def test_every_value_is_the_drivers_own(pagila: PostgresConnector) -> None:
    for table, count in ROWS.items():
        read = pa.Table.from_batches(pagila.extract(table))
        names, expected = driver_rows(pagila, table)
        assert read.column_names == names
        rows = [tuple(map(as_driver, row.values(), names)) for row in read.to_pylist()]
        assert len(rows) == count
        assert sorted(rows, key=repr) == expected


def as_driver(value: Any, column: str) -> Any:
    """Our value in the driver's form: arrays come as JSON, the zone of a time is another object."""
    if column == "special_features" and value is not None:
        return json.loads(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


class PagilaBronzeLoader(BronzeIngestionPipeline):
    """The loader of the user's guide."""

    def extract_table(self, table_name: str) -> pd.DataFrame:
        with self.connector.connection_context() as conn:  # type: ignore[attr-defined]
            return pd.read_sql(f"SELECT * FROM {table_name}", conn)


@pytest.mark.postgres
def test_a_loader_of_ones_own_lands_every_table(pagila: PostgresConnector, tmp_path: Path) -> None:
    loader = PagilaBronzeLoader(pagila, bronze_path=tmp_path / "bronze")
    for table, count in ROWS.items():
        df = loader.extract_table(table)
        df = loader.add_bronze_metadata(
            df,
            source_system="pagila_kerberos",
            source_table=table,
            source_host="pgserver.example.com",
            extraction_method="full_snapshot",
        )
        paths = loader.write_bronze(
            df, source_system="pagila_kerberos", table_name=table, formats=["parquet", "json"]
        )
        landed = pq.read_table(paths["parquet"])
        assert landed.num_rows == count
        assert landed.column_names[:-5] == driver_rows(pagila, table)[0]
        assert landed.column_names[-5:] == [
            "bronze_load_timestamp",
            "bronze_source_system",
            "bronze_source_table",
            "bronze_source_host",
            "bronze_extraction_method",
        ]
        assert set(landed["bronze_source_host"].to_pylist()) == {"pgserver.example.com"}
        assert json_rows(paths["json"]) == [documented(row) for row in landed.to_pylist()]


def json_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def documented(value: Any) -> Any:
    """The JSON form of a value, as the module json_lines documents it."""
    if isinstance(value, dict):
        return {name: documented(item) for name, item in value.items()}
    if isinstance(value, datetime):
        zone = "" if value.tzinfo is None else "Z"
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + zone
    if isinstance(value, (Decimal, bytes)) or hasattr(value, "isoformat"):
        return str(value)
    return value


@pytest.fixture
def source_database(postgres_server: TargetConfig, worker_id: str) -> Iterator[TargetConfig]:
    """A database for the source: the target may be on the same server."""
    from uuid import uuid4

    from sqlmodel_framework import create_custom_target

    assert postgres_server.password
    name = f"test_{worker_id}_{uuid4().hex[:8]}_pagila"
    server = PostgresConnector(source_config(postgres_server))
    with closing(server.get_connection()) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        yield create_custom_target(
            "postgres",
            name,
            host=postgres_server.host,
            port=postgres_server.port,
            user=postgres_server.user,
            password=postgres_server.password.get_secret_value(),
        )
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_every_table_lands_and_loads(pagila: PostgresConnector, target: TargetConfig, tmp_path: Path) -> None:
    kit = load_datakit("sqlmodel_framework.datakits.bronze_pagila")
    deploy_data_objects(kit.tables, target)
    pipeline = BronzeIngestionPipeline(pagila, tmp_path)
    loaded = {}
    for table_class in table_classes(kit.tables):
        table = source_table(table_class)
        batch = pipeline.ingest_table(table, source_system="pagila", formats=["parquet", "json"])
        assert json_rows(batch.paths["json"]) == [
            documented(row) for row in pq.read_table(batch.paths["parquet"]).to_pylist()
        ]
        loaded[table] = load_rows(read_parquet(batch.paths["parquet"]), table_class, target)
        names, expected = driver_rows(pagila, table)
        assert stored_rows(table_class, names, target) == expected
    assert loaded == ROWS


def stored_rows(table_class: type[SQLModel], names: list[str], target: TargetConfig) -> list[tuple[Any, ...]]:
    """The business columns of a table as SQLAlchemy reads them, sorted."""
    table = table_class.__table__  # type: ignore[attr-defined]
    with create_engine_for_target(target).connect() as connection:
        rows = connection.execute(select(*(table.c[name] for name in names))).all()
    return sorted(map(tuple, rows), key=repr)
