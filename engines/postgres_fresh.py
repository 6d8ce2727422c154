"""Fresh databases on PostgreSQL: clones of a template database, the next one made while a test uses the last.

The workers of a run share a template. Each holds a shared advisory lock of the run, so that the last one drops the
template, and a later run drops what a run left that was killed with its watching program.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import DeploymentError, TryAgainError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import (
    SWEPT,
    SWEPT_NAME,
    Cleaner,
    Isolation,
    Names,
    Template,
    TemplateDatabases,
    connection_lost,
    run_of,
)
from sqlmodel_framework.engines.libpq_isolation import without_environment
from sqlmodel_framework.engines.owned import disown, own
from sqlmodel_framework.engines.postgres_cleaning import PostgresCleaner

if TYPE_CHECKING:
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["PostgresDatabases"]

_ADMINISTRATION = "postgres"
_IS_TEMPLATE = text("SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = :name")
_NAMED = text("SELECT datname FROM pg_catalog.pg_database WHERE starts_with(datname, :start) ORDER BY 1")
_ALIVE = text("SELECT 1")
# Who may not see the kind of a session sees no kind. Another role may hold its locks in another database.
_UNUSED = text(
    "SELECT datname FROM pg_catalog.pg_database d WHERE starts_with(datname, :start)"
    " AND pg_catalog.pg_get_userbyid(datdba) = current_user AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity s"
    " WHERE s.datname = d.datname AND coalesce(backend_type, 'client backend') = 'client backend') ORDER BY 1"
)
_NEVER_IDLE = "SET idle_session_timeout = 0"
_MAY_CREATE = text("SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
_END_SESSIONS = text(
    "SELECT count(pg_catalog.pg_terminate_backend(pid, 5000)) FROM pg_catalog.pg_stat_activity"
    " WHERE datname = :name AND coalesce(backend_type, 'client backend') = 'client backend'"
)
_LOCK_SHARED = text("SELECT pg_catalog.pg_advisory_lock_shared(:key)")
_UNLOCK_SHARED = text("SELECT pg_catalog.pg_advisory_unlock_shared(:key)")
_LOCK = text("SELECT pg_catalog.pg_advisory_lock(:key)")
_TRY_LOCK = text("SELECT pg_catalog.pg_try_advisory_lock(:key)")
_UNLOCK = text("SELECT pg_catalog.pg_advisory_unlock(:key)")


class PostgresDatabases(TemplateDatabases):
    """One thread beside the tests clones ahead, from the second database on, and drops what was used."""

    ways: ClassVar[Mapping[Isolation, str]] = {
        "database": "a database for each test, cloned from a template",
        "rows": "one database for each worker, its rows deleted and its structure checked",
        "rollback": "a transaction for each test, rolled back",
    }
    usual = "database"

    def __init__(self, server: LiveTarget, template: Template, names: Names) -> None:
        super().__init__(server, template, replace(names, failed_stay=False))
        self._open: set[str] = set()
        self._kept: list[str] = []
        self._made = 0
        self._next: Future[str] | None = None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="datakit-databases")
        self._engine, self._common = _administration(self)
        self._connection = self._engine.connect()
        try:
            with suppress(DBAPIError):  # a server before 14
                self._connection.exec_driver_sql(_NEVER_IDLE)
            self._take_part()
            self._template = self._find_or_make_template() if template.tables else None
        except BaseException:
            self.close()
            raise

    def make(self) -> TargetConfig:
        self._confirm_locks()
        ahead, self._next = self._next, None
        name = (ahead or self._beside.submit(self._clone)).result()
        self._made += 1
        if self._made > 1:
            self._next = self._beside.submit(self._clone)
        return self.target_on(name)

    def cleaner(self, target: TargetConfig) -> Cleaner:
        return PostgresCleaner(self.target_on(target.database), self.template)

    def drop(self, target: TargetConfig) -> None:
        if self.is_ours:
            self.end(target)
            self._beside.submit(self._drop, str(target.database))

    def keep(self, target: TargetConfig) -> str:
        name = str(target.database)
        self._open.discard(name)
        self._kept.append(name)
        self._watch()
        words = {
            "-h": target.socket or target.host,
            "-p": target.port,
            "-U": target.user,
            "-d": _name_kept(name),
        }
        return self.told("psql", *(word for part in words.items() if part[1] for word in part))

    def let_go(self, target: TargetConfig) -> None:
        """The name by which no run drops it is given only now: while a session is in it, a database keeps its own."""
        self.end(target)
        with self.server.engine.errors(self.server.target, "keep a test database"):
            _rename_database(self._connection, str(target.database), _name_kept(str(target.database)))

    def close(self) -> None:
        if not self.is_ours:
            return
        self._beside.shutdown(wait=True, cancel_futures=True)
        try:
            with self.server.engine.errors(self.server.target, "drop test databases"):
                if self._connection.invalidated:
                    self._connection.rollback()  # it connects again
                self._leave()
        finally:
            self._connection.close()
            self._engine.dispose()

    # in the thread beside

    def _clone(self) -> str:
        name = self.names.next()
        self._open.add(name)
        with self._engine.connect() as connection:
            _create_database(connection, name, self._template)
        return name

    def _drop(self, name: str) -> None:
        # One that cannot be dropped now is tried again at the end.
        with suppress(DBAPIError), self._engine.connect() as connection:
            _drop_database(connection, name)
            self._open.discard(name)

    # the run

    def _take_part(self) -> None:
        """Say that this run lives, and drop what is left of runs that do not."""
        if not self._connection.execute(_MAY_CREATE).scalar_one():
            raise DeploymentError(
                "the user may not create databases for tests",
                where=self.server.target.label,
                seen="a role without CREATEDB",
                next_step="ALTER ROLE … CREATEDB, or use postgres_embedded, which needs no server",
            )
        self._connection.execute(_LOCK_SHARED, {"key": _key(self.names.of_run)})
        self._watch()
        # Locks are a database's own: from another one than all take, the living cannot be told from the dead.
        swept = _swept(self._connection) if self._common else []
        for run in {run_of(name) for name in swept} - {self.names.of_run}:
            with _locked_if_free(self._connection, run) as free:
                for name in swept if free else ():
                    if run_of(name) == run:
                        with suppress(DBAPIError):  # somebody has connected to it, or has dropped it
                            _drop_database(self._connection, name, force=False)

    def _confirm_locks(self) -> None:
        """Raises TryAgainError where the connection is gone that says that this run lives."""
        with suppress(DBAPIError):
            if not self._connection.invalidated:
                self._connection.execute(_ALIVE)
        if self._connection.invalidated:
            raise connection_lost(self.server.target.label)

    def _leave(self) -> None:
        self._drop_all(sorted(self._open))
        self._connection.execute(_UNLOCK_SHARED, {"key": _key(self.names.of_run)})
        with _locked_if_free(self._connection, self.names.of_run) as free:
            names = _named(self._connection, self.names.of_run) if free else []
            self._drop_all(name for name in names if name not in self._kept)
        disown(self.names.of_worker)

    def _drop_all(self, names: Iterable[str]) -> None:
        """Raises what the first that stays has raised, after the others have gone."""
        failures = []
        for name in names:
            try:
                _drop_database(self._connection, name)
            except DBAPIError as exc:
                if exc.connection_invalidated:
                    raise
                failures.append(exc)
        if failures:
            raise failures[0]

    def _watch(self) -> None:
        """Have the databases dropped when this process is killed. A server of our own goes as a whole."""
        if self.server.target.ends_with_process:
            return
        _, arguments = self._engine.dialect.create_connect_args(self._engine.url)
        if self.server.target.server_is_ours:
            arguments = {**without_environment(), **arguments}
        own(
            self.names.of_worker,
            {
                "do": "drop databases of postgres",
                "connect": arguments,
                "path": sys.path,
                "own": self.names.of_worker,
                "shared": self.names.of_run,
                "lock": _key(self.names.of_run),
                "but": self._kept,
            },
            _leave_to_the_program,
        )

    def _find_or_make_template(self) -> str:
        version, role = self._connection.exec_driver_sql(
            "SELECT current_setting('server_version'), current_user"
        ).one()
        name = self.names.of_templates + self.template.key(f"{version} {role}")
        with _locked(self._connection, name):
            # Given back with the connection. Who drops older templates may have it for a moment.
            self._connection.execute(_LOCK_SHARED, {"key": _key(_use_of(name))})
            if not self._connection.execute(_IS_TEMPLATE, {"name": name}).scalar():
                self._make_template(name)
                if self.names.reused:
                    self._drop_older_templates(name)
        return name

    def _make_template(self, name: str) -> None:
        _drop_database(self._connection, name)  # its maker was killed
        _create_database(self._connection, name, None)
        try:
            self.deploy_template(name)
        except BaseException:
            with suppress(DBAPIError):
                _drop_database(self._connection, name)
            raise
        quoted = self._connection.dialect.identifier_preparer.quote(name)
        self._connection.exec_driver_sql(f"ALTER DATABASE {quoted} IS_TEMPLATE true ALLOW_CONNECTIONS false")

    def _drop_older_templates(self, name: str) -> None:
        """Of templates that stay for later runs, those with the same tables as they were before a change, unused ones."""
        start = f"{self.names.of_templates}{self.template.tables_key}_"
        for older in self._connection.execute(_UNUSED, {"start": start}).scalars().all():
            if older != name:
                with _locked_if_free(self._connection, _use_of(older)) as free, suppress(DBAPIError):
                    if free:
                        _drop_database(self._connection, older)


def _leave_to_the_program() -> None:
    """The program beside this process drops them once the connections have ended; what raises here is not taken from it."""
    raise TryAgainError("test databases are dropped when the process has ended")


def _administration(databases: TemplateDatabases) -> tuple[Engine, bool]:
    """An engine for statements outside transactions, and whether it is on the database that all runs use."""
    live = databases.server
    own = live.sql.url.database
    for database, common in ((_ADMINISTRATION, True), (own, own == _ADMINISTRATION)):
        engine = live.engine.connect(databases.target_on(database)).execution_options(
            isolation_level="AUTOCOMMIT"
        )
        try:
            engine.connect().close()
        except DBAPIError:
            engine.dispose()
            if database == own:
                raise
        else:
            return engine, common
    raise AssertionError


def _create_database(connection: Connection, name: str, template: str | None) -> None:
    quote = connection.dialect.identifier_preparer.quote
    origin = f" TEMPLATE {quote(template)}" if template else ""
    connection.exec_driver_sql(f"CREATE DATABASE {quote(name)}{origin}")


def _drop_database(connection: Connection, name: str, *, force: bool = True) -> None:
    quoted = connection.dialect.identifier_preparer.quote(name)
    if connection.execute(_IS_TEMPLATE, {"name": name}).scalar():
        connection.exec_driver_sql(f"ALTER DATABASE {quoted} IS_TEMPLATE false")
    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {quoted}{' WITH (FORCE)' if force else ''}")


def _name_kept(name: str) -> str:
    """What a database is called in the end that stays."""
    return f"datakit_failed_{name.removeprefix(SWEPT)}"


def _rename_database(connection: Connection, name: str, new: str) -> None:
    """Rename a database whoever is connected to it."""
    quote = connection.dialect.identifier_preparer.quote
    for last in (False, False, True):
        try:
            connection.execute(_END_SESSIONS, {"name": name})
            connection.exec_driver_sql(f"ALTER DATABASE {quote(name)} RENAME TO {quote(new)}")
        except DBAPIError:
            if last or connection.invalidated:
                raise
        else:
            return


def _named(connection: Connection, start: str) -> list[str]:
    return [str(name) for name in connection.execute(_NAMED, {"start": start}).scalars()]


def _swept(connection: Connection) -> list[str]:
    """Databases of this role with names of ours, in which no session is."""
    names = connection.execute(_UNUSED, {"start": SWEPT}).scalars()
    return [str(name) for name in names if SWEPT_NAME.fullmatch(name)]


@contextmanager
def _locked_if_free(connection: Connection, name: str) -> Iterator[bool]:
    """The lock of a name for a block, unless somebody has it; tells which."""
    free = bool(connection.execute(_TRY_LOCK, {"key": _key(name)}).scalar_one())
    try:
        yield free
    finally:
        if free:
            connection.execute(_UNLOCK, {"key": _key(name)})


def _use_of(template: str) -> str:
    """The name of the lock that all share who clone a template."""
    return f"{template} in use"


@contextmanager
def _locked(connection: Connection, name: str) -> Iterator[None]:
    connection.execute(_LOCK, {"key": _key(name)})
    try:
        yield
    finally:
        connection.execute(_UNLOCK, {"key": _key(name)})


def _key(name: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
