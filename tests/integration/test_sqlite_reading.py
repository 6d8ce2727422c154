"""SQLite read in bulk: equal tables read equal however they were written, every change changes the reading, and mending mends."""

from __future__ import annotations

import enum
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData, Table, create_engine, event

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TryAgainError,
    cleanup_test_target,
    create_custom_target,
    deploy_data_objects,
    load_datakit,
    validate_deployment,
)
from sqlmodel_framework.engines.mending import PartKind
from sqlmodel_framework.engines.reading import Places, TableReading
from sqlmodel_framework.engines.sqlite_ddl_text import tokens_of
from sqlmodel_framework.engines.sqlite_engine import SQLiteEngine
from sqlmodel_framework.engines.sqlite_mending import SQLiteMending
from sqlmodel_framework.engines.sqlite_reading import read_tables

pytestmark = pytest.mark.sqlite

MAIN = Places({None: None})


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def read(*statements: str, name: str = "item") -> TableReading:
    """What one database says after these statements."""
    with closing(sqlite3.connect(":memory:")) as raw:
        engine = create_engine("sqlite://", creator=lambda: raw)
        with engine.connect() as opened:
            for statement in statements:
                opened.exec_driver_sql(statement)
            return read_tables(opened, [(None, name)], MAIN)[None, name]


# equal tables


class Colour(enum.Enum):
    """Stored as VARCHAR with a CHECK."""

    red = 1
    blue = 2


TYPES: list[sa.types.TypeEngine[Any]] = [
    sa.Integer(),
    sa.BigInteger(),
    sa.SmallInteger(),
    sa.Boolean(create_constraint=True),
    sa.String(),
    sa.String(20),
    sa.String(20, collation="NOCASE"),
    sa.Text(),
    sa.Unicode(5),
    sa.CHAR(3),
    sa.Numeric(),
    sa.Numeric(10, 2),
    sa.Float(),
    sa.Float(53),
    sa.Double(),
    sa.REAL(),
    sa.Date(),
    sa.Time(),
    sa.DateTime(),
    sa.DateTime(timezone=True),
    sa.TIMESTAMP(),
    sa.Interval(),
    sa.LargeBinary(),
    sa.LargeBinary(16),
    sa.JSON(),
    sa.Uuid(),
    sa.Enum(Colour, native_enum=False, create_constraint=True, name="colour"),
    sa.Enum("a", "it's", native_enum=False, create_constraint=True),
]


def rich_tables() -> MetaData:
    metadata = MetaData()
    Table(
        "shop",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("Name", sa.String(20), unique=True, server_default="it's"),
        sa.Column("opened", sa.DateTime, server_default=sa.func.current_timestamp()),
        sa.Column("is open", sa.Boolean, server_default=sa.true()),
        sqlite_autoincrement=True,
    )
    item = Table(
        "item",
        metadata,
        sa.Column("order", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(5), primary_key=True),
        sa.Column(
            "shop_id", sa.ForeignKey("shop.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED")
        ),
        sa.Column("parent", sa.Integer),
        sa.Column("price", sa.Numeric(10, 2), server_default=sa.text("(1 + 1)")),
        sa.Column("total", sa.Numeric(10, 2), sa.Computed("price * 2", persisted=True)),
        sa.Column("twice", sa.Numeric(10, 2), sa.Computed("price * 2", persisted=False)),
        *(sa.Column(f"c{at}", kind) for at, kind in enumerate(TYPES)),
        sa.CheckConstraint("price > 0 AND \"key\" <> 'x'"),
        sa.CheckConstraint("price < 1000", name="dear"),
        sa.UniqueConstraint("shop_id", "price"),
        sa.UniqueConstraint("price", "shop_id", name="uq"),
        sa.ForeignKeyConstraint(["parent", "key"], ["item.order", "item.key"], name="fk_parent"),
        sqlite_with_rowid=False,
    )
    sa.Index("ix_desc", item.c.price.desc(), item.c.key)
    sa.Index("ix_lower", sa.func.lower(item.c.key), unique=True)
    sa.Index("ix_some", item.c.price, sqlite_where=item.c.price > 5)
    Table("strict", metadata, sa.Column("id", sa.Integer, primary_key=True), sqlite_strict=True)
    return metadata


