"""The values of a column: what makes two of them equal, and what they sort by."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.types import TypeEngine

from sqlmodel_framework.base.models.families import Family, arrow_type, family_of, plain_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "NAN",
    "ColumnKind",
    "Matcher",
    "exact_value",
    "exact_values",
    "kind_of",
    "plain_value",
    "sort_key",
]


@dataclass(frozen=True)
class ColumnKind:
    """A column as comparisons see it. `family` is None for a type that the framework does not know.

    `members` leads from what is stored, and from the values of members, to the members of an enum, `stored` from these to
    the text that is stored; `items` is the kind of the items of an array.
    """

    name: str
    family: Family | None
    time_zone: bool = False
    scale: int | None = None
    enum_class: type[Enum] | None = None
    members: Mapping[Any, Enum] = field(default_factory=dict, compare=False)
    stored: Mapping[Enum, str] = field(default_factory=dict, compare=False)
    items: ColumnKind | None = None
    sql_type: TypeEngine[Any] | None = field(default=None, compare=False)

    @property
    def arrow_type(self) -> pa.DataType | None:
        """The Arrow form of the values; None for a type without one."""
        return arrow_type(self.family, self.sql_type) if self.family is not None else None


def kind_of(name: str, sql_type: TypeEngine[Any]) -> ColumnKind:
    """The kind of a column of this type."""
    plain: Any = plain_type(sql_type)
    family = family_of(plain)
    enum_class = plain.enum_class if family == "enum" else None
    stored = _stored(enum_class, plain.enums) if enum_class else {}
    return ColumnKind(
        name,
        family,
        time_zone=bool(getattr(plain, "timezone", False)),
        scale=plain.scale if family == "decimal" else None,
        enum_class=enum_class,
        members=_by_value(stored) | {text: member for member, text in stored.items()},
        stored=stored,
        items=kind_of(name, plain.item_type) if family == "array" else None,
        sql_type=plain,
    )


def _stored(enum_class: type[Enum], texts: Sequence[str]) -> dict[Enum, str]:
    without_aliases = list(enum_class)
    objects = without_aliases if len(without_aliases) == len(texts) else enum_class.__members__.values()
    return dict(reversed([*zip(objects, texts, strict=False)]))


def _by_value(members: Iterable[Enum]) -> dict[Any, Enum]:
    return {member.value: member for member in members if _is_hashable(member.value)}


# equality


class _NaN:
    """Stands for every NaN, and equals itself."""

    def __repr__(self) -> str:
        return "nan"


NAN = _NaN()


class Matcher:
    """A value that says itself what it equals, such as `pytest.approx(2.5)` or `unittest.mock.ANY`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def matches(self, found: Any) -> bool:
        """Whether a value that was read is one of those."""
        return bool(self.value == found)


def plain_value(kind: ColumnKind, value: Any) -> Any:
    """A value that somebody expects, without the marks of NumPy and pandas: what they count as missing is None."""
    module = type(value).__module__
    if module == "numpy":
        value = value.tolist()
    elif module.startswith("pandas.") and type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, float) and value != value and kind.family not in ("float", "decimal", None):  # noqa: PLR0124 - NaN
        return None
    return value


def exact_values(kind: ColumnKind, values: Sequence[Any]) -> Sequence[Hashable]:
    """`exact_value` of each."""
    if set(map(type, values)) <= _AS_THEY_ARE.get(kind.family or "", _NOTHING):
        return values
    return [exact_value(kind, value) for value in values]


def exact_value(kind: ColumnKind, value: Any) -> Hashable:
    """Hashable, and equal for values that are the same to the column.

    Decimals are equal by number, a float among them by its shortest digits; aware times by instant, naive ones in a column
    with a time zone are UTC; NaN equals NaN; UUIDs may be text; members of an enum may be given by stored text or value;
    JSON goes by structure.
    """
    if value is None:
        return None
    if isinstance(value, Enum) and kind.family != "enum":
        value = value.value
    exact: Hashable = _BY_FAMILY.get(kind.family or "", _as_it_is)(kind, value)
    if _is_hashable(exact):
        return exact
    return _frozen(exact) if isinstance(exact, _CONTAINERS) else Matcher(exact)


