"""Values of one column, as realistic as its name and type let them be and always within its limits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import ARRAY

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.base.models.families import family_of, plain_type
from sqlmodel_framework.utils.generation.arrays import (
    ALPHANUMERIC,
    LETTERS,
    codes,
    decimals,
    integers,
    taken,
    typed,
    uuids,
)
from sqlmodel_framework.utils.generation.hashing import Index, Key
from sqlmodel_framework.utils.generation.moments import MomentRange, converted, moments_of
from sqlmodel_framework.utils.generation.texts import text_pool, words_of

__all__ = [
    "Draw",
    "decimal_bounds",
    "draw_from",
    "draw_later",
    "draw_of",
    "float_range",
    "integer_bounds",
    "multiples_within",
    "no_value",
    "text_lengths",
    "where_of",
]

Draw = Callable[[Index, int], pa.Array]
"""The values of rows at one attempt; none is null."""

_INT64 = 2**63 - 1
_LONGEST_DAYS = 60


def where_of(column: ColumnContract) -> str:
    """Table and column, for errors."""
    return f"table {column.column.table.fullname}, column {column.name}"


def draw_from(pool: pa.Array, key: Key) -> Draw:
    """Values of a pool, each as often as the others."""
    return lambda index, attempt: taken(pool, key.below(len(pool), index, attempt))


def draw_of(column: ColumnContract, key: Key, seed: int, annotation: Any = None) -> Draw:
    """The values of a column. `annotation` is its field's, which says what a JSON document is.

    Raises RowsNotGeneratedError where limits leave no value, or a type is in no family.
    """
    if column.family is None:
        raise RowsNotGeneratedError(
            "values of this type cannot be generated",
            where=where_of(column),
            seen=repr(column.column.type),
            next_step="give the column a type of SQLAlchemy, or make the rows yourself",
        )
    if column.choices is not None:
        return draw_from(_choices(column), key)
    if column.family in ("integer", "decimal", "float") and (rates := _tax_rates(column, key)):
        return rates
    make = _BY_FAMILY[column.family]
    return make(column, key, seed, annotation)


def _choices(column: ColumnContract) -> pa.Array:
    assert column.choices is not None
    fitting = [
        c
        for c in column.choices
        if not isinstance(c, str) or column.max_length is None or len(c) <= column.max_length
    ]
    if not fitting:
        raise no_value(column, "none of the choices fits")
    return typed(fitting, column.arrow_type)


def no_value(column: ColumnContract, seen: str) -> RowsNotGeneratedError:
    """The error for limits that leave no value."""
    return RowsNotGeneratedError(
        "the limits of a column leave no value",
        where=where_of(column),
        seen=seen,
        next_step="correct the limits",
    )


# numbers

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


def _tax_rates(column: ColumnContract, key: Key) -> Draw | None:
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


def _integer(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
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


def _decimal(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    least, most, step, scale = decimal_bounds(column)
    usual_low, usual_high, small = _usual(column)
    units = 10**scale / step
    low, high = _within((math.ceil(usual_low * units), math.floor(usual_high * units)), least, most)
    numbers = _whole_numbers(key, low, high, small)
    kind = column.arrow_type
    return lambda index, attempt: decimals(numbers(index, attempt) * step, kind, scale)


def _float(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
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


def _boolean(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    most_true = re.search(r"active|enabled|valid|visible|available|current", words_of(column.name))
    share = 0.85 if most_true else 0.4
    return lambda index, attempt: pa.array(key.shares(index, attempt) < share)


# texts and the like


def text_lengths(column: ColumnContract) -> tuple[int, int]:
    """The least and the greatest length of a code. Raises RowsNotGeneratedError for none between."""
    least = column.min_length or 0
    most = max(least, 8) if column.max_length is None else column.max_length
    if least > most:
        raise no_value(column, f"{least} to {most} characters")
    return least, most


def _text(column: ColumnContract, key: Key, seed: int, _: Any) -> Draw:
    least, most = text_lengths(column)
    pool = text_pool(column, seed, where_of(column))
    if pool is not None:
        return draw_from(typed(pool, pa.string()), key)
    width = max(least, min(most, 8))
    alphabet = LETTERS if width < 4 else ALPHANUMERIC
    size = len(alphabet) ** min(width, 11)
    return lambda index, attempt: codes(key.below(size, index, attempt), width, alphabet)


def _binary(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    least, most = column.min_length or 0, 16 if column.max_length is None else column.max_length
    if least > most:
        raise no_value(column, f"{least} to {most} bytes")
    length = max(least, min(most, 16))
    pool = [
        Key.of(key.number, number).number.to_bytes(8, "big") * (length // 8 + 1) for number in range(1_000)
    ]
    return draw_from(typed([value[:length] for value in pool], pa.binary()), key)


def _moment(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    moments = _moments(column)
    kind = column.arrow_type
    return lambda index, attempt: integers(moments.at(key.below(moments.count, index, attempt)), kind)


def draw_later(column: ColumnContract, key: Key, earlier: ColumnContract, earlier_key: Key) -> Draw:
    """Moments after those of another column of the same row, as far as the limits of this one let them."""
    before, kind = _moments(earlier), column.arrow_type
    allowed = moments_of(column, whole=True)
    last = allowed.start + (allowed.count - 1) * allowed.step
    longest = _LONGEST_DAYS if column.family == "date" else _LONGEST_DAYS * 86_400

    def draw(index: Index, attempt: int) -> pa.Array:
        start = converted(before.at(earlier_key.below(before.count, index, attempt)), earlier, column)
        gap = (1 + (key.shares(index, attempt) ** 2 * longest).astype(np.int64)) * allowed.step
        return integers(np.clip(start + gap, allowed.start, last), kind)

    return draw


def _moments(column: ColumnContract) -> MomentRange:
    moments = moments_of(column)
    if moments.count < 1:
        raise no_value(column, f"from {column.minimum} to {column.maximum}")
    return moments


def _uuid(_: ColumnContract, key: Key, __: int, ___: Any) -> Draw:
    return lambda index, attempt: uuids(
        key.bits(index, attempt), Key.of(key.number, "low").bits(index, attempt)
    )


# documents

_TAGS = ("new", "sale", "classic", "limited", "popular", "digital", "outdoor", "premium")


def _json(column: ColumnContract, key: Key, _: int, annotation: Any) -> Draw:
    text = str(annotation)
    documents: list[Any] = [
        {"tags": [_TAGS[n % 8]], "score": n, "source": {"verified": n % 3 == 0, "note": None}}
        for n in range(200)
    ]
    if "list" in text or "List" in text:
        numbers = "int" in text or "float" in text
        documents = [
            [*range(n % 5)] if numbers else [_TAGS[(n + k) % 8] for k in range(n % 4)] for n in range(200)
        ]
    return draw_from(typed([json.dumps(document) for document in documents], pa.string()), key)


_ELEMENTS: dict[str, Callable[[int], Any]] = {
    "integer": lambda n: n,
    "float": lambda n: n / 2,
    "decimal": lambda n: n / 2,
    "boolean": lambda n: n % 2 == 0,
    "text": lambda n: _TAGS[n % 8],
}


def _array(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    assert isinstance(column.sql_type, ARRAY)
    item = plain_type(column.sql_type.item_type)
    family = family_of(item) or ""
    make = _ELEMENTS.get(family)
    length = getattr(item, "length", None)
    lists: list[Any] = [[] if make is None else [make(n + k) for k in range(n % 4)] for n in range(200)]
    if family == "text" and length is not None:
        lists = [[text[:length] for text in values] for values in lists]
    for _dimension in range((column.sql_type.dimensions or 1) - 1):
        lists = [[values] if values else [] for values in lists]
    return draw_from(typed([json.dumps(values) for values in lists], pa.string()), key)


_BY_FAMILY: dict[str, Callable[[ColumnContract, Key, int, Any], Draw]] = {
    "boolean": _boolean,
    "integer": _integer,
    "float": _float,
    "decimal": _decimal,
    "text": _text,
    "enum": _text,
    "binary": _binary,
    "date": _moment,
    "time": _moment,
    "datetime": _moment,
    "interval": _moment,
    "uuid": _uuid,
    "json": _json,
    "array": _array,
}
