"""COPY TO STDOUT as record batches: a thread gathers the server's rows into blocks, the reader parses one at a time.

libpq hands COPY data over a row at a time (PQgetCopyData: "Data is always returned one data row at a time"), so every
block holds whole rows, whatever a value's length and the line breaks in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import sql

from sqlmodel_framework.base.connectors.postgres_types import SourceColumn, finished_array
from sqlmodel_framework.base.errors import ExtractionError

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["read_copy"]

_BLOCK_BYTES = 4 << 20
_BLOCKS_WAITING = 2


def read_copy(
    connection: PsycopgConnection,
    source: sql.Composable,
    columns: Sequence[SourceColumn],
    batch_size: int,
    where: str,
) -> Iterator[pa.RecordBatch]:
    """Batches of at most `batch_size` rows, and at least one: a source without rows gives one without rows.

    A consumer that stops early ends the server's work too. Raises ExtractionError for a value that its Arrow type
    cannot hold, and psycopg2's error where the server ends the COPY; the rows given until then are not all rows.
    """
    import pyarrow as pa

    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(column.printed for column in columns), source
    )
    schema = pa.schema([column.field for column in columns])
    copy = _Copy(connection, statement)
    copy.start()
    try:
        block = copy.next_block()
        if block is None:
            yield pa.RecordBatch.from_pylist([], schema=schema)
        while block is not None:
            yield from _parse(block, schema, columns, where).to_batches(max_chunksize=batch_size)
            block = copy.next_block()
    finally:
        copy.stop()


class _StoppedEarlyError(Exception):
    """Ends a COPY whose reader wants no more rows."""


class _Copy(threading.Thread):
    """Runs a COPY and gives its rows as blocks of about 4 MB, of which few wait at a time."""

    def __init__(self, connection: PsycopgConnection, statement: sql.Composable) -> None:
        super().__init__(name="datakit-copy", daemon=True)
        self._connection = connection
        self._statement = statement
        self._rows: list[bytes] = []
        self._size = 0
        self._stopped = self._ended = False
        self._blocks: Queue[bytes | BaseException | None] = Queue(maxsize=_BLOCKS_WAITING)

    def run(self) -> None:
        end: BaseException | None = None
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(self._statement, self)
            self._hand_over()
        except BaseException as exc:  # noqa: BLE001 - handed to the reading thread
            end = exc
        if not self._stopped:
            self._blocks.put(end)

    def write(self, row: bytes) -> None:
        """Take one row; psycopg2 calls this."""
        self._rows.append(row)
        self._size += len(row)
        if self._size >= _BLOCK_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._rows:
            self._blocks.put(b"".join(self._rows))
            self._rows.clear()
            self._size = 0
        if self._stopped:
            raise _StoppedEarlyError

    def next_block(self) -> bytes | None:
        """The next rows; None at the end. Raises the error that the COPY ended with."""
        block = self._blocks.get()
        if isinstance(block, bytes):
            return block
        self._ended = True
        if block is not None:
            raise block
        return None

    def stop(self) -> None:
        """Wait for the end. Where the reader stopped early, a cancelled statement and an emptied queue bring it about."""
        self._stopped = True
        while self.is_alive() and not self._ended:
            with suppress(psycopg2.Error):
                self._connection.cancel()
            with suppress(Empty):
                while True:
                    self._blocks.get_nowait()
            self.join(timeout=0.1)
        self.join()


def _parse(block: bytes, schema: pa.Schema, columns: Sequence[SourceColumn], where: str) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    names = [str(position) for position in range(len(columns))]
    try:
        table = csv.read_csv(
            pa.BufferReader(block),
            read_options=csv.ReadOptions(column_names=names, block_size=len(block)),
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
    except pa.ArrowInvalid as exc:
        raise _unreadable(exc, columns, where) from None
    arrays = [finished_array(array, column) for array, column in zip(table.columns, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _unreadable(exc: pa.ArrowInvalid, columns: Sequence[SourceColumn], where: str) -> ExtractionError:
    """Arrow's message quotes the value; only the column is taken from it."""
    position = str(exc).partition("In CSV column #")[2].partition(":")[0]
    if not position.isdigit():
        return ExtractionError("a row cannot be read", where=where)
    column = columns[int(position)]
    return ExtractionError(
        "a value does not fit its Arrow type",
        where=f"{where}, column {column.name}",
        expected=str(column.parsed),
        next_step="read the column as text, with query=True and a cast, or correct the value",
    )
