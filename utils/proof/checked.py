"""Rows that keep the CHECK constraints of their class, and rows that break exactly one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice, product
from math import prod
from typing import Any

from sqlmodel_framework.base.errors import DatakitError, RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract, Contract, contract_of
from sqlmodel_framework.engines.conditions import Arithmetic
from sqlmodel_framework.utils.proof.boundaries import boundary_values, fits, members_of
from sqlmodel_framework.utils.proof.rows import Row, RowMaker

__all__ = ["Checked"]

_GUESSES = 600
_COMBINATIONS = 2000
_AT_ONCE = 200
_GENERATED = 300


class Checked:
    """The checks of one table, held against rows before they are written, by the arithmetic of the database they are for.

    Raises RowsNotGeneratedError for a check that can only be evaluated by the database itself.
    """

    def __init__(self, contract: Contract, arithmetic: Arithmetic) -> None:
        from sqlmodel_framework.utils.generation.checks import RowChecks, literals_of

        self.contract = contract
        self._checks = RowChecks(contract, arithmetic=arithmetic)
        self.columns = {
            rule: [name for name in self._checks.columns[rule] if not contract.columns[name].computed]
            for rule in contract.checks
        }
        self.named = {name for names in self.columns.values() for name in names}
        self._literals = {rule: literals_of(rule) for rule in contract.checks}
        self._of_seed: list[Row] | None = None
        self._edges: dict[str, list[Any]] = {}

    def reads(self, rule: CheckRule) -> set[str]:
        """The columns that a check reads, and those that a computed one of them is worked out from: all, to be sure."""
        names = self._checks.columns[rule]
        computed = any(self.contract.columns[name].computed for name in names)
        return set(self.contract.columns) if computed else set(names)

    def broken(self, rows: Sequence[Row]) -> list[tuple[CheckRule, ...]]:
        """For each row the checks that it breaks for certain."""
        return self._checks.broken(self._columns(rows)) if rows else []

    def not_held(self, rows: Sequence[Row]) -> list[tuple[CheckRule, ...]]:
        """For each row the checks that it breaks, or of which that cannot be decided here."""
        return self._checks.not_held(self._columns(rows)) if rows else []

    def _columns(self, rows: Sequence[Row]) -> dict[str, list[Any]]:
        return {
            name: [_stored(column, row.get(name)) for row in rows]
            for name, column in self.contract.columns.items()
            if not column.computed
        }

    def find_base(self, maker: RowMaker) -> Row:
        """Values with which all checks hold, of the columns that they speak of and that are in no key.

        Raises RowsNotGeneratedError where none were found.
        """
        if not self.named:
            return {}
        rows = [row for row in (maker.make(guess, keep=False) for guess in self._guesses(maker)) if row]
        for row, broken in zip(rows, self.not_held(rows), strict=True):
            if not broken:
                return {
                    name: row[name] for name in self.named if name in maker.free and name not in maker.in_keys
                }
        rules = ", ".join(rule.label for rule in self.contract.checks)
        raise RowsNotGeneratedError(f"no row was found with which these checks hold: {rules}")

    def _guesses(self, maker: RowMaker) -> Iterator[Row]:
        yield {}
        pools = {name: self._near(name, maker) for name in sorted(self.named) if name in maker.free}
        for number in range(_GUESSES):
            yield {
                name: maker.random.choice(pool)
                for name, pool in pools.items()
                if pool and (number % 3 or maker.random.random() < 0.5)
            }

    def _near(self, name: str, maker: RowMaker) -> list[Any]:
        """Values of a column near which its checks change their minds, and its edges."""
        column = self.contract.columns[name]
        found = [
            value
            for rule, names in self.columns.items()
            if name in names
            for literal in self._literals[rule]
            for value in _as_values(column, literal)
            if fits(column, value)
        ]
        nulls = [None] if column.nullable else []
        return [
            *found,
            *found,
            *self._edges.get(name, maker.edges[name]),
            *(maker.plain(name) for _ in range(3)),
            *nulls,
        ]

    def keep_edges(self, maker: RowMaker) -> None:
        """Leave out the edges with which a check fails, whatever the other values are."""
        self._edges = {name: list(edges) for name, edges in maker.edges.items()}
        for name in sorted(self.named):
            if name not in maker.free:
                continue
            rows = [row for edge in maker.edges[name] if (row := maker.make({name: edge}, keep=False))]
            broken = self.not_held(rows)
            kept = [row[name] for row, rules in zip(rows, broken, strict=True) if not rules]
            maker.edges[name] = kept or ([maker.base[name]] if maker.base.get(name) is not None else [])

    def repaired(self, maker: RowMaker, rows: Sequence[Row]) -> list[Row]:
        """The rows with plain values in the columns of checks that they break, without those that break one then too."""
        kept = []
        for row, rules in zip(rows, self.not_held(rows), strict=True):
            fixed = dict(row)
            for name in sorted({name for rule in rules for name in self.columns[rule]} & maker.base.keys()):
                fixed[name] = maker.base[name]
            kept.append(fixed)
        return [row for row, rules in zip(kept, self.not_held(kept), strict=True) if not rules]

    def forbids(self, maker: RowMaker, name: str, value: Any) -> bool:
        """Whether a check of this column alone does not take the value: then it is none of the column's values."""
        row = maker.make({name: value}, keep=False)
        if row is None:
            return False
        (rules,) = self.broken([{**row, name: value}])
        return any(set(self._checks.columns[rule]) == {name} for rule in rules)

    def completed(self, maker: RowMaker, name: str, value: Any) -> Row | None:
        """A value with values of the columns that checks tie it to, so that all checks hold; None where none were found."""
        row = maker.make({name: value}, keep=False)
        if row is None:
            return None
        row[name] = value
        tied = [other for other in self._tied_to(name) if other != name and other in maker.free]
        if (found := self._first_whole([row])) is None:
            found = self._first_whole(self._near_misses(maker, row, tied, value))
        if found is None:
            found = self._first_whole(self._like_generated(maker, row, tied, name))
        return None if found is None else {other: found[other] for other in (name, *tied)}

    def _tied_to(self, name: str) -> list[str]:
        """The columns that checks speak of together with this one, or with one of those."""
        found = {name: None}
        grown = True
        while grown:
            of_rules = [names for names in self.columns.values() if not found.keys().isdisjoint(names)]
            more = {other: None for names in of_rules for other in names}
            grown = not more.keys() <= found.keys()
            found |= more
        return list(found)

    def _first_whole(self, rows: Iterable[Row]) -> Row | None:
        left = iter(rows)
        while some := list(islice(left, _AT_ONCE)):
            for row, rules in zip(some, self.not_held(some), strict=True):
                if not rules:
                    return row
        return None

    def _near_misses(self, maker: RowMaker, row: Row, tied: Sequence[str], value: Any) -> Iterator[Row]:
        """The row with other values in one of the columns, then in all of them."""
        pools = {}
        for name in tied:
            column = self.contract.columns[name]
            alike = [other for other in _alike(column, value) if fits(column, other)]
            pool = [row[name], *alike, *self._near(name, maker)]
            pools[name] = list({repr(v): v for v in pool}.values())
        for name, pool in pools.items():
            yield from ({**row, name: other} for other in pool)
        if prod(len(pool) for pool in pools.values()) <= _COMBINATIONS:
            for values in product(*pools.values()):
                yield {**row, **dict(zip(pools, values, strict=True))}
            return
        for _ in range(_COMBINATIONS):
            yield {**row, **{name: maker.random.choice(pool) for name, pool in pools.items()}}

    def _like_generated(self, maker: RowMaker, row: Row, tied: Sequence[str], name: str) -> Iterator[Row]:
        """The row with the other columns as rows have them that `seed` would write; those with the same value first."""
        if self._of_seed is None:
            self._of_seed = _generated(maker)
        known = [made for made in self._of_seed if all(other in made for other in tied)]
        for made in sorted(known, key=lambda made: made.get(name) != row[name]):
            yield {**row, **{other: made[other] for other in tied}}

    def breaking(self, rule: CheckRule, like: Mapping[str, Any], maker: RowMaker) -> Row | None:
        """A row like another that breaks this check alone; None where none was found."""
        names = [
            name
            for name in self.columns[rule]
            if name in maker.free and name not in maker.contract.primary_key
        ]
        declared = contract_of(maker.table)
        pools = []
        for name in names:
            column = declared.columns[name]
            near = [v for literal in self._literals[rule] for v in _as_values(column, literal)]
            edges = boundary_values(column, indexed=True)
            pools.append([v for v in (*near, *edges, like[name]) if v is None or _storable(column, v)])
        rows = [
            {**like, **dict(zip(names, values, strict=True))}
            for values in islice(product(*pools), _COMBINATIONS)
        ]
        verdicts = zip(rows, self.broken(rows), self.not_held(rows), strict=True)
        alone = [row for row, broken, not_held in verdicts if broken == not_held == (rule,)]
        spelt = [self.broken([_spelt(row, names, way) for row in alone]) for way in _SPELLINGS]
        return next(
            (row for row, *ways in zip(alone, *spelt, strict=True) if all(rule in way for way in ways)), None
        )


