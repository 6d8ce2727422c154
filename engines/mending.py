"""Statements that would make a table what its class says: a proposal, never run by the framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Table
from sqlalchemy.engine import Dialect

from sqlmodel_framework.engines.reading import PartReading, TableReading

__all__ = ["ColumnAspect", "PartKind", "TableMending"]

ColumnAspect = Literal[
    "type", "nullability", "default", "computed", "identity", "collation", "comment", "members"
]
"""The fields of ColumnReading that can differ."""

PartKind = Literal["foreign key", "unique", "check", "index"]


@dataclass(frozen=True)
class TableMending:
    """How one table would be mended; the defaults say that there is no statement for it.

    `table` is the class's, `name` its quoted name on the target, `create` the statements that create it there.
    `expected` and `found` are the readings of both sides; `found` is None for a table that is not there.
    """

    dialect: Dialect
    table: Table
    name: str
    create: tuple[str, ...]
    expected: TableReading
    found: TableReading | None

    def add_table(self) -> tuple[str, ...]:
        """Create the table."""
        return self.create

    def drop_table(self) -> tuple[str, ...]:
        """Drop a table that no class defines."""
        return (f"DROP TABLE {self.name}",)

    def add_column(self, column: str) -> tuple[str, ...]:
        """Add a column of the class."""
        return ()

    def drop_column(self, column: str) -> tuple[str, ...]:
        """Drop a column that the class does not have."""
        return (f"ALTER TABLE {self.name} DROP COLUMN {self.quote(column)}",)

    def change_column(self, column: str, aspect: ColumnAspect) -> tuple[str, ...]:
        """Give a column what the class says of this aspect."""
        return ()

    def move_column(self, column: str) -> tuple[str, ...]:
        """Put a column where the class has it."""
        return ()

    def change_primary_key(self) -> tuple[str, ...]:
        """Give the table the key of the class."""
        return ()

    def rename_primary_key(self, name: str) -> tuple[str, ...]:
        """Give the key the name that the class gives it."""
        return ()

    def add_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        """Add a constraint or index of the expected reading."""
        return ()

    def drop_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        """Drop a constraint or index of the reading that was found."""
        return ()

    def rename_part(self, kind: PartKind, found: PartReading, name: str) -> tuple[str, ...]:
        """Give a constraint or index the name that the class gives it."""
        return ()

    def change_option(self, option: str) -> tuple[str, ...]:
        """Set a table option as expected."""
        return ()

    def change_comment(self) -> tuple[str, ...]:
        """Set the table's comment as expected."""
        return ()

    def quote(self, name: str) -> str:
        """A name as an identifier."""
        return self.dialect.identifier_preparer.quote(name)
