"""PostgreSQL's types as Arrow's: what the server is asked to print, how it is read, and what does not fit."""

from __future__ import annotations

from binascii import unhexlify
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from psycopg2 import sql

from sqlmodel_framework.base.errors import ConfigurationError, ExtractionError

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = [
    "OnUnrepresentable",
    "SourceColumn",
    "Unrepresentable",
    "chosen_columns",
    "describe_columns",
    "finished_array",
    "refuse_unknown",
    "refuse_unusable",
]

Unrepresentable = Literal["fail", "null", "string", "reject"]
OnUnrepresentable = Unrepresentable | Mapping[str, Unrepresentable]

_POLICIES = ("fail", "null", "string", "reject")
_BYTEA = 17
_MONEY = 790
_NUMERIC = 1700
# What Arrow's parser takes of the texts that PostgreSQL prints; the others are infinities, BC and years past 9999.
_DATES = r"^\d{4}-\d\d-\d\d$"
_TIMESTAMPS = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?$"
_TIMESTAMPS_UTC = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$"
_TIMES = r"^([01]\d|2[0-3]):"
_DIGITS = r"^-?[0-9]"


@dataclass(frozen=True)
class SourceColumn:
    """One column to read. `printed` is the expression that the server prints, `parsed` the type that the text is parsed as,
    `given` the type that leaves the connector.

    `fitting` is the pattern of the texts that `given` can hold, None where it holds all values of the column; `policy`
    says what becomes of the others.
    """

    name: str
    printed: sql.Composable
    parsed: pa.DataType
    given: pa.DataType
    fitting: str | None = None
    policy: Unrepresentable = "fail"

    @property
    def field(self) -> pa.Field:
        """The Arrow field that leaves the connector."""
        import pyarrow as pa

        return pa.field(self.name, self.given)

    def under(self, policy: Unrepresentable) -> SourceColumn:
        """The column read under a policy; with `string`, one whose values do not all fit is read as text."""
        import pyarrow as pa

        if policy == "string" and self.fitting is not None:
            return replace(self, parsed=pa.string(), given=pa.string(), fitting=None, policy=policy)
        return replace(self, policy=policy)


def describe_columns(connection: PsycopgConnection, source: sql.Composable, where: str) -> list[SourceColumn]:
    """The columns of a table or subquery, in order; a domain is read as the type below it.

    Raises ExtractionError where there is no column, or two of one name.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(source))
        description = list(cursor.description or ())
        unknown = [column.type_code for column in description if column.type_code not in _arrow_types()]
        arrays = set()
        if unknown:
            cursor.execute(
                "SELECT oid FROM pg_catalog.pg_type WHERE typcategory = 'A' AND oid = ANY (%s)", (unknown,)
            )
            arrays = {oid for (oid,) in cursor.fetchall()}
    refuse_unusable([column.name for column in description], where)
    return [_column(column, is_array=column.type_code in arrays) for column in description]


def chosen_columns(
    described: Sequence[SourceColumn], names: Sequence[str] | None, policy: OnUnrepresentable, where: str
) -> list[SourceColumn]:
    """The columns asked for, None being all of them, each under its policy.

    Raises ExtractionError for a name that is not there or there twice, ConfigurationError for an unknown policy.
    """
    by_name = {column.name: column for column in described}
    if names is not None:
        refuse_unusable(names, where)
        refuse_unknown(names, list(by_name), "column", where)
    policies = policy if isinstance(policy, Mapping) else dict.fromkeys(by_name, policy)
    refuse_unknown(list(policies), list(by_name), "column", where)
    for given in policies.values():
        if given not in _POLICIES:
            raise ConfigurationError(
                "unknown policy for values that do not fit",
                where=where,
                seen=str(given),
                expected="one of " + ", ".join(_POLICIES),
            )
    return [by_name[name].under(policies.get(name, "fail")) for name in names or by_name]


def refuse_unknown(wanted: Sequence[str], known: Sequence[str], kind: str, where: str) -> None:
    """Raise ExtractionError for names that are not among the known ones."""
    unknown = [name for name in wanted if name not in set(known)]
    if unknown:
        raise ExtractionError(
            f"unknown {kind}", where=where, seen=", ".join(unknown), expected="one of " + ", ".join(known)
        )


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


def finished_array(parsed: pa.ChunkedArray, column: SourceColumn) -> pa.ChunkedArray:
    """The column as it leaves the connector, from the form it was parsed in. Raises pa.ArrowInvalid where a text does not fit."""
    import pyarrow as pa

    if column.parsed == column.given:
        return parsed
    if pa.types.is_binary(column.given):
        return pa.chunked_array([_from_hex(chunk) for chunk in parsed.chunks], column.given)
    return parsed.cast(column.given)


def _column(column: Any, *, is_array: bool) -> SourceColumn:
    import pyarrow as pa

    name = sql.Identifier(column.name)
    text = pa.string()
    if is_array:
        return SourceColumn(column.name, sql.SQL("pg_catalog.to_json({})").format(name), text, text)
    if column.type_code == _BYTEA:
        printed = sql.SQL("pg_catalog.encode({}, 'hex')").format(name)
        return SourceColumn(column.name, printed, text, pa.binary())
    if column.type_code == _MONEY:
        # Its own text depends on the server's locale, its digits do not.
        return SourceColumn(column.name, sql.SQL("pg_catalog.numeric({})").format(name), text, text)
    if column.type_code == _NUMERIC:
        return _numeric(column, name)
    given, fitting = _arrow_types().get(column.type_code, (text, None))
    return SourceColumn(column.name, name, given, given, fitting)


def _numeric(column: Any, name: sql.Composable) -> SourceColumn:
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
