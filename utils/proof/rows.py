"""Rows of one table that its class allows: every edge of every column stands in one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unicodedata import combining, normalize

from sqlalchemy import Column, Table
from sqlalchemy.sql.visitors import iterate

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import ColumnContract, Contract
from sqlmodel_framework.utils.proof.boundaries import boundary_values, fits
from sqlmodel_framework.utils.proof.plain import plain_values
from sqlmodel_framework.utils.table_order import Reference

__all__ = ["Row", "RowMaker", "edges_of", "key_columns_of", "loosely"]

Row = dict[str, Any]
"""Values by name of column, without computed columns."""

_PATTERNED = 40
_TRIES = 400
_FRESH_TRIES = 60


def key_columns_of(contract: Contract, table: Table) -> list[tuple[str, ...]]:
    """The primary key, the unique keys, and the columns of unique indexes over expressions or some rows."""
    keys = [key for key in (contract.primary_key, *contract.unique_keys) if key]
    for index in table.indexes:
        if index.unique:
            names = dict.fromkeys(
                part.name
                for expression in index.expressions
                if not isinstance(expression, str)
                for part in iterate(expression)
                if isinstance(part, Column)
            )
            keys.append(tuple(names))
    return list(dict.fromkeys(key for key in keys if key))


def edges_of(
    contract: Contract, table: Table, seed: int, *, zero_numbers: bool = False
) -> dict[str, list[Any]]:
    """The edges of every column that is written; with `zero_numbers`, 0 asks a column that numbers itself for the next number.

    Raises RowsNotGeneratedError for a column without a value.
    """
    indexed = {part.name for index in table.indexes for part in index.columns}
    indexed |= {name for key in key_columns_of(contract, table) for name in key}
    found = {}
    for name, column in contract.columns.items():
        if not column.computed:
            edges = boundary_values(column, indexed=name in indexed or bool(column.column.foreign_keys))
            if column.limits.pattern is not None and column.family == "text" and column.choices is None:
                edges = [
                    *(edge for edge in edges if re.search(column.limits.pattern, edge)),
                    *_extremes(_patterned(contract, column, seed)),
                ]
            if zero_numbers and column.column is table.autoincrement_column:
                edges = [edge for edge in edges if edge != 0]
            if not edges and not column.nullable:
                raise RowsNotGeneratedError(
                    f"no values are known for column {name}, whose type is {column.sql_type!r}"
                    if column.family is None
                    else f"the limits of column {name} leave no value"
                )
            found[name] = edges
    return found


def _patterned(contract: Contract, column: ColumnContract, seed: int) -> list[str]:
    from sqlmodel_framework.utils.generation.patterns import texts_matching

    return texts_matching(
        str(column.limits.pattern),
        min_length=column.min_length,
        max_length=column.max_length,
        count=_PATTERNED,
        seed=seed,
        where=f"table {contract.table}, column {column.name}",
    )


def _extremes(texts: list[str]) -> list[str]:
    by_length = sorted(texts, key=len)
    return list(dict.fromkeys([by_length[0], by_length[-1], *by_length[:3]]))


def loosely(value: Any) -> Any:
    """A key's value as the most forgiving collation sees it: without case, accents, blanks at the end, and planes beyond the BMP."""
    if not isinstance(value, str):
        return value
    letters = (c for c in normalize("NFKD", value.casefold()) if not combining(c))
    return "".join("\ufffd" if ord(c) > 0xFFFF else c for c in letters).rstrip()


