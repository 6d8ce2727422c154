"""Bronze ingestion: rows of a source, stamped, as files. Arrow inside, DataFrames at the edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.connectors.base import BatchSource
from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.lake.batch import PublishedBatch, publish_batch
from sqlmodel_framework.base.lake.formats import check_formats
from sqlmodel_framework.base.lake.frames import table_of
from sqlmodel_framework.base.models.utc import utc_now

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BronzeIngestionPipeline"]

_LOAD_TIMESTAMP = "bronze_load_timestamp"
_ROWS_AT_ONCE = 65_536


class BronzeIngestionPipeline:
    """From one connector to Bronze files below `bronze_path`. Subclass it and override a step to change that step.

    `ingest_table` streams in constant memory; `extract_table`, `add_bronze_metadata` and `write_bronze` are the same
    road by DataFrame, for tables that fit in memory.
    """

    def __init__(self, connector: BatchSource, bronze_path: str | Path) -> None:
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
        import pandas as pd

        stamp = self._stamp(source_system, source_table, source_host, extraction_method)
        _refuse_stamped(df.columns, stamp)
        types = dict.fromkeys(stamp, "string") | {_LOAD_TIMESTAMP: "datetime64[us, UTC]"}
        return df.assign(**{name: pd.Series(value, df.index, types[name]) for name, value in stamp.items()})

    def write_bronze(
        self,
        df: pd.DataFrame,
        *,
        source_system: str,
        table_name: str,
        formats: Sequence[str] = ("parquet",),
    ) -> dict[str, Path]:
        """Write rows in every format, with a receipt, visible all at once; gives the data file of each format.

        What pandas counts as missing is null; the index is left out. A batch of the same system, table and day (UTC) is
        replaced. Raises ConfigurationError for an unknown format and for a column that has no single type, StorageError
        when files cannot be written; nothing is then visible, unless the message says so.
        """
        wanted = check_formats(formats)
        table = table_of(df)
        batches = table.to_batches(max_chunksize=_ROWS_AT_ONCE)
        published = self._publish(batches, table.schema, source_system, table_name, wanted, utc_now())
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

        Raises ConfigurationError for an unknown format, before anything is read, ExtractionError, StorageError or
        TryAgainError; nothing is then visible, unless the message says so.
        """
        wanted = check_formats(formats)
        stamp = self._stamp(source_system, table_name, source_host, extraction_method)
        receipt = {"source_host": stamp["bronze_source_host"], "extraction_method": extraction_method}
        # Closed here, so that a failing write does not keep the source's query open for as long as its error lives.
        with closing(self.connector.extract(table_name)) as batches:
            first = next(batches, None)
            if first is None:
                first = _no_rows(self.connector.schema(table_name))
            _refuse_stamped(first.schema.names, stamp)
            return self._publish(
                (_stamped(batch, stamp) for batch in chain([first], batches)),
                _stamped(first, stamp).schema,
                source_system,
                table_name,
                wanted,
                stamp[_LOAD_TIMESTAMP],
                receipt,
            )

    def _publish(
        self,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        system: str,
        table: str,
        formats: Sequence[str],
        moment: datetime,
        receipt: Mapping[str, Any] | None = None,
    ) -> PublishedBatch:
        return publish_batch(
            batches,
            schema=schema,
            root=self.bronze_path,
            system=system,
            table=table,
            formats=formats,
            run_date=moment.date(),
            receipt=receipt,
        )

    def _stamp(
        self, source_system: str, source_table: str, source_host: str | None, extraction_method: str
    ) -> dict[str, Any]:
        return {
            _LOAD_TIMESTAMP: utc_now(),
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


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=schema)


def _stamped(batch: pa.RecordBatch, stamp: Mapping[str, Any]) -> pa.RecordBatch:
    import pyarrow as pa

    types = {_LOAD_TIMESTAMP: pa.timestamp("us", tz="UTC")}
    fields = [pa.field(name, types.get(name, pa.string())) for name in stamp]
    constants = [
        pa.repeat(pa.scalar(value, field.type), batch.num_rows)
        for value, field in zip(stamp.values(), fields, strict=True)
    ]
    return pa.RecordBatch.from_arrays(
        [*batch.columns, *constants], schema=pa.schema([*batch.schema, *fields])
    )
