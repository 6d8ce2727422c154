"""Arrow arrays from NumPy's, without a Python object for each value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "ALPHANUMERIC",
    "LETTERS",
    "codes",
    "decimals",
    "integers",
    "taken",
    "typed",
    "uuids",
    "with_nulls",
]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALPHANUMERIC = "0123456789" + LETTERS


def integers(values: NDArray[np.int64], kind: pa.DataType) -> pa.Array:
    """Whole numbers as an integer type, or as any type that Arrow stores as one: dates in days, times in microseconds."""
    if pa.types.is_integer(kind):
        return pa.array(values).cast(kind)
    width = np.int32 if kind.bit_width == 32 else np.int64
    return pa.array(values.astype(width)).view(kind)


def decimals(unscaled: NDArray[np.int64], kind: pa.DataType, scale: int) -> pa.Array:
    """Decimals from whole numbers with `scale` digits behind the point; as text where the type is text."""
    wanted = pa.decimal128(38, scale) if pa.types.is_string(kind) else kind
    if wanted.scale > scale:
        unscaled = unscaled * 10 ** (wanted.scale - scale)
    words = np.empty((len(unscaled), wanted.byte_width // 8), np.int64)
    words[:, 0] = unscaled
    words[:, 1:] = (unscaled >> 63)[:, None]
    made = pa.Array.from_buffers(wanted, len(unscaled), [None, pa.py_buffer(words.tobytes())])
    return made.cast(kind) if pa.types.is_string(kind) else made


def codes(numbers: NDArray[np.int64], width: int, alphabet: str) -> pa.Array:
    """Numbers written with these letters, all `width` letters long."""
    letters = np.frombuffer(alphabet.encode(), np.uint8)
    written = np.empty((len(numbers), width), np.uint8)
    rest = numbers.copy()
    for place in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, len(alphabet))
        written[:, place] = letters[digit]
    return _fixed_width(written)


def _fixed_width(written: NDArray[np.uint8]) -> pa.Array:
    rows, width = written.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(written.tobytes()))


_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DASHES = (8, 13, 18, 23)


def uuids(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> pa.Array:
    """Texts of UUIDs of version 4 from random bits; bits that differ give texts that differ, but for the six of the version."""
    octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(len(high), 16)
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    digits = np.empty((len(high), 32), np.uint8)
    digits[:, ::2], digits[:, 1::2] = _HEX[octets >> 4], _HEX[octets & 15]
    written = np.full((len(high), 36), ord("-"), np.uint8)
    written[:, [place for place in range(36) if place not in _DASHES]] = digits
    return _fixed_width(written)


def typed(values: Any, kind: pa.DataType) -> pa.Array:
    """Python values as an array of a type."""
    return pa.array(values, kind)


def taken(pool: pa.Array, positions: NDArray[np.int64]) -> pa.Array:
    """The values of a pool at these positions."""
    return pool.take(pa.array(positions))


def with_nulls(values: pa.Array, nulls: NDArray[np.bool_] | None) -> pa.Array:
    """The array with null where `nulls` says so."""
    if nulls is None or not nulls.any():
        return values
    return pc.if_else(pa.array(nulls), pa.scalar(None, values.type), values)
