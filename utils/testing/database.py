"""A test's own database, and what a test does with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlmodel import Session

from sqlmodel_framework.base.errors import ConfigurationError, MissingExtraError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Isolation
from sqlmodel_framework.engines.live import create_async_engine_for_target, open_target
from sqlmodel_framework.utils.tables import TableLike, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlmodel.ext.asyncio.session import AsyncSession

    from sqlmodel_framework.utils.seeding import SeedResult
    from sqlmodel_framework.utils.testing.snapshots import Snapshot
    from sqlmodel_framework.utils.testing.subjects import Readable
    from sqlmodel_framework.utils.validation import ValidationResult

__all__ = ["FreshDatabase"]


class FreshDatabase:
    """A test's own database: the tables of its datakits, and no row.

    `tables` are the table classes, `target` is the database as a target, `isolation` says what keeps it apart from
    other tests. `kept` databases outlive their test.
    """

    def __init__(self, tables: Sequence[TableLike], target: TargetConfig, isolation: Isolation) -> None:
        self.tables, self.target, self.isolation = tuple(tables), target, isolation
        self.kept = False
        self._open: list[Any] = []
        self._connection: Connection | None = None
        if isolation == "rollback":
            self._connection = self.engine.connect()
            self._connection.begin()

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine. With the isolation `rollback` nothing may be committed through it."""
        return open_target(self.target).sql

    @property
    def connection(self) -> Connection:
        """One connection; with `rollback` it is the one whose transaction is rolled back at the end."""
        if self._connection is None:
            self._connection = self.engine.connect()
        return self._connection

    @cached_property
    def session(self) -> Session:
        """One SQLModel session. With `rollback` its commits end savepoints of the test's transaction alone."""
        if self.isolation == "rollback":
            made = Session(self.connection, join_transaction_mode="create_savepoint")
        else:
            made = Session(self.engine)
        self._open.append(made)
        return made

    @cached_property
    def async_engine(self) -> AsyncEngine:
        """An async engine on the same database. Raises MissingExtraError without the extra `async`.

        Its connections belong to the test's own event loop, and nothing ends them from outside: to have none left,
        `await datakit.async_engine.dispose()` there.
        """
        try:
            return create_async_engine_for_target(self.target)
        except ImportError as exc:
            raise MissingExtraError("async", needed_for="an async engine") from exc

    @cached_property
    def async_session(self) -> AsyncSession:
        """One async session of SQLModel; end it in the test's own event loop: `async with datakit.async_session`.

        Raises ConfigurationError with `rollback`: it has a connection of its own, outside of the test's transaction.
        """
        if self.isolation == "rollback":
            raise ConfigurationError(
                "an async session has a connection of its own, outside of the transaction that is rolled back",
                where=self.target.label,
                seen="isolation='rollback'",
                next_step="use isolation='database' for this test",
            )
        engine = self.async_engine
        from sqlmodel.ext.asyncio.session import AsyncSession

        return AsyncSession(engine)

    def __getitem__(self, name: str) -> Any:
        """The class of that name, or of that table. Raises ConfigurationError where there is none, or more than one."""
        found = [one for one in self.tables if name in (_name_of(one), table_of(one).name)]
        if len(found) == 1:
            return found[0]
        known = [_name_of(one) for one in self.tables]
        raise ConfigurationError(
            "several datakits have a table class of this name" if found else "no table class has this name",
            where=self.target.label,
            seen=name,
            expected="one of " + ", ".join(get_close_matches(name, known, n=3) or known),
            next_step="import the class" if found else None,
        )

    def validate(self, **options: Any) -> ValidationResult:
        """Compare the database with the classes; the options are those of `validate_deployment`."""
        from sqlmodel_framework.utils.validation import validate_deployment

        return validate_deployment(self.tables, self.target, **options)

    def seed(self, rows: int = 100, seed: int = 0) -> SeedResult:
        """Load generated rows into each table, parents first. The session is committed before: it may hold locks."""
        from sqlmodel_framework.utils.seeding import seed_tables

        if "session" in self.__dict__:
            self.session.commit()
        connection = self._connection if self.isolation == "rollback" else None
        return seed_tables(self.tables, self.target, rows, seed, connection=connection)

    def assert_rows(self, table: Readable, expected: Any, **options: Any) -> None:
        """The table's rows are exactly these; see `assert_rows`."""
        __tracebackhide__ = True
        from sqlmodel_framework.utils.testing.assertions import assert_rows

        assert_rows(self._reader, table, expected, **options)

    def assert_schema(self, table: TableLike | Iterable[TableLike] | None = None, **options: Any) -> None:
        """The tables in the database are what their classes say, all of them for None; see `assert_schema`."""
        __tracebackhide__ = True
        from sqlmodel_framework.utils.testing.assertions import assert_schema

        assert_schema(self.target, self.tables if table is None else table, **options)

    def snapshot(self, table: Readable, **options: Any) -> Snapshot:
        """The table's rows as they are now, to be compared later; see `snapshot`."""
        from sqlmodel_framework.utils.testing.snapshots import snapshot

        return snapshot(self._reader, table, **options)

    def assert_snapshot(self, table: Readable, path: str | Path, **options: Any) -> None:
        """The table's rows are those of a stored file; see `assert_snapshot`."""
        __tracebackhide__ = True
        from sqlmodel_framework.utils.testing.snapshots import assert_snapshot

        assert_snapshot(self._reader, table, path, **options)

    @property
    def _reader(self) -> Session | Engine:
        """What sees the test's rows: the session while it has a transaction, else what was committed."""
        if "session" in self.__dict__ and self.session.in_transaction():
            return self.session
        return self.session if self.isolation == "rollback" else self.engine

    def close(self) -> None:
        """End session and connection; what was not committed is lost."""
        for one in (*self._open, self._connection):
            # The server may be gone, or the test may have broken the session.
            with suppress(Exception):
                if one is not None:
                    one.close()
        self._open.clear()
        self._connection = None
        self.__dict__.pop("session", None)


def _name_of(table: TableLike) -> str:
    return table.__name__ if isinstance(table, type) else table.name
