"""Read MySQL and MariaDB: lines of CSV that the server writes, through pymysql into Arrow's CSV reader, in constant memory."""

from __future__ import annotations

import configparser
import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.connections import Connection as PyMySQLConnection
from pymysql.converters import encoders

from sqlmodel_framework.base.connectors.base import TableDescription
from sqlmodel_framework.base.connectors.csv_decoding import Decoded, Decoder, delivered
from sqlmodel_framework.base.connectors.mysql_catalog import keys_of, storage_of, tables_of
from sqlmodel_framework.base.connectors.mysql_config import MySQLConfig
from sqlmodel_framework.base.connectors.mysql_errors import connection_error, driver_error_of, raise_refusal
from sqlmodel_framework.base.connectors.mysql_reading import KeyedTable, groups_of_lines, lines
from sqlmodel_framework.base.connectors.mysql_types import describe_columns, quoted
from sqlmodel_framework.base.connectors.source_columns import (
    OnUnrepresentable,
    chosen_columns,
    refuse_options,
)
from sqlmodel_framework.base.errors import ConfigurationError, DatakitError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from sqlalchemy import Connection

__all__ = ["MySQLConfig", "MySQLConnector"]

_log = logging.getLogger(__name__)
# Zero dates come, all rows come, and a consumer may take its time.
_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = '', sql_select_limit = 18446744073709551615, sql_big_selects = 1,"
    " net_write_timeout = 86400, wait_timeout = 86400"
)
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
        with self._session("list tables") as connection:
            return tables_of(
                connection, schema or self._database(connection, "list tables"), self._where("list tables")
            )

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
            place = (self._database(connection, doing), table)
            keys = keys_of(connection, *place)
            rows = storage_of(connection, *place).rows
        return TableDescription(table, schema, keys.primary, keys.unique, keys.foreign, rows)

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
            # A condition is worked out once, at one moment, and by its own index.
            keyed = None if query or condition else self._keyed(connection, table, doing)
            if keyed:
                blocks = groups_of_lines(connection, chosen, keyed, self._where(doing))
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
        return quoted(self._database(connection, doing), table)

    def _database(self, connection: PyMySQLConnection[Any], doing: str) -> str:
        """The session's database: the option file may have named it. Raises ConfigurationError where there is none."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT DATABASE()")
            (name,) = cursor.fetchone() or (None,)
        if name is None:
            raise ConfigurationError(
                "no database is named", where=self._where(doing), next_step="give database"
            )
        return str(name)

    def _bound(
        self, connection: PyMySQLConnection[Any], text: str, parameters: Mapping[str, Any] | None, doing: str
    ) -> str:
        """SQL text with the values of `%(name)s` in their places; None leaves the text as it is, percent signs too."""
        if parameters is None:
            return text
        try:
            with connection.cursor() as cursor:
                return str(cursor.mogrify(text, {name: _sent(value) for name, value in parameters.items()}))
        except (KeyError, TypeError, ValueError, pymysql.MySQLError):
            # The driver's message may quote the value.
            raise ConfigurationError(
                "the parameters do not fit the placeholders",
                where=self._where(doing),
                seen="parameters " + ", ".join(sorted(map(str, parameters))),
                expected="a value the driver knows for each %(name)s; a percent sign itself is %%",
            ) from None

    def _keyed(self, connection: PyMySQLConnection[Any], table: str, doing: str) -> KeyedTable | None:
        """How a table can be read by ranges; None for one without transactions, whose moment is that of one statement."""
        database = self._database(connection, doing)
        storage = storage_of(connection, database, table)
        if storage.engine != "InnoDB" or storage.number_key is None:
            return None
        return KeyedTable(quoted(database, table), quoted(storage.number_key))

    def _where(self, doing: str) -> str:
        return f"{doing}, {self.config.address}"

    def _shown(self, table: str, *, query: bool) -> str:
        return (
            "a query"
            if query
            else f"table {self.config.database}.{table}"
            if self.config.database
            else f"table {table}"
        )

    def _connect(self, doing: str) -> PyMySQLConnection[Any]:
        file = self.config.option_file
        if file and not os.access(Path(file).expanduser(), os.R_OK):
            raise ConfigurationError("the option file cannot be read", where=self._where(doing), seen=file)
        try:
            return pymysql.connect(**self.config.driver_parameters(), init_command=_SESSION)
        except (pymysql.MySQLError, configparser.Error, OSError, ValueError) as exc:
            error = connection_error(exc, self._where(doing))
        # Not in the block: what is raised there keeps the other error, whose words may hold a password.
        raise error

    @contextmanager
    def _session(self, doing: str) -> Iterator[PyMySQLConnection[Any]]:
        """A connection in one read-only transaction that sees one moment; closed at the end of the block."""
        connection = self._connect(doing)
        try:
            connection.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for setting in _limits(connection, self.config):
                connection.query(f"SET SESSION {setting}")
            connection.query(_SNAPSHOT)
            yield connection
        except pymysql.MySQLError as exc:
            raise_refusal(exc, self._where(doing))
        finally:
            # Closed already where a reading was left before its end.
            if connection.open:
                connection.close()


def _limits(connection: PyMySQLConnection[Any], config: MySQLConfig) -> Iterator[str]:
    """Settings of how long a statement may run and wait, and how long the session may be idle."""
    mariadb = "MariaDB" in str(connection.get_server_info())  # type: ignore[no-untyped-call]
    if config.lock_timeout is not None:
        yield f"lock_wait_timeout = {max(1, round(config.lock_timeout))}"
    if mariadb:
        yield "idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0"
    if config.statement_timeout is not None:
        seconds = config.statement_timeout
        yield (
            f"max_statement_time = {seconds:.3f}"
            if mariadb
            else f"max_execution_time = {round(seconds * 1000)}"
        )


def _sent(value: Any) -> Any:
    """A value that the driver knows: the session is in UTC. Raises TypeError for one that it would send as its repr."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, list | tuple | set | frozenset):
        if not value:
            raise ValueError("no value")
        return [_sent(one) for one in value]
    if type(value) not in encoders:
        raise TypeError("a type that the driver does not know")
    return value


def _decoded(blocks: Generator[bytes, None, None], decoder: Decoder) -> Generator[Decoded, None, None]:
    with closing(blocks):
        for block in blocks:
            yield decoder.decode(block)
