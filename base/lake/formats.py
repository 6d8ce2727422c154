"""Formats of data files: one writer each, fed with record batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.lake.json_lines import json_lines

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "DataWriter", "check_formats", "open_writer"]

_ROW_GROUP_BYTES = 64 << 20


class DataWriter(Protocol):
    """Writes one data file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file; a second call does nothing."""


class _ParquetFile:
    """Gathers rows up to 64 MB in memory: a row group for each batch would be many small ones where rows are wide."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # A file of its own: the writer leaves one open where its last write fails.
        self._file = pa.OSFile(str(path), "wb")
        try:
            self._writer = pq.ParquetWriter(self._file, schema, compression="snappy")
        except BaseException:
            self._file.close()
            raise
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _ROW_GROUP_BYTES:
            self._write_row_group()

    def close(self) -> None:
        try:
            self._write_row_group()
            self._writer.close()
        finally:
            self._file.close()

    def _write_row_group(self) -> None:
        import pyarrow as pa

        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if waiting:
            self._writer.write_table(pa.Table.from_batches(waiting))


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


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once. Raises ConfigurationError for none at all and for one that is not known."""
    known = "a list of " + ", ".join(FORMATS)
    if isinstance(formats, str) or not formats:
        raise ConfigurationError("no list of file formats is given", seen=repr(formats), expected=known)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ConfigurationError("unknown file format", seen=", ".join(map(repr, unknown)), expected=known)
    return tuple(dict.fromkeys(formats))


def open_writer(format_name: str, folder: Path, schema: pa.Schema) -> tuple[Path, DataWriter]:
    """Open the first data file of a format in a folder. Raises ConfigurationError for a type that the format cannot hold."""
    import pyarrow as pa

    path = folder / f"part-0001.{format_name}"
    try:
        return path, FORMATS[format_name](path, schema)
    except pa.ArrowNotImplementedError as exc:
        refused = [field for field in schema if not _can_hold(format_name, path, field)]
        raise ConfigurationError(
            f"{format_name} cannot hold a column's type",
            where="column " + ", ".join(field.name for field in refused),
            seen=", ".join(str(field.type) for field in refused),
            next_step="leave the column out or give it another type",
        ) from exc


def _can_hold(format_name: str, path: Path, field: pa.Field) -> bool:
    import pyarrow as pa

    try:
        FORMATS[format_name](path, pa.schema([field])).close()
    except pa.ArrowNotImplementedError:
        return False
    return True
