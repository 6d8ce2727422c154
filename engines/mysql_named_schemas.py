"""Named schemas of datakits on MySQL and MariaDB, where each is a database that the server has once.

Tests that need one wait for each other's lock. What was created is recorded in a database of the worker's, number 0: a
later run finds it there when the worker was killed together with its watching program.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import ConfigurationError, TryAgainError
from sqlmodel_framework.engines.mysql_cleaning import end_sessions
from sqlmodel_framework.engines.mysql_shadow import release_lock, take_lock

__all__ = ["NamedSchemas", "drop_recorded"]

_WAIT = 300
_EXISTS = text("SELECT 1 FROM information_schema.schemata WHERE schema_name = :name")
_held: set[tuple[str, str]] = set()
"""What this process holds: a place, and the name of a schema there."""


class NamedSchemas:
    """The schemas of one template, used by one test at a time. `made` are those that were not there before."""

    def __init__(self, schemas: Sequence[str], place: str, record: str) -> None:
        self._schemas, self._place, self._record = tuple(schemas), place, record
        self._locked: list[str] = []
        self.made: list[str] = []

    def take(self, connection: Connection) -> None:
        """Lock the schemas, and record those that are to be created.

        Raises ConfigurationError where a test of this process uses one, TryAgainError after five minutes' waiting.
        """
        try:
            for schema in self._schemas:
                self._lock(connection, schema)
        except BaseException:
            self._unlock(connection)
            raise
        self.made = [
            name for name in self._locked if not connection.execute(_EXISTS, {"name": name}).scalar()
        ]
        if self.made:
            record = _quoted(connection, self._record)
            connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {record}")
            connection.exec_driver_sql(f"CREATE TABLE {record}.named (name VARCHAR(64) PRIMARY KEY)")
            insert = f"INSERT INTO {record}.named VALUES (:name)"  # noqa: S608
            connection.execute(text(insert), [{"name": name} for name in self.made])

    def give_back(self, connection: Connection) -> None:
        """Drop what was created, and let others have the schemas, whatever the first raises."""
        try:
            for name in self.made:
                _drop(connection, name)
            if self.made:
                _drop(connection, self._record)
            self.made = []
        finally:
            self._unlock(connection)

    def _lock(self, connection: Connection, schema: str) -> None:
        if (self._place, schema) in _held:
            raise ConfigurationError(
                "a test uses a named schema twice at the same time",
                where=f"schema {schema}",
                seen="a second database with it in the same process",
                expected="one, as it is a database of that name, which a server of mysql has once",
                next_step="give both datakits to one database: datakit_factory(…, …)",
            )
        if not take_lock(connection, _lock_of(schema), _WAIT):
            raise TryAgainError(
                "another test uses the database of a named schema",
                where=f"schema {schema}",
                seen=f"waited {_WAIT} s",
                next_step="run the tests of kits with named schemas in one worker, or use another target",
            )
        _held.add((self._place, schema))
        self._locked.append(schema)

    def _unlock(self, connection: Connection) -> None:
        for schema in self._locked:
            _held.discard((self._place, schema))
            release_lock(connection, _lock_of(schema))
        self._locked = []


def drop_recorded(connection: Connection, record: str) -> None:
    """Drop the schemas of a worker that lives no more, but for those that somebody uses now."""
    query = f"SELECT name FROM {_quoted(connection, record)}.named"  # noqa: S608
    with suppress(DBAPIError):
        for name in connection.exec_driver_sql(query).scalars().all():
            if take_lock(connection, _lock_of(name)):
                try:
                    _drop(connection, name)
                finally:
                    release_lock(connection, _lock_of(name))


def _drop(connection: Connection, name: str) -> None:
    """Drop a database, also where keys of others refer to its tables."""
    end_sessions(connection, name)
    connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
    try:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quoted(connection, name)}")
    finally:
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")


def _lock_of(schema: str) -> str:
    """A lock's name has 64 characters at most, as a schema's may have alone."""
    return f"datakit_schema_{sha256(schema.encode()).hexdigest()[:32]}"


def _quoted(connection: Connection, name: str) -> str:
    return str(connection.dialect.identifier_preparer.quote_identifier(name))
