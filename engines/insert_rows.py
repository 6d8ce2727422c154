"""Record batches into a table by INSERT: for every database that has no faster road.

SQLAlchemy's own road, a dict a row through its compiler, costs four times as much on SQLite; its types are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    Connection,
    Insert,
    Numeric,
    Table,
    TypeDecorator,
    Uuid,
    bindparam,
    insert,
)
from sqlalchemy import column as column_clause
from sqlalchemy import table as table_clause
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from sqlmodel_framework.base.errors import RowError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["insert_batch"]


def insert_batch(connection: Connection, table: Table, batch: pa.RecordBatch) -> None:
    """Insert the rows of a batch that has some. Null is NULL; columns that the batch lacks get the server's defaults.

    Raises RowError for values that the type of their column refuses.
    """
    dialect = connection.dialect
    targets = {column.name: column for column in table.columns}
    columns = [targets[name] for name in batch.schema.names]
    keys = [f"v{position}" for position in range(len(columns))]
    statement = _statement(table, columns, keys)
    rows = zip(*map(partial(_values, dialect=dialect), batch.columns, columns), strict=True)
    if dialect.use_insertmanyvalues_wo_returning:
        connection.execute(statement, [dict(zip(keys, row, strict=True)) for row in rows])
        return
    text = str(statement.compile(dialect=dialect))
    if dialect.positional:
        connection.exec_driver_sql(text, list(rows))
    else:
        connection.exec_driver_sql(text, [dict(zip(keys, row, strict=True)) for row in rows])


def _statement(table: Table, columns: Sequence[Column[Any]], keys: Sequence[str]) -> Insert:
    """Clauses in place of the table and its columns: so no default of Python's comes in beside the batch's values."""
    clauses = [column_clause(column.name, column.type) for column in columns]
    into = table_clause(table.name, *clauses, schema=table.schema)
    values = {c: bindparam(key, type_=c.type) for c, key in zip(into.columns, keys, strict=True)}
    return insert(into).values(values)


def _values(values: pa.Array, column: Column[Any], *, dialect: Dialect) -> list[Any]:
    """A column for the driver, or for SQLAlchemy where that sends many rows at once; a distinct value is converted once."""
    by_driver = not dialect.use_insertmanyvalues_wo_returning
    if by_driver and _has_nan(values):
        raise _does_not_fit(column, "NaN")
    bind = column.type.dialect_impl(dialect).bind_processor(dialect) if by_driver else None
    steps = [step for step in (_from_arrow(column.type), bind) if step is not None]
    if not steps:
        return list(values.to_pylist())
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    try:
        for step in steps:
            distinct = [None if value is None else step(value) for value in distinct]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise _does_not_fit(column, None) from None
    return [None if index is None else distinct[index] for index in encoded.indices.to_pylist()]


def _has_nan(values: pa.Array) -> bool:
    """NaN, of which sqlite3 makes NULL without a word, and which MySQL does not have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py() is True


def _does_not_fit(column: Column[Any], seen: str | None) -> RowError:
    return RowError(
        "values do not fit the type of their column",
        where=f"table {column.table}, column {column.name}",
        seen=seen,
        expected=repr(column.type),
        next_step="correct the values, or give the column a type that holds them",
    )


def _from_arrow(sql_type: TypeEngine[Any]) -> Callable[[Any], Any] | None:
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
