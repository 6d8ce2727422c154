"""Every connector passes the suite that is shipped for connectors."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from psycopg2 import sql

from sqlmodel_framework import PostgresConnector
from sqlmodel_framework.base.connectors.conformance import ConnectorConformance
from sqlmodel_framework.tests.integration.postgres_sources import PostgresHands

_TYPES = {
    pa.bool_(): "boolean",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.decimal128(12, 2): "numeric(12,2)",
    pa.string(): "text",
    pa.binary(): "bytea",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}


class PostgresUnderTest:
    """Tables of the connector's schema, written by the driver."""

    def __init__(self, connector: PostgresConnector, hands: PostgresHands) -> None:
        self.connector = connector
        self._hands = hands

    def create(self, table: str, rows: pa.Table, primary_key: Sequence[str] = ()) -> None:
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(_TYPES[one.type]))
            for one in rows.schema
        ]
        if primary_key:
            columns.append(
                sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, primary_key)))
            )
        self._hands.run(
            sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), sql.SQL(", ").join(columns))
        )
        self.append(table, rows)

    def append(self, table: str, rows: pa.Table) -> None:
        places = sql.SQL(", ").join([sql.Placeholder()] * rows.num_columns)
        self._hands.insert_many(
            sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table.replace("%", "%%")), places),
            list(zip(*rows.to_pydict().values(), strict=True)),
        )

    def busy(self) -> bool:
        return bool(self._hands.sessions())


@pytest.mark.postgres
class TestPostgresConnector(ConnectorConformance):
    @pytest.fixture
    def source(self, postgres_source: PostgresConnector, hands: PostgresHands) -> PostgresUnderTest:
        return PostgresUnderTest(postgres_source, hands)
