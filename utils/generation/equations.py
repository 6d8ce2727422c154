"""Checks that are equations, `total = net + vat` or `a + b + c = 100`: one of their columns is worked out from the others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.candidates import fits
from sqlmodel_framework.utils.generation.checks import RowChecks, quoted

__all__ = ["Equations"]

_NUMBERS = ("integer", "decimal", "float")
_SAME_SIGN = 12
_STRINGS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_AND = re.compile(r"\bAND\b", re.IGNORECASE)
_NO_EQUATION = re.compile(r"[<>!]|\b(?:OR|NOT|IS|IN|LIKE|BETWEEN|CASE|REGEXP|MATCH|GLOB)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Equation:
    """`alone` is a column that is one side and does not stand in the other; `side` is that other one."""

    left: str
    right: str
    names: tuple[str, ...]
    alone: tuple[tuple[str, str], ...]


class Equations:
    """The equations in the checks of a table. They are solved for columns that may take any value: `free`."""

    def __init__(self, checks: RowChecks, free: Mapping[str, ColumnContract]) -> None:
        self._checks = checks
        self._free = free
        self._equations = [e for rule in checks.rules for e in _equations_in(checks, checks.conditions[rule])]

    def settled(self, columns: Mapping[str, pa.Array], attempt: int) -> dict[str, pa.Array]:
        """The rows with one column of each equation worked out, where its limits let it in; null stays null.

        Later attempts choose other columns, and make the numbers smaller that the equations read.
        """
        if not self._equations:
            return dict(columns)
        rows: dict[str, list[Any]] = {name: values.to_pylist() for name, values in columns.items()}
        chosen = [(e, name) for e in self._equations if (name := self._chosen(e, attempt))]
        solved = {name for _, name in chosen}
        smaller = {name for e, _ in chosen for name in e.names if name in self._free} - solved
        if attempt % _SAME_SIGN > 1:
            for name in smaller:
                rows[name] = self._smaller(self._free[name], rows[name], 2 ** (attempt % _SAME_SIGN - 1))
        # One equation may read what another one gives.
        for _ in chosen:
            for equation, name in chosen:
                rows[name] = self._solved(equation, name, rows, attempt)
        changed = smaller | solved
        return {
            name: pa.array(rows[name], values.type) if name in changed else values
            for name, values in columns.items()
        }

    def _chosen(self, equation: _Equation, attempt: int) -> str | None:
        """Which column to solve for: one that is a side by itself first."""
        alone = [name for name, _ in equation.alone if name in self._free]
        terms = [
            name
            for name in reversed(equation.names)
            if name in self._free and name not in alone and self._free[name].family in _NUMBERS
        ]
        order = [*alone, *terms]
        return order[attempt // 4 % len(order)] if order else None

    def _smaller(self, column: ColumnContract, values: Sequence[Any], divisor: int) -> list[Any]:
        if column.family not in _NUMBERS:
            return list(values)
        less = [None if value is None else _typed(column, float(value) / divisor) for value in values]
        return [
            new if new is not None and fits(column, new) else old
            for new, old in zip(less, values, strict=True)
        ]

    def _solved(
        self, equation: _Equation, name: str, rows: Mapping[str, Sequence[Any]], attempt: int
    ) -> list[Any]:
        column, sides = self._free[name], dict(equation.alone)
        if name in sides:
            found = [value for (value,) in self._checks.evaluated([sides[name]], rows)]
        else:
            # Where the equation is linear, two points of the difference of its sides say where that is 0.
            at = [{**rows, name: [value] * len(rows[name])} for value in (0, 1)]
            difference = f"({equation.left}) - ({equation.right})"
            zero, one = (self._checks.evaluated([difference], points) for points in at)
            found = [_root(a, b) for (a,), (b,) in zip(zero, one, strict=True)]
        return [
            old if old is None else self._accepted(column, old, new, attempt)
            for old, new in zip(rows[name], found, strict=True)
        ]

    def _accepted(self, column: ColumnContract, old: Any, found: Any, attempt: int) -> Any:
        new = None if found is None else _typed(column, found)
        if new is None or not fits(column, new):
            return old
        turned = column.family in _NUMBERS and old >= 0 > new
        return old if turned and attempt < _SAME_SIGN else new


def _root(at_zero: Any, at_one: Any) -> float | None:
    if not all(isinstance(value, int | float) for value in (at_zero, at_one)) or at_zero == at_one:
        return None
    return float(at_zero / (at_zero - at_one))


def _typed(column: ColumnContract, value: Any) -> Any:
    """What SQLite gives as a value of the column, rounded to its digits; None for what is none."""
    with suppress(InvalidOperation, ValueError):
        if column.family in _NUMBERS and isinstance(value, int | float) and math.isfinite(value):
            return _number(column, value)
        if column.family == "boolean":
            return bool(value)
        if isinstance(value, str) and column.family in _OF_TEXT:
            return _OF_TEXT[column.family](column, value)
    return None


def _number(column: ColumnContract, value: float) -> Any:
    if column.family == "float":
        return float(value)
    scale = 0 if column.family == "integer" else 2 if column.scale is None else column.scale
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-scale))
    return int(rounded) if column.family == "integer" else rounded


_OF_TEXT: dict[str, Callable[[ColumnContract, str], Any]] = {
    "text": lambda _, text: text,
    "date": lambda _, text: date.fromisoformat(text),
    "datetime": lambda column, text: datetime.fromisoformat(text).replace(
        tzinfo=UTC if column.time_zone else None
    ),
}


def _equations_in(checks: RowChecks, condition: str) -> Iterator[_Equation]:
    """The equations of which all must hold."""
    condition = _bare(condition)
    masked = _masked(condition)
    starts = [0, *(found.end() for found in _AND.finditer(masked))]
    ends = [*(found.start() for found in _AND.finditer(masked)), len(condition)]
    parts = [condition[start:end] for start, end in zip(starts, ends, strict=True)]
    if len(parts) > 1:
        for part in parts:
            yield from _equations_in(checks, part)
        return
    sides = re.split(r"==?", masked)
    if len(sides) != 2 or _NO_EQUATION.search(masked):
        return
    left, right = condition[: len(sides[0])], condition[len(condition) - len(sides[1]) :]
    names = checks.named_in(condition)
    alone = []
    for one, other in ((left, right), (right, left)):
        name = next((name for name in names if _bare(one) in (name, quoted(name))), None)
        if name is not None and checks.named_in(other) and name not in checks.named_in(other):
            alone.append((name, other))
    if len(names) > 1:
        yield _Equation(left, right, names, tuple(alone))


def _masked(text: str) -> str:
    """The text with blanks in place of strings and of what stands in brackets."""
    found, depth = "", 0
    for character in _STRINGS.sub(lambda match: "_" * len(match[0]), text):
        depth -= character == ")"
        found += character if depth <= 0 else " "
        depth += character == "("
    return found


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and not _masked(text)[1:-1].strip():
        text = text[1:-1].strip()
    return text
