"""Fresh databases for tests, by plain functions: the pytest plugin stands on these."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from secrets import token_hex
from typing import NamedTuple, Self, get_args

from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, TryAgainError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Changes, Cleaner, Isolation, Names, Template, TemplateDatabases
from sqlmodel_framework.engines.live import LiveTarget
from sqlmodel_framework.utils.deployment import deploy_data_objects, plan_deployment
from sqlmodel_framework.utils.discovery import load_datakit
from sqlmodel_framework.utils.tables import TableLike, tables_of
from sqlmodel_framework.utils.testing.database import FreshDatabase
from sqlmodel_framework.utils.testing.servers import Servers

__all__ = ["FreshDatabases", "KitLike", "fresh_database", "tables_of_kits", "unknown_isolation"]

KitLike = str | os.PathLike[str] | Iterable[TableLike]
"""A datakit's folder or importable name, or table classes themselves."""


class _Kept(NamedTuple):
    """A database that tests use one after the other."""

    target: TargetConfig
    cleaner: Cleaner

    def changes(self) -> Changes:
        """What the last test left in it."""
        if self.target.live is not None:
            # The cleaner ends all sessions: the next test is to find none of them in the pool.
            self.target.live.sql.dispose()
        return self.cleaner.changes()

    def close(self) -> None:
        """End its connections, whether the server still answers or not."""
        with suppress(DBAPIError, DatakitError):
            self.cleaner.close()
        with suppress(DatakitError):
            self.target.close()