@dataclass
class RowMaker:
    """Makes rows of one table. `options` are the keys of the rows that each foreign key may refer to.

    Keys in `null_first` stay null. `base` are values of columns that checks speak of, with which the checks hold.
    """

    contract: Contract
    table: Table
    references: Sequence[Reference]
    options: Mapping[Reference, list[tuple[Any, ...]]]
    null_first: set[Reference]
    edges: dict[str, list[Any]]
    random: Random
    base: Row = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = key_columns_of(self.contract, self.table)
        self.in_keys = {name for key in self.keys for name in key}
        at_once = [reference for reference in self.references if reference not in self.null_first]
        self.own_references = [reference for reference in at_once if reference.is_own]
        self.parents = sorted(
            (reference for reference in at_once if not reference.is_own),
            key=lambda reference: (bool(reference.nullable), -len(reference.columns)),
        )
        self.linked = {name for reference in at_once for name in reference.columns}
        self.linked |= {name for reference in self.null_first for name in reference.nullable}
        self.free = [name for name in self.edges if name not in self.linked]
        self._plain: dict[str, Iterator[Any]] = {}
        self._used: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
        self.forget()

    @property
    def keys_beyond_contract(self) -> bool:
        """Whether the class has unique indexes that are no keys, over expressions or some rows."""
        return any(key not in (self.contract.primary_key, *self.contract.unique_keys) for key in self.keys)

    def forget(self) -> None:
        """Keys of earlier rows may come again."""
        self._used = {key: set() for key in self.keys}

    def plain(self, name: str) -> Any:
        """The next plain value of a column; None where there is none."""
        if name not in self._plain:
            column = self.contract.columns[name]
            texts = None
            if column.limits.pattern is not None and column.family == "text" and column.choices is None:
                texts = _patterned(self.contract, column, self.random.randrange(2**32))
            self._plain[name] = plain_values(column, self.random, texts)
        return next(self._plain[name], None)

    def make(
        self, wanted: Mapping[str, Any], *, turn: int = 0, again: tuple[str, ...] = (), keep: bool = True
    ) -> Row | None:
        """A row with the wanted values and keys that no row has had; None where there is no such key.

        A wanted value of a key gives way to a new one where the key is taken; not that of the key `again`, which is
        repeated. `keep`: the keys count as taken from now on.
        """
        start: Row = {}
        for name in self.free:
            if name in wanted:
                start[name] = wanted[name]
            else:
                start[name] = self.base[name] if name in self.base else self.plain(name)
        start |= {name: None for reference in self.null_first for name in reference.nullable}
        start |= {name: wanted[name] for name in again}
        for attempt in range(_TRIES):
            row = dict(start)
            if not self._refer(row, wanted, again, turn, attempt):
                return None
            clash = self._vary(row, wanted, again)
            if clash is None:
                if keep:
                    self._take(row)
                return {name: row[name] for name in self.edges}
            if not any(name in self.linked for name in clash):
                return None
        return None

    def make_alone(self, wanted: Mapping[str, Any]) -> Row | None:
        """A row as if there were no others: its keys may be those of earlier rows."""
        used = self._used
        self.forget()
        try:
            return self.make(wanted, keep=False)
        finally:
            self._used = used

    def _refer(
        self, row: Row, wanted: Mapping[str, Any], again: tuple[str, ...], turn: int, attempt: int
    ) -> bool:
        """Give the foreign keys values of rows that are there; False where there are no more combinations."""
        fixed = {name: wanted[name] for name in self.linked if name in again}
        row |= fixed
        assigned = set(fixed)
        rest = turn + attempt - 1
        total = 1
        for reference in self.parents:
            if reference.nullable and all(
                name in wanted and wanted[name] is None for name in reference.nullable
            ):
                row |= dict.fromkeys(reference.nullable)
                row |= {n: self.plain(n) for n in reference.columns if n not in row}
                continue
            choices = [
                option
                for option in self.options[reference]
                if all(
                    name not in assigned or row[name] == value
                    for name, value in zip(reference.columns, option, strict=True)
                )
            ]
            if not choices:
                if not reference.nullable:
                    raise RowsNotGeneratedError(
                        f"no row of {reference.parent.fullname} has a key for {', '.join(reference.columns)}"
                    )
                row |= dict.fromkeys(reference.nullable)
                row |= {n: self.plain(n) for n in reference.columns if n not in row}
                continue
            total *= len(choices)
            if attempt == 0:
                chosen = turn % len(choices)
            else:
                rest, chosen = divmod(rest, len(choices))
            row |= dict(zip(reference.columns, choices[chosen], strict=True))
            assigned |= set(reference.columns)
        self._refer_is_own(row)
        return attempt <= total

    def _refer_is_own(self, row: Row) -> None:
        for reference in self.own_references:
            for name, referred in zip(reference.columns, reference.referred, strict=True):
                row[name] = row[referred]

    def _vary(self, row: Row, wanted: Mapping[str, Any], again: tuple[str, ...]) -> tuple[str, ...] | None:
        """Give keys that are taken new values in their own columns; the key for which that was not possible."""
        for _ in range(_FRESH_TRIES):
            clash = self._clash(row, again)
            if clash is None:
                return None
            own = [
                name for name in clash if name in self.free and name not in again and row[name] is not None
            ]
            if not own:
                return clash
            pick = next((name for name in own if name not in wanted), own[0])
            row[pick] = self.plain(pick)
            self._refer_is_own(row)
        return self._clash(row, again)

    def _clash(self, row: Row, again: tuple[str, ...]) -> tuple[str, ...] | None:
        return next(
            (
                key
                for key in self.keys
                if set(key) != set(again)
                and not set(key) <= set(again)
                and self._key(row, key) in self._used[key]
            ),
            None,
        )

    def _key(self, row: Row, key: tuple[str, ...]) -> tuple[Any, ...] | None:
        values = tuple(loosely(row[name]) for name in key)
        return None if None in values else values

    def _take(self, row: Row) -> None:
        for key in self.keys:
            values = self._key(row, key)
            if values is not None:
                self._used[key].add(values)

    def give_back(self, row: Row) -> None:
        """The keys of a row that was not taken are free again."""
        for key in self.keys:
            values = self._key(row, key)
            if values is not None:
                self._used[key].discard(values)

    # all rows

    def rounds(self, least: int, wanted: Sequence[Mapping[str, Any]] = ()) -> list[list[Row]]:
        """Rows in which every edge stands, at least so many; more than one list where keys run out.

        `wanted` are values of the first rows. The last row has null wherever the class allows it.
        """
        length = max(least, len(wanted), *(len(edges) for edges in self.edges.values()))
        rounds: list[list[Row]] = [[]]
        for turn in range(length + 1):
            values = self._edges_at(turn) if turn < length else self._nulls()
            values |= wanted[turn] if turn < len(wanted) else {}
            row = self.make(values, turn=turn)
            if row is None and rounds[-1]:
                if turn >= max(len(edges) for edges in self.edges.values()) and turn < length:
                    continue
                self.forget()
                rounds.append([])
                row = self.make(values, turn=turn)
            if row is None:
                raise RowsNotGeneratedError("no row was found whose keys are new")
            rounds[-1].append(row)
        return rounds

    def _edges_at(self, turn: int) -> Row:
        values = {}
        for name in self.free:
            edges = self.edges[name]
            if turn < len(edges) or (edges and name not in self.in_keys):
                values[name] = edges[turn % len(edges)]
        return values

    def _nulls(self) -> Row:
        columns = self.contract.columns
        return {name: None for name in self.edges if columns[name].nullable}


def fitting_options(
    reference: Reference,
    columns: Mapping[str, ColumnContract],
    rows: Sequence[Row],
    same: Callable[[Any], Any] = loosely,
) -> list[tuple[Any, ...]]:
    """The keys of a parent's rows that a foreign key of its child can hold, each once."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        option = tuple(row[name] for name in reference.referred)
        if None in option:
            continue
        if all(fits(columns[name], value) for name, value in zip(reference.columns, option, strict=True)):
            found.setdefault(tuple(map(same, option)), option)
    return list(found.values())
