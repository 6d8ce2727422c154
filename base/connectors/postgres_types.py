"""PostgreSQL's types as Arrow's: what the server is asked to print, and how it is read."""

from __future__ import annotations

from binascii import unhexlify
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from sqlmodel_framework.base.errors import ExtractionError

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["SourceColumn", "describe_columns", "finished_array", "refuse_unusable"]

_NUMERIC = 1700
_BYTEA = 17


@dataclass(frozen=True)
class SourceColumn:
    """One column to read. `printed` is the expression that the server prints, `parsed` the type Arrow parses it as."""

    name: str
    printed: sql.Composable
    parsed: pa.DataType
    is_hex: bool = False

    @property
    def field(self) -> pa.Field:
        """The Arrow field that leaves the connector."""
        import pyarrow as pa

        return pa.field(self.name, pa.binary() if self.is_hex else self.parsed)


def describe_columns(connection: PsycopgConnection, source: sql.Composable, where: str) -> list[SourceColumn]:
    """The columns of a table or subquery, in order; a domain is read as the type below it.

    Raises ExtractionError where there is no column, or two of one name.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(source))
        description = list(cursor.description or ())
        cursor.execute(
            "SELECT oid FROM pg_catalog.pg_type WHERE typcategory = 'A' AND oid = ANY (%s)",
            ([column.type_code for column in description],),
        )
        arrays = {oid for (oid,) in cursor.fetchall()}
    refuse_unusable([column.name for column in description], where)
    return [_column(column, is_array=column.type_code in arrays) for column in description]


def refuse_unusable(names: Sequence[str], where: str) -> None:
    """Raise ExtractionError for no name at all and for a name that is there twice."""
    if not names:
        raise ExtractionError("the source has no column", where=where, expected="at least one")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ExtractionError(
            "the source has columns of the same name",
            where=where,
            seen=", ".join(twice),
            next_step="give each column of the query a name of its own",
        )


def _column(column: Any, *, is_array: bool) -> SourceColumn:
    import pyarrow as pa

    name = sql.Identifier(column.name)
    if is_array:
        return SourceColumn(column.name, sql.SQL("pg_catalog.to_json({})").format(name), pa.string())
    if column.type_code == _BYTEA:
        return SourceColumn(
            column.name, sql.SQL("pg_catalog.encode({}, 'hex')").format(name), pa.string(), is_hex=True
        )
    if column.type_code == _NUMERIC:
        return SourceColumn(column.name, name, _decimal(column.precision, column.scale))
    return SourceColumn(column.name, name, _arrow_types().get(column.type_code, pa.string()))


def finished_array(parsed: pa.ChunkedArray, column: SourceColumn) -> pa.ChunkedArray:
    """The column as it leaves the connector, from the form it was parsed in."""
    import pyarrow as pa

    if not column.is_hex:
        return parsed
    return pa.chunked_array([_from_hex(chunk) for chunk in parsed.chunks], pa.binary())


def _from_hex(digits: pa.StringArray) -> pa.BinaryArray:
    """All values at once: the digits of a fresh array stand one after the other, two to a byte."""
    import numpy as np
    import pyarrow as pa

    assert digits.offset == 0
    validity, offsets, text = digits.buffers()
    halves = np.frombuffer(offsets, np.int32, len(digits) + 1) // 2
    data = unhexlify(memoryview(text)[: 2 * int(halves[-1])]) if text else b""
    return pa.Array.from_buffers(
        pa.binary(), len(digits), [validity, pa.py_buffer(halves), pa.py_buffer(data)], digits.null_count
    )


def _decimal(precision: int | None, scale: int | None) -> pa.DataType:
    """Text for numbers whose digits are not declared, or are more than Arrow's CSV reader takes."""
    import pyarrow as pa

    if precision is None or scale is None or not 0 < precision <= 38 or not 0 <= scale <= precision:
        return pa.string()
    return pa.decimal128(precision, scale)


def _arrow_types() -> dict[int, pa.DataType]:
    """By the fixed OIDs of PostgreSQL's catalog (pg_type.dat); every other type is read as the text it prints."""
    import pyarrow as pa

    return {
        16: pa.bool_(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        26: pa.uint32(),
        700: pa.float32(),
        701: pa.float64(),
        1082: pa.date32(),
        1083: pa.time64("us"),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", tz="UTC"),
    }
