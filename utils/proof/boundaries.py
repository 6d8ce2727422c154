"""The values at the edges of a column: what a database that is not faithful would lose."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import cycle, islice
from string import ascii_letters, digits
from typing import Any
from uuid import UUID

from sqlalchemy import types

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.base.models.families import Family, family_of, plain_type

__all__ = ["LONGEST_TEXT", "boundary_values", "fits", "is_single_precision", "longest_of", "members_of"]

LONGEST_TEXT = 70_000
"""Characters of the longest text for a column without a length: more than the 65,535 bytes of the shortest type that a database
makes of it. What a class promises is the same on every target, so no target is asked."""

_LONGEST_INDEXED = 600
_LONGEST_BINARY = 100_000
_BYTES_OF_TEXT = 65_535
_BEYOND_BMP = "😀🚀𝄞𐍈🜁"
_SAMPLES = (
    "",
    " leading",
    "trailing  ",
    'it\'s "quoted" \\ 100% %s {x} :name ?',
    "e\u0301 n\u0303 Å ﬁ",
    "MiXeD cAsE ßẞ İı",
    "line\nbreak\r\n\ttab",
    "Ωλ 漢字 עברית ไทย",
    "0012.50",
)
_UTC_OFFSET = timezone(timedelta(hours=5, minutes=30))
_DOCUMENT: dict[str, Any] = {
    "": "",
    "nested": {"list": [1, [2, [3, {"deep": [None, True, False]}]]]},
    "numbers": [0, -1, 1.5, 0.1, 9007199254740993, 1e15],
    "text": '😀 "quoted" \\ back / slash \n e\u0301',
    "null": None,
}


def boundary_values(column: ColumnContract, *, indexed: bool = False) -> list[Any]:
    """The edges of what a column may hold, without null, as the type takes them; empty for a type without a family.

    They obey the limits of the contract but its pattern. `indexed` keeps texts and binaries of columns without a length
    short enough for an index.
    """
    if column.choices is not None:
        return members_of(column)
    if column.family is None:
        return []
    if column.family == "text":
        made: Iterable[Any] = _texts(column, longest_of(column, indexed=indexed))
    elif column.family == "binary":
        made = _binaries(column, longest_of(column, indexed=indexed))
    else:
        made = _BY_FAMILY[column.family](column)
    found: list[Any] = []
    for value in made:
        if fits(column, value) and not any(_alike(value, other) for other in found):
            found.append(value)
    return found


def members_of(column: ColumnContract) -> list[Any]:
    """The choices of a column as its type takes them: members of an enum class where there is one."""
    enum_class = getattr(column.sql_type, "enum_class", None)
    if enum_class is None:
        return list(column.choices or ())
    members = list(enum_class.__members__.values())
    stored = list(getattr(column.sql_type, "enums", ()))
    return [member for name, member in zip(stored, members, strict=True) if name in (column.choices or ())]


def longest_of(column: ColumnContract, *, indexed: bool) -> int:
    """Characters of the longest text, or bytes of the longest binary, that the column is proven with."""
    if column.max_length is not None:
        return column.max_length
    if indexed:
        return _LONGEST_INDEXED
    if column.family == "binary":
        return _LONGEST_BINARY
    return _BYTES_OF_TEXT if isinstance(column.sql_type, types.Text) else LONGEST_TEXT


def fits(column: ColumnContract, value: Any) -> bool:
    """Whether the contract of a column allows a value that is not null, its pattern left aside."""
    try:
        if column.minimum is not None and value < column.minimum:
            return False
        if column.maximum is not None and value > column.maximum:
            return False
        step = column.limits.multiple_of
        if step is not None and Decimal(str(value)) % Decimal(str(step)) != 0:
            return False
    except (TypeError, ArithmeticError):
        return False
    if isinstance(value, str | bytes) and column.family in ("text", "binary"):
        most = column.max_length
        return len(value) >= (column.min_length or 0) and (most is None or len(value) <= most)
    return True


def _alike(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


# texts and binaries


def _texts(column: ColumnContract, longest: int) -> Iterator[str]:
    yield _repeated(ascii_letters + digits, longest)
    beyond = longest
    if column.max_length is None and isinstance(column.sql_type, types.Text):
        beyond = longest // 4
    yield _repeated(_BEYOND_BMP, beyond)
    for sample in _SAMPLES:
        yield _cut(sample, column.min_length or 0, longest)


def _repeated(characters: str, length: int) -> str:
    return "".join(islice(cycle(characters), length))


def _cut(sample: str, least: int, most: int) -> str:
    """The sample within the lengths; blanks at its end stay there."""
    if len(sample) > most:
        blanks = len(sample) - len(sample.rstrip(" "))
        kept = min(blanks, most)
        return sample[: most - kept] + " " * kept
    return "x" * (least - len(sample)) + sample


def _binaries(column: ColumnContract, longest: int) -> Iterator[bytes]:
    least = column.min_length or 0
    every = bytes(range(256))
    for size in (least, min(256, longest), longest):
        yield bytes(islice(cycle(every), size))
    yield (b"\x00\xff" * longest)[:longest] if longest < 4 else b"\x00\x27\x5c\xff".ljust(least, b"\x00")
    yield b"trailing "[-longest:].rjust(least, b"\x00")


# numbers


def _integers(column: ColumnContract) -> Iterator[int]:
    step = int(column.limits.multiple_of or 1)
    yield column.maximum // step * step
    yield -(-column.minimum // step) * step
    yield from (0, -1, 1, step, 123456 // step * step)


def _decimals(column: ColumnContract) -> Iterator[Any]:
    values = list(_exact(column))
    as_float = getattr(column.sql_type, "asdecimal", True) is False
    yield from (float(value) for value in values) if as_float else values


def _exact(column: ColumnContract) -> Iterator[Decimal]:
    step = column.limits.multiple_of
    if column.precision is None and column.minimum is None and column.maximum is None:
        yield Decimal("12345678901234567890.123456789012345")
        yield Decimal("-12345678901234567890.123456789012345")
    for bound in (column.maximum, column.minimum):
        if bound is not None:
            yield bound
    if column.scale is not None:
        smallest = Decimal(1).scaleb(-column.scale)
        yield from (smallest, -smallest)
    yield from (Decimal("12.75"), Decimal("-0.5")) if not column.scale and column.precision is None else ()
    if step is not None:
        yield from (Decimal(str(step)), Decimal(str(step)) * 3)
    yield from (Decimal(0), Decimal(1), Decimal(-1))


def is_single_precision(column: ColumnContract) -> bool:
    """Whether the class itself asks for floats of 24 bits."""
    precision = getattr(column.sql_type, "precision", None)
    return isinstance(column.sql_type, types.REAL) or (
        column.family == "float" and precision is not None and precision <= 24
    )


def _floats(column: ColumnContract) -> Iterator[float]:
    single = is_single_precision(column)
    biggest = 3.4028234663852886e38 if single else 1.7976931348623157e308
    smallest = 1e-37 if single else 5e-324
    for value in (0.1 + 0.2, biggest, -biggest, smallest, 1 / 3, 123456789.12345679, 0.0, -1.5, 1.0):
        yield struct.unpack("f", struct.pack("f", value))[0] if single else value
    for bound in (column.minimum, column.maximum):
        if bound is not None:
            yield float(bound)
    if column.limits.multiple_of is not None:
        yield float(column.limits.multiple_of)


# times


def _moments(column: ColumnContract) -> Iterator[datetime]:
    zone = UTC if column.time_zone else None
    yield datetime(2024, 2, 29, 12, 34, 56, 123456, zone)
    yield datetime.max.replace(tzinfo=zone)
    yield datetime.min.replace(tzinfo=zone)
    yield datetime(1969, 12, 31, 23, 59, 59, 999999, zone)
    # An hour that many zones leave out.
    yield datetime(2024, 3, 31, 2, 30, 0, 1, zone)
    if zone is not None:
        yield datetime(2024, 7, 1, 0, 0, 0, 1, _UTC_OFFSET)
    yield from _bounds(column)


def _dates(column: ColumnContract) -> Iterator[date]:
    yield from (date.max, date.min, date(2024, 2, 29), date(1900, 2, 28), date(1970, 1, 1))
    yield from _bounds(column)


def _times(column: ColumnContract) -> Iterator[time]:
    zone = UTC if column.time_zone else None
    yield time(23, 59, 59, 999999, zone)
    yield time(0, 0, 0, 0, zone)
    yield time(12, 34, 56, 123456, zone)
    yield from _bounds(column)


def _spans(column: ColumnContract) -> Iterator[timedelta]:
    yield timedelta(days=100_000, hours=23, minutes=59, seconds=59, microseconds=999999)
    yield timedelta(days=-1000, microseconds=-1)
    yield from (timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(0), timedelta(hours=25))
    yield from _bounds(column)


def _bounds(column: ColumnContract) -> Iterator[Any]:
    yield from (bound for bound in (column.minimum, column.maximum) if bound is not None)


# the others


def _booleans(_: ColumnContract) -> Iterator[bool]:
    yield from (True, False)


def _uuids(column: ColumnContract) -> Iterator[Any]:
    for number in (0x123E4567_E89B_42D3_A456_426614174000, 0, 2**128 - 1):
        value = UUID(int=number)
        yield value if getattr(column.sql_type, "as_uuid", True) else str(value)


def _documents(_: ColumnContract) -> Iterator[Any]:
    yield from (_DOCUMENT, {}, [], [_DOCUMENT, 1, "x", None])


def _arrays(column: ColumnContract) -> Iterator[list[Any]]:
    array: Any = column.sql_type
    items = _items(array.item_type)
    if not items:
        return
    depth = (array.dimensions or 1) - 1

    def nested(values: list[Any]) -> list[Any]:
        for _ in range(depth):
            values = [values, values]
        return values

    yield nested(items)
    yield nested([items[0], None])
    yield []


def _items(item_type: Any) -> list[Any]:
    """Edges of the items of an array, by a column that is made for it."""
    from sqlalchemy import Column, MetaData, Table

    from sqlmodel_framework.base.models.contract import contract_of

    if family_of(plain_type(item_type)) in (None, "array", "json"):
        return []
    of_items = contract_of(Table("items", MetaData(), Column("item", item_type)))
    return boundary_values(of_items.columns["item"], indexed=True)


_BY_FAMILY: dict[Family, Callable[[ColumnContract], Iterable[Any]]] = {
    "boolean": _booleans,
    "integer": _integers,
    "float": _floats,
    "decimal": _decimals,
    "date": _dates,
    "time": _times,
    "datetime": _moments,
    "interval": _spans,
    "uuid": _uuids,
    "json": _documents,
    "array": _arrays,
}
