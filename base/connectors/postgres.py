"""Read PostgreSQL: COPY TO STDOUT through psycopg2 into Arrow's CSV reader, in constant memory.

psycopg2's libpq speaks GSSAPI, so a Kerberos ticket works as it does for psql.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from pydantic import SecretStr

from sqlmodel_framework.base.connectors.postgres_copy import read_copy
from sqlmodel_framework.base.connectors.postgres_errors import connection_error, server_refusal
from sqlmodel_framework.base.connectors.postgres_types import SourceColumn, describe_columns
from sqlmodel_framework.base.errors import ConfigurationError, ExtractionError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case
    from sqlalchemy import Connection

__all__ = ["PostgresConfig", "PostgresConnector"]

_log = logging.getLogger(__name__)

# Text forms that Arrow parses exactly, whatever the server's or the role's settings are.
_SESSION = (
    "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601 -c bytea_output=hex -c extra_float_digits=1"
)


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

    def libpq_parameters(self) -> dict[str, Any]:
        """Arguments of psycopg2.connect; the password is in plain text here."""
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
            "options": _SESSION,
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
        """True when a query succeeds. The reason for False is logged as a warning."""
        try:
            with self._session("test the connection") as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except (ConfigurationError, ExtractionError) as exc:
            _log.warning("%s", exc)
            return False
        return True

    def get_connection(self) -> PsycopgConnection:
        """A new psycopg2 connection, in UTC, which the caller closes. Raises ConfigurationError or TryAgainError."""
        try:
            opened: PsycopgConnection = psycopg2.connect(**self.config.libpq_parameters())
        except psycopg2.Error as exc:
            raise connection_error(exc, self.config.address) from exc
        return opened

    @contextmanager
    def connection_context(self) -> Iterator[Connection]:
        """A read-only SQLAlchemy connection, the kind that `pandas.read_sql` takes; closed at the end of the block."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        engine = create_engine("postgresql+psycopg2://", creator=self.get_connection, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection.execution_options(postgresql_readonly=True)

    def get_tables(self, schema: str | None = None) -> list[str]:
        """Tables of a schema (None: the configured one), sorted; a partitioned table is one, its partitions are none."""
        with self._session("list tables") as connection, connection.cursor() as cursor:
            cursor.execute(_TABLES, (schema or self.config.schema,))
            return [str(name) for (name,) in cursor.fetchall()]

    def schema(self, table: str, *, query: bool = False) -> pa.Schema:
        """The Arrow schema of a table or of a query's result."""
        import pyarrow as pa

        with self._session(f"describe {_shown(table, query=query)}") as connection:
            columns = describe_columns(connection, self._source(table, query=query))
        return pa.schema([column.field for column in columns])

    def extract(
        self,
        table: str,
        *,
        query: bool = False,
        columns: Sequence[str] | None = None,
        batch_size: int = 65_536,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a table, or of a query when `query` is True, as batches of at most `batch_size` rows.

        All rows are of one moment (one repeatable-read, read-only transaction). Timestamps with time zone come in UTC,
        numeric without digits, intervals and arrays (as JSON) come as text. Raises ExtractionError when the server
        refuses or a value does not fit its Arrow type: the rows given until then are not the whole table.
        """
        doing = f"extract {_shown(table, query=query)}"
        with self._session(doing) as connection:
            source = self._source(table, query=query)
            described = _chosen(describe_columns(connection, source), columns, self._where(doing))
            yield from read_copy(connection, source, described, batch_size, self._where(doing))

    def count(self, table: str, *, query: bool = False) -> int:
        """The number of rows of a table or of a query's result, counted by the server."""
        with (
            self._session(f"count {_shown(table, query=query)}") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(self._source(table, query=query)))
            (rows,) = cursor.fetchone() or (0,)
            return int(rows)

    def read_dataframe(self, table: str, *, query: bool = False) -> pd.DataFrame:
        """The rows as one DataFrame with Arrow-backed types, so that integers with NULL and decimals stay what they are."""
        import pandas as pd
        import pyarrow as pa

        batches = list(self.extract(table, query=query))
        result = pa.Table.from_batches(
            batches, batches[0].schema if batches else self.schema(table, query=query)
        )
        frame: pd.DataFrame = result.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def _source(self, table: str, *, query: bool) -> sql.Composable:
        if query:
            return sql.SQL("({}\n) AS q").format(sql.SQL(table.rstrip().rstrip(";")))
        return sql.Identifier(self.config.schema, table)

    def _where(self, doing: str) -> str:
        return f"{doing}, {self.config.address}"

    @contextmanager
    def _session(self, doing: str) -> Iterator[PsycopgConnection]:
        with closing(self.get_connection()) as connection:
            try:
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                yield connection
            except psycopg2.Error as exc:
                raise server_refusal(
                    exc, self._where(doing), ExtractionError, "PostgreSQL refused to read"
                ) from exc


_TABLES = """
    SELECT c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
    ORDER BY c.relname
"""


def _shown(table: str, *, query: bool) -> str:
    return "a query" if query else f"table {table}"


def _chosen(described: list[SourceColumn], names: Sequence[str] | None, where: str) -> list[SourceColumn]:
    if names is None:
        return described
    by_name = {column.name: column for column in described}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ExtractionError(
            "unknown column", where=where, seen=", ".join(unknown), expected="one of " + ", ".join(by_name)
        )
    return [by_name[name] for name in names]
