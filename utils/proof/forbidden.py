"""Rows that a class forbids, one for each rule of its DDL: the database has to refuse them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Numeric, String, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from sqlmodel_framework.base.models.contract import ColumnContract, Contract, contract_of, range_of
from sqlmodel_framework.base.models.families import family_of, plain_type
from sqlmodel_framework.engines.base import Capabilities, Rule
from sqlmodel_framework.utils.proof.checked import Checked
from sqlmodel_framework.utils.proof.comparing import shown
from sqlmodel_framework.utils.proof.rows import Row, RowMaker, loosely
from sqlmodel_framework.utils.table_order import Reference

__all__ = ["Forbidden", "NotTried", "forbidden_rows"]

_NO_MEMBER = "no_such_member"
_SIZED = re.compile(r"(?:CHAR|BINARY)[^()]*\((\d+)")


@dataclass(frozen=True)
class Forbidden:
    """A row that breaks one rule. `columns` break it, `part` is the constraint's name; `sent` tells of it.

    `types` send values that the types of the columns would not. `reference` is the foreign key that leads nowhere.
    """

    rule: Rule
    columns: tuple[str, ...]
    row: Row
    sent: str
    part: str | None = None
    types: Mapping[str, TypeEngine[Any]] = field(default_factory=dict)
    reference: Reference | None = None


@dataclass(frozen=True)
class NotTried:
    """A rule that was not tried, and why. `by_nature`: this kind of database never enforces it."""

    rule: Rule
    why: str
    by_nature: bool = False


@dataclass
class Breaker:
    """Makes forbidden rows of one table from rows that are allowed."""

    maker: RowMaker
    checked: Checked | None
    rows: list[Row]
    capabilities: Capabilities
    dialect: Dialect

    @property
    def declared(self) -> Contract:
        """What the DDL says, without the limits of fields."""
        return contract_of(self.maker.table)

    def like(self, values: Mapping[str, Any], again: tuple[str, ...] = ()) -> Row | None:
        """A plain row with keys of its own and these values."""
        return self.maker.make(values, again=again, keep=False)


def forbidden_rows(
    maker: RowMaker, checked: Checked | None, rows: list[Row], capabilities: Capabilities, dialect: Dialect
) -> Iterator[Forbidden | NotTried]:
    """One row for each rule of a table, or why there is none. `rows` are rows that are there."""
    breaker = Breaker(maker, checked, rows, capabilities, dialect)
    for column in breaker.declared.columns.values():
        if not column.computed:
            yield from _of_column(breaker, column)
    for reference in maker.references:
        yield _orphan(breaker, reference)
    for key in dict.fromkeys((maker.contract.primary_key, *maker.contract.unique_keys)):
        if key:
            yield _duplicate(breaker, key)
    for rule in maker.contract.checks:
        if breaker.checked is None:
            yield NotTried("check", f"CHECK {rule.label} can only be evaluated by the database")
        else:
            yield _broken_check(breaker, breaker.checked, rule)


def _of_column(breaker: Breaker, column: ColumnContract) -> Iterator[Forbidden | NotTried]:
    name = column.name
    if not column.nullable and not _numbers_itself(breaker.maker.table, column):
        row = breaker.like({})
        if row is not None:
            yield Forbidden("null", (name,), {**row, name: None}, "null", types={name: String()})
    if name in breaker.maker.linked:
        return
    for rule, value, sql_type in _beyond(column, breaker.dialect):
        if rule not in breaker.capabilities.enforces:
            yield NotTried(rule, name, by_nature=True)
        else:
            row = breaker.like({})
            if row is not None:
                yield Forbidden(rule, (name,), {**row, name: value}, shown(value), types={name: sql_type})


def _numbers_itself(table: Table, column: ColumnContract) -> bool:
    """A whole-number key alone: null asks for the next number, on SQLite even without autoincrement."""
    return (
        column.name in table.primary_key.columns
        and len(table.primary_key.columns) == 1
        and column.family == "integer"
    )


def _beyond(column: ColumnContract, dialect: Dialect) -> Iterator[tuple[Rule, Any, TypeEngine[Any]]]:
    """What the type of a column refuses, by rule, with a plain type that sends it."""
    sql_type: Any = column.sql_type
    # A variant for this database may have another range.
    here: Any = plain_type(column.column.type.dialect_impl(dialect))
    if column.family in ("text", "binary"):
        size = _SIZED.search(column.column.type.compile(dialect).upper())
        if column.declared_length is not None and size is not None:
            longer = int(size[1]) + 1
            yield (
                "length",
                "x" * longer if column.family == "text" else b"x" * longer,
                sql_type if column.family == "binary" else String(),
            )
    elif column.family == "integer" and family_of(here) == "integer":
        yield "range", range_of(here)[1] + 1, BigInteger()
    elif column.family == "decimal" and family_of(here) == "decimal" and here.precision is not None:
        yield "range", Decimal(10) ** (here.precision - (here.scale or 0)), Numeric()
    elif column.family == "enum":
        native = sql_type.native_enum and dialect.supports_native_enum
        if native or sql_type.create_constraint:
            yield "enum" if native else "check", _NO_MEMBER[: sql_type.length or None], String()
        elif sql_type.native_enum:
            yield "enum", _NO_MEMBER, String()


def _orphan(breaker: Breaker, reference: Reference) -> Forbidden | NotTried:
    named = reference.name or ", ".join(reference.columns)
    maker = breaker.maker
    crosses = reference.parent.schema != reference.table.schema
    if crosses and not breaker.capabilities.cross_schema_foreign_keys:
        return NotTried("foreign key", "keys across schemas", by_nature=True)
    if reference.deferred and not breaker.capabilities.late_checks:
        return NotTried(
            "foreign key", f"the foreign key of {named} is looked at when a transaction is committed"
        )
    shared = {name for other in maker.references if other != reference for name in other.columns}
    own = [name for name in reference.columns if name not in shared] or list(reference.columns)
    row = breaker.like({})
    taken = {tuple(map(loosely, option)) for option in maker.options[reference]}
    for _ in range(100):
        if row is None:
            break
        orphan = {**row, **{name: maker.plain(name) for name in own}}
        orphan |= {name: maker.plain(name) for name in reference.columns if orphan[name] is None}
        values = tuple(orphan[name] for name in reference.columns)
        own_key = tuple(orphan[name] for name in reference.referred) if reference.is_own else None
        if None not in values and tuple(map(loosely, values)) not in taken and values != own_key:
            sent = ", ".join(map(shown, values))
            return Forbidden(
                "foreign key", reference.columns, orphan, sent, reference.name, reference=reference
            )
    return NotTried("foreign key", f"no value of {named} was found that leads nowhere")


def _duplicate(breaker: Breaker, key: tuple[str, ...]) -> Forbidden | NotTried:
    named = ", ".join(key)
    whole = [row for row in breaker.rows if all(row[name] is not None for name in key)]
    for row in whole:
        twin = breaker.like({name: row[name] for name in key}, again=key)
        if twin is not None:
            sent = f"{', '.join(shown(row[name]) for name in key)} again"
            return Forbidden("duplicate", key, twin, sent)
    return NotTried("duplicate", f"no second row with the key {named} could be made")


def _broken_check(breaker: Breaker, checked: Checked, rule: Any) -> Forbidden | NotTried:
    like = breaker.like({})
    row = checked.breaking(rule, like, breaker.maker) if like is not None else None
    if row is None:
        return NotTried("check", f"no row was found that breaks CHECK {rule.label} alone")
    names = tuple(checked.columns[rule])
    sent = ", ".join(f"{name} {shown(row[name])}" for name in names)
    return Forbidden("check", names, row, sent, rule.name)


def notes_of(not_tried: Counter[str], kind: str) -> list[str]:
    """What this kind of database never enforces, a sentence a rule."""
    words = {
        "length": "lengths",
        "range": "ranges of numbers",
        "enum": "members of enums",
        "foreign key": "foreign keys across schemas",
    }
    return [
        f"{kind} enforces no {words.get(rule, rule)}: {number} column{'s' if number > 1 else ''} not tried"
        for rule, number in sorted(not_tried.items())
    ]
