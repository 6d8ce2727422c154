"""What every connector must do, as tests to subclass; nothing else of the package imports pytest.

A connector's own tests hold one class, whose fixture makes tables in the source::

    class TestShopConnector(ConnectorConformance):
        @pytest.fixture
        def source(self) -> Iterator[TestedSource]:
            ...

What the source cannot keep, the subclass says: `given` by type, `names` by name. Everything else must hold.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from time import monotonic, sleep
from typing import Any, Protocol

import pyarrow as pa
import pytest

from sqlmodel_framework.base.connectors.base import Connector
from sqlmodel_framework.base.errors import DatakitError, ExtractionError

__all__ = ["ConnectorConformance", "TestedSource"]

_CANARY = "canary-91bc"
_ROWS = 50_000
# A name of Arrow's types, and values at the limits; a NULL is added to each.
_VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False]),
    "int16": (pa.int16(), [-(2**15), 0, 2**15 - 1]),
    "int32": (pa.int32(), [-(2**31), 0, 2**31 - 1]),
    "int64": (pa.int64(), [-(2**63), 0, 2**63 - 1]),
    "float64": (pa.float64(), [0.1, -1.7976931348623157e308, 5e-324]),
    "decimal": (pa.decimal128(12, 2), [Decimal("-9999999999.99"), Decimal("0.10")]),
    "text": (pa.string(), ["", " a ", "a 'b' \"c\"", "line\nline\r\n", "ünïcode 漢字 🎉", "\\N", "NULL", ",;\t"]),
    "binary": (pa.binary(), [b"", b"\x00\xff\n", bytes(range(256))]),
    "date": (pa.date32(), [date(1, 1, 1), date(1970, 1, 1), date(9999, 12, 31)]),
    "timestamp": (pa.timestamp("us"), [datetime(2024, 2, 29, 12, 0, 0, 100001)]),  # noqa: DTZ001 - none is meant
    "timestamp_utc": (pa.timestamp("us", tz="UTC"), [datetime(2024, 3, 31, 0, 30, 0, 1, tzinfo=UTC)]),
}  # fmt: skip
_NAMES = [
    'quote"d',
    "quote'd",
    "per%cent %s",
    "semi;colon -- x",
    "Upper Case",
    "ünïcode",
    "a.b",
    "{braces}",
    "select",
]


class TestedSource(Protocol):
    """A source that the tests may write to, and its connector."""

    connector: Connector

    def create(self, table: str, rows: pa.Table, primary_key: Sequence[str] = ()) -> None:
        """Make a table of these rows, in their order; its columns have no other constraints."""

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table, visible to whoever begins to read now."""

    def busy(self) -> bool:
        """Whether the connector still holds or does anything at the source, such as a connection."""


