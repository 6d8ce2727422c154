"""Rows that keep the CHECK constraints of their class, and rows that break exactly one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice, product
from typing import Any

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract, Contract, contract_of
from sqlmodel_framework.utils.proof.boundaries import boundary_values, fits
from sqlmodel_framework.utils.proof.rows import Row, RowMaker

__all__ = ["Checked", "label_of"]

_GUESSES = 600
_COMBINATIONS = 2000


def label_of(rule: CheckRule) -> str:
    """The name of a check; its condition where it has none."""
    return rule.name or str(rule.condition)


class Checked:
    """The checks of one table, held against rows before they are written.

    Raises RowsNotGeneratedError for a check that can only be evaluated by the database itself.
    """

    def __init__(self, contract: Contract) -> None:
        from sqlmodel_framework.utils.generation.checks import RowChecks, literals_of

        self.contract = contract
        self._checks = RowChecks(contract)
        self.columns = {
            rule: [name for name in self._checks.columns[rule] if not contract.columns[name].computed]
            for rule in contract.checks
        }
        self.named = {name for names in self.columns.values() for name in names}
        self._literals = {rule: literals_of(rule) for rule in contract.checks}

    def reads(self, rule: CheckRule) -> set[str]:
        """The columns that a check reads, and those that a computed one of them is worked out from: all, to be sure."""
        names = self._checks.columns[rule]
        computed = any(self.contract.columns[name].computed for name in names)
        return set(self.contract.columns) if computed else set(names)

    def broken(self, rows: Sequence[Row]) -> list[tuple[CheckRule, ...]]:
        """For each row the checks that it breaks."""
        if not rows:
            return []
        columns = {
            name: [_stored(column, row.get(name)) for row in rows]
            for name, column in self.contract.columns.items()
            if not column.computed
        }
        return self._checks.broken(columns)

    def find_base(self, maker: RowMaker) -> Row:
        """Values with which all checks hold, of the columns that they speak of and that are in no key.

        Raises RowsNotGeneratedError where none were found.
        """
        if not self.named:
            return {}
        rows = [row for row in (maker.make(guess, keep=False) for guess in self._guesses(maker)) if row]
        for row, broken in zip(rows, self.broken(rows), strict=True):
            if not broken:
                return {
                    name: row[name] for name in self.named if name in maker.free and name not in maker.in_keys
                }
        rules = ", ".join(label_of(rule) for rule in self.contract.checks)
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
        return [*found, *found, *maker.edges[name], *(maker.plain(name) for _ in range(3)), *nulls]

    def keep_edges(self, maker: RowMaker) -> None:
        """Leave out the edges with which a check fails, whatever the other values are."""
        for name in sorted(self.named):
            if name not in maker.free:
                continue
            rows = [row for edge in maker.edges[name] if (row := maker.make({name: edge}, keep=False))]
            broken = self.broken(rows)
            kept = [row[name] for row, rules in zip(rows, broken, strict=True) if not rules]
            maker.edges[name] = kept or ([maker.base[name]] if maker.base.get(name) is not None else [])

    def repaired(self, maker: RowMaker, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """The rows without those that break a check together, in which columns of the checks get plain values; and values that
        rows of their own are wanted for.
        """
        kept, wanted = [], []
        for row, rules in zip(rows, self.broken(rows), strict=True):
            fixed = dict(row)
            for name in sorted({name for rule in rules for name in self.columns[rule]} & maker.base.keys()):
                if row[name] != maker.base[name]:
                    wanted.append({name: row[name]})
                fixed[name] = maker.base[name]
            kept.append(fixed)
        return [row for row, rules in zip(kept, self.broken(kept), strict=True) if not rules], wanted

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
        return next(
            (row for row, rules in zip(rows, self.broken(rows), strict=True) if rules == (rule,)), None
        )


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
