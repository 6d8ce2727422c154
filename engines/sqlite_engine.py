"""SQLite as a target: in memory or in a file; named schemas are attached databases."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4
from weakref import WeakSet

from sqlalchemy import Connection, Engine, Table, column, create_engine, delete, event, select, table
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import SAWarning
from sqlalchemy.schema import sort_tables

from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    DeploymentError,
    TryAgainError,
)
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import Capabilities, Refusal, Scratch, TargetEngine
from sqlmodel_framework.engines.column_facts import ColumnFacts
from sqlmodel_framework.engines.conditions import Arithmetic, Conditions
from sqlmodel_framework.engines.ddl import SchemaMap, Statement, schemas_of
from sqlmodel_framework.engines.reading import Places, Reading, TableKey
from sqlmodel_framework.engines.sqlite_files import (
    is_frozen,
    keep_alive,
    memory_uri,
    remove_when_done,
    schema_file,
    without_file,
)
from sqlmodel_framework.engines.sqlite_mending import SQLiteMending
from sqlmodel_framework.engines.sqlite_reading import read_tables
from sqlmodel_framework.engines.sqlite_rehearsal import make_rehearsal

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlmodel_framework.engines.fresh import TemplateDatabases
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["SQLiteEngine"]


class SQLiteEngine(TargetEngine):
    """SQLite. Foreign keys are enforced; each connection has its own transaction, in memory too."""

    kind = "sqlite"
    capabilities = Capabilities(
        transactional_ddl=True,
        cross_schema_foreign_keys=False,
        native_enum=False,
        time_zones=False,
        named_schema="an attached database: <file>.<schema><suffix> beside the file, or a second one in memory",
        name_limit=None,
        enforces=frozenset({"null", "foreign key", "duplicate", "check"}),
        columns=ColumnFacts(
            exact_decimals=False,
            integer_bits=64,
            single_floats=frozenset(),
            sized_floats=False,
            comments=False,
            name_case=False,
            # It numbers the rows of an INTEGER PRIMARY KEY alone, and that has 64 bits.
            counting_variant="Integer(), 'sqlite'",
        ),
        names_checks=False,
        also_called=(("sqlite3", "did you mean sqlite?"),),
    )
    connection_options = frozenset({"timeout"})
    driver_error = sqlite3.Error
    mending = SQLiteMending
    conditions = Conditions(arithmetic=Arithmetic(exact=False))

    def __init__(self) -> None:
        self._started: WeakSet[TargetConfig] = WeakSet()

    # connecting

    def url(self, target: TargetConfig) -> URL:
        return URL.create("sqlite+pysqlite", database=_database(target), query=_query(target))

    def async_url(self, target: TargetConfig) -> URL:
        return self.url(target).set(drivername="sqlite+aiosqlite")

    def start(self, target: TargetConfig) -> None:
        """Give an in-memory target its name, and keep it alive by one open connection."""
        self.options_of(target)
        self._started.add(target)
        if target.conn_method == "memory":
            target.database = f"/datakit-{uuid4().hex}"
            keep_alive(target, memory_uri(target.database))
            return
        path = Path(str(target.database))
        if not path.resolve().parent.is_dir():
            raise ConfigurationError(
                "the folder of a SQLite file does not exist", where=target.label, seen=str(path.parent)
            )
        remove_when_done(target, path)

    def connect(self, target: TargetConfig) -> Engine:
        engine = create_engine(
            self.url(target), hide_parameters=True, connect_args=self._connect_args(target)
        )
        _configure(engine, target)
        return engine

    def connect_async(self, target: TargetConfig) -> AsyncEngine:
        engine = super().connect_async(target)
        _configure(engine.sync_engine, target)
        return engine

    def translate(self, exc: BaseException, where: str) -> DatakitError:
        code = getattr(exc, "sqlite_errorname", "")
        if "too many attached databases" in str(exc):
            return DeploymentError(
                "the classes name more schemas than SQLite can attach to one connection",
                where=where,
                seen=str(exc),
                next_step="use fewer named schemas, or deploy and validate parts of the datakit by themselves",
            )
        for starts, error, what, next_step in _ERRORS:
            if code.startswith(starts):
                return error(what, where=where, seen=code, next_step=next_step)
        seen = code if code.startswith("SQLITE_CONSTRAINT") else f"{code} {exc}".strip()
        return DeploymentError("SQLite refused a statement", where=where, seen=seen)

    # schemas

    def default_schema(self, connection: Connection) -> str | None:
        return None

    def attach_schemas(self, live: LiveTarget, schemas: Iterable[str], *, create: bool = True) -> None:
        """Attach a database for each named schema on every connection from now on."""
        wanted, target = set(schemas), live.target
        absent = set() if create or target.conn_method != "file" else without_file(target, wanted)
        waiting = live.absent_schemas & wanted
        if wanted <= live.attached_schemas and waiting == absent:
            return
        for schema in (wanted - live.attached_schemas | waiting) - absent:
            if target.conn_method == "file":
                remove_when_done(target, schema_file(Path(str(target.database)), schema))
            else:
                keep_alive(target, memory_uri(f"{target.database}-{schema}"))
        # New sets: connections of other threads may be going over the old ones.
        live.attached_schemas = live.attached_schemas | wanted
        live.absent_schemas = live.absent_schemas - wanted | absent
        live.sql.dispose()

    def missing_schemas(self, connection: Connection, schemas: Iterable[str]) -> list[str]:
        return []

    def render_schemas(
        self, schemas: Iterable[str], dialect: Dialect, target: TargetConfig
    ) -> list[Statement]:
        """Comments with what is attached on every connection: no DDL makes a schema here."""
        memory = target.conn_method == "memory"
        quote = dialect.identifier_preparer.quote
        return [
            Statement(
                "AttachDatabase", schema, schema, f"-- ATTACH DATABASE {_literal(place)} AS {quote(schema)}"
            )
            for schema in sorted(schemas)
            for place in [":memory:" if memory else str(schema_file(Path(str(target.database)), schema))]
        ]

    def drop_tables(self, connection: Connection, tables: Sequence[Table]) -> None:
        _refuse_if_others_refer(connection, tables)
        preparer = connection.dialect.identifier_preparer
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for doomed in tables:
            connection.execute(delete(doomed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # a cycle has no order, and is empty by now
            parents_first = sort_tables(tables)
        for doomed in reversed(parents_first):
            connection.exec_driver_sql(f"DROP TABLE {preparer.format_table(doomed)}")

    # deploying

    def offline_dialect(self) -> Dialect:
        return SQLiteDialect_pysqlite()

    def existing_tables(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        found: set[TableKey] = set()
        for schema, place in schemas.items():
            master = table("sqlite_master", column("name"), column("type"), schema=place or "main")
            rows = connection.execute(
                select(master.c.name).where(
                    master.c.type == "table", master.c.name.not_like("sqlite\\_%", escape="\\")
                )
            )
            inner = _inner_tables(connection, place or "main")
            found.update((schema, str(name)) for (name,) in rows if name not in inner)
        return found

    # validating

    def read(self, connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
        return read_tables(connection, tables, places)

    def reading_key(self, connection: Connection, schemas: SchemaMap) -> str:
        return str(connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())

    @contextmanager
    def shadow(self, engine: Engine, connection: Connection, tables: Sequence[Table]) -> Iterator[Scratch]:
        scratch = create_engine("sqlite://", hide_parameters=True)
        schemas = sorted(schemas_of(tables))
        quoted = connection.dialect.identifier_preparer.quote
        try:
            with scratch.connect() as scratch_connection:
                for schema in schemas:
                    scratch_connection.exec_driver_sql(f"ATTACH DATABASE ':memory:' AS {quoted(schema)}")
                self.create(scratch_connection, tables, custom=False)
                yield Scratch(scratch_connection, Places({None: None, **{name: name for name in schemas}}))
        finally:
            scratch.dispose()

    def refuse_if_absent(self, target: TargetConfig) -> None:
        """Opening a file that is not there would create it; one that this target made before may be gone again."""
        path = Path(str(target.database))
        if target.conn_method != "file" or target in self._started or path.exists():
            return
        raise ConfigurationError(
            "the database file does not exist",
            where=target.label,
            seen=str(path.absolute()),
            next_step="correct the path, or deploy first: that creates the file",
        )

    # proving

    def rehearsal(
        self, live: LiveTarget, connection: Connection, tables: Sequence[Table]
    ) -> AbstractContextManager[Scratch]:
        """Use the tables themselves; see `sqlite_rehearsal`."""
        return make_rehearsal(connection, Places(live.places(connection, tables)))

    def why_refused(self, exc: BaseException) -> Refusal:
        code = getattr(exc, "sqlite_errorname", None)
        if code is None:
            return "unsent"
        return next((reason for starts, reason in _REFUSALS if code.startswith(starts)), "other")

    # testing

    def template_databases(self) -> type[TemplateDatabases]:
        from sqlmodel_framework.engines.sqlite_fresh import SQLiteDatabases

        return SQLiteDatabases

    # shared

    def _connect_args(self, target: TargetConfig) -> dict[str, Any]:
        options = self.options_of(target)
        return {"timeout": float(options["timeout"])} if "timeout" in options else {}


_ERRORS: tuple[tuple[tuple[str, ...], type[DatakitError], str, str], ...] = (
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED"),
        TryAgainError,
        "the SQLite database is locked by another connection",
        "end that transaction",
    ),
    (
        ("SQLITE_NOTADB",),
        ConfigurationError,
        "the SQLite file cannot be opened as a database",
        "give the path of a SQLite file; one that is encrypted cannot be read",
    ),
    (
        ("SQLITE_CANTOPEN", "SQLITE_AUTH"),
        ConfigurationError,
        "the SQLite file cannot be opened as a database",
        "check the path and the rights on the file and its folder",
    ),
    (("SQLITE_FULL",), DeploymentError, "the disk is full", "free space and run again"),
    (
        ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_IOERR"),
        DeploymentError,
        "the SQLite file cannot be written",
        "check the rights on the file and its folder",
    ),
)


_REFUSALS: tuple[tuple[str, Refusal], ...] = (
    ("SQLITE_CONSTRAINT_NOTNULL", "null"),
    ("SQLITE_CONSTRAINT_UNIQUE", "duplicate"),
    ("SQLITE_CONSTRAINT_PRIMARYKEY", "duplicate"),
    ("SQLITE_CONSTRAINT_ROWID", "duplicate"),
    ("SQLITE_CONSTRAINT_FOREIGNKEY", "foreign key"),
    ("SQLITE_CONSTRAINT_CHECK", "check"),
    ("SQLITE_READONLY", "rights"),
    ("SQLITE_AUTH", "rights"),
    ("SQLITE_PERM", "rights"),
    ("SQLITE_CANTOPEN", "rights"),
    ("SQLITE_BUSY", "busy"),
    ("SQLITE_LOCKED", "busy"),
)


def _database(target: TargetConfig) -> str:
    if target.conn_method == "memory":
        return f"file:{target.database}"
    path = Path(str(target.database))
    return f"file:{quote(str(path.resolve()))}" if is_frozen(path) else str(path)


def _query(target: TargetConfig) -> dict[str, str]:
    if target.conn_method == "memory":
        return {"vfs": "memdb", "uri": "true"}
    return {"immutable": "1", "uri": "true"} if is_frozen(Path(str(target.database))) else {}


def _inner_tables(connection: Connection, place: str) -> set[str]:
    """Tables in which a virtual table keeps its rows."""
    listed = connection.exec_driver_sql(
        f"PRAGMA {connection.dialect.identifier_preparer.quote(place)}.table_list"
    )
    return {str(row[1]) for row in listed if row[2] == "shadow"}


def _refuse_if_others_refer(connection: Connection, doomed: Sequence[Table]) -> None:
    """Emptying a table deletes the rows of others that refer to it with ON DELETE CASCADE."""
    quoted = connection.dialect.identifier_preparer.quote
    for schema in {one.schema for one in doomed}:
        ours = {one.name for one in doomed if one.schema == schema}
        place = quoted(schema or "main")
        listed = connection.exec_driver_sql(f"PRAGMA {place}.table_list").all()
        for name in sorted(row[1] for row in listed if row[0] == (schema or "main") and row[2] == "table"):
            keys = connection.exec_driver_sql(f"PRAGMA {place}.foreign_key_list({quoted(name)})").all()
            referred = sorted({str(key[2]) for key in keys} & ours)
            if name not in ours and referred:
                raise DeploymentError(
                    "a table cannot be dropped: another one refers to it",
                    where=f"table {referred[0]}",
                    seen=f"a foreign key of {name}",
                    next_step="drop that foreign key first",
                )


def _configure(engine: Engine, target: TargetConfig) -> None:
    live: LiveTarget = target.live

    @event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _: Any) -> None:
        # pysqlite opens no transaction before DDL and loses savepoints; SQLAlchemy's BEGIN below does both right.
        raw.isolation_level = None
        cursor = raw.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        for schema in sorted(live.attached_schemas):
            _attach(raw, target, schema, absent=schema in live.absent_schemas)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def _attach(raw: Any, target: TargetConfig, schema: str, *, absent: bool) -> None:
    quoted = '"' + schema.replace('"', '""') + '"'
    database = str(target.database)
    place = str(schema_file(Path(database), schema))
    if absent:
        place = ":memory:"
    elif target.conn_method == "memory":
        place = memory_uri(f"{database}-{schema}")
    cursor = raw.cursor()
    cursor.execute(f"ATTACH DATABASE ? AS {quoted}", (place,))
    cursor.close()


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
