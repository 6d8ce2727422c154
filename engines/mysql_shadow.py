"""Scratch places on MySQL and MariaDB: databases of their own, or copies beside the tables of the target.

A place is named after a token: the server's clock in hexadecimal, and a random part. Its owner holds the server's lock
of the same name as long as the session lives. A place that is older than an hour and whose lock is free was left by a
process that was killed: the next shadow drops it. The hour is for clusters, where such a lock counts on one node only.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pymysql
from sqlalchemy import CheckConstraint, Connection, Engine, ForeignKeyConstraint, Table, text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import NoScratchPlaceError
from sqlmodel_framework.engines.base import Scratch, TargetEngine
from sqlmodel_framework.engines.ddl import schemas_of
from sqlmodel_framework.engines.mysql_catalogue import CopyPlaces, default_collations
from sqlmodel_framework.engines.reading import Places, TableKey

__all__ = [
    "SHADOW_PREFIX",
    "Plan",
    "end_session",
    "error_number",
    "make_shadow",
    "new_token",
    "release_lock",
    "scratch_session",
    "take_lock",
]

_log = logging.getLogger(__name__)

SHADOW_PREFIX = "datakit_shadow_"
"""Databases and tables of such a name are scratch places."""

_ABANDONED_AFTER = 3600
_NAME = re.compile(SHADOW_PREFIX + r"(?P<token>(?P<clock>[0-9a-f]{8})[0-9a-f]{6})_\w+")
_FORBIDDEN = {1044, 1142, 1143, 1227, 1370}
_READ_ONLY = {1290, 1792, 1836, 1874, 3989}
_REFUSALS = (DBAPIError, pymysql.MySQLError)
_COLLATION_NOTE = (
    "no right to create a scratch database: the tables were copied into the target's own, whose default collation is"
    " another than that of schema {schemas}; charset and collation are not verified there"
)


@dataclass
class Plan:
    """What a shadow may create under its token; dropping it is no error where it was not created."""

    token: str
    databases: dict[str | None, str] = field(default_factory=dict)
    tables: dict[TableKey, str] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        """The lock that its owner holds."""
        return SHADOW_PREFIX + self.token

    def name(self, suffix: object) -> str:
        """A name of the place."""
        return f"{SHADOW_PREFIX}{self.token}_{suffix}"


@contextmanager
def make_shadow(
    of: TargetEngine, engine: Engine, connection: Connection, tables: Sequence[Table]
) -> Iterator[Scratch]:
    """Create the tables in scratch databases; where that is not granted, as copies in the target's own database.

    All of it is dropped at the end in every case. Raises NoScratchPlaceError where neither can be made.
    """
    with scratch_session(engine, connection) as (scratch, plan):
        yield _create(of, scratch, plan, tables)


@contextmanager
def scratch_session(engine: Engine, connection: Connection) -> Iterator[tuple[Connection, Plan]]:
    """A session that owns a scratch place; what its plan names at the end is dropped in every case."""
    token, now = new_token(connection)
    plan = Plan(token)
    with engine.connect() as scratch:
        session = int(scratch.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
        take_lock(scratch, plan.lock)
        _drop_abandoned(scratch, now)
        try:
            yield scratch, plan
        finally:
            # A connection of its own: the one above may be broken, by Ctrl-C for instance.
            scratch.invalidate()
            try:
                with engine.connect() as fresh:
                    end_session(fresh, session, plan.lock)
                    _drop(fresh, plan.databases.values(), plan.tables.values(), plan.sequences.values())
            except DBAPIError as exc:
                # Not an error of what was done in the scratch place; the next shadow drops what is abandoned.
                left = sorted({*plan.databases.values(), *plan.tables.values()})
                _log.warning("scratch places stay for now: %s (error %s)", ", ".join(left), error_number(exc))


def _create(of: TargetEngine, scratch: Connection, plan: Plan, tables: Sequence[Table]) -> Scratch:
    try:
        return _create_databases(of, scratch, plan, tables)
    except _NotGrantedError:
        # The right may end at the second database, or behind CREATE DATABASE.
        for name in plan.databases.values():
            with suppress(DBAPIError):
                _drop(scratch, [name], ())
        plan.databases.clear()
    try:
        return _create_copies(of, scratch, plan, tables)
    except _REFUSALS as exc:
        if error_number(exc) in _FORBIDDEN | _READ_ONLY:
            raise _no_place(exc) from None
        raise


class _NotGrantedError(Exception):
    """The user may not create databases."""


def _create_databases(of: TargetEngine, scratch: Connection, plan: Plan, tables: Sequence[Table]) -> Scratch:
    default = of.default_schema(scratch)
    schemas = [None, *sorted(schemas_of(tables))]
    plan.databases = {schema: plan.name(number) for number, schema in enumerate(schemas)}
    collations = default_collations(scratch, [schema or default or "" for schema in schemas])
    quote = scratch.dialect.identifier_preparer.quote
    try:
        for schema, name in plan.databases.items():
            # The right to drop it is needed first.
            scratch.exec_driver_sql(f"DROP DATABASE IF EXISTS {quote(name)}")
            charset = (
                "CHARACTER SET {} COLLATE {}".format(*c)
                if (c := collations.get(schema or default or ""))
                else ""
            )
            scratch.exec_driver_sql(f"CREATE DATABASE {quote(name)} {charset}")
    except _REFUSALS as exc:
        if error_number(exc) in _FORBIDDEN:
            raise _NotGrantedError from exc
        if error_number(exc) in _READ_ONLY:
            raise _no_place(exc) from None
        raise
    try:
        of.create(scratch, tables, plan.databases, custom=False)
    except _REFUSALS as exc:
        if error_number(exc) in _FORBIDDEN:
            raise _NotGrantedError from exc
        raise
    return Scratch(scratch, Places(plan.databases))


def _create_copies(of: TargetEngine, scratch: Connection, plan: Plan, tables: Sequence[Table]) -> Scratch:
    default = of.default_schema(scratch)
    keys = [(table.schema, table.name) for table in tables]
    plan.tables = {key: plan.name(number) for number, key in enumerate(keys)}
    constraints: dict[str, str] = {}
    dialect = _copying(scratch.dialect, plan, constraints)
    statements = of.render(tables, dialect)
    quote = scratch.dialect.identifier_preparer.quote
    scratch.exec_driver_sql(f"DROP TABLE IF EXISTS {', '.join(map(quote, plan.tables.values()))}")
    of.execute(scratch, [statement for statement in statements if statement.is_wanted((), custom=False)])
    schemas: dict[str | None, str | None] = dict.fromkeys([None, *sorted(schemas_of(tables))], default)
    constraints |= {made: name for name, made in plan.sequences.items()}
    return Scratch(scratch, CopyPlaces(schemas, plan.tables, constraints), _note(scratch, schemas))


def _note(scratch: Connection, schemas: dict[str | None, str | None]) -> str | None:
    default = schemas[None] or ""
    collations = default_collations(scratch, [default, *(schema for schema in schemas if schema)])
    others = [s for s in schemas if s and collations.get(s, collations[default]) != collations[default]]
    return _COLLATION_NOTE.format(schemas=", ".join(others)) if others else None


def _copying(dialect: Dialect, plan: Plan, constraints: dict[str, str]) -> Dialect:
    """A dialect that writes the names of the copies. Foreign keys and checks are named once in a database: they too."""
    base: Any = type(dialect.identifier_preparer)
    by_constraint: dict[object, str] = {}

    class CopyPreparer(base):  # type: ignore[misc]
        def format_table(self, table: Table, use_schema: bool = True, name: str | None = None) -> str:
            return str(self.quote(plan.tables[table.schema, table.name]))

        def format_constraint(self, constraint: Any, **options: Any) -> str | None:
            name = super().format_constraint(constraint, _alembic_quote=False)
            if name is None or not isinstance(constraint, ForeignKeyConstraint | CheckConstraint):
                found: str | None = super().format_constraint(constraint, **options)
                return found
            made = by_constraint.setdefault(constraint, plan.name(f"c{len(by_constraint)}"))
            constraints[made] = str(name)
            return str(self.quote(made))

        def format_sequence(self, sequence: Any, use_schema: bool = True) -> str:
            made = plan.sequences.setdefault(sequence.name, plan.name(f"s{len(plan.sequences)}"))
            return str(self.quote(made))

    copied = copy.copy(dialect)
    copied.identifier_preparer = CopyPreparer(copied)
    return copied


def new_token(connection: Connection) -> tuple[str, int]:
    """A name for a new place, and the server's time in seconds since 1970."""
    now = int(connection.exec_driver_sql("SELECT UNIX_TIMESTAMP()").scalar_one())
    return f"{now:08x}{uuid4().hex[:6]}", now


