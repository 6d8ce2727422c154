"""Different values for different rows: the value of a key is worked out from the number of its row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BINARY

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.generation.arrays import (
    ALPHANUMERIC,
    LETTERS,
    codes,
    decimals,
    integers,
    taken,
    typed,
    uuids,
)
from sqlmodel_framework.utils.generation.draws import where_of
from sqlmodel_framework.utils.generation.hashing import Index, Key, Permutation
from sqlmodel_framework.utils.generation.moments import moments_of
from sqlmodel_framework.utils.generation.numbers import (
    decimal_bounds,
    float_range,
    integer_bounds,
    multiples_within,
)
from sqlmodel_framework.utils.generation.patterns import texts_matching
from sqlmodel_framework.utils.generation.texts import provider_of, text_pool
from sqlmodel_framework.utils.generation.values import text_lengths

__all__ = ["Digit", "Line", "Spread", "spread_of"]

_MANY = 2**53
_PATTERN_TEXTS = 200_000


@dataclass(frozen=True)
class Spread:
    """All the values that a column can take, numbered: `at` gives those with these numbers, all below `capacity`.

    `few` says that the column is one of a handful of values, such as an enum: in a key of several columns it is
    combined with others. `ordered` numbers follow one another as the values of a key usually do. `why` says what limits
    the capacity where it is not the column.
    """

    capacity: int
    at: Callable[[Index], pa.Array]
    few: bool = False
    ordered: bool = False
    why: str | None = None


@dataclass(frozen=True)
class Digit:
    """One place of a number in mixed radix: which of its `radix` values a row takes. Without a permutation rows go in order."""

    radix: int
    divisor: int = 1
    permutation: Permutation | None = None

    def at(self, index: Index) -> Index:
        """The value of the place for these rows."""
        number = index if self.permutation is None else self.permutation.at(index)
        if self.divisor == 1 and self.permutation is None:
            return number
        return number // self.divisor % self.radix


@dataclass(frozen=True)
class Line(Digit):
    """A place in a key of parent and line: rows come in blocks of fifteen, in which five parents have 1 to 5 lines each.

    It gives the parent, below `radix`, or, where `is_line`, the number of the line from 0.
    """

    is_line: bool = False

    def at(self, index: Index) -> Index:
        """The value of the place for these rows."""
        assert self.permutation is not None
        block, offset = index // _BLOCK, index % _BLOCK
        order = self.permutation.key.below(len(_LINES), block)
        if self.is_line:
            lines: Index = _LINES[order, offset, 1]
            return lines
        return self.permutation.at(block * _PARENTS + _LINES[order, offset, 0])

    @classmethod
    def parents_for(cls, rows: int) -> int:
        """How many parents these rows need."""
        return -(-rows // _BLOCK) * _PARENTS


_PARENTS, _BLOCK = 5, 15
# By order of the five numbers of lines and by row of the block: the parent and the line.
_LINES = np.array(
    [
        [(parent, line) for parent, lines in enumerate(order) for line in range(lines)]
        for order in permutations(range(1, _PARENTS + 1))
    ],
    np.int64,
)


def spread_of(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    """The values of a column that is to be different in each of `rows` rows; there may be fewer.

    Raises RowsNotGeneratedError where limits leave no value.
    """
    if column.choices is not None:
        pool = typed(list(dict.fromkeys(column.choices)), column.arrow_type)
        return Spread(len(pool), lambda position: taken(pool, position), few=True)
    make = _BY_FAMILY.get(column.family or "", _of_texts)
    return make(column, rows, key, seed)


def _of_booleans(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    return Spread(2, lambda position: pa.array(position == 1), few=True)


def _of_integers(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    least, most, step = integer_bounds(column)
    start = max(least, 1) if most - max(least, 1) + 1 >= rows else max(least, most - rows + 1)
    kind = column.arrow_type
    return Spread(
        min(most - start + 1, _MANY), lambda position: integers((start + position) * step, kind), ordered=True
    )


def _of_decimals(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    least, most, step, scale = decimal_bounds(column)
    # Whole numbers where there is room for them.
    width = max(1, 10**scale // step)
    start, width = (
        (max(least, width), width)
        if (most - max(least, width)) // width + 1 >= rows
        else (max(least, most - rows + 1), 1)
    )
    kind = column.arrow_type
    return Spread(
        min((most - start) // width + 1, _MANY),
        lambda position: decimals((start + position * width) * step, kind, scale),
        ordered=True,
    )


def _of_floats(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    low, high = float_range(column, 1.0, float(max(rows, 2)))
    if math.ceil(low) + rows - 1 <= math.floor(high) and not column.limits.multiple_of:
        first = math.ceil(low)
        return Spread(_MANY, lambda position: pa.array((first + position).astype(np.float64)), ordered=True)
    step = column.limits.multiple_of
    if step is None:
        # Neighbouring floats are the least that differ.
        stride = max((high - low) / max(rows, 1), 2 * math.ulp(max(abs(low), abs(high))))
        return Spread(
            1 + min(math.floor((high - low) / stride), rows),
            lambda position: pa.array(low + position * stride),
            ordered=True,
        )
    first, last = multiples_within(column, *float_range(column, -_MANY, _MANY))
    start = first if first > 0 else 0 if last >= rows - 1 else max(first, last - rows + 1)
    return Spread(last - start + 1, lambda position: pa.array((start + position) * float(step)), ordered=True)


def _of_moments(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    moments = moments_of(column)
    if moments.count < rows and column.family in ("date", "datetime"):
        moments = _room_for(column, rows)
    kind, stride = column.arrow_type, max(1, moments.count // max(rows, 1))
    return Spread(
        min(moments.count // stride, _MANY),
        lambda position: integers(moments.at(position * stride), kind),
        ordered=True,
    )


def _room_for(column: ColumnContract, rows: int) -> Any:
    """The era made longer, forwards first, then backwards."""
    from dataclasses import replace

    whole, era = moments_of(column, whole=True), moments_of(column)
    last = whole.start + (whole.count - 1) * whole.step
    start = max(whole.start, min(era.start, last - (rows - 1) * whole.step))
    return replace(whole, start=start, count=(last - start) // whole.step + 1)


def _of_uuids(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    low = Key.of(key.number, "low")
    return Spread(_MANY, lambda position: uuids(key.bits(position), low.bits(position)), ordered=True)


def _of_binaries(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    least, most = column.min_length or 0, 16 if column.max_length is None else column.max_length
    length = max(least, min(most, 16)) if not isinstance(column.sql_type, BINARY) else most
    digits = min(length, 6)

    def at(position: Index) -> pa.Array:
        octets = position.astype(">u8").view(np.uint8).reshape(len(position), 8)
        filling = bytes(length - digits)
        return typed([filling + row.tobytes() for row in octets[:, 8 - digits :]], pa.binary())

    return Spread(256**digits, at, ordered=True)


def _of_documents(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    opening, closing = ('{"number": ', "}") if column.family == "json" else ("[", "]")
    return Spread(
        _MANY,
        lambda position: pc.binary_join_element_wise(
            opening, integers(position, pa.int64()).cast(pa.string()), closing, ""
        ),
        ordered=True,
    )


def _of_texts(column: ColumnContract, rows: int, key: Key, seed: int) -> Spread:
    if column.limits.pattern is not None:
        return _of_matching(column, rows, seed)
    least, most = text_lengths(column)
    if column.max_length is None:
        most = max(most, 40)
    alphabet, width = _code_for(rows, least, most)
    capacity = min(len(alphabet) ** width, _MANY)
    order = Permutation(capacity, key)
    pool = None if provider_of(column) is None else text_pool(column, seed, where_of(column))
    heads = [] if pool is None else _heads(pool, most - width - 1)
    if not heads:
        width = max(width, least)
        return Spread(capacity, lambda position: codes(order.at(position), width, alphabet))
    return Spread(capacity, _named_codes(heads, key, width, alphabet, least), ordered=True)


def _code_for(rows: int, least: int, most: int) -> tuple[str, int]:
    """Letters and length of the codes: letters where they are enough, digits too where they are not."""
    for alphabet in (LETTERS, ALPHANUMERIC):
        width = next((width for width in range(1, min(most, 10) + 1) if len(alphabet) ** width >= rows), None)
        if width is not None and (alphabet is ALPHANUMERIC or most < 8):
            return alphabet, max(width, min(least, 10), min(most, 3))
    return ALPHANUMERIC, min(most, 10)


def _heads(pool: Sequence[str], room: int) -> list[tuple[str, str]]:
    """What stands before and behind the code: a mail's name and its domain."""
    parts = [text.partition("@") for text in pool]
    return [
        (name, at + domain) for name, at, domain in parts if 0 < len(name) + len(at) + len(domain) <= room
    ]


