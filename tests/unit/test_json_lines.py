"""JSON lines hold every value in its documented form."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmodel_framework.base.lake.json_lines import json_lines

TEXT = st.text(st.characters(codec="utf-8"))


def number(value: float) -> Any:
    return value if math.isfinite(value) else str(value)


def moment(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds(value: timedelta) -> str:
    microseconds = abs(value) // timedelta(microseconds=1)
    sign = "-" if value < timedelta(0) else ""
    return f"{sign}PT{microseconds // 10**6}.{microseconds % 10**6:06}S"


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kind:
    """An Arrow type, the values to try, and what the documentation says a value becomes."""

    type: pa.DataType
    values: st.SearchStrategy[Any]
    form: Callable[[Any], Any] = same


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**precision - 1
    exact = Context(prec=precision)
    return st.integers(-limit, limit).map(lambda digits: Decimal(digits).scaleb(-scale, exact))


KINDS = [
    Kind(pa.bool_(), st.booleans()),
    Kind(pa.int8(), st.integers(-128, 127)),
    Kind(pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    Kind(pa.uint64(), st.integers(0, 2**64 - 1)),
    Kind(pa.float64(), st.floats(), number),
    Kind(pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    Kind(pa.decimal128(38, 10), decimals(38, 10), str),
    Kind(pa.decimal128(20, 0), decimals(20, 0), str),
    Kind(pa.decimal256(60, 30), decimals(60, 30), str),
    Kind(pa.date32(), st.dates(), date.isoformat),
    Kind(pa.time64("us"), st.times(), lambda value: value.isoformat("microseconds")),
    Kind(pa.timestamp("us"), st.datetimes(), moment),
    Kind(pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC)), moment),
    Kind(pa.timestamp("us", "Asia/Tokyo"), st.datetimes(timezones=st.just(UTC)), moment),
    Kind(pa.duration("us"), st.timedeltas(timedelta(-(10**8)), timedelta(10**8)), seconds),
    Kind(pa.string(), TEXT),
    Kind(pa.large_string(), TEXT),
    Kind(pa.string(), st.text('"\\\n\r\t\x00\x1f\x7f\u2028aé漢🎉')),
    Kind(pa.binary(), st.binary(), encoded),
    Kind(pa.large_binary(), st.binary(), encoded),
    Kind(pa.binary(2), st.binary(min_size=2, max_size=2), encoded),
    Kind(pa.null(), st.none()),
]


def nested(kind: Kind) -> list[Kind]:
    """Lists and structs of a kind, with nulls at each level."""
    values = st.none() | kind.values
    form = nullable(kind.form)
    struct = pa.struct([("a", kind.type), ('"b"', pa.list_(kind.type))])
    return [
        Kind(pa.list_(kind.type), st.lists(values, max_size=3), lambda items: [form(item) for item in items]),
        Kind(
            pa.list_(kind.type, 2),
            st.lists(values, min_size=2, max_size=2),
            lambda items: [form(item) for item in items],
        ),
        Kind(
            struct,
            st.fixed_dictionaries({"a": values, '"b"': st.none() | st.lists(values, max_size=2)}),
            lambda item: {
                "a": form(item["a"]),
                '"b"': None if item['"b"'] is None else [form(part) for part in item['"b"']],
            },
        ),
    ]


def nullable(form: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else form(value)


ALL_KINDS = [*KINDS, *(inner for kind in KINDS for inner in nested(kind))]


def parsed(batch: pa.RecordBatch) -> list[Any]:
    written = json_lines(batch)
    assert written == b"" or written.endswith(b"\n")
    return [json.loads(line, parse_constant=refuse_constant) for line in written.decode().split("\n")[:-1]]


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: str(kind.type))
@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_a_value_becomes_its_documented_form(kind: Kind, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | kind.values, max_size=6))
    skipped = data.draw(st.integers(0, len(values)))
    batch = pa.RecordBatch.from_arrays([pa.array(values, kind.type)], names=["v"]).slice(skipped)
    form = nullable(kind.form)
    assert parsed(batch) == [{"v": form(value)} for value in values[skipped:]]


def test_values_that_compare_equal_are_written_apart() -> None:
    batch = pa.RecordBatch.from_pydict({"a": [True, False], "b": [1, 0], "c": [-0.0, 0.0], "d": ["1", ""]})
    assert json_lines(batch) == b'{"a":true,"b":1,"c":-0,"d":"1"}\n{"a":false,"b":0,"c":0,"d":""}\n'


def test_values_of_other_types() -> None:
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(["x", None, "x"]).dictionary_encode(),
            pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
            pa.array([UUID(int=5).bytes, None, UUID(int=6).bytes], pa.uuid()),
            pa.array([-1, None, 5], pa.int64()).cast(pa.duration("ns")),
            pa.array([1.5, None, 2], pa.float16()),
            pa.array([{}, None, {}], pa.struct([])),
        ],
        names=["a", "b", "c", "d", "e", "f"],
    )
    uuids = ["00000000-0000-0000-0000-000000000005", "00000000-0000-0000-0000-000000000006"]
    assert parsed(batch) == [
        {"a": "x", "b": [{"key": "k", "value": 1}], "c": uuids[0], "d": "-PT0.000000001S", "e": 1.5, "f": {}},
        dict.fromkeys("abcdef"),
        {"a": "x", "b": [], "c": uuids[1], "d": "PT0.000000005S", "e": 2, "f": {}},
    ]


@given(names=st.lists(TEXT, min_size=1, max_size=5, unique=True))
@settings(deadline=None, database=None)
def test_a_column_may_have_any_name(names: list[str]) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2])] * len(names), names=names)
    assert parsed(batch) == [dict.fromkeys(names, 1), dict.fromkeys(names, 2)]


def test_no_rows_and_no_columns() -> None:
    assert json_lines(pa.RecordBatch.from_pydict({"a": pa.array([], pa.int32())})) == b""
    assert json_lines(pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))) == b"{}\n{}\n"
