"""Record batches as JSON lines, a column at a time, so that no value loses anything.

What a value of each type becomes: integers and finite floats are numbers with all their digits (floats read back equal);
NaN and infinities, which JSON does not have, are the strings "nan", "inf" and "-inf"; decimals are strings as Python
prints them; binary is base64; dates and times are ISO 8601, those with a time zone in UTC with Z; durations are ISO 8601
in seconds, such as "-PT1.500000S"; lists are arrays, structs objects and maps arrays of {"key", "value"}, of these forms.
Null is null.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["json_lines", "json_texts"]

_QUOTE = pa.scalar('"')
_NEEDS_ESCAPE = r'["\\\x00-\x1f]'
_UNITS_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def json_lines(batch: pa.RecordBatch) -> bytes:
    """One JSON object a row, each ended by a newline, in UTF-8."""
    rows: int = batch.num_rows
    if rows == 0:
        return b""
    if batch.num_columns == 0:
        return b"{}\n" * rows
    lines = _objects(batch.schema.names, batch.columns, end="}\n")
    # A fresh array: its data buffer is the lines one after the other.
    end: int = pc.sum(pc.binary_length(lines)).as_py()
    return bytes(memoryview(lines.buffers()[2])[:end])


def _objects(names: Sequence[str], columns: Sequence[pa.Array], *, end: str) -> pa.LargeStringArray:
    parts: list[Any] = []
    for position, (name, column) in enumerate(zip(names, columns, strict=True)):
        opening = "{" if position == 0 else ","
        parts.append(pa.scalar(opening + json.dumps(name, ensure_ascii=False) + ":", pa.large_string()))
        parts.append(_values(column).cast(pa.large_string()))
    nothing = pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(*parts, pa.scalar(end, pa.large_string()), nothing)


def json_texts(column: pa.Array) -> pa.StringArray:
    """The JSON text of each value of a column; null for null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return json_texts(column.dictionary_decode())
    convert = next((convert for applies, convert in _CONVERSIONS if applies(kind)), _other)
    return convert(column)


def _values(column: pa.Array) -> pa.Array:
    return pc.fill_null(json_texts(column), "null")


def _bare(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _quoted(column: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(_QUOTE, column.cast(pa.string()), _QUOTE, "")


def _float(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_finite(column), _bare(column), _quoted(column))


def _timestamp(column: pa.Array) -> pa.Array:
    # The wall clock of UTC whatever the time zone is; a cast prints it 15 times as fast as strftime does.
    utc = column.view(pa.timestamp(column.type.unit)).cast(pa.string())
    text = pc.replace_substring(utc, " ", "T", max_replacements=1)
    end = pa.scalar('Z"' if column.type.tz else '"')
    return pc.binary_join_element_wise(_QUOTE, text, end, "")


def _duration(column: pa.Array) -> pa.Array:
    a_second = _UNITS_A_SECOND[column.type.unit]
    digits = len(str(a_second)) - 1

    def text(value: int) -> str:
        whole, part = divmod(abs(value), a_second)
        return f'"{"-" * (value < 0)}PT{whole}{f".{part:0{digits}}" if digits else ""}S"'

    return _mapped(text, column.cast(pa.int64()))


def _text(column: pa.Array) -> pa.Array:
    column = column.cast(pa.string())
    if not pc.any(pc.match_substring_regex(column, _NEEDS_ESCAPE)).as_py():
        return _quoted(column)
    return _mapped(lambda value: json.dumps(value, ensure_ascii=False), column)


def _binary(column: pa.Array) -> pa.Array:
    return _mapped(lambda value: f'"{base64.b64encode(value).decode()}"', column)


def _list(column: pa.Array) -> pa.Array:
    import numpy as np

    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate(([0], lengths.cumsum())), pa.int32())
    items = pa.ListArray.from_arrays(offsets, _values(column.flatten()).cast(pa.string()))
    text = pc.binary_join_element_wise("[", pc.binary_join(items, ","), "]", "")
    return pc.if_else(column.is_valid(), text, None)


def _map(column: pa.MapArray) -> pa.Array:
    pairs = pa.struct([column.type.key_field, column.type.item_field])
    return _list(column.cast(pa.list_(pairs)))


def _struct(column: pa.StructArray) -> pa.Array:
    names = [field.name for field in column.type]
    text = _objects(names, column.flatten(), end="}") if names else pa.repeat(pa.scalar("{}"), len(column))
    return pc.if_else(column.is_valid(), text.cast(pa.string()), None)


def _other(column: pa.Array) -> pa.Array:
    """Types that Arrow has no text for, such as UUIDs: the text that Python has."""
    return _mapped(lambda value: json.dumps(str(value), ensure_ascii=False), column)


def _mapped(convert: Callable[[Any], str], column: pa.Array) -> pa.Array:
    texts = [None if value is None else convert(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string())


_CONVERSIONS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_boolean, _bare),
    (pa.types.is_integer, _bare),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _quoted),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_date, _quoted),
    (pa.types.is_time, _quoted),
    (pa.types.is_duration, _duration),
    (pa.types.is_string, _text),
    (pa.types.is_large_string, _text),
    (pa.types.is_string_view, _text),
    (pa.types.is_binary, _binary),
    (pa.types.is_large_binary, _binary),
    (pa.types.is_binary_view, _binary),
    (pa.types.is_fixed_size_binary, _binary),
    (pa.types.is_map, _map),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_fixed_size_list, _list),
    (pa.types.is_struct, _struct),
)
