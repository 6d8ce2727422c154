"""Record batches into a PostgreSQL table by COPY FROM STDIN, as CSV that Arrow writes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql
from pyarrow import csv
from sqlalchemy import Connection, Table

__all__ = ["copy_batches"]


def copy_batches(connection: Connection, table: Table, batches: Iterable[pa.RecordBatch]) -> int:
    """Copy batches whose columns are columns of the table; gives the number of rows the server counted."""
    cursor = connection.connection.cursor()
    name = sql.Identifier(table.schema, table.name) if table.schema else sql.Identifier(table.name)
    rows = 0
    try:
        for batch in batches:
            columns = sql.SQL(", ").join(map(sql.Identifier, batch.schema.names))
            statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(name, columns)
            cursor.copy_expert(statement, _csv(batch))
            rows += cursor.rowcount
    finally:
        cursor.close()
    return rows


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
