"""Connectors in general: they come through entry points, and the suite for them finds what is wrong with one."""

from __future__ import annotations

import textwrap
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from sqlmodel_framework import MySQLConnector, PostgresConnector
from sqlmodel_framework.base.connectors import installed
from sqlmodel_framework.base.errors import ConfigurationError


def test_our_connectors_come_through_entry_points() -> None:
    assert {"mysql", "postgres"} <= set(installed.installed_connectors())
    assert installed.connector_class("postgres") is PostgresConnector
    assert installed.connector_class("mysql") is MySQLConnector


def test_an_unknown_connector_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        installed.connector_class("oracle")
    known = ", ".join(installed.installed_connectors())
    assert str(caught.value) == (
        f"no connector of this name is installed; seen: oracle; expected: one of {known}; next: install the package that"
        " has it, or this one again, so that its entry points are registered"
    )


@pytest.mark.parametrize(("value", "refused"), [("other:Thing", True), ("shop:Connector", False)])
def test_a_name_that_two_packages_define(monkeypatch: pytest.MonkeyPatch, value: str, refused: bool) -> None:
    group = "sqlmodel_framework.connectors"
    points = [EntryPoint("shop", "shop:Connector", group), EntryPoint("shop", value, group)]
    monkeypatch.setattr(installed, "entry_points", lambda group: points)
    installed._entry_points.cache_clear()
    try:
        if refused:
            with pytest.raises(ConfigurationError, match="two installed packages"):
                installed.installed_connectors()
        else:
            assert installed.installed_connectors() == ["shop"]
    finally:
        installed._entry_points.cache_clear()


FAKE = textwrap.dedent('''
    import threading
    from contextlib import suppress
    import pandas as pd
    import pyarrow as pa
    import pytest
    from sqlmodel_framework.base.connectors.base import TableDescription
    from sqlmodel_framework.base.connectors.conformance import ConnectorConformance
    from sqlmodel_framework.base.errors import ExtractionError

    class Memory:
        """A connector to tables in memory."""

        def __init__(self):
            self.tables, self.keys, self.open = {}, {}, 0

        @property
        def host(self):
            return None

        def found(self, table):
            if table not in self.tables:
                raise ExtractionError("unknown table", where=f"table {table}", seen=table)
            return self.tables[table]

        def get_tables(self, schema=None):
            return sorted(self.tables)

        def schema(self, table):
            return self.found(table).schema

        def describe(self, table):
            return TableDescription(table, self.schema(table), self.keys[table])

        def count(self, table):
            return self.found(table).num_rows

        def read_dataframe(self, table):
            return pa.Table.from_batches(self.extract(table)).to_pandas(types_mapper=pd.ArrowDtype)

        def chosen(self, table, columns):
            rows = self.found(table)
            unknown = set(columns or ()) - set(rows.schema.names)
            if unknown:
                names = ", ".join(rows.schema.names)
                raise ExtractionError("unknown column", where=f"table {table}", seen=", ".join(unknown), expected=names)
            return rows.select(columns or rows.schema.names)

        def extract(self, table, *, columns=None, batch_size=65536):
            rows = self.chosen(table, columns)
            self.open += 1
            try:
                if not rows.num_rows:
                    yield pa.RecordBatch.from_pylist([], schema=rows.schema)
                yield from rows.to_batches(max_chunksize=batch_size)
            finally:
                self.open -= 1

    class Source:
        def __init__(self, connector):
            self.connector = connector

        def create(self, table, rows, primary_key=()):
            self.connector.tables[table] = rows
            self.connector.keys[table] = tuple(primary_key)

        def append(self, table, rows):
            self.connector.tables[table] = pa.concat_tables([self.connector.tables[table], rows])

        def busy(self):
            return self.connector.open > 0

    class TestGood(ConnectorConformance):
        @pytest.fixture
        def source(self):
            return Source(Memory())
    ''')

