"""MySQL and MariaDB as targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

import pymysql
from sqlalchemy import Connection, Engine, Table, bindparam, create_engine, text
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    DeploymentError,
    PasswordNeededError,
    TryAgainError,
)
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.config.variables import environment_name
from sqlmodel_framework.engines.base import Capabilities, Refusal, Scratch, TargetEngine
from sqlmodel_framework.engines.column_facts import ColumnFacts
from sqlmodel_framework.engines.containers import start_container
from sqlmodel_framework.engines.ddl import SchemaMap, Statement
from sqlmodel_framework.engines.mysql_conditions import CONDITIONS
from sqlmodel_framework.engines.mysql_container import MySQLServer
from sqlmodel_framework.engines.mysql_mending import MySQLMending
from sqlmodel_framework.engines.mysql_reading import read_tables
from sqlmodel_framework.engines.mysql_rehearsal import make_rehearsal
from sqlmodel_framework.engines.mysql_replace import refuse_if_referred, replace_tables
from sqlmodel_framework.engines.mysql_shadow import make_shadow
from sqlmodel_framework.engines.reading import Places, Reading, TableKey

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from sqlmodel_framework.engines.fresh import TemplateDatabases
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["MySQLEngine"]

_SESSION = "SET SESSION time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
_TRY_AGAIN = {1040, 1053, 1205, 1213, 2002, 2003, 2006, 2013}
_CONFIGURATION = {1044, 1045, 1049, 1698, 2005, 2026, 2054, 2061}
# The server's sentences about DDL, rights and connections; any other may hold the value of a row.
_SAFE_NUMBERS = (
    "1005 1007 1008 1022 1040 1044 1045 1046 1049 1050 1051 1053 1054 1059 1060 1061 1063"
    " 1064 1067 1068 1069 1070 1071 1072 1073 1074 1075 1091 1101 1103 1113 1115 1117 1118"
    " 1128 1142 1143 1146 1163 1167 1170 1171 1205 1213 1215 1217 1227 1239 1251 1273 1286"
    " 1290 1293 1294 1305 1364 1370 1419 1451 1452 1553 1698 1792 1813 1822 1824 1825 1826"
    " 1828 1830 1831 1836 1901 3730 3734 3756 3780 3813 3820 4025"
)
_SAFE_SENTENCES = {*map(int, _SAFE_NUMBERS.split()), *range(2000, 3000)}
# What stands for sentences that may hold the value of a row.
_OWN_WORDS = {
    1366: "a character that the column's character set does not have, or a value of another type",
    1300: "a character that the connection's character set does not have",
    1441: "a time beyond the range of the type",
    1406: "the value is too long for the column",
    1264: "the number is beyond the range of the column",
    1265: "the value does not fit the column",
    1292: "no value of the column's type",
    3988: "a character that the column's character set does not have",
    1062: "the key is there already",
}
_LOCK_WAIT = 10
_NEXT_STEPS = {
    1044: "ask for the right to use this database",
    1045: "check the user and the password",
    1049: "create the database or name one that exists",
    1142: "ask for the right that the message names",
    1698: "give the password of this user, or connect through the socket",
}


class MySQLEngine(TargetEngine):
    """MySQL and MariaDB. Sessions are in UTC and strict; DDL cannot be rolled back here, so a failure is undone by drops."""

    kind = "mysql"
    capabilities = Capabilities(
        transactional_ddl=False,
        cross_schema_foreign_keys=True,
        native_enum=True,
        time_zones=False,
        named_schema="a database of that name on the same server, created where it is missing",
        name_limit=64,
        name_unit="characters",
        columns=ColumnFacts(
            decimal_digits=(10, 0),
            single_floats=frozenset({"FLOAT"}),
            fraction_digits=0,
            name_case=False,
            index_bytes=3072,
            sized_index_texts=True,
            indexes_foreign_keys=True,
            foreign_key_suffix="_ibfk_1",
            zero_numbers=True,
            moment_variant="mysql.DATETIME(fsp=6), 'mysql', 'mariadb'",
        ),
        also_called=(("mariadb", "did you mean mysql? It stands for MariaDB, too"),),
        remedies=(("characters", "ALTER DATABASE … CHARACTER SET utf8mb4 before the tables are made"),),
    )
    connection_options = frozenset(
        {"charset", "connect_timeout", "read_timeout", "ssl_ca", "ssl_cert", "ssl_key", "write_timeout"}
    )
    driver_error = pymysql.MySQLError
    mending = MySQLMending
    conditions = CONDITIONS

    # connecting

    def url(self, target: TargetConfig) -> URL:
        if not target.database:
            raise ConfigurationError(
                "no database is named",
                where=target.label,
                next_step=f"name it with --database or {environment_name(target.name, 'database')}",
            )
        password = target.password.get_secret_value() if target.password else None
        socket = {"unix_socket": target.socket} if target.socket else {}
        return URL.create(
            "mysql+pymysql",
            username=target.user,
            password=password,
            host=target.host or (None if target.socket else "127.0.0.1"),
            port=target.port,
            database=target.database,
            query={"charset": "utf8mb4", **socket, **self.options_of(target)},
        )

    def async_url(self, target: TargetConfig) -> URL:
        return self.url(target).set(drivername="mysql+aiomysql")

    def start(self, target: TargetConfig) -> None:
        if target.conn_method == "container":
            start_container(target, MySQLServer())
        elif target.conn_method == "private":
            from sqlmodel_framework.engines.private_servers import PrivateMySQL, start_private

            start_private(target, PrivateMySQL)

    def connect(self, target: TargetConfig) -> Engine:
        return create_engine(self.url(target), hide_parameters=True, connect_args={"init_command": _SESSION})

    def connect_async(self, target: TargetConfig) -> AsyncEngine:
        from sqlalchemy import event

        engine = super().connect_async(target)

        @event.listens_for(engine.sync_engine, "connect")
        def _on_connect(raw: object, _: object) -> None:
            cursor = raw.cursor()  # type: ignore[attr-defined]
            cursor.execute(_SESSION)
            cursor.close()

        return engine

    def translate(self, exc: BaseException, where: str) -> DatakitError:
        number = _number_of(exc)
        sentence = str(exc.args[1]) if len(exc.args) > 1 and not self.quotes_rows(exc) else ""
        seen = f"error {number} {sentence or _OWN_WORDS.get(number, '')}".strip()
        next_step = _NEXT_STEPS.get(number)
        if number in _TRY_AGAIN or (number == 0 and isinstance(exc, pymysql.InterfaceError)):
            return TryAgainError(
                "MySQL is not reachable or busy", where=where, seen=seen, next_step="try again"
            )
        if number in _CONFIGURATION:
            kind = PasswordNeededError if "using password: NO" in sentence else ConfigurationError
            return kind("MySQL refused the connection", where=where, seen=seen, next_step=next_step)
        return DeploymentError("MySQL refused a statement", where=where, seen=seen, next_step=next_step)

    def quotes_rows(self, exc: BaseException) -> bool:
        return _number_of(exc) not in _SAFE_SENTENCES

    # schemas

    def default_schema(self, connection: Connection) -> str | None:
        return connection.dialect.default_schema_name

    def missing_schemas(self, connection: Connection, schemas: Iterable[str]) -> list[str]:
        rows = connection.execute(text("SELECT schema_name FROM information_schema.schemata"))
        existing = {str(name) for (name,) in rows}
        return [schema for schema in schemas if schema not in existing]

    def render_schemas(
        self, schemas: Iterable[str], dialect: Dialect, target: TargetConfig
    ) -> list[Statement]:
        """The statements that make these named schemas; the target's own database has to be there."""
        return super().render_schemas(set(schemas) - {target.database or ""}, dialect, target)

    def drop_schema(self, connection: Connection, schema: str) -> None:
        """Drop a database that is empty; MySQL itself would drop whatever is in it."""
        left = [str(name) for (name,) in connection.execute(_OBJECTS, {"schema": schema})]
        if left:
            raise DeploymentError(
                "a schema cannot be dropped: it holds objects of others",
                where=f"schema {schema}",
                seen=", ".join(left[:5]),
                next_step="move them, then clean up again",
            )
        super().drop_schema(connection, schema)

    def drop_tables(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Drop tables in one go with key checks off, after making sure that nobody else's key points at them."""
        default = str(connection.dialect.default_schema_name)
        refuse_if_referred(
            connection, {(table.schema or default, table.name): table.name for table in tables}
        )
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        try:
            super().drop_tables(connection, tables)
        finally:
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")

    # deploying

    def offline_dialect(self) -> Dialect:
        dialect = MySQLDialect_pymysql()
        dialect.server_version_info = (8, 0, 0)
        return dialect

    def offline_places(self, target: TargetConfig, schemas: Iterable[str]) -> SchemaMap | None:
        """Beside named schemas the default one is named too: a key's table is looked for beside the key's own."""
        named: dict[str | None, str | None] = {schema: schema for schema in schemas}
        return {None: target.database, **named} if named and target.database else None

    def existing_tables(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        rows = connection.execute(_TABLES, {"schemas": list(set(schemas.values()))})
        return {
            (schema, str(name)) for place, name in rows for schema, home in schemas.items() if home == place
        }

    def existing_free_standing(self, connection: Connection, schemas: SchemaMap) -> set[TableKey]:
        """Sequences, which MariaDB has."""
        rows = connection.execute(_SEQUENCES, {"schemas": list(set(schemas.values()))})
        return {
            (schema, str(name)) for place, name in rows for schema, home in schemas.items() if home == place
        }

    def render(
        self, tables: Sequence[Table], dialect: Dialect, schema_map: SchemaMap | None = None
    ) -> list[Statement]:
        for table in tables:
            _check_key_names(table)
        return super().render(tables, dialect, schema_map)

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
        """Exchange the old tables for the new ones by one RENAME TABLE; see `mysql_replace`."""
        replace_tables(live, connection, old, tables, schema_map, existing=existing, done=done)

    # validating

    def read(self, connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
        """Read these tables. A table that another session is changing is waited for, ten seconds a query at most."""
        before = connection.exec_driver_sql("SELECT @@SESSION.lock_wait_timeout").scalar_one()
        connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT}")
        try:
            return read_tables(connection, tables, places)
        finally:
            with suppress(DBAPIError):
                connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {int(before)}")

    def reading_key(self, connection: Connection, schemas: SchemaMap) -> str:
        """Settings, and the default collations of the databases; one that is not there yet is like the target's own."""
        settings = sorted(map(tuple, connection.execute(_SETTINGS)))
        own, *others = connection.execute(_COLLATIONS).all()
        named = set(schemas.values())
        different = sorted(tuple(row) for row in others if row[0] in named and row[1:] != own[1:])
        return repr((settings, tuple(own)[1:], different))

    def shadow(
        self, engine: Engine, connection: Connection, tables: Sequence[Table]
    ) -> AbstractContextManager[Scratch]:
        """Use scratch databases on the same server, or copies in the target's own; see `mysql_shadow`."""
        return make_shadow(self, engine, connection, tables)

    # proving

    def rehearsal(
        self, live: LiveTarget, connection: Connection, tables: Sequence[Table]
    ) -> AbstractContextManager[Scratch]:
        """Use copies of the tables in scratch databases; see `mysql_rehearsal`."""
        return make_rehearsal(live.sql, connection, tables)

    def why_refused(self, exc: BaseException) -> Refusal:
        number = _number_of(exc)
        if number in _TRY_AGAIN or isinstance(exc, pymysql.InterfaceError):
            return "busy"
        return _REFUSALS.get(number, "other") if number else "unsent"

    # testing

    def template_databases(self) -> type[TemplateDatabases]:
        from sqlmodel_framework.engines.mysql_fresh import MySQLDatabases

        return MySQLDatabases


_REFUSALS: dict[int, Refusal] = {
    1048: "null",
    1364: "null",
    1406: "length",
    1264: "range",
    1292: "range",
    1265: "enum",
    1366: "characters",
    1300: "characters",
    3988: "characters",
    1452: "foreign key",
    1216: "foreign key",
    1062: "duplicate",
    1022: "duplicate",
    1586: "duplicate",
    3819: "check",
    4025: "check",
    **dict.fromkeys((1044, 1142, 1143, 1227, 1290, 1792, 1836, 1874, 3989), "rights"),
}
_OBJECTS = text(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = :schema"
    " UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = :schema"
    " UNION ALL SELECT event_name FROM information_schema.events WHERE event_schema = :schema"
)
_TABLES = text(
    "SELECT table_schema, table_name FROM information_schema.tables"
    " WHERE table_type = 'BASE TABLE' AND table_schema IN :schemas"
    r" AND table_name NOT LIKE 'datakit\_shadow\_%'"
).bindparams(bindparam("schemas", expanding=True))

_SEQUENCES = text(
    "SELECT table_schema, table_name FROM information_schema.tables"
    " WHERE table_type = 'SEQUENCE' AND table_schema IN :schemas"
    r" AND table_name NOT LIKE 'datakit\_shadow\_%'"
).bindparams(bindparam("schemas", expanding=True))
_SETTINGS = text(
    "SHOW VARIABLES WHERE variable_name IN ('version', 'version_comment', 'sql_mode', 'old_mode', 'time_zone',"
    " 'default_storage_engine', 'innodb_default_row_format', 'innodb_strict_mode', 'innodb_page_size',"
    " 'explicit_defaults_for_timestamp', 'lower_case_table_names', 'collation_server', 'collation_connection',"
    " 'default_collation_for_utf8mb4', 'character_set_collations', 'default_table_encryption',"
    " 'sql_generate_invisible_primary_key', 'show_gipk_in_create_table_and_information_schema')"
)
_COLLATIONS = text(
    "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata"
    " WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
    r" AND schema_name NOT LIKE 'datakit\_shadow\_%' ORDER BY schema_name <> DATABASE(), schema_name"
)


def _check_key_names(table: Table) -> None:
    """InnoDB names an unnamed foreign key after its table; of the 64 characters it leaves 56 (seen on MariaDB 10.11)."""
    suffix = len("_ibfk_10")
    if len(table.name) + suffix > 64 and any(key.name is None for key in table.foreign_key_constraints):
        raise DeploymentError(
            "mysql names the foreign keys of this table <table>_ibfk_<number>, and that name is too long",
            where=f"table {table.fullname}",
            seen=f"{len(table.name) + suffix} characters",
            expected="at most 64",
            next_step="give the foreign key a name, or the table a shorter one",
        )


def _number_of(exc: BaseException) -> int:
    """The server's error number; 0 for an error of the client alone."""
    return exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0
