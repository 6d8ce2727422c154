"""The keys of a table that is planned: which of its columns make its rows differ, and how many rows that allows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract
from sqlmodel_framework.utils.generation.candidates import variants
from sqlmodel_framework.utils.generation.checks import RowChecks, literals_of
from sqlmodel_framework.utils.generation.hashing import Index, Permutation
from sqlmodel_framework.utils.generation.keys import Digit, Line, Spread, spread_of
from sqlmodel_framework.utils.generation.parts import (
    Distinct,
    never_held,
)
from sqlmodel_framework.utils.generation.table_references import PlannedReferences
from sqlmodel_framework.utils.generation.texts import words_of
from sqlmodel_framework.utils.table_order import Reference

__all__ = ["PlannedKeys"]

_LARGEST_NUMBER = 2**40
_SAMPLE = 2_000
_TRIES_A_ROW = 64
_MOST_LINES = 5


class PlannedKeys(PlannedReferences):
    """One table being planned: its keys, after its foreign keys."""

    def _number_keys(self) -> None:
        """Make every key differ from row to row; lower the number of rows where it must be.

        A key takes all its columns of few values, which spreads them best. Where keys share columns that may leave too
        little for the others: then each takes as few columns as it can.
        """
        first = self._numbered(sparing=False)
        if isinstance(first, RowsNotGeneratedError) or self.count < self.around.rows:
            counted, self.count, self.why_fewer = (self.count, self.why_fewer), self.around.rows, None
            self.digits, self.spreads = {}, {}
            second = self._numbered(sparing=True)
            if isinstance(second, RowsNotGeneratedError) or self.count <= counted[0]:
                if isinstance(first, RowsNotGeneratedError):
                    raise first
                (self.count, self.why_fewer), (self.digits, self.spreads) = counted, first

    def _numbered(
        self, *, sparing: bool
    ) -> tuple[dict[Reference | str, Digit], dict[str, Spread]] | RowsNotGeneratedError:
        try:
            self._number_all(sparing=sparing)
        except RowsNotGeneratedError as exc:
            self.count = 0
            return exc
        return self.digits, self.spreads

    def _number_all(self, *, sparing: bool) -> None:
        distinct: list[set[str]] = []
        primary = [self.contract.primary_key] if self.contract.primary_key else []
        # Short keys first: a longer one may hold a shorter one, which settles it.
        for columns in sorted((*primary, *self.contract.unique_keys), key=len):
            if not any(done <= set(columns) for done in distinct) and not set(columns) & self.null:
                distinct.append(self._number_key(columns, sparing=sparing))

    def _number_key(self, columns: tuple[str, ...], *, sparing: bool) -> set[str]:
        """Number the rows of one key; gives the columns that differ by now."""
        closed, opened = self._units(columns)
        if not closed and not opened:
            closed = [self._by_a_part(columns)]
        lines = self._lines_of_parents(columns, closed, opened)
        if lines:
            return lines
        places: list[tuple[Reference | str, int]] = []
        size = 1
        for unit, capacity in sorted(closed, key=lambda pair: -pair[1]) if sparing else closed:
            if size * capacity <= _LARGEST_NUMBER and not (sparing and places and size >= self.count):
                places.append((unit, capacity))
                size *= capacity
        for name, spread in opened:
            if size < self.count or not places:
                radix = min(spread.capacity, max(1, -(-self.count // size)))
                places.append((name, radix))
                size *= radix
        if len(places) > 1 or not self._may_be_null(columns):
            first = places[0][0]
            why = self.tried[first].why if len(places) == 1 and isinstance(first, str) else None
            why = f": {why}" if why else f" takes {size:,} different values"
            self._fewer(size, f"the key ({', '.join(columns)}){why}")
        units = [unit for unit, _ in places]
        self.spreads |= {unit: self.tried[unit] for unit in units if isinstance(unit, str)}
        self._place(columns, places, size)
        return {name for unit in units for name in ([unit] if isinstance(unit, str) else unit.columns)}

    def _lines_of_parents(
        self,
        columns: tuple[str, ...],
        closed: Sequence[tuple[Reference | str, int]],
        opened: Sequence[tuple[str, Spread]],
    ) -> set[str] | None:
        """A key of a foreign key and a whole number behind it: each parent has some lines, numbered from 1.

        None for another key, and where there are too few parents.
        """
        if len(closed) != 1 or len(opened) != 1:
            return None
        (reference, capacity), (name, spread) = closed[0], opened[0]
        if (
            not isinstance(reference, Reference)
            or reference.is_own
            or (*reference.columns, name) != columns
            or _rank(self.written[name]) != (False, 0)
            or capacity < Line.parents_for(self.count)
            or spread.capacity < _MOST_LINES
            or self._may_be_null(columns)
        ):
            return None
        order = Permutation(capacity, self._key(*columns, "order"))
        self.digits[reference] = Line(capacity, permutation=order)
        self.digits[name] = Line(_MOST_LINES, permutation=order, is_line=True)
        self.spreads[name] = spread
        return set(columns)

    def _by_a_part(self, columns: tuple[str, ...]) -> tuple[Reference, int]:
        """A foreign key of which only some columns stand in the key: one row of its parent for each of their values."""
        for reference in self.leading:
            names = [name for name in reference.columns if name in columns]
            if (
                names
                and reference not in self.digits
                and not reference.is_own
                and reference not in self.around.late
            ):
                values = self._parents_values(reference, names).to_numpy(zero_copy_only=False)
                rows = self.allowed.get(reference, np.arange(len(values)))
                _, first = np.unique(values[rows].astype(str), return_index=True)
                self.allowed[reference] = rows[np.sort(first)]
                return reference, len(first)
        raise self._no_key(columns)

    def _place(
        self,
        columns: tuple[str, ...],
        places: Sequence[tuple[Reference | str, int]],
        size: int,
    ) -> None:
        """Give each column its place in a number of mixed radix."""
        first, alone = places[0][0], len(places) == 1
        ordered = alone and isinstance(first, str) and self.spreads[first].ordered
        # Rows beyond the capacity of a column that may be null keep their own numbers.
        beyond = alone and size < self.count
        permutation = None
        if not ordered and not beyond:
            permutation = Permutation(size, self._key(*columns, "order"))
        divisor = 1
        for unit, radix in places:
            self.digits[unit] = Digit(max(radix, self.count) if alone else radix, divisor, permutation)
            divisor *= radix

    def _units(
        self, columns: tuple[str, ...]
    ) -> tuple[list[tuple[Reference | str, int]], list[tuple[str, Spread]]]:
        """What the values of a key are made of: foreign keys and columns of few values, then columns of many."""
        closed: list[tuple[Reference | str, int]] = [
            (reference, self._capacity(reference))
            for reference in self.leading
            if set(reference.columns) <= set(columns) and reference not in self.digits
        ]
        opened: list[tuple[str, Spread]] = []
        of_references = {name for reference in self.leading for name in reference.columns}
        of_references |= {name for reference, _, _ in self.matched for name in reference.columns}
        for name in columns:
            if name not in of_references and name not in self.digits and name in self.written:
                spread = self.tried[name] = self._spread(name)
                if spread.few or (spread.capacity < self.count and len(columns) > 1):
                    closed.append((name, spread.capacity))
                else:
                    opened.append((name, spread))
        opened.sort(key=lambda pair: _rank(self.written[pair[0]]))
        return closed, opened

    def _capacity(self, reference: Reference) -> int:
        if reference.is_own:
            return self.count
        if reference in self.allowed:
            return len(self.allowed[reference])
        if reference in self.around.late:
            raise self._shares_columns(reference)
        return self.around.plans[reference.parent].count

    def _may_be_null(self, columns: tuple[str, ...]) -> bool:
        return any(
            self.contract.columns[name].nullable and not self._must_be_given((name,)) for name in columns
        )

    def _no_key(self, columns: tuple[str, ...]) -> RowsNotGeneratedError:
        return RowsNotGeneratedError(
            "a key has no column of its own that could differ from row to row",
            where=f"table {self.contract.table}",
            seen=f"the key ({', '.join(columns)})",
            next_step="make the rows yourself",
        )

    def _key_part(self, name: str) -> Distinct:
        column = self.contract.columns[name]
        null_key = None if not column.nullable or self._must_be_given((name,)) else self._key(name, "null")
        return Distinct(name, self.spreads[name], self.digits[name], null_key)

    def _spread(self, name: str) -> Spread:
        """The values of a key's column, without those that a check of this column alone refuses."""
        column, key = self.written[name], self._key(name)
        spread = spread_of(column, self.count, key, self.seed)
        rules = self._rules_of_one(name)
        if not rules:
            return spread
        checks = RowChecks(self.contract, only=rules)
        literals = [value for rule in rules for value in literals_of(rule)]
        best = 0
        for variant in (column, *variants(column, literals)):
            try:
                tried = spread_of(variant, self.count, key, self.seed)
            except RowsNotGeneratedError:
                continue
            sample = np.arange(min(tried.capacity, _SAMPLE))
            good = len(self._let_in_by(checks, name, tried, sample))
            if good > best:
                best, spread = good, tried
            if good == len(sample):
                break
        numbers = self._numbers_let_in(checks, name, spread)
        if not len(numbers):
            raise never_held(checks, [rule.label for rule in rules])
        if len(numbers) >= self.count and numbers[self.count - 1] == self.count - 1:
            return spread
        few = len(numbers) < self.count
        return replace(
            spread, capacity=len(numbers), at=lambda position: spread.at(numbers[position]), few=few
        )

    def _numbers_let_in(self, checks: RowChecks, name: str, spread: Spread) -> Index:
        """The first numbers of a spread whose values the checks let in, as many as there are rows; they are kept in memory."""
        found: list[Index] = []
        start, last = 0, min(spread.capacity, _TRIES_A_ROW * self.count + _SAMPLE)
        while start < last and sum(map(len, found)) < self.count:
            numbers = np.arange(start, min(start + max(self.count, _SAMPLE), last))
            found.append(self._let_in_by(checks, name, spread, numbers))
            start += len(numbers)
        return np.concatenate(found) if found else np.array([], np.int64)

    def _let_in_by(self, checks: RowChecks, name: str, spread: Spread, numbers: Index) -> Index:
        refused = checks.not_held({name: spread.at(numbers).to_pylist()})
        kept: Index = numbers[np.fromiter((not row for row in refused), bool, len(refused))]
        return kept

    def _rules_of_one(self, name: str) -> list[CheckRule]:
        return [rule for rule, columns in self.checks.columns.items() if columns == (name,)]


# Of the columns of a key, those that rather number its rows; a year or an hour rather does not.
_FIRST_OPEN = (
    "integer", "text", "datetime", "date", "uuid", "decimal", "time", "interval", "binary", "float", "json", "array",
    "enum", "boolean",
)  # fmt: skip
_CALENDAR = re.compile(r"year|month|day|hour|minute|second|quarter|week")


def _rank(column: ColumnContract) -> tuple[bool, int]:
    return _CALENDAR.search(words_of(column.name)) is not None, _FIRST_OPEN.index(column.family or "text")
