"""Checks that are equations, `total = net + vat` or `a + b + c = 100`: one of their columns is worked out from the others.

Of equations joined by OR, each row solves one: that of a way whose other conditions it meets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import Any
from zlib import crc32

import pyarrow as pa

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.candidates import fits
from sqlmodel_framework.utils.generation.checks import RowChecks, quoted

__all__ = ["Equations"]

_NUMBERS = ("integer", "decimal", "float")
_SAME_SIGN = 12
_NESTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]|\b(?:CASE|END)\b", re.IGNORECASE)
_JOINED = re.compile(r"\b(?:AND|OR|BETWEEN)\b", re.IGNORECASE)
_NO_EQUATION = re.compile(r"[<>!]|\b(?:NOT|IS|IN|LIKE|BETWEEN|REGEXP|MATCH|GLOB)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Equation:
    """`alone` is a column that is one side and does not stand in the other; `side` is that other one."""

    left: str
    right: str
    names: tuple[str, ...]
    alone: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Way:
    """One of the ways to meet a condition: rows for which `guard` holds, or any where it is empty, solve the equations.

    Those of one column, `kind = 'sale'`, are part of both: they make rows go this way that would go none.
    """

    guard: str
    equations: tuple[_Equation, ...]


@dataclass(frozen=True)
class _Step:
    """An equation, the column that it is solved for, and the rows that solve it; None for all."""

    equation: _Equation
    name: str
    rows: Sequence[bool] | None


class Equations:
    """The equations in the checks of a table. They are solved for columns that may take any value: `free`."""

    def __init__(self, checks: RowChecks, free: Mapping[str, ColumnContract]) -> None:
        self._checks = checks
        self._free = free
        self._choices = [
            ways for rule in checks.rules for ways in _choices_in(checks, checks.conditions[rule])
        ]

    def settled(self, columns: Mapping[str, pa.Array], attempt: int) -> dict[str, pa.Array]:
        """The rows with one column of each equation worked out, where its limits let it in; null stays null.

        Later attempts choose other columns, and make the numbers smaller that the equations read.
        """
        if not self._choices:
            return dict(columns)
        rows: dict[str, list[Any]] = {name: values.to_pylist() for name, values in columns.items()}
        equations = [equation for ways in self._choices for way in ways for equation in way.equations]
        solved = {name for equation in equations if (name := self._chosen(equation, attempt))}
        smaller = {name for equation in equations for name in equation.names if name in self._free} - solved
        if attempt % _SAME_SIGN > 1:
            for name in smaller:
                rows[name] = self._smaller(self._free[name], rows[name], 2 ** (attempt % _SAME_SIGN - 1))
        steps = [step for ways in self._choices for step in self._steps(ways, rows, attempt)]
        # One equation may read what another one gives.
        for _ in steps:
            before = {step.name: rows[step.name] for step in steps}
            for step in steps:
                rows[step.name] = self._solved(step, rows, attempt)
            if all(rows[name] == values for name, values in before.items()):
                break
        changed = smaller | solved
        return {
            name: pa.array(rows[name], values.type) if name in changed else values
            for name, values in columns.items()
        }

    def _steps(
        self, ways: Sequence[_Way], rows: Mapping[str, Sequence[Any]], attempt: int
    ) -> Iterator[_Step]:
        taken = self._taken(ways, rows, attempt) if len(ways) > 1 else None
        for number, way in enumerate(ways):
            own = None if taken is None else [one == number for one in taken]
            for equation in way.equations:
                name = self._chosen(equation, attempt)
                if name is not None:
                    yield _Step(equation, name, own)

    def _taken(self, ways: Sequence[_Way], rows: Mapping[str, Sequence[Any]], attempt: int) -> list[int]:
        """The way that each row goes: one whose guard holds, if there is such, and not the same for all rows."""
        guards = self._checks.evaluated([f"({way.guard or 1}) IS NOT FALSE" for way in ways], rows)
        read = [rows[name] for name in sorted({n for way in ways for e in way.equations for n in e.names})]
        taken = []
        for held, *values in zip(guards, *read, strict=True):
            open_ways = [number for number, holds in enumerate(held) if holds] or range(len(ways))
            # By its values, not by its place: where a batch begins is no matter.
            taken.append(open_ways[(crc32(repr(values).encode()) + attempt) % len(open_ways)])
        return taken

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

    def _solved(self, step: _Step, rows: Mapping[str, Sequence[Any]], attempt: int) -> list[Any]:
        equation, name = step.equation, step.name
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
            self._accepted(column, old, new, attempt) if mine and old is not None else old
            for old, new, mine in zip(rows[name], found, step.rows or repeat(True, len(found)), strict=True)
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


def _choices_in(checks: RowChecks, condition: str) -> Iterator[tuple[_Way, ...]]:
    """The parts of a condition all of which must hold, each with the ways to meet it; those without an equation are left out."""
    condition = _bare(condition)
    alternatives = _split(condition, "OR")
    conjuncts = _split(condition, "AND")
    if len(alternatives) > 1:
        ways = tuple(_way(checks, one) for one in alternatives)
        if any(len(equation.names) > 1 for way in ways for equation in way.equations):
            yield ways
    elif len(conjuncts) > 1:
        for part in conjuncts:
            yield from _choices_in(checks, part)
    elif (equation := _equation(checks, condition)) is not None:
        yield (_Way("", (equation,)),)


def _way(checks: RowChecks, condition: str) -> _Way:
    equations, guard = [], []
    for part in _conjuncts(condition):
        equation = _equation(checks, part, fewest=1)
        if equation is not None:
            equations.append(equation)
        if equation is None or len(equation.names) == 1:
            guard.append(f"({part})")
    return _Way(" AND ".join(guard), tuple(equations))


def _conjuncts(condition: str) -> Iterator[str]:
    condition = _bare(condition)
    parts = [condition] if len(_split(condition, "OR")) > 1 else _split(condition, "AND")
    if len(parts) == 1:
        yield condition
        return
    for part in parts:
        yield from _conjuncts(part)


def _equation(checks: RowChecks, condition: str, fewest: int = 2) -> _Equation | None:
    """The equation that a condition is, if it names so many columns."""
    masked = _masked(condition)
    sides = re.split(r"==?", masked)
    names = checks.named_in(condition)
    if (
        len(sides) != 2
        or len(names) < fewest
        or _NO_EQUATION.search(masked)
        or len(_split(condition, "OR")) > 1
    ):
        return None
    left, right = condition[: len(sides[0])], condition[len(condition) - len(sides[1]) :]
    alone = []
    for one, other in ((left, right), (right, left)):
        name = next((name for name in names if _bare(one) in (name, quoted(name))), None)
        if name is not None and name not in checks.named_in(other):
            alone.append((name, other))
    return _Equation(left, right, names, tuple(alone))


def _split(condition: str, word: str) -> list[str]:
    """What stands between the words AND or OR, outside of brackets; the AND of BETWEEN is none."""
    starts, ends, ranges = [0], [], 0
    for found in _JOINED.finditer(_masked(condition)):
        name = found[0].upper()
        if name == "BETWEEN":
            ranges += 1
        elif name == "AND" and ranges:
            ranges -= 1
        elif name == word:
            ends.append(found.start())
            starts.append(found.end())
    return [condition[start:end] for start, end in zip(starts, [*ends, len(condition)], strict=True)]


def _masked(text: str) -> str:
    """The text with blanks in place of what stands in brackets or between CASE and END, and a word in place of a string."""
    found, depth, place = "", 0, 0
    for part in _NESTED.finditer(text):
        between = text[place : part.start()]
        found += " " * len(between) if depth else between
        opens, closes = part[0].upper() in ("(", "CASE"), part[0].upper() in (")", "END")
        depth -= closes
        shown = part[0] if opens or closes else "_" * len(part[0])
        found += " " * len(shown) if depth else shown
        depth += opens
        place = part.end()
    return found + text[place:]


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and not _masked(text)[1:-1].strip():
        text = text[1:-1].strip()
    return text
