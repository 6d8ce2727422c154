"""Load landed rows into deployed tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError, RowError
from sqlmodel_framework.base.models.contract import Contract, contract_of
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.ddl import schemas_of
from sqlmodel_framework.engines.live import open_target

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["load_rows", "read_parquet"]


def load_rows(batches: Iterable[pa.RecordBatch], table_class: type[SQLModel], target: TargetConfig) -> int:
    """Insert record batches into the table of a class, all or nothing; gives the number of rows.

    Columns go by name. Raises RowError for values that do not fit the class's types, ConfigurationError for columns that
    the class does not have, DeploymentError where the database refuses.
    """
    contract = contract_of(table_class)
    table = table_class.__table__  # type: ignore[attr-defined]
    live = open_target(target)
    with live.engine.errors(target, f"load table {table.fullname}"):
        live.engine.attach_schemas(live, schemas_of([table]))
        with live.sql.begin() as connection:
            return live.engine.insert(connection, table, _conforming(batches, contract))


def read_parquet(path: str | Path, batch_size: int = 65_536) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file as batches, in constant memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=batch_size)


def _conforming(batches: Iterable[pa.RecordBatch], contract: Contract) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        unknown = [name for name in batch.schema.names if name not in contract.schema.names]
        if unknown:
            raise ConfigurationError(
                "the rows have columns that the class does not have",
                where=f"table {contract.table}",
                seen=", ".join(unknown),
                next_step="add them to the class, or leave them out of the rows",
            )
        columns = [_cast(batch, name, contract) for name in batch.schema.names]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _cast(batch: pa.RecordBatch, name: str, contract: Contract) -> pa.Array:
    import pyarrow as pa

    column, wanted = batch.column(name), contract.schema.field(name).type
    try:
        return column if column.type == wanted else column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise RowError(
            "values do not fit the class",
            where=f"table {contract.table}, column {name}",
            seen=str(column.type),
            expected=str(wanted),
        ) from None
