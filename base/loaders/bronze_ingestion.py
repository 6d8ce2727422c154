"""Bronze ingestion: rows of a source, stamped, as files. Arrow inside, DataFrames at the edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.connectors.base import Connector
from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.lake.batch import PublishedBatch, publish_batch
from sqlmodel_framework.base.models.utc import utc_now

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BronzeIngestionPipeline"]


class BronzeIngestionPipeline:
    """From one connector to Bronze files below `bronze_path`. Subclass it and override a step to change that step.

    `ingest_table` streams in constant memory; `extract_table`, `add_bronze_metadata` and `write_bronze` are the same
    road by DataFrame, for tables that fit in memory.
    """

    def __init__(self, connector: Connector, bronze_path: str | Path) -> None:
        self.connector = connector
        self.bronze_path = Path(bronze_path)

    def extract_table(self, table_name: str) -> pd.DataFrame:
        """All rows of a table as a DataFrame with Arrow-backed types."""
        return self.connector.read_dataframe(table_name)

    def add_bronze_metadata(
        self,
        df: pd.DataFrame,
        *,
        source_system: str,
        source_table: str,
        source_host: str | None = None,
        extraction_method: str = "full_snapshot",
    ) -> pd.DataFrame:
        """A copy of the rows with the five `bronze_*` columns behind them; the load time is now, UTC, for all rows.

        `source_host` None is the connector's own. Raises ConfigurationError where the rows have such a column already.
        """
        stamp = self._stamp(source_system, source_table, source_host, extraction_method)
        _refuse_stamped(df.columns, stamp)
        return df.assign(**stamp)

    def write_bronze(
        self,
        df: pd.DataFrame,
        *,
        source_system: str,
        table_name: str,
        formats: Sequence[str] = ("parquet",),
    ) -> dict[str, Path]:
        """Write rows in every format, with a receipt, visible all at once; gives the data file of each format.

        A batch of the same system, table and day (UTC) is replaced. Raises StorageError; nothing is then visible.
        """
        table = _arrow_table(df)
        published = self._publish(table.to_batches(), table.schema, source_system, table_name, formats, {})
        return dict(published.paths)

    def ingest_table(
        self,
        table_name: str,
        *,
        source_system: str,
        source_host: str | None = None,
        extraction_method: str = "full_snapshot",
        formats: Sequence[str] = ("parquet",),
    ) -> PublishedBatch:
        """Extract, stamp and write one table as a stream: memory does not grow with the table.

        Raises ExtractionError, StorageError or TryAgainError; nothing is then visible.
        """
        stamp = self._stamp(source_system, table_name, source_host, extraction_method)
        source_schema = self.connector.schema(table_name)
        _refuse_stamped(source_schema.names, stamp)
        stamped = _stamped(self.connector.extract(table_name), stamp)
        schema = _stamped_schema(source_schema, stamp)
        receipt = {"source_host": stamp["bronze_source_host"], "extraction_method": extraction_method}
        return self._publish(stamped, schema, source_system, table_name, formats, receipt)

    def _publish(
        self,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        system: str,
        table: str,
        formats: Sequence[str],
        receipt: Mapping[str, Any],
    ) -> PublishedBatch:
        return publish_batch(
            batches,
            schema=schema,
            root=self.bronze_path,
            system=system,
            table=table,
            formats=formats,
            receipt=receipt,
        )

    def _stamp(
        self, source_system: str, source_table: str, source_host: str | None, extraction_method: str
    ) -> dict[str, datetime | str | None]:
        return {
            "bronze_load_timestamp": utc_now(),
            "bronze_source_system": source_system,
            "bronze_source_table": source_table,
            "bronze_source_host": source_host if source_host is not None else self.connector.host,
            "bronze_extraction_method": extraction_method,
        }


def _refuse_stamped(columns: Iterable[str], stamp: Mapping[str, Any]) -> None:
    taken = sorted(set(columns) & set(stamp))
    if taken:
        raise ConfigurationError(
            "the rows have Bronze metadata already",
            seen=", ".join(taken),
            expected="rows as the source has them",
            next_step="stamp rows once, or rename the source's columns",
        )


def _arrow_table(df: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(df, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as exc:
        column = str(exc.args[-1]).rpartition("column ")[2].partition(" ")[0]
        raise ConfigurationError(
            "a column of the DataFrame has no single Arrow type",
            where=f"column {column}",
            next_step="give the column one type",
        ) from None


def _stamp_types() -> dict[str, Any]:
    import pyarrow as pa

    return {"bronze_load_timestamp": pa.timestamp("us", tz="UTC")}


def _stamped_schema(schema: pa.Schema, stamp: Mapping[str, Any]) -> pa.Schema:
    import pyarrow as pa

    types = _stamp_types()
    return pa.schema([*schema, *(pa.field(name, types.get(name, pa.string())) for name in stamp)])


def _stamped(batches: Iterator[pa.RecordBatch], stamp: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    types = _stamp_types()
    for batch in batches:
        constants = [
            pa.repeat(pa.scalar(value, types.get(name, pa.string())), batch.num_rows)
            for name, value in stamp.items()
        ]
        yield pa.RecordBatch.from_arrays(
            [*batch.columns, *constants], schema=_stamped_schema(batch.schema, stamp)
        )