# To a collation these may be the same text: a row that breaks a check only in one of them breaks it on some databases.
_SPELLINGS: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.strip)


def _spelt(row: Row, names: Sequence[str], way: Callable[[str], str]) -> Row:
    return {name: way(v) if name in names and isinstance(v, str) else v for name, v in row.items()}


def _generated(maker: RowMaker) -> list[Row]:
    """Rows of the generator, in columns whose values are as the types take them; none where it makes none."""
    from sqlmodel_framework.utils.generation.rows import generate_rows

    try:
        batches = list(generate_rows(maker.table, _GENERATED))
    except (DatakitError, ArithmeticError, LookupError, TypeError, ValueError):
        return []
    rows = [row for batch in batches for row in batch.to_pylist()]
    for name, column in maker.contract.columns.items():
        members = {_stored(column, member): member for member in members_of(column)}
        for row in rows:
            if row.get(name) in members:
                row[name] = members[row[name]]
    return rows


def _storable(column: ColumnContract, value: Any) -> bool:
    if isinstance(value, str | bytes):
        return column.declared_length is None or len(value) <= column.declared_length
    return fits(column, value)


def _stored(column: ColumnContract, value: Any) -> Any:
    """A member of an enum as the database has it."""
    enum_class = getattr(column.sql_type, "enum_class", None)
    if enum_class is None or not isinstance(value, enum_class):
        return value
    members = list(enum_class.__members__.values())
    return dict(zip(members, getattr(column.sql_type, "enums", ()), strict=True))[value]