def take_lock(connection: Connection, name: str, seconds: int = 0) -> bool:
    """Take a lock of the server. False where another session holds it, or the server has no such locks, as some clusters."""
    with suppress(DBAPIError):
        return connection.execute(_GET_LOCK, {"name": name, "seconds": seconds}).scalar() == 1
    return False


def release_lock(connection: Connection, name: str) -> None:
    """Give a lock back; one that is not held is no error."""
    with suppress(DBAPIError):
        connection.execute(_RELEASE_LOCK, {"name": name})


def end_session(connection: Connection, session: int, lock: str) -> None:
    """End a session that may still be at work, and wait until it has ended."""
    with suppress(DBAPIError):
        connection.exec_driver_sql(f"KILL {session}")
    take_lock(connection, lock, seconds=10)
    release_lock(connection, lock)


def _drop_abandoned(connection: Connection, now: int) -> None:
    """Drop what killed processes left. What cannot be dropped stays for the next time."""
    left: dict[str, tuple[list[str], list[str]]] = {}
    for kind, name in connection.execute(_SCRATCH_PLACES, {"like": SHADOW_PREFIX.replace("_", r"\_") + "%"}):
        found = _NAME.fullmatch(name)
        if found and now - int(found["clock"], 16) >= _ABANDONED_AFTER:
            left.setdefault(found["token"], ([], []))[kind].append(name)
    for token, (databases, tables) in left.items():
        lock = SHADOW_PREFIX + token
        if take_lock(connection, lock):
            with suppress(DBAPIError):
                _drop(connection, databases, tables)
            connection.execute(_RELEASE_LOCK, {"name": lock})


