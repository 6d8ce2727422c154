"""Values of one column, as realistic as its name and type let them be and always within its limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import ARRAY

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.base.models.families import family_of, plain_type
from sqlmodel_framework.utils.generation.arrays import (
    ALPHANUMERIC,
    LETTERS,
    codes,
    integers,
    typed,
    uuids,
)
from sqlmodel_framework.utils.generation.draws import Draw, draw_from, no_value, where_of
from sqlmodel_framework.utils.generation.hashing import Index, Key
from sqlmodel_framework.utils.generation.moments import MomentRange, converted, moments_of
from sqlmodel_framework.utils.generation.numbers import draw_decimal, draw_float, draw_integer, tax_rates
from sqlmodel_framework.utils.generation.texts import text_pool, words_of

__all__ = ["draw_later", "draw_of", "text_lengths"]

_LONGEST_DAYS = 60


def draw_of(column: ColumnContract, key: Key, seed: int, annotation: Any = None) -> Draw:
    """The values of a column. `annotation` is its field's, which says what a JSON document is.

    Raises RowsNotGeneratedError where limits leave no value, or a type is in no family.
    """
    if column.family is None:
        raise RowsNotGeneratedError(
            "values of this type cannot be generated",
            where=where_of(column),
            seen=repr(column.column.type),
            next_step="give the column a type of SQLAlchemy, or make the rows yourself",
        )
    if column.choices is not None:
        return draw_from(_choices(column), key)
    if column.family in ("integer", "decimal", "float") and (rates := tax_rates(column, key)):
        return rates
    make = _BY_FAMILY[column.family]
    return make(column, key, seed, annotation)


def _choices(column: ColumnContract) -> pa.Array:
    assert column.choices is not None
    fitting = [
        c
        for c in column.choices
        if not isinstance(c, str) or column.max_length is None or len(c) <= column.max_length
    ]
    if not fitting:
        raise no_value(column, "none of the choices fits")
    return typed(fitting, column.arrow_type)


def _boolean(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    most_true = re.search(r"active|enabled|valid|visible|available|current", words_of(column.name))
    share = 0.85 if most_true else 0.4
    return lambda index, attempt: pa.array(key.shares(index, attempt) < share)


# texts and the like


def text_lengths(column: ColumnContract) -> tuple[int, int]:
    """The least and the greatest length of a code. Raises RowsNotGeneratedError for none between."""
    least = column.min_length or 0
    most = max(least, 8) if column.max_length is None else column.max_length
    if least > most:
        raise no_value(column, f"{least} to {most} characters")
    return least, most


def _text(column: ColumnContract, key: Key, seed: int, _: Any) -> Draw:
    least, most = text_lengths(column)
    pool = text_pool(column, seed, where_of(column))
    if pool is not None:
        return draw_from(typed(pool, pa.string()), key)
    width = max(least, min(most, 8))
    alphabet = LETTERS if width < 4 else ALPHANUMERIC
    size = len(alphabet) ** min(width, 11)
    return lambda index, attempt: codes(key.below(size, index, attempt), width, alphabet)


def _binary(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    least, most = column.min_length or 0, 16 if column.max_length is None else column.max_length
    if least > most:
        raise no_value(column, f"{least} to {most} bytes")
    length = max(least, min(most, 16))
    pool = [
        Key.of(key.number, number).number.to_bytes(8, "big") * (length // 8 + 1) for number in range(1_000)
    ]
    return draw_from(typed([value[:length] for value in pool], pa.binary()), key)


def _moment(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    moments = _moments(column)
    kind = column.arrow_type
    return lambda index, attempt: integers(moments.at(key.below(moments.count, index, attempt)), kind)


def draw_later(column: ColumnContract, key: Key, earlier: ColumnContract, earlier_key: Key) -> Draw:
    """Moments after those of another column of the same row, as far as the limits of this one let them."""
    before, kind = _moments(earlier), column.arrow_type
    allowed = moments_of(column, whole=True)
    last = allowed.start + (allowed.count - 1) * allowed.step
    longest = _LONGEST_DAYS if column.family == "date" else _LONGEST_DAYS * 86_400

    def draw(index: Index, attempt: int) -> pa.Array:
        start = converted(before.at(earlier_key.below(before.count, index, attempt)), earlier, column)
        gap = (1 + (key.shares(index, attempt) ** 2 * longest).astype(np.int64)) * allowed.step
        return integers(np.clip(start + gap, allowed.start, last), kind)

    return draw


def _moments(column: ColumnContract) -> MomentRange:
    moments = moments_of(column)
    if moments.count < 1:
        raise no_value(column, f"from {column.minimum} to {column.maximum}")
    return moments


def _uuid(_: ColumnContract, key: Key, __: int, ___: Any) -> Draw:
    return lambda index, attempt: uuids(
        key.bits(index, attempt), Key.of(key.number, "low").bits(index, attempt)
    )


# documents

_TAGS = ("new", "sale", "classic", "limited", "popular", "digital", "outdoor", "premium")


def _json(column: ColumnContract, key: Key, _: int, annotation: Any) -> Draw:
    text = str(annotation)
    documents: list[Any] = [
        {"tags": [_TAGS[n % 8]], "score": n, "source": {"verified": n % 3 == 0, "note": None}}
        for n in range(200)
    ]
    if "list" in text or "List" in text:
        numbers = "int" in text or "float" in text
        documents = [
            [*range(n % 5)] if numbers else [_TAGS[(n + k) % 8] for k in range(n % 4)] for n in range(200)
        ]
    return draw_from(typed([json.dumps(document) for document in documents], pa.string()), key)


_ELEMENTS: dict[str, Callable[[int], Any]] = {
    "integer": lambda n: n,
    "float": lambda n: n / 2,
    "decimal": lambda n: n / 2,
    "boolean": lambda n: n % 2 == 0,
    "text": lambda n: _TAGS[n % 8],
}


def _array(column: ColumnContract, key: Key, _: int, __: Any) -> Draw:
    assert isinstance(column.sql_type, ARRAY)
    item = plain_type(column.sql_type.item_type)
    family = family_of(item) or ""
    make = _ELEMENTS.get(family)
    length = getattr(item, "length", None)
    lists: list[Any] = [[] if make is None else [make(n + k) for k in range(n % 4)] for n in range(200)]
    if family == "text" and length is not None:
        lists = [[text[:length] for text in values] for values in lists]
    for _dimension in range((column.sql_type.dimensions or 1) - 1):
        lists = [[values] if values else [] for values in lists]
    return draw_from(typed([json.dumps(values) for values in lists], pa.string()), key)


_BY_FAMILY: dict[str, Callable[[ColumnContract, Key, int, Any], Draw]] = {
    "boolean": _boolean,
    "integer": draw_integer,
    "float": draw_float,
    "decimal": draw_decimal,
    "text": _text,
    "enum": _text,
    "binary": _binary,
    "date": _moment,
    "time": _moment,
    "datetime": _moment,
    "interval": _moment,
    "uuid": _uuid,
    "json": _json,
    "array": _array,
}
