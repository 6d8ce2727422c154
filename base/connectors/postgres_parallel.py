"""Several processes read the pieces of one table under one snapshot; their rows come back as text and are decoded here.

They are processes because psycopg2 takes a row at a time under the interpreter's lock, which threads would share. Decoding
needs no lock, the text of most rows is shorter than their Arrow form, and a process without Arrow starts in half the time.
Each is a fresh interpreter, so a program needs no `if __name__ == "__main__"` for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from io import RawIOBase
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from sqlmodel_framework.base import errors
from sqlmodel_framework.base.connectors.csv_decoding import Decoded, Decoder
from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
from sqlmodel_framework.base.connectors.postgres_worker import BLOCK, END, ERROR, HEADER
from sqlmodel_framework.base.errors import DatakitError, TryAgainError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["read_in_processes"]

_Taken = Queue[Future[Decoded] | BaseException | None]

_PIPE_BYTES = 1 << 20
_SECONDS_TO_END = 5
_START = (
    "import json, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    " request = json.loads(sys.stdin.buffer.readline()); sys.path[:] = request.pop('path');"
    " from sqlmodel_framework.base.connectors.postgres_worker import serve; serve(request)"
)


def read_in_processes(
    connection: PsycopgConnection,
    config: PostgresConfig,
    statements: Sequence[str],
    decoder: Decoder,
    processes: int,
) -> Generator[Decoded, None, None]:
    """The rows that COPY statements send, in no order, all as the connection's transaction sees them.

    Closing the generator ends the processes and their statements. Raises what a process raised, and TryAgainError for one
    that ended without a word.
    """
    with connection.cursor() as cursor:
        # This session waits while the others read.
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_catalog.pg_export_snapshot()")
        (snapshot,) = cursor.fetchone() or (None,)
    taken: _Taken = Queue(maxsize=processes)
    threads = ThreadPoolExecutor(processes, thread_name_prefix="datakit-decode")
    readers: list[_Reader] = []
    try:
        for number in range(processes):
            request = _request(config, decoder.where, snapshot, statements[number::processes])
            readers.append(_Reader(request, decoder, threads, taken))
        running = processes
        while running:
            found = taken.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                running -= 1
            else:
                yield found.result()
    finally:
        _stop(readers, taken)
        threads.shutdown()


def _request(config: PostgresConfig, where: str, snapshot: Any, statements: Sequence[str]) -> bytes:
    """One line of JSON; the password is in plain text here, on its way through a pipe to our own child."""
    request = {
        "path": sys.path,
        "config": {part.name: _plain(getattr(config, part.name)) for part in fields(config) if part.init},
        "where": where,
        "snapshot": snapshot,
        "statements": statements,
    }
    return json.dumps(request).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def _stop(readers: Sequence[_Reader], taken: _Taken) -> None:
    for reader in readers:
        reader.end()
    for reader in readers:
        while reader.is_alive():
            with suppress(Empty):
                while True:
                    taken.get_nowait()
            reader.join(timeout=0.05)
        reader.reap()


class _Reader(threading.Thread):
    """One process, and the thread that hands its blocks to those that decode, and these on in a queue that all readers share."""

    def __init__(self, request: bytes, decoder: Decoder, threads: ThreadPoolExecutor, taken: _Taken) -> None:
        super().__init__(name="datakit-copy", daemon=True)
        self._decoder = decoder
        self._threads = threads
        self._taken = taken
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own code
            # -P: files of the working folder are no modules.
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=_PIPE_BYTES,
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(request)
        self.start()

    def run(self) -> None:
        try:
            while (block := self._block()) is not None:
                self._taken.put(self._threads.submit(self._decoder.decode, block))
            self._taken.put(None)
        except DatakitError as exc:
            self._taken.put(exc)
        except EOFError:
            self._taken.put(
                TryAgainError(
                    "a reading process ended unexpectedly",
                    where=self._decoder.where,
                    seen=f"exit code {self._process.wait()}",
                    next_step="see whether memory is short, then try again",
                )
            )
        except BaseException as exc:  # noqa: BLE001 - such as MemoryError: the caller would wait for ever
            self._taken.put(exc)

    def _block(self) -> bytearray | None:
        """The next rows; None at the end. Raises what the process told."""
        kind, length = HEADER.unpack(self._bytes(HEADER.size))
        body = self._bytes(length)
        if kind == BLOCK:
            return body
        if kind == ERROR:
            raise _error(json.loads(body))
        assert kind == END
        return None

    def _bytes(self, length: int) -> bytearray:
        """So many bytes of the process. Raises EOFError where it ends before."""
        # Unbuffered, so a raw file.
        frames = cast("RawIOBase", self._process.stdout)
        found = bytearray(length)
        rest = memoryview(found)
        while rest:
            read = frames.readinto(rest)
            if not read:
                raise EOFError
            rest = rest[read:]
        return found

    def end(self) -> None:
        """Tell the process that nothing more is wanted."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def reap(self) -> None:
        """Wait for the process, and kill it if it does not end."""
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _error(parts: dict[str, Any]) -> DatakitError:
    kind = getattr(errors, parts.pop("kind"))
    error: DatakitError = kind(parts.pop("what"), **parts)
    return error