_CONTAINERS = (list, tuple, dict, set, bytearray)
_NOTHING: set[type] = set()
_NONE: type = type(None)
_AS_THEY_ARE: dict[str, set[type]] = {
    "integer": {int, _NONE},
    "boolean": {bool, _NONE},
    "text": {str, _NONE},
    "date": {date, _NONE},
    "time": {time, _NONE},
    "interval": {timedelta, _NONE},
    "uuid": {UUID, _NONE},
    "binary": {bytes, _NONE},
}


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _as_it_is(_: ColumnKind, value: Any) -> Any:
    return NAN if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def _float(_: ColumnKind, value: Any) -> Any:
    if isinstance(value, int | float | Decimal):
        return NAN if value != value else float(value)  # noqa: PLR0124 - NaN
    return value


def _decimal(_: ColumnKind, value: Any) -> Any:
    if isinstance(value, float):
        value = Decimal(repr(float(value)))
    return NAN if isinstance(value, Decimal) and value.is_nan() else value


_NO_TEXT = (int, float, Decimal, date, time, timedelta, bytes, bytearray, memoryview, *_CONTAINERS)


def _text(_: ColumnKind, value: Any) -> Any:
    """Paths, addresses, URLs and UUIDs are stored as their text."""
    if isinstance(value, str):
        return str(value)
    return value if isinstance(value, _NO_TEXT) or not _is_hashable(value) else str(value)


def _binary(_: ColumnKind, value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def _moment(kind: ColumnKind, value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.utcoffset() is None:
        return value.replace(tzinfo=UTC) if kind.time_zone else value
    return value.astimezone(UTC)


def _uuid(_: ColumnKind, value: Any) -> Any:
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _enum(kind: ColumnKind, value: Any) -> Any:
    if kind.enum_class is None:
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, kind.enum_class) or not _is_hashable(value):
        return value
    return kind.members.get(value, value)


def _json(_: ColumnKind, value: Any) -> Any:
    return _frozen(value) if isinstance(value, dict | list | tuple | bool | float) else value


def _frozen(value: Any) -> Hashable:
    """JSON by structure: 1 is no true, and the order of keys does not count."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, dict):
        return ("object", frozenset((_json_key(key), _frozen(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", *map(_frozen, value))
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN
        return NAN
    return value if _is_hashable(value) else (type(value).__name__, repr(value))


def _json_key(key: Any) -> str:
    """JSON writes keys that are no text as text."""
    return key if isinstance(key, str) else json.dumps(key, default=str)


def _array(kind: ColumnKind, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_array(kind, item) for item in value)
    return exact_value(kind.items, value) if kind.items is not None else _frozen(value)


_BY_FAMILY: dict[str, Callable[[ColumnKind, Any], Any]] = {
    "float": _float,
    "decimal": _decimal,
    "text": _text,
    "binary": _binary,
    "datetime": _moment,
    "uuid": _uuid,
    "enum": _enum,
    "json": _json,
    "array": _array,
}

# order


def sort_key(exact: Hashable, kind: ColumnKind) -> tuple[Any, ...]:
    """A place for every exact value of a column: null first, NaN last, enums as they are defined, JSON by its text."""
    if exact is None:
        return (0,)
    if exact is NAN:
        return (4,)
    if isinstance(exact, Enum):
        return (1, "member", [*type(exact)].index(exact))
    if isinstance(exact, tuple) and kind.family == "array":
        return (2, "items", *(sort_key(item, kind.items or kind) for item in exact))
    for word, own in _SORTED:
        if isinstance(exact, own):
            has_zone = getattr(exact, "tzinfo", None) is not None
            return (1, word, has_zone, exact)
    return (3, _text_of(exact))


_SORTED: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("number", (bool, int, float, Decimal)),
    ("text", (str,)),
    ("datetime", (datetime,)),
    ("date", (date,)),
    ("time", (time,)),
    ("interval", (timedelta,)),
    ("bytes", (bytes,)),
    ("uuid", (UUID,)),
)


def _text_of(exact: Hashable) -> str:
    if isinstance(exact, frozenset):
        return f"{{{', '.join(sorted(map(_text_of, exact)))}}}"
    if isinstance(exact, tuple):
        return f"({', '.join(map(_text_of, exact))})"
    return repr(exact)
