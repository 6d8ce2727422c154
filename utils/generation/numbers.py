"""Numbers of one column: near what its name says, and always within its limits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.arrays import (
    decimals,
    integers,
    typed,
)
from sqlmodel_framework.utils.generation.draws import Draw, draw_from, no_value
from sqlmodel_framework.utils.generation.hashing import Index, Key
from sqlmodel_framework.utils.generation.texts import words_of

__all__ = [
    "decimal_bounds",
    "draw_decimal",
    "draw_float",
    "draw_integer",
    "float_range",
    "integer_bounds",
    "multiples_within",
    "tax_rates",
]

_INT64 = 2**63 - 1

# Name -> least, most, and whether small numbers are more frequent.
_NUMBERS: list[tuple[str, float, float, bool]] = [
    (r"latitude|^lat$|_lat$", -90, 90, False),
    (r"longitude|^(lon|lng|long)$|_(lon|lng)$", -180, 180, False),
    (r"utc_offset|offset_hours|tz_offset", -12, 14, False),
    (r"percent|pct|humidity", 0, 100, False),
    (r"price|amount|total|cost|fee|salary|balance|revenue|payment|subtotal|budget|rate_usd", 1, 2_000, True),
    (r"vat|(^|_)tax(es)?($|_)", 1, 400, True),
    (r"rating|stars|score", 1, 5, False),
    (r"ratio|tax|^rate$|_rate$|probability|confidence", 0, 100, False),
    (r"year$|^year", 1990, 2024, False),
    (r"month$", 1, 12, False),
    (r"^day$|_day$|day_of_month", 1, 28, False),
    (r"hour$", 0, 23, False),
    (r"minute$|second$", 0, 59, False),
    (r"^age$|_age$", 18, 90, False),
    (r"quantity|qty|count|^num_|number_of|stock|seats|engines|pages|copies", 1, 500, True),
    (r"duration|length|minutes|seconds|delay", 1, 240, False),
    (r"_(mph|kmh|kph|knots)$|speed|wind_gust", 0, 120, False),
    (r"precip|rain_?fall|snow", 0, 5, False),
    (r"weight|height|width|depth|distance|size|altitude|^alt$|volume", 1, 1_000, True),
    (r"temp|celsius|fahrenheit|dew", -10, 40, False),
    (r"pressure", 980, 1_040, False),
    (r"direction|degree|angle", 0, 359, False),
]
_ANY_NUMBER = (0.0, 1_000.0, False)


_TAX_RATES = (Decimal(0), Decimal("0.07"), Decimal("0.19"))


def _is_rate(column: ColumnContract) -> bool:
    """Whether a number is a share of 1, not a percentage or an amount: its type or limits leave no room for 10."""
    return column.family == "float" or (column.maximum is not None and column.maximum < 10)


def tax_rates(column: ColumnContract, key: Key) -> Draw | None:
    """Rates of a value added tax; None for another column, an amount of tax, or where the limits leave no two of them."""
    words = words_of(column.name)
    named_rate = re.search(r"(vat|tax)_?(rate|percent|pct)", words)
    if not (
        named_rate or (re.search(r"(^|_)(vat|tax)$", words) and _is_rate(column) and column.family != "float")
    ):
        return None
    factor = 1 if _is_rate(column) else 100
    limits = column.limits
    fitting = [
        rate * factor
        for rate in _TAX_RATES
        if (column.minimum is None or rate * factor >= Decimal(str(column.minimum)))
        and (column.maximum is None or rate * factor <= Decimal(str(column.maximum)))
        and float(rate * factor)
        not in [float(limit) for limit in (limits.gt, limits.lt) if limit is not None]
    ]
    digits = 0 if column.family == "integer" else 2 if column.scale is None else column.scale
    if len(fitting) < 2 or limits.multiple_of is not None or (factor == 1 and digits < 2):
        return None
    as_typed: Callable[[Decimal], Any] = {"integer": int, "float": float}.get(column.family or "", Decimal)
    return draw_from(typed([as_typed(rate) for rate in fitting], column.arrow_type), key)


def _usual(column: ColumnContract) -> tuple[float, float, bool]:
    words = words_of(column.name)
    if "discount" in words and not re.search(r"price|amount|total", words):
        return (0, 0.4, False) if _is_rate(column) else (0, 40, False)
    return next((tuple(found) for part, *found in _NUMBERS if re.search(part, words)), _ANY_NUMBER)  # type: ignore[return-value]


def _within(usual: tuple[int, int], least: int, most: int) -> tuple[int, int]:
    """The usual range as far as it is allowed; where it is not, a range as wide that is."""
    low, high = max(usual[0], least), min(usual[1], most)
    if low <= high:
        return low, high
    width = max(usual[1] - usual[0], 1)
    return (least, min(most, least + width)) if usual[0] < least else (max(least, most - width), most)


def _whole_numbers(key: Key, low: int, high: int, small: bool) -> Callable[[Index, int], Index]:
    """Whole numbers from `low` to `high`; where `small`, each power of ten is as frequent as the next, as with amounts."""
    span = high - low
    if small and span > 10 and low > 0:
        growth = math.log(high / low)
        return lambda index, attempt: np.clip(
            low * np.exp(key.shares(index, attempt) * growth), low, high
        ).astype(np.int64)
    if span >= 2**62:
        return lambda index, attempt: (key.bits(index, attempt) >> np.uint64(2)).astype(np.int64) + low
    return lambda index, attempt: low + key.below(span + 1, index, attempt)


def integer_bounds(column: ColumnContract) -> tuple[int, int, int]:
    """The least and the greatest value as multiples of a step, and the step. Raises RowsNotGeneratedError for none between."""
    step = int(column.limits.multiple_of or 1)
    least = -(-max(math.ceil(column.minimum), -_INT64) // step)
    most = min(math.floor(column.maximum), _INT64) // step
    if least > most:
        raise no_value(column, f"from {column.minimum} to {column.maximum} in steps of {step}")
    return least, most, step


def draw_integer(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    least, most, step = integer_bounds(column)
    usual_low, usual_high, small = _usual(column)
    low, high = _within((math.ceil(usual_low / step), math.floor(usual_high / step)), least, most)
    numbers = _whole_numbers(key, low, high, small)
    kind = column.arrow_type
    return lambda index, attempt: integers(numbers(index, attempt) * step, kind)


def decimal_bounds(column: ColumnContract) -> tuple[int, int, int, int]:
    """The least and the greatest value in units of a step, the step in units of the last digit, and the digits behind the point."""
    scale = 2 if column.scale is None else column.scale
    unit = Decimal(1).scaleb(-scale)
    multiple = column.limits.multiple_of
    step = 1 if multiple is None else _whole_step(Decimal(str(multiple)), unit, column)
    # Values travel in 64 bits.
    limit = _INT64 // 10 ** max(0, (getattr(column.sql_type, "scale", None) or scale) - scale)
    least = -limit if column.minimum is None else max(-limit, _rounded(column.minimum / unit, up=True))
    most = limit if column.maximum is None else min(limit, _rounded(column.maximum / unit, up=False))
    least, most = -(-least // step), most // step
    if least > most:
        raise no_value(column, f"from {column.minimum} to {column.maximum}, {scale} digits behind the point")
    return least, most, step, scale


def _whole_step(multiple: Decimal, unit: Decimal, column: ColumnContract) -> int:
    """The least multiple that has no more digits than the column."""
    for factor in (1, 2, 5, 10, 20, 25, 50, 100, 125, 200, 250, 500, 1000):
        step = multiple * factor / unit
        if step == step.to_integral_value() and step:
            return int(step)
    raise no_value(column, f"multiples of {multiple}")


def _rounded(value: Decimal, *, up: bool) -> int:
    return int(value.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def draw_decimal(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    least, most, step, scale = decimal_bounds(column)
    usual_low, usual_high, small = _usual(column)
    units = 10**scale / step
    low, high = _within((math.ceil(usual_low * units), math.floor(usual_high * units)), least, most)
    numbers = _whole_numbers(key, low, high, small)
    kind = column.arrow_type
    return lambda index, attempt: decimals(numbers(index, attempt) * step, kind, scale)


def draw_float(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    usual_low, usual_high, small = _usual(column)
    low, high = float_range(column, usual_low, usual_high)
    step = column.limits.multiple_of
    if step is not None:
        first, last = multiples_within(column, *float_range(column, usual_low - step, usual_high + step))
        multiples = _whole_numbers(key, first, last, small)
        return lambda index, attempt: pa.array(multiples(index, attempt) * float(step))

    def draw(index: Index, attempt: int) -> pa.Array:
        shares = key.shares(index, attempt)
        exact = low + shares * (high - low)
        if small and low > 0 and high - low > 10:
            exact = low * np.exp(shares * math.log(high / low))
        exact = np.clip(exact, low, high)
        rounded = np.round(exact, 2)
        return pa.array(np.where((rounded >= low) & (rounded <= high), rounded, exact))

    return draw


def multiples_within(column: ColumnContract, low: float, high: float) -> tuple[int, int]:
    """The first and the last multiple of a column's step in a range, counted in steps."""
    step = column.limits.multiple_of
    first, last = math.ceil(low / step), math.floor(high / step)
    # A division may round a bound away that excludes itself.
    first, last = first + (first * step < low), last - (last * step > high)
    if first > last:
        raise no_value(column, f"multiples of {step} from {low} to {high}")
    return first, last


def float_range(column: ColumnContract, usual_low: float, usual_high: float) -> tuple[float, float]:
    """The range inside of the limits, those left out that exclude themselves."""
    limits = column.limits
    least = -math.inf if column.minimum is None else float(column.minimum)
    most = math.inf if column.maximum is None else float(column.maximum)
    if limits.gt is not None and float(limits.gt) == least:
        least = math.nextafter(least, math.inf)
    if limits.lt is not None and float(limits.lt) == most:
        most = math.nextafter(most, -math.inf)
    low, high = max(usual_low, least), min(usual_high, most)
    if low > high:
        width = usual_high - usual_low
        low, high = (
            (least, min(most, least + width)) if usual_low < least else (max(least, most - width), most)
        )
    if low > high:
        raise no_value(column, f"from {column.minimum} to {column.maximum}")
    return low, high
