"""A table class, or a table: what every verb takes."""

from __future__ import annotations

from typing import TypeGuard

from sqlalchemy import Table
from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["TableLike", "is_table_class", "table_of"]

TableLike = type[SQLModel] | Table
"""A table class, or the table itself (a link table has no class)."""


def is_table_class(value: object) -> TypeGuard[type[SQLModel]]:
    """Whether this is a class with a table of its own."""
    return isinstance(value, type(SQLModel)) and isinstance(vars(value).get("__table__"), Table)


def table_of(item: TableLike) -> Table:
    """The table itself. Raises ConfigurationError for something without one."""
    table = item if isinstance(item, Table) else getattr(item, "__table__", None)
    if not isinstance(table, Table):
        raise ConfigurationError(
            "something that is no table class was given",
            seen=getattr(item, "__name__", type(item).__name__),
            expected="classes declared with table=True",
        )
    return table
