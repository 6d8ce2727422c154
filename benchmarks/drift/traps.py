"""Databases that are as the classes say, in other words: a finding is a false alarm.

Some are created by statements of another hand, as a database may be that this project did not deploy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Interval,
    MetaData,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.sql.schema import SchemaItem

from sqlmodel_framework.benchmarks.drift.pairs import DIALECTS, MYSQL, Build, item, keyless

Statements = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Trap:
    """Two equal databases: `classes`, and by `statements` of a dialect the same in other words."""

    name: str
    classes: Build
    on: tuple[str, ...] = DIALECTS
    statements: Statements = field(default_factory=dict)


_SHOP_COLUMNS = "id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL"
_SHOPS = (
    "CREATE TABLE depot (id INTEGER NOT NULL PRIMARY KEY)",
    f"CREATE TABLE shop ({_SHOP_COLUMNS}, CONSTRAINT shop_number UNIQUE (number), CONSTRAINT shop_id_number UNIQUE (id, number))",
)


def by_hand(dialects: tuple[str, ...], *statements: str) -> Statements:
    """The shops, and what these statements make, in several dialects."""
    return dict.fromkeys(dialects, (*_SHOPS, *statements))


def keyed(*parts: SchemaItem) -> MetaData:
    """The table `item` with a key and these parts."""
    return keyless(Column("id", Integer, primary_key=True, autoincrement=False), *parts)


def _referring(**options: str) -> MetaData:
    key = ForeignKeyConstraint(["shop_id"], ["shop.id"], name="item_shop", **options)  # type: ignore[arg-type]
    return keyless(
        Column("id", Integer, primary_key=True, autoincrement=False), Column("shop_id", Integer), key
    )


_REFERRING = (
    "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, shop_id INTEGER,"
    " CONSTRAINT item_shop FOREIGN KEY (shop_id) REFERENCES shop (id){})"
)


def _twice() -> MetaData:
    both = Enum("x", "y", name="both")
    return item(Column("a", both), Column("b", both, server_default="x"))


TRAPS = (
    Trap(
        "IN printed as = ANY",
        lambda: item(
            CheckConstraint("value IN (1, 2, 3)", name="values"),
            CheckConstraint("name IN ('a', 'b') AND name NOT IN ('c', 'd')", name="names"),
        ),
    ),
    Trap(
        "::text casts",
        lambda: item(
            Column("label", String(10), server_default="x"),
            CheckConstraint("label <> 'y' OR name LIKE 'z%'", name="labels"),
            Index("item_label", text("(label || 'x')")),
        ),
        on=("sqlite", "postgresql"),
    ),
    Trap(
        "SERIAL's nextval",
        lambda: keyless(Column("id", Integer, primary_key=True)),
        statements=by_hand(("postgresql",), "CREATE TABLE item (id SERIAL NOT NULL, PRIMARY KEY (id))"),
    ),
    Trap(
        "unique constraints listed twice",
        lambda: item(
            Column("a", Integer, unique=True),
            Column("b", Integer, unique=True, index=True),
            Column("c", Integer),
            UniqueConstraint("a", "c", name="a_c"),
            Index("c_a", "c", "a", unique=True),
        ),
    ),
    Trap("FLOAT(53)", lambda: item(Column("a", Float(53)), Column("b", Float(24)), Column("c", Float()))),
    Trap(
        "expression text re-printed",
        lambda: item(
            Column("next", Integer, Computed("value+1*2", persisted=True)),
            CheckConstraint("value>0 and (value<10 or value between 20 and 30)", name="sane"),
            CheckConstraint("not (value = 5) and value != 6", name="other"),
        ),
    ),
    Trap(
        "index expression text re-printed",
        lambda: item(
            Index("by_lower", text("lower(name)")),
            Index("by_part", "value", sqlite_where=text("value>3"), postgresql_where=text("value>3")),
        ),
        on=("sqlite", "postgresql"),
    ),
    Trap(
        "BOOLEAN as TINYINT(1)",
        lambda: item(
            Column("a", Boolean),
            Column("b", Boolean(create_constraint=True, name="b_is_boolean")),
            Column("c", Boolean(create_constraint=True)),
        ),
    ),
    Trap("JSON as LONGTEXT with CHECK", lambda: item(Column("a", JSON), Column("b", JSON, nullable=False))),
    Trap(
        "CURRENT_TIMESTAMP spellings",
        lambda: item(
            Column("a", DateTime, server_default=func.now()),
            Column("b", DateTime, server_default=text("CURRENT_TIMESTAMP")),
            Column("c", DateTime, server_default=func.current_timestamp()),
        ),
    ),
    Trap(
        "CURRENT_TIMESTAMP by another hand",
        lambda: keyed(Column("seen", DateTime, server_default=func.now())),
        on=MYSQL,
        statements=by_hand(
            MYSQL, "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, seen DATETIME DEFAULT LOCALTIMESTAMP)"
        ),
    ),
    Trap(
        "true default as 1",
        lambda: item(
            Column("a", Boolean, server_default=true()),
            Column("b", Boolean, server_default=false()),
            Column("c", Boolean, server_default="1"),
        ),
    ),
    Trap("implicit foreign-key indexes", _referring),
    Trap(
        "implicit foreign-key indexes, one declared",
        lambda: item(
            Column("shop_id", Integer, index=True),
            Column("other", Integer),
            ForeignKeyConstraint(["shop_id"], ["shop.id"]),
            ForeignKeyConstraint(["other", "shop_id"], ["shop.id", "shop.number"]),
        ),
    ),
    Trap(
        "RESTRICT hidden",
        lambda: _referring(ondelete="RESTRICT", onupdate="RESTRICT"),
        on=MYSQL,
        statements=by_hand(MYSQL, _REFERRING.format("")),
    ),
    Trap(
        "RESTRICT in the database only",
        _referring,
        on=MYSQL,
        statements=by_hand(MYSQL, _REFERRING.format(" ON DELETE RESTRICT ON UPDATE NO ACTION")),
    ),
    Trap(
        "NO ACTION declared",
        lambda: _referring(ondelete="NO ACTION"),
        statements=by_hand(DIALECTS, _REFERRING.format("")),
    ),
    Trap("unset precision", lambda: item(Column("a", Numeric), Column("b", Numeric(12)))),
    Trap(
        "unnamed UNIQUE and CHECK",
        lambda: item(
            UniqueConstraint("name", "value"),
            CheckConstraint("value > 0"),
            CheckConstraint("value < 9"),
        ),
    ),
    Trap(
        "default parentheses",
        lambda: keyed(
            Column("a", Integer, server_default=text("5")),
            Column("b", Integer, server_default=text("-5")),
            Column("c", String(20), server_default="it's"),
        ),
        statements=by_hand(
            ("sqlite", "postgresql", "mariadb"),
            "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, a INTEGER DEFAULT (5), b INTEGER DEFAULT (-5),"
            " c VARCHAR(20) DEFAULT ('it''s'))",
        ),
    ),
    Trap(
        "default by a function, parentheses",
        lambda: keyed(Column("seen", DateTime, server_default=func.now())),
        on=("sqlite",),
        statements=by_hand(
            ("sqlite",),
            "CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, seen DATETIME DEFAULT CURRENT_TIMESTAMP)",
        ),
    ),
    Trap(
        "bracket-quoted names",
        lambda: keyed(Column("name", String(50)), Column("value", Integer)),
        on=("sqlite",),
        statements=by_hand(
            ("sqlite",),
            'CREATE TABLE [item] ([id] INTEGER NOT NULL, "name" VARCHAR(50), `value` INTEGER, PRIMARY KEY ([id]))',
        ),
    ),
    Trap(
        "bracket-quoted names of constraints",
        lambda: keyless(
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("shop_id", Integer),
            UniqueConstraint("shop_id", name="once"),
            CheckConstraint("shop_id > 0", name="sane"),
            ForeignKeyConstraint(["shop_id"], ["shop.id"], name="item_shop"),
        ),
        on=("sqlite",),
        statements=by_hand(
            ("sqlite",),
            "create table [item] ([id] integer not null, [shop_id] integer, primary key ([id]),"
            " constraint [once] unique ([shop_id]), constraint [sane] check ([shop_id] > 0),"
            " constraint [item_shop] foreign key ([shop_id]) references [shop] ([id]))",
        ),
    ),
    Trap(
        "small letters, comments and line ends",
        lambda: keyed(Column("name", String(50))),
        on=("sqlite",),
        statements=by_hand(
            ("sqlite",),
            "create table item ( -- goods, (all of them)\n  id integer not null primary key, /* key */\r\n\tname varchar(50)\n)",
        ),
    ),
    Trap(
        "names in need of quotes",
        lambda: keyless(
            Column("order", Integer, primary_key=True, autoincrement=False),
            Column("Größe", Integer),
            Column('a"b', Integer),
            Column("per cent", Integer),
            Column("it's", String(5), server_default="it's"),
            UniqueConstraint("Größe", "per cent", name="of, both"),
            Index("Item by Größe", "Größe"),
        ),
    ),
    Trap(
        "enum as type and as text",
        lambda: item(
            Column("a", Enum("red", "it's", "a,b", name="colour")),
            Column("b", Enum("red", "it's", name="shade", native_enum=False, create_constraint=True)),
            Column("c", Enum("red", name="tone"), server_default="red"),
        ),
    ),
    Trap(
        "display width",
        lambda: keyed(Column("a", Integer)),
        on=("mysql",),
        statements=by_hand(("mysql",), "CREATE TABLE item (id INT(11) NOT NULL PRIMARY KEY, a INT(5))"),
    ),
    Trap(
        "charset that is the default",
        lambda: item(
            Column("a", mysql.VARCHAR(20, charset="utf8mb4")), Column("b", Text), mysql_charset="utf8mb4"
        ),
        on=MYSQL,
    ),
    Trap(
        "TIMESTAMP columns",
        lambda: item(
            Column("a", mysql.TIMESTAMP, nullable=False),
            Column("b", mysql.TIMESTAMP, nullable=True),
            Column("c", mysql.TIMESTAMP(fsp=3), server_default=text("CURRENT_TIMESTAMP(3)")),
        ),
        on=MYSQL,
    ),
    Trap(
        "types that PostgreSQL prints in other words",
        lambda: item(
            Column("a", Interval),
            Column("b", postgresql.ARRAY(String(5)), server_default="{}"),
            Column("c", postgresql.JSONB, server_default=text("'{}'::jsonb")),
            Column("d", Uuid, server_default=text("gen_random_uuid()")),
            Column("e", postgresql.TIMESTAMP(timezone=True, precision=3)),
            Column("f", postgresql.DOMAIN("code", String(5), check="VALUE <> ''")),
            Column("g", Integer, Identity(always=True, start=5, cycle=True)),
            Column("h", postgresql.BIT(4), server_default=text("B'1010'")),
        ),
        on=("postgresql",),
    ),
    Trap(
        "texts with percent, quotes, backslash, colon and line end",
        lambda: item(
            Column("a", String(50), server_default="50% \\ 'x' \n é :b \"q\"", comment="50% \\ 'x'\n é :b"),
            Column("b", Enum("50%", "a\\b", "é", "a b", name="odd texts")),
            CheckConstraint("name <> '50%'", name="percent"),
            comment="it's 100% \\ \n",
        ),
    ),
    Trap(
        "one enum type for two columns",
        _twice,
    ),
    Trap(
        "equal parts twice",
        lambda: item(
            CheckConstraint("value > 0"),
            CheckConstraint("value > 0"),
            Index("i1", "value"),
            Index("i2", "value"),
        ),
    ),
    Trap(
        "foreign keys in a circle",
        lambda: item(Column("up", Integer), ForeignKeyConstraint(["up"], ["item.id"], ondelete="SET NULL")),
    ),
    Trap(
        "long names",
        lambda: keyed(
            Column("a" * 60, Integer, index=True, unique=True), Column("b" * 60, Integer, index=True)
        ),
    ),
    Trap(
        "defaults and conditions that PostgreSQL prints in other words",
        lambda: item(
            Column("a", postgresql.ARRAY(Integer), server_default=text("ARRAY[]::integer[]")),
            Column("b", Date, server_default=text("CURRENT_DATE")),
            Column("c", DateTime, server_default=text("timezone('utc', now())")),
            Column("d", Numeric(5, 2), server_default=text("-1.50")),
            Column("e", Interval, server_default=text("'1 day'")),
            Column("f", String(5, collation="default")),
            CheckConstraint("name ~ '^[a-z]+$'", name="letters"),
            CheckConstraint("b > '2020-01-01' AND b < date '2030-01-01'", name="span"),
            Index("words", text("to_tsvector('english', name)"), postgresql_using="gin"),
            Index("by_pattern", text("lower(name) text_pattern_ops")),
            Index("some", "name", postgresql_where=text("name IS NOT NULL AND value IN (1,2)")),
        ),
        on=("postgresql",),
    ),
    Trap(
        "types that MariaDB and MySQL print in other words",
        lambda: item(
            Column("a", mysql.BIT(1), server_default=text("b'1'")),
            Column("b", mysql.YEAR),
            Column("c", mysql.DECIMAL(10, 2, unsigned=True, zerofill=True)),
            Column("d", mysql.ENUM("a", "b", collation="utf8mb4_bin")),
            Column("e", JSON, server_default=text("('{}')")),
            Column("f", String(50), Computed("concat(name, 'é x')")),
            Column("g", mysql.TINYTEXT),
            Column("h", String(50), server_default=text("(concat('a', 'b'))")),
            CheckConstraint("name in ('é','b') and value between 1 and 5", name="some"),
        ),
        on=MYSQL,
    ),
)
