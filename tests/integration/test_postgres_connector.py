"""The PostgreSQL connector: values, names, memory, and how it ends."""

from __future__ import annotations

import json
import logging
import math
import signal
import socket
import subprocess
import sys
import threading
import time as clock
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DatakitError,
    ExtractionError,
    PostgresConfig,
    PostgresConnector,
    TargetConfig,
    TryAgainError,
)
from sqlmodel_framework.tests.integration.postgres_sources import plain, postgres_source_on, settled

pytestmark = pytest.mark.postgres


@pytest.fixture
def source(postgres_database: TargetConfig) -> PostgresConnector:
    """A connector to an empty database; its connections are told from others by their application name."""
    return postgres_source_on(postgres_database)


def run(source: PostgresConnector, *statements: str) -> None:
    """Run statements as the user of the source, each in a transaction of its own."""
    with closing(source.get_connection()) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


def rows_of(source: PostgresConnector, table: str, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.Table.from_batches(source.extract(table, **options)).to_pylist()
    return rows


def driver_rows(source: PostgresConnector, statement: str) -> list[tuple[Any, ...]]:
    with closing(source.get_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall()


def sessions(source: PostgresConnector) -> list[str]:
    """What the server is doing for the source's connections."""
    observer = PostgresConnector(replace(source.config, application_name="observer"))
    activity = (
        f"SELECT query FROM pg_stat_activity WHERE application_name = '{source.config.application_name}'"
    )
    return [str(query) for (query,) in driver_rows(observer, activity)]


def copy_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "datakit-copy"]


LONG = "123456789012345678901234567890.000000000000000000000000001"
TEXTS = [
    "",
    " blanks ",
    'a "quoted" word',
    "line\nline\r\nline\rline",
    "ünïcode 漢字 🎉 \ufeff",
    "\\.",
    "a\n\\.\nb",
    "\\N",
    "NULL",
    ",",
    '""',
    "\t\\",
    "t",
    "\x01\x1f\x7f",
]

# SQL type, the Arrow type it becomes, values given to the server, values read.
TYPES: list[tuple[str, pa.DataType, list[Any], list[Any]]] = [
    ("smallint", pa.int16(), [-32768, 0, 32767], [-32768, 0, 32767]),
    ("integer", pa.int32(), [-(2**31), 2**31 - 1], [-(2**31), 2**31 - 1]),
    ("bigint", pa.int64(), [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
    ("oid", pa.uint32(), [0, 2**32 - 1], [0, 2**32 - 1]),
    ("numeric(12,2)", pa.decimal128(12, 2), ["-9999999999.99", "0", "0.1"],
     [Decimal("-9999999999.99"), Decimal("0.00"), Decimal("0.10")]),
    ("numeric(38,0)", pa.decimal128(38, 0), ["9" * 38], [Decimal("9" * 38)]),
    ("numeric(38,38)", pa.decimal128(38, 38), ["0." + "0" * 37 + "1"], [Decimal("1E-38")]),
    ("numeric", pa.string(), [LONG, "NaN", "0", "1.10", "Infinity"], [LONG, "NaN", "0", "1.10", "Infinity"]),
    ("numeric(39,1)", pa.decimal256(39, 1), ["-" + "9" * 38 + ".9"], [Decimal("-" + "9" * 38 + ".9")]),
    ("numeric(76,20)", pa.decimal256(76, 20), ["9" * 56], [Decimal("9" * 56 + "." + "0" * 20)]),
    ("numeric(77,20)", pa.string(), ["9" * 57], ["9" * 57 + "." + "0" * 20]),
    ("numeric(3,-2)", pa.decimal128(5, 0), ["12345", "-99900"], [Decimal(12300), Decimal(-99900)]),
    ("numeric(1,-1000)", pa.string(), ["9e1000"], ["9" + "0" * 1000]),
    ("numeric(3,5)", pa.decimal128(5, 5), ["0.00123"], [Decimal("0.00123")]),
    ("numeric(1,1000)", pa.string(), ["1e-1000"], ["0." + "0" * 999 + "1"]),
    ("real", pa.float32(), ["3.4028235e38", "1e-45", "NaN", "-Infinity", "0.1"],
     [3.4028234663852886e38, 1.401298464324817e-45, math.nan, -math.inf, 0.10000000149011612]),
    ("double precision", pa.float64(), ["1.7976931348623157e308", "5e-324", "NaN", "Infinity", "-0", "0.1"],
     [1.7976931348623157e308, 5e-324, math.nan, math.inf, -0.0, 0.1]),
    ("text", pa.string(), TEXTS, TEXTS),
    ("varchar(3)", pa.string(), ["", "abc"], ["", "abc"]),
    ("char(5)", pa.string(), ["", "a", "a b"], ["     ", "a    ", "a b  "]),
    ('"char"', pa.string(), ["x"], ["x"]),
    ("name", pa.string(), ["x y"], ["x y"]),
    ("bytea", pa.binary(), [b"", b"\x00\xff\n\"\\,", bytes(range(256))], [b"", b"\x00\xff\n\"\\,", bytes(range(256))]),
    ("boolean", pa.bool_(), [True, False], [True, False]),
    ("date", pa.date32(), ["0001-01-01", "9999-12-31"], [date(1, 1, 1), date(9999, 12, 31)]),
    ("time", pa.time64("us"), ["00:00", "23:59:59.999999"], [time(0), time(23, 59, 59, 999999)]),
    ("time with time zone", pa.string(), ["12:00:00.5+02"], ["12:00:00.5+02"]),
    ("timestamp", pa.timestamp("us"), ["0001-01-01", "9999-12-31 23:59:59.999999", "2024-02-29 12:00:00.1"],
     [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(2024, 2, 29, 12, 0, 0, 100000)]),  # noqa: DTZ001
    ("timestamp with time zone", pa.timestamp("us", "UTC"), ["2024-03-31 02:30+02", "1900-01-01 00:00+00:19:32"],
     [datetime(2024, 3, 31, 0, 30, tzinfo=UTC), datetime(1899, 12, 31, 23, 40, 28, tzinfo=UTC)]),
    ("interval", pa.string(), ["1 year 2 mons -3 days 04:05:06.7"], ["P1Y2M-3DT4H5M6.7S"]),
    ("uuid", pa.string(), ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("json", pa.string(), ['{"a":  1.10, "a": "é\\n"}', "null"], ['{"a":  1.10, "a": "é\\n"}', "null"]),
    ("jsonb", pa.string(), ['{"b":  1.10, "a": null}'], ['{"a": null, "b": 1.10}']),
    ("integer[]", pa.string(), ["{1,NULL,3}", "{}", "{{1,2},{3,4}}"], ["[1,null,3]", "[]", "[[1,2],[3,4]]"]),
    ("text[]", pa.string(), ['{"a \\"b\\"",NULL,"NULL","","é,\\\\"}'], ['["a \\"b\\"",null,"NULL","","é,\\\\"]']),
    ("float8[]", pa.string(), ["{NaN,0.1}"], ['["NaN",0.1]']),
    ("mood", pa.string(), ["very happy"], ["very happy"]),
    ("mood[]", pa.string(), ['{sad,"very happy"}'], ['["sad","very happy"]']),
    ("year", pa.int32(), [2024], [2024]),
    ("price", pa.decimal128(6, 2), ["1234.5"], [Decimal("1234.50")]),
    ("tags", pa.string(), ["{a,b}"], ['["a","b"]']),
    ("pair", pa.string(), ['(1,"x y")'], ['(1,"x y")']),
    ("inet", pa.string(), ["10.0.0.1/8"], ["10.0.0.1/8"]),
    ("bit(3)", pa.string(), ["101"], ["101"]),
    ("int4range", pa.string(), ["[1,5)"], ["[1,5)"]),
    ("point", pa.string(), ["(1,2)"], ["(1,2)"]),
    ("tsvector", pa.string(), ["'a':1 'b':2"], ["'a':1 'b':2"]),
    ("xml", pa.string(), ["<a>é</a>"], ["<a>é</a>"]),
]  # fmt: skip

OWN_TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'very happy');
    CREATE DOMAIN year AS integer CHECK (VALUE > 1900);
    CREATE DOMAIN price AS numeric(6,2);
    CREATE DOMAIN tags AS text[];
    CREATE TYPE pair AS (a integer, b text);
"""


@pytest.mark.parametrize(
    ("sql_type", "arrow_type", "given", "expected"), TYPES, ids=[case[0] for case in TYPES]
)
def test_a_type_keeps_its_values(
    source: PostgresConnector, sql_type: str, arrow_type: pa.DataType, given: list[Any], expected: list[Any]
) -> None:
    run(source, OWN_TYPES, f"CREATE TABLE t (id serial, v {sql_type})")
    with closing(source.get_connection()) as connection, connection, connection.cursor() as cursor:
        for value in [*given, None]:
            cursor.execute(f"INSERT INTO t (v) VALUES (CAST(%s AS {sql_type}))", (value,))
    read = pa.Table.from_batches(source.extract("t"))
    assert read.schema == source.schema("t")
    assert read.schema.field("v").type == arrow_type
    values = read.column("v").to_pylist()
    # By its text, NaN is NaN and -0.0 is not 0.0.
    assert str(values) == str(pa.array([*expected, None], arrow_type).to_pylist())


UNREADABLE = [
    ("timestamp with time zone", "infinity"),
    ("timestamp with time zone", "10000-01-01 00:00:00+00"),
    ("timestamp", "-infinity"),
    ("timestamp", "0044-03-15 12:00:00 BC"),
    ("date", "infinity"),
    ("date", "10000-01-01"),
    ("time", "24:00:00"),
    ("numeric(5,2)", "NaN"),
]


@pytest.mark.parametrize(("sql_type", "value"), UNREADABLE)
def test_a_value_that_no_arrow_type_holds_is_named_by_table_and_column(
    source: PostgresConnector, sql_type: str, value: str
) -> None:
    run(source, f"CREATE TABLE t AS SELECT 1 AS id, CAST('{value}' AS {sql_type}) AS \"the, value\"")
    with pytest.raises(ExtractionError) as caught:
        rows_of(source, "t")
    arrow_type = source.schema("t").field("the, value").type
    assert str(caught.value) == (
        f"a value does not fit its Arrow type (extract table public.t, {source.config.address}, column the, value);"
        f" expected: {arrow_type}; next: choose null, string or reject with on_unrepresentable, or correct the value"
    )
    assert rows_of(source, 'SELECT "the, value"::text AS v FROM t', query=True) == [{"v": value}]


def test_one_column_of_nulls_and_empty_texts(source: PostgresConnector) -> None:
    run(
        source,
        "CREATE TABLE t (v text)",
        "INSERT INTO t SELECT CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE E'\\n' END FROM generate_series(0, 8) i",
    )
    assert [row["v"] for row in rows_of(source, "t")] == [None, "", "\n"] * 3


def test_a_table_without_rows_has_its_types(source: PostgresConnector) -> None:
    run(source, "CREATE TABLE t (a integer, b numeric(5,2), c timestamptz, d bytea, e text[])")
    (batch,) = source.extract("t")
    frame = source.read_dataframe("t")
    assert batch.num_rows == 0
    assert batch.schema == source.schema("t")
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "a": "int32[pyarrow]",
        "b": "decimal128(5, 2)[pyarrow]",
        "c": "timestamp[us, tz=UTC][pyarrow]",
        "d": "binary[pyarrow]",
        "e": "string[pyarrow]",
    }


def test_a_dataframe_keeps_integers_and_decimals_beside_nulls(source: PostgresConnector) -> None:
    run(source, "CREATE TABLE t (a bigint, b numeric(5,2))", "INSERT INTO t VALUES (1, 1.10), (NULL, NULL)")
    frame = source.read_dataframe("t")
    assert frame["a"].tolist() == [1, pd.NA]
    assert frame["b"][0] == Decimal("1.10")
    assert frame["b"].isna().tolist() == [False, True]


def test_three_hundred_columns(source: PostgresConnector) -> None:
    names = [f"column {number}" for number in range(300)]
    listed = ", ".join(f'{number} AS "{name}"' for number, name in enumerate(names))
    run(source, f"CREATE TABLE wide AS SELECT {listed}")
    assert rows_of(source, "wide") == [dict(zip(names, range(300), strict=True))]


HOSTILE = [
    'quote"d',
    "quote'd",
    "per%cent %s %(x)s",
    "semi;colon -- DROP",
    "Upper Case",
    "ünïcode 漢字",
    "a.b",
    "{braces}",
    "back\\slash",
    "line\nbreak",
    "select",
    " ",
    "x" * 63,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(source: PostgresConnector, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    run(source, f"CREATE TABLE {quoted} AS SELECT 1 AS {quoted}")
    assert source.get_tables() == [name]
    assert rows_of(source, name) == [{name: 1}]
    assert rows_of(source, name, columns=[name]) == [{name: 1}]
    assert source.count(name) == 1


def test_a_hostile_schema_is_only_a_name(source: PostgresConnector) -> None:
    run(source, 'CREATE SCHEMA "s; ""%"', 'CREATE TABLE "s; ""%".t AS SELECT 1 AS a')
    assert source.get_tables('s; "%') == ["t"]
    there = PostgresConnector(replace(source.config, schema='s; "%'))
    assert there.get_tables() == ["t"]
    assert rows_of(there, "t") == [{"a": 1}]


def test_partitions_views_and_sequences_are_no_tables(source: PostgresConnector) -> None:
    run(
        source,
        "CREATE TABLE b (id serial, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE b_2024 PARTITION OF b FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE a (id integer)",
        "CREATE VIEW c AS SELECT 1 AS one",
        "CREATE MATERIALIZED VIEW d AS SELECT 1 AS one",
        "INSERT INTO b (day) VALUES ('2024-05-05')",
    )
    assert source.get_tables() == ["a", "b"]
    assert [row["day"] for row in rows_of(source, "b")] == [date(2024, 5, 5)]
    assert rows_of(source, "c") == [{"one": 1}]


def test_a_schema_without_tables_and_a_schema_that_is_not_there(source: PostgresConnector) -> None:
    assert source.get_tables() == []
    with pytest.raises(ExtractionError) as caught:
        source.get_tables("nowhere")
    assert str(caught.value) == (
        f"unknown schema (list tables, {source.config.address}); seen: nowhere;"
        " expected: one of information_schema, public"
    )


QUERIES = [
    ("SELECT 1 AS a, 2 AS b, 3 AS a", "the source has columns of the same name", "a"),
    ("SELECT 1, 2", "the source has columns of the same name", "?column?"),
    ("SELECT", "the source has no column", None),
    ("SELECT 1 AS a FROM", "PostgreSQL refused to read", "SyntaxError (SQLSTATE 42601)"),
    ("DELETE FROM t", "PostgreSQL refused to read", "SyntaxError (SQLSTATE 42601)"),
]


@pytest.mark.parametrize(("query", "what", "seen"), QUERIES)
def test_a_query_that_gives_no_table_of_rows(
    source: PostgresConnector, query: str, what: str, seen: str | None
) -> None:
    with pytest.raises(ExtractionError) as caught:
        rows_of(source, query, query=True)
    assert caught.value.what == what
    assert (caught.value.seen or "").startswith(seen or "")
    assert caught.value.where == f"extract a query, {source.config.address}"


def test_a_query_may_have_comments_percent_signs_and_a_semicolon(source: PostgresConnector) -> None:
    query = "SELECT '100 %s' AS a, 7 % 4 AS b, '{}' AS c -- the end;\n;  "
    assert rows_of(source, query, query=True) == [{"a": "100 %s", "b": 3, "c": "{}"}]
    assert source.count(query, query=True) == 1
    assert source.schema(query, query=True).names == ["a", "b", "c"]


def test_chosen_columns_come_in_the_order_asked_for(source: PostgresConnector) -> None:
    run(source, "CREATE TABLE t AS SELECT 1 AS a, 2 AS b, 3 AS c")
    assert [list(row.items()) for row in rows_of(source, "t", columns=["c", "a"])] == [[("c", 3), ("a", 1)]]
    with pytest.raises(ExtractionError) as caught:
        rows_of(source, "t", columns=["c", "d"])
    assert str(caught.value) == (
        f"unknown column (extract table public.t, {source.config.address}); seen: d; expected: one of a, b, c"
    )
    with pytest.raises(ExtractionError, match="no column"):
        rows_of(source, "t", columns=[])


@pytest.mark.parametrize("rows", [99, 100, 101, 250])
def test_batches_have_at_most_the_rows_asked_for(source: PostgresConnector, rows: int) -> None:
    query = f"SELECT i FROM generate_series(1, {rows}) i"
    batches = list(source.extract(query, query=True, batch_size=100))
    assert [batch.num_rows for batch in batches] == [100] * (rows // 100) + (
        [rows % 100] if rows % 100 else []
    )
    assert [value for batch in batches for value in batch.column(0).to_pylist()] == list(range(1, rows + 1))


def test_values_longer_than_any_block(source: PostgresConnector) -> None:
    query = "SELECT repeat(chr(64 + i) || E'\\n', 3000000 * i) AS v FROM generate_series(1, 4) i"
    lengths = [(row["v"][0], len(row["v"])) for row in rows_of(source, query, query=True)]
    assert lengths == [("A", 6_000_000), ("B", 12_000_000), ("C", 18_000_000), ("D", 24_000_000)]


def test_all_rows_are_of_one_moment(source: PostgresConnector) -> None:
    run(source, "CREATE TABLE t AS SELECT i FROM generate_series(1, 1000000) i")
    batches = source.extract("t")
    rows = next(batches).num_rows
    run(source, "INSERT INTO t VALUES (0)", "DELETE FROM t WHERE i > 999990")
    rows += sum(batch.num_rows for batch in batches)
    assert rows == 1_000_000


def test_settings_of_the_database_change_no_value(source: PostgresConnector) -> None:
    run(
        source,
        f"ALTER DATABASE {source.config.database} SET DateStyle = 'German'",
        f"ALTER DATABASE {source.config.database} SET TimeZone = 'Asia/Kathmandu'",
        f"ALTER DATABASE {source.config.database} SET bytea_output = 'escape'",
        f"ALTER DATABASE {source.config.database} SET extra_float_digits = -15",
        f"ALTER DATABASE {source.config.database} SET IntervalStyle = 'sql_standard'",
        f"ALTER DATABASE {source.config.database} SET default_transaction_isolation = 'serializable'",
        f"ALTER DATABASE {source.config.database} SET client_encoding = 'LATIN1'",
        """CREATE TABLE t AS SELECT date '2024-02-03' AS a, timestamptz '2024-02-03 04:05+00' AS b, '\\xff'::bytea AS c,
           0.1::float8 AS d, interval '1 day' AS e, '漢' AS f""",
    )
    moment = datetime(2024, 2, 3, 4, 5, tzinfo=UTC)
    expected = {"a": date(2024, 2, 3), "b": moment, "c": b"\xff", "d": 0.1, "e": "P1D", "f": "漢"}
    assert rows_of(source, "t") == [expected]
    with source.connection_context() as connection:
        frame = pd.read_sql("SELECT b, d, e FROM t", connection)
    assert frame.to_dict("records") == [{"b": pd.Timestamp(moment), "d": 0.1, "e": pd.Timedelta(days=1)}]


@pytest.fixture
def source_of_encoding(
    source: PostgresConnector, request: pytest.FixtureRequest
) -> Iterator[PostgresConnector]:
    name = f"{source.config.database}_encoded"
    run(source, f"CREATE DATABASE {name} ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0")
    yield PostgresConnector(replace(source.config, database=name))
    run(source, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("source_of_encoding", ["LATIN1"], indirect=True)
def test_a_database_of_another_encoding(source_of_encoding: PostgresConnector) -> None:
    run(source_of_encoding, 'CREATE TABLE "tä" AS SELECT \'ÿé\' AS "ö"')
    assert source_of_encoding.get_tables() == ["tä"]
    assert rows_of(source_of_encoding, "tä") == [{"ö": "ÿé"}]


@pytest.mark.parametrize("source_of_encoding", ["SQL_ASCII"], indirect=True)
def test_bytes_that_are_no_text(source_of_encoding: PostgresConnector) -> None:
    run(source_of_encoding, "CREATE TABLE t AS SELECT E'ok\\xff' AS v")
    with pytest.raises(ExtractionError) as caught:
        rows_of(source_of_encoding, "t")
    assert str(caught.value) == (
        f"PostgreSQL refused to read (extract table public.t, {source_of_encoding.config.address});"
        " seen: CharacterNotInRepertoire (SQLSTATE 22021); next: correct the bytes that are no text, or read the column"
        " as bytea"
    )
    query = "SELECT convert_to(v, 'SQL_ASCII') AS v FROM t"
    assert rows_of(source_of_encoding, query, query=True) == [{"v": b"ok\xff"}]


MEASURE = """
import resource, sys
from sqlmodel_framework import PostgresConfig, PostgresConnector
import json
connector = PostgresConnector(PostgresConfig(**json.loads(sys.stdin.readline())))
query = f"SELECT i, md5(i::text) AS a, repeat('x', 200) AS b FROM generate_series(1, {sys.argv[1]}) i"
rows = sum(batch.num_rows for batch in connector.extract(query, query=True))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_rows(source: PostgresConnector) -> None:
    peaks = {}
    for rows in (100_000, 1_500_000):
        child = subprocess.run(
            [sys.executable, "-c", MEASURE, str(rows)],
            input=json.dumps(plain(source)),
            capture_output=True,
            text=True,
            check=True,
        )
        read, peaks[rows] = map(int, child.stdout.split())
        assert read == rows
    # 370 MB of rows against 25 MB.
    assert peaks[1_500_000] - peaks[100_000] < 60


# Failures: each begins with a source that works, whose table `secrets` holds CANARY, and whose password is replaced by
# PASSWORD where the password is what fails.

PASSWORD = "canary-password-7f3a"
CANARY = "canary-value-91bc"


def elsewhere(source: PostgresConnector, **changes: Any) -> PostgresConnector:
    return PostgresConnector(replace(source.config, **changes))


def refused_port(source: PostgresConnector) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        elsewhere(source, host="127.0.0.1", port=held.getsockname()[1], password=PASSWORD).get_tables()


def silent_server(source: PostgresConnector) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        address = {"host": "127.0.0.1", "port": held.getsockname()[1]}
        elsewhere(source, **address, password=PASSWORD, connect_timeout=2).get_tables()


def unknown_host(source: PostgresConnector) -> None:
    elsewhere(source, host="no-such-host.invalid", password=PASSWORD).get_tables()


def wrong_password(source: PostgresConnector) -> None:
    elsewhere(source, password=PASSWORD).get_connection()


def wrong_password_for_pandas(source: PostgresConnector) -> None:
    with elsewhere(source, password=PASSWORD).connection_context() as connection:
        pd.read_sql("SELECT 1", connection)


def unknown_user(source: PostgresConnector) -> None:
    elsewhere(source, username='no "database" one', password=PASSWORD).get_tables()


def unknown_database(source: PostgresConnector) -> None:
    elsewhere(source, database="starting up").get_tables()


def no_encryption(source: PostgresConnector) -> None:
    elsewhere(source, sslmode="require").get_tables()


def unknown_sslmode(source: PostgresConnector) -> None:
    elsewhere(source, sslmode="starting up", password=PASSWORD).get_tables()


def impossible_port(source: PostgresConnector) -> None:
    elsewhere(source, port=70_000, password=PASSWORD).get_tables()


def no_kerberos_ticket(source: PostgresConnector) -> None:
    elsewhere(source, password=None, use_kerberos=True, gssencmode="require").get_tables()


def crowded_server(source: PostgresConnector) -> None:
    run(source, f"ALTER DATABASE {source.config.database} CONNECTION LIMIT 0")
    reader(source).get_tables()


def missing_table(source: PostgresConnector) -> None:
    run(source, "DROP TABLE secrets")
    rows_of(source, "secrets")


def forbidden_table(source: PostgresConnector) -> None:
    rows_of(reader(source), "secrets")


def value_of_wrong_type(source: PostgresConnector) -> None:
    rows_of(source, "SELECT v::integer FROM secrets", query=True)


def value_of_wrong_type_for_pandas(source: PostgresConnector) -> None:
    with source.connection_context() as connection:
        pd.read_sql("SELECT v::integer FROM secrets", connection)


def words_of_a_function(source: PostgresConnector) -> None:
    body = "DECLARE found text; BEGIN SELECT v INTO found FROM secrets; RAISE EXCEPTION 'bad: %', found; END"
    run(source, f"CREATE FUNCTION fail() RETURNS integer LANGUAGE plpgsql AS $$ {body} $$")
    rows_of(source, "SELECT fail()", query=True)


def error_after_many_rows(source: PostgresConnector) -> None:
    rows_of(source, "SELECT v, 1 / (100000 - i) FROM secrets, generate_series(1, 200000) i", query=True)


def ended_by_the_server(source: PostgresConnector) -> None:
    batches = source.extract("SELECT v, i FROM secrets, generate_series(1, 3000000) i", query=True)
    next(batches)
    run_elsewhere(source, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ")
    for _ in batches:
        pass


def timeout_of_the_server(source: PostgresConnector) -> None:
    run(source, f"ALTER DATABASE {source.config.database} SET statement_timeout = '50ms'")
    rows_of(source, "SELECT v, pg_sleep(60) FROM secrets", query=True)


def locked_table(source: PostgresConnector) -> None:
    run(source, f"ALTER DATABASE {source.config.database} SET lock_timeout = '50ms'")
    with closing(source.get_connection()) as other:
        other.cursor().execute("LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE")
        rows_of(source, "secrets")


def writing(source: PostgresConnector) -> None:
    with source.connection_context() as connection:
        connection.exec_driver_sql("INSERT INTO secrets VALUES ('x')")


FAILURES: list[tuple[Callable[[PostgresConnector], None], type[DatakitError], str, str | None]] = [
    (refused_port, TryAgainError, "Connection refused", "check host and port, then try again"),
    (silent_server, TryAgainError, "timeout expired", "check host and port, then try again"),
    (
        unknown_host,
        TryAgainError,
        "could not translate host name",
        "check the host name, and that this machine's DNS knows it",
    ),
    (wrong_password, ConfigurationError, "password authentication failed", "check the user and the password"),
    (
        wrong_password_for_pandas,
        ConfigurationError,
        "password authentication failed",
        "check the user and the password",
    ),
    (unknown_user, ConfigurationError, "password authentication failed", "check the user and the password"),
    (
        unknown_database,
        ConfigurationError,
        'database "starting up" does not exist',
        "create the database or name one that exists",
    ),
    (no_encryption, ConfigurationError, "does not support SSL", "set sslmode to what the server offers"),
    (
        unknown_sslmode,
        ConfigurationError,
        "invalid sslmode",
        "correct the connection option that the message names",
    ),
    (impossible_port, ConfigurationError, "70000", "correct the connection option that the message names"),
    (
        no_kerberos_ticket,
        ConfigurationError,
        "No Kerberos credentials available",
        "get a ticket with kinit, or give a keytab; KRB5CCNAME or credential_cache says where the ticket is",
    ),
    (
        crowded_server,
        TryAgainError,
        "too many connections",
        "try again when the server has started, has room, or is there again",
    ),
    (missing_table, ExtractionError, "UndefinedTable (SQLSTATE 42P01)", "check the name and the schema"),
    (
        forbidden_table,
        ExtractionError,
        "InsufficientPrivilege (SQLSTATE 42501): permission denied for table secrets",
        "ask for the right that the message names",
    ),
    (value_of_wrong_type, ExtractionError, "InvalidTextRepresentation (SQLSTATE 22P02)", None),
    (value_of_wrong_type_for_pandas, ExtractionError, "InvalidTextRepresentation (SQLSTATE 22P02)", None),
    (words_of_a_function, ExtractionError, "RaiseException (SQLSTATE P0001)", None),
    (error_after_many_rows, ExtractionError, "DivisionByZero (SQLSTATE 22012)", None),
    # The server says why, or libpq that the connection is gone, or psycopg2 that libpq said nothing.
    (ended_by_the_server, TryAgainError, "", "try again"),
    (timeout_of_the_server, ExtractionError, "QueryCanceled (SQLSTATE 57014)", None),
    (locked_table, TryAgainError, "LockNotAvailable (SQLSTATE 55P03)", "try again"),
    (writing, ExtractionError, "ReadOnlySqlTransaction (SQLSTATE 25006)", None),
]

EXIT_CODES: dict[type[DatakitError], int] = {ConfigurationError: 1, ExtractionError: 2, TryAgainError: 75}


@pytest.fixture
def secret_source(source: PostgresConnector, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresConnector]:
    """The source with a table that holds CANARY, and a role of the application's name that may not read it."""
    for name in ("PGPASSWORD", "PGSERVICE", "KRB5CCNAME"):
        monkeypatch.delenv(name, raising=False)
    role = source.config.application_name
    run(
        source,
        f"CREATE TABLE secrets AS SELECT '{CANARY}' AS v",
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'",
    )
    yield source
    # The limit of `crowded_server` does not bind the superuser.
    run(source, f"DROP ROLE {role}")


def reader(source: PostgresConnector) -> PostgresConnector:
    return elsewhere(source, username=source.config.application_name, password=PASSWORD)


def run_elsewhere(source: PostgresConnector, statement: str) -> None:
    run(elsewhere(source, application_name="observer"), f"{statement} '{source.config.application_name}'")


@pytest.mark.parametrize(
    ("fail", "kind", "seen", "next_step"), FAILURES, ids=[case[0].__name__ for case in FAILURES]
)
def test_a_failure_says_what_to_do_and_no_secret(
    secret_source: PostgresConnector,
    caplog: pytest.LogCaptureFixture,
    fail: Callable[[PostgresConnector], None],
    kind: type[DatakitError],
    seen: str,
    next_step: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DatakitError) as caught:
        fail(secret_source)
    error = caught.value
    assert type(error) is kind
    assert error.exit_code == EXIT_CODES[kind]
    assert seen in str(error.seen)
    assert error.next_step == next_step
    assert "postgresql://" in str(error.where)
    shown = [str(error), repr(error), *map(repr, error.args), *map(str, caplog.records), caplog.text]
    shown += traceback.format_exception(error)
    assert [text for text in shown if PASSWORD in text or CANARY in text] == []
    # The error holds the frames, and they the generator, that ends the session.
    del error, caught
    assert settled(lambda: copy_threads() == [] and sessions(secret_source) == [])


def test_a_test_of_the_connection_answers_and_logs(
    secret_source: PostgresConnector, caplog: pytest.LogCaptureFixture
) -> None:
    assert secret_source.test_connection()
    assert caplog.text == ""
    assert not elsewhere(secret_source, password=PASSWORD).test_connection()
    assert not elsewhere(secret_source, host="no-such-host.invalid", password=PASSWORD).test_connection()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "password authentication failed" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_configuration_shows_no_password() -> None:
    config = PostgresConfig(host="h", username="u", password=PASSWORD, database="d")
    assert PASSWORD not in f"{config} {config!r} {config.address} {vars(config)}"
    assert config.address == "source postgresql://u@h/d"


def test_a_password_and_kerberos_exclude_one_another() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresConfig(host="h", database="d", use_kerberos=True, password=PASSWORD)
    assert str(caught.value) == (
        "a password and Kerberos are both given (source postgresql://h/d); next: leave the password out"
    )


def test_a_user_s_own_error_leaves_the_connection_as_it_is(source: PostgresConnector) -> None:
    def read_a_file() -> None:
        with source.connection_context() as connection:
            connection.exec_driver_sql("SELECT 1")
            Path("/nowhere/at/all").read_text()

    with pytest.raises(FileNotFoundError):
        read_a_file()
    assert settled(lambda: sessions(source) == [])


MANY = "SELECT i, repeat('x', 100) AS v FROM generate_series(1, 5000000) i"
SLOW = "SELECT CASE WHEN i = 50000 THEN pg_sleep(600)::text ELSE repeat('x', 100) END FROM generate_series(1, 60000) i"


@pytest.mark.parametrize("query", [MANY, SLOW], ids=["many rows", "a slow statement"])
def test_a_consumer_that_stops_early_leaves_nothing_behind(source: PostgresConnector, query: str) -> None:
    batches = source.extract(query, query=True)
    assert next(batches).num_rows > 0
    assert copy_threads() == ["datakit-copy"]
    assert len(sessions(source)) == 1
    started = clock.monotonic()
    batches.close()
    assert clock.monotonic() - started < 5
    assert copy_threads() == []
    assert settled(lambda: sessions(source) == [])


def test_a_consumer_that_fails_leaves_nothing_behind(source: PostgresConnector) -> None:
    def divide() -> None:
        with closing(source.extract(MANY, query=True)) as batches:
            for batch in batches:
                batch.num_rows / 0

    with pytest.raises(ZeroDivisionError):
        divide()
    assert copy_threads() == []
    assert settled(lambda: sessions(source) == [])


def test_an_interrupt_ends_a_reading_that_waits(source: PostgresConnector) -> None:
    main = threading.main_thread().ident
    assert main == threading.get_ident()
    interrupt = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        rows_of(source, "SELECT pg_sleep(600)", query=True)
    interrupt.join()
    assert copy_threads() == []
    assert settled(lambda: sessions(source) == [])


def test_a_table_that_is_being_read_cannot_be_dropped(source: PostgresConnector) -> None:
    run(source, "CREATE TABLE t AS SELECT i, repeat('x', 100) AS v FROM generate_series(1, 200000) i")
    batches = source.extract("t")
    rows = next(batches).num_rows
    with closing(source.get_connection()) as other, pytest.raises(Exception, match="lock timeout"):
        other.cursor().execute("SET lock_timeout = '50ms'; DROP TABLE t")
    assert rows + sum(batch.num_rows for batch in batches) == 200_000


def test_one_connector_serves_many_threads(source: PostgresConnector) -> None:
    def total(number: int) -> int:
        query = f"SELECT {number} AS n FROM generate_series(1, 20000)"
        return sum(sum(batch.column("n").to_pylist()) for batch in source.extract(query, query=True))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(total, range(16))) == [number * 20_000 for number in range(16)]
