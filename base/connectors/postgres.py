"""Read PostgreSQL: COPY TO STDOUT through psycopg2 into Arrow's CSV reader, in constant memory.

psycopg2's libpq speaks GSSAPI, so a Kerberos ticket works as it does for psql.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql

from sqlmodel_framework.base.connectors.base import TableDescription
from sqlmodel_framework.base.connectors.csv_decoding import Decoded, Decoder, delivered
from sqlmodel_framework.base.connectors.postgres_catalog import keys_of, storage_of, tables_of
from sqlmodel_framework.base.connectors.postgres_check import ConnectionCheck, check_connection
from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
from sqlmodel_framework.base.connectors.postgres_copy import read_copies
from sqlmodel_framework.base.connectors.postgres_errors import driver_error_of, raise_refusal
from sqlmodel_framework.base.connectors.postgres_parallel import read_in_processes
from sqlmodel_framework.base.connectors.postgres_reading import Reading, bound
from sqlmodel_framework.base.connectors.postgres_session import (
    DRIVER_SESSION,
    REFUSED,
    connect,
    reading_session,
)
from sqlmodel_framework.base.connectors.postgres_split import page_ranges, value_ranges
from sqlmodel_framework.base.connectors.source_columns import OnUnrepresentable, refuse_options
from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, ExtractionError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case
    from sqlalchemy import Connection

__all__ = ["PostgresConfig", "PostgresConnector"]

_log = logging.getLogger(__name__)


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

    def check(self) -> ConnectionCheck:
        """Every step on the way to the source: done or not, why not and what to do. Raises nothing for a step that fails."""
        return check_connection(self.config)

    def get_connection(self) -> PsycopgConnection:
        """A new psycopg2 connection, in UTC, which the caller closes. Raises ConfigurationError or TryAgainError."""
        return connect(self.config, DRIVER_SESSION)

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
            raise_refusal(driver_error, self._where("read"), ExtractionError, REFUSED)
        finally:
            engine.dispose()

    def get_tables(self, schema: str | None = None) -> list[str]:
        """Tables of a schema (None: the configured one), sorted; a partitioned table is one, its partitions are none.

        Raises ExtractionError for a schema that is not there.
        """
        with self._session("list tables") as connection:
            return tables_of(connection, schema or self.config.schema, self._where("list tables"))

    def schema(self, table: str, *, query: bool = False) -> pa.Schema:
        """The Arrow schema of a table or of a query's result."""
        doing = f"describe {self._shown(table, query=query)}"
        with self._session(doing) as connection:
            return self._schema(connection, table, doing, query=query)

    def describe(self, table: str) -> TableDescription:
        """The Arrow schema, the keys and the server's estimate of the rows of a table.

        A view has no keys and no estimate; a table has no estimate before its first ANALYZE.
        """
        doing = f"describe {self._shown(table, query=False)}"
        with self._session(doing) as connection:
            schema = self._schema(connection, table, doing, query=False)
            keys = keys_of(connection, self.config.schema, table)
            storage = storage_of(connection, self.config.schema, table)
        return TableDescription(table, schema, keys.primary, keys.unique, keys.foreign, storage.rows)

    def extract(
        self,
        table: str,
        *,
        query: bool = False,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        batch_size: int = 65_536,
        parallel: int = 1,
        split_by: str | None = None,
        on_unrepresentable: OnUnrepresentable = "fail",
        on_reject: Callable[[pa.RecordBatch], None] | None = None,
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a table, or of a query when `query` is True, as batches of at most `batch_size` rows.

        There is at least one batch, without rows where the source has none. All rows are of one moment (one
        repeatable-read, read-only transaction). `columns` None means all of them. `where` is an SQL condition that the
        server evaluates; `parameters` are the values of its `%(name)s`, or of the query's.

        With `parallel` above 1 so many processes read at the same time, and batches come in no order: a table by ranges of
        its pages, anything else by ranges of the column `split_by`, of numbers, dates or timestamps. A source that cannot
        be split, or is small, is read by one connection.

        Timestamps with time zone come in UTC; numeric without digits, intervals and arrays (as JSON) come as text. What
        becomes of a value that its Arrow type cannot hold, `on_unrepresentable` says for all columns or by column: `fail`
        raises, `null` makes it NULL and logs the count, `string` reads columns of such types as text, `reject` leaves the row
        out and hands it to `on_reject`, as text, with the names of the columns in the list column `reject_columns`.

        Raises ExtractionError when the server refuses or a value does not fit: the rows given until then are not the
        whole table.
        """
        doing = f"extract {self._shown(table, query=query)}"
        refuse_options(batch_size, on_unrepresentable, on_reject, self._where(doing))
        if parallel < 1:
            raise ConfigurationError(
                "parallel is no number of readers",
                where=self._where(doing),
                seen=str(parallel),
                expected="1 or more",
            )
        with self._session(doing) as connection:
            reading = Reading(
                source=self._source(connection, table, parameters, doing, query=query),
                where=self._where(doing),
                condition=bound(connection, where, parameters, self._where(doing)) if where else "",
                columns=columns,
                batch_size=batch_size,
                on_unrepresentable=on_unrepresentable,
            )
            described = reading.described(connection)
            pieces = self._pieces(connection, reading, None if query else table, parallel, split_by)
            statements = reading.copies(described, pieces)
            decoder = reading.decoder(described)
            blocks = self._blocks(connection, statements, decoder, parallel)
            yield from delivered(blocks, decoder.schema, on_reject, reading.where)

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
            condition = bound(connection, where, parameters, self._where(doing)) if where else "true"
            cursor.execute(f"SELECT count(*) FROM {source} WHERE ({condition}\n)")  # noqa: S608 - quoted, or as asked for
            (rows,) = cursor.fetchone() or (0,)
            return int(rows)

    def read_dataframe(self, table: str, *, query: bool = False, **options: Any) -> pd.DataFrame:
        """The rows as one DataFrame with Arrow-backed types, so that integers with NULL and decimals stay what they are.

        The options are those of `extract`.
        """
        import pandas as pd
        import pyarrow as pa

        result = pa.Table.from_batches(self.extract(table, query=query, **options))
        frame: pd.DataFrame = result.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def _schema(self, connection: PsycopgConnection, table: str, doing: str, *, query: bool) -> pa.Schema:
        reading = Reading(
            source=self._source(connection, table, None, doing, query=query), where=self._where(doing)
        )
        return reading.decoder(reading.described(connection)).schema

    def _source(
        self,
        connection: PsycopgConnection,
        table: str,
        parameters: Mapping[str, Any] | None,
        doing: str,
        *,
        query: bool,
    ) -> str:
        if query:
            text = bound(connection, table.rstrip().rstrip(";"), parameters, self._where(doing))
            return f"({text}\n) AS q"
        return sql.Identifier(self.config.schema, table).as_string(connection)

    def _pieces(
        self,
        connection: PsycopgConnection,
        reading: Reading,
        table: str | None,
        parallel: int,
        split_by: str | None,
    ) -> list[str]:
        if parallel == 1:
            return [""]
        if split_by is not None:
            pieces = value_ranges(
                connection, reading.source, reading.condition, split_by, parallel, reading.where
            )
        elif table is not None:
            storage = storage_of(connection, self.config.schema, table)
            pieces = page_ranges(storage, parallel, connection.server_version)
        else:
            pieces = [""]
        if len(pieces) == 1:
            _log.info("%s: read by one connection: it is small, or only split_by can part it", reading.where)
        return pieces

    def _blocks(
        self, connection: PsycopgConnection, statements: Sequence[str], decoder: Decoder, parallel: int
    ) -> Generator[Decoded, None, None]:
        if len(statements) == 1:
            return read_copies(connection, statements, decoder)
        processes = min(parallel, len(statements))
        return read_in_processes(connection, self.config, statements, decoder, processes)

    def _where(self, doing: str) -> str:
        return f"{doing}, {self.config.address}"

    def _shown(self, table: str, *, query: bool) -> str:
        return "a query" if query else f"table {self.config.schema}.{table}"

    @contextmanager
    def _session(self, doing: str) -> Iterator[PsycopgConnection]:
        with reading_session(self.config, self._where(doing)) as connection:
            yield connection
