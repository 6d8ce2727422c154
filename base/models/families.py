"""The kinds of values that columns hold, and the form in which each travels in Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import types
from sqlalchemy.types import TypeEngine

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Family", "arrow_type", "family_of", "plain_type"]

Family = Literal[
    "boolean",
    "integer",
    "float",
    "decimal",
    "text",
    "enum",
    "binary",
    "date",
    "time",
    "datetime",
    "interval",
    "uuid",
    "json",
    "array",
]

# Most specific first: an Enum is a String, an Interval decorates a DateTime, a Float is a Numeric.
_FAMILIES: list[tuple[type[TypeEngine[Any]], Family]] = [
    (types.Boolean, "boolean"),
    (types.Integer, "integer"),
    (types.Float, "float"),
    (types.Numeric, "decimal"),
    (types.Enum, "enum"),
    (types.DateTime, "datetime"),
    (types.Date, "date"),
    (types.Time, "time"),
    (types.Interval, "interval"),
    (types.LargeBinary, "binary"),
    (types.BINARY, "binary"),
    (types.VARBINARY, "binary"),
    (types.ARRAY, "array"),
    (types.JSON, "json"),
    (types.Uuid, "uuid"),
    (types.String, "text"),
]
_known: dict[type, Family | None] = {}


def plain_type(sql_type: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type below decorators. An Interval stays: it decorates the DateTime that databases without intervals store."""
    while isinstance(sql_type, types.TypeDecorator) and not isinstance(sql_type, types.Interval):
        sql_type = sql_type.impl_instance
    return sql_type


def family_of(sql_type: TypeEngine[Any]) -> Family | None:
    """The family of a type as `plain_type` gives it; None for a type that is in none."""
    own: type = type(sql_type)
    if own not in _known:
        _known[own] = next((family for kind, family in _FAMILIES if issubclass(own, kind)), None)
    return _known[own]


def arrow_type(family: Family, sql_type: Any) -> pa.DataType:
    """The Arrow form of a column's values.

    Times are in microseconds. JSON, arrays and UUIDs are text, and so is a number without digits: no decimal type can
    promise to hold it.
    """
    import pyarrow as pa

    if family == "integer":
        return _integer(sql_type)
    if family == "decimal":
        if sql_type.precision is None:
            return pa.string()
        make = pa.decimal128 if sql_type.precision <= 38 else pa.decimal256
        return make(sql_type.precision, sql_type.scale or 0)
    if family == "datetime":
        return pa.timestamp("us", tz="UTC" if sql_type.timezone else None)
    simple = {
        "boolean": pa.bool_,
        "float": pa.float64,
        "date": pa.date32,
        "time": lambda: pa.time64("us"),
        "interval": lambda: pa.duration("us"),
        "binary": pa.binary,
    }
    return simple.get(family, pa.string)()


def _integer(sql_type: types.Integer) -> pa.DataType:
    """The next wider type for one without a sign, as few readers of files know such types; 64 bits have none."""
    import pyarrow as pa

    unsigned = bool(getattr(sql_type, "unsigned", False))
    if isinstance(sql_type, types.BigInteger):
        return pa.uint64() if unsigned else pa.int64()
    if isinstance(sql_type, types.SmallInteger):
        return pa.int32() if unsigned else pa.int16()
    return pa.int64() if unsigned else pa.int32()
