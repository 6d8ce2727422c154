"""Record batches as JSON lines, a column at a time.

No value loses anything: decimals are strings with all their digits, binary is base64, times are ISO 8601 (UTC with Z),
floats print so that they read back equal; NaN and infinities, which JSON does not have, are strings.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["json_lines"]

_NULL = pa.scalar("null")
_QUOTE = pa.scalar('"')
_NEEDS_ESCAPE = r'["\\\x00-\x1f]'


def json_lines(batch: pa.RecordBatch) -> bytes:
    """One JSON object a row, each ended by a newline, in UTF-8."""
    if batch.num_rows == 0:
        return b""
    if batch.num_columns == 0:
        return b"{}\n" * batch.num_rows
    parts: list[Any] = []
    for position, name in enumerate(batch.schema.names):
        opening = "{" if position == 0 else ","
        parts.append(pa.scalar(opening + json.dumps(name, ensure_ascii=False) + ":", pa.large_string()))
        parts.append(_json_values(batch.column(position)).cast(pa.large_string()))
    parts.append(pa.scalar("}\n", pa.large_string()))
    lines = pc.binary_join_element_wise(*parts, pa.scalar("", pa.large_string()))
    # A fresh array: its data buffer is the lines one after the other.
    end: int = pc.sum(pc.binary_length(lines)).as_py()
    data = memoryview(lines.buffers()[2])
    return data[:end].tobytes()


def _json_values(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _json_values(column.dictionary_decode())
    for applies, convert in _CONVERSIONS:
        if applies(kind):
            return pc.fill_null(convert(column), _NULL)
    return pa.array(
        [json.dumps(value, default=_plain, ensure_ascii=False) for value in column.to_pylist()], pa.string()
    )


def _bare(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _quoted(column: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(_QUOTE, column.cast(pa.string()), _QUOTE, "")


def _float(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_finite(column), _bare(column), _quoted(column))


def _timestamp(column: pa.Array) -> pa.Array:
    pattern = "%Y-%m-%dT%H:%M:%S" + ("Z" if column.type.tz else "")
    utc = column.cast(pa.timestamp(column.type.unit, "UTC")) if column.type.tz else column
    return _quoted(pc.strftime(utc, format=pattern))


def _text(column: pa.Array) -> pa.Array:
    column = column.cast(pa.string())
    if not pc.any(pc.match_substring_regex(column, _NEEDS_ESCAPE)).as_py():
        return _quoted(column)
    return pa.array(
        [None if t is None else json.dumps(t, ensure_ascii=False) for t in column.to_pylist()], pa.string()
    )


def _binary(column: pa.Array) -> pa.Array:
    encoded = [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    return _quoted(pa.array(encoded, pa.string()))


def _plain(value: Any) -> Any:
    """Values inside lists and structs."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_CONVERSIONS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_boolean, _bare),
    (pa.types.is_integer, _bare),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _quoted),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_date, _quoted),
    (pa.types.is_time, _quoted),
    (pa.types.is_string, _text),
    (pa.types.is_large_string, _text),
    (pa.types.is_binary, _binary),
    (pa.types.is_large_binary, _binary),
)
