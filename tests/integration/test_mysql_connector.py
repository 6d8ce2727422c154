"""The MySQL connector passes the suite for connectors, on MariaDB and on MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from sqlalchemy import text

from sqlmodel_framework import TargetConfig, create_engine_for_target
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


@pytest.mark.mysql
class TestMySQLConnector(ConnectorConformance):
    @pytest.fixture
    def source(self, mysql_database: TargetConfig) -> MySQLUnderTest:
        return MySQLUnderTest(mysql_database)

    def given(self, kind: pa.DataType) -> pa.DataType | None:
        if pa.types.is_boolean(kind):
            return pa.int8()
        return kind


@pytest.mark.mysql
class TestGroupsOfLines:
    @pytest.fixture
    def source(self, mysql_database: TargetConfig) -> MySQLUnderTest:
        return MySQLUnderTest(mysql_database)

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
