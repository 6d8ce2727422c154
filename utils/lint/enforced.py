"""Which limits of a field a CHECK enforces: values just outside of a limit are held against the table's CHECKs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract, Contract

__all__ = ["enforces"]

_PLAIN: dict[str | None, Any] = {
    "boolean": 1, "integer": 1, "float": 1.0, "decimal": Decimal(1), "text": "a", "date": date(2024, 1, 2),
    "datetime": datetime(2024, 1, 2),  # noqa: DTZ001 - no column has to take it
}  # fmt: skip


def enforces(contract: Contract, column: ColumnContract, limit: str) -> bool:
    """Whether a CHECK refuses what the limit of that name forbids, whatever stands in the other columns."""
    outside, inside = _values(column, limit)
    return bool(contract.checks) and _all_refused(contract, column, outside, inside)


def _all_refused(
    contract: Contract, column: ColumnContract, outside: Sequence[Any], inside: Sequence[Any]
) -> bool:
    left = set(range(len(outside)))
    for rule in contract.checks:
        verdict = _refused(contract, rule, column, outside, inside)
        if verdict is None:
            if _names(contract, rule, column):
                return True
        else:
            left -= verdict
    return bool(outside) and not left


def _refused(
    contract: Contract, rule: CheckRule, column: ColumnContract, outside: Sequence[Any], inside: Sequence[Any]
) -> set[int] | None:
    """The values outside that the rule breaks at; None where that cannot be told.

    The other columns are null first: what is refused then is refused beside any values. A rule that refuses what is
    inside, too, is about those other columns.
    """
    from sqlmodel_framework.utils.generation.checks import RowChecks

    try:
        checks = RowChecks(contract, only=[rule])
        if column.name not in checks.columns[rule]:
            return set()
        others = {
            name: _PLAIN.get(contract.columns[name].family)
            for name in checks.columns[rule]
            if name != column.name
        }
        for given in [dict.fromkeys(others), others] if others else [others]:
            values = [*outside, *inside]
            rows = {column.name: values, **{name: [value] * len(values) for name, value in given.items()}}
            broken = [bool(rules) for rules in checks.broken(rows)]
            if not all(broken):
                bad = {number for number, seen in enumerate(broken[: len(outside)]) if seen}
                return set() if inside and all(broken[len(outside) :]) else bad
            if not inside:
                return set(range(len(outside)))
    except (RowsNotGeneratedError, ArithmeticError, ValueError, TypeError):
        pass
    return None


def _names(contract: Contract, rule: CheckRule, column: ColumnContract) -> bool:
    """Whether the rule names this column alone."""
    text = re.sub(r"'(?:[^']|'')*'", " ", str(rule.condition))
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
