"""Dates, times and durations: the era in which generated rows live, 2020 to 2024, or what the limits leave of it.

No value depends on today. Times are whole seconds, because not every database keeps more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.hashing import Index
from sqlmodel_framework.utils.generation.texts import words_of

__all__ = ["MomentRange", "converted", "earlier_of", "moments_of"]

_DAY = 86_400
_MICROSECONDS = 1_000_000
_EPOCH = date(1970, 1, 1)
_ERA = (date(2020, 1, 1), date(2024, 12, 31))
_BIRTHS = (date(1940, 1, 1), date(2005, 12, 31))
_FUTURE = (date(2025, 1, 1), date(2027, 12, 31))
# When rows were loaded: behind all that happened, which ends 60 days after the era.
_LOADS = (date(2025, 4, 1), date(2025, 6, 30))
_LOADED = re.compile(
    r"^(bronze|silver)_|_?load(ed)?_(time|date|at$|on$|ts)|ingest|^extract(ed|ion)_(at|on|time|date)|^systime$"
)
# What comes later in a row, and what it comes after.
_LATER: list[tuple[str, str]] = [
    (r"updated|modified|changed|last_update|deleted|inactivated", r"creat|insert|regist|opened"),
    (r"^end|_end|ended|_to$|^to$|until|finish|return|clos|ship|deliver|complet|arriv|paid|payment|expir|valid_to|due",
     r"^start|_start|start|_from$|^from$|begin|began|rental|order|purchas|placed|booked|creat|opened|depart|issued|valid_from|effective"),
]  # fmt: skip


@dataclass(frozen=True)
class MomentRange:
    """Moments in whole steps from a first one, as Arrow stores them."""

    start: int
    step: int
    count: int

    def at(self, position: Index) -> Index:
        """The moments at these positions."""
        return self.start + position * self.step


def earlier_of(column: ColumnContract, others: Iterable[ColumnContract]) -> ColumnContract | None:
    """The column of the same row that comes before this one, by their names: what is updated was created before."""
    words = words_of(column.name)
    for later, earlier in _LATER:
        if column.family in ("date", "datetime") and re.search(later, words):
            # What is shipped was rather ordered before than created.
            for other in sorted(others, key=lambda c: "creat" in words_of(c.name)):
                name = words_of(other.name)
                if (
                    other.family in ("date", "datetime")
                    and re.search(earlier, name)
                    and not re.search(later, name)
                ):
                    return other
    return None


def converted(moments: Index, column: ColumnContract, other: ColumnContract) -> Index:
    """Moments of one column as those of another: a day as its first moment, a moment as its day."""
    if column.family == other.family:
        return moments
    day = _DAY * _MICROSECONDS
    return moments * day if column.family == "date" else moments // day


def moments_of(column: ColumnContract, *, whole: bool = False) -> MomentRange:
    """The moments that a column takes by its name and limits; `whole` takes all that the type can hold, for keys."""
    if column.family == "time":
        return _of_day(column)
    if column.family == "interval":
        return _durations(column)
    least, most = _bounds(column)
    step = 1 if column.family == "date" else _MICROSECONDS
    low, high = (least, most) if whole else _era(column, least, most)
    return MomentRange(low, step, (high - low) // step + 1)


def _bounds(column: ColumnContract) -> tuple[int, int]:
    """The first and the last moment that are allowed, as Arrow stores them. MySQL starts with the year 1000."""
    low, high = date(1000, 1, 1), date(9999, 12, 31)
    least, most = _stored(column, low), _stored(column, high)
    if column.minimum is not None:
        least = max(least, _stored(column, column.minimum, up=True))
    if column.maximum is not None:
        most = min(most, _stored(column, column.maximum))
    return least, most


def _stored(column: ColumnContract, value: Any, *, up: bool = False) -> int:
    day = value.date() if isinstance(value, datetime) else value
    days = (day - _EPOCH).days
    if column.family == "date":
        return days
    if not isinstance(value, datetime):
        return days * _DAY * _MICROSECONDS
    since = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    exact = (since - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return -(-exact // _MICROSECONDS) * _MICROSECONDS if up else exact


def _era(column: ColumnContract, least: int, most: int) -> tuple[int, int]:
    words = words_of(column.name)
    era = _BIRTHS if re.search(r"birth|^dob$|born", words) else _ERA
    if _LOADED.search(words):
        era = _LOADS
    era = _FUTURE if re.search(r"expir|valid_to|valid_until|due", words) else era
    first, last = _stored(column, era[0]), _stored(column, era[1])
    low, high = max(first, least), min(last, most)
    if low <= high:
        return low, high
    width = last - first
    return (least, min(most, least + width)) if first < least else (max(least, most - width), most)


def _of_day(column: ColumnContract) -> MomentRange:
    low = _microseconds(column.minimum, up=True) if column.minimum is not None else 0
    high = _microseconds(column.maximum) if column.maximum is not None else (_DAY - 1) * _MICROSECONDS
    return MomentRange(low, _MICROSECONDS, (high - low) // _MICROSECONDS + 1)


def _microseconds(value: time, *, up: bool = False) -> int:
    exact = ((value.hour * 60 + value.minute) * 60 + value.second) * _MICROSECONDS + value.microsecond
    return -(-exact // _MICROSECONDS) * _MICROSECONDS if up else exact


def _durations(column: ColumnContract) -> MomentRange:
    microsecond = timedelta(microseconds=1)
    low = (
        0 if column.minimum is None else -(-(column.minimum // microsecond) // _MICROSECONDS) * _MICROSECONDS
    )
    high = low + 30 * _DAY * _MICROSECONDS
    if column.maximum is not None:
        high = min(high, column.maximum // microsecond)
        if column.minimum is None:
            low = min(low, high)
    return MomentRange(low, _MICROSECONDS, (high - low) // _MICROSECONDS + 1)
