"""Record batches into a table by INSERT: for every database that has no faster road.

SQLAlchemy's own road by a dict a row costs three times as much; this one keeps its types and gives the driver tuples.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ARRAY, JSON, Column, Connection, Numeric, Table, TypeDecorator, Uuid, insert
from sqlalchemy import column as column_clause
from sqlalchemy import table as table_clause
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from sqlmodel_framework.base.errors import RowError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["insert_batch"]

_Step = Callable[[Any], Any]


def insert_batch(connection: Connection, table: Table, batch: pa.RecordBatch) -> None:
    """Insert the rows of a batch that has some. Null is NULL; columns that the batch lacks get the server's defaults.

    Raises RowError for values that the type of their column refuses.
    """
    names = batch.schema.names
    targets = {column.name: column for column in table.columns}
    # Clauses in place of the table and its columns bring no default of Python's in beside the batch's values.
    clauses = [column_clause(name, targets[name].type) for name in names]
    statement = insert(table_clause(table.name, *clauses, schema=table.schema))
    dialect = connection.dialect
    columns = [_values(batch.column(name), targets[name], dialect) for name in names]
    rows = zip(*columns, strict=True)
    if dialect.positional:
        connection.exec_driver_sql(str(statement.compile(dialect=dialect)), list(rows))
    else:
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


def _values(values: pa.Array, column: Column[Any], dialect: Dialect) -> list[Any]:
    """A column for the driver, or for SQLAlchemy where the driver takes no tuples; each distinct value is converted once."""
    steps = _steps(column.type, dialect)
    if not steps:
        return list(values.to_pylist())
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    try:
        for step in steps:
            distinct = [None if value is None else step(value) for value in distinct]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise RowError(
            "values do not fit the type of their column",
            where=f"table {column.table}, column {column.name}",
            expected=repr(column.type),
        ) from None
    return [None if index is None else distinct[index] for index in encoded.indices.to_pylist()]


def _steps(sql_type: TypeEngine[Any], dialect: Dialect) -> list[_Step]:
    bind = sql_type.dialect_impl(dialect).bind_processor(dialect) if dialect.positional else None
    return [step for step in (_from_arrow(sql_type), bind) if step is not None]


def _from_arrow(sql_type: TypeEngine[Any]) -> _Step | None:
    """From the text that stands for a value in Arrow to the value that the type takes; None where they are one."""
    while isinstance(sql_type, TypeDecorator):
        sql_type = sql_type.impl_instance
    if isinstance(sql_type, (JSON, ARRAY)):
        return json.loads
    if isinstance(sql_type, Uuid) and sql_type.as_uuid:
        return UUID
    if isinstance(sql_type, Numeric) and sql_type.precision is None and sql_type.asdecimal:
        return Decimal
    return None
