"""Read PostgreSQL: COPY TO STDOUT through psycopg2 into Arrow's CSV reader, in constant memory.

psycopg2's libpq speaks GSSAPI, so a Kerberos ticket works as it does for psql.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from pydantic import SecretStr

from sqlmodel_framework.base.connectors.postgres_copy import read_copy
from sqlmodel_framework.base.connectors.postgres_errors import (
    connection_error,
    driver_error_of,
    raise_refusal,
)
from sqlmodel_framework.base.connectors.postgres_types import SourceColumn, describe_columns, refuse_unusable
from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, ExtractionError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case
    from sqlalchemy import Connection

__all__ = ["PostgresConfig", "PostgresConnector"]

_log = logging.getLogger(__name__)

# Text forms that keep every digit, whatever the server's or the role's settings are.
_SESSION = "-c TimeZone=UTC -c DateStyle=ISO -c bytea_output=hex -c extra_float_digits=3"
# The driver's own reading of intervals knows the style "postgres" alone.
_COPY_SESSION = f"{_SESSION} -c IntervalStyle=iso_8601"
_DRIVER_SESSION = f"{_SESSION} -c IntervalStyle=postgres"


@dataclass(frozen=True, kw_only=True)
class PostgresConfig:
    """How to reach a PostgreSQL source. None leaves a value to libpq: its environment, .pgpass and defaults.

    `use_kerberos` authenticates by the ticket in the credential cache and sends no password; `gssencmode` is then
    `prefer` unless given. `schema` is where tables without a schema are looked up. `connect_timeout` is in seconds.
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None
    username: str | None = None
    password: SecretStr | str | None = None
    use_kerberos: bool = False
    gssencmode: str | None = None
    krbsrvname: str | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    schema: str = "public"
    connect_timeout: int = 10
    application_name: str = "datakit"

    def __post_init__(self) -> None:
        if isinstance(self.password, str):
            object.__setattr__(self, "password", SecretStr(self.password))
        if self.use_kerberos and self.password is not None:
            raise ConfigurationError(
                "a password and Kerberos are both given",
                where=self.address,
                next_step="leave the password out",
            )

    @property
    def address(self) -> str:
        """The source without password: safe to show."""
        user = f"{self.username}@" if self.username else ""
        port = f":{self.port}" if self.port else ""
        return f"source postgresql://{user}{self.host or 'default host'}{port}/{self.database or ''}"

    def libpq_parameters(self, options: str) -> dict[str, Any]:
        """Arguments of psycopg2.connect; `options` are server settings. The password is in plain text here."""
        password = self.password.get_secret_value() if isinstance(self.password, SecretStr) else None
        parameters = {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.username,
            "password": password,
            "gssencmode": self.gssencmode or ("prefer" if self.use_kerberos else None),
            "krbsrvname": self.krbsrvname,
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "connect_timeout": self.connect_timeout,
            "application_name": self.application_name,
            "client_encoding": "UTF8",
            "options": options,
        }
        return {name: value for name, value in parameters.items() if value is not None}


