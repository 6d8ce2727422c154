"""A process that reads pieces of a table for another: blocks of COPY's rows leave it as frames on standard output.

It parses nothing, so it needs no Arrow, and starts quickly. Standard input is one line of JSON, the request, and stays open
for as long as the rows are wanted: when it closes, because the reading process is done with this one or is gone, the
statement on the server is cancelled and this process ends.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import psycopg2

from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
from sqlmodel_framework.base.connectors.postgres_copy import copy_blocks
from sqlmodel_framework.base.connectors.postgres_session import reading_session
from sqlmodel_framework.base.errors import DatakitError, StopError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["BLOCK", "END", "ERROR", "HEADER", "serve"]

# A frame is its kind, the length of its body, and the body.
HEADER = struct.Struct("<cQ")
BLOCK, ERROR, END = b"B", b"R", b"."


def serve(request: Mapping[str, Any]) -> None:
    """Run the COPY statements of the request and write frames: blocks of rows, and at last END or ERROR."""
    # What anything else prints must not come between the frames.
    frames = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    opened: list[PsycopgConnection] = []
    threading.Thread(target=_end_with_input, args=(opened,), daemon=True).start()
    try:
        _read(request, opened, frames)
        _write(frames, END, b"")
    except BrokenPipeError:
        pass
    except DatakitError as exc:
        _tell(frames, exc)
    except Exception as exc:  # noqa: BLE001 - this is the outermost boundary; the words may quote a row
        _tell(frames, StopError("a reading process failed", where=request["where"], seen=type(exc).__name__))


def _read(request: Mapping[str, Any], opened: list[PsycopgConnection], frames: IO[bytes]) -> None:
    with reading_session(PostgresConfig(**request["config"]), request["where"]) as connection:
        opened.append(connection)
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION SNAPSHOT %s", (request["snapshot"],))
            # Whoever waits to change the table waits for the process that asked, which waits for this one.
            cursor.execute("SET LOCAL lock_timeout = '1s'")
        for statement in request["statements"]:
            copy_blocks(connection, statement, lambda rows: _write(frames, BLOCK, rows))


def _end_with_input(opened: list[PsycopgConnection]) -> None:
    while os.read(0, 1):
        pass
    for connection in opened:
        with suppress(psycopg2.Error):
            connection.cancel()
    os._exit(0)


def _tell(frames: IO[bytes], exc: DatakitError) -> None:
    parts = {name: getattr(exc, name) for name in ("what", "where", "seen", "expected", "next_step")}
    with suppress(BrokenPipeError):
        _write(frames, ERROR, json.dumps({"kind": type(exc).__name__, **parts}).encode())


def _write(frames: IO[bytes], kind: bytes, body: bytes | memoryview) -> None:
    frames.write(HEADER.pack(kind, len(body)))
    rest = memoryview(body)
    while rest:
        rest = rest[frames.write(rest) :]