def test_tables_read_equal_in_target_and_scratch(tmp_path: Path) -> None:
    tables = list(rich_tables().sorted_tables)
    engine = SQLiteEngine()
    sql = create_engine(f"sqlite:///{tmp_path / 'kit.db'}")
    keys = [(None, table.name) for table in tables]
    with sql.connect() as real:
        engine.create(real, tables)
        found = engine.read(real, keys, MAIN)
        with engine.shadow(sql, real, tables) as scratch:
            expected = engine.read(scratch.connection, keys, scratch.places)
    sql.dispose()
    assert expected == found
    assert set(found) == set(keys)
    item = found[None, "item"]
    assert item.primary_key == ("order", "key")
    assert item.options == {"WITHOUT ROWID": "yes"}
    assert found[None, "strict"].options == {"STRICT": "yes"}
    assert found[None, "shop"].columns["id"].identity == "AUTOINCREMENT"
    assert [index.text for index in item.indexes] == [
        "INDEX (price DESC, key)",
        "UNIQUE INDEX (lower(key))",
        "INDEX (price) WHERE price > 5",
    ]
    assert [key.text for key in item.foreign_keys] == [
        'FOREIGN KEY (parent, key) REFERENCES item("order", key)',
        "FOREIGN KEY (shop_id) REFERENCES shop(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
    ]
    assert item.columns["total"].computed == "STORED (price * 2)"
    assert item.columns["twice"].computed == "VIRTUAL (price * 2)"


PLAIN = (
    "CREATE TABLE shop (id INTEGER NOT NULL, PRIMARY KEY (id))",
    """CREATE TABLE item (
        id INTEGER NOT NULL, name VARCHAR(20) DEFAULT 'x' NOT NULL, price NUMERIC(10, 2), shop INTEGER,
        total NUMERIC GENERATED ALWAYS AS (price * 2) STORED, tag TEXT COLLATE NOCASE,
        PRIMARY KEY (id), UNIQUE (name, price), CONSTRAINT dear CHECK (price < 1000 AND name IN ('a', 'b')),
        FOREIGN KEY(shop) REFERENCES shop (id) ON DELETE CASCADE)""",
    "CREATE INDEX ix ON item (name, lower(tag)) WHERE price > 0",
)
HAND_WRITTEN = (
    "create table [Shop] ([id] integer primary key)",
    """create table "item" ( -- a comment, with "quotes
        [id] integer primary key, `name` varchar( 20 ) not null default ('x'),
        "price" numeric(10,2) constraint dear check (( [price]<1000 and NAME in ("a",'b') )) default null,
        shop integer default (NULL) references SHOP on update no action on delete cascade not deferrable,
        total numeric as (PRICE*2) stored,
        "tag" text collate nocase /* , */ , unique ([name] asc, "price")
    );""",
    'create index if not exists "ix" on [item] ("name" ASC, LOWER([tag])) where ("price">0)',
)


def test_spelling_makes_no_difference() -> None:
    assert read(*PLAIN) == read(*HAND_WRITTEN)


GAPS = st.sampled_from([" ", "\n\t", " /* ) , ' */ ", " -- it's\n "])
QUOTES = st.sampled_from(["{}", '"{}"', "[{}]", "`{}`"])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_spelling_reads_the_same(data: st.DataObject) -> None:
    names = {"item", "id", "name", "price", "shop", "total", "tag", "dear", "ix"}
    statements = []
    for statement in PLAIN:
        words = []
        for token in tokens_of(statement):
            styled = data.draw(QUOTES).format(token.text) if token.text in names else token.text
            words.append(styled.swapcase() if token.key.isalpha() and styled.isupper() else styled)
            words.append(data.draw(GAPS))
        statements.append("".join(words))
    assert read(*statements) == read(*PLAIN)


def test_a_table_that_sqlite_rewrote_reads_as_a_fresh_one() -> None:
    changed = (
        PLAIN[0],
        PLAIN[1]
        .replace("item", "old", 1)
        .replace("price NUMERIC(10, 2)", "cost NUMERIC(10, 2)")
        .replace("price", "cost"),
        "ALTER TABLE old RENAME TO item",
        "ALTER TABLE item RENAME COLUMN cost TO price",
        "ALTER TABLE item ADD COLUMN late VARCHAR(3) DEFAULT 'a,)' CHECK (late <> ')')",
        PLAIN[2],
    )
    fresh = (
        PLAIN[0],
        PLAIN[1]
        .replace("PRIMARY", "late VARCHAR(3) DEFAULT 'a,)', PRIMARY")
        .replace("FOREIGN", "CHECK (late <> ')'), FOREIGN"),
        PLAIN[2],
    )
    assert read(*changed) == read(*fresh)


