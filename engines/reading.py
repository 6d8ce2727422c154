"""What a database says about its tables, in a form in which two databases of one kind can be compared.

Everything is text as the server prints it: both sides of a comparison come from the same server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlmodel_framework.engines.ddl import SchemaMap

__all__ = ["ColumnReading", "PartReading", "Places", "Reading", "TableKey", "TableReading"]

TableKey = tuple[str | None, str]
"""Schema as the class names it (None: the default schema) and table name."""


@dataclass(frozen=True)
class Places:
    """Where the tables of the classes stand: `schemas` in which schema, `names` under which name, where it is another."""

    schemas: SchemaMap
    names: Mapping[TableKey, str] = field(default_factory=dict)

    def name_of(self, key: TableKey) -> str:
        """The name of a table in its place."""
        return self.names.get(key, key[1])


class ColumnReading(NamedTuple):
    """One column; None where there is no such thing. A tuple, as there are many and they are made for each validation.

    `type` has length, precision, scale and time zone, but no collation. `members` are those of a native enum, in order.
    `default` is the expression that fills a missing value, `computed` the expression with STORED or VIRTUAL before it,
    `identity` says how the database counts the column up, `collation` names charset and collation where they are not
    the default of the database.
    """

    name: str
    type: str
    nullable: bool
    default: str | None = None
    computed: str | None = None
    identity: str | None = None
    collation: str | None = None
    comment: str | None = None
    members: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PartReading:
    """One constraint or index. `text` is its whole definition without its name; `columns` is empty for expressions.

    `also` is how the server prints the same definition after it has read its own print, as a restored dump makes it do.
    """

    name: str | None
    text: str
    columns: tuple[str, ...] = ()
    also: str | None = None

    def says(self, text: str) -> bool:
        """Whether a text is this definition."""
        return text in (self.text, self.also)


@dataclass(frozen=True)
class TableReading:
    """One table: columns in the order of the database, key columns in order, parts, options such as ENGINE or STRICT.

    `kind` is `table`, or what stands under the name instead, such as `view`. Indexes that belong to a primary key, a
    unique constraint or a foreign key are not listed among `indexes`.
    """

    columns: Mapping[str, ColumnReading]
    kind: str = "table"
    primary_key: tuple[str, ...] = ()
    primary_key_name: str | None = None
    foreign_keys: tuple[PartReading, ...] = ()
    uniques: tuple[PartReading, ...] = ()
    checks: tuple[PartReading, ...] = ()
    indexes: tuple[PartReading, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None


Reading = Mapping[TableKey, TableReading]
"""The tables that are there; a table that is not there is left out."""
