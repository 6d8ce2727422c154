"""PostgreSQL as a target: a server that runs, or a private one for this process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.errors
from sqlalchemy import (
    ARRAY,
    Connection,
    Engine,
    Executable,
    ScalarSelect,
    Select,
    Table,
    TableClause,
    TextClause,
    bindparam,
    case,
    cast,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.connectors.postgres_errors import (
    connection_error,
    is_retryable,
    quotes_rows,
    server_refusal,
)
from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, DeploymentError, TryAgainError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import Capabilities, Key, Refusal, Scratch, TargetEngine
from sqlmodel_framework.engines.containers import start_container
from sqlmodel_framework.engines.ddl import SchemaMap, Statement, plain_dialect, render_create
from sqlmodel_framework.engines.embedded_postgres import create_private_database, let_server_stay
from sqlmodel_framework.engines.libpq_isolation import set_utc, without_environment
from sqlmodel_framework.engines.postgres_conditions import CONDITIONS
from sqlmodel_framework.engines.postgres_container import PostgresServer
from sqlmodel_framework.engines.postgres_mending import PostgresMending
from sqlmodel_framework.engines.postgres_reading import read_tables
from sqlmodel_framework.engines.postgres_rehearsal import check_deferred, make_rehearsal
from sqlmodel_framework.engines.postgres_shadow import scratch_place, search_only, spelled_again
from sqlmodel_framework.engines.reading import Places, Reading, TableKey

if TYPE_CHECKING:
    import pyarrow as pa

    from sqlmodel_framework.engines.fresh import TemplateDatabases
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["PostgresEngine"]

# What the server prints defaults and definitions by.
_PRINT_ALIKE = text(
    "SELECT set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),"
    " set_config('datestyle', 'ISO, MDY', true), set_config('extra_float_digits', '1', true),"
    " set_config('quote_all_identifiers', 'off', true), set_config('xmlbinary', 'base64', true),"
    " set_config('xmloption', 'content', true), set_config('lc_monetary', 'C', true)"
)
# Types that a kit uses and does not create are read with its columns.
_TYPES = text(
    "SELECT md5(string_agg(printed, ';' ORDER BY printed)) FROM ("
    " SELECT 'e' || t.oid::regtype || e.enumsortorder || e.enumlabel AS printed FROM pg_catalog.pg_enum e"
    "  JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid"
    " UNION ALL SELECT 'd' || t.oid::regtype || pg_catalog.format_type(t.typbasetype, t.typtypmod) || t.typnotnull"
    "  || coalesce(t.typdefault, '') || coalesce((SELECT string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' '"
    "  ORDER BY k.conname) FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid), '')"
    "  FROM pg_catalog.pg_type t WHERE t.typtype = 'd' AND t.typnamespace <> 'information_schema'::regnamespace) one"
)
# Unless the user has set a time-out.
_WAIT_FOR_LOCKS = text(
    "SELECT set_config('lock_timeout', '10s', true) WHERE current_setting('lock_timeout') = '0'"
)


class PostgresEngine(TargetEngine):
    """PostgreSQL. Sessions are in UTC; DDL goes to the server in one batch inside one transaction."""

    kind = "postgres"
    capabilities = Capabilities(
        transactional_ddl=True,
        cross_schema_foreign_keys=True,
        native_enum=True,
        time_zones=True,
        named_schema="a schema of that name, created where it is missing",
        name_limit=63,
        late_checks=True,
        also_called=(("postgresql", "did you mean postgres?"),),
        remedies=(("characters", "a database that is created with ENCODING UTF8"),),
    )
    connection_options = frozenset(
        [
            "application_name",
            "channel_binding",
            "connect_timeout",
            "gssencmode",
            "hostaddr",
            "keepalives",
            "keepalives_count",
            "keepalives_idle",
            "keepalives_interval",
            "krbsrvname",
            "options",
            "passfile",
            "service",
            "sslcert",
            "sslcrl",
            "sslkey",
            "sslmode",
            "sslrootcert",
            "target_session_attrs",
            "tcp_user_timeout",
        ]
    )
    driver_error = psycopg2.Error
    mending = PostgresMending
    conditions = CONDITIONS

    # connecting

    def url(self, target: TargetConfig) -> URL:
        password = target.password.get_secret_value() if target.password else None
        socket = {"host": target.socket} if target.socket else {}
        return URL.create(
            "postgresql+psycopg2",
            username=target.user,
            password=password,
            host=None if target.socket else target.host,
            port=target.port,
            database=target.database,
            query={**socket, **self.options_of(target)},
        )

    def async_url(self, target: TargetConfig) -> URL:
        options = self.options_of(target)
        query = {"ssl": options.pop("sslmode")} if "sslmode" in options else {}
        if not query and target.server_is_ours:
            # PGSSLMODE is about servers of the user.
            query = {"ssl": "prefer"}
        if options:
            raise ConfigurationError(
                "connection options that the async driver does not take",
                where=target.label,
                seen=", ".join(sorted(options)),
                expected="sslmode alone",
                next_step="set the others in libpq's environment, which asyncpg reads too",
            )
        url = self.url(target)
        return URL.create(
            "postgresql+asyncpg",
            username=url.username,
            password=url.password,
            host=url.host,
            port=url.port,
            database=url.database,
            query={**query, **({"host": target.socket} if target.socket else {})},
        )

    def start(self, target: TargetConfig) -> None:
        if target.conn_method == "embedded":
            create_private_database(target)
        elif target.conn_method == "container":
            start_container(target, PostgresServer())
        elif target.conn_method == "private":
            from sqlmodel_framework.engines.private_servers import PrivatePostgres, start_private

            start_private(target, PrivatePostgres)

    def connect(self, target: TargetConfig) -> Engine:
        given = target.options.get("options", "")
        arguments = {"options": f"{given} -c TimeZone=UTC".strip()}
        if "application_name" not in target.options:
            arguments["application_name"] = "datakit"
        if "connect_timeout" not in target.options:
            arguments["connect_timeout"] = "10"
        isolated = without_environment() if target.server_is_ours else {}
        isolated = {name: value for name, value in isolated.items() if name not in target.options}
        engine = create_engine(self.url(target), hide_parameters=True, connect_args={**isolated, **arguments})
        event.listen(engine, "connect", set_utc)
        return engine

    def translate(self, exc: BaseException, where: str) -> DatakitError:
        assert isinstance(exc, psycopg2.Error)
        if exc.pgcode is None and isinstance(exc, psycopg2.OperationalError) and exc.cursor is None:
            return connection_error(exc, where)
        return server_refusal(exc, where, DeploymentError, "PostgreSQL refused a statement")

    def quotes_rows(self, exc: BaseException) -> bool:
        return isinstance(exc, psycopg2.Error) and quotes_rows(exc)

    # schemas

    def default_schema(self, connection: Connection) -> str | None:
        return connection.dialect.default_schema_name

    def missing_schemas(self, connection: Connection, schemas: Iterable[str]) -> list[str]:
        rows = connection.execute(text("SELECT nspname FROM pg_catalog.pg_namespace"))
        existing = {str(name) for (name,) in rows}
        return [schema for schema in schemas if schema not in existing]

    def render_schemas(
        self, schemas: Iterable[str], dialect: Dialect, target: TargetConfig
    ) -> list[Statement]:
        """The statements that make these named schemas; `public` is there from the start."""
        return super().render_schemas(set(schemas) - {"public"}, dialect, target)

    # deploying

    def offline_dialect(self) -> Dialect:
        dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]
        # The oldest server that its makers still support; without a version SQLAlchemy plans for one before 10.
        dialect.server_version_info = (14, 0)
        return dialect

    def existing_tables(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        return _keys(connection, _TABLES_OF_USERS, schemas)

    def existing_free_standing(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        return _keys(connection, _FREE_STANDING, schemas)

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
        """Write the statements in a thread while the server runs those that are written already."""
        self._check_names(tables)
        queue: SimpleQueue[Statement | None] = SimpleQueue()

        def write() -> None:
            try:
                render_create(tables, connection.dialect, schema_map, queue.put)
            finally:
                queue.put(None)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            for batch in _batches(queue):
                self.execute(connection, [s for s in batch if s.is_wanted(existing, custom=custom)], done)
            writing.result()

    def execute(
        self,
        connection: Connection,
        statements: Sequence[Statement],
        done: Callable[[Statement], object] = id,
    ) -> None:
        """Run all statements in one round trip."""
        if not statements:
            return
        batch = ";\n".join(statement.text for statement in statements)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(batch)
        finally:
            cursor.close()
        for statement in statements:
            done(statement)

    # validating

    def read(self, connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
        if not connection.in_transaction():
            # Both of a table's queries see one state of it, whatever others do meanwhile.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        search_only(connection, [places.schemas[None], connection.dialect.default_schema_name])
        connection.execute(_WAIT_FOR_LOCKS)
        connection.execute(_PRINT_ALIKE)
        try:
            return read_tables(connection, tables, places)
        except DBAPIError as exc:
            if isinstance(exc.orig, psycopg2.errors.InternalError_):
                # "cache lookup failed", "could not open relation with OID": the catalog's functions see drops at once.
                raise TryAgainError(
                    "tables were changed while they were read", seen="SQLSTATE XX000", next_step="try again"
                ) from exc
            raise

    def reading_key(self, connection: Connection, schemas: SchemaMap) -> str:
        names = ("server_version", "search_path", "default_table_access_method", "default_toast_compression")
        settings = [
            connection.execute(text("SELECT current_setting(:name, true)"), {"name": name}).scalar()
            for name in names
        ]
        types = connection.execute(_TYPES).scalar()
        return f"{connection.dialect.default_schema_name} {settings} {types}"

    @contextmanager
    def shadow(self, engine: Engine, connection: Connection, tables: Sequence[Table]) -> Iterator[Scratch]:
        """Use schemas of a transaction that is rolled back, so not even a killed process leaves them behind."""
        with scratch_place(connection, tables, partial(self.create, custom=False)) as scratch:
            yield scratch

    def with_other_spellings(self, scratch: Scratch, reading: Reading) -> Reading:
        return spelled_again(scratch, reading)

    # rows

    def insert(self, connection: Connection, table: Table, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert by COPY; tables with array columns go by statements. A sequence goes on behind the largest number, as elsewhere."""
        if any(isinstance(column.type, ARRAY) for column in table.columns):
            rows = super().insert(connection, table, batches)
        else:
            from sqlmodel_framework.engines.postgres_copy import copy_batches

            rows = copy_batches(connection, table, batches)
        numbered = table.autoincrement_column
        if rows and numbered is not None:
            name = plain_dialect(connection.dialect).identifier_preparer.format_table(table)
            largest = select(func.max(numbered)).scalar_subquery()
            connection.execute(_count_on(name, numbered.name, largest))
        return rows

    # proving

    def rehearsal(
        self, live: LiveTarget, connection: Connection, tables: Sequence[Table]
    ) -> AbstractContextManager[Scratch]:
        """Use the tables themselves; see `postgres_rehearsal`."""
        places = Places(live.places(connection, tables))
        return make_rehearsal(live.sql, connection, tables, places, _WAIT_FOR_LOCKS)

    def why_refused(self, exc: BaseException) -> Refusal:
        assert isinstance(exc, psycopg2.Error)
        if is_retryable(exc):
            return "busy"
        return _REFUSALS.get(exc.pgcode, "other") if exc.pgcode else "unsent"

    def insert_of(self, table: Table, into: TableClause) -> Executable:
        """An identity that is always generated takes a value when it is overridden: SQLAlchemy has no word for that."""
        if not any(column.identity is not None and column.identity.always for column in table.columns):
            return super().insert_of(table, into)
        preparer = plain_dialect(self.offline_dialect()).identifier_preparer
        names = ", ".join(preparer.quote(column.name) for column in into.c)
        start = f"INSERT INTO {preparer.format_table(into)} ({names})".replace(":", r"\:")
        values = ", ".join(f":p{number}" for number in range(len(into.c)))
        given = [bindparam(f"p{number}", type_=column.type) for number, column in enumerate(into.c)]
        return text(f"{start} OVERRIDING SYSTEM VALUE VALUES ({values})").bindparams(*given)

    def check_deferred(
        self, scratch: Scratch, tables: Sequence[Table], waiting: Collection[Key] = ()
    ) -> Mapping[TableKey, list[tuple[str, ...]]]:
        return check_deferred(scratch, tables, waiting)

    # testing

    def template_databases(self) -> type[TemplateDatabases]:
        from sqlmodel_framework.engines.postgres_fresh import PostgresDatabases

        return PostgresDatabases

    def let_server_stay(self, target: TargetConfig) -> str | None:
        if target.conn_method == "embedded":
            return let_server_stay()
        return super().let_server_stay(target)