def test_a_self_reference_follows_a_rename() -> None:
    sql = "CREATE TABLE {} (id INTEGER PRIMARY KEY, up INTEGER REFERENCES {} (id))"
    renamed = read(sql.format("old", "old"), "ALTER TABLE old RENAME TO item")
    assert renamed == read(sql.format("item", "item"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TRUE", "1"),
        ("false", "0"),
        ("NULL", None),
        ("CURRENT_TIMESTAMP", "(current_timestamp)"),
        ("word", "'word'"),
        ('"word"', "'word'"),
        ("- 1", "(-1)"),
        ("(abs( 1 ))", "((ABS(1)))"),
    ],
)
def test_spellings_of_a_default(one: str, other: str | None) -> None:
    tables = [f"CREATE TABLE item (a {'' if one is None else f'DEFAULT {one}'})" for one in (one, other)]
    assert read(tables[0]) == read(tables[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a INTEGER, UNIQUE (a), UNIQUE (a)", "a INTEGER UNIQUE"),
        ("a INTEGER UNIQUE UNIQUE", "a INTEGER UNIQUE"),
        ("a INTEGER, UNIQUE ('a')", "a INTEGER UNIQUE"),
        ("'a' INTEGER, UNIQUE (a COLLATE BINARY ASC)", "a INTEGER UNIQUE"),
        ("a INTEGER PRIMARY KEY UNIQUE", "a INTEGER PRIMARY KEY"),
        ("a TEXT COLLATE BINARY", "a TEXT"),
        ("a INT REFERENCES other DEFERRABLE INITIALLY IMMEDIATE", "a INT REFERENCES other DEFERRABLE"),
        ("a INT REFERENCES other NOT DEFERRABLE", "a INT REFERENCES other"),
        ("a INT REFERENCES other MATCH FULL", "a INT REFERENCES other"),
        ("a INTEGER NOT NULL PRIMARY KEY", "a INTEGER PRIMARY KEY"),
        ("a TEXT UNIQUE ON CONFLICT ABORT", "a TEXT UNIQUE"),
        ("a INTEGER, PRIMARY KEY (a AUTOINCREMENT)", "a INTEGER PRIMARY KEY AUTOINCREMENT"),
    ],
)
def test_clauses_that_say_nothing_more(one: str, other: str) -> None:
    assert read(f"CREATE TABLE item ({one})") == read(f"CREATE TABLE item ({other})")


# every change changes the reading

CHANGES = {
    "type": ("VARCHAR(20)", "VARCHAR(21)", "columns"),
    "nullability": (" NOT NULL, price", ", price", "columns"),
    "default changed": ("DEFAULT 'x'", "DEFAULT 'X'", "columns"),
    "default dropped": ("DEFAULT 'x'", "", "columns"),
    "computed": ("price * 2", "price * 3", "columns"),
    "computed is virtual": ("STORED", "VIRTUAL", "columns"),
    "computed is plain": ("GENERATED ALWAYS AS (price * 2) STORED", "", "columns"),
    "collation": ("NOCASE", "RTRIM", "columns"),
    "collation dropped": ("COLLATE NOCASE", "", "columns"),
    "column added": ("shop INTEGER,", "shop INTEGER, more INTEGER,", "columns"),
    "column dropped": ("id INTEGER NOT NULL, name", "id INTEGER NOT NULL, other TEXT, name", "columns"),
    "autoincrement": (
        "id INTEGER NOT NULL, name VARCHAR(20) DEFAULT 'x' NOT NULL, price NUMERIC(10, 2), shop INTEGER,",
        "id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(20) DEFAULT 'x' NOT NULL, price NUMERIC(10, 2), shop INTEGER,",
        "columns",
    ),
    "key column added": ("PRIMARY KEY (id)", "PRIMARY KEY (id, name)", "primary_key"),
    "key named": ("PRIMARY KEY (id)", "CONSTRAINT pk PRIMARY KEY (id)", "primary_key_name"),
    "key dropped": ("PRIMARY KEY (id),", "", "primary_key"),
    "key on conflict": ("PRIMARY KEY (id)", "PRIMARY KEY (id) ON CONFLICT IGNORE", "options"),
    "key descending": ("PRIMARY KEY (id)", "PRIMARY KEY (id DESC, name)", "options"),
    "not null on conflict": ("'x' NOT NULL", "'x' NOT NULL ON CONFLICT IGNORE", "options"),
    "strict": ("CASCADE)", "CASCADE) STRICT", "options"),
    "without rowid": ("CASCADE)", "CASCADE) WITHOUT ROWID", "options"),
    "unique order": ("UNIQUE (name, price)", "UNIQUE (price, name)", "uniques"),
    "unique dropped": ("UNIQUE (name, price),", "", "uniques"),
    "unique named": ("UNIQUE (name, price)", "CONSTRAINT u UNIQUE (name, price)", "uniques"),
    "unique on conflict": ("UNIQUE (name, price)", "UNIQUE (name, price) ON CONFLICT REPLACE", "uniques"),
    "unique collation": ("UNIQUE (name, price)", "UNIQUE (name COLLATE NOCASE, price)", "uniques"),
    "check text": ("price < 1000", "price <= 1000", "checks"),
    "check member": ("('a', 'b')", "('a', 'b', 'c')", "checks"),
    "check dropped": ("CONSTRAINT dear CHECK (price < 1000 AND name IN ('a', 'b')),", "", "checks"),
    "check renamed": ("dear", "cheap", "checks"),
    "foreign key target": ("REFERENCES shop (id)", "REFERENCES item (id)", "foreign_keys"),
    "foreign key column": ("KEY(shop)", "KEY(id)", "foreign_keys"),
    "ondelete": ("CASCADE", "SET NULL", "foreign_keys"),
    "onupdate": ("CASCADE", "CASCADE ON UPDATE RESTRICT", "foreign_keys"),
    "deferrable": ("CASCADE", "CASCADE DEFERRABLE", "foreign_keys"),
    "initially deferred": ("CASCADE", "CASCADE DEFERRABLE INITIALLY DEFERRED", "foreign_keys"),
    "foreign key dropped": (
        ",\n        FOREIGN KEY(shop) REFERENCES shop (id) ON DELETE CASCADE",
        "",
        "foreign_keys",
    ),
    "index unique": ("CREATE INDEX", "CREATE UNIQUE INDEX", "indexes"),
    "index renamed": ("INDEX ix", "INDEX iy", "indexes"),
    "index order": ("(name, lower(tag))", "(lower(tag), name)", "indexes"),
    "index expression": ("lower(tag)", "upper(tag)", "indexes"),
    "index descending": ("item (name,", "item (name DESC,", "indexes"),
    "index collation": ("item (name,", "item (name COLLATE NOCASE,", "indexes"),
    "index where": ("price > 0", "price > 1", "indexes"),
    "index where dropped": ("WHERE price > 0", "", "indexes"),
}
STRICT_TYPES = {"VARCHAR(20)": "TEXT", "NUMERIC(10, 2)": "REAL", "NUMERIC": "REAL"}


