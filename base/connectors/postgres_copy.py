"""COPY TO STDOUT as decoded blocks: one thread gathers the server's rows, others decode, the caller takes them in order.

libpq hands COPY data over a row at a time (PQgetCopyData: "Data is always returned one data row at a time"), and a
buffered writer flushes before it would be full, so every block holds whole rows, whatever a value's length and the line
breaks in it. No Python code runs for a row.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import psycopg2

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

    from sqlmodel_framework.base.connectors.csv_decoding import Decoded, Decoder

__all__ = ["copy_blocks", "read_copies"]

# Small enough for many processes, large enough that parsing costs what it costs for larger ones.
_BLOCK_BYTES = 1 << 20
_BLOCKS_WAITING = 2
_DECODING_THREADS = 2


def copy_blocks(connection: PsycopgConnection, statement: str, take: Callable[[memoryview], None]) -> None:
    """Run a COPY statement and call `take` with blocks of about 1 MB of whole rows, each valid during the call.

    What `take` raises ends the COPY. Raises psycopg2's error where the server does.
    """
    rows = io.BufferedWriter(_Blocks(take), _BLOCK_BYTES)
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, rows)
    rows.flush()


def read_copies(
    connection: PsycopgConnection, statements: Sequence[str], decoder: Decoder
) -> Generator[Decoded, None, None]:
    """The rows that COPY statements send, one statement after the other, in blocks; nothing for no rows.

    A consumer that stops early ends the server's work too. Raises ExtractionError for a value that does not fit, and
    psycopg2's error where the server ends a COPY; the rows given until then are not all rows.
    """
    copy = _Copy(connection, statements, decoder)
    copy.start()
    try:
        while (decoded := copy.next_block()) is not None:
            yield decoded
    finally:
        copy.stop()


class _StoppedEarlyError(Exception):
    """Ends a COPY whose reader wants no more rows."""


class _Copy(threading.Thread):
    """Runs COPYs; few blocks wait to be decoded or taken at a time."""

    def __init__(self, connection: PsycopgConnection, statements: Sequence[str], decoder: Decoder) -> None:
        super().__init__(name="datakit-copy", daemon=True)
        self._connection = connection
        self._statements = statements
        self._decoder = decoder
        self._threads = ThreadPoolExecutor(_DECODING_THREADS, thread_name_prefix="datakit-decode")
        self._stopped = self._ended = False
        self._blocks: Queue[Future[Decoded] | BaseException | None] = Queue(maxsize=_BLOCKS_WAITING)

    def run(self) -> None:
        end: BaseException | None = None
        try:
            for statement in self._statements:
                copy_blocks(self._connection, statement, self._hand_over)
        except BaseException as exc:  # noqa: BLE001 - handed to the reading thread
            end = exc
        if not self._stopped:
            self._blocks.put(end)

    def _hand_over(self, rows: memoryview) -> None:
        if not self._stopped:
            self._blocks.put(self._threads.submit(self._decoder.decode, bytes(rows)))
        if self._stopped:
            raise _StoppedEarlyError

    def next_block(self) -> Decoded | None:
        """The next rows; None at the end. Raises the error that the COPY or the decoding ended with."""
        block = self._blocks.get()
        if isinstance(block, Future):
            return block.result()
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
        self._threads.shutdown()


class _Blocks(io.RawIOBase):
    """The raw end of the buffered writer: whole rows, as many as fit into its buffer, or one that does not."""

    def __init__(self, take: Callable[[memoryview], None]) -> None:
        self._take = take
        self._failed = False

    def writable(self) -> bool:
        return True

    def write(self, rows: Any) -> int:
        size = len(rows)
        # The buffer is flushed once more when it is collected, whatever ended the writing.
        if size and not self._failed:
            try:
                self._take(rows)
            except BaseException:
                self._failed = True
                raise
        return size
