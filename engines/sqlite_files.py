"""Where a SQLite target's databases are: files and their schemas' files, or names in memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from sqlmodel_framework.config.targets import TargetConfig

__all__ = ["is_frozen", "keep_alive", "memory_uri", "remove_when_done", "schema_file", "without_file"]


def is_frozen(path: Path) -> bool:
    """Whether a file in WAL mode stands in a folder that cannot be written: SQLite opens it as immutable alone.

    A WAL file beside it means that somebody writes; then SQLite reads through that. Source: https://www.sqlite.org/wal.html,
    "Read-Only Databases".
    """
    if os.access(path.parent, os.W_OK) or not os.access(path, os.R_OK) or Path(f"{path}-wal").exists():
        return False
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\x02\x02"


def memory_uri(name: str) -> str:
    """Where all connections of this process find the database in memory of that name."""
    return f"file:{quote(name)}?vfs=memdb"


def keep_alive(target: TargetConfig, uri: str) -> None:
    """A database in memory lives as long as one connection to it."""
    keeper = sqlite3.connect(uri, uri=True, check_same_thread=False)
    keeper.execute("SELECT name FROM sqlite_master").fetchall()
    target.on_close(keeper.close)


def without_file(target: TargetConfig, schemas: Iterable[str]) -> set[str]:
    """Those of the schemas whose file is not there."""
    database = Path(str(target.database))
    return {schema for schema in schemas if not schema_file(database, schema).exists()}


def schema_file(path: Path, schema: str) -> Path:
    """The file of a named schema, beside the database's own."""
    return path.with_name(f"{path.stem}.{quote(schema, safe='')}{path.suffix}")


def remove_when_done(target: TargetConfig, path: Path) -> None:
    """A file that this target made is removed at its end, unless somebody's tables are in it."""
    if not path.exists():
        target.on_close(lambda: _remove_empty_database(path))


def _remove_empty_database(path: Path) -> None:
    if not path.exists():
        return
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        # Whoever else has it open keeps it.
        connection.execute("BEGIN EXCLUSIVE")
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if objects == 0:
            for suffix in ("", "-journal", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
    except sqlite3.OperationalError:
        return
    finally:
        connection.close()
