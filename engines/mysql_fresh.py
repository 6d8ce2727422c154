"""Fresh databases on MySQL and MariaDB, which know no templates: one for each worker, its rows deleted between tests.

A worker holds the server's lock of its name as long as it lives: a later run drops the databases of names whose lock is
free. A named schema is a database of that name, which a server has once: tests of such kits wait for one another.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import ConfigurationError, DeploymentError, TryAgainError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import (
    SWEPT,
    Cleaner,
    Isolation,
    Names,
    Template,
    TemplateDatabases,
    connection_lost,
    worker_of,
)
from sqlmodel_framework.engines.mysql_cleaning import MySQLCleaner, end_sessions, wait_shortly
from sqlmodel_framework.engines.mysql_named_schemas import NamedSchemas, drop_recorded
from sqlmodel_framework.engines.mysql_shadow import error_number, release_lock, take_lock
from sqlmodel_framework.engines.owned import disown, leave_to_the_program, own

if TYPE_CHECKING:
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["MySQLDatabases"]

_FORBIDDEN = {1044, 1227, 1142}
# Whole names as `Names` gives them: what is merely called alike is somebody's own.
_OURS = re.compile(rf"{SWEPT}[0-9a-f]{{8}}_[0-9a-f]{{8}}_[0-9a-z]+_[0-9]+")
_NAMED = text("SELECT schema_name FROM information_schema.schemata WHERE LEFT(schema_name, :size) = :start")


class MySQLDatabases(TemplateDatabases):
    """Creating tables takes many times as long as deleting their rows."""

    ways: ClassVar[Mapping[Isolation, str]] = {
        "database": "a database for each test, its tables created",
        "rows": "one database for each worker, its rows deleted and its structure checked",
        "rollback": "a transaction for each test, rolled back",
    }
    usual = "rows"

    def __init__(self, server: LiveTarget, template: Template, names: Names) -> None:
        super().__init__(server, template, names)
        self._open: set[str] = set()
        self._kept: list[str] = []
        self._own_connection = server.sql.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._schemas = NamedSchemas(
            template.schemas, str(server.sql.url.set(database=None)), f"{names.of_worker}0"
        )
        try:
            wait_shortly(self._connection)
            take_lock(self._connection, self.names.of_worker)
            self._watch()
            self._drop_abandoned()
        except BaseException:
            self.close()
            raise

    def isolation(self, wanted: Isolation) -> Isolation:
        # Databases of named schemas are given back after each test, as other workers wait for them.
        return "database" if self.template.schemas else wanted

    def make(self) -> TargetConfig:
        if self._schemas.made:
            self._drop_all()  # a test's that was to be kept
        name = self.names.next()
        try:
            self._schemas.take(self._connection)
            self._watch()
            self._open.add(name)
            self._create(name)
            target = self.target_on(name)
            if self.template.schemas:
                self.template.deploy(target)  # what it creates outside of its database goes with it
            else:
                self.deploy_template(name)
        except BaseException:
            with suppress(DBAPIError, TryAgainError):
                self._schemas.give_back(self._connection)
                self._watch()
                self._drop(name)
            raise
        return target

    def _create(self, name: str) -> None:
        try:
            self._connection.exec_driver_sql(f"CREATE DATABASE {self._quoted(name)}")
        except DBAPIError as exc:
            if error_number(exc) in _FORBIDDEN:
                raise DeploymentError(
                    "the user may not create databases for tests",
                    where=self.server.target.label,
                    seen=f"error {error_number(exc)}",
                    next_step=rf"GRANT ALL ON `{SWEPT.replace('_', chr(92) + '_')}%`.* to this user, or use mysql_container",
                ) from None
            raise

    def cleaner(self, target: TargetConfig) -> Cleaner:
        return MySQLCleaner(self.target_on(target.database), self.template)

    def drop(self, target: TargetConfig) -> None:
        if not self.is_ours:
            return
        if not self.template.schemas:
            self.end(target)
            self._drop(str(target.database))
            return
        try:
            for name in (str(target.database), *self.template.schemas):
                end_sessions(self._connection, name)
            target.close()  # with what it created in its schemas
        finally:
            self._drop_all()

    def keep(self, target: TargetConfig) -> str:
        if self.template.schemas:
            raise ConfigurationError(
                "a database with named schemas cannot stay",
                where=f"{target.label}, schemas {', '.join(self.template.schemas)}",
                seen="databases of these names, which the server has once, and the next test needs",
                next_step="stop in the test with pytest --pdb to look at them",
            )
        name = str(target.database)
        self._open.discard(name)
        self._kept.append(name)
        self._watch()
        place = ["--socket", target.socket] if target.socket else ["-h", target.host or "127.0.0.1"]
        port = ["-P", str(target.port)] if target.port and not target.socket else []
        user = ["-u", target.user] if target.user else []
        return self.told("mysql", *place, *port, *user, *(["-p"] if target.password else []), name)

    def close(self) -> None:
        if not self.is_ours:
            return
        connection = self._own_connection
        try:
            with self.server.engine.errors(self.server.target, "drop test databases"):
                if connection.invalidated:
                    connection.rollback()  # it connects again
                self._drop_all()
                release_lock(self._connection, self.names.of_worker)
            disown(self.names.of_worker)
        finally:
            # Its locks go with it.
            connection.invalidate()
            connection.close()

    @property
    def _connection(self) -> Connection:
        """The connection that holds the locks. Raises TryAgainError where a test has ended it."""
        if self._own_connection.invalidated:
            raise connection_lost(self.server.target.label)
        return self._own_connection

    def _quoted(self, name: str) -> str:
        return str(self._connection.dialect.identifier_preparer.quote_identifier(name))

    def _drop(self, name: str) -> None:
        end_sessions(self._connection, name)
        self._connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {self._quoted(name)}")
        self._open.discard(name)

    def _drop_all(self) -> None:
        """Drop what is not kept, and let others have the named schemas."""
        try:
            for name in sorted(self._open):
                self._drop(name)
        finally:
            self._schemas.give_back(self._connection)
            self._watch()

    def _drop_abandoned(self) -> None:
        """Drop what workers left that were killed together with their watching program.

        What cannot be dropped stays for the next run.
        """
        found = self._connection.execute(_NAMED, {"size": len(SWEPT), "start": SWEPT}).scalars()
        names = [name for name in found if _OURS.fullmatch(name)]
        for lock in sorted({worker_of(name) for name in names} - {self.names.of_worker}):
            if take_lock(self._connection, lock):
                try:
                    if f"{lock}0" in names:
                        drop_recorded(self._connection, f"{lock}0")
                    for name in names:
                        if worker_of(name) == lock:
                            with suppress(DBAPIError):
                                self._drop(name)
                finally:
                    release_lock(self._connection, lock)

    def _watch(self) -> None:
        """Have the databases dropped when this process is killed. A server of our own goes as a whole."""
        if self.server.target.ends_with_process:
            return
        _, arguments = self._connection.dialect.create_connect_args(self.server.sql.url)
        own(
            self.names.of_worker,
            {
                "do": "drop databases of mysql",
                "connect": arguments,
                "path": sys.path,
                "own": self.names.of_worker,
                "schemas": self._schemas.made,
                "but": self._kept,
            },
            leave_to_the_program,
        )
