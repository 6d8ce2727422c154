"""Fresh databases on SQLite: copies of a template, in memory by the backup of its pages, else by copying its files."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import Connection

from sqlmodel_framework.base.errors import TryAgainError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Changes, Cleaner, Isolation, Names, Template, TemplateDatabases
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.engines.owned import disown, own
from sqlmodel_framework.engines.sqlite_files import memory_uri, schema_file

if TYPE_CHECKING:
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["SQLiteDatabases"]


class SQLiteDatabases(TemplateDatabases):
    """Copying takes less time than deleting rows would."""

    ways: ClassVar[Mapping[Isolation, str]] = {
        "database": "a copy of a template for each test",
        "rows": "a copy of a template for each test, which takes less time than deleting rows",
        "rollback": "a transaction for each test, rolled back",
    }
    usual = "database"

    def __init__(self, server: LiveTarget, template: Template, names: Names) -> None:
        super().__init__(server, template, names)
        self._in_memory = server.target.conn_method == "memory"
        # Every process has a template of its own: making one takes milliseconds.
        self._folder = None if self._in_memory else _own_folder()
        self._kept: list[Path] = []
        self._template = self._new_target("template")
        try:
            template.deploy(self._template)
            if not self._in_memory:
                self.end(self._template)
        except BaseException:
            self.close()
            raise

    def isolation(self, wanted: Isolation) -> Isolation:
        return "database" if wanted == "rows" else wanted

    def make(self) -> TargetConfig:
        target = self._new_target(self.names.next())
        for schema in (None, *self.template.schemas) if self.template.tables else ():
            if not self._in_memory:
                shutil.copyfile(_file(self._template, schema), _file(target, schema))
        live = open_target(target)
        if self._in_memory:
            live.engine.attach_schemas(live, self.template.schemas)
            for schema in (None, *self.template.schemas):
                _back_up(_uri(self._template, schema), _uri(target, schema))
        else:
            live.attached_schemas = set(self.template.schemas)
        return target

    def cleaner(self, target: TargetConfig) -> Cleaner:
        return SQLiteCleaner(target, self.template)

    def drop(self, target: TargetConfig) -> None:
        self.end(target)
        if not self._in_memory and self.is_ours:
            for schema in (None, *self.template.schemas):
                for suffix in ("", "-journal", "-wal", "-shm"):
                    Path(f"{_file(target, schema)}{suffix}").unlink(missing_ok=True)

    def keep(self, target: TargetConfig) -> str:
        if self._folder is None:
            self._folder = _own_folder()
        kept = self._folder / f"{self.names.next()}.db" if self._in_memory else _file(target, None)
        for schema in (None, *self.template.schemas) if self._in_memory else ():
            with closing(sqlite3.connect(schema_file(kept, schema) if schema else kept)) as file:
                _copy_pages(_uri(target, schema), file)
        disown(str(self._folder))
        self._kept.append(kept)
        return self.told("sqlite3", kept)

    def close(self) -> None:
        if not self.is_ours:
            return
        self.end(self._template)
        if self._folder is None:
            return
        if self._kept:
            for path in (_file(self._template, schema) for schema in (None, *self.template.schemas)):
                path.unlink(missing_ok=True)
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        disown(str(self._folder))

    def _new_target(self, name: str) -> TargetConfig:
        database = None if self._folder is None else str(self._folder / f"{name}.db")
        return replace(self.server.target, database=database)


class SQLiteCleaner(Cleaner):
    """Sessions cannot be ended here: a transaction that a test left open means that the database cannot be used again."""

    def __init__(self, target: TargetConfig, template: Template) -> None:
        super().__init__(target, template)
        with open_target(target).sql.connect() as connection:
            self._structure = self._read_structure(connection)

    def changes(self) -> Changes:
        live = open_target(self.target)
        live.sql.dispose()
        with live.sql.connect() as connection:
            self._refuse_others(connection)
            if self._read_structure(connection) != self._structure:
                return Changes(structure=True)
            return Changes(self.tables_with_rows(connection))

    def empty(self, changes: Changes) -> None:
        """Nothing: copies are used once, and what a transaction was rolled back in has no rows."""

    def _refuse_others(self, connection: Connection) -> None:
        """Raise TryAgainError where a transaction is open in another session."""
        cursor = connection.connection.cursor()
        try:
            (patience,) = cursor.execute("PRAGMA busy_timeout").fetchone()
            cursor.execute("PRAGMA busy_timeout = 0")
            cursor.execute("BEGIN EXCLUSIVE")
            cursor.execute("ROLLBACK")
            cursor.execute(f"PRAGMA busy_timeout = {patience}")
        except sqlite3.Error as exc:
            connection.invalidate()
            raise TryAgainError(
                "a transaction is open in another session of a test database",
                where=self.target.label,
                seen=str(exc),
                next_step="end the connections that the test has opened",
            ) from exc

    def close(self) -> None:
        """It has no connection of its own: a second one could lock the tests out."""

    def _read_structure(self, connection: Connection) -> Sequence[object]:
        quote = connection.dialect.identifier_preparer.quote
        places = [quote(schema) for schema in ("main", *self.template.schemas)]
        master = "SELECT name, sql FROM {}.sqlite_master ORDER BY 1"
        return [connection.exec_driver_sql(master.format(place)).all() for place in places]


def _own_folder() -> Path:
    """A folder for files, gone at the end of this process, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix="datakit-test-"))
    own(
        str(folder),
        {"do": "remove folder", "folder": str(folder)},
        lambda: shutil.rmtree(folder, ignore_errors=True),
    )
    return folder


def _file(target: TargetConfig, schema: str | None) -> Path:
    path = Path(str(target.database))
    return schema_file(path, schema) if schema else path


def _uri(target: TargetConfig, schema: str | None) -> str:
    return memory_uri(f"{target.database}-{schema}" if schema else str(target.database))


def _back_up(source: str, place: str) -> None:
    with closing(sqlite3.connect(place, uri=True)) as to:
        _copy_pages(source, to)


def _copy_pages(source: str, to: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(source, uri=True)) as origin:
        origin.backup(to)
