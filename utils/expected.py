"""The expected reading: what this server makes of the classes, from a scratch place or from the cache of an earlier look."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table

from sqlmodel_framework._version import __version__
from sqlmodel_framework.base.errors import NoScratchPlaceError
from sqlmodel_framework.engines.ddl import SchemaMap, Statement
from sqlmodel_framework.engines.live import LiveTarget
from sqlmodel_framework.engines.reading import ColumnReading, PartReading, Reading, TableReading
from sqlmodel_framework.utils.whole_file import replace_whole

__all__ = ["Expected", "cache_folder", "expected_reading"]

_FORMAT = 3
_KEPT = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expected:
    """What the classes say, read from a server: `refusal` says why there was no scratch place, and then `reading` has names alone."""

    reading: Reading
    from_cache: bool = False
    note: str | None = None
    refusal: NoScratchPlaceError | None = None


def expected_reading(
    live: LiveTarget,
    connection: Connection,
    tables: Sequence[Table],
    statements: Sequence[Statement],
    places: SchemaMap,
) -> Expected:
    """Read the tables in a scratch place; the same DDL on the same server is read once.

    `statements` are the DDL of the tables, which stand in `places`. The cache's key is a hash of them, of the server's
    version and of all settings that it prints tables by; an entry that cannot be read is made again.
    """
    settings = live.engine.reading_key(connection, places)
    key = _key(live, connection, settings, tables, statements)
    cached = _load(key)
    if cached is not None and all((table.schema, table.name) in cached for table in tables):
        return Expected(cached, from_cache=True)
    try:
        with live.engine.shadow(live.sql, connection, tables) as scratch:
            keys = [(table.schema, table.name) for table in tables]
            reading = live.engine.with_other_spellings(
                scratch, live.engine.read(scratch.connection, keys, scratch.places)
            )
            note = scratch.note
    except NoScratchPlaceError as exc:
        return Expected({(t.schema, t.name): _names_of(t) for t in tables}, refusal=exc)
    if note is None:
        _save(key, reading)
    return Expected(reading, note=note)


def _names_of(table: Table) -> TableReading:
    """What the class alone says: names, nullability, key."""
    columns = {column.name: ColumnReading(column.name, "", bool(column.nullable)) for column in table.columns}
    return TableReading(columns=columns, primary_key=tuple(column.name for column in table.primary_key))


def _key(
    live: LiveTarget,
    connection: Connection,
    settings: str,
    tables: Sequence[Table],
    statements: Sequence[Statement],
) -> str:
    parts = [
        f"{__version__} {_FORMAT}",
        live.engine.kind,
        str(connection.dialect.server_version_info),
        settings,
        *(f"{table.schema}.{table.name}" for table in tables),
        *(statement.text for statement in statements),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def cache_folder() -> Path:
    """Where readings are kept: DATAKIT_CACHE_DIR, else `datakit` in the user's cache folder."""
    own = os.environ.get("DATAKIT_CACHE_DIR")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "datakit"


def _load(key: str) -> Reading | None:
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError):
        document = json.loads(_file(key).read_text(encoding="utf-8"))
        if document["key"] == key:
            return {(schema, name): _table(reading) for schema, name, reading in document["tables"]}
    return None


def _save(key: str, reading: Reading) -> None:
    """Written whole or not at all; a cache that cannot be written is none."""
    document = {"key": key, "tables": [[*table, found] for table, found in reading.items()]}
    try:
        path = _file(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(path, json.dumps(document, default=_fields).encode())
        _forget_oldest(path.parent)
    except (OSError, RuntimeError) as exc:
        _log.debug("the expected reading is not kept: %s", exc)


def _file(key: str) -> Path:
    return cache_folder() / "readings" / f"{key}.json"


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT:]:
        path.unlink(missing_ok=True)


def _fields(reading: TableReading | PartReading) -> list[Any]:
    """The values of the fields in order: their names, a thousand times, would take as long as the rest."""
    return list(vars(reading).values())


def _table(fields: Sequence[Any]) -> TableReading:
    columns, kind, key, key_name, foreign_keys, uniques, checks, indexes, options, comment = fields
    return TableReading(
        {name: _column(column) for name, column in columns.items()},
        kind,
        tuple(key),
        key_name,
        _parts(foreign_keys),
        _parts(uniques),
        _parts(checks),
        _parts(indexes),
        options,
        comment,
    )


def _column(fields: Iterable[Any]) -> ColumnReading:
    column = ColumnReading._make(fields)
    return column if column.members is None else column._replace(members=tuple(column.members))


def _parts(many: Iterable[Sequence[Any]]) -> tuple[PartReading, ...]:
    return tuple(PartReading(name, text, tuple(columns), also) for name, text, columns, also in many)
