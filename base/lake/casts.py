"""Arrow casts that change no value and guess no meaning."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sqlmodel_framework.base.lake.json_lines import json_texts

__all__ = ["lossless_cast"]


def lossless_cast(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The column as another type, all values the same; lists, structs and maps become JSON text.

    Raises pa.ArrowInvalid or pa.ArrowNotImplementedError where a value would change, or its meaning would be a guess:
    times without a time zone as times with one, numbers as times.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return lossless_cast(column.dictionary_decode(), wanted)
    if kind == wanted:
        return column
    if pa.types.is_nested(kind) and pa.types.is_string(wanted):
        return json_texts(column)
    if _is_guess(kind, wanted):
        raise pa.ArrowInvalid(f"{kind} as {wanted} would be a guess")
    cast = column.cast(wanted)
    if _may_round(kind, wanted) and pc.all(pc.equal(cast.cast(kind), column)).as_py() is False:
        raise pa.ArrowInvalid(f"{kind} as {wanted} would change values")
    return cast


def _is_guess(kind: pa.DataType, wanted: pa.DataType) -> bool:
    if _is_text(kind) or _is_text(wanted) or pa.types.is_null(kind):
        return False
    return pa.types.is_temporal(kind) != pa.types.is_temporal(wanted) or _has_zone(kind) != _has_zone(wanted)


def _may_round(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Casts that Arrow calls safe and that are not: floats and decimals, integers to booleans, timestamps to dates."""
    if _is_text(kind) or _is_text(wanted) or pa.types.is_null(kind):
        return False
    return not (pa.types.is_floating(kind) and pa.types.is_floating(wanted))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _has_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None
