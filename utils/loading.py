"""Load landed rows into deployed tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError, RowError
from sqlmodel_framework.base.models.contract import Contract, contract_of
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.ddl import schemas_of
from sqlmodel_framework.engines.live import open_target

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["load_rows", "read_parquet"]

_ROWS_AT_ONCE = 65_536


def load_rows(
    batches: Iterable[pa.RecordBatch] | pa.Table | pd.DataFrame,
    table_class: type[SQLModel],
    target: TargetConfig,
) -> int:
    """Insert rows into the table of a class, all or nothing; gives the number of rows.

    Columns go by name; those that the rows lack get the server's defaults. Lists and structs go as JSON. Raises RowError
    for values that do not fit the class's types without a change, ConfigurationError for columns that the class does not
    have, DeploymentError where the database refuses, TryAgainError where it is not reachable.
    """
    contract = contract_of(table_class)
    table = table_class.__table__  # type: ignore[attr-defined]
    conforming = _conforming(_record_batches(batches), contract)
    live = open_target(target)
    with live.engine.errors(target, f"load table {table.fullname}"):
        live.engine.attach_schemas(live, schemas_of([table]))
        with live.sql.begin() as connection:
            return live.engine.insert(connection, table, conforming)


def read_parquet(path: str | Path, batch_size: int = _ROWS_AT_ONCE) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file as batches, in constant memory."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=batch_size)


def _record_batches(rows: Any) -> Iterable[pa.RecordBatch]:
    if hasattr(rows, "iloc"):
        from sqlmodel_framework.base.lake.frames import table_of

        rows = table_of(rows)
    if hasattr(rows, "to_batches"):
        rows = rows.to_batches(max_chunksize=_ROWS_AT_ONCE)
    batches: Iterable[pa.RecordBatch] = rows
    return batches


def _conforming(batches: Iterable[pa.RecordBatch], contract: Contract) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        unknown = [name for name in batch.schema.names if name not in contract.schema.names]
        if unknown:
            raise ConfigurationError(
                "the rows have columns that the class does not have",
                where=f"table {contract.table}",
                seen=", ".join(unknown),
                expected="some of " + ", ".join(contract.schema.names),
                next_step="add them to the class, or leave them out of the rows",
            )
        columns = [_cast(batch, name, contract) for name in batch.schema.names]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _cast(batch: pa.RecordBatch, name: str, contract: Contract) -> pa.Array:
    import pyarrow as pa

    from sqlmodel_framework.base.lake.casts import lossless_cast

    column, wanted = batch.column(name), contract.schema.field(name).type
    try:
        return lossless_cast(column, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise RowError(
            "values do not fit the class without a change",
            where=f"table {contract.table}, column {name}",
            seen=str(column.type),
            expected=str(wanted),
            next_step="correct the values, or give the column of the class a type that holds them",
        ) from None
