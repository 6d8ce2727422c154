"""Read MySQL and MariaDB: lines of CSV that the server writes, through pymysql into Arrow's CSV reader, in constant memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.connections import Connection as PyMySQLConnection

from sqlmodel_framework.base.connectors.base import ForeignKey, TableDescription
from sqlmodel_framework.base.connectors.csv_decoding import Decoded, Decoder, delivered
from sqlmodel_framework.base.connectors.mysql_config import MySQLConfig
from sqlmodel_framework.base.connectors.mysql_errors import driver_error_of, raise_refusal
from sqlmodel_framework.base.connectors.mysql_reading import KeyedTable, groups_of_lines, lines
from sqlmodel_framework.base.connectors.mysql_types import describe_columns, quoted
from sqlmodel_framework.base.connectors.source_columns import (
    OnUnrepresentable,
    chosen_columns,
    refuse_options,
    refuse_unknown,
)
from sqlmodel_framework.base.errors import ConfigurationError, DatakitError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from sqlalchemy import Connection

__all__ = ["MySQLConfig", "MySQLConnector"]

_log = logging.getLogger(__name__)
# Zero dates and the like must come, and names are quoted by backticks.
_SESSION = "SET SESSION time_zone = '+00:00', sql_mode = ''"
_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


class MySQLConnector:
    """Reads one MySQL or MariaDB database. Holds no connection between calls; safe to share between threads."""

    def __init__(self, config: MySQLConfig) -> None:
        self.config = config

    @property
    def host(self) -> str | None:
        """The configured host, which Bronze rows are stamped with."""
        return self.config.host

    def test_connection(self) -> bool:
        """True when a query succeeds. The reason for False is logged as a warning; nothing is raised."""
        try:
            with self._session("test the connection") as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatakitError as exc:
            _log.warning("%s", exc)
            return False
        return True

    def get_connection(self) -> PyMySQLConnection[Any]:
        """A new pymysql connection, in UTC, which the caller closes. Raises ConfigurationError or TryAgainError."""
        return self._connect("connect")

    @contextmanager
    def connection_context(self) -> Iterator[Connection]:
        """A read-only SQLAlchemy connection in UTC, the kind that `pandas.read_sql` takes; closed at the end of the block.

        What the driver raises inside the block, wrapped by pandas or not, leaves it as ExtractionError or TryAgainError.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        def connect() -> PyMySQLConnection[Any]:
            connection = self.get_connection()
            connection.query("SET SESSION TRANSACTION READ ONLY")
            return connection

        engine = create_engine("mysql+pymysql://", creator=connect, poolclass=NullPool, hide_parameters=True)
        try:
            with engine.connect() as connection:
                yield connection
        # The DatabaseError of pandas is an OSError.
        except (SQLAlchemyError, pymysql.MySQLError, OSError) as exc:
            driver_error = driver_error_of(exc)
            if driver_error is None:
                raise
            raise_refusal(driver_error, self._where("read"))
        finally:
            engine.dispose()

    def get_tables(self, schema: str | None = None) -> list[str]:
        """Tables of a database (None: the configured one), sorted. Views are not listed, but can be read.

        Raises ExtractionError for a database that is not there.
        """
        with self._session("list tables") as connection, connection.cursor() as cursor:
            wanted = schema or self._database
            cursor.execute(_TABLES, (wanted,))
            tables = sorted(str(name) for (name,) in cursor.fetchall())
            if not tables:
                cursor.execute("SELECT schema_name FROM information_schema.schemata")
                refuse_unknown(
                    [wanted],
                    [str(name) for (name,) in cursor.fetchall()],
                    "database",
                    self._where("list tables"),
                )
        return tables

    def schema(self, table: str, *, query: bool = False) -> pa.Schema:
        """The Arrow schema of a table or of a query's result."""
        doing = f"describe {self._shown(table, query=query)}"
        with self._session(doing) as connection:
            return self._schema(connection, table, doing, query=query)

    def describe(self, table: str) -> TableDescription:
        """The Arrow schema, the keys and the server's estimate of the rows of a table. A view has no keys and no estimate."""
        doing = f"describe {self._shown(table, query=False)}"
        with self._session(doing) as connection:
            schema = self._schema(connection, table, doing, query=False)
            primary, unique, foreign = self._keys(connection, table)
            with connection.cursor() as cursor:
                cursor.execute(_STORAGE, (self._database, table))
                _, rows = cursor.fetchone() or (None, None)
        return TableDescription(table, schema, primary, unique, foreign, rows)

    def extract(
        self,
        table: str,
        *,
        query: bool = False,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        batch_size: int = 65_536,
        on_unrepresentable: OnUnrepresentable = "fail",
        on_reject: Callable[[pa.RecordBatch], None] | None = None,
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a table, or of a query when `query` is True, as batches of at most `batch_size` rows.

        There is at least one batch, without rows where the source has none. All rows are of one moment: one read-only
        transaction on a consistent snapshot, and one statement for tables without transactions. `columns` None means all of
        them. `where` is an SQL condition that the server evaluates; `parameters` are the values of its `%(name)s`, or of
        the query's.

        TIMESTAMP comes in UTC; `on_unrepresentable` says what becomes of zero dates and of times beyond a day, for all
        columns or by column, as for PostgreSQL.

        Raises ExtractionError when the server refuses or a value does not fit: the rows given until then are not the
        whole table.
        """
        doing = f"extract {self._shown(table, query=query)}"
        refuse_options(batch_size, on_unrepresentable, on_reject, self._where(doing))
        with self._session(doing) as connection:
            source = self._source(connection, table, parameters, doing, query=query)
            condition = self._bound(connection, where, parameters, doing) if where else ""
            every = describe_columns(connection, source, self._where(doing))
            chosen = chosen_columns(every, columns, on_unrepresentable, self._where(doing))
            decoder = Decoder(chosen, batch_size, self._where(doing))
            keyed = None if query else self._keyed(connection, table, source)
            if keyed:
                blocks = groups_of_lines(connection, chosen, keyed, condition, self._where(doing))
            else:
                blocks = lines(connection, chosen, source, condition, self._where(doing))
            yield from delivered(_decoded(blocks, decoder), decoder.schema, on_reject, self._where(doing))

    def count(
        self,
        table: str,
        *,
        query: bool = False,
        where: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> int:
        """The number of rows of a table or of a query's result, counted by the server."""
        doing = f"count {self._shown(table, query=query)}"
        with self._session(doing) as connection, connection.cursor() as cursor:
            source = self._source(connection, table, parameters, doing, query=query)
            condition = self._bound(connection, where, parameters, doing) if where else "1"
            cursor.execute(f"SELECT COUNT(*) FROM {source} WHERE ({condition}\n)")  # noqa: S608 - quoted, or as asked for
            (rows,) = cursor.fetchone() or (0,)
            return int(rows)

    def read_dataframe(self, table: str, *, query: bool = False, **options: Any) -> pd.DataFrame:
        """The rows as one DataFrame with Arrow-backed types. The options are those of `extract`."""
        import pandas as pd
        import pyarrow as pa

        result = pa.Table.from_batches(self.extract(table, query=query, **options))
        frame: pd.DataFrame = result.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    @property
    def _database(self) -> str:
        return self.config.database or ""

    def _schema(
        self, connection: PyMySQLConnection[Any], table: str, doing: str, *, query: bool
    ) -> pa.Schema:
        import pyarrow as pa

        source = self._source(connection, table, None, doing, query=query)
        return pa.schema(
            [column.field for column in describe_columns(connection, source, self._where(doing))]
        )

    def _source(
        self,
        connection: PyMySQLConnection[Any],
        table: str,
        parameters: Mapping[str, Any] | None,
        doing: str,
        *,
        query: bool,
    ) -> str:
        if query:
            return f"({self._bound(connection, table.rstrip().rstrip(';'), parameters, doing)}\n) AS q"
        return quoted(self._database, table) if self._database else quoted(table)

    def _bound(
        self, connection: PyMySQLConnection[Any], text: str, parameters: Mapping[str, Any] | None, doing: str
    ) -> str:
        """SQL text with the values of `%(name)s` in their places; None leaves the text as it is, percent signs too."""
        if parameters is None:
            return text
        try:
            with connection.cursor() as cursor:
                return str(cursor.mogrify(text, dict(parameters)))
        except (KeyError, TypeError, ValueError, pymysql.MySQLError):
            # The driver's message may quote the value.
            raise ConfigurationError(
                "the parameters do not fit the placeholders",
                where=self._where(doing),
                seen="parameters " + ", ".join(sorted(map(str, parameters))),
                expected="a value the driver knows for each %(name)s; a percent sign itself is %%",
            ) from None

    def _keyed(self, connection: PyMySQLConnection[Any], table: str, source: str) -> KeyedTable | None:
        """How a table can be read by ranges; None for one without transactions, whose moment is that of one statement."""
        with connection.cursor() as cursor:
            cursor.execute(_STORAGE, (self._database, table))
            engine, _ = cursor.fetchone() or (None, None)
            cursor.execute(_PRIMARY_KEY, (self._database, table))
            key = [(str(name), str(kind)) for name, kind in cursor.fetchall()]
        if engine != "InnoDB" or len(key) != 1 or key[0][1] not in _WHOLE_NUMBERS:
            return None
        return KeyedTable(source, quoted(key[0][0]))

    def _keys(
        self, connection: PyMySQLConnection[Any], table: str
    ) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[ForeignKey, ...]]:
        keys: dict[str, list[str]] = {}
        foreign: dict[str, tuple[list[str], str, list[str]]] = {}
        with connection.cursor() as cursor:
            cursor.execute(_KEYS, (self._database, table))
            for name, column, schema, referred, other in cursor.fetchall():
                if referred is None:
                    keys.setdefault(str(name), []).append(str(column))
                else:
                    place = str(referred) if schema == self._database else f"{schema}.{referred}"
                    own, _, others = foreign.setdefault(str(name), ([], place, []))
                    own.append(str(column))
                    others.append(str(other))
        primary = tuple(keys.pop("PRIMARY", ()))
        unique = tuple(tuple(columns) for _, columns in sorted(keys.items()))
        return (
            primary,
            unique,
            tuple(
                ForeignKey(tuple(own), place, tuple(others))
                for _, (own, place, others) in sorted(foreign.items())
            ),
        )

    def _where(self, doing: str) -> str:
        return f"{doing}, {self.config.address}"

    def _shown(self, table: str, *, query: bool) -> str:
        return "a query" if query else f"table {self._database}.{table}"

    def _connect(self, doing: str, **more: Any) -> PyMySQLConnection[Any]:
        try:
            return pymysql.connect(**{**self.config.driver_parameters(), "init_command": _SESSION, **more})
        except pymysql.MySQLError as exc:
            raise_refusal(exc, self._where(doing))

    @contextmanager
    def _session(self, doing: str) -> Iterator[PyMySQLConnection[Any]]:
        """A connection in one read-only transaction that sees one moment; closed at the end of the block."""
        connection = self._connect(doing)
        try:
            connection.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if self.config.statement_timeout:
                connection.query(_timeout(connection, self.config.statement_timeout))
            connection.query(_SNAPSHOT)
            yield connection
        except pymysql.MySQLError as exc:
            raise_refusal(exc, self._where(doing))
        finally:
            # Closed already where a reading was left before its end.
            if connection.open:
                connection.close()


def _timeout(connection: PyMySQLConnection[Any], seconds: float) -> str:
    """The setting of how long one statement may run."""
    version = str(connection.get_server_info())  # type: ignore[no-untyped-call]
    if "MariaDB" in version:
        return f"SET SESSION max_statement_time = {seconds:.3f}"
    return f"SET SESSION max_execution_time = {round(seconds * 1000)}"


def _decoded(blocks: Generator[bytes, None, None], decoder: Decoder) -> Generator[Decoded, None, None]:
    with closing(blocks):
        for block in blocks:
            yield decoder.decode(block)


_WHOLE_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TABLES = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
)
_STORAGE = (
    "SELECT engine, table_rows FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
)
_PRIMARY_KEY = (
    "SELECT column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = %s AND table_name = %s AND column_key = 'PRI' ORDER BY ordinal_position"
)
_KEYS = (
    "SELECT constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name"
    " FROM information_schema.key_column_usage WHERE table_schema = %s AND table_name = %s"
    " ORDER BY constraint_name, ordinal_position"
)
