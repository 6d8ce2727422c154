"""DataFrames as Arrow tables, refusing columns that Arrow would bend: what pandas counts as missing is null."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["table_of"]


def table_of(df: pd.DataFrame) -> pa.Table:
    """The rows of a DataFrame as an Arrow table; its index is left out. Dicts, such as the driver's jsonb, become JSON text.

    Raises ConfigurationError for two columns of one name, for values of more than one kind in a column (Arrow would cut
    datetimes beside dates down to dates, and take naive datetimes beside aware ones for UTC), and for values that Arrow
    has no type for.
    """
    import pyarrow as pa

    twice = sorted(name for name, times in Counter(map(str, df.columns)).items() if times > 1)
    if twice:
        raise ConfigurationError(
            "the DataFrame has columns of the same name",
            seen=", ".join(twice),
            next_step="give each column a name of its own",
        )
    plain = _plain_columns(df.reset_index(drop=True))
    try:
        return pa.Table.from_pandas(plain, preserve_index=False)
    except _REFUSALS:
        raise _refusal(plain) from None


def _plain_columns(df: pd.DataFrame) -> pd.DataFrame:
    """Change the columns of any objects into what Arrow takes without loss, or refuse them."""
    import pandas as pd

    for position, name in enumerate(df.columns):
        column = df.iloc[:, position]
        if pd.api.types.is_object_dtype(column.dtype):
            values = column.dropna()
            if any(map(_holds_dicts, values)):
                df.isetitem(position, list(values.map(partial(_json, name)).reindex(df.index)))
            else:
                _refuse_mixed(name, values)
    return df


def _holds_dicts(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_dicts, value)))


def _json(column: Any, value: Any) -> str:
    if not isinstance(value, (dict, list)):
        raise _not_one_type(column, ["dict", type(value).__name__])
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        raise _not_one_type(column, ["a number that JSON does not have"]) from None


def _refuse_mixed(name: Any, values: pd.Series[Any]) -> None:
    kinds = set(map(type, values))
    families = {_family(kind) for kind in kinds}
    exact = not any(issubclass(kind, float) for kind in kinds)
    if len(families) > 1 and not (exact and families == {"decimal", "number"}):
        raise _not_one_type(name, sorted(kind.__name__ for kind in kinds))
    if families == {"datetime"} and len({value.utcoffset() is None for value in values}) > 1:
        raise _not_one_type(name, ["datetime with time zone", "datetime without"])


def _family(kind: type[Any]) -> str:
    """Values of one family go into one Arrow type without loss."""
    return next((family for family, kinds in _FAMILIES if issubclass(kind, kinds)), kind.__qualname__)


# The first that fits: a bool is a Real, a datetime a date.
_FAMILIES: tuple[tuple[str, tuple[type[Any], ...]], ...] = (
    ("bool", (bool,)),
    ("decimal", (Decimal,)),
    ("number", (Real,)),
    ("text", (str,)),
    ("binary", (bytes, bytearray, memoryview)),
    ("datetime", (datetime,)),
    ("date", (date,)),
    ("time", (time,)),
    ("duration", (timedelta,)),
    ("list", (list, tuple)),
)

# Beside Arrow's own: OverflowError for integers of more than 64 bits, TypeError for sparse columns.
_REFUSALS = (ValueError, TypeError, NotImplementedError, OverflowError)


def _refusal(df: pd.DataFrame) -> ConfigurationError:
    """Which column it was: Arrow's own messages quote the value, and not all of them name the column."""
    import pyarrow as pa

    for position, name in enumerate(df.columns):
        column = df.iloc[:, position]
        try:
            pa.Table.from_pandas(column.to_frame(), preserve_index=False)
        except _REFUSALS:
            return _not_one_type(name, sorted({type(value).__name__ for value in column.dropna()}))
    return ConfigurationError("the DataFrame has no Arrow form")


def _not_one_type(name: Any, seen: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        "a column of the DataFrame has no single Arrow type",
        where=f"column {name}",
        seen=", ".join(seen),
        next_step="give the column one type",
    )