def _as_values(column: ColumnContract, literal: Any) -> Iterator[Any]:
    """A number or text of a condition as values of a column, with its neighbours."""
    if isinstance(literal, Decimal):
        yield from _numbers(column, literal)
    elif column.family == "text":
        yield literal
        # What LIKE is held against.
        yield literal.replace("%", "x").replace("_", "x")
        yield f"{literal}x"
    elif column.family in ("date", "datetime"):
        try:
            found = datetime.fromisoformat(literal)
        except ValueError:
            return
        yield date(found.year, found.month, found.day) if column.family == "date" else found


def _alike(column: ColumnContract, value: Any) -> Iterator[Any]:
    """The value of another column, with its neighbours, as one of this column."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield from _numbers(column, Decimal(str(value)))
    elif (isinstance(value, str) and column.family == "text" and column.choices is None) or (
        isinstance(value, date) and column.family == ("datetime" if isinstance(value, datetime) else "date")
    ):
        yield value


def _numbers(column: ColumnContract, literal: Decimal) -> Iterator[Any]:
    if column.family == "integer" and literal == literal.to_integral_value():
        yield from (int(literal), int(literal) - 1, int(literal) + 1)
    elif column.family == "decimal":
        step = Decimal(1).scaleb(-(column.scale or 0))
        try:
            yield from (literal.quantize(step), literal.quantize(step) - step, literal.quantize(step) + step)
        except InvalidOperation:
            return
    elif column.family == "float":
        yield from (float(literal), float(literal) - 0.5, float(literal) + 0.5)
    elif column.family == "boolean":
        yield bool(literal)
    elif column.family == "text" and 0 <= literal < 1000 and literal == literal.to_integral_value():
        yield from ("x" * max(0, int(literal) + more) for more in (0, -1, 1))
