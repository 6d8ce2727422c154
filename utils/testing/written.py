"""Values as files hold them: JSON for every type, and what such texts mean to a column."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

from sqlmodel_framework.utils.testing.values import ColumnKind

__all__ = ["as_json_value", "from_json_value", "from_text"]

# writing


def as_json_value(kind: ColumnKind, value: Any) -> Any:
    """A value that was read, in JSON: the same text for the same value on every database.

    Decimals are text with the digits of their column, times ISO 8601 and in UTC where they have a zone, intervals ISO 8601
    in seconds, binaries base64, enums what is stored, NaN and infinities "nan", "inf" and "-inf". JSON is JSON.
    """
    if value is None:
        return None
    if kind.family == "enum":
        return kind.stored.get(value, str(value))
    write = _WRITERS.get(kind.family or "")
    return write(kind, value) if write is not None else value if isinstance(value, bool | int) else str(value)


def _same(_: ColumnKind, value: Any) -> Any:
    return value


def _write_float(_: ColumnKind, value: Any) -> Any:
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _write_decimal(kind: ColumnKind, value: Any) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return str(number).lower()
    if kind.scale is not None:
        step = Decimal(1).scaleb(-kind.scale)
        rounded = number.quantize(step) if abs(number) < Decimal(10) ** (28 - kind.scale) else number
        if rounded == number:
            return format(rounded, "f")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write_moment(kind: ColumnKind, value: Any) -> str:
    if value.utcoffset() is None and not kind.time_zone:
        return str(value.isoformat())
    aware = value.replace(tzinfo=UTC) if value.utcoffset() is None else value.astimezone(UTC)
    return str(aware.replace(tzinfo=None).isoformat()) + "Z"


def _write_interval(_: ColumnKind, value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    seconds, part = divmod(abs(microseconds), 10**6)
    return f"{'-' * (microseconds < 0)}PT{seconds}{f'.{part:06}'.rstrip('0') if part else ''}S"


def _write_json(_: ColumnKind, value: Any) -> Any:
    """Keys in order: some databases keep theirs, others do not."""
    if isinstance(value, dict):
        return {key: _write_json(_, value[key]) for key in sorted(value)}
    return [_write_json(_, item) for item in value] if isinstance(value, list) else value


def _write_array(kind: ColumnKind, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_write_array(kind, item) for item in value]
    return as_json_value(kind.items, value) if kind.items is not None else value


_WRITERS: dict[str, Callable[[ColumnKind, Any], Any]] = {
    "boolean": _same,
    "integer": _same,
    "float": _write_float,
    "decimal": _write_decimal,
    "text": lambda _, value: str(value),
    "binary": lambda _, value: base64.b64encode(bytes(value)).decode(),
    "date": lambda _, value: value.isoformat(),
    "time": lambda _, value: value.isoformat(),
    "datetime": _write_moment,
    "interval": _write_interval,
    "uuid": lambda _, value: str(UUID(str(value))),
    "json": _write_json,
    "array": _write_array,
}

# reading


def from_json_value(kind: ColumnKind, value: Any) -> Any:
    """The value of Python that JSON means to a column; one of Python stays.

    Raises ValueError for what is no value of the type, and for a time without a zone where the column has one.
    """
    if value is None:
        return None
    read = _READERS.get(kind.family or "")
    try:
        return read(kind, value) if read is not None else value
    except (InvalidOperation, TypeError, ArithmeticError, AttributeError) as exc:
        raise ValueError(type(exc).__name__) from None


def from_text(kind: ColumnKind, text: str | None) -> Any:
    """The value that the text of a CSV field, or of Arrow's text form, means. Raises ValueError as `from_json_value` does."""
    if text is None:
        return None
    if kind.family in ("json", "array"):
        return from_json_value(kind, json.loads(text))
    if kind.family == "boolean":
        return _BOOLEANS[text.strip().lower()] if text.strip().lower() in _BOOLEANS else _no_value()
    if kind.family == "integer":
        # pandas writes whole numbers beside missing ones as 86.0.
        return from_json_value(kind, Decimal(text) if _NUMBER.fullmatch(text) else _no_value())
    return from_json_value(kind, text)


_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_NUMBER = re.compile(r"\s*[+-]?\d+(\.0*)?\s*")
_INTERVAL = re.compile(r"(-?)PT(\d+)(?:\.(\d{1,6}))?S")


def _no_value() -> Any:
    raise ValueError("no value of the type")


def _one_of(kind: type, value: Any) -> Any:
    return value if isinstance(value, kind) else _no_value()


def _read_boolean(_: ColumnKind, value: Any) -> Any:
    return value if value in (True, False) else _no_value()


def _read_integer(_: ColumnKind, value: Any) -> Any:
    if isinstance(value, int) or int(value) == value:
        return int(value)
    return _no_value()


def _read_float(_: ColumnKind, value: Any) -> float:
    return float(value)


def _read_decimal(_: ColumnKind, value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _read_binary(_: ColumnKind, value: Any) -> bytes:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)


def _read_date(_: ColumnKind, value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else _one_of(date, value)


def _read_time(_: ColumnKind, value: Any) -> Any:
    return time.fromisoformat(value) if isinstance(value, str) else _one_of(time, value)


def _read_moment(kind: ColumnKind, value: Any) -> Any:
    read = datetime.fromisoformat(value) if isinstance(value, str) else _one_of(datetime, value)
    if kind.time_zone and read.utcoffset() is None:
        raise ValueError("a time without a time zone")
    return read


def _read_interval(_: ColumnKind, value: Any) -> Any:
    if not isinstance(value, str):
        return _one_of(timedelta, value)
    match = _INTERVAL.fullmatch(value)
    if match is None:
        return _no_value()
    sign, seconds, part = match.groups()
    span = timedelta(seconds=int(seconds), microseconds=int((part or "0").ljust(6, "0")))
    return -span if sign else span


def _read_uuid(_: ColumnKind, value: Any) -> Any:
    return UUID(value) if isinstance(value, str) else _one_of(UUID, value)


def _read_enum(kind: ColumnKind, value: Any) -> Any:
    return value if isinstance(value, Enum) else kind.members.get(value, value)


def _read_json(_: ColumnKind, value: Any) -> Any:
    """Numbers of a document are floats: files are read with decimals, so that those of decimal columns keep their digits."""
    if isinstance(value, dict):
        return {key: _read_json(_, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_read_json(_, item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _read_array(kind: ColumnKind, value: Any) -> Any:
    if isinstance(value, list):
        return [_read_array(kind, item) for item in value]
    return from_json_value(kind.items, value) if kind.items is not None else value


_READERS: dict[str, Callable[[ColumnKind, Any], Any]] = {
    "boolean": _read_boolean,
    "integer": _read_integer,
    "float": _read_float,
    "decimal": _read_decimal,
    "binary": _read_binary,
    "date": _read_date,
    "time": _read_time,
    "datetime": _read_moment,
    "interval": _read_interval,
    "uuid": _read_uuid,
    "enum": _read_enum,
    "json": _read_json,
    "array": _read_array,
}
