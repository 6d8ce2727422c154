"""Values that a check may be looking for: those that its condition names, their neighbours, texts of the lengths it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.numbers import decimal_bounds, float_range, integer_bounds
from sqlmodel_framework.utils.generation.patterns import texts_matching

__all__ = ["candidates", "fits", "variants"]

_BETWEEN = 300
_LONGEST = 2_000


def candidates(
    column: ColumnContract, literals: Sequence[Any], natural: Sequence[Any], seed: str
) -> pa.Array:
    """Values within the limits of a column that literals of checks lead to; `natural` are values as it has them otherwise."""
    numbers = [value for value in literals if isinstance(value, Decimal)]
    texts = [value for value in literals if isinstance(value, str)]
    make = _BY_FAMILY.get(column.family or "")
    if make is None:
        return pa.array([], column.arrow_type)
    found = make(column, numbers, texts, natural, Random(f"{seed}/{column.name}"))  # noqa: S311 - test data
    fitting = dict.fromkeys(value for value in found if value is not None and fits(column, value))
    return pa.array(list(fitting), column.arrow_type)


def variants(column: ColumnContract, literals: Sequence[Any]) -> Iterator[ColumnContract]:
    """The column with narrower limits, each of which a check may be asking for."""
    for value in literals:
        if isinstance(value, Decimal) and column.family in ("integer", "decimal", "float"):
            for near in _near(value, _unit(column)):
                with suppress(RowsNotGeneratedError):
                    narrower = replace(column, minimum=_typed_bound(column, near))
                    _ = _allowed(narrower)
                    if column.minimum is None or narrower.minimum >= column.minimum:
                        yield narrower
        elif isinstance(value, Decimal) and column.family == "text" and value == int(value):
            for length in (int(value), int(value) + 1, int(value) - 1):
                if 0 < length <= min(column.max_length or _LONGEST, _LONGEST) and length >= (
                    column.min_length or 0
                ):
                    yield replace(column, min_length=length, max_length=length)
        elif isinstance(value, str) and column.family == "text" and column.limits.pattern is None:
            yield from _variants_of_text(column, value)
        elif isinstance(value, str) and column.family in ("date", "datetime"):
            for moment in _moments(column, value):
                yield replace(column, minimum=moment)


def _variants_of_text(column: ColumnContract, value: str) -> Iterator[ColumnContract]:
    for pattern in (value, "^" + ".*".join(map(re.escape, value.split("%"))).replace("_", ".") + "$"):
        with suppress(re.error):
            re.compile(pattern)
            yield replace(column, limits=replace(column.limits, pattern=pattern))


def _typed_bound(column: ColumnContract, value: Decimal) -> Any:
    if column.family == "integer":
        return int(value)
    return float(value) if column.family == "float" else value


def _unit(column: ColumnContract) -> Decimal:
    scale = 0 if column.family == "integer" else 2 if column.scale is None else column.scale
    return Decimal(1).scaleb(-scale)


def _near(value: Decimal, unit: Decimal) -> tuple[Decimal, ...]:
    return value, value + unit, value - unit


def _allowed(column: ColumnContract) -> tuple[Decimal, Decimal]:
    """The least and the greatest number of a column. Raises RowsNotGeneratedError for none between."""
    if column.family == "integer":
        least, most, step = integer_bounds(column)
        return Decimal(least * step), Decimal(most * step)
    if column.family == "decimal":
        least, most, step, scale = decimal_bounds(column)
        return Decimal(least * step).scaleb(-scale), Decimal(most * step).scaleb(-scale)
    low, high = float_range(column, -1e6, 1e6)
    return Decimal(low), Decimal(high)


# by family


def _numbers(
    column: ColumnContract,
    numbers: Sequence[Decimal],
    texts: Sequence[str],
    natural: Sequence[Any],
    random: Random,
) -> Iterator[Any]:
    unit = _unit(column)
    for number in numbers:
        yield from (_as_number(column, near) for near in _near(number, unit))
    if numbers:
        # Between the literals, and a little beyond, as far as the column goes.
        low, high = max(min(numbers) - 10, _allowed(column)[0]), min(max(numbers) + 10, _allowed(column)[1])
        for _ in range(_BETWEEN if low <= high else 0):
            value = low + Decimal(random.random()) * (high - low)
            yield _as_number(column, value.quantize(unit))
            yield _as_number(column, Decimal(int(value)))


def _as_number(column: ColumnContract, value: Decimal) -> Any:
    if column.family == "integer":
        return int(value) if value == int(value) else None
    return float(value) if column.family == "float" else value


def _texts(
    column: ColumnContract,
    numbers: Sequence[Decimal],
    texts: Sequence[str],
    natural: Sequence[Any],
    random: Random,
) -> Iterator[Any]:
    yield from texts
    for text in texts:
        yield from (text.upper(), text.lower(), text.title())
        pattern = re.sub("%+", "%", text)
        for word in natural[:20]:
            yield pattern.replace("%", str(word)).replace("_", random.choice("abcXYZ129"))
        with suppress(RowsNotGeneratedError):
            yield from texts_matching(
                text, min_length=column.min_length, max_length=column.max_length, count=200, seed=column.name
            )
    for number in numbers:
        lengths = [int(number) + more for more in (0, 1, -1)]
        for length in [
            length for length in lengths if 0 <= length <= min(column.max_length or _LONGEST, _LONGEST)
        ]:
            for word in natural[:100]:
                longer = str(word) * (length // max(len(str(word)), 1) + 1)
                yield longer[:length]
            yield from (
                "".join(random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=length)) for _ in range(100)
            )
            yield from ("".join(random.choices("0123456789", k=length)) for _ in range(100))
    for word in natural[:200]:
        yield from (str(word).upper(), str(word).lower(), str(word).title(), str(word).strip())


def _moments_near(
    column: ColumnContract,
    numbers: Sequence[Decimal],
    texts: Sequence[str],
    natural: Sequence[Any],
    random: Random,
) -> Iterator[Any]:
    found = [moment for text in texts for moment in _moments(column, text)]
    step = timedelta(days=1) if column.family == "date" else timedelta(seconds=1)
    for moment in found:
        yield from (moment, moment + step, moment - step)
        for _ in range(50):
            yield moment + step * random.randint(-400, 400)
    if len(found) > 1:
        for _ in range(_BETWEEN):
            yield min(found) + (max(found) - min(found)) // step * random.random() // 1 * step
    for number in numbers:
        # A year, as EXTRACT compares it.
        if 1000 <= number < 9999:
            for year in (int(number), int(number) + 1, int(number) - 1):
                yield from _moments(column, f"{year}-{random.randint(1, 12):02}-{random.randint(1, 28):02}")


def _moments(column: ColumnContract, text: str) -> Iterable[Any]:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ()
    if column.family == "date":
        return (moment.date(),)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) if column.time_zone else moment.replace(tzinfo=None),)


def _times(
    column: ColumnContract,
    numbers: Sequence[Decimal],
    texts: Sequence[str],
    natural: Sequence[Any],
    random: Random,
) -> Iterator[Any]:
    for text in texts:
        with suppress(ValueError):
            yield time.fromisoformat(text)
    for number in numbers:
        if 0 <= number < 24:
            yield time(int(number), random.randint(0, 59))


def _bytes(
    column: ColumnContract,
    numbers: Sequence[Decimal],
    texts: Sequence[str],
    natural: Sequence[Any],
    random: Random,
) -> Iterator[Any]:
    for number in numbers:
        for length in (int(number), int(number) + 1, int(number) - 1):
            if 0 <= length <= min(column.max_length or _LONGEST, _LONGEST):
                yield from (random.randbytes(length) for _ in range(20))


_BY_FAMILY: dict[str, Any] = {
    "integer": _numbers,
    "decimal": _numbers,
    "float": _numbers,
    "text": _texts,
    "date": _moments_near,
    "datetime": _moments_near,
    "time": _times,
    "binary": _bytes,
}


def fits(column: ColumnContract, value: Any) -> bool:
    """Whether a value keeps the limits of the column."""
    if column.choices is not None:
        return value in column.choices
    if isinstance(value, str | bytes):
        pattern = column.limits.pattern
        return (
            (column.min_length or 0) <= len(value)
            and (column.max_length is None or len(value) <= column.max_length)
            and (pattern is None or (isinstance(value, str) and re.search(pattern, value) is not None))
        )
    if isinstance(value, int | Decimal | float):
        return _number_fits(column, value)
    # The bounds of points in time may be naive, as texts may be: compared as they are written.
    low, high = column.minimum, column.maximum
    return (low is None or _plain(value) >= _plain(low)) and (high is None or _plain(value) <= _plain(high))


def _number_fits(column: ColumnContract, value: Any) -> bool:
    number = Decimal(str(value))
    try:
        least, most = _allowed(column)
    except RowsNotGeneratedError:
        return False
    step = column.limits.multiple_of
    if column.family == "float" and value in (column.limits.gt, column.limits.lt):
        return False
    outside = column.family == "float" and (
        (column.minimum is not None and value < column.minimum)
        or (column.maximum is not None and value > column.maximum)
    )
    within = not outside if column.family == "float" else least <= number <= most
    return within and (step is None or number % Decimal(str(step)) == 0)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else value  # noqa: DTZ001 - only compared
