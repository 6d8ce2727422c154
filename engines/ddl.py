"""DDL as data: the statements a deployment would run, in order, as text of one dialect."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ForeignKey, MetaData, Table
from sqlalchemy.dialects.postgresql.named_types import NamedType
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import (
    CircularDependencyError,
    IdentifierError,
    NoReferencedColumnError,
    SQLAlchemyError,
)
from sqlalchemy.schema import DDL, ExecutableDDLElement

from sqlmodel_framework.base.errors import DeploymentError

__all__ = ["SchemaMap", "Statement", "plain_dialect", "render_create", "schemas_of", "with_referred"]

SchemaMap = Mapping[str | None, str | None]
"""Schema as the class names it (None: the default schema) to the schema it stands in."""


@dataclass(frozen=True)
class Statement:
    """One DDL statement. `element` says what it does, such as `CreateTable`, to the object `name` in `schema`.

    `schema` is as the class names it: None is the default schema. `custom` is DDL of the kit's own, such as an event's:
    its text is not SQLAlchemy's, so it runs where tables are deployed, never in a scratch place.
    """

    element: str
    schema: str | None
    name: str
    text: str
    custom: bool = False

    @property
    def free_standing(self) -> str | None:
        """The kind of object this makes beside a table, such as TYPE; None for tables and their parts."""
        return _FREE_STANDING.get(self.element)

    def is_wanted(self, existing: Container[tuple[str | None, str]], *, custom: bool) -> bool:
        """Whether a creation runs this: not what is there already, and DDL of the kit's own only where `custom` says so."""
        return not self.makes_again(existing) and (custom or not self.custom)

    def makes_again(self, existing: Container[tuple[str | None, str]]) -> bool:
        """Whether this makes a type or sequence that is among these already."""
        return self.free_standing is not None and (self.schema, self.name) in existing


_FREE_STANDING = {"CreateEnumType": "TYPE", "CreateDomainType": "DOMAIN", "CreateSequence": "SEQUENCE"}


_type_memos: WeakKeyDictionary[Dialect, WeakKeyDictionary[Any, Any]] = WeakKeyDictionary()


def plain_dialect(dialect: Dialect) -> Dialect:
    """A copy of a dialect whose text goes to the driver as it is: percent signs are not doubled."""
    plain = copy.copy(dialect)
    plain.paramstyle = "named"
    plain.identifier_preparer = type(dialect.identifier_preparer)(plain)
    plain.type_compiler_instance = type(dialect.type_compiler_instance)(plain)
    # How literals are written is remembered there: shared, either dialect would get the other's percent signs.
    plain._type_memos = _type_memos.setdefault(dialect, WeakKeyDictionary())  # noqa: SLF001 - there is no other door
    return plain


def schemas_of(tables: Sequence[Table]) -> set[str]:
    """The schemas that tables and PostgreSQL's named types stand in, without the default one."""
    types = (getattr(c.type, "item_type", c.type) for table in tables for c in table.columns)
    named = {getattr(one, "schema", None) for one in types if isinstance(one, NamedType)}
    return {schema for schema in (*(table.schema for table in tables), *named) if schema is not None}


def with_referred(tables: Sequence[Table]) -> list[Table]:
    """The tables and all that their foreign keys lead to, such as those of another datakit."""
    _resolve_foreign_keys(tables)
    found = dict.fromkeys(tables)
    waiting = list(found)
    for table in waiting:
        new = dict.fromkeys(key.column.table for key in table.foreign_keys if key.column.table not in found)
        found |= new
        waiting.extend(new)
    return waiting


