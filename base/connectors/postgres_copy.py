"""COPY TO STDOUT as record batches: the server's rows go through a pipe into Arrow's CSV reader."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import psycopg2
from psycopg2 import sql

from sqlmodel_framework.base.connectors.postgres_types import SourceColumn
from sqlmodel_framework.base.errors import ExtractionError

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["read_copy"]

_BUFFER = 1 << 20
_BLOCK = 8 << 20


def read_copy(
    connection: PsycopgConnection,
    source: sql.Composable,
    columns: Sequence[SourceColumn],
    batch_size: int,
    where: str,
) -> Iterator[pa.RecordBatch]:
    """Batches of at most `batch_size` rows. A consumer that stops early ends the server's work too."""
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(column.printed for column in columns), source
    )
    read_end, write_end = os.pipe()
    # psycopg2 writes once a row: without a buffer that is a system call a row.
    copy = _Copy(connection, statement, os.fdopen(write_end, "wb", buffering=_BUFFER))
    copy.start()
    try:
        with os.fdopen(read_end, "rb", buffering=_BUFFER) as stream:
            yield from _parse(stream, columns, batch_size, where, copy)
    finally:
        copy.finish()
    if copy.error is not None:
        raise copy.error


class _Copy(threading.Thread):
    """Runs the COPY; its error is kept for the reader to raise."""

    def __init__(self, connection: PsycopgConnection, statement: sql.Composable, sink: BinaryIO) -> None:
        super().__init__(name="datakit-copy", daemon=True)
        self.connection = connection
        self.statement = statement
        self.sink = sink
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self.sink, self.connection.cursor() as cursor:
                cursor.copy_expert(self.statement, self.sink)
        except BaseException as exc:  # noqa: BLE001 - handed to the reading thread
            self.error = exc

    def finish(self) -> None:
        """Wait for the end; where the reader stopped early, its closed pipe and a cancel bring the end about."""
        if self.is_alive():
            self.join(timeout=0.2)
        while self.is_alive():
            self.connection.cancel()
            self.join(timeout=0.5)


def _parse(
    stream: Any, columns: Sequence[SourceColumn], batch_size: int, where: str, copy: _Copy
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    if not stream.peek(1):
        return
    names = [str(position) for position in range(len(columns))]
    try:
        reader = csv.open_csv(
            stream,
            read_options=csv.ReadOptions(column_names=names, block_size=_BLOCK),
            # A NULL in a table of one column is an empty line, which Arrow would skip by default.
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(names, (column.parsed for column in columns), strict=True)),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        for block in reader:
            batch = _finished(block, columns)
            for start in range(0, batch.num_rows, batch_size):
                yield batch.slice(start, batch_size)
    except pa.ArrowInvalid as exc:
        if copy.error is not None and isinstance(copy.error, psycopg2.Error):
            raise copy.error from exc
        raise _unreadable(exc, columns, where) from None


def _finished(block: pa.RecordBatch, columns: Sequence[SourceColumn]) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [
        _from_hex(array) if column.is_hex else array
        for array, column in zip(block.columns, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([column.field for column in columns]))


def _from_hex(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    return pa.array(
        [None if text is None else bytes.fromhex(text) for text in array.to_pylist()], pa.binary()
    )


def _unreadable(exc: pa.ArrowInvalid, columns: Sequence[SourceColumn], where: str) -> ExtractionError:
    """Arrow's message quotes the value; only the column is taken from it."""
    message = str(exc)
    position = message.partition("In CSV column #")[2].partition(":")[0]
    if not position.isdigit():
        return ExtractionError(
            "a row cannot be read", where=where, next_step=f"check for a value of more than {_BLOCK >> 20} MB"
        )
    column = columns[int(position)]
    return ExtractionError(
        "a value does not fit its Arrow type",
        where=f"{where}, column {column.name}",
        expected=str(column.parsed),
        next_step="read the column as text, with query=True and a cast, or correct the value",
    )
