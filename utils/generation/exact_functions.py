"""Numbers in the way that a database calculates with them, as functions for SQLite: decimals travel as text, exact."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, DecimalException
from typing import Any

from sqlmodel_framework.engines.conditions import Arithmetic

__all__ = ["define_exact_functions"]

_DIGITS = Context(prec=100)
_MOST = 2**63


def define_exact_functions(database: sqlite3.Connection, arithmetic: Arithmetic) -> None:
    """Define `exact_…` on one connection; `exact_doubt()` says whether one of them could not decide since it was asked last."""
    calculation = _Calculation(arithmetic)
    for name, arguments in _FUNCTIONS.items():
        database.create_function(f"exact_{name}", arguments, calculation.doubting(getattr(calculation, name)))
    database.create_function("exact_doubt", 0, calculation.doubt)


def _number(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) else value


def _given(value: Any) -> Any:
    """A number as SQLite keeps it: a decimal as text."""
    return (
        str(value)
        if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) >= _MOST)
        else value
    )


class _Calculation:
    def __init__(self, arithmetic: Arithmetic) -> None:
        self._arithmetic = arithmetic
        self._in_doubt = False

    def doubt(self) -> bool:
        found, self._in_doubt = self._in_doubt, False
        return found

    def doubting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function on numbers; null for a null, and for what it cannot decide."""

        def call(*arguments: Any) -> Any:
            if None in arguments:
                # Some databases leave nulls out of a list of numbers, others make null of it.
                self._in_doubt |= len(arguments) > 1 and function in (self.greatest, self.least)
                return None
            try:
                return _given(function(*map(_number, arguments)))
            except (DecimalException, ArithmeticError, TypeError, ValueError):
                self._in_doubt = True
                return None

        return call

    def _with(self, operation: str, one: Any, other: Any) -> Any:
        if isinstance(one, float) or isinstance(other, float):
            return getattr(float(one), f"__{operation}__")(float(other))
        if isinstance(one, int) and isinstance(other, int):
            return getattr(one, f"__{operation}__")(other)
        return getattr(_DIGITS, _OF_CONTEXT[operation])(Decimal(one), Decimal(other))

    def add(self, one: Any, other: Any) -> Any:
        return self._with("add", one, other)

    def subtract(self, one: Any, other: Any) -> Any:
        return self._with("sub", one, other)

    def multiply(self, one: Any, other: Any) -> Any:
        return self._with("mul", one, other)

    def divide(self, one: Any, other: Any) -> Any:
        """Raises ArithmeticError by zero, where one database refuses the row and another makes null of it."""
        if isinstance(one, float) or isinstance(other, float):
            return float(one) / float(other)
        whole = isinstance(one, int) and isinstance(other, int)
        if whole and self._arithmetic.whole_division:
            return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
        dividend = Decimal(one)
        quotient = _DIGITS.divide(dividend, Decimal(other))
        if self._arithmetic.division_digits is None:
            return quotient
        return _rounded(
            quotient, max(0, -int(dividend.as_tuple().exponent)) + self._arithmetic.division_digits
        )

    def modulo(self, one: Any, other: Any) -> Any:
        return _DIGITS.remainder(Decimal(one), Decimal(other))

    def compare(self, one: Any, other: Any) -> int:
        # A decimal beside a float is a float: that is what databases compare.
        if isinstance(one, float) or isinstance(other, float):
            one, other = float(one), float(other)
        return int(one > other) - int(one < other)

    def negate(self, value: Any) -> Any:
        return -value if isinstance(value, int | float) else _DIGITS.minus(value)

    def absolute(self, value: Any) -> Any:
        return abs(value) if isinstance(value, int | float) else value.copy_abs()

    def round(self, *arguments: Any) -> Any:
        value, digits = (*arguments, 0)[:2]
        return round(value, digits) if isinstance(value, float) else _rounded(Decimal(value), int(digits))

    def floor(self, value: Any) -> Any:
        return int(Decimal(value).to_integral_value(ROUND_FLOOR))

    def ceiling(self, value: Any) -> Any:
        return int(Decimal(value).to_integral_value(ROUND_CEILING))

    def truncate(self, value: Any) -> Any:
        return int(value)

    def greatest(self, *values: Any) -> Any:
        return max(values)

    def least(self, *values: Any) -> Any:
        return min(values)

    def as_float(self, value: Any) -> float:
        return float(value)


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _DIGITS)


_OF_CONTEXT = {"add": "add", "sub": "subtract", "mul": "multiply"}
_FUNCTIONS = {
    "add": 2, "subtract": 2, "multiply": 2, "divide": 2, "modulo": 2, "compare": 2, "negate": 1, "absolute": 1, "round": -1,
    "floor": 1, "ceiling": 1, "truncate": 1, "greatest": -1, "least": -1, "as_float": 1,
}  # fmt: skip
