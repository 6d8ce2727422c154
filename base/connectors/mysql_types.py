"""MySQL's types as Arrow's: what the server is asked to print, how it is read, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection as PyMySQLConnection
from pymysql.constants import FIELD_TYPE, FLAG
from sqlalchemy.dialects.mysql.base import MySQLDialect

from sqlmodel_framework.base.connectors.source_columns import SourceColumn, refuse_unusable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["describe_columns", "line_of", "quoted"]

_PREPARER = MySQLDialect(paramstyle="named").identifier_preparer
_BINARY_CHARSET = 63
_LONGEST_DECIMAL = 38
# Bytes of a TEXT in the connection's characters. REPLACE moves the rest of the text for each quote: long ones take minutes.
_LONGEST_QUOTED = 4 * 65_535
# Zero dates, months and days of zero, days that a month has not, and times beyond a day have no place in Arrow's types.
_YEARS = r"(?:[1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])"
_LEAP_YEARS = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATES = (
    rf"^(?:{_YEARS}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP_YEARS}-02-29)"
)
_TIMES = r"^(?:[01]\d|2[0-3]):"


def quoted(*names: str) -> str:
    """A name with those before it, such as a table with its database; percent signs stand as they are."""
    return ".".join(_PREPARER.quote_identifier(name) for name in names)


def describe_columns(connection: PyMySQLConnection[Any], source: str, where: str) -> list[SourceColumn]:
    """The columns of a table or subquery, in order.

    Raises ExtractionError where there is no column, or two of one name.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {source} LIMIT 0")  # noqa: S608 - quoted, or as asked for
        fields = list(cursor._result.fields)  # noqa: SLF001 - the description leaves out flags and character sets
    refuse_unusable([field.name for field in fields], where)
    return [_column(field) for field in fields]


def line_of(columns: list[SourceColumn]) -> str:
    """The expression of a row as one line of CSV: the driver then reads one value a row.

    It is NULL where a part, or the whole, is longer than `max_allowed_packet`: the server makes NULL of such texts.
    """
    parts = ", ',', ".join(column.printed for column in columns)
    return f"CONCAT({parts})"


def _column(field: Any) -> SourceColumn:
    name = quoted(field.name)
    made = _MAKERS.get(field.type_code)
    if made is not None:
        return made(field, name)
    is_text = field.charsetnr != _BINARY_CHARSET or field.flags & (FLAG.ENUM | FLAG.SET)
    return (_text if is_text else _bytes)(field, name)


def _plain(field: Any, printed: str, given: pa.DataType, fitting: str | None = None) -> SourceColumn:
    return SourceColumn(field.name, _or_empty(field, printed), given, given, fitting)


def _or_empty(field: Any, printed: str) -> str:
    """The empty text for NULL, and for nothing else: what the server cannot print has to stay NULL."""
    return f"IF({quoted(field.name)} IS NULL, '', {printed})"


def _text(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    # What has another character set is sent in that of the connection.
    text, string = f"CONVERT({name} USING utf8mb4)", pa.string()
    if field.length > _LONGEST_QUOTED:
        printed = _or_empty(field, f"""CONCAT('"', HEX({text}), '"')""")
        return SourceColumn(field.name, printed, string, string, in_hex=True)
    printed = _or_empty(field, f"""CONCAT('"', REPLACE({text}, '"', '""'), '"')""")
    return SourceColumn(field.name, printed, string, string)


def _bytes(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    printed = f"""CONCAT('"', HEX({name}), '"')"""
    return SourceColumn(field.name, _or_empty(field, printed), pa.string(), pa.binary(), in_hex=True)


def _number(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    bits = _NUMBERS[field.type_code]
    unsigned = bool(field.flags & FLAG.UNSIGNED) and field.type_code != FIELD_TYPE.YEAR
    given = getattr(pa, f"uint{bits}" if unsigned else f"int{bits}")()
    # Zeros before a number are how it is shown.
    return _plain(field, f"{name} + 0" if field.flags & FLAG.ZEROFILL else name, given)


def _decimal(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    scale = field.scale
    digits = field.length - (scale > 0) - (not field.flags & FLAG.UNSIGNED)
    digits = max(digits, scale, 1)
    if digits > _LONGEST_DECIMAL:
        return SourceColumn(field.name, _or_empty(field, name), pa.string(), pa.decimal256(digits, scale))
    return _plain(field, name, pa.decimal128(digits, scale))


def _float(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    # The server takes 22 characters for enough, and cuts a group of longer ones.
    if field.type_code == FIELD_TYPE.DOUBLE:
        return _plain(field, f"CAST({name} AS CHAR(32))", pa.float64())
    # The server prints six digits of a FLOAT, and all of a DOUBLE.
    printed = _or_empty(field, f"CAST({name} + 0e0 AS CHAR(32))")
    return SourceColumn(field.name, printed, pa.float64(), pa.float32())


def _moment(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    if field.type_code == FIELD_TYPE.TIME:
        return _plain(field, name, pa.time64("us"), _TIMES)
    if field.type_code in (FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE):
        return _plain(field, name, pa.date32(), _DATES)
    zone = "UTC" if field.type_code == FIELD_TYPE.TIMESTAMP else None
    # The session is in UTC.
    printed = f"CONCAT({name}, '+00')" if zone else name
    return _plain(field, printed, pa.timestamp("us", zone), _DATES)


def _bit(field: Any, name: str) -> SourceColumn:
    import pyarrow as pa

    if field.length > 1:
        return _plain(field, f"{name} + 0", pa.uint64())
    return _plain(field, f"CASE {name} WHEN 1 THEN 't' WHEN 0 THEN 'f' END", pa.bool_())


def _geometry(field: Any, name: str) -> SourceColumn:
    return _bytes(field, f"ST_AsBinary({name})")


_NUMBERS = {
    FIELD_TYPE.TINY: 8,
    FIELD_TYPE.SHORT: 16,
    FIELD_TYPE.YEAR: 16,
    FIELD_TYPE.INT24: 32,
    FIELD_TYPE.LONG: 32,
    FIELD_TYPE.LONGLONG: 64,
}
_MAKERS: dict[int, Callable[[Any, str], SourceColumn]] = {
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys((FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL), _decimal),
    **dict.fromkeys((FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE), _float),
    **dict.fromkeys((FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.TIME), _moment),
    **dict.fromkeys((FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP), _moment),
    FIELD_TYPE.BIT: _bit,
    FIELD_TYPE.GEOMETRY: _geometry,
    FIELD_TYPE.JSON: _text,
}
