"""Record batches into a PostgreSQL table by COPY FROM STDIN, as CSV that Arrow writes.

Values that only SQLAlchemy knows how to store, such as arrays and the types that users decorate, go by INSERT.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql
from pyarrow import csv
from sqlalchemy import ARRAY, Connection, Table, TypeDecorator
from sqlalchemy.types import TypeEngine

from sqlmodel_framework.engines.insert_rows import insert_batch

__all__ = ["copy_batches"]


def copy_batches(connection: Connection, table: Table, batches: Iterable[pa.RecordBatch]) -> int:
    """Copy batches whose columns are columns of the table; gives the number of rows the server counted."""
    by_insert = any(_needs_sqlalchemy(column.type) for column in table.columns)
    rows = 0
    for batch in batches:
        if by_insert and batch.num_rows:
            insert_batch(connection, table, batch)
        rows += batch.num_rows if by_insert else _copy(connection, table, batch)
    return rows


def _needs_sqlalchemy(sql_type: TypeEngine[Any]) -> bool:
    if isinstance(sql_type, ARRAY):
        return True
    known = type(sql_type).__module__.startswith(("sqlalchemy.", "sqlmodel.", "sqlmodel_framework."))
    return isinstance(sql_type, TypeDecorator) and not known


def _copy(connection: Connection, table: Table, batch: pa.RecordBatch) -> int:
    name = sql.Identifier(table.schema, table.name) if table.schema else sql.Identifier(table.name)
    columns = sql.SQL(", ").join(map(sql.Identifier, batch.schema.names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(name, columns)
    with closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(statement, _csv(batch))
        return int(cursor.rowcount)


def _csv(batch: pa.RecordBatch) -> io.BytesIO:
    """NULL is an empty field, an empty string is a quoted one: what COPY expects."""
    printable = pa.RecordBatch.from_arrays(
        [_printable(column) for column in batch.columns], names=batch.schema.names
    )
    buffer = io.BytesIO()
    csv.write_csv(printable, buffer, csv.WriteOptions(include_header=False))
    buffer.seek(0)
    return buffer


def _printable(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_duration(kind):
        microseconds = column.cast(pa.duration("us")).cast(pa.int64()).cast(pa.string())
        return pc.binary_join_element_wise(microseconds, pa.scalar(" microseconds"), "")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([_hex(value) for value in column.to_pylist()], pa.string())
    return column


def _hex(value: Any) -> str | None:
    return None if value is None else "\\x" + value.hex()
