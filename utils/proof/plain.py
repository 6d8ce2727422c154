"""Plain values: different ones, such as every database keeps, for keys and for rows that something else is tried with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.proof.boundaries import boundary_values, fits, members_of

__all__ = ["plain_values"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TRIES = 200
_FEW = 1_000_000


def plain_values(column: ColumnContract, random: Random, patterned: list[str] | None = None) -> Iterator[Any]:
    """Values that the contract allows, endless and mostly different; none for a type without a family.

    `patterned` are the texts of a column with a pattern.
    """
    if column.choices is not None:
        yield from _over_and_over(members_of(column), random)
        return
    if patterned is not None:
        yield from _over_and_over(patterned, random)
        return
    failed = 0
    while failed < _TRIES:
        value = _plain(column, random)
        if value is None:
            break
        if fits(column, value):
            yield value
        else:
            failed += 1
    edges = boundary_values(column, indexed=True)
    if edges:
        yield from _over_and_over(edges, random)


def _over_and_over(values: list[Any], random: Random) -> Iterator[Any]:
    """All in turn, from any place."""
    if not values:
        return
    position = random.randrange(len(values))
    while True:
        yield values[position % len(values)]
        position += 1


def _plain(column: ColumnContract, random: Random) -> Any:  # noqa: PLR0911 - a family each
    family = column.family
    if family == "integer":
        return _integer(column, random)
    if family == "decimal":
        value = _decimal(column, random)
        return float(value) if getattr(column.sql_type, "asdecimal", True) is False else value
    if family == "float":
        return _float(column, random)
    if family == "text":
        return _text(column, random)
    if family == "binary":
        size = max(column.min_length or 0, min(8, column.max_length or 8))
        return random.randbytes(size)
    if family in ("date", "datetime", "interval"):
        return _moment(column, random)
    if family == "time":
        return time(random.randrange(24), random.randrange(60), tzinfo=UTC if column.time_zone else None)
    if family == "uuid":
        key = UUID(int=random.getrandbits(128), version=4)
        return key if getattr(column.sql_type, "as_uuid", True) else str(key)
    return None


def _integer(column: ColumnContract, random: Random) -> int:
    step = int(column.limits.multiple_of or 1)
    least, most = -(-column.minimum // step), column.maximum // step
    # Small and positive where that leaves enough to choose from.
    if most - max(least, 2) > 100:
        least = max(least, 2)
    return int(random.randint(least, max(least, most)) * step)


def _decimal(column: ColumnContract, random: Random) -> Decimal:
    if column.limits.multiple_of is not None:
        return Decimal(str(column.limits.multiple_of)) * random.randrange(1, 1000)
    least = column.minimum if column.minimum is not None else Decimal(2)
    most = column.maximum if column.maximum is not None else least + _FEW
    if most >= 100 and least < 2:
        least = Decimal(2)
    most = min(most, least + _FEW)
    if most - least >= 10:
        return Decimal(random.randint(int(least) + 1, int(most)))
    scale = column.scale if column.scale is not None else 2
    step = Decimal(1).scaleb(-scale)
    return (least + step * random.randrange(int((most - least) / step) + 1)).quantize(step)


def _float(column: ColumnContract, random: Random) -> float:
    if column.limits.multiple_of is not None:
        return float(column.limits.multiple_of * random.randrange(1, 1000))
    least = float(column.minimum) if column.minimum is not None else 0.0
    most = float(column.maximum) if column.maximum is not None else max(least * 2, least + 10_000.0)
    # Eighths are exact in every float.
    return (
        least + (most - least) * random.randrange(1, 8) / 8
        if most - least < 100
        else float(random.randint(int(least) + 1, int(min(most, least + 10_000))))
    )


def _text(column: ColumnContract, random: Random) -> str:
    least, most = column.min_length or 0, column.max_length
    size = max(least, 12 if most is None else min(12, most))
    return "".join(random.choices(_LETTERS, k=size))


def _moment(column: ColumnContract, random: Random) -> Any:
    days = random.randrange(10_000)
    if column.family == "date":
        return _within(column, date(1995, 1, 1), timedelta(days=days))
    seconds = timedelta(days=days, seconds=random.randrange(86_400))
    if column.family == "interval":
        return _within(column, timedelta(0), seconds)
    return _within(column, datetime(1995, 1, 1, tzinfo=UTC if column.time_zone else None), seconds)


def _within(column: ColumnContract, start: Any, distance: timedelta) -> Any:
    value = start + distance
    if fits(column, value):
        return value
    try:
        if column.minimum is not None:
            return column.minimum + distance
        return column.maximum - distance
    except (OverflowError, TypeError):
        return value
