"""Numbers that a database rounds, cuts or refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["decimal_without_digits", "float_single_precision", "integer_too_small", "keeps_24_bits"]

_BIG_NAMES = re.compile(
    r"(^|_)(bytes|ms|us|ns|millis|micros|nanos|milliseconds|microseconds|nanoseconds|epoch|unix_time"
    r"|unix_timestamp)$"
)


def decimal_without_digits(subject: Subject) -> Iterator[Finding]:
    """DL101: a decimal that each database gives digits of its own."""
    for column in subject.of("decimal"):
        limits = column.limits
        plain: Any = column.sql_type
        if (
            plain.precision is not None
            or limits.max_digits is not None
            or limits.decimal_places is not None
            or subject.told(_digits_lost) is None
        ):
            continue
        cause = subject.told(_digits_kept)
        yield subject.finding(
            "DL101", column, "max_digits and decimal_places", "a Decimal without digits", str(cause)
        )


def _digits_kept(database: Database) -> str:
    return _digits_lost(database) or "keeps every digit"


def _digits_lost(database: Database) -> str | None:
    digits = database.facts.decimal_digits
    if digits is not None:
        return f"DECIMAL({digits[0]}, {digits[1]}), so 12.75 becomes 13" if digits[1] == 0 else None
    return None if database.facts.exact_decimals else "a float, so about 15 digits are kept"


def integer_too_small(subject: Subject) -> Iterator[Finding]:
    """DL106: an integer of 32 bits for numbers that need more."""
    for column in subject.of("integer"):
        if column.sql_type.__visit_name__ not in ("integer", "INTEGER"):
            continue
        why = _why_big(subject, column)
        if why is None:
            continue
        cause = subject.told(_refuses_big_numbers)
        if cause is not None:
            yield subject.finding("DL106", column, "a BigInteger", f"an Integer of 32 bits, and {why}", cause)


def _refuses_big_numbers(database: Database) -> str | None:
    bits = database.facts.integer_bits
    return f"refuses numbers over {2 ** (bits - 1) - 1:,}" if bits < 64 else None


def _why_big(subject: Subject, column: ColumnContract) -> str | None:
    limits, own = column.limits, column.column
    bounds = [limit for limit in (limits.ge, limits.gt, limits.le, limits.lt) if limit is not None]
    if any(not -(2**31) <= bound <= 2**31 for bound in bounds):
        return "limits beyond that"
    default = own.default.arg if own.default is not None and own.default.is_scalar else None  # type: ignore[attr-defined]
    if isinstance(default, int) and not -(2**31) <= default < 2**31:
        return "a default beyond that"
    if _BIG_NAMES.search(column.name) and limits.le is None and limits.lt is None:
        return "a name of big numbers"
    return "the server numbers the rows" if _is_numbered(subject, column) else None


def _is_numbered(subject: Subject, column: ColumnContract) -> bool:
    """Whether the class leaves the key to the server: `id: int | None = Field(default=None, primary_key=True)`."""
    if subject.contract.primary_key != (column.name,) or column.column.foreign_keys:
        return False
    info = column.field_info
    return bool(column.column.autoincrement) and info is not None and not info.is_required()


def float_single_precision(subject: Subject) -> Iterator[Finding]:
    """DL109: a float that keeps 24 bits on one database and 53 on another."""
    for column in subject.of("float"):
        if column.sql_type.__visit_name__ in ("double", "DOUBLE", "double_precision", "DOUBLE_PRECISION"):
            continue
        if subject.told(_single, column) is None:
            continue
        yield subject.finding("DL109", column, "a Double", "a Float", str(subject.told(_bits_kept, column)))


def _single(database: Database, column: ColumnContract) -> str | None:
    return "keeps 24 bits, about 7 digits" if keeps_24_bits(database, column) else None


def _bits_kept(database: Database, column: ColumnContract) -> str:
    return _single(database, column) or "keeps 53 bits"


def keeps_24_bits(database: Database, column: ColumnContract) -> bool:
    """Whether the database stores the column in 32 bits."""
    name, _, digits = (database.type_of(column) or "").partition("(")
    if digits and name == "FLOAT" and digits[:-1].isdigit():
        return database.facts.sized_floats and int(digits[:-1]) <= 24
    return name in database.facts.single_floats