def render_create(
    tables: Sequence[Table],
    dialect: Dialect,
    schema_map: SchemaMap | None = None,
    written: Callable[[Statement], object] = id,
) -> list[Statement]:
    """Statements that create the tables with their types, sequences, indexes, comments and foreign keys, in order.

    `written` is called with each as soon as its place in the order is known. Raises DeploymentError for a foreign key to
    a table or column that no class defines, and for a type the dialect cannot store.
    """
    _resolve_foreign_keys(tables)
    plain = plain_dialect(dialect)
    # A copy: SQLAlchemy writes into the map it is given.
    places: dict[str, Any] = (
        {"schema_translate_map": dict(schema_map), "render_schema_translate": True} if schema_map else {}
    )
    ordered = _StableOrder(written)

    def collect(element: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        text = str(element.compile(dialect=plain, **places)).strip()
        made = getattr(element, "element", None)
        owner = getattr(made, "table", made)
        schema, name = getattr(owner, "schema", None), str(getattr(owner, "name", ""))
        custom = isinstance(element, DDL) or not type(element).__module__.startswith("sqlalchemy.")
        ordered.add(Statement(type(element).__name__, schema, name, text, custom))

    mock = MockConnection(plain, collect)
    try:
        with _inline_keys_kept(tables):
            for metadata, members in _by_metadata(tables):
                metadata.create_all(mock, tables=members, checkfirst=False)
    except (CircularDependencyError, CycleError) as exc:
        raise DeploymentError("tables depend on one another in a circle", seen=str(exc)) from exc
    except IdentifierError as exc:
        raise DeploymentError("a name is too long for this database", seen=str(exc)) from exc
    except SQLAlchemyError as exc:
        raise DeploymentError("the DDL cannot be written for this database", seen=str(exc)) from exc
    return ordered.finish()


_rendering = RLock()


@contextmanager
def _inline_keys_kept(tables: Sequence[Table]) -> Iterator[None]:
    """SQLAlchemy marks a key that it adds by ALTER TABLE, and then leaves it out of the CREATE TABLE of every database.

    SQLite has no such ALTER: its tables would lose the key after a deployment elsewhere in the same process.
    """
    with _rendering:
        keys = [key for table in tables for key in table.foreign_key_constraints]
        rules = [key._create_rule for key in keys]  # noqa: SLF001 - there is no other door
        try:
            yield
        finally:
            for key, rule in zip(keys, rules, strict=True):
                key._create_rule = rule  # noqa: SLF001


class _StableOrder:
    """SQLAlchemy keeps a table's indexes, and the foreign keys of a cycle, in sets: sort them, so that a plan stays the same."""

    def __init__(self, written: Callable[[Statement], object]) -> None:
        self._written = written
        self._ordered: list[Statement] = []
        self._indexes: list[Statement] = []
        self._late: list[Statement] = []

    def add(self, statement: Statement) -> None:
        if statement.element == "AddConstraint":
            self._late.append(statement)
        elif statement.element == "CreateIndex":
            self._indexes.append(statement)
        else:
            self._give_indexes()
            self._give(statement)

    def finish(self) -> list[Statement]:
        self._give_indexes()
        for statement in sorted(self._late, key=lambda s: s.text):
            self._give(statement)
        return self._ordered

    def _give_indexes(self) -> None:
        for statement in sorted(self._indexes, key=lambda s: s.text):
            self._give(statement)
        self._indexes.clear()

    def _give(self, statement: Statement) -> None:
        self._ordered.append(statement)
        self._written(statement)


def _by_metadata(tables: Sequence[Table]) -> list[tuple[MetaData, list[Table]]]:
    """Tables by the datakit they belong to, a datakit that is referred to before the one that refers to it."""
    members: dict[MetaData, list[Table]] = defaultdict(list)
    for table in tables:
        members[table.metadata].append(table)
    order: TopologicalSorter[MetaData] = TopologicalSorter(
        {
            metadata: {key.column.table.metadata for t in listed for key in t.foreign_keys} - {metadata}
            for metadata, listed in members.items()
        }
    )
    return [(metadata, members[metadata]) for metadata in order.static_order() if metadata in members]


def _resolve_foreign_keys(tables: Sequence[Table]) -> None:
    for table in tables:
        for key in sorted(table.foreign_keys, key=_as_written):
            try:
                _ = key.column
            except NoReferencedColumnError as exc:
                raise _no_such_column(table, key, exc) from None
            except SQLAlchemyError:
                raise DeploymentError(
                    "a foreign key refers to a table that no class defines",
                    where=f"table {table.fullname}, column {key.parent.name}",
                    seen=_as_written(key)[1],
                    expected="one of "
                    + ", ".join(sorted(t.fullname for t in table.metadata.tables.values())),
                    next_step="deploy the folder that holds both classes, or correct the reference",
                ) from None


def _as_written(key: ForeignKey) -> tuple[str, str]:
    """The column of a key, and what it refers to. SQLAlchemy gives no text for names with a dot in them."""
    try:
        return key.parent.name, key.target_fullname
    except SQLAlchemyError:
        return key.parent.name, str(key.constraint and key.constraint.name)


def _no_such_column(table: Table, key: ForeignKey, exc: NoReferencedColumnError) -> DeploymentError:
    named = [t for t in table.metadata.tables.values() if t.name == exc.table_name]
    # Tables of several schemas may have this name: the longest name that the reference starts with is meant.
    meant = [t for t in named if _as_written(key)[1].startswith(f"{t.fullname}.")] or named
    referred = max(meant, key=lambda t: len(t.fullname))
    return DeploymentError(
        "a foreign key refers to a column that its table does not have",
        where=f"table {table.fullname}, column {key.parent.name}",
        seen=f"{referred.fullname}.{exc.column_name}",
        expected=f"one of the columns of {referred.fullname}: {', '.join(column.key for column in referred.columns)}",
        next_step="correct the reference, or add the column",
    )