def change(name: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The statements before and after one change, and the field of the reading that it touches."""
    old, new, field = CHANGES[name]
    before = list(PLAIN)
    if name == "strict":
        for one, other in STRICT_TYPES.items():
            before[1] = before[1].replace(one, other)
    assert sum(old in statement for statement in before[1:]) == 1
    after = [before[0], *(statement.replace(old, new) for statement in before[1:])]
    if name == "autoincrement":
        after[1] = after[1].replace("PRIMARY KEY (id), ", "")
    return tuple(before), tuple(after), field


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_changes_the_reading_there_and_nowhere_else(name: str) -> None:
    before, after, field = change(name)
    one, other = read(*before), read(*after)
    differing = {f.name for f in fields(TableReading) if getattr(one, f.name) != getattr(other, f.name)}
    allowed = {
        "key column added": {"primary_key"},
        "key descending": {"primary_key", "options"},
    }
    assert differing == allowed.get(name, {field})


def test_column_order_and_key_order_are_facts() -> None:
    one = read("CREATE TABLE item (a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b))")
    other = read("CREATE TABLE item (b TEXT NOT NULL, a TEXT NOT NULL, PRIMARY KEY (b, a))")
    assert list(one.columns) == ["a", "b"]
    assert list(other.columns) == ["b", "a"]
    assert (one.primary_key, other.primary_key) == (("a", "b"), ("b", "a"))


# what stands there


def test_what_is_no_table(connection: Connection) -> None:
    for statement in (
        "CREATE VIEW broken AS SELECT * FROM nobody",
        "CREATE TABLE plain AS SELECT 1 AS a, 'x' AS b",
        "CREATE TABLE Upper (id INTEGER)",
    ):
        connection.exec_driver_sql(statement)
    names = ("broken", "plain", "upper", "absent")
    found = read_tables(connection, [(None, name) for name in names], MAIN)
    assert {name: reading.kind for (_, name), reading in found.items()} == {
        "broken": "view",
        "plain": "table",
        "upper": "table",
    }
    assert list(found[None, "plain"].columns) == ["a", "b"]


def test_a_virtual_table_whose_module_is_missing(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE item (id INTEGER)")
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE item USING no_such_module(id)', rootpage = 0"
    )
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    assert read_tables(connection, [(None, "item")], MAIN)[None, "item"].kind == "virtual table"


def test_names_of_every_kind(connection: Connection) -> None:
    names = ['a "quote"', "semi;colon", "select", "ünï", "a'b", "a]b", "per%cent", "co:lon"]
    metadata = MetaData()
    for name in names:
        Table(
            name,
            metadata,
            sa.Column(name, sa.Integer, primary_key=True),
            sa.CheckConstraint(sa.column(name) > 1),
        )
    engine = SQLiteEngine()
    engine.create(connection, list(metadata.tables.values()))
    found = read_tables(connection, [(None, name) for name in names], MAIN)
    assert {key[1]: list(reading.columns) for key, reading in found.items()} == {
        name: [name] for name in names
    }


def test_schemas_and_places_are_read_under_the_names_of_the_classes(connection: Connection) -> None:
    connection.exec_driver_sql("ATTACH DATABASE ':memory:' AS scratch")
    connection.exec_driver_sql("CREATE TABLE shop (id INTEGER PRIMARY KEY)")
    connection.exec_driver_sql("CREATE TABLE scratch.x_shop (id INTEGER PRIMARY KEY)")
    connection.exec_driver_sql("CREATE TABLE scratch.x_item (id INTEGER PRIMARY KEY, shop REFERENCES x_shop)")
    places = Places(
        {"sales": "scratch", None: None}, {("sales", "item"): "x_item", ("sales", "shop"): "x_shop"}
    )
    found = read_tables(connection, [("sales", "item"), ("sales", "shop"), (None, "shop")], places)
    assert set(found) == {("sales", "item"), ("sales", "shop"), (None, "shop")}
    (key,) = found["sales", "item"].foreign_keys
    assert key.text == "FOREIGN KEY (shop) REFERENCES shop(id)"


def test_the_number_of_queries_does_not_grow(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE elsewhere (id INTEGER PRIMARY KEY)")
    for at in range(60):
        connection.exec_driver_sql(f"CREATE TABLE t{at} (id INTEGER PRIMARY KEY, e REFERENCES elsewhere)")
        connection.exec_driver_sql(f"CREATE INDEX i{at} ON t{at} (e)")
    counts = []
    for size in (1, 60):
        seen: list[str] = []

        def listen(*arguments: Any, seen: list[str] = seen) -> None:
            seen.append(arguments[2])

        event.listen(connection, "before_cursor_execute", listen)
        read_tables(connection, [(None, f"t{at}") for at in range(size)], MAIN)
        event.remove(connection, "before_cursor_execute", listen)
        counts.append(len(seen))
    assert counts == [3, 3]


# bad input

ONE = {"one.py": "class One(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    name: str\n"}


def test_validating_creates_no_file(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    file = tmp_path / "absent.db"
    kit = load_datakit(write_kit("kit", ONE))
    target = create_custom_target("sqlite", str(file))
    with target, pytest.raises(ConfigurationError) as caught:
        validate_deployment(kit.tables, target)
    assert str(caught.value) == (
        f"the database file does not exist (target custom, sqlite file {file}); seen: {file};"
        " next: correct the path, or deploy first: that creates the file"
    )
    assert not file.exists()


def test_a_target_that_deployed_may_validate_after_cleanup(
    tmp_path: Path, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    target = create_custom_target("sqlite", str(tmp_path / "kit.db"))
    deploy_data_objects(kit.tables, target)
    cleanup_test_target(target)
    assert not (tmp_path / "kit.db").exists()
    assert {finding.code for finding in validate_deployment(kit.tables, target).findings} == {"DK101"}
    target.close()


def test_a_locked_database_is_worth_another_try(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    file = tmp_path / "kit.db"
    kit = load_datakit(write_kit("kit", ONE))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE one (id INTEGER)")
        other.execute("BEGIN EXCLUSIVE")
        with create_custom_target("sqlite", str(file), options={"timeout": "0"}) as target:
            with pytest.raises(TryAgainError, match="locked by another connection"):
                validate_deployment(kit.tables, target)
            other.execute("ROLLBACK")
            assert not validate_deployment(kit.tables, target).success


def test_a_schema_whose_file_is_missing_is_found_empty_and_stays_missing(
    tmp_path: Path, write_kit: Callable[..., Path]
) -> None:
    in_schema = "    __table_args__ = {'schema': 'sales'}\n    id: int = Field(primary_key=True)\n"
    kit = load_datakit(write_kit("kit", {"one.py": "class One(SQLModel, table=True):\n" + in_schema}))
    sqlite3.connect(tmp_path / "kit.db").execute("CREATE TABLE mine (id INTEGER)").connection.close()
    with create_custom_target("sqlite", str(tmp_path / "kit.db")) as target:
        found = validate_deployment(kit.tables, target).findings
        assert [(finding.code, finding.table) for finding in found] == [("DK101", "sales.one")]
        assert [path.name for path in tmp_path.glob("*.db")] == ["kit.db"]
        deploy_data_objects(kit.tables, target, if_exists="skip")
        assert (tmp_path / "kit.sales.db").exists()
        assert validate_deployment(kit.tables, target).success


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_read_only_folder_is_validated_and_stays_as_it_is(
    mode: str, tmp_path: Path, write_kit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frozen ?"
    folder.mkdir()
    file = folder / "kit.db"
    kit = load_datakit(write_kit("kit", ONE))
    with closing(sqlite3.connect(file)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
    with create_custom_target("sqlite", str(file)) as target:
        deploy_data_objects(kit.tables, target)
        target.live.created.tables.clear()
    before = file.read_bytes()
    file.chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    # An administrator may write everywhere, and the check must say what it says to others.
    monkeypatch.setattr(os, "access", lambda path, way: way == os.R_OK)
    try:
        with create_custom_target("sqlite", str(file)) as target:
            assert validate_deployment(kit.tables, target).success
            assert [path.name for path in folder.iterdir()] == ["kit.db"]
        assert file.read_bytes() == before
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_file_that_is_no_database(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    file = tmp_path / "text.db"
    file.write_text("no database, only words " * 100)
    kit = load_datakit(write_kit("kit", ONE))
    with create_custom_target("sqlite", str(file)) as target, pytest.raises(ConfigurationError) as caught:
        validate_deployment(kit.tables, target)
    assert "the SQLite file cannot be opened as a database" in str(caught.value)
    assert "seen: SQLITE_NOTADB" in str(caught.value)
    assert "next: give the path of a SQLite file" in str(caught.value)


def test_more_schemas_than_sqlite_attaches(write_kit: Callable[..., Path]) -> None:
    source = "".join(
        f"class T{at}(SQLModel, table=True):\n    __table_args__ = {{'schema': 's{at}'}}\n"
        "    id: int = Field(primary_key=True)\n"
        for at in range(11)
    )
    kit = load_datakit(write_kit("kit", {"many.py": source}))
    with (
        create_custom_target("sqlite") as target,
        pytest.raises(DeploymentError, match="more schemas than SQLite"),
    ):
        validate_deployment(kit.tables, target)


# mending

ROWS = (
    "INSERT INTO shop (id) VALUES (1), (2)",
    "INSERT INTO item (id, name, price, shop, tag) VALUES (1, 'a', 10, 1, 't'), (2, 'b', 20, 1, NULL)",
)


CHILD = (
    "CREATE TABLE child (item REFERENCES item (id) ON DELETE CASCADE)",
    "INSERT INTO child VALUES (1), (2)",
)


def mended(
    found: tuple[str, ...], expected: tuple[str, ...], mend: Callable[[SQLiteMending], tuple[str, ...]]
) -> TableReading:
    """Apply a proposal to a database with rows, and read. The rows, those that refer to them and a view must be there still."""
    engine = create_engine("sqlite://", isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:
        referred = read(*found).primary_key == read(*expected).primary_key == ("id",)
        for statement in ("PRAGMA foreign_keys = ON", *found, *ROWS, *(CHILD if referred else ())):
            opened.exec_driver_sql(statement)
        opened.exec_driver_sql("CREATE VIEW seen AS SELECT id FROM item")
        proposal = mend(mending(found, expected))
        assert proposal
        for statement in proposal:
            opened.exec_driver_sql(statement)
        rows = opened.exec_driver_sql("SELECT id, shop FROM item ORDER BY id").all()
        assert [tuple(row) for row in rows] == [(1, 1), (2, 1)]
        assert opened.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert opened.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert opened.exec_driver_sql("SELECT count(*) FROM seen").scalar_one() == 2
        if referred:
            assert opened.exec_driver_sql("SELECT count(*) FROM child").scalar_one() == 2
        reading = read_tables(opened, [(None, "item")], MAIN)
    engine.dispose()
    return reading[None, "item"]


def mending(found: tuple[str, ...], expected: tuple[str, ...]) -> SQLiteMending:
    return SQLiteMending(
        dialect=SQLiteEngine().offline_dialect(),
        table=Table("item", MetaData()),
        name="item",
        create=tuple(sql for sql in expected if "item" in sql.partition("(")[0]),
        expected=read(*expected),
        found=read(*found),
    )


def add(kind: PartKind, attribute: str) -> Callable[[SQLiteMending], tuple[str, ...]]:
    return lambda one: one.add_part(kind, getattr(one.expected, attribute)[0])


def drop(kind: PartKind, attribute: str) -> Callable[[SQLiteMending], tuple[str, ...]]:
    def mend(one: SQLiteMending) -> tuple[str, ...]:
        assert one.found
        return one.drop_part(kind, getattr(one.found, attribute)[0])

    return mend


def rename(kind: PartKind, attribute: str) -> Callable[[SQLiteMending], tuple[str, ...]]:
    def mend(one: SQLiteMending) -> tuple[str, ...]:
        assert one.found
        return one.rename_part(
            kind, getattr(one.found, attribute)[0], getattr(one.expected, attribute)[0].name
        )

    return mend


def replace_index(one: SQLiteMending) -> tuple[str, ...]:
    return (*drop("index", "indexes")(one), *add("index", "indexes")(one))


MENDS: dict[str, Callable[[SQLiteMending], tuple[str, ...]]] = {
    "type": lambda one: one.change_column("name", "type"),
    "nullability": lambda one: one.change_column("name", "nullability"),
    "default changed": lambda one: one.change_column("name", "default"),
    "default dropped": lambda one: one.change_column("name", "default"),
    "computed": lambda one: one.change_column("total", "computed"),
    "computed is virtual": lambda one: one.change_column("total", "computed"),
    "computed is plain": lambda one: one.change_column("total", "computed"),
    "collation": lambda one: one.change_column("tag", "collation"),
    "collation dropped": lambda one: one.change_column("tag", "collation"),
    "autoincrement": lambda one: one.change_column("id", "identity"),
    "column added": lambda one: one.drop_column("more"),
    "column dropped": lambda one: one.drop_column("other"),
    "key column added": lambda one: one.change_primary_key(),
    "key named": lambda one: one.change_primary_key(),
    "key dropped": lambda one: one.change_primary_key(),
    "key on conflict": lambda one: one.change_option("PRIMARY KEY"),
    "key descending": lambda one: one.change_primary_key(),
    "not null on conflict": lambda one: one.change_option("NOT NULL of name"),
    "strict": lambda one: one.change_option("STRICT"),
    "without rowid": lambda one: one.change_option("WITHOUT ROWID"),
    "unique order": add("unique", "uniques"),
    "unique dropped": add("unique", "uniques"),
    "unique named": rename("unique", "uniques"),
    "unique on conflict": add("unique", "uniques"),
    "unique collation": add("unique", "uniques"),
    "check text": add("check", "checks"),
    "check member": add("check", "checks"),
    "check dropped": add("check", "checks"),
    "check renamed": rename("check", "checks"),
    "foreign key target": add("foreign key", "foreign_keys"),
    "foreign key column": add("foreign key", "foreign_keys"),
    "ondelete": add("foreign key", "foreign_keys"),
    "onupdate": add("foreign key", "foreign_keys"),
    "deferrable": add("foreign key", "foreign_keys"),
    "initially deferred": add("foreign key", "foreign_keys"),
    "foreign key dropped": add("foreign key", "foreign_keys"),
    "index unique": replace_index,
    "index renamed": rename("index", "indexes"),
    "index order": replace_index,
    "index expression": replace_index,
    "index descending": replace_index,
    "index collation": replace_index,
    "index where": replace_index,
    "index where dropped": replace_index,
}


@pytest.mark.parametrize("name", CHANGES)
def test_mending_a_changed_table_gives_the_expected_one_with_its_rows(name: str) -> None:
    expected, found, _ = change(name)
    assert mended(found, expected, MENDS[name]) == read(*expected)


MENDS_BACK = {
    **{name: mend for name, mend in MENDS.items() if not name.startswith("column")},
    "column added": lambda one: one.add_column("more"),
    "column dropped": lambda one: one.add_column("other"),
    "check dropped": drop("check", "checks"),
    "unique dropped": drop("unique", "uniques"),
    "foreign key dropped": drop("foreign key", "foreign_keys"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_mending_the_other_way_round(name: str) -> None:
    found, expected, _ = change(name)
    assert mended(found, expected, MENDS_BACK[name]) == read(*expected)


def test_what_alter_table_can_do_is_no_rebuild() -> None:
    more = (
        PLAIN[0],
        PLAIN[1].replace("tag TEXT COLLATE NOCASE", "tag TEXT COLLATE NOCASE, more TEXT DEFAULT 'x'"),
        PLAIN[2],
    )
    assert mending(PLAIN, more).add_column("more") == ("ALTER TABLE item ADD COLUMN more TEXT DEFAULT 'x'",)
    assert mending(more, PLAIN).drop_column("more") == ("ALTER TABLE item DROP COLUMN more",)


@pytest.mark.parametrize(
    "column",
    [
        "more TEXT NOT NULL",
        "more TEXT DEFAULT CURRENT_TIMESTAMP",
        "more TEXT DEFAULT (1 + 1)",
        "more TEXT UNIQUE",
        "more NUMERIC AS (id + 1) STORED",
    ],
)
def test_columns_that_sqlite_cannot_add_need_a_rebuild(column: str) -> None:
    with_it = (PLAIN[0], PLAIN[1].replace("tag TEXT", f"{column}, tag TEXT"), PLAIN[2])
    proposal = mending(PLAIN, with_it).add_column("more")
    assert proposal[0] == "PRAGMA foreign_keys = OFF"
    assert proposal[2] == "BEGIN IMMEDIATE"
    assert proposal[3].startswith("CREATE TABLE item__new (")
    assert proposal[-1] == "PRAGMA foreign_keys = ON"


def test_another_letter_case_is_a_rename_that_loses_nothing() -> None:
    other = (PLAIN[0], PLAIN[1].replace("price", "Price"), PLAIN[2].replace("price", "Price"))
    for mend in (lambda one: one.add_column("Price"), lambda one: one.drop_column("price")):
        assert mended(PLAIN, other, mend) == read(*other)


@pytest.mark.parametrize("name", ["id", "name", "price", "shop", "tag"])
def test_columns_in_use_are_dropped_by_a_rebuild(name: str) -> None:
    assert mending(PLAIN, PLAIN).drop_column(name)[0] == "PRAGMA foreign_keys = OFF"


def test_a_rebuild_keeps_what_belongs_to_others() -> None:
    theirs = (
        PLAIN[0],
        PLAIN[1].replace("tag TEXT", "theirs TEXT NOT NULL DEFAULT 't', tag TEXT").replace("(20)", "(9)"),
        *PLAIN[2:],
        "CREATE INDEX their_index ON item (theirs DESC)",
    )
    reading = mended(theirs, PLAIN, lambda one: one.change_column("name", "type"))
    assert reading.columns["name"].type == "VARCHAR(20)"
    assert reading.columns["theirs"].type == "TEXT"
    assert [(index.name, index.text) for index in reading.indexes][1:] == [
        ("their_index", "INDEX (theirs DESC)")
    ]


def test_autoincrement_does_not_start_again(connection: Connection) -> None:
    found = ("CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)",)
    expected = ("CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, a VARCHAR(3))",)
    for statement in (
        *found,
        "INSERT INTO item (id, a) VALUES (41, 'x')",
        "DELETE FROM item",
        *mending(found, expected).change_column("a", "type"),
        "INSERT INTO item (a) VALUES ('y')",
    ):
        connection.exec_driver_sql(statement)
    assert connection.exec_driver_sql("SELECT id FROM item").scalars().all() == [42]
    assert connection.exec_driver_sql("SELECT name FROM sqlite_sequence").scalars().all() == [
        "item__before",
        "item",
    ]


def test_a_rebuild_in_a_schema(connection: Connection) -> None:
    connection.exec_driver_sql("ATTACH DATABASE ':memory:' AS sales")
    connection.exec_driver_sql("CREATE TABLE sales.item (id INTEGER PRIMARY KEY, a TEXT)")
    connection.exec_driver_sql("INSERT INTO sales.item VALUES (1, 'x')")
    expected = (
        "CREATE TABLE sales.item (id INTEGER PRIMARY KEY, a VARCHAR(3))",
        "CREATE INDEX sales.ix ON item (a)",
    )
    one = SQLiteMending(
        dialect=connection.dialect,
        table=Table("item", MetaData(), schema="sales"),
        name="sales.item",
        create=expected,
        expected=read(*(sql.replace("sales.", "") for sql in expected)),
        found=read("CREATE TABLE item (id INTEGER PRIMARY KEY, a TEXT)"),
    )
    for statement in (*one.change_column("a", "type"), *one.add_part("index", one.expected.indexes[0])):
        connection.exec_driver_sql(statement)
    assert read_tables(connection, [("sales", "item")], Places({"sales": "sales"})) == {
        ("sales", "item"): one.expected
    }
    assert one.drop_part("index", one.expected.indexes[0]) == ("DROP INDEX sales.ix",)
    assert one.add_part("index", one.expected.indexes[0]) == ("CREATE INDEX sales.ix ON item (a)",)


def test_a_rebuild_refuses_to_run_in_a_transaction(connection: Connection) -> None:
    proposal = mending(PLAIN, PLAIN).change_column("name", "type")
    for statement in (*PLAIN, *ROWS, "BEGIN", *proposal[:2]):
        connection.exec_driver_sql(statement)
    with pytest.raises(sa.exc.OperationalError, match="within a transaction"):
        connection.exec_driver_sql(proposal[2])
