"""The MySQL connector passes the suite for connectors, on MariaDB and on MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from sqlalchemy import text

from sqlmodel_framework import (
    ConfigurationError,
    ExtractionError,
    TargetConfig,
    TryAgainError,
    create_engine_for_target,
)
from sqlmodel_framework.base.connectors.base import ForeignKey
from sqlmodel_framework.base.connectors.conformance import ConnectorConformance, ids, numbers
from sqlmodel_framework.base.connectors.mysql import MySQLConfig, MySQLConnector
from sqlmodel_framework.base.connectors.mysql_types import quoted

_TYPES = {
    pa.bool_(): "boolean",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.decimal128(12, 2): "decimal(12,2)",
    pa.string(): "text",
    pa.binary(): "blob",
    pa.date32(): "date",
    pa.timestamp("us"): "datetime(6)",
    pa.timestamp("us", tz="UTC"): "timestamp(6) null",
}


class MySQLUnderTest:
    """Tables of the connector's database, written by the driver."""

    def __init__(self, target: TargetConfig) -> None:
        self._sql = create_engine_for_target(target)
        self.connector = MySQLConnector(
            MySQLConfig.from_target(target, application_name=f"reader_{uuid4().hex[:8]}")
        )

    def create(self, table: str, rows: pa.Table, primary_key: Sequence[str] = ()) -> None:
        parts = [f"{quoted(one.name)} {_TYPES[one.type]}" for one in rows.schema]
        if primary_key:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, primary_key))})")
        self.run(f"CREATE TABLE {quoted(table)} ({', '.join(parts)}) CHARACTER SET utf8mb4")
        self.append(table, rows)

    def append(self, table: str, rows: pa.Table) -> None:
        places = ", ".join(["%s"] * rows.num_columns)
        statement = f"INSERT INTO {quoted(table).replace('%', '%%')} VALUES ({places})"
        with closing(self._sql.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.executemany(
                statement, [tuple(map(_sent, row)) for row in zip(*rows.to_pydict().values(), strict=True)]
            )
            connection.commit()

    def run(self, statement: str) -> None:
        with closing(self._sql.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            connection.commit()

    def busy(self) -> bool:
        with self._sql.begin() as connection:
            found = connection.execute(
                text(
                    "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
                )
            )
            return bool(found.scalar_one())


def _sent(value: Any) -> Any:
    return value.replace(tzinfo=None) if getattr(value, "tzinfo", None) else value


class ByLine(MySQLUnderTest):
    """Tables as they are given: without a key they are read by one statement."""


class ByGroup(MySQLUnderTest):
    """Tables with a key of whole numbers where they can have one: they are read by ranges of it."""

    def create(self, table: str, rows: pa.Table, primary_key: Sequence[str] = ()) -> None:
        first = rows.column(0)
        keyed = pa.types.is_integer(first.type) and not first.null_count
        super().create(table, rows, primary_key or (rows.column_names[:1] if keyed else ()))


@pytest.mark.mysql
class TestReadingByLine(ConnectorConformance):
    @pytest.fixture
    def source(self, mysql_database: TargetConfig) -> MySQLUnderTest:
        return ByLine(mysql_database)

    def given(self, kind: pa.DataType) -> pa.DataType | None:
        # BOOLEAN is TINYINT(1).
        return pa.int8() if pa.types.is_boolean(kind) else kind


@pytest.mark.mysql
class TestReadingByGroup(TestReadingByLine):
    @pytest.fixture
    def source(self, mysql_database: TargetConfig) -> MySQLUnderTest:
        return ByGroup(mysql_database)

    def test_all_rows_are_of_one_moment(self, source: MySQLUnderTest) -> None:  # type: ignore[override]
        source.create("t", numbers(50_000))
        with closing(source.connector.extract("t", batch_size=100)) as batches:
            first = next(batches)
            source.append("t", pa.table({"id": range(-10, 0), "word": ["new"] * 10}))
            assert ids([first, *batches]) == list(range(50_000))


@pytest.mark.mysql
class TestWhatTheServerDoes:
    @pytest.fixture
    def source(self, mysql_database: TargetConfig) -> MySQLUnderTest:
        return MySQLUnderTest(mysql_database)

    @pytest.mark.parametrize("key", ["PRIMARY KEY", ""], ids=["grouped", "by line"])
    @pytest.mark.parametrize("kind", ["LONGBLOB", "LONGTEXT"])
    def test_a_value_that_the_server_cannot_print_is_no_null(
        self, source: MySQLUnderTest, key: str, kind: str
    ) -> None:
        source.run(f"CREATE TABLE t (id INT {key}, v {kind})")
        for number, length in enumerate((10, 15_500_000)):
            source.run(f"INSERT INTO t VALUES ({number}, REPEAT('\"', {length}))")
        if packet_of(source) > 40_000_000:
            (value,) = source.connector.extract("SELECT v FROM t WHERE id = 1", query=True)
            assert len(value.column("v")[0].as_py()) == 15_500_000
            return
        with pytest.raises(ExtractionError, match="longer than the server can send"):
            list(source.connector.extract("t"))
        assert ids(source.connector.extract("t", columns=["id"])) == [0, 1]

    def test_wide_rows_come_in_small_blocks(self, source: MySQLUnderTest) -> None:
        source.run("CREATE TABLE t (id INT, v LONGTEXT)")
        source.run("INSERT INTO t SELECT 1, REPEAT('x', 1000000)")
        for _ in range(5):
            source.run("INSERT INTO t SELECT * FROM t")
        sizes = [batch.num_rows for batch in source.connector.extract("t")]
        assert sum(sizes) == 32
        assert max(sizes) <= 5

    def test_a_limit_of_the_server_limits_nothing(self, source: MySQLUnderTest) -> None:
        source.create("t", numbers(100))
        config = replace(source.connector.config, parameters={"sql_mode": "ANSI"})
        connector = MySQLConnector(config)
        with closing(connector.get_connection()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@sql_select_limit, @@sql_mode, @@net_write_timeout")
            assert cursor.fetchone() == (2**64 - 1, "", 86_400)
        assert ids(connector.extract("t")) == list(range(100))

    def test_points_in_time_are_compared_in_utc(self, source: MySQLUnderTest) -> None:
        source.run("CREATE TABLE t (id INT, at TIMESTAMP NULL)")
        source.run("INSERT INTO t VALUES (1, '2024-05-01 08:00:00'), (2, '2024-05-01 10:00:00')")
        ten_in_berlin = datetime(2024, 5, 1, 10, tzinfo=timezone(timedelta(hours=2)))
        found = source.connector.extract("t", where="at = %(at)s", parameters={"at": ten_in_berlin})
        assert ids(found) == [1]

    @pytest.mark.parametrize("value", [object(), [], {"a": 1}])
    def test_a_value_that_the_driver_does_not_know_is_refused(
        self, source: MySQLUnderTest, value: Any
    ) -> None:
        source.create("t", numbers(1))
        with pytest.raises(ConfigurationError, match="do not fit the placeholders"):
            list(source.connector.extract("t", where="id = %(v)s", parameters={"v": value}))

    def test_a_condition_is_of_one_moment(self, source: MySQLUnderTest) -> None:
        source.create("t", numbers(30_000), primary_key=["id"])
        query = "SELECT id, NOW(6) + INTERVAL SLEEP(0) SECOND AS at FROM t"
        assert (
            len(pa.Table.from_batches(source.connector.extract(query, query=True)).column("at").unique()) == 1
        )
        assert ids(source.connector.extract("t", where="id = 77")) == [77]

    def test_the_database_of_the_option_file_is_the_one(self, source: MySQLUnderTest, tmp_path: Path) -> None:
        source.create("t", numbers(3), primary_key=["id"])
        given = source.connector.config
        file = tmp_path / "my.cnf"
        password = given.driver_parameters()["password"].decode()
        file.write_text(f"[client]\nuser={given.username}\npassword={password}\ndatabase={given.database}\n")
        connector = MySQLConnector(MySQLConfig(host=given.host, port=given.port, option_file=str(file)))
        assert connector.get_tables() == ["t"]
        assert connector.describe("t").primary_key == ("id",)
        file.write_text(f"password={password}\n")
        with pytest.raises(ConfigurationError) as caught:
            connector.get_tables()
        assert password not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__!r}"
        assert connector.test_connection() is False

    def test_a_locked_table_is_not_waited_for(self, source: MySQLUnderTest) -> None:
        source.create("t", numbers(3))
        connector = MySQLConnector(replace(source.connector.config, lock_timeout=1))
        with closing(source.connector.get_connection()) as other:
            other.query("LOCK TABLES t WRITE")
            with pytest.raises(TryAgainError, match="1205"):
                list(connector.extract("t"))

    def test_a_statement_that_takes_too_long(self, source: MySQLUnderTest) -> None:
        connector = MySQLConnector(replace(source.connector.config, statement_timeout=0.2))
        source.create("t", numbers(20))
        with pytest.raises(ExtractionError, match="statement_timeout"):
            list(connector.extract("SELECT SLEEP(0.1) AS s FROM t", query=True))

    def test_a_mistake_in_the_query_shows_no_parameter(self, source: MySQLUnderTest) -> None:
        with pytest.raises(ExtractionError, match="a mistake in the SQL") as caught:
            list(source.connector.extract("SELEC %(v)s", query=True, parameters={"v": "canary"}))
        assert "canary" not in f"{caught.value} {caught.value.__cause__}"

    def test_keys_are_told(self, source: MySQLUnderTest) -> None:
        source.run("CREATE TABLE p (a INT, b INT, c INT UNIQUE, PRIMARY KEY (a, b))")
        source.run("CREATE TABLE q (x INT PRIMARY KEY, b INT, a INT, FOREIGN KEY (a, b) REFERENCES p (a, b))")
        told = source.connector.describe("p")
        assert (told.primary_key, told.unique_keys) == (("a", "b"), (("c",),))
        assert source.connector.describe("q").foreign_keys == (ForeignKey(("a", "b"), "p", ("a", "b")),)

    def test_views_and_tables_without_transactions_are_read(self, source: MySQLUnderTest) -> None:
        source.create("t", numbers(10), primary_key=["id"])
        source.run("CREATE VIEW w AS SELECT id, word FROM t")
        source.run("CREATE TABLE m ENGINE=MyISAM AS SELECT * FROM t")
        for name in ("w", "m"):
            assert ids(source.connector.extract(name)) == list(range(10))
        assert source.connector.get_tables() == ["m", "t"]
        assert source.connector.count("t", where="id < %(n)s", parameters={"n": 4}) == 4

    def test_keys_without_a_sign_up_to_the_last(self, source: MySQLUnderTest) -> None:
        source.run("CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY)")
        source.run(f"INSERT INTO t VALUES (0), ({2**63}), ({2**64 - 1})")
        assert ids(source.connector.extract("t")) == [0, 2**63, 2**64 - 1]

    def test_sqlalchemy_and_pandas_read_and_cannot_write(self, source: MySQLUnderTest) -> None:
        source.create("t", numbers(3))
        with source.connector.connection_context() as connection:
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM t").scalar_one() == 3
        with (
            pytest.raises(ExtractionError, match="1792"),
            source.connector.connection_context() as connection,
        ):
            connection.exec_driver_sql("DELETE FROM t")

    def test_names_are_only_names_in_tables_with_a_key(self, source: MySQLUnderTest) -> None:
        for name in ("per%cent %s", "quote`d", "a.b", "{braces}"):
            source.create(name, pa.table({name: [1, 2], "v": ["%s", "%%"]}), primary_key=[name])
            (batch,) = source.connector.extract(name)
            assert batch.to_pydict() == {name: [1, 2], "v": ["%s", "%%"]}

    def test_keys_with_gaps_and_below_zero(self, source: MySQLUnderTest) -> None:
        keys = [-(2**63), -5, -1, 0, 1, 10**12, 2**63 - 1]
        source.create("t", pa.table({"id": keys}), primary_key=["id"])
        assert ids(source.connector.extract("t")) == keys

    def test_many_groups_give_every_row_once(self, source: MySQLUnderTest) -> None:
        source.create("t", numbers(30_000), primary_key=["id"])
        assert ids(source.connector.extract("t")) == list(range(30_000))
        found = source.connector.extract("t", where="id %% 3 = %(rest)s", parameters={"rest": 1})
        assert ids(found) == list(range(1, 30_000, 3))

    def test_a_group_that_the_server_cuts_is_read_by_line(self, source: MySQLUnderTest) -> None:
        texts = [chr(97 + number) * 3_000_000 for number in range(8)]
        source.create("t", pa.table({"id": range(8)}), primary_key=["id"])
        source.run("ALTER TABLE t ADD v LONGTEXT")
        source.run("UPDATE t SET v = REPEAT(CHAR(97 + id), 3000000)")
        assert pa.Table.from_batches(source.connector.extract("t")).column("v").to_pylist() == texts


def packet_of(source: MySQLUnderTest) -> int:
    with closing(source.connector.get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        (found,) = cursor.fetchone() or (0,)
        return int(found)