def _count_on(table: str, column: str, largest: ScalarSelect[Any]) -> Select[Any]:
    """Set the column's own sequence to the largest value, if it is behind and may be set."""
    own = cast(func.pg_get_serial_sequence(table, column), REGCLASS)
    found = select(own.label("sequence"), largest.label("largest")).subquery()
    behind = found.c.largest > func.coalesce(func.pg_sequence_last_value(found.c.sequence), 0)
    allowed = func.has_sequence_privilege(found.c.sequence, "UPDATE")
    return select(func.setval(found.c.sequence, found.c.largest)).where(
        found.c.sequence.is_not(None), case((found.c.sequence.is_not(None), behind & allowed), else_=False)
    )


_TABLES_OF_USERS = text(
    """
    SELECT n.nspname, c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY (:schemas)
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    """
)

_FREE_STANDING = text(
    """
    SELECT n.nspname, t.typname
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd') AND n.nspname = ANY (:schemas)
    UNION ALL
    SELECT n.nspname, c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname = ANY (:schemas)
    """
)


_REFUSALS: dict[str, Refusal] = {
    "23502": "null",
    "22001": "length",
    "22003": "range",
    "22008": "range",
    "22P02": "enum",
    "22P05": "characters",
    "22021": "characters",
    "23503": "foreign key",
    "23505": "duplicate",
    "23514": "check",
    "42501": "rights",
    "25006": "rights",
}


def _batches(queue: SimpleQueue[Statement | None]) -> Iterator[list[Statement]]:
    """What the queue holds by now, at least one item, until None comes."""
    more = True
    while more:
        items = [queue.get(), *(queue.get() for _ in range(queue.qsize()))]
        more = items[-1] is not None
        yield [statement for statement in items if statement is not None]


def _keys(connection: Connection, query: TextClause, schemas: SchemaMap) -> set[TableKey]:
    rows = connection.execute(query, {"schemas": list(schemas.values())})
    return {(schema, str(name)) for place, name in rows for schema, home in schemas.items() if home == place}
