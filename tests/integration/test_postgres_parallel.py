"""One table read by several processes: every row once, one moment, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DatakitError,
    ExtractionError,
    PostgresConnector,
    TryAgainError,
)
from sqlmodel_framework.tests.integration.postgres_sources import PostgresHands, plain, reading_processes

pytestmark = pytest.mark.postgres

# More than 8 MB for every two pieces.
FILL = "SELECT i AS id, repeat('x', 400) AS v, i % 7 AS part FROM generate_series(1, 60000) i"


# Stable, so that looking for the range of `id` does not sleep.
SLOW = (
    "CREATE FUNCTION nap() RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN 1; END'",
    "CREATE VIEW slow AS SELECT id, v, CASE WHEN id > 40000 THEN nap() END AS s FROM t",
)


def ids(source: PostgresConnector, table: str, **options: Any) -> list[int]:
    batches = source.extract(table, **options)
    return sorted(value for batch in batches for value in batch.column("id").to_pylist())


def processes_of(hands: PostgresHands) -> int:
    return sum("COPY" in query for query in hands.sessions())


def test_every_row_comes_once(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(f"CREATE TABLE t AS {FILL}", "DELETE FROM t WHERE id % 3 = 0", "VACUUM t")
    expected = [number for number in range(1, 60_001) if number % 3]
    schema = postgres_source.schema("t")
    batches = list(postgres_source.extract("t", parallel=3, batch_size=500))
    assert {batch.schema for batch in batches} == {schema}
    assert max(batch.num_rows for batch in batches) <= 500
    assert sorted(pa.Table.from_batches(batches).column("id").to_pylist()) == expected
    assert (
        ids(postgres_source, "t", parallel=2, where="id <= %(most)s", parameters={"most": 10}) == expected[:7]
    )
    assert hands.left_alone()


def test_several_processes_really_read(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(f"CREATE TABLE t AS {FILL}")
    with closing(postgres_source.extract("t", parallel=3)) as batches:
        next(batches)
        # The one that shares its snapshot waits; of the readers, some may be done already.
        assert any("pg_export_snapshot" in query for query in hands.sessions())
    assert hands.left_alone()


def test_all_parts_see_one_moment(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(f"CREATE TABLE t AS {FILL}")
    batches = postgres_source.extract("t", parallel=3)
    first = next(batches)
    hands.run(
        "DELETE FROM t WHERE id > 100", "INSERT INTO t SELECT -i, 'late', 0 FROM generate_series(1, 60000) i"
    )
    found = [first, *batches]
    assert sorted(pa.Table.from_batches(found).column("id").to_pylist()) == list(range(1, 60_001))


SOURCES = {
    "a small table": ("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 60000) i", {}),
    "a table without rows": ("CREATE TABLE t (id integer, v text)", {}),
    "a partitioned table": (
        (
            "CREATE TABLE t (id integer, v text, part integer) PARTITION BY LIST (part);"
            "CREATE TABLE t_few PARTITION OF t FOR VALUES IN (0, 1);"
            "CREATE TABLE t_many PARTITION OF t DEFAULT;"
            f"INSERT INTO t {FILL}"
        ),
        {},
    ),
    "a table with children": (
        (
            "CREATE TABLE t (id integer, v text, part integer); CREATE TABLE child () INHERITS (t);"
            f"INSERT INTO t {FILL} OFFSET 30000; INSERT INTO child {FILL} LIMIT 30000"
        ),
        {},
    ),
    "a materialized view": (f"CREATE MATERIALIZED VIEW t AS {FILL}", {}),
    "a view, unsplit": (f"CREATE VIEW t AS {FILL}", {}),
    "a view by numbers": (f"CREATE VIEW t AS {FILL}", {"split_by": "id"}),
    "a view by few numbers": (f"CREATE VIEW t AS {FILL}", {"split_by": "part"}),
    "a view by dates": (
        f"CREATE VIEW t AS SELECT *, date '2024-01-01' + part AS day FROM ({FILL}) q",
        {"split_by": "day"},
    ),
    "a view by times and NULLs": (
        (
            "CREATE VIEW t AS SELECT *, CASE WHEN part > 0 THEN timestamptz '2024-01-01' + make_interval(days => part) END AS at"
            f" FROM ({FILL}) q"
        ),
        {"split_by": "at"},
    ),
    "a view by numerics": (
        f"CREATE VIEW t AS SELECT *, id / 7.0 AS ratio FROM ({FILL}) q",
        {"split_by": "ratio"},
    ),
    "a view by one value": (f"CREATE VIEW t AS SELECT *, 1 AS one FROM ({FILL}) q", {"split_by": "one"}),
    "a view by NULLs": (
        f"CREATE VIEW t AS SELECT *, NULL::integer AS none FROM ({FILL}) q",
        {"split_by": "none"},
    ),
    "infinite times": (
        (
            f"CREATE VIEW t AS SELECT id, CASE part WHEN 0 THEN timestamp '-infinity' WHEN 1 THEN 'infinity' ELSE"
            f" '2024-01-01' END AS at FROM ({FILL}) q"
        ),
        {"split_by": "at", "on_unrepresentable": "null"},
    ),
}


@pytest.mark.parametrize("made", SOURCES.values(), ids=list(SOURCES))
def test_parallel_and_serial_agree(
    postgres_source: PostgresConnector, hands: PostgresHands, made: tuple[str, dict[str, Any]]
) -> None:
    statements, options = made
    hands.run(statements)
    serial = ids(postgres_source, "t", on_unrepresentable="null")
    assert ids(postgres_source, "t", parallel=2, **options) == serial
    assert len(serial) == postgres_source.count("t")
    assert hands.left_alone()


def test_a_query_is_split_by_a_column(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    query = "SELECT i AS id FROM generate_series(1, %(most)s) i"
    options = {"query": True, "parameters": {"most": 20_000}}
    assert ids(postgres_source, query, parallel=2, split_by="id", **options) == list(range(1, 20_001))
    assert hands.left_alone()


@pytest.mark.parametrize(
    "column", ["'a'", "true", "1.5::float8", "timestamp '0044-03-15 BC'", "'NaN'::numeric"]
)
def test_a_column_that_cannot_split_is_refused(
    postgres_source: PostgresConnector, hands: PostgresHands, column: str
) -> None:
    hands.run(f"CREATE VIEW t AS SELECT {column} AS c UNION ALL SELECT NULL UNION ALL SELECT {OTHER[column]}")
    with pytest.raises(ConfigurationError) as caught:
        list(postgres_source.extract("t", parallel=2, split_by="c", on_unrepresentable="null"))
    assert str(caught.value) == (
        f"this column cannot split the rows (extract table public.t, {postgres_source.config.address}, column c); expected:"
        " a column of integers, numerics, dates or timestamps, none NaN or before Christ; next: name another column with split_by, or"
        " leave split_by out"
    )


OTHER = {
    "'a'": "'b'",
    "true": "false",
    "1.5::float8": "2",
    "timestamp '0044-03-15 BC'": "timestamp '2024-01-01'",
    "'NaN'::numeric": "1",
}


def test_policies_and_rejects_cross_the_processes(
    postgres_source: PostgresConnector, hands: PostgresHands, caplog: pytest.LogCaptureFixture
) -> None:
    hands.run(
        f"CREATE TABLE t AS SELECT id, v, CASE WHEN id % 20000 = 1 THEN date 'infinity' ELSE '2024-01-01' END AS a,"
        f" CASE WHEN id % 30000 = 2 THEN date '-infinity' ELSE '2024-01-01' END AS b FROM ({FILL}) q"
    )
    rejected: list[pa.RecordBatch] = []
    options = {
        "parallel": 2,
        "on_unrepresentable": {"a": "reject", "b": "null"},
        "on_reject": rejected.append,
    }
    kept = ids(postgres_source, "t", **options)
    lost = sorted(value for batch in rejected for value in batch.column("id").to_pylist())
    assert lost == sorted(map(str, (1, 20_001, 40_001)))
    assert len(kept) == 60_000 - 3
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        (
            f"extract table public.t, {postgres_source.config.address}: column b: values that do not fit their Arrow type and"
            " became NULL: 2"
        )
    ]
    with pytest.raises(ExtractionError, match="does not fit its Arrow type"):
        list(postgres_source.extract("t", parallel=2))
    assert hands.left_alone()


def test_a_slow_statement_ends_with_its_consumer(
    postgres_source: PostgresConnector, hands: PostgresHands
) -> None:
    hands.run(
        f"CREATE TABLE t AS {FILL}",
        *SLOW,
    )
    batches = postgres_source.extract("slow", parallel=2, split_by="id")
    assert next(batches).num_rows > 0
    assert processes_of(hands) > 0
    batches.close()
    assert hands.left_alone()


def failing(source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run("CREATE VIEW bad AS SELECT id, 1 / (50000 - id) AS q, 'canary-91bc' || id AS v FROM t")
    list(source.extract("bad", parallel=2, split_by="id"))


def waited_for(source: PostgresConnector, hands: PostgresHands) -> None:
    """A reader would wait for whoever waits for the lock that the first connection holds."""
    with closing(
        PostgresConnector(replace(source.config, application_name="waiting")).get_connection()
    ) as other:
        batches = source.extract("t", parallel=2)
        # Locked by nobody yet: the generator has not begun.
        other.cursor().execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        elsewhere = PostgresConnector(
            replace(source.config, parameters={"options": "-c lock_timeout=100ms"})
        ).extract("t", parallel=2)
        batches.close()
        list(elsewhere)


ENDS: list[tuple[Callable[[PostgresConnector, PostgresHands], None], type[DatakitError], str]] = [
    (failing, ExtractionError, "DivisionByZero (SQLSTATE 22012)"),
    (waited_for, TryAgainError, "LockNotAvailable (SQLSTATE 55P03)"),
]


@pytest.mark.parametrize(("end", "kind", "seen"), ENDS, ids=[case[0].__name__ for case in ENDS])
def test_a_failure_of_a_reader_is_told(
    postgres_source: PostgresConnector,
    hands: PostgresHands,
    end: Callable[[PostgresConnector, PostgresHands], None],
    kind: type[DatakitError],
    seen: str,
) -> None:
    hands.run(f"CREATE TABLE t AS {FILL}")
    with pytest.raises(DatakitError) as caught:
        end(postgres_source, hands)
    assert type(caught.value) is kind
    assert seen in str(caught.value.seen)
    assert "canary" not in str(caught.value)
    del caught
    assert hands.left_alone()


def test_a_killed_reader_is_told(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(f"CREATE TABLE t AS {FILL}", f"INSERT INTO t {FILL}", f"INSERT INTO t {FILL}")
    batches = postgres_source.extract("t", parallel=2)
    next(batches)
    for pid in reading_processes():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(TryAgainError) as caught:
        list(batches)
    assert str(caught.value) == (
        f"a reading process ended unexpectedly (extract table public.t, {postgres_source.config.address}); seen: exit code"
        " -9; next: see whether memory is short, then try again"
    )
    del caught
    assert hands.left_alone()


ABANDONED = """
import json, os, signal, sys
from sqlmodel_framework import PostgresConfig, PostgresConnector
batches = PostgresConnector(PostgresConfig(**json.loads(sys.stdin.readline()))).extract("slow", parallel=2, split_by="id")
print(next(batches).num_rows > 0, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_leaves_no_reader(postgres_source: PostgresConnector, hands: PostgresHands) -> None:
    hands.run(
        f"CREATE TABLE t AS {FILL}",
        *SLOW,
    )
    child = subprocess.run(
        [sys.executable, "-c", ABANDONED],
        input=json.dumps(plain(postgres_source)) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.stdout, child.returncode) == ("True\n", -9)
    assert hands.left_alone()


@pytest.mark.parametrize(
    ("options", "what", "seen"),
    [
        ({"parallel": 0}, "parallel is no number of readers", "0"),
        ({"batch_size": 0}, "the batch size is no number of rows", "0"),
        ({"on_unrepresentable": "reject"}, "rejected rows would be lost", None),
        ({"on_unrepresentable": "guess"}, "unknown policy for values that do not fit", "guess"),
    ],
)
def test_options_that_mean_nothing(
    postgres_source: PostgresConnector,
    hands: PostgresHands,
    options: dict[str, Any],
    what: str,
    seen: str | None,
) -> None:
    hands.run("CREATE TABLE t (id integer)")
    with pytest.raises(ConfigurationError) as caught:
        list(postgres_source.extract("t", **options))
    assert (caught.value.what, caught.value.seen) == (what, seen)


def test_a_program_needs_no_main_guard(
    postgres_source: PostgresConnector, hands: PostgresHands, tmp_path: Path
) -> None:
    hands.run(f"CREATE TABLE t AS {FILL}")
    script = tmp_path / "read.py"
    script.write_text(
        "import json, sys\n"
        "from sqlmodel_framework import PostgresConfig, PostgresConnector\n"
        "source = PostgresConnector(PostgresConfig(**json.loads(sys.stdin.readline())))\n"
        "print(sum(batch.num_rows for batch in source.extract('t', parallel=2)))\n"
    )
    child = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(plain(postgres_source)) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert (child.stdout, child.stderr) == ("60000\n", "")