def _drop(
    connection: Connection, databases: Iterable[str], tables: Iterable[str], sequences: Iterable[str] = ()
) -> None:
    """Drop scratch databases and copies that may refer to one another."""
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
    try:
        for name in databases:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {quote(name)}")
        if names := ", ".join(map(quote, tables)):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {names}")
        for name in sequences:
            connection.exec_driver_sql(f"DROP SEQUENCE IF EXISTS {quote(name)}")
    finally:
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")


def error_number(exc: BaseException) -> int:
    """The server's error number; 0 for an error of the client alone."""
    original = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
    found = original.args[0] if original.args else 0
    return found if isinstance(found, int) else 0


def _no_place(exc: BaseException) -> NoScratchPlaceError:
    number = error_number(exc)
    original = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
    sentence = str(original.args[1]) if len(original.args) > 1 else ""
    return NoScratchPlaceError(
        "no scratch place can be made for the comparison",
        seen=f"error {number} {sentence}".strip(),
        expected=f"the right to create and drop databases named {SHADOW_PREFIX}…, or tables in the target's own",
        next_step="validate on the primary server, or let the server write"
        if number in _READ_ONLY
        else r"GRANT ALL ON `datakit\_shadow\_%`.* to this user",
    )


_GET_LOCK = text("SELECT GET_LOCK(:name, :seconds)")
_RELEASE_LOCK = text("SELECT RELEASE_LOCK(:name)")
_SCRATCH_PLACES = text(
    "SELECT 0, SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE :like"
    " UNION ALL SELECT 1, TABLE_NAME FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE :like"
)
