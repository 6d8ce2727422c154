"""DataFrames become Arrow tables without loss, or are refused by column."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sqlmodel_framework import ConfigurationError
from sqlmodel_framework.base.lake.frames import table_of

INDIA = timezone(timedelta(hours=5, minutes=30))
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)

# Values of a column of objects, its Arrow type, the values it holds (None: those given).
TAKEN: list[tuple[str, list[Any], pa.DataType, list[Any] | None]] = [
    ("integers", [1, None, 2**62], pa.int64(), None),
    ("booleans", [True, None], pa.bool_(), None),
    ("texts", ["", None, "é"], pa.string(), None),
    ("decimals", [Decimal("1.10"), None, Decimal("-0.001")], pa.decimal128(4, 3), None),
    ("decimals and integers", [Decimal("1.5"), 2], pa.decimal128(2, 1), None),
    ("integers and floats", [1, 2.5], pa.float64(), None),
    ("bytes", [b"", None, b"\x00"], pa.binary(), None),
    ("memory views, as psycopg2 gives bytea", [memoryview(b"\x00a"), None], pa.binary(), [b"\x00a", None]),
    ("dates", [date(2024, 2, 29), None], pa.date32(), None),
    ("times", [time(1, 2, 3, 4), None], pa.time64("us"), None),
    ("durations", [timedelta(microseconds=-1), None], pa.duration("us"), None),
    ("naive datetimes", [NAIVE, None, pd.NaT], pa.timestamp("us"), [NAIVE, None, None]),
    ("aware datetimes", [NOON, None], pa.timestamp("us", "UTC"), None),
    ("other zones", [NOON, NOON.astimezone(INDIA)], pa.timestamp("us", "UTC"), [NOON, NOON]),
    ("lists", [[1, None], None, []], pa.list_(pa.int64()), None),
    ("arrays", [np.array([1, 2]), None], pa.list_(pa.int64()), [[1, 2], None]),
    ("nothing", [None, None], pa.null(), None),
    ("missing values", ["x", float("nan"), pd.NA], pa.string(), ["x", None, None]),
]


@pytest.mark.parametrize(("name", "given", "kind", "held"), TAKEN, ids=[case[0] for case in TAKEN])
def test_objects_keep_their_values(
    name: str, given: list[Any], kind: pa.DataType, held: list[Any] | None
) -> None:
    table = table_of(pd.DataFrame({name: pd.Series(given, dtype=object)}))
    assert table.schema.field(name).type == kind
    assert table[name].to_pylist() == (given if held is None else held)


# Values, and what the message says was seen.
REFUSED: list[tuple[str, list[Any], str]] = [
    ("integer and text", [1, "secret"], "int, str"),
    ("boolean and integer", [True, 2], "bool, int"),
    ("text and bytes", ["secret", b"secret"], "bytes, str"),
    ("decimal and float", [Decimal("1.5"), 2.5], "Decimal, float"),
    ("date and datetime", [date(2024, 1, 1), NAIVE], "date, datetime"),
    ("with and without zone", [NOON, NAIVE], "datetime with time zone, datetime without"),
    ("lists of different things", [[1], ["secret"]], "list"),
    ("dict and text", [{"a": 1}, "secret"], "dict, str"),
    ("dict with NaN", [{"a": float("nan")}], "a number that JSON does not have"),
    ("integer of more than 64 bits", [2**64], "int"),
    ("inexact integer", [2**60 + 1, 0.5], "float, int"),
    ("decimal of too many digits", [Decimal("1e70"), Decimal("1e-20")], "Decimal"),
    ("text that is no UTF-8", ["\ud800secret"], "str"),
    ("an object", [object()], "object"),
    ("a complex number", [1j], "complex"),
]


@pytest.mark.parametrize(("name", "values", "seen"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_arrow_would_bend_is_refused_by_name(name: str, values: list[Any], seen: str) -> None:
    frame = pd.DataFrame({"good": range(len(values)), name: pd.Series(values, dtype=object)})
    with pytest.raises(ConfigurationError) as caught:
        table_of(frame)
    assert str(caught.value) == (
        f"a column of the DataFrame has no single Arrow type (column {name}); seen: {seen};"
        " next: give the column one type"
    )
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_dicts_are_json_as_they_are() -> None:
    values = [{"b": 1, "a": None}, None, [{"x": "é"}, 2], {"when": NOON, "much": Decimal("1.10")}]
    table = table_of(pd.DataFrame({"v": pd.Series(values, index=[7, 7, 7, 8], dtype=object)}))
    assert table["v"].to_pylist() == [
        '{"b": 1, "a": null}',
        None,
        '[{"x": "é"}, 2]',
        '{"when": "2024-02-29 12:00:00+00:00", "much": "1.10"}',
    ]


def test_the_frame_given_is_not_changed() -> None:
    frame = pd.DataFrame({"v": [{"a": 1}, None]}, index=[3, 4])
    before = frame.copy()
    table_of(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_pandas_own_types() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], "Int64"),
            "float": [1.5, np.nan],
            "infinite": [np.inf, -0.0],
            "category": pd.Categorical(["x", None]),
            "berlin": pd.DatetimeIndex(["2024-01-01 01:00", pd.NaT], tz="Europe/Berlin"),
            "arrow": pd.Series([1, None], dtype=pd.ArrowDtype(pa.int32()), index=[9, 9]),
        },
        index=pd.Index([9, 9], name="left out"),
    )
    table = table_of(frame)
    assert table.column_names == list(frame.columns)
    assert str(table.schema.field("berlin").type) in (
        "timestamp[us, tz=Europe/Berlin]",
        "timestamp[ns, tz=Europe/Berlin]",
    )
    assert table.drop(["berlin"]).to_pylist() == [
        {"whole": 1, "float": 1.5, "infinite": np.inf, "category": "x", "arrow": 1},
        {"whole": None, "float": None, "infinite": 0.0, "category": None, "arrow": None},
    ]
    assert table["berlin"].cast(pa.timestamp("us", "UTC")).to_pylist() == [
        datetime(2024, 1, 1, tzinfo=UTC),
        None,
    ]


def test_an_empty_frame_keeps_its_types() -> None:
    frame = pd.DataFrame({"a": pd.Series([], dtype="int32"), "b": pd.Series([], dtype="datetime64[us, UTC]")})
    table = table_of(frame)
    assert table.schema.remove_metadata() == pa.schema([("a", pa.int32()), ("b", pa.timestamp("us", "UTC"))])
    assert table.num_rows == 0


@pytest.mark.parametrize("names", [["a", "a"], [1, "1"]])
def test_columns_of_one_name_are_refused(names: list[Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        table_of(pd.DataFrame([[1, 2]], columns=names))
    assert str(caught.value) == (
        f"the DataFrame has columns of the same name; seen: {names[0]}; next: give each column a name of its own"
    )
