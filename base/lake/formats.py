"""Formats of data files: one writer each, fed with record batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.lake.json_lines import json_lines

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "DataWriter", "open_writer"]


class DataWriter(Protocol):
    """Writes one data file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


class _ParquetFile:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(path, schema, compression="snappy")

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class _JsonLinesFile:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("wb")

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write(json_lines(batch))

    def close(self) -> None:
        self._file.close()


FORMATS: dict[str, Callable[[Path, pa.Schema], DataWriter]] = {
    "parquet": _ParquetFile,
    "json": _JsonLinesFile,
}
"""Format to writer; the format's name is the file's ending."""


def open_writer(format_name: str, folder: Path, schema: pa.Schema) -> tuple[Path, DataWriter]:
    """Open the first data file of a format in a folder. Raises ConfigurationError for an unknown format."""
    make = FORMATS.get(format_name)
    if make is None:
        raise ConfigurationError(
            "unknown file format", seen=repr(format_name), expected="one of " + ", ".join(FORMATS)
        )
    path = folder / f"part-0001.{format_name}"
    return path, make(path, schema)
