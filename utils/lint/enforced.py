"""Which limits of a field a CHECK enforces: values just outside of a limit are held against the table's CHECKs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract, Contract
from sqlmodel_framework.engines.conditions import Arithmetic

if TYPE_CHECKING:
    from sqlmodel_framework.utils.generation.checks import RowChecks

__all__ = ["Enforced"]

_PLAIN: dict[str | None, Any] = {
    "boolean": 1, "integer": 1, "float": 1.0, "decimal": Decimal(1), "text": "a", "date": date(2024, 1, 2),
    "datetime": datetime(2024, 1, 2),  # noqa: DTZ001 - no column has to take it
}  # fmt: skip


# A step beyond a limit is far more than what one arithmetic makes of a number and another does not.
_ARITHMETIC = Arithmetic(exact=False)
_NO_ANSWER = (RowsNotGeneratedError, ArithmeticError, AttributeError, TypeError, ValueError)


@dataclass(frozen=True)
class _Question:
    """Values of a column that a limit forbids, and values that it does not."""

    column: ColumnContract
    outside: list[Any]
    inside: list[Any]

    @property
    def values(self) -> list[Any]:
        return [*self.outside, *self.inside]


class Enforced:
    """The limits of one table that its CHECKs enforce. All are asked about at once: one evaluation for a table."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def by_check(self, column: ColumnContract, limit: str) -> bool:
        """Whether a CHECK refuses what the limit of that name forbids, whatever stands in the other columns."""
        return bool(self._contract.checks) and self._answers.get((column.name, limit), False)

    @cached_property
    def _answers(self) -> dict[tuple[str, str], bool]:
        questions = {
            (column.name, limit): _Question(column, *_values(column, limit))
            for column in self._contract.columns.values()
            for limit in _KINDS
            if getattr(column.limits, limit) is not None
            or (limit == "choices" and column.choices is not None)
        }
        left = {key: set(range(len(question.outside))) for key, question in questions.items()}
        by_name = dict.fromkeys(questions, False)
        for rule, verdicts in self._refused(list(questions.values())):
            for (key, question), refused in zip(questions.items(), verdicts, strict=True):
                if refused is not None:
                    left[key] -= refused
                elif _names(self._contract, rule, question.column):
                    by_name[key] = True
        return {key: by_name[key] or bool(q.outside and not left[key]) for key, q in questions.items()}

    def _refused(self, questions: Sequence[_Question]) -> Iterator[tuple[CheckRule, list[set[int] | None]]]:
        """For each rule and question the values outside that it refuses; None where that cannot be told."""
        from sqlmodel_framework.utils.generation.checks import RowChecks

        try:
            yield from _told(RowChecks(self._contract, arithmetic=_ARITHMETIC, tried=False), questions)
            return
        except _NO_ANSWER:
            pass
        # One rule cannot be read, or a value stands beside one of another type: each by itself.
        for rule in self._contract.checks:
            told: list[set[int] | None] = []
            for question in questions:
                try:
                    checks = RowChecks(self._contract, only=[rule], arithmetic=_ARITHMETIC)
                    told += [refused for _, (refused,) in _told(checks, [question])]
                except _NO_ANSWER:
                    told.append(None)
            yield rule, told


def _told(checks: RowChecks, questions: Sequence[_Question]) -> list[tuple[CheckRule, list[set[int] | None]]]:
    """The other columns are null first: what is refused then is refused beside any values; then they have plain values."""
    several = {name for names in checks.columns.values() if len(names) > 1 for name in names}
    read = {name for names in checks.columns.values() for name in names} | {q.column.name for q in questions}
    plain = {name: _PLAIN.get(checks.contract.columns[name].family) for name in sorted(read)}
    rows, starts = _side_by_side([q for q in questions if q.column.name not in several], plain)
    for question in questions:
        if question.column.name in several:
            starts[id(question)] = len(next(iter(rows.values())))
            values = question.values
            for others in (dict.fromkeys(plain), plain):
                for name, filled in rows.items():
                    filled.extend(values if name == question.column.name else [others[name]] * len(values))
    verdicts = checks.verdicts(rows)
    found = []
    for rule, holds in zip(checks.rules, zip(*verdicts, strict=True), strict=True):
        told: list[set[int] | None] = []
        for question in questions:
            if question.column.name not in checks.columns[rule]:
                told.append(set())
                continue
            start, length = starts[id(question)], len(question.values)
            again = start + length if question.column.name in several else start
            told.append(_refused_by(question, holds[start : start + length], holds[again : again + length]))
        found.append((rule, told))
    return found


