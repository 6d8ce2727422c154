"""Databases that are as the classes say after a history: altered, renamed, filled, or created by another hand."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
)

from sqlmodel_framework.benchmarks.drift.pairs import DIALECTS, MYSQL, item, keyless
from sqlmodel_framework.benchmarks.drift.traps import Trap, by_hand, keyed

_LITE = ("sqlite",)
_PG = ("postgresql",)
_ITEM = "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(50), value INTEGER NOT NULL)"
_FILLED = ("INSERT INTO item (a) VALUES (1), (2)",)


def _counted(**options: bool) -> MetaData:
    return keyless(Column("id", Integer, primary_key=True), Column("a", Integer), **options)


def _constrained() -> MetaData:
    return keyed(
        Column("a", Integer, nullable=False),
        UniqueConstraint("a"),
        CheckConstraint("a > 0"),
    )


HISTORIES = (
    Trap(
        "a column was dropped",
        lambda: keyed(Column("a", Integer)),
        on=("postgresql", *MYSQL),
        statements=by_hand(
            ("postgresql", *MYSQL),
            "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, x INTEGER)",
            "ALTER TABLE item DROP COLUMN x",
            "ALTER TABLE item ADD COLUMN a INTEGER",
        ),
    ),
    Trap(
        "table and columns were renamed, dropped and added",
        lambda: keyed(Column("a", Integer), Column("c", String(50), server_default="x")),
        on=_LITE,
        statements=by_hand(
            _LITE,
            "CREATE TABLE old (id INTEGER NOT NULL PRIMARY KEY, x INTEGER, b INTEGER)",
            "ALTER TABLE old RENAME TO item",
            "ALTER TABLE item DROP COLUMN x",
            "ALTER TABLE item RENAME COLUMN b TO a",
            "ALTER TABLE item ADD COLUMN c VARCHAR(50) DEFAULT 'x'",
        ),
    ),
    Trap(
        "the table of a sequence was renamed",
        lambda: keyless(Column("id", Integer, primary_key=True)),
        on=_PG,
        statements=by_hand(
            _PG, "CREATE TABLE old (id SERIAL NOT NULL PRIMARY KEY)", "ALTER TABLE old RENAME TO item"
        ),
    ),
    Trap(
        "BIGSERIAL",
        lambda: keyless(Column("id", BigInteger, primary_key=True)),
        on=_PG,
        statements=by_hand(_PG, "CREATE TABLE item (id BIGSERIAL PRIMARY KEY)"),
    ),
    Trap(
        "rows were inserted and counted",
        _counted,
        statements={
            **by_hand(_PG, "CREATE TABLE item (id SERIAL PRIMARY KEY, a INTEGER)", *_FILLED, "ANALYZE item"),
            **by_hand(
                MYSQL, "CREATE TABLE item (id INTEGER AUTO_INCREMENT PRIMARY KEY, a INTEGER)", *_FILLED
            ),
            **by_hand(
                _LITE, "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, a INTEGER)", *_FILLED, "ANALYZE"
            ),
        },
    ),
    Trap(
        "rows were inserted with AUTOINCREMENT",
        lambda: _counted(sqlite_autoincrement=True),
        on=_LITE,
        statements=by_hand(
            _LITE, "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, a INTEGER)", *_FILLED
        ),
    ),
    Trap(
        "INTEGER PRIMARY KEY without NOT NULL",
        _counted,
        on=_LITE,
        statements=by_hand(_LITE, "CREATE TABLE item (id INTEGER PRIMARY KEY, a INTEGER)"),
    ),
    Trap(
        "constraints behind their columns",
        _constrained,
        statements=by_hand(
            DIALECTS,
            "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, a INTEGER NOT NULL UNIQUE CHECK (a > 0))",
        ),
    ),
    Trap(
        "unnamed constraints that another hand named",
        _constrained,
        statements=by_hand(
            DIALECTS,
            "CREATE TABLE item (id INTEGER NOT NULL, a INTEGER NOT NULL, CONSTRAINT theirs UNIQUE (a),"
            " CONSTRAINT positive CHECK (a > 0), PRIMARY KEY (id))",
        ),
    ),
    Trap(
        "REFERENCES behind its column",
        lambda: keyed(Column("shop_id", Integer), ForeignKeyConstraint(["shop_id"], ["shop.id"])),
        on=("sqlite", "postgresql"),
        statements=by_hand(
            ("sqlite", "postgresql"),
            "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, shop_id INTEGER REFERENCES shop)",
        ),
    ),
    Trap(
        "constraints in another order",
        lambda: keyed(
            Column("a", Integer),
            CheckConstraint("a > 0", name="first"),
            CheckConstraint("a < 9", name="second"),
            UniqueConstraint("a", name="once"),
            UniqueConstraint("a", "id", name="pair"),
        ),
        statements=by_hand(
            DIALECTS,
            "CREATE TABLE item (id INTEGER NOT NULL, a INTEGER, CONSTRAINT pair UNIQUE (a, id),"
            " CONSTRAINT second CHECK (a < 9), CONSTRAINT once UNIQUE (a), CONSTRAINT first CHECK (a > 0),"
            " PRIMARY KEY (id))",
        ),
    ),
    Trap(
        "IF NOT EXISTS and ASC",
        lambda: keyed(Column("a", Integer), Index("find", "a")),
        on=_LITE,
        statements=by_hand(
            _LITE,
            'CREATE TABLE IF NOT EXISTS "main"."item" ("id" INTEGER NOT NULL, "a" INTEGER NULL, PRIMARY KEY ("id" ASC))',
            "CREATE INDEX IF NOT EXISTS main.[find] ON [item] ([a] ASC)",
        ),
    ),
    Trap(
        "index by another hand",
        lambda: keyed(Column("a", Integer, unique=True, index=True), Column("b", Integer, index=True)),
        on=_PG,
        statements=by_hand(
            _PG,
            "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, a INTEGER, b INTEGER)",
            "CREATE UNIQUE INDEX ix_item_a ON item (a)",
            "CREATE INDEX ix_item_b ON item USING btree (b ASC NULLS LAST)",
        ),
    ),
    Trap(
        "rules, statistics and rights of others",
        item,
        on=_PG,
        statements=by_hand(
            _PG,
            _ITEM,
            "CREATE RULE nothing AS ON UPDATE TO item DO ALSO NOTHING",
            "CREATE STATISTICS counts ON name, value FROM item",
            "GRANT SELECT ON item TO PUBLIC",
        ),
    ),
    Trap(
        "partitions of a partitioned table",
        lambda: item(postgresql_partition_by="RANGE (id)"),
        on=_PG,
        statements=by_hand(
            _PG,
            f"{_ITEM} PARTITION BY RANGE (id)",
            "CREATE TABLE item_1 PARTITION OF item FOR VALUES FROM (0) TO (100)",
        ),
    ),
)