# What is wrong with a connector, as the body of a subclass, and a test that must find it.
DEFECTS: dict[str, tuple[str, str]] = {
    "NoCount": ("count = None", "test_it_has_every_method"),
    "EmptyHost": ("host = ''", "test_it_has_every_method"),
    "Unsorted": (
        "get_tables = lambda self, schema=None: list(self.tables)",
        "test_tables_are_listed_and_sorted",
    ),
    "Texts": (
        (
            "found = lambda self, table: pa.table({n: [None if v is None else str(v) for v in c] for n, c in"
            " Memory.found(self, table).to_pydict().items()})"
        ),
        "test_values_stay_what_they_are",
    ),
    "OtherSchema": (
        "schema = lambda self, table: pa.schema([*self.found(table).schema, pa.field('more', pa.int8())])",
        "test_all_batches_have_the_schema_that_was_told",
    ),
    "NoBatch": (
        (
            "extract = lambda self, table, *, columns=None, batch_size=65536:"
            " (b for b in Memory.extract(self, table, columns=columns, batch_size=batch_size) if b.num_rows)"
        ),
        "test_a_table_without_rows_has_a_batch_and_types",
    ),
    "Lossy": (
        "found = lambda self, table: Memory.found(self, table).slice(0, 40000)",
        "test_every_row_comes_once_in_batches_of_the_size_asked_for",
    ),
    "Huge": (
        (
            "extract = lambda self, table, *, columns=None, batch_size=65536:"
            " Memory.extract(self, table, columns=columns)"
        ),
        "test_every_row_comes_once_in_batches_of_the_size_asked_for",
    ),
    "OwnOrder": (
        "chosen = lambda self, table, columns: Memory.chosen(self, table, sorted(columns or []))",
        "test_columns_come_in_the_order_asked_for",
    ),
    "Lenient": (
        (
            "chosen = lambda self, table, columns: self.found(table).select([c for c in columns or"
            " self.found(table).schema.names if c in self.found(table).schema.names])"
        ),
        "test_a_column_that_is_not_there_is_refused",
    ),
    "NoError": (
        "found = lambda self, table: self.tables.get(table, pa.table({'id': [1]}))",
        "test_a_table_that_is_not_there_is_refused",
    ),
    "NoKey": (
        "describe = lambda self, table: TableDescription(table, self.schema(table))",
        "test_the_primary_key_is_told",
    ),
    "Cut": (
        "chosen = lambda self, table, columns: Memory.chosen(self, table.partition(';')[0], columns)",
        "test_a_name_is_only_a_name",
    ),
    "Floats": (
        "read_dataframe = lambda self, table: pa.Table.from_batches(self.extract(table)).to_pandas()",
        "test_a_dataframe_keeps_whole_numbers_beside_nulls",
    ),
    "Later": (
        """def extract(self, table, *, columns=None, batch_size=65536):
        at = 0
        while at < self.count(table):
            yield from self.tables[table].slice(at, batch_size).to_batches()
            at += batch_size""",
        "test_all_rows_are_of_one_moment",
    ),
    "Holding": (
        """def extract(self, table, *, columns=None, batch_size=65536):
        self.open += 1
        yield from Memory.extract(self, table, columns=columns, batch_size=batch_size)
        self.open -= 1""",
        "test_a_consumer_that_stops_early_leaves_nothing",
    ),
    "Swallowing": (
        """def extract(self, table, *, columns=None, batch_size=65536):
        with suppress(ZeroDivisionError):
            yield from Memory.extract(self, table, columns=columns, batch_size=batch_size)""",
        "test_a_consumer_that_fails_leaves_nothing",
    ),
    "Staying": (
        """def extract(self, table, *, columns=None, batch_size=65536):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        yield from Memory.extract(self, table, columns=columns, batch_size=batch_size)""",
        "test_a_reading_to_the_end_leaves_nothing",
    ),
    "Alone": (
        """def extract(self, table, *, columns=None, batch_size=65536):
        self.current = table
        for batch in Memory.extract(self, table, columns=columns, batch_size=100):
            threading.Event().wait(0.002)
            yield self.tables[self.current].slice(0, batch.num_rows).to_batches()[0]""",
        "test_threads_share_a_connector",
    ),
    "Shared": (
        """def extract(self, table, *, columns=None, batch_size=65536):
        if not self.open:
            self.rows = Memory.extract(self, table, columns=columns, batch_size=batch_size)
        yield from self.rows""",
        "test_two_readings_do_not_mix",
    ),
    "Talking": (
        """def chosen(self, table, columns):
        try:
            return Memory.chosen(self, table, columns)
        except ExtractionError as exc:
            exc.where = str(self.tables.get(table))
            raise""",
        "test_errors_show_no_values",
    ),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come about need not be waited for."""
    from sqlmodel_framework.base.connectors import conformance

    monkeypatch.setattr(conformance, "_comes_about", lambda condition: condition())


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> Any:
    pytester.makepyfile(test_made=text)
    return pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider", *arguments)


def test_a_good_connector_passes(pytester: pytest.Pytester, quick: None) -> None:
    outcomes = run(pytester, FAKE).parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] > 25


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(pytester: pytest.Pytester, quick: None, name: str) -> None:
    body, found_by = DEFECTS[name]
    text = FAKE.partition("class TestGood")[0] + textwrap.dedent(f"""
class {name}(Memory):
    {body}

class TestIt(ConnectorConformance):
    @pytest.fixture
    def source(self):
        return Source({name}())
""")
    result = run(pytester, text, "-k", found_by)
    assert result.parseoutcomes().get("failed", 0) > 0


def test_the_suite_asks_for_its_source(pytester: pytest.Pytester) -> None:
    text = FAKE.partition("class TestGood")[0] + "class TestIt(ConnectorConformance):\n    pass\n"
    result = run(pytester, text, "-k", "every_method")
    result.stdout.fnmatch_lines(["*a subclass of ConnectorConformance has the fixture `source`*"])
