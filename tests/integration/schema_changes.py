"""All single changes of a described schema, and what a finding must say of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from sqlmodel_framework.tests.integration.schemas import (
    ACTIONS,
    COMMENTS,
    DEFAULTS,
    ENUMS,
    GROWTH,
    INDEXABLE,
    KINDS,
    Column,
    Described,
    Schema,
    family,
    free_name,
    free_number,
    schemas,
    with_column,
)


@dataclass(frozen=True)
class Change:
    """One change: a finding has one of the `codes`, is about one of the `tables` and names one of the `names`, if any.

    `details` are the two sides of it, for those that look alike to some dialect. `touched` are the tables that may have
    other findings.
    """

    kind: str
    after: Schema
    codes: tuple[str, ...]
    tables: frozenset[str]
    names: tuple[str, ...] = ()
    details: frozenset[Any] = frozenset()
    touched: frozenset[str] = frozenset()


_UNIQUE = "DK501 DK502 DK503"
"""What a unique index is to MySQL."""


@st.composite
def changed(draw: st.DrawFn, stored: Callable[[Change], bool], most: int) -> tuple[Schema, list[Change]]:
    """A schema and single changes of it that are `stored`, each of another kind."""
    schema = draw(schemas())
    by_kind: dict[str, list[Change]] = {}
    for change in filter(stored, changes(schema)):
        by_kind.setdefault(change.kind, []).append(change)
    kinds = draw(st.permutations(sorted(by_kind)))
    size = draw(st.integers(most // 2, most))
    return schema, [draw(st.sampled_from(by_kind[kind])) for kind in kinds[:size]]


def changes(schema: Schema) -> Iterator[Change]:
    """All single changes that give a schema which the servers accept."""
    for table in schema:
        one = _Table(schema, table)
        for change in (*one.of_table(), *one.of_columns(), *one.of_key(), *one.of_parts()):
            yield replace(change, touched=change.tables | one.referring)


class _Table:
    """The changes of one table."""

    def __init__(self, schema: Schema, table: Described) -> None:
        self._schema = schema
        self._table = table
        keys = [(one, key) for one in schema for key in one.foreign_keys if key.target == table.number]
        self._referred = {number for number in table.key if keys}
        self.referring = frozenset(one.name for one, _ in keys)

    def _change(
        self, kind: str, table: Described, codes: str, names: Sequence[str | None], *details: Any
    ) -> Change:
        after = tuple(table if one.number == table.number else one for one in self._schema)
        tables = frozenset({self._table.name, table.name})
        named = tuple(name for name in names if name is not None)
        return Change(kind, after, tuple(codes.split()), tables, named, frozenset(details))

    def of_table(self) -> Iterator[Change]:
        table = self._table
        new = free_name(replace(table, columns=tuple(Column(0, one.name, "") for one in self._schema)))
        yield self._change("table renamed", replace(table, name=new), "DK101 DK103", ())
        added = Described(9, new, (Column(900, "item", "integer", nullable=False),), (900,))
        yield replace(
            self._change("table added", table, "DK101 DK103", ()),
            after=(*self._schema, added),
            tables=frozenset({new}),
        )
        if len(self._schema) > 1 and self.referring <= {table.name}:
            without = tuple(one for one in self._schema if one is not table)
            yield replace(self._change("table removed", table, "DK101 DK103", ()), after=without)
        for comment in COMMENTS:
            if comment != table.comment:
                yield self._change("table comment", replace(table, comment=comment), "DK105", ())

    def of_columns(self) -> Iterator[Change]:
        table = self._table
        codes = "DK201 DK202"
        new = Column(free_number(table), free_name(table), "integer")
        for nullable in (True, False):
            grown = with_column(table, replace(new, nullable=nullable))
            yield self._change("column added", grown, codes, [new.name])
        for column in table.columns:
            for name in dict.fromkeys((free_name(table), column.name.swapcase())):
                if name != column.name:
                    renamed = self._with(replace(column, name=name))
                    yield self._change("column renamed", renamed, codes, [name, column.name])
            if column.number not in {*table.indexed, *table.referring, *table.in_expressions}:
                left = tuple(one for one in table.columns if one is not column)
                yield self._change("column removed", replace(table, columns=left), codes, [column.name])
            yield from self._of_column(column)
        for one, other in pairwise(table.columns):
            swap = {one.number: other, other.number: one}
            order = tuple(swap.get(column.number, column) for column in table.columns)
            yield self._change(
                "columns reordered", replace(table, columns=order), "DK204", [one.name, other.name]
            )

    def _with(self, column: Column) -> Described:
        columns = tuple(column if one.number == column.number else one for one in self._table.columns)
        return replace(self._table, columns=columns)

    def _of_column(self, column: Column) -> Iterator[Change]:
        table, names = self._table, [column.name]
        for comment in COMMENTS:
            if comment != column.comment:
                changed = self._with(replace(column, comment=comment))
                yield self._change("column comment", changed, "DK217", names)
        if column.computed is not None:
            changed = self._with(replace(column, plus=2))
            yield self._change("computed", changed, "DK214", names)
            yield self._change(
                "no longer computed", self._with(replace(column, computed=None)), "DK214", names
            )
            return
        for default in [None, *DEFAULTS.get(family(column.kind), ())]:
            if default != column.default and column.number not in table.key:
                changed = self._with(replace(column, default=default))
                yield self._change("default", changed, "DK213", names, default, column.default)
        if column.number not in {*table.key, *table.referring}:
            changed = self._with(replace(column, nullable=not column.nullable))
            yield self._change("nullability", changed, "DK212", names)
        for kind in self._other_types(column):
            members = {kind, column.kind} <= ENUMS.keys()
            changed = self._with(replace(column, kind=kind))
            codes = "DK211 DK218" if {kind, column.kind} & ENUMS.keys() else "DK211"
            yield self._change("members" if members else "type", changed, codes, names, kind, column.kind)

    def _other_types(self, column: Column) -> Iterator[str]:
        if column.number in {*self._table.referring, *self._table.in_expressions, *self._referred}:
            return
        for kind in INDEXABLE if column.number in self._table.indexed else KINDS:
            fits = column.default is None or family(kind) == family(column.kind)
            if kind != column.kind and fits:
                yield kind

    def of_key(self) -> Iterator[Change]:
        table = self._table
        if self._referred:
            return
        for key in sorted({table.key[::-1], table.key[:1], table.key[1:]} - {(), *table.taken}):
            changed = replace(table, key=key)
            if not changed.counted & table.in_expressions:
                yield self._change("primary key", changed, "DK301", table.names(table.key))

    def of_parts(self) -> Iterator[Change]:
        yield from self._added()
        yield from self._uniques()
        yield from self._indexes()
        yield from self._checks()
        yield from self._foreign_keys()

    def _added(self) -> Iterator[Change]:
        table = self._table
        codes = {"unique": "DK501 DK502", "index": f"DK601 DK602 DK604 {_UNIQUE}", "check": "DK701 DK702"}
        for kind, code in codes.items():
            for grown in GROWTH[kind](self._schema, table):
                part = (*_new(table, grown),)[-1]
                yield self._change(f"{kind} added", grown, code, _names(part, grown))
        for grown in GROWTH["computed column"](self._schema, table):
            yield self._change("computed column added", grown, "DK201 DK202", [grown.columns[-1].name])

    def _uniques(self) -> Iterator[Change]:
        table = self._table
        for one in table.uniques:
            names = _names(one, table)
            left = tuple(other for other in table.uniques if other is not one)
            yield self._change("unique removed", replace(table, uniques=left), "DK501 DK502", names)
            if one.name:
                renamed = (*left, replace(one, name=f"{one.name} new"))
                yield self._change("unique renamed", replace(table, uniques=renamed), "DK801", [one.name])
            if one.columns[::-1] not in table.taken:
                turned = (*left, replace(one, columns=one.columns[::-1]))
                yield self._change("unique reordered", replace(table, uniques=turned), _UNIQUE, names)

    def _indexes(self) -> Iterator[Change]:
        table = self._table
        for one in table.indexes:
            names = [one.name]
            left = tuple(other for other in table.indexes if other is not one)
            yield self._change(
                "index removed", replace(table, indexes=left), f"DK601 DK602 DK604 {_UNIQUE}", names
            )
            renamed = replace(one, name=f"{one.name} new")
            yield self._change("index renamed", replace(table, indexes=(*left, renamed)), "DK801", names)
            others = [replace(one, unique=not one.unique), replace(one, descending=not one.descending)]
            if one.columns[::-1] not in table.taken and not one.lower:
                others.append(replace(one, columns=one.columns[::-1]))
            for other in others:
                changed = replace(table, indexes=(*left, other))
                yield self._change("index changed", changed, f"DK603 {_UNIQUE}", names)

    def _checks(self) -> Iterator[Change]:
        table = self._table
        for one in table.checks:
            names = _names(one, table)
            left = tuple(other for other in table.checks if other is not one)
            if one not in left:
                yield self._change("check removed", replace(table, checks=left), "DK701 DK702", names)
            operator = "<" if one.operator != "<" else ">"
            other = replace(one, operator=operator, values=one.values[-1:])
            changed = replace(table, checks=(*left, other))
            yield self._change("check changed", changed, "DK701 DK702 DK703", names)
            if one.name:
                renamed = replace(table, checks=(*left, replace(one, name=f"{one.name} new")))
                yield self._change("check renamed", renamed, "DK801", [one.name])

    def _foreign_keys(self) -> Iterator[Change]:
        table = self._table
        for one in table.foreign_keys:
            names = _names(one, table)
            left = tuple(other for other in table.foreign_keys if other is not one)
            changed = replace(table, foreign_keys=left)
            yield self._change("foreign key removed", changed, "DK401 DK402", names)
            for action in ACTIONS:
                sides = (
                    ("ondelete", one.ondelete, replace(one, ondelete=action)),
                    ("onupdate", one.onupdate, replace(one, onupdate=action)),
                )
                for rule, before, other in sides:
                    if action != before:
                        changed = replace(table, foreign_keys=(*left, other))
                        yield self._change(rule, changed, "DK403", names, action, before)
            if one.name:
                renamed = replace(table, foreign_keys=(*left, replace(one, name=f"{one.name} new")))
                yield self._change("foreign key renamed", renamed, "DK801", [one.name])


def _new(table: Described, grown: Described) -> Iterator[Any]:
    for parts in ("uniques", "indexes", "checks"):
        yield from getattr(grown, parts)[len(getattr(table, parts)) :]


def _names(part: Any, table: Described) -> list[str | None]:
    columns = part.columns if hasattr(part, "columns") else (part.column,)
    return [part.name, *table.names(columns)]
