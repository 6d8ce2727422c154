"""Casts change no value and guess no meaning."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sqlmodel_framework.base.lake.casts import lossless_cast

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)
ZONED, LOCAL = pa.timestamp("us", "UTC"), pa.timestamp("us")

KEPT: list[tuple[pa.Array, pa.DataType, list[Any]]] = [
    (pa.array([1, None], pa.int64()), pa.int16(), [1, None]),
    (pa.array([1, None], pa.int32()), pa.decimal128(12, 2), [Decimal("1.00"), None]),
    (pa.array([0, 1, None], pa.int16()), pa.bool_(), [False, True, None]),
    (pa.array([True, None]), pa.int32(), [1, None]),
    (pa.array([2.0, None]), pa.int32(), [2, None]),
    (pa.array([0.99, None]), pa.decimal128(4, 2), [Decimal("0.99"), None]),
    (pa.array([Decimal("0.99"), None]), pa.float64(), [0.99, None]),
    (pa.array([Decimal("1.10"), None]), pa.decimal128(9, 1), [Decimal("1.1"), None]),
    (pa.array([1.5, float("inf"), None], pa.float32()), pa.float64(), [1.5, float("inf"), None]),
    (pa.array(["1.10", None]), pa.decimal128(5, 2), [Decimal("1.10"), None]),
    (pa.array(["7", None]), pa.int16(), [7, None]),
    (pa.array(["2024-02-29T12:00:00Z", None]), ZONED, [NOON, None]),
    (pa.array(["2024-02-29", None]), pa.date32(), [date(2024, 2, 29), None]),
    (pa.array([1, None]), pa.string(), ["1", None]),
    (pa.array(["x", None]).dictionary_encode(), pa.string(), ["x", None]),
    (pa.array(["x", None], pa.large_string()), pa.string(), ["x", None]),
    (pa.array([date(2024, 2, 29), None]), LOCAL, [datetime(2024, 2, 29), None]),  # noqa: DTZ001
    (pa.array([NAIVE, None], LOCAL), pa.timestamp("ns"), [NAIVE, None]),
    (pa.array([NOON, None], pa.timestamp("us", "Asia/Tokyo")), ZONED, [NOON, None]),
    (pa.array([datetime(2024, 2, 29), None], LOCAL), pa.date32(), [date(2024, 2, 29), None]),  # noqa: DTZ001
    (pa.array([[1, None], None, []]), pa.string(), ["[1,null]", None, "[]"]),
    (pa.array([{"a": "é"}, None]), pa.string(), ['{"a":"é"}', None]),
    (pa.nulls(2), ZONED, [None, None]),
    (pa.nulls(2), pa.int32(), [None, None]),
]


@pytest.mark.parametrize(("given", "wanted", "expected"), KEPT, ids=[f"{c[0].type} as {c[1]}" for c in KEPT])
def test_a_value_is_kept(given: pa.Array, wanted: pa.DataType, expected: list[Any]) -> None:
    cast = lossless_cast(given, wanted)
    assert cast.type == wanted
    assert cast.to_pylist() == expected


REFUSED: list[tuple[pa.Array, pa.DataType]] = [
    (pa.array([40_000]), pa.int16()),
    (pa.array([-1]), pa.uint32()),
    (pa.array([2**53 + 1]), pa.float64()),
    (pa.array([2]), pa.bool_()),
    (pa.array([2.5]), pa.int32()),
    (pa.array([0.987]), pa.decimal128(4, 2)),
    (pa.array([float("nan")]), pa.decimal128(4, 2)),
    (pa.array([Decimal("12345678901234567.89")]), pa.float64()),
    (pa.array([Decimal("1.11")]), pa.decimal128(9, 1)),
    (pa.array([Decimal("100.00")]), pa.decimal128(4, 2)),
    (pa.array(["1.111"]), pa.decimal128(5, 2)),
    (pa.array(["seven"]), pa.int16()),
    (pa.array(["NaN"]), pa.decimal128(5, 2)),
    (pa.array(["2024-02-29T12:00:00"]), ZONED),
    (pa.array(["2024-02-29T12:00:00Z"]), LOCAL),
    (pa.array(["2024-02-30"]), pa.date32()),
    (pa.array([NAIVE], LOCAL), ZONED),
    (pa.array([NOON], ZONED), LOCAL),
    (pa.array([NAIVE], LOCAL), pa.date32()),
    (pa.array([NAIVE], LOCAL), pa.time64("us")),
    (pa.array([date(2024, 2, 29)]), ZONED),
    (pa.array([1], pa.int64()).cast(pa.timestamp("ns")), LOCAL),
    (pa.array([1], pa.int64()), LOCAL),
    (pa.array([1], pa.int64()), pa.duration("us")),
    (pa.array([1], pa.int32()), pa.date32()),
    (pa.array([NAIVE], LOCAL), pa.int64()),
    (pa.array([time(1)], pa.time64("us")), LOCAL),
    (pa.array([b"\xff"]), pa.string()),
    (pa.array([[1]]), pa.int32()),
    (pa.array([True]), LOCAL),
]


@pytest.mark.parametrize(("given", "wanted"), REFUSED, ids=[f"{c[0].type} as {c[1]}" for c in REFUSED])
def test_a_value_that_would_change_is_refused(given: pa.Array, wanted: pa.DataType) -> None:
    for column in (given, pa.concat_arrays([pa.nulls(1, given.type), given])):
        with pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError)):
            lossless_cast(column, wanted)