class ConnectorConformance:
    """Subclass it, and give it the fixture `source`."""

    names: Sequence[str] = tuple(_NAMES)
    """Names of tables and columns that the source can have."""

    @pytest.fixture
    def source(self) -> TestedSource:
        """The source, empty, new for each test."""
        raise NotImplementedError("a subclass of ConnectorConformance has the fixture `source`")

    def given(self, kind: pa.DataType) -> pa.DataType | None:
        """The Arrow type that columns of a type come back as; None where the source cannot hold all their values."""
        return kind

    def test_it_has_every_method(self, source: TestedSource) -> None:
        for name, method in inspect.getmembers(Connector, inspect.isfunction):
            if name.startswith("_"):
                continue
            ours = inspect.signature(getattr(type(source.connector), name)).parameters
            assert set(inspect.signature(method).parameters) <= set(ours), name
        assert source.connector.host is None or source.connector.host

    def test_tables_are_listed_and_sorted(self, source: TestedSource) -> None:
        for name in ("beta", "alpha", "gamma"):
            source.create(name, numbers(1))
        assert source.connector.get_tables() == ["alpha", "beta", "gamma"]

    @pytest.mark.parametrize("kind", _VALUES)
    def test_values_stay_what_they_are(self, source: TestedSource, kind: str) -> None:
        arrow, values = _VALUES[kind]
        given = self.given(arrow)
        rows = pa.table({"id": range(len(values) + 1), "v": pa.array([*values, None], arrow)})
        source.create("t", rows)
        if given is None:
            return
        read = pa.Table.from_batches(source.connector.extract("t", columns=["id", "v"])).sort_by("id")
        assert read.schema.field("v").type == given
        assert read.column("v").combine_chunks() == rows.column("v").cast(given).combine_chunks()

    def test_all_batches_have_the_schema_that_was_told(self, source: TestedSource) -> None:
        source.create("t", numbers(_ROWS))
        schema = source.connector.schema("t")
        assert schema.names == ["id", "word"]
        assert source.connector.describe("t").schema == schema
        assert {batch.schema for batch in source.connector.extract("t")} == {schema}

    def test_a_table_without_rows_has_a_batch_and_types(self, source: TestedSource) -> None:
        source.create("t", numbers(0))
        batches = list(source.connector.extract("t"))
        assert [batch.num_rows for batch in batches] == [0]
        assert batches[0].schema == source.connector.schema("t")
        assert source.connector.count("t") == 0
        assert list(source.connector.read_dataframe("t").columns) == ["id", "word"]

    def test_every_row_comes_once_in_batches_of_the_size_asked_for(self, source: TestedSource) -> None:
        source.create("t", numbers(_ROWS))
        batches = list(source.connector.extract("t", batch_size=1000))
        assert max(batch.num_rows for batch in batches) <= 1000
        assert ids(batches) == list(range(_ROWS))
        assert source.connector.count("t") == _ROWS

    def test_columns_come_in_the_order_asked_for(self, source: TestedSource) -> None:
        source.create("t", numbers(3))
        (batch,) = source.connector.extract("t", columns=["word", "id"])
        assert batch.schema.names == ["word", "id"]
        (batch,) = source.connector.extract("t", columns=["word"])
        assert batch.schema.names == ["word"]

    def test_a_column_that_is_not_there_is_refused(self, source: TestedSource) -> None:
        source.create("t", numbers(3))
        with pytest.raises(ExtractionError) as caught:
            list(source.connector.extract("t", columns=["id", "nothing"]))
        assert (caught.value.what, caught.value.seen) == ("unknown column", "nothing")
        assert "id, word" in str(caught.value.expected)
        assert "t" in str(caught.value.where)

    def test_a_table_that_is_not_there_is_refused(self, source: TestedSource) -> None:
        for call in (source.connector.schema, source.connector.describe, source.connector.count):
            with pytest.raises(ExtractionError) as caught:
                call("nothing")
            assert "nothing" in str(caught.value)
        with pytest.raises(ExtractionError, match="nothing"):
            list(source.connector.extract("nothing"))

    def test_the_primary_key_is_told(self, source: TestedSource) -> None:
        rows = pa.table({"v": ["x", "y"], "b": [1, 2], "a": [1, 1]})
        source.create("t", rows, primary_key=["b", "a"])
        source.create("free", rows)
        assert source.connector.describe("t").primary_key == ("b", "a")
        assert source.connector.describe("free").primary_key == ()
        assert source.connector.describe("t").table == "t"

    def test_a_name_is_only_a_name(self, source: TestedSource) -> None:
        for name in self.names:
            source.create(name, pa.table({name: [1, 2]}))
        assert source.connector.get_tables() == sorted(self.names)
        for name in self.names:
            (batch,) = source.connector.extract(name, columns=[name])
            assert batch.to_pydict() == {name: [1, 2]}
            assert source.connector.count(name) == 2

    def test_a_dataframe_keeps_whole_numbers_beside_nulls(self, source: TestedSource) -> None:
        values = [2**53 + 1, None]
        source.create("t", pa.table({"v": pa.array(values, pa.int64())}))
        column = source.connector.read_dataframe("t")["v"]
        assert int(column[0]) == values[0]
        assert column.isna().tolist() == [False, True]

    def test_all_rows_are_of_one_moment(self, source: TestedSource) -> None:
        source.create("t", numbers(_ROWS))
        with closing(source.connector.extract("t", batch_size=100)) as batches:
            first = next(batches)
            source.append("t", numbers(10))
            assert ids([first, *batches]) == list(range(_ROWS))

    def test_a_consumer_that_stops_early_leaves_nothing(self, source: TestedSource) -> None:
        source.create("t", numbers(_ROWS))
        before = set(threading.enumerate())
        batches = source.connector.extract("t", batch_size=100)
        next(batches)
        batches.close()
        assert _comes_about(lambda: not source.busy() and set(threading.enumerate()) <= before)

    def test_a_consumer_that_fails_leaves_nothing(self, source: TestedSource) -> None:
        source.create("t", numbers(_ROWS))
        before = set(threading.enumerate())
        batches = source.connector.extract("t", batch_size=100)
        next(batches)
        with pytest.raises(ZeroDivisionError):
            batches.throw(ZeroDivisionError())
        assert _comes_about(lambda: not source.busy() and set(threading.enumerate()) <= before)

    def test_a_reading_to_the_end_leaves_nothing(self, source: TestedSource) -> None:
        source.create("t", numbers(10))
        before = set(threading.enumerate())
        assert ids(source.connector.extract("t")) == list(range(10))
        assert _comes_about(lambda: not source.busy() and set(threading.enumerate()) <= before)

    def test_threads_share_a_connector(self, source: TestedSource) -> None:
        held = {f"t{number}": list(range(1000 * number, 1000 * number + 900)) for number in range(4)}
        for table, values in held.items():
            source.create(table, pa.table({"id": pa.array(values, pa.int64())}))
        asked = list(held) * 4
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda table: ids(source.connector.extract(table, batch_size=100)), asked))
        assert found == [held[table] for table in asked]

    def test_two_readings_do_not_mix(self, source: TestedSource) -> None:
        source.create("t", numbers(_ROWS))
        with (
            closing(source.connector.extract("t", batch_size=100)) as one,
            closing(source.connector.extract("t", batch_size=100)) as other,
        ):
            first, second = next(one), next(other)
            assert ids([first, *one]) == ids([second, *other]) == list(range(_ROWS))

    def test_errors_show_no_values(self, source: TestedSource) -> None:
        source.create("t", pa.table({"id": [0], "word": [_CANARY]}))
        with pytest.raises(DatakitError) as caught:
            list(source.connector.extract("t", columns=["id", "nothing"]))
        assert _CANARY not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
        assert _CANARY not in repr(source.connector)


def numbers(rows: int) -> pa.Table:
    """A table of `id`, from 0, and `word`, some of which are NULL."""
    words = [None if number % 7 == 0 else f"word {number}" for number in range(rows)]
    return pa.table({"id": pa.array(range(rows), pa.int64()), "word": pa.array(words, pa.string())})


def ids(batches: Any) -> list[int]:
    """The values of `id`, sorted."""
    return sorted(value for batch in batches for value in batch.column("id").to_pylist())


def _comes_about(condition: Any) -> bool:
    """Whether a condition is met soon: a server notices the end of a connection a moment later."""
    deadline = monotonic() + 30
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(0.02)
    return True
