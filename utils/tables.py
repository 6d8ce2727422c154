"""From table classes to the tables they define."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Table
from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["TableLike", "tables_of"]

TableLike = type[SQLModel] | Table
"""A table class, or the table itself (a link table has no class)."""


def tables_of(classes: Iterable[TableLike]) -> list[Table]:
    """The tables of classes, each once, in the order given.

    Raises ConfigurationError for none at all, for something without a table, and for two tables of one name.
    """
    found: dict[str, Table] = {}
    for item in classes:
        table = item if isinstance(item, Table) else getattr(item, "__table__", None)
        if not isinstance(table, Table):
            raise ConfigurationError(
                "something that is no table class was given",
                seen=getattr(item, "__name__", type(item).__name__),
                expected="classes declared with table=True",
            )
        if found.setdefault(table.fullname, table) is not table:
            raise ConfigurationError(
                "two classes define a table of the same name",
                seen=table.fullname,
                next_step="rename one of them, or deploy the two datakits one by one",
            )
    if not found:
        raise ConfigurationError("no table was given", next_step="pass the classes that discovery gave")
    return list(found.values())
