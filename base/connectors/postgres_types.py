"""PostgreSQL's types as Arrow's: what the server is asked to print, how it is read, and what does not fit."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from sqlmodel_framework.base.connectors.source_columns import SourceColumn, refuse_unusable

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["describe_columns"]

_BYTEA = 17
_MONEY = 790
_NUMERIC = 1700
# What Arrow's parser takes of the texts that PostgreSQL prints; the others are infinities, BC and years past 9999.
_DATES = r"^\d{4}-\d\d-\d\d$"
_TIMESTAMPS = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?$"
_TIMESTAMPS_UTC = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$"
_TIMES = r"^([01]\d|2[0-3]):"
_DIGITS = r"^-?[0-9]"


def describe_columns(connection: PsycopgConnection, source: str, where: str) -> list[SourceColumn]:
    """The columns of a table or subquery, in order; a domain is read as the type below it.

    Raises ExtractionError where there is no column, or two of one name.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {source} LIMIT 0")  # noqa: S608 - quoted, or as asked for
        description = list(cursor.description or ())
        unknown = [column.type_code for column in description if column.type_code not in _arrow_types()]
        arrays = set()
        if unknown:
            cursor.execute(
                "SELECT oid FROM pg_catalog.pg_type WHERE typcategory = 'A' AND oid = ANY (%s)", (unknown,)
            )
            arrays = {oid for (oid,) in cursor.fetchall()}
    refuse_unusable([column.name for column in description], where)
    return [
        _column(
            column, sql.Identifier(column.name).as_string(connection), is_array=column.type_code in arrays
        )
        for column in description
    ]


def _column(column: Any, name: str, *, is_array: bool) -> SourceColumn:
    import pyarrow as pa

    text = pa.string()
    if is_array:
        return SourceColumn(column.name, f"pg_catalog.to_json({name})", text, text)
    if column.type_code == _BYTEA:
        printed = f"pg_catalog.encode({name}, 'hex')"
        return SourceColumn(column.name, printed, text, pa.binary(), in_hex=True)
    if column.type_code == _MONEY:
        # Its own text depends on the server's locale, its digits do not.
        return SourceColumn(column.name, f"pg_catalog.numeric({name})", text, text)
    if column.type_code == _NUMERIC:
        return _numeric(column, name)
    given, fitting = _arrow_types().get(column.type_code, (text, None))
    return SourceColumn(column.name, name, given, given, fitting)


def _numeric(column: Any, name: str) -> SourceColumn:
    """Text for numbers without declared digits, or with more than Arrow has; Arrow's CSV reader stops at 38."""
    import pyarrow as pa

    precision, scale = column.precision, column.scale
    if precision is None or scale is None:
        return SourceColumn(column.name, name, pa.string(), pa.string())
    # The driver gives the scale without its sign, which is the highest of eleven bits since PostgreSQL 15.
    scale = ((scale & 0x7FF) ^ 0x400) - 0x400
    # A scale below 0 rounds before the point, one above the precision has zeros after it.
    digits, scale = (precision - scale, 0) if scale < 0 else (max(precision, scale), scale)
    if digits > 76:
        return SourceColumn(column.name, name, pa.string(), pa.string())
    if digits > 38:
        return SourceColumn(column.name, name, pa.string(), pa.decimal256(digits, scale), _DIGITS)
    given = pa.decimal128(digits, scale)
    return SourceColumn(column.name, name, given, given, _DIGITS)


@cache
def _arrow_types() -> dict[int, tuple[pa.DataType, str | None]]:
    """Arrow type and pattern of the fitting texts, by the fixed OIDs of PostgreSQL's catalog (pg_type.dat).

    Every type that is not here is read as the text it prints.
    """
    import pyarrow as pa

    text = pa.string()
    return {
        16: (pa.bool_(), None),
        18: (text, None),
        20: (pa.int64(), None),
        21: (pa.int16(), None),
        23: (pa.int32(), None),
        25: (text, None),
        26: (pa.uint32(), None),
        700: (pa.float32(), None),
        701: (pa.float64(), None),
        1042: (text, None),
        1043: (text, None),
        1082: (pa.date32(), _DATES),
        1083: (pa.time64("us"), _TIMES),
        1114: (pa.timestamp("us"), _TIMESTAMPS),
        1184: (pa.timestamp("us", tz="UTC"), _TIMESTAMPS_UTC),
        _BYTEA: (text, None),
        _MONEY: (text, None),
        _NUMERIC: (text, None),
    }