class PostgresConnector:
    """Reads one PostgreSQL database. Holds no connection between calls; safe to share between threads."""

    def __init__(self, config: PostgresConfig) -> None:
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

    def get_connection(self) -> PsycopgConnection:
        """A new psycopg2 connection, in UTC, which the caller closes. Raises ConfigurationError or TryAgainError."""
        return self._connect(_DRIVER_SESSION)

    @contextmanager
    def connection_context(self) -> Iterator[Connection]:
        """A read-only SQLAlchemy connection in UTC, the kind that `pandas.read_sql` takes; closed at the end of the block.

        What the driver raises inside the block, wrapped by pandas or not, leaves it as ExtractionError or TryAgainError.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        engine = create_engine(
            "postgresql+psycopg2://", creator=self.get_connection, poolclass=NullPool, hide_parameters=True
        )
        try:
            with engine.connect() as connection:
                yield connection.execution_options(postgresql_readonly=True)
        # The DatabaseError of pandas is an OSError.
        except (SQLAlchemyError, psycopg2.Error, OSError) as exc:
            driver_error = driver_error_of(exc)
            if driver_error is None:
                raise
            raise_refusal(driver_error, self._where("read"), ExtractionError, _REFUSED)
        finally:
            engine.dispose()

    def get_tables(self, schema: str | None = None) -> list[str]:
        """Tables of a schema (None: the configured one), sorted; a partitioned table is one, its partitions are none.

        Raises ExtractionError for a schema that is not there.
        """
        wanted = schema or self.config.schema
        doing = "list tables"
        with self._session(doing) as connection, connection.cursor() as cursor:
            cursor.execute(_TABLES, (wanted,))
            tables = [str(name) for (name,) in cursor.fetchall()]
            if not tables:
                cursor.execute(_SCHEMAS)
                _refuse_unknown(
                    [wanted], [name for (name,) in cursor.fetchall()], "schema", self._where(doing)
                )
        return tables

    def schema(self, table: str, *, query: bool = False) -> pa.Schema:
        """The Arrow schema of a table or of a query's result."""
        import pyarrow as pa

        doing = f"describe {self._shown(table, query=query)}"
        with self._session(doing) as connection:
            columns = describe_columns(connection, self._source(table, query=query), self._where(doing))
        return pa.schema([column.field for column in columns])

    def extract(
        self,
        table: str,
        *,
        query: bool = False,
        columns: Sequence[str] | None = None,
        batch_size: int = 65_536,
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a table, or of a query when `query` is True, as batches of at most `batch_size` rows.

        There is at least one batch, without rows where the source has none. All rows are of one moment (one
        repeatable-read, read-only transaction). `columns` None means all of them. Timestamps with time zone come in UTC,
        numeric without digits, intervals and arrays (as JSON) come as text. Raises ExtractionError when the server
        refuses or a value does not fit its Arrow type: the rows given until then are not the whole table.
        """
        doing = f"extract {self._shown(table, query=query)}"
        with self._session(doing) as connection:
            source = self._source(table, query=query)
            described = describe_columns(connection, source, self._where(doing))
            chosen = _chosen(described, columns, self._where(doing))
            yield from read_copy(connection, source, chosen, batch_size, self._where(doing))

    def count(self, table: str, *, query: bool = False) -> int:
        """The number of rows of a table or of a query's result, counted by the server."""
        with (
            self._session(f"count {self._shown(table, query=query)}") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(self._source(table, query=query)))
            (rows,) = cursor.fetchone() or (0,)
            return int(rows)

    def read_dataframe(self, table: str, *, query: bool = False) -> pd.DataFrame:
        """The rows as one DataFrame with Arrow-backed types, so that integers with NULL and decimals stay what they are."""
        import pandas as pd
        import pyarrow as pa

        result = pa.Table.from_batches(self.extract(table, query=query))
        frame: pd.DataFrame = result.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def _source(self, table: str, *, query: bool) -> sql.Composable:
        if query:
            return sql.SQL("({}\n) AS q").format(sql.SQL(table.rstrip().rstrip(";")))
        return sql.Identifier(self.config.schema, table)

    def _where(self, doing: str) -> str:
        return f"{doing}, {self.config.address}"

    def _shown(self, table: str, *, query: bool) -> str:
        return "a query" if query else f"table {self.config.schema}.{table}"

    def _connect(self, options: str) -> PsycopgConnection:
        try:
            opened: PsycopgConnection = psycopg2.connect(**self.config.libpq_parameters(options))
        except psycopg2.Error as exc:
            raise connection_error(exc, self.config.address) from exc
        return opened

    @contextmanager
    def _session(self, doing: str) -> Iterator[PsycopgConnection]:
        with closing(self._connect(_COPY_SESSION)) as connection:
            try:
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                yield connection
            except psycopg2.Error as exc:
                raise_refusal(exc, self._where(doing), ExtractionError, _REFUSED)


_REFUSED = "PostgreSQL refused to read"

_TABLES = """
    SELECT c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
    ORDER BY c.relname
"""

_SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' ORDER BY nspname"


def _chosen(described: list[SourceColumn], names: Sequence[str] | None, where: str) -> list[SourceColumn]:
    if names is None:
        return described
    refuse_unusable(names, where)
    by_name = {column.name: column for column in described}
    _refuse_unknown(names, list(by_name), "column", where)
    return [by_name[name] for name in names]


def _refuse_unknown(wanted: Sequence[str], known: Sequence[str], kind: str, where: str) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ExtractionError(
            f"unknown {kind}", where=where, seen=", ".join(unknown), expected="one of " + ", ".join(known)
        )
