"""A table in pieces that several connections read at the same time: ranges of pages, or of one column's values."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from sqlmodel_framework.base.connectors.postgres_catalog import Storage
from sqlmodel_framework.base.errors import ConfigurationError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["page_ranges", "value_ranges"]

# Below that, starting processes takes longer than reading: 8 MB.
_PAGES_WORTH_IT = 1024
_PIECES_A_READER = 8
# int8, int2, int4, oid, date, timestamp, timestamptz, numeric: types whose values have distances (pg_type.dat).
_DISTANCES = (20, 21, 23, 26, 1082, 1114, 1184, 1700)
# The first version that reads a range of ctid without reading the whole table.
_RANGES_SINCE = 140_000


def page_ranges(storage: Storage, parallel: int, server_version: int) -> list[str]:
    """Conditions that together hold for every row once; one empty condition where splitting is not possible or not worth it.

    On a partitioned table a range holds for each partition. The last range is open: rows may have come since.
    """
    if storage.pages is None or server_version < _RANGES_SINCE:
        return [""]
    number = min(parallel * _PIECES_A_READER, storage.total_pages // _PAGES_WORTH_IT)
    if number < 2:
        return [""]
    starts = [storage.pages * piece // number for piece in range(1, number)]
    return _ranges("ctid", [f"'({page},0)'::tid" for page in starts if page], nulls=False)


def value_ranges(
    connection: PsycopgConnection, source: str, condition: str, column: str, parallel: int, where: str
) -> list[str]:
    """The same for ranges of the values of a column of numbers, dates or timestamps; NULL belongs to the first range.

    Raises ConfigurationError for a column of another type.
    """
    name = sql.Identifier(column).as_string(connection)
    filtered = f" WHERE ({condition}\n)" if condition else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM {source} LIMIT 0")  # noqa: S608 - quoted, or as asked for
        if (cursor.description or ())[0].type_code not in _DISTANCES:
            raise _refusal(where, column)
        cursor.execute(f"SELECT min({name}), max({name}) FROM {source}{filtered}")  # noqa: S608 - as above
        try:
            low, high = cursor.fetchone() or (None, None)
            if low is None or low == high:
                return [""]
            bounds = _between(low, high, parallel * _PIECES_A_READER)
        except (ArithmeticError, ValueError):
            # NaN, and times that Python does not have.
            raise _refusal(where, column) from None
        literals = [cursor.mogrify("%s", (bound,)).decode() for bound in bounds]
    return _ranges(name, literals, nulls=True)


def _refusal(where: str, column: str) -> ConfigurationError:
    return ConfigurationError(
        "this column cannot split the rows",
        where=f"{where}, column {column}",
        expected="a column of integers, numerics, dates or timestamps, none NaN or before Christ",
        next_step="name another column with split_by, or leave split_by out",
    )


def _ranges(name: str, bounds: Sequence[str], *, nulls: bool) -> list[str]:
    if not bounds:
        return [""]
    first = f"{name} < {bounds[0]}" + (f" OR {name} IS NULL" if nulls else "")
    inner = [f"{name} >= {low} AND {name} < {high}" for low, high in pairwise(bounds)]
    return [first, *inner, f"{name} >= {bounds[-1]}"]


def _between(low: Any, high: Any, number: int) -> list[Any]:
    """Values that part the range evenly, ascending and without repetition. Raises ArithmeticError for NaN."""
    if isinstance(low, int):
        steps = [low + (high - low) * step // number for step in range(1, number)]
    elif isinstance(low, Decimal):
        steps = [low + (high - low) * step / number for step in range(1, number)]
    else:
        steps = [low + (high - low) / number * step for step in range(1, number)]
    return sorted({step for step in steps if low < step <= high})
