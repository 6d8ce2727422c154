"""Functions that standard SQL or several databases have, defined for the SQLite that evaluates conditions."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

__all__ = ["define_functions"]


def define_functions(
    database: sqlite3.Connection, others: Mapping[tuple[str, int], Callable[..., Any]]
) -> None:
    """Define them on one connection, with others by name and number of arguments. LIKE minds upper and lower case.

    A null argument makes null, but for `concat`, `greatest` and `least`.
    """
    database.execute("PRAGMA case_sensitive_like = ON")
    for (name, arguments), function in {**_FUNCTIONS, **others}.items():
        database.create_function(name, arguments, _null_of_null(function), deterministic=True)
    for name, choose in (("greatest", max), ("least", min)):
        database.create_function(name, -1, _of_those_given(choose), deterministic=True)
    database.create_function("concat", -1, _concat, deterministic=True)


def _null_of_null(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return None if None in arguments else function(*arguments)

    return call


def _of_those_given(choose: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return choose((value for value in arguments if value is not None), default=None)

    return call


def _concat(*arguments: Any) -> str:
    return "".join(str(value) for value in arguments if value is not None)


def _length(value: Any) -> int:
    return len(value if isinstance(value, bytes) else str(value))


def _octets(value: Any) -> int:
    return len(value if isinstance(value, bytes) else str(value).encode())


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regexp(pattern: Any, value: Any) -> bool:
    return _pattern(str(pattern)).search(str(value)) is not None


def _date_part(part: str, value: Any) -> Any:
    moment = datetime.fromisoformat(str(value))
    parts = {
        "dow": moment.isoweekday() % 7,
        "isodow": moment.isoweekday(),
        "doy": moment.timetuple().tm_yday,
        "week": moment.isocalendar().week,
        "quarter": (moment.month + 2) // 3,
    }
    name = part.lower()
    return parts[name] if name in parts else getattr(moment, name)


def _mod(value: Any, divisor: Any) -> Any:
    """The remainder with the sign of the value, as in SQL; null for a division by zero."""
    return None if divisor == 0 else math.fmod(value, divisor)


def _left(value: Any, count: Any) -> str:
    text, number = str(value), int(count)
    return text[:number]


def _right(value: Any, count: Any) -> str:
    text, number = str(value), int(count)
    return text[-number:] if number else ""


_FUNCTIONS: dict[tuple[str, int], Callable[..., Any]] = {
    ("bit_length", 1): lambda value: 8 * _octets(value),
    ("ceil", 1): math.ceil,
    ("ceiling", 1): math.ceil,
    ("char_length", 1): _length,
    ("character_length", 1): _length,
    ("date_part", 2): _date_part,
    ("floor", 1): math.floor,
    ("left", 2): _left,
    ("lower", 1): lambda value: str(value).lower(),
    ("mod", 2): _mod,
    ("octet_length", 1): _octets,
    ("pow", 2): math.pow,
    ("power", 2): math.pow,
    ("regexp", 2): _regexp,
    ("regexp_like", 2): lambda value, pattern: _regexp(pattern, value),
    ("right", 2): _right,
    ("sqrt", 1): math.sqrt,
    ("upper", 1): lambda value: str(value).upper(),
}
