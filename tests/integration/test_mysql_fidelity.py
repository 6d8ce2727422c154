"""Every type of MySQL at its edges: the values that a reading by lines gives are the driver's own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlmodel_framework import ExtractionError, TargetConfig, create_engine_for_target
from sqlmodel_framework.base.connectors.mysql import MySQLConfig, MySQLConnector

pytestmark = pytest.mark.mysql


@dataclass(frozen=True)
class Case:
    """Values of a type, the Arrow type that they come as, and what makes the driver's value Arrow's.

    `lost` are values that the Arrow type cannot hold. `only` is the product that knows the type, None both.
    """

    declared: str
    arrow: pa.DataType
    values: Sequence[Any]
    lost: Sequence[Any] = ()
    read: Callable[[Any], Any] | None = None
    only: str | None = None


def as_number(bits: bytes) -> int:
    return int.from_bytes(bits, "big")


def as_single(value: float) -> float:
    (found,) = struct.unpack("f", struct.pack("f", value))
    return float(found)


def as_time(value: timedelta) -> time:
    seconds, micros = divmod(value // timedelta(microseconds=1), 1_000_000)
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, micros)


CASES = [
    Case("boolean", pa.int8(), [0, 1, 127, -128]),
    Case("tinyint unsigned", pa.uint8(), [0, 255]),
    Case("smallint", pa.int16(), [-(2**15), 2**15 - 1]),
    Case("smallint unsigned", pa.uint16(), [0, 2**16 - 1]),
    Case("mediumint", pa.int32(), [-(2**23), 2**23 - 1]),
    Case("mediumint unsigned", pa.uint32(), [0, 2**24 - 1]),
    Case("int", pa.int32(), [-(2**31), 2**31 - 1]),
    Case("int unsigned", pa.uint32(), [0, 2**32 - 1]),
    Case("int(8) zerofill", pa.uint32(), [42]),
    Case("bigint", pa.int64(), [-(2**63), 2**63 - 1]),
    Case("bigint unsigned", pa.uint64(), [0, 2**64 - 1]),
    # 23 characters, one more than the server takes a double for.
    Case("double", pa.float64(), [0.1 + 0.2, 5e-324, -2.2250738585072014e-308, -1.7976931348623157e308, 1 / 3, -0.0]),
    Case("decimal(5,2)", pa.decimal128(5, 2), [Decimal("-999.99"), Decimal("0.10")]),
    Case("decimal(5,2) unsigned", pa.decimal128(5, 2), [Decimal("999.99")]),
    Case("decimal(10,0)", pa.decimal128(10, 0), [Decimal(-5)]),
    Case("decimal(5,5)", pa.decimal128(5, 5), [Decimal("-0.00001")]),
    Case("decimal(38,10)", pa.decimal128(38, 10), [Decimal("-9999999999999999999999999999.9999999999")]),
    Case("decimal(65,30)", pa.decimal256(65, 30), [Decimal("-" + "9" * 35 + "." + "9" * 30)]),
    Case("date", pa.date32(), [date(1000, 1, 1), date(9999, 12, 31)], ["0000-00-00", "2020-00-00", "2020-02-00", "2021-02-29"]),
    Case("datetime(6)", pa.timestamp("us"), ["9999-12-31 23:59:59.999999", "1000-01-01 00:00:00"], ["0000-00-00"]),
    Case("datetime", pa.timestamp("us"), ["2020-02-29 01:02:03"]),
    Case(
        "timestamp(3) null",
        pa.timestamp("us", "UTC"),
        ["2038-01-19 03:14:07.999", "1970-01-01 00:00:01"],
        ["0000-00-00"],
        read=lambda value: value.replace(tzinfo=ZoneInfo("UTC")),
    ),
    Case("time(6)", pa.time64("us"), ["23:59:59.999999", "00:00:00"], ["24:00:00", "-00:00:01", "838:59:59"], as_time),
    Case("year", pa.int16(), [1901, 2155, 0]),
    Case("bit(1)", pa.bool_(), [b"\0", b"\1"], read=lambda bits: bool(as_number(bits))),
    Case("bit(5)", pa.uint64(), [b"\x1f"], read=as_number),
    Case("bit(64)", pa.uint64(), [b"\xff" * 8], read=as_number),
    Case("char(5)", pa.string(), ["", "a b", "漢字🎉"]),
    Case("varchar(20) character set latin1", pa.string(), ['ü"x', "€"]),
    Case("varchar(20) character set utf16", pa.string(), ["漢字🎉"]),
    Case("longtext", pa.string(), ["", " a ", 'a\nb\r\n,\0"\\N\t', "NULL", "x" * 100_000]),
    Case("binary(3)", pa.binary(), [b"a"]),
    Case("varbinary(5)", pa.binary(), [b"", b"\0\xff\n"]),
    Case("longblob", pa.binary(), [bytes(range(256))]),
    Case("enum('a','b,c','')", pa.string(), ["b,c", "", "not one of them"]),
    Case("set('x','y')", pa.string(), ["", "x,y"]),
    Case("json", pa.string(), ['{"a": "ü\\n"}', "null"]),
    Case("inet6", pa.string(), ["::1"], only="MariaDB"),
    Case("uuid", pa.string(), ["123e4567-e89b-12d3-a456-426655440000"], only="MariaDB"),
]  # fmt: skip


class Table:
    """One table of a numbered column and the column `v`, written by the driver under no mode that corrects values."""

    def __init__(self, target: TargetConfig) -> None:
        self.sql = create_engine_for_target(target)
        self.connector = MySQLConnector(MySQLConfig.from_target(target))

    def make(self, declared: str, values: Sequence[Any], key: str = "PRIMARY KEY AUTO_INCREMENT") -> None:
        unkeyed = key or "DEFAULT 0"
        with closing(self.connector.get_connection()) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
            cursor.execute("DROP TABLE IF EXISTS t")
            cursor.execute(f"CREATE TABLE t (id INT {unkeyed}, v {declared}) CHARACTER SET utf8mb4")
            cursor.executemany("INSERT INTO t (v) VALUES (%s)", [(value,) for value in values])
            connection.commit()

    def own(self) -> list[Any]:
        with closing(self.connector.get_connection()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT v FROM t ORDER BY id")
            return [value for (value,) in cursor.fetchall()]

    def read(self, **options: Any) -> pa.ChunkedArray:
        return pa.Table.from_batches(self.connector.extract("t", columns=["v"], **options)).column("v")


@pytest.fixture
def table(mysql_database: TargetConfig) -> Table:
    return Table(mysql_database)


@pytest.mark.parametrize("key", ["PRIMARY KEY AUTO_INCREMENT", ""], ids=["grouped", "by line"])
@pytest.mark.parametrize("case", CASES, ids=[case.declared for case in CASES])
def test_every_value_is_the_driver_s_own(table: Table, case: Case, key: str) -> None:
    if case.only == "MariaDB" and "MariaDB" not in version_of(table):
        pytest.skip("a type of MariaDB")
    table.make(case.declared, [*case.values, None], key)
    own = [value if value is None or case.read is None else case.read(value) for value in table.own()]
    found = table.read()
    assert found.type == case.arrow
    assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, own))


@pytest.mark.parametrize("case", [case for case in CASES if case.lost], ids=lambda case: case.declared)
def test_what_has_no_place_follows_the_policy(table: Table, case: Case) -> None:
    for lost in case.lost:
        table.make(case.declared, [case.values[0], lost, None])
        with pytest.raises(ExtractionError, match="column v"):
            table.read()
        assert table.read(on_unrepresentable="null").null_count == 2
        texts = table.read(on_unrepresentable="string").to_pylist()
        assert str(texts[1]).startswith(str(lost)), texts
        rejected: list[pa.RecordBatch] = []
        assert len(table.read(on_unrepresentable="reject", on_reject=rejected.append)) == 2
        assert [row["reject_columns"] for batch in rejected for row in batch.to_pylist()] == [["v"]]


def test_a_float_is_the_nearest_one_not_its_six_digits(table: Table) -> None:
    values = [0.1, 16777217.0, 1 / 3, 1.17549435e-38, 3.4028234e38]
    table.make("float", values)
    assert table.read().to_pylist() == [as_single(value) for value in values]


def test_a_geometry_comes_as_wkb(table: Table) -> None:
    table.make("geometry", [])
    with table.sql.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t (v) VALUES (ST_GeomFromText('POINT(1 2)')), (NULL)")
    point = struct.pack("<bidd", 1, 1, 1.0, 2.0)
    assert table.read().to_pylist() == [point, None]


def version_of(table: Table) -> str:
    with table.sql.connect() as connection:
        return str(connection.exec_driver_sql("SELECT version()").scalar_one())


VALUES = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.none() | st.binary(max_size=40),
    st.none() | st.decimals(-(10**20), 10**20, places=6),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(VALUES, max_size=30))
def test_random_rows_come_back(mysql_database: TargetConfig, rows: list[tuple[Any, ...]]) -> None:
    connector = MySQLConnector(MySQLConfig.from_target(mysql_database))
    create_engine_for_target(mysql_database)
    for key in ("PRIMARY KEY", ""):
        with closing(connector.get_connection()) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS t")
            cursor.execute(
                f"CREATE TABLE t (id INT {key}, i BIGINT, d DOUBLE, s LONGTEXT, b LONGBLOB, n DECIMAL(30,6))"
                " CHARACTER SET utf8mb4"
            )
            cursor.executemany(
                "INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s)", [(at, *row) for at, row in enumerate(rows)]
            )
            connection.commit()
        found = pa.Table.from_batches(connector.extract("t", batch_size=7)).sort_by("id")
        assert [tuple(row.values()) for row in found.to_pylist()] == [
            (at, *row) for at, row in enumerate(rows)
        ]
