"""What a rule of lint sees: a table, its contract, and the databases that it is meant for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError

from sqlmodel_framework.base.models.contract import ColumnContract, Contract, contract_of
from sqlmodel_framework.engines.base import Capabilities, installed_engines
from sqlmodel_framework.engines.column_facts import ColumnFacts
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.enforced import Enforced
from sqlmodel_framework.utils.tables import TableLike, table_of

__all__ = ["Database", "Rule", "Subject", "causes", "databases_of"]


@dataclass(frozen=True)
class Database:
    """One type of database, without a server."""

    kind: str
    capabilities: Capabilities
    dialect: Dialect

    @property
    def facts(self) -> ColumnFacts:
        """What its columns keep."""
        return self.capabilities.columns

    @cached_property
    def reserved_words(self) -> frozenset[str]:
        """Words that cannot name a table or a column without quotes."""
        return frozenset(self.dialect.identifier_preparer.reserved_words)

    def type_of(self, column: ColumnContract) -> str | None:
        """The column's type in DDL; None where the database has none for it."""
        try:
            return str(column.column.type.compile(dialect=self.dialect))
        except (SQLAlchemyError, TypeError, ValueError, AttributeError, NotImplementedError):
            return None  # a type of somebody's own may raise anything here


def databases_of(kinds: Iterable[str]) -> tuple[Database, ...]:
    """The installed databases of these types, sorted by them."""
    return tuple(map(_database, sorted(kinds)))


@cache
def _database(kind: str) -> Database:
    engine = installed_engines()[kind]
    return Database(kind, engine.capabilities, engine.offline_dialect())


@dataclass
class Subject:
    """One table as lint looks at it. `item` is its class, or the table itself where it has none."""

    kit: str
    item: TableLike
    databases: Sequence[Database]

    @cached_property
    def table(self) -> Table:
        """The table."""
        return table_of(self.item)

    @cached_property
    def contract(self) -> Contract:
        """What the class says."""
        return contract_of(self.item)

    @cached_property
    def enforced(self) -> Enforced:
        """Which limits CHECKs enforce."""
        return Enforced(self.contract)

    @cached_property
    def columns(self) -> tuple[ColumnContract, ...]:
        """The columns, in table order."""
        return tuple(self.contract.columns.values())

    @cached_property
    def _families(self) -> defaultdict[str | None, list[ColumnContract]]:
        found: defaultdict[str | None, list[ColumnContract]] = defaultdict(list)
        for column in self.columns:
            found[column.family].append(column)
        return found

    def of(self, *families: str) -> Iterator[ColumnContract]:
        """The columns of these families."""
        for family in families:
            yield from self._families.get(family, ())

    @cached_property
    def keys(self) -> list[tuple[str, ...]]:
        """The columns of the primary key and of each unique key."""
        own = self.contract
        return [key for key in (own.primary_key, *own.unique_keys) if key]

    @cached_property
    def indexed(self) -> list[tuple[str, ...]]:
        """The columns of everything that is an index: keys, and indexes over whole columns."""
        indexes = [tuple(column.name for column in index.columns) for index in self.table.indexes]
        return [*self.keys, *(columns for columns in indexes if columns)]

    def finding(
        self,
        code: str,
        column: ColumnContract | None,
        expected: str,
        found: str,
        cause: str,
        part: str | None = None,
    ) -> Finding:
        """A finding about the table, or about one of its columns."""
        name = None if column is None else column.name
        return Finding(self.contract.table, code, name, expected, found, cause, part)

    def told(self, says: Callable[..., str | None], *about: Any) -> str | None:
        """What each database does, as `says(database, *about)` tells it; None where it has nothing to tell of any."""
        return causes({database.kind: says(database, *about) for database in self.databases})

    def everywhere(self, sentence: str) -> str:
        """What all databases do alike."""
        return f"{', '.join(database.kind for database in self.databases)}: {sentence}"


Rule = Callable[[Subject], Iterator[Finding]]


def causes(said: Mapping[str, Any]) -> str | None:
    """`mysql: …; sqlite: …`, with those that do the same told together; None where nothing is said."""
    together: dict[str, list[str]] = {}
    for kind, sentence in said.items():
        if sentence is not None:
            together.setdefault(sentence, []).append(kind)
    return "; ".join(f"{', '.join(kinds)}: {sentence}" for sentence, kinds in together.items()) or None