def _named_codes(
    heads: Sequence[tuple[str, str]], key: Key, width: int, alphabet: str, least: int
) -> Callable[[Index], pa.Array]:
    # Texts that are too short are filled before the code, which stays what tells them apart.
    before = typed([head.ljust(least - width - 1 - len(tail), "x") for head, tail in heads], pa.string())
    behind = typed([tail for _, tail in heads], pa.string())
    chosen = Key.of(key.number, "name")

    def at(position: Index) -> pa.Array:
        which = chosen.below(len(before), position)
        written = codes(position, width, alphabet)
        named = pc.binary_join_element_wise(taken(before, which), written, "-")
        return pc.binary_join_element_wise(named, taken(behind, which), "")

    return at


def _of_matching(column: ColumnContract, rows: int, seed: int) -> Spread:
    where = where_of(column)
    texts = texts_matching(
        str(column.limits.pattern),
        min_length=column.min_length,
        max_length=column.max_length,
        count=min(rows, _PATTERN_TEXTS),
        seed=f"{seed}/{where}",
        where=where,
    )
    # Some databases take texts that differ in case, or in blanks at the end, for one.
    different = {text.casefold().rstrip(): text for text in reversed(texts)}
    pool = typed(list(different.values()), pa.string())
    made = len(pool)
    why = (
        f"at most {_PATTERN_TEXTS:,} texts of a pattern are made"
        if rows > _PATTERN_TEXTS <= len(texts)
        else f"{made:,} different texts of its pattern were found"
    )
    return Spread(made, lambda position: taken(pool, position), few=made < rows, why=why)


_BY_FAMILY: dict[str, Callable[[ColumnContract, int, Key, int], Spread]] = {
    "boolean": _of_booleans,
    "integer": _of_integers,
    "float": _of_floats,
    "decimal": _of_decimals,
    "binary": _of_binaries,
    "date": _of_moments,
    "time": _of_moments,
    "datetime": _of_moments,
    "interval": _of_moments,
    "uuid": _of_uuids,
    "json": _of_documents,
    "array": _of_documents,
}
