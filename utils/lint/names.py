"""Names that are too long, reserved, or the same to some databases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table
from sqlalchemy.sql.elements import conv

from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["name_reserved", "name_too_long", "names_differ_in_case"]


def name_too_long(subject: Subject) -> Iterator[Finding]:
    """DL301: an identifier over the limit of a database."""
    shortest = min((len_of.capabilities.name_limit or 10**6 for len_of in subject.databases), default=10**6)
    suffix = max((len(database.facts.foreign_key_suffix) for database in subject.databases), default=0)
    for kind, name, column in _names(subject.table):
        if len(name.encode()) + suffix <= shortest:
            continue
        cause = subject.told(_refused, kind, name)
        if cause is not None:
            yield subject.finding(
                "DL301",
                subject.contract.columns.get(column or ""),
                "a shorter name",
                f"{kind} {name}",
                cause,
                part=None if kind in ("table", "column", "schema") else name,
            )


def _refused(database: Database, kind: str, name: str) -> str | None:
    limit, unit = database.capabilities.name_limit, database.capabilities.name_unit
    own = name + database.facts.foreign_key_suffix if kind == "unnamed foreign key of" else name
    size = len(own.encode()) if unit == "bytes" else len(own)
    if limit is None or size <= limit or (kind == "unnamed foreign key of" and own == name):
        return None
    return f"takes {limit} {unit}, and this has {size}"


def _names(table: Table) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name, and column; names that SQLAlchemy makes are cut by it, so they fit."""
    yield "table", table.name, None
    if table.schema:
        yield "schema", table.schema, None
    for column in table.columns:
        yield "column", column.name, column.name
    parts: list[tuple[str, Any]] = [("index", index.name) for index in table.indexes]
    parts += [("constraint", constraint.name) for constraint in table.constraints]
    for kind, name in parts:
        if isinstance(name, str) and not isinstance(name, conv):
            yield kind, name, None
    if any(key.name is None for key in table.foreign_key_constraints):
        yield "unnamed foreign key of", table.name, None


def name_reserved(subject: Subject) -> Iterator[Finding]:
    """DL302: a name that must be quoted in SQL on some databases."""
    reserved = frozenset[str]().union(*(database.reserved_words for database in subject.databases))
    names = [(subject.table.name, None), *((column.name, column) for column in subject.columns)]
    for name, column in names:
        if name.lower() in reserved:
            cause = subject.told(_reserved, name.lower())
            yield subject.finding("DL302", column, "another name", name, str(cause))


def _reserved(database: Database, name: str) -> str | None:
    return "reserved: SQL by hand has to quote it" if name in database.reserved_words else None


def names_differ_in_case(subject: Subject) -> Iterator[Finding]:
    """DL303: two columns whose names are the same where case does not count."""
    together = defaultdict(list)
    for column in subject.columns:
        together[column.name.lower()].append(column)
    if len(together) == len(subject.columns):
        return
    cause = subject.told(_same_without_case)
    for first, *others in together.values():
        for other in others if cause is not None else ():
            found = f"{first.name} and {other.name}"
            yield subject.finding("DL303", other, "names that differ in a letter", found, str(cause))


def _same_without_case(database: Database) -> str | None:
    return None if database.facts.name_case else "takes them for one column, and refuses the table"