def _side_by_side(
    questions: Sequence[_Question], names: Iterable[str]
) -> tuple[dict[str, list[Any]], dict[int, int]]:
    """Values of columns that no rule joins with others: in the same rows; and where those of each question begin."""
    rows: dict[str, list[Any]] = {name: [] for name in names}
    starts = {}
    for question in questions:
        filled = rows[question.column.name]
        starts[id(question)] = len(filled)
        filled += question.values
    longest = max(map(len, rows.values()))
    for filled in rows.values():
        filled.extend([None] * (longest - len(filled)))
    return rows, starts


def _refused_by(
    question: _Question, bare: Sequence[bool | None], beside: Sequence[bool | None]
) -> set[int] | None:
    """A rule that refuses what is inside, too, is about other columns."""
    outside = len(question.outside)
    for holds in (bare, beside):
        if any(holds):
            bad = {number for number, held in enumerate(holds[:outside]) if not held}
            return set() if question.inside and not any(holds[outside:]) else bad
        if not question.inside:
            return set(range(outside))
    return None


def _names(contract: Contract, rule: CheckRule, column: ColumnContract) -> bool:
    """Whether the rule names this column alone."""
    text = re.sub(r"'(?:[^']|'')*'", " ", rule.text)
    named = set(rule.columns) or {
        name for name in contract.columns if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    }
    return named == {column.name}


def _values(column: ColumnContract, limit: str) -> tuple[list[Any], list[Any]]:
    """Values that break this limit, and values that do not; none where nobody can tell such."""
    try:
        outside, inside = _KINDS[limit](column, limit)
    except (TypeError, ArithmeticError, ValueError, re.error):
        return [], []
    return list(outside), list(inside)


def _bound(column: ColumnContract, limit: str) -> tuple[list[Any], list[Any]]:
    bound = getattr(column.limits, limit)
    if column.family == "decimal":
        bound = Decimal(str(bound))
    sign = -1 if limit in ("ge", "gt") else 1
    excluded = limit in ("gt", "lt")
    steps = [_step(column, bound)]
    if column.limits.multiple_of is not None and not isinstance(bound, date):
        steps.append(type(bound)(str(column.limits.multiple_of)))
    outside = [bound + sign * step for step in steps]
    return ([bound] if excluded else []) + outside, [bound - sign * steps[-1] if excluded else bound]


def _step(column: ColumnContract, bound: Any) -> Any:
    if isinstance(bound, date):
        return timedelta(days=1)
    if isinstance(bound, timedelta):
        return timedelta(seconds=1)
    if column.family == "decimal":
        return Decimal(1).scaleb(-(column.scale if column.scale is not None else 3))
    return 1 if column.family == "integer" else max(1.0, abs(bound)) * 1e-6


def _multiple(column: ColumnContract, _: str) -> tuple[list[Any], list[Any]]:
    limits = column.limits
    step = Decimal(str(limits.multiple_of))
    least = next((bound for bound in (limits.ge, limits.gt) if bound is not None), 0)
    start = (Decimal(str(least)) // step + 1) * step
    aside = Decimal(1) if column.family == "integer" else step / 2
    make: Callable[[Decimal], Any] = {"integer": int, "float": float}.get(column.family or "", Decimal)
    return [make(start + aside)] if (start + aside) % step else [], [make(start)]


def _length(column: ColumnContract, _: str) -> tuple[list[Any], list[Any]]:
    least = column.limits.min_length or 0
    letters = [b"a"] if column.family == "binary" else ["a", "A", "0"]
    return [letter * (least - 1) for letter in letters if least], [letter * least for letter in letters]


def _pattern(column: ColumnContract, _: str) -> tuple[list[Any], list[Any]]:
    pattern = re.compile(str(column.limits.pattern))
    tried = ["", "~", "a", "A", "0", " ", "a~", "A~", "0~", "aaaa", "AAAA", "0000"]
    matching = [text for text in tried if pattern.search(text)]
    return [text for text in tried if text not in matching], matching


def _choices(column: ColumnContract, _: str) -> tuple[list[Any], list[Any]]:
    allowed = [*(column.choices or ())]
    if all(isinstance(value, int) for value in allowed):
        return [max(allowed) + 1, min(allowed) - 1], allowed
    return ["", f"{allowed[0]}~", "~"], allowed


_KINDS: dict[str, Callable[[ColumnContract, str], tuple[list[Any], list[Any]]]] = {
    **dict.fromkeys(("ge", "gt", "le", "lt"), _bound),
    "multiple_of": _multiple,
    "min_length": _length,
    "pattern": _pattern,
    "choices": _choices,
}
