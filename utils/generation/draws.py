"""How values are drawn: what gives them for any rows, and the error where limits leave none."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.arrays import (
    taken,
)
from sqlmodel_framework.utils.generation.hashing import Index, Key

__all__ = ["Draw", "draw_from", "no_value", "where_of"]

Draw = Callable[[Index, int], pa.Array]
"""The values of rows at one attempt; none is null."""


def where_of(column: ColumnContract) -> str:
    """Table and column, for errors."""
    return f"table {column.column.table.fullname}, column {column.name}"


def draw_from(pool: pa.Array, key: Key) -> Draw:
    """Values of a pool, each as often as the others."""
    return lambda index, attempt: taken(pool, key.below(len(pool), index, attempt))


def no_value(column: ColumnContract, seen: str) -> RowsNotGeneratedError:
    """The error for limits that leave no value."""
    return RowsNotGeneratedError(
        "the limits of a column leave no value",
        where=where_of(column),
        seen=seen,
        next_step="correct the limits",
    )
