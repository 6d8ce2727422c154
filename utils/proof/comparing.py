"""What was sent against what was read: equal by the meaning of the type, or lost for a reason that can be named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from unicodedata import normalize
from uuid import UUID

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.proof.boundaries import is_single_precision

__all__ = ["Unreadable", "loss_of", "shown", "shown_pair"]

_LONG = 60
_FEW = 12
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Unreadable:
    """A value that the column's type could not read: its text as the database gives it, and the error's name."""

    text: str
    error: str


def loss_of(column: ColumnContract, sent: Any, read: Any) -> str | None:
    """Why the value that was read is not the one that was sent; None where it is.

    Texts and binaries are compared exactly, decimals by number, aware times by instant, floats bit by bit but for the
    sign of zero; JSON by structure. A type without a family is compared by Python.
    """
    if isinstance(read, Unreadable):
        return f"the value cannot be read as the type of the column: {read.error}"
    if sent is None or read is None:
        return None if sent is read else "the value became null" if read is None else "null became a value"
    if column.choices is not None and column.family == "enum":
        return None if sent == read else "another member came back"
    return _BY_FAMILY.get(column.family or "", _any)(column, sent, read)


def _any(_: ColumnContract, sent: Any, read: Any) -> str | None:
    return None if sent == read else "the value was changed"


# texts and binaries


def _text(_: ColumnContract, sent: Any, read: Any) -> str | None:  # noqa: PLR0911 - a reason each
    if not isinstance(read, str):
        return _kind(read)
    if read == sent:
        return None
    if sent.rstrip(" ") == read:
        return "the column drops trailing blanks"
    if read.rstrip(" ") == sent.rstrip(" "):
        return "the column pads with blanks"
    if sent.startswith(read):
        return f"the column keeps {len(read)} characters"
    if read.casefold() == sent.casefold():
        return "the case was changed"
    if normalize("NFC", sent) == normalize("NFC", read):
        return "the Unicode form was changed"
    if any(mark in read and mark not in sent for mark in "?\ufffd"):
        return "the character set of the column lacks these characters"
    return "the text was changed"


def _binary(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if not isinstance(read, bytes | bytearray | memoryview):
        return _kind(read)
    got = bytes(read)
    if got == sent:
        return None
    if got.rstrip(b"\0") == sent.rstrip(b"\0"):
        return "the column pads or drops zero bytes"
    return f"the column keeps {len(got)} bytes" if sent.startswith(got) else "the bytes were changed"


# numbers


def _decimal(column: ColumnContract, sent: Any, read: Any) -> str | None:
    if isinstance(read, bool) or not isinstance(read, Decimal | float | int):
        return _kind(read)
    if getattr(column.sql_type, "asdecimal", True) is False:
        return None if float(sent) == float(read) else "the number was changed"
    exact = Decimal(read)
    if exact == sent:
        return None
    if exact.is_finite() and float(exact) == float(sent):
        return "the column is a float, or is read as one: about 15 digits are kept"
    digits = max(0, -int(exact.as_tuple().exponent)) if exact.is_finite() else 0
    if exact.is_finite() and abs(exact - sent) < Decimal(1).scaleb(-digits):
        return f"the column keeps {digits} digits behind the point"
    return "the number was changed"


def _float(column: ColumnContract, sent: Any, read: Any) -> str | None:
    if isinstance(read, bool) or not isinstance(read, Decimal | float | int):
        return _kind(read)
    got = float(read)
    if got == sent:
        return None
    if abs(sent) < 3.5e38 and _single(got) == _single(sent):
        return None if is_single_precision(column) else "the column keeps single precision"
    return (
        "the column keeps fewer digits" if abs(got - sent) <= abs(sent) * 1e-3 else "the number was changed"
    )


def _single(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("nan")


def _integer(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if isinstance(read, bool) or not isinstance(read, int):
        return _kind(read)
    return None if read == sent else "the number was changed"


def _boolean(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if not isinstance(read, bool):
        return _kind(read)
    return None if read is sent else "the value was changed"


# times


def _moment(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if not isinstance(read, datetime):
        return _kind(read)
    if (sent.utcoffset() is None) != (read.utcoffset() is None):
        return "the time zone was lost" if read.utcoffset() is None else "a time zone was added"
    if read == sent:
        return None
    distance = abs(read - sent)
    return _fraction(read.microsecond, distance) or (
        "the session or the column shifts times by its zone"
        if distance % _QUARTER == timedelta(0)
        else "the time was changed"
    )


def _time(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if not isinstance(read, time):
        return _kind(read)
    if (sent.tzinfo is None) != (read.tzinfo is None):
        return "the time zone was lost" if read.tzinfo is None else "a time zone was added"
    if read == sent:
        return None
    day = date(2000, 1, 2)
    distance = abs(datetime.combine(day, read) - datetime.combine(day, sent))
    return _fraction(read.microsecond, distance) or "the time was changed"


def _span(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if not isinstance(read, timedelta):
        return _kind(read)
    if read == sent:
        return None
    return _fraction(read.microseconds, abs(read - sent)) or "the span was changed"


def _fraction(microseconds: int, distance: timedelta) -> str | None:
    """A time that is off by less than a second has lost digits of it."""
    if distance > timedelta(seconds=1):
        return None
    digits = len(f"{microseconds:06}".rstrip("0"))
    kept = f"{digits} digits" if digits else "nothing"
    return f"the column keeps {kept} of a second's fraction"


def _date(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if isinstance(read, datetime) or not isinstance(read, date):
        return _kind(read)
    return None if read == sent else "the date was changed"


# the others


def _uuid(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if type(read) is not type(sent):
        return _kind(read)
    return None if UUID(str(read)) == UUID(str(sent)) else "the value was changed"


def _structure(_: ColumnContract, sent: Any, read: Any) -> str | None:
    if isinstance(sent, dict | list) and not isinstance(read, dict | list):
        return _kind(read)
    return None if _same_structure(sent, read) else "the structure or a value in it was changed"


def _same_structure(sent: Any, read: Any) -> bool:
    if isinstance(sent, dict) and isinstance(read, dict):
        return sent.keys() == read.keys() and all(_same_structure(sent[key], read[key]) for key in sent)
    if isinstance(sent, list) and isinstance(read, list):
        return len(sent) == len(read) and all(map(_same_structure, sent, read))
    if isinstance(sent, bool) or isinstance(read, bool) or sent is None or read is None:
        return sent is read
    return bool(sent == read)


def _kind(read: Any) -> str:
    return f"a {type(read).__name__} came back"


_BY_FAMILY: dict[str, Callable[[ColumnContract, Any, Any], str | None]] = {
    "text": _text,
    "binary": _binary,
    "decimal": _decimal,
    "float": _float,
    "integer": _integer,
    "boolean": _boolean,
    "datetime": _moment,
    "date": _date,
    "time": _time,
    "interval": _span,
    "uuid": _uuid,
    "json": _structure,
    "array": _structure,
}

# as text


def shown(value: Any) -> str:
    """A generated value for a message; a long one by its length and its beginning."""
    if isinstance(value, Unreadable):
        return f"{shown(value.text)}, as text"
    if value is None:
        return "NULL"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, str | bytes) and len(value) > (_LONG if _is_narrow(value) else _FEW):
        unit = "characters" if isinstance(value, str) else "bytes"
        return f"{len(value)} {unit} {value[: 12 if _is_narrow(value) else 6]!r}…"
    if isinstance(value, Decimal | datetime | date | time | timedelta | UUID):
        text = str(value)
    else:
        text = repr(value)
    return text if len(text) <= 2 * _LONG else f"{text[:_LONG]}… ({len(text)} characters)"


def _is_narrow(value: str | bytes) -> bool:
    return isinstance(value, bytes) or all(ord(character) <= 0xFFFF for character in value)


def shown_pair(sent: Any, read: Any) -> tuple[str, str]:
    """Both for a message; of long ones also where they part."""
    both = (shown(sent), shown(read))
    if (
        type(sent) is not type(read)
        or not isinstance(sent, str | bytes)
        or max(len(sent), len(read)) <= _LONG
    ):
        return both if both[0] != both[1] else (_exactly(sent), _exactly(read))
    start = next(
        (i for i, (a, b) in enumerate(zip(sent, read, strict=False)) if a != b), min(len(sent), len(read))
    )
    around = f", at {start}: "
    return both[0] + around + repr(sent[start : start + 12]), both[1] + around + repr(
        read[start : start + 12]
    )


def _exactly(value: Any) -> str:
    """A value with its type, a float by all of its digits: for two that look alike."""
    text = (
        str(Decimal(value))
        if isinstance(value, float)
        else repr(value)
        if isinstance(value, str)
        else shown(value)
    )
    return f"{text[:_LONG]} ({type(value).__name__})"
