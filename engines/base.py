"""What every engine does. The default lives here; an engine's file holds only what differs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from sqlalchemy import Connection, Engine, Executable, Table, TableClause, bindparam, create_engine, insert
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.schema import CreateSchema, DropSchema

from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    DeploymentError,
    MissingExtraError,
    TryAgainError,
)
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.column_facts import ColumnFacts
from sqlmodel_framework.engines.conditions import Conditions
from sqlmodel_framework.engines.ddl import SchemaMap, Statement, plain_dialect, render_create
from sqlmodel_framework.engines.mending import TableMending
from sqlmodel_framework.engines.reading import Places, Reading, TableKey

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlmodel_framework.engines.fresh import TemplateDatabases
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = [
    "Capabilities",
    "Created",
    "Refusal",
    "Rule",
    "Scratch",
    "TargetEngine",
    "engine_of",
    "installed_engines",
]


Rule = Literal["null", "length", "range", "enum", "foreign key", "duplicate", "check"]
"""What the DDL of a class forbids a row: a null, a text too long, a number out of range, a member the enum does not have, …"""

Refusal = Literal[
    "null",
    "length",
    "range",
    "enum",
    "foreign key",
    "duplicate",
    "check",
    "characters",
    "rights",
    "busy",
    "unsent",
    "other",
]
"""Why a database refused a row: by a rule, for its characters, for want of a right, for a lock; `unsent`: the driver alone refused it."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; code, docs and tests read this.

    `name_limit` is the longest identifier in `name_unit`; None means no limit. `named_schema` says what a schema of a
    class becomes. `columns` says what columns keep.
    `enforces` are the rules by which this kind of database refuses rows, in a table that has them. `late_checks` says
    whether a deferred foreign key can be checked without a commit. `names_checks`: a refusal by a CHECK tells
    its name. `also_called` are other names that people give this kind of database, with what is to be said then; `remedies` say what helps against a refusal that only this kind has.
    """

    transactional_ddl: bool
    cross_schema_foreign_keys: bool
    native_enum: bool
    time_zones: bool
    named_schema: str
    name_limit: int | None
    name_unit: str = "bytes"
    enforces: frozenset[Rule] = frozenset(get_args(Rule))
    late_checks: bool = False
    names_checks: bool = True
    columns: ColumnFacts = field(default_factory=ColumnFacts)
    also_called: tuple[tuple[str, str], ...] = ()
    remedies: tuple[tuple[Refusal, str], ...] = ()


@dataclass
class Created:
    """What deployments made and so may drop: nothing else is ever dropped.

    `free_standing` holds types and sequences as the statements that made them.
    """

    schemas: list[str] = field(default_factory=list)
    free_standing: list[Statement] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def add(self, other: Created) -> None:
        """Take over another record; what was made again counts once."""
        self.schemas = list(dict.fromkeys([*self.schemas, *other.schemas]))
        self.free_standing = list(dict.fromkeys([*self.free_standing, *other.free_standing]))
        self.tables = list({(t.schema, t.name): t for t in (*self.tables, *other.tables)}.values())

    @property
    def is_empty(self) -> bool:
        """Nothing was created, or all of it was dropped."""
        return not (self.schemas or self.free_standing or self.tables)


Key = tuple[TableKey, tuple[str, ...]]
"""A key of a table, by its columns."""


@dataclass(frozen=True)
class Scratch:
    """A scratch place: a connection to it, and where the tables stand there. `note` says what this kind of place cannot show.

    `closed` are tables in which no row may be tried, with the reason. `others` connects to what others have committed
    since the place was made; None where nobody else can write there.
    """

    connection: Connection
    places: Places
    note: str | None = None
    closed: Mapping[TableKey, str] = field(default_factory=dict)
    others: Engine | None = None


class TargetEngine(ABC):
    """One kind of database as a target."""

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    connection_options: ClassVar[frozenset[str]]
    driver_error: ClassVar[type[Exception]]
    mending: ClassVar[type[TableMending]] = TableMending
    conditions: ClassVar[Conditions] = Conditions()

    # connecting

    @abstractmethod
    def url(self, target: TargetConfig) -> URL:
        """The SQLAlchemy URL, built from parts. `start` has run."""

    @abstractmethod
    def async_url(self, target: TargetConfig) -> URL:
        """The URL of the same database for the async driver."""

    def start(self, target: TargetConfig) -> None:  # noqa: B027 - most need nothing
        """Bring up what the target needs, such as a private server; register on the target what ends it again."""

    def connect(self, target: TargetConfig) -> Engine:
        """Make the SQLAlchemy engine; nothing is connected yet."""
        return create_engine(self.url(target), hide_parameters=True)

    def connect_async(self, target: TargetConfig) -> AsyncEngine:
        """Make the async engine of the same database. Raises MissingExtraError without the extra `async`."""
        from sqlalchemy.ext.asyncio import create_async_engine

        try:
            return create_async_engine(self.async_url(target), hide_parameters=True)
        except ImportError as exc:
            raise MissingExtraError("async", needed_for="an async engine") from exc

    @contextmanager
    def errors(self, target: TargetConfig, doing: str) -> Iterator[None]:
        """Turn the driver's errors into ours while `doing` something. A cause that quotes rows is not chained."""
        where = f"{doing}, {target.label}"
        try:
            yield
        except DatakitError:
            raise
        except DBAPIError as exc:
            original = exc.orig or exc
            raise self._error_of(original, target, where) from (None if self.quotes_rows(original) else exc)
        except StatementError:
            raise DeploymentError("a value does not fit its column's type", where=where) from None
        except self.driver_error as exc:
            raise self._error_of(exc, target, where) from (None if self.quotes_rows(exc) else exc)

    def _error_of(self, exc: BaseException, target: TargetConfig, where: str) -> DatakitError:
        error = self.translate(exc, where)
        ended = target.server_ended() if target.server_ended and isinstance(error, TryAgainError) else None
        if ended is None:
            return error
        return TryAgainError(
            "the server of a target has ended",
            where=where,
            seen=ended,
            next_step="try again; in Python close() the target first, it then starts a new one",
        )

    @abstractmethod
    def translate(self, exc: BaseException, where: str) -> DatakitError:
        """Our error for one of the driver's, most specific first, without row values."""

    def quotes_rows(self, exc: BaseException) -> bool:
        """True where the text of the driver's error may hold values of rows."""
        return False

    # schemas

    @abstractmethod
    def default_schema(self, connection: Connection) -> str | None:
        """The schema that tables without one stand in, by the name reflection takes."""

    def attach_schemas(  # noqa: B027 - most need nothing
        self, live: LiveTarget, schemas: Iterable[str], *, create: bool = True
    ) -> None:
        """Make named schemas reachable on every connection, where the database needs that; `create` those that are not there."""

    @abstractmethod
    def missing_schemas(self, connection: Connection, schemas: Iterable[str]) -> list[str]:
        """Those of the schemas that are not there."""

    def render_schemas(
        self, schemas: Iterable[str], dialect: Dialect, target: TargetConfig
    ) -> list[Statement]:
        """The statements that make these named schemas on an empty target."""
        return [_create_schema(schema, dialect) for schema in sorted(schemas)]

    def create_schema(self, connection: Connection, schema: str) -> None:
        """Create a named schema."""
        self.execute(connection, [_create_schema(schema, connection.dialect)])

    def drop_schema(self, connection: Connection, schema: str) -> None:
        """Drop a named schema that is empty."""
        connection.execute(DropSchema(schema))

    def drop_tables(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Drop tables that may refer to one another, and nothing that others made."""
        names = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in tables)
        if names:
            connection.exec_driver_sql(f"DROP TABLE {names}")

    def drop_free_standing(self, connection: Connection, statements: Sequence[Statement]) -> None:
        """Drop the types and sequences that these statements created."""
        quote = connection.dialect.identifier_preparer.quote
        for statement in statements:
            name = ".".join(quote(part) for part in (statement.schema, statement.name) if part)
            connection.exec_driver_sql(f"DROP {statement.free_standing} IF EXISTS {name}")

    # deploying

    @abstractmethod
    def offline_dialect(self) -> Dialect:
        """The dialect to plan for without a server."""

    def offline_places(self, target: TargetConfig, schemas: Iterable[str]) -> SchemaMap | None:
        """Where the schemas stand, if that changes the DDL and is known without a server."""
        return None

    @abstractmethod
    def existing_tables(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        """Tables in these schemas, without those that belong to the server or an extension."""

    def existing_free_standing(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        """Types and sequences that stand by themselves in these schemas; engines without such have none."""
        return set()

    def render(
        self, tables: Sequence[Table], dialect: Dialect, schema_map: SchemaMap | None = None
    ) -> list[Statement]:
        """The statements that create these tables. Raises DeploymentError for names over the engine's limit."""
        self._check_names(tables)
        return render_create(tables, dialect, schema_map)

    def create(
        self,
        connection: Connection,
        tables: Sequence[Table],
        schema_map: SchemaMap | None = None,
        *,
        existing: Container[TableKey] = (),
        custom: bool = True,
        done: Callable[[Statement], object] = id,
    ) -> None:
        """Create the tables, without the types and sequences that exist; `done` as in `execute`.

        A scratch place takes no `custom` DDL: it may name the real tables.
        """
        rendered = self.render(tables, connection.dialect, schema_map)
        self.execute(connection, [s for s in rendered if s.is_wanted(existing, custom=custom)], done)

    def replace(
        self,
        live: LiveTarget,
        connection: Connection,
        old: Sequence[Table],
        tables: Sequence[Table],
        schema_map: SchemaMap | None = None,
        *,
        existing: Set[TableKey] = frozenset(),
        done: Callable[[Statement], object] = id,
    ) -> None:
        """Drop the old tables and create these in their place; a failure leaves the old ones with their rows.

        Of the types and sequences that exist, those of the old tables are made again; `done` as in `execute`.
        """
        self.drop_tables(connection, old)
        stale = [s for s in self.render(old, connection.dialect) if s.makes_again(existing)]
        self.drop_free_standing(connection, stale)
        still = existing - {(statement.schema, statement.name) for statement in stale}
        self.create(connection, tables, schema_map, existing=still, done=done)

    def execute(
        self,
        connection: Connection,
        statements: Sequence[Statement],
        done: Callable[[Statement], object] = id,
    ) -> None:
        """Run DDL statements in order, in the connection's transaction; `done` is told of each that succeeded."""
        if not connection.in_transaction():
            connection.begin()
        cursor = connection.connection.cursor()
        try:
            for statement in statements:
                cursor.execute(statement.text)
                done(statement)
        finally:
            cursor.close()

    # validating

    @abstractmethod
    def read(self, connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
        """Read these tables in bulk: a fixed number of queries, whatever the number of tables."""

    @abstractmethod
    def reading_key(self, connection: Connection, schemas: SchemaMap) -> str:
        """What, beside the DDL of tables in these schemas, decides how the server prints a table: its version and the settings that it reads."""

    @abstractmethod
    def shadow(
        self, engine: Engine, connection: Connection, tables: Sequence[Table]
    ) -> AbstractContextManager[Scratch]:
        """Create the tables in an empty scratch place of the same server; it is gone at the end in every case.

        `connection` is open on the target. Raises NoScratchPlaceError where no place can be made.
        """

    def with_other_spellings(self, scratch: Scratch, reading: Reading) -> Reading:
        """The reading of a scratch place, with the other print of those definitions that the server prints in two ways."""
        return reading

    def refuse_if_absent(self, target: TargetConfig) -> None:  # noqa: B027 - servers answer for themselves
        """Raise ConfigurationError where a database that is only to be read is not there."""

    # rows

    def insert(self, connection: Connection, table: Table, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert record batches whose columns are columns of the table; gives the number of rows.

        Raises RowError for values that the type of their column refuses.
        """
        from sqlmodel_framework.engines.insert_rows import insert_batch

        rows = 0
        for batch in batches:
            if batch.num_rows:
                insert_batch(connection, table, batch)
            rows += batch.num_rows
        return rows

    # proving

    @abstractmethod
    def rehearsal(
        self, live: LiveTarget, connection: Connection, tables: Sequence[Table]
    ) -> AbstractContextManager[Scratch]:
        """A place where rows of the tables as they are may be written, and of which nothing stays in any case.

        `connection` is open on the target. Raises NoScratchPlaceError where no place can be made.
        """

    @abstractmethod
    def why_refused(self, exc: BaseException) -> Refusal:
        """Why the database refused a row, from one of the driver's errors."""

    def insert_of(self, table: Table, into: TableClause) -> Executable:
        """The INSERT that gives the columns of `into`, which stands for `table`, values; those that number themselves, too.

        Its parameters are `p0`, `p1`, … in the order of the columns.
        """
        return insert(into).values(
            {column: bindparam(f"p{number}", type_=column.type) for number, column in enumerate(into.c)}
        )

    def check_deferred(
        self, scratch: Scratch, tables: Sequence[Table], waiting: Collection[Key] = ()
    ) -> Mapping[TableKey, list[tuple[str, ...]]]:
        """Check deferred keys of these tables now, and from now on at once; those in `waiting` stay deferred.

        Gives the columns of keys that do not hold, by table: they stay deferred, too. Most databases check all keys at
        once, or at the end alone.
        """
        return {}

    # testing

    @abstractmethod
    def template_databases(self) -> type[TemplateDatabases]:
        """The class that makes databases for tests here; only now is it imported."""

    def let_server_stay(self, target: TargetConfig) -> str | None:
        """Have a server that was started for this target outlive this process; gives the command that ends it.

        None where there is no such server, and where it stays by itself.
        """
        if target.conn_method != "private":
            return None
        from sqlmodel_framework.engines.private_servers import let_server_stay

        return let_server_stay(target)

    # shared

    def options_of(self, target: TargetConfig) -> dict[str, str]:
        """The target's connection options. Raises ConfigurationError for one that the engine does not know."""
        unknown = sorted(set(target.options) - self.connection_options)
        if unknown:
            raise ConfigurationError(
                "unknown connection option",
                where=target.label,
                seen=", ".join(unknown),
                expected="one of " + ", ".join(sorted(self.connection_options)),
            )
        return dict(target.options)

    def _check_names(self, tables: Sequence[Table]) -> None:
        limit = self.capabilities.name_limit
        if limit is None:
            return
        for table in tables:
            for name in (table.schema or "", table.name, *(column.name for column in table.columns)):
                size = len(name.encode()) if self.capabilities.name_unit == "bytes" else len(name)
                if size > limit:
                    raise DeploymentError(
                        f"a name is too long for {self.kind}",
                        where=f"table {table.fullname}, name {name}",
                        seen=f"{size} {self.capabilities.name_unit}",
                        expected=f"at most {limit}",
                        next_step="give the table or column a shorter name",
                    )


def _create_schema(schema: str, dialect: Dialect) -> Statement:
    return Statement(
        "CreateSchema", schema, schema, str(CreateSchema(schema).compile(dialect=plain_dialect(dialect)))
    )


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group="sqlmodel_framework.engines"):
        if point.name in found:
            raise ConfigurationError(
                "two installed packages define an engine of the same type", seen=point.name
            )
        found[point.name] = point
    return found


@cache
def _load(kind: str) -> TargetEngine:
    engine: TargetEngine = _entry_points()[kind].load()()
    return engine


def installed_engines() -> Mapping[str, TargetEngine]:
    """All engines by target type, from the entry points `sqlmodel_framework.engines`; a duplicate type is an error."""
    return {kind: _load(kind) for kind in sorted(_entry_points())}


def engine_of(target: TargetConfig) -> TargetEngine:
    """The engine of a target's type; only its own driver is imported."""
    if target.type not in _entry_points():
        raise ConfigurationError(
            "no engine of this type is installed",
            where=target.label,
            seen=target.type,
            expected="one of " + ", ".join(sorted(_entry_points())),
            next_step="install the package again, so that its entry points are registered",
        )
    return _load(target.type)