class FreshDatabases:
    """Fresh databases with the tables of some datakits on one target, made as fast as the database allows.

    The target is a name, started here and ended by `close`, or a TargetConfig, which stays the caller's own; nothing is
    ever created in its own database. No kit gives empty databases. `isolation` None takes what suits the database. One thread
    at a time; any number of these can be used side by side.
    """

    def __init__(
        self,
        *kits: KitLike,
        target: str | TargetConfig = "sqlite_memory",
        isolation: Isolation | None = None,
        names: Names | None = None,
        servers: Servers | None = None,
    ) -> None:
        if isolation is not None and isolation not in get_args(Isolation):
            raise unknown_isolation(isolation)
        self.tables = tables_of_kits(kits)
        self._target, self._wanted = target, isolation
        self._names = (names or Names(token_hex(4))).apart()
        self._servers, self._own_servers = servers or Servers(), servers is None
        self._source: TemplateDatabases | None = None
        self._failure: DatakitError | None = None
        self._kept: _Kept | None = None
        self._live: LiveTarget | None = None
        self._has_made = False

    def take(self) -> FreshDatabase:
        """A fresh database; give it back before the next one is taken.

        A server that does not answer any more is started again, where it is ours to start. Raises what deploying the
        kits raised, every time, and TryAgainError where the target does not answer.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            return self._take()
        except TryAgainError:
            self._forget()
        return self._take()

    def give_back(self, database: FreshDatabase) -> None:
        """End a database, and drop it unless it is kept. Raises ConfigurationError where a test in a transaction has
        committed by another way.
        """
        database.close()
        source = self._source
        if source is None or not source.is_ours:
            return
        with suppress(TryAgainError), self._errors("give a test database back"):
            if database.kept:
                if self._kept is not None:
                    self._kept.cleaner.close()
                self._kept = None
                source.let_go(database.target)
            elif database.isolation == "database":
                source.drop(database.target)
            elif database.isolation == "rollback" and self._kept is not None:
                self._refuse_commits(self._kept)

    def keep(self, database: FreshDatabase) -> str | None:
        """Let a database stay when it is given back; gives the command to connect to it, without a password.

        None where nothing can stay: in a transaction that is rolled back. What the session has not committed is committed,
        as it is what the reader wants to see.
        """
        if self._source is None or database.isolation == "rollback":
            return None
        with suppress(Exception):
            database.session.commit()
        database.kept = True
        return self._source.keep(database.target)

    @property
    def isolation(self) -> Isolation:
        """What keeps the tests apart on this target."""
        source = self._open_source()
        return source.isolation(self._wanted or source.usual)

    @property
    def way(self) -> str:
        """How that is done there, in words."""
        return self._open_source().ways[self.isolation]

    def close(self) -> None:
        """Drop all databases, and end the server if it was started here."""
        source, kept, self._source, self._kept = self._source, self._kept, None, None
        try:
            if kept is not None:
                kept.close()
            if source is not None:
                source.close()
        finally:
            if self._own_servers:
                self._servers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> FreshDatabase:
        with self._errors("make a test database"):
            isolation = self.isolation
            source = self._open_source()
            target = self._make(source) if isolation == "database" else self._cleaned(source)
            database = FreshDatabase(self.tables, target, isolation)
            # It may have been made before its server was killed.
            database.engine.connect().close()
            return database

    def _cleaned(self, source: TemplateDatabases) -> TargetConfig:
        """The worker's own database as new: what the last test left in it goes, or the database goes."""
        if self._kept is not None and not self._is_clean(self._kept):
            self._drop_kept()
        if self._kept is None:
            target = self._make(source)
            self._kept = _Kept(target, source.cleaner(target))
        return self._kept.target

    def _make(self, source: TemplateDatabases) -> TargetConfig:
        """A new database. The kits may be deployed only now: what refuses the first one refuses all."""
        try:
            with self._errors("make a test database"):
                target = source.make()
        except TryAgainError:
            raise
        except DatakitError as exc:
            if not self._has_made:
                self._failure = exc
            raise
        self._has_made = True
        return target

    def _is_clean(self, kept: _Kept) -> bool:
        if self.isolation == "rollback":
            return True  # it was looked at when the last test gave it back
        changes = kept.changes()
        if changes.filled or changes.counted:
            kept.cleaner.empty(changes)
            changes = kept.changes()
        return changes == Changes()

    def _drop_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and self._source is not None:
            with suppress(DBAPIError):
                kept.cleaner.close()
            self._source.drop(kept.target)

    def _refuse_commits(self, kept: _Kept) -> None:
        try:
            with self._errors("look at a test database"):
                changes = kept.changes()
        except TryAgainError:
            # Nobody knows what was committed: the next test gets a new database.
            self._drop_kept()
            raise
        if changes.filled or changes.structure:
            self._drop_kept()
            raise ConfigurationError(
                "a test in a transaction has committed by another way, so that its rows could not be rolled back",
                where=kept.target.label,
                seen=str(changes),
                expected="nothing after the test",
                next_step="give the code under test datakit.session or datakit.connection, or use isolation='database'",
            )
        if changes.counted:
            kept.cleaner.empty(changes)

    def _open_source(self) -> TemplateDatabases:
        if self._source is None:
            try:
                live = self._live = self._servers.open(self._target)
                with live.engine.errors(live.target, "make a test database"):
                    self._source = live.engine.template_databases()(live, self._template(live), self._names)
            except TryAgainError:
                raise
            except DatakitError as exc:
                self._failure = exc
                raise
        return self._source

    def _template(self, live: LiveTarget) -> Template:
        tables = tables_of(self.tables) if self.tables else []

        def deploy(target: TargetConfig) -> None:
            if tables:
                deploy_data_objects(self.tables, target)

        def statements() -> str:
            return "\n".join(one.text for one in plan_deployment(self.tables, live.target)) if tables else ""

        return Template(tuple(tables), deploy, statements)

    def _forget(self) -> None:
        """Let go of a server that does not answer; it is started again where it can be."""
        source, kept, self._source, self._kept = self._source, self._kept, None, None
        if kept is not None:
            kept.close()
        if source is not None:
            with suppress(DatakitError, DBAPIError):
                source.close()
        if self._live is not None:
            self._servers.renew(self._target, self._live)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        live = self._live
        with live.engine.errors(live.target, doing) if live is not None else nullcontext():
            yield

    @contextmanager
    def fresh(self) -> Iterator[FreshDatabase]:
        """A fresh database for a block."""
        database = self.take()
        try:
            yield database
        finally:
            self.give_back(database)


@contextmanager
def fresh_database(
    *kits: KitLike, target: str | TargetConfig = "sqlite_memory", isolation: Isolation | None = None
) -> Iterator[FreshDatabase]:
    """One fresh database for a block; for many use `FreshDatabases`, which makes its template once."""
    with (
        FreshDatabases(*kits, target=target, isolation=isolation) as databases,
        databases.fresh() as database,
    ):
        yield database


def unknown_isolation(given: object) -> ConfigurationError:
    """What is raised for a word that is no isolation."""
    return ConfigurationError(
        "unknown isolation", seen=repr(given), expected="one of " + ", ".join(get_args(Isolation))
    )


def tables_of_kits(kits: Iterable[KitLike]) -> list[TableLike]:
    """The table classes of datakits, in their order."""
    found: list[TableLike] = []
    for kit in kits:
        if isinstance(kit, str | os.PathLike):
            found.extend(load_datakit(kit).tables)
        else:
            found.extend(kit)
    return found
