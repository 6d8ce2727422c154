"""From table classes to the tables they define, and the MetaData in which SQLModel defines them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.models.tables import TableLike, is_table_class, table_of

__all__ = ["TableLike", "TableScope", "is_table_class", "table_of", "tables_of", "why_no_table"]


def tables_of(classes: Iterable[TableLike]) -> list[Table]:
    """The tables of classes, each once, in the order given.

    Raises ConfigurationError for none at all, for something without a table, and for two tables of one name.
    """
    if not isinstance(classes, Iterable):
        raise ConfigurationError(
            "table classes are needed",
            seen=type(classes).__name__,
            expected="a list of classes",
            next_step="pass the kit's .tables",
        )
    found: dict[str, Table] = {}
    for table in map(table_of, classes):
        if found.setdefault(table.fullname, table) is not table:
            raise ConfigurationError(
                "two classes define a table of the same name",
                seen=table.fullname,
                next_step="rename one of them, or deploy the two datakits one by one",
            )
    if not found:
        raise ConfigurationError("no table was given", next_step="pass the classes that discovery gave")
    return list(found.values())


def why_no_table(cls: type) -> str:
    """Why a class has no table of its own."""
    if not issubclass(cls, SQLModel):
        return "no SQLModel class"
    parent = next((base for base in cls.__mro__[1:] if is_table_class(base)), None)
    if parent is not None:
        return f"derives from the table class {parent.__name__}, and SQLModel makes no second table for that"
    return "no table=True"


@dataclass
class TableScope:
    """The MetaData and mapper registry that SQLModel uses for the table classes of one kit."""

    metadata: MetaData
    registry: registry

    @classmethod
    def new(cls) -> TableScope:
        """An empty one."""
        metadata = MetaData()
        return cls(metadata, registry(metadata=metadata))

    @classmethod
    def in_use(cls) -> TableScope:
        """What SQLModel uses now."""
        return cls(SQLModel.metadata, SQLModel._sa_registry)  # noqa: SLF001

    def use(self) -> None:
        """Have SQLModel use this one, in all threads."""
        SQLModel.metadata = self.metadata
        SQLModel._sa_registry = self.registry  # noqa: SLF001

    def content(self) -> set[Table | type]:
        """The tables and the mapped classes that are defined in it."""
        mapped = {manager.class_ for manager in list(self.registry._managers)}  # noqa: SLF001
        return mapped | set(self.metadata.tables.values())

    def remove(self, content: Iterable[Table | type]) -> None:
        """Forget tables and mapped classes: their names are free again."""
        for item in content:
            if isinstance(item, Table):
                self.metadata.remove(item)
            else:
                self.registry._dispose_cls(item)  # noqa: SLF001

    @contextmanager
    def entered(self) -> Iterator[None]:
        """SQLModel uses this one inside the block. A MetaData that a kit puts in its place serves the kit's other modules."""
        outside = self.in_use()
        self.use()
        try:
            yield
        finally:
            inside = self.in_use()
            if outside.metadata is not self.metadata:
                outside.use()
            self.metadata, self.registry = inside.metadata, inside.registry
