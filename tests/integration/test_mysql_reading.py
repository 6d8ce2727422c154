"""Reading, shadow and mending on a real MySQL or MariaDB."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, Connection, MetaData, Table
from sqlalchemy.dialects import mysql

from sqlmodel_framework.base.errors import NoScratchPlaceError, TryAgainError
from sqlmodel_framework.config.targets import TargetConfig, create_custom_target
from sqlmodel_framework.engines.ddl import Statement, with_referred
from sqlmodel_framework.engines.live import LiveTarget, open_target
from sqlmodel_framework.engines.mending import TableMending
from sqlmodel_framework.engines.reading import PartReading, Places, Reading, TableReading

pytestmark = pytest.mark.mysql


class Size(enum.Enum):
    small = "S"
    large = "L"


def rich() -> list[Table]:
    """Every type, and every structure that the server prints in another way than it was written."""
    metadata = MetaData()
    other = Table(
        "owner",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("a", sa.Integer),
        Column("b", sa.String(10)),
        sa.UniqueConstraint("a", "b", name="uq_owner"),
        mysql_charset="latin1",
    )
    Table(
        "Types",
        metadata,
        Column("id", sa.BigInteger, primary_key=True),
        Column("small", sa.SmallInteger, server_default="7"),
        Column("tiny", mysql.TINYINT(unsigned=True)),
        Column("number", sa.Integer, nullable=False),
        Column("big", mysql.BIGINT(unsigned=True)),
        Column("flag", sa.Boolean, server_default=sa.true()),
        Column("checked", sa.Boolean(create_constraint=True, name="ck_checked")),
        Column("real", sa.Float),
        Column("double", sa.Double),
        Column("single", sa.Float(20)),
        Column("exact", sa.Numeric(12, 4), server_default="1.5"),
        Column("unset", sa.Numeric),
        Column("text", sa.Text),
        Column("long_text", mysql.LONGTEXT),
        Column("short", sa.String(10), server_default="a'b%c\\d"),
        Column("fixed", sa.CHAR(3)),
        Column("national", sa.Unicode(5)),
        Column("binary", sa.LargeBinary),
        Column("fixed_binary", mysql.BINARY(4)),
        Column("day", sa.Date, server_default="2020-02-29"),
        Column("moment", sa.DateTime, server_default=sa.func.now()),
        Column("micros", mysql.DATETIME(fsp=6), server_default=sa.text("now(6)")),
        Column(
            "stamp", sa.TIMESTAMP, server_default=sa.text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")
        ),
        Column("clock", sa.Time),
        Column("span", sa.Interval),
        Column("year", mysql.YEAR),
        Column("bits", mysql.BIT(5), server_default=sa.text("b'101'")),
        Column("key", sa.Uuid),
        Column("size", sa.Enum(Size), server_default="small"),
        Column("checked_size", sa.Enum("x", "y'z", "a,b", "back\\slash", name="four")),
        Column("soft_size", sa.Enum("p", "q", native_enum=False, create_constraint=True, name="ck_soft")),
        Column("many", mysql.SET("a", "b'c")),
        Column("document", sa.JSON),
        Column("made", sa.String(40), server_default=sa.text("(concat('x', 'it''s'))")),
        Column("stored", sa.Integer, sa.Computed("number * 2", persisted=True)),
        Column("virtual", sa.String(30), sa.Computed("concat(short, '`x`', fixed)", persisted=False)),
        Column("nocase", sa.String(20, collation="latin1_general_cs")),
        Column("column comment", sa.Integer, comment='it\'s 100 % "here"\nand there'),
        Column("positive", sa.Integer, sa.CheckConstraint("positive > 0")),
        Column("u", sa.Integer, unique=True),
        Column("i", sa.Integer, index=True),
        Column("geo", mysql.VARCHAR(9), server_default=sa.text("'now()'")),
        sa.UniqueConstraint("short", "fixed"),
        sa.UniqueConstraint("fixed", "short", name="uq_fixed"),
        sa.CheckConstraint("number in (1, 2) or short like 'a%' or `short` = 'b\\'c'"),
        sa.CheckConstraint("number < 10", name="ck_number"),
        sa.Index("ix_prefix", "text", "number", mysql_length={"text": 10}),
        sa.Index("ix_text", "text", mysql_prefix="FULLTEXT"),
        sa.Index("ix_hash", "number", mysql_using="hash"),
        sa.Index("ix_unique", "number", "small", unique=True),
        comment='the table\'s "comment"',
        mysql_row_format="COMPACT",
    )
    keys = Table(
        "keys",
        metadata,
        Column("first", sa.Integer, primary_key=True, autoincrement=False),
        Column("second", sa.Integer, primary_key=True, autoincrement=False),
        Column("unnamed_id", sa.ForeignKey(other.c.id)),
        Column(
            "named_id", sa.ForeignKey(other.c.id, name="fk_named", ondelete="CASCADE", onupdate="SET NULL")
        ),
        Column("restrict_id", sa.ForeignKey(other.c.id, ondelete="RESTRICT", onupdate="NO ACTION")),
        Column("indexed_id", sa.ForeignKey(other.c.id), index=True),
        Column("self_id", sa.Integer),
        Column("a", sa.Integer),
        Column("b", sa.String(10)),
        sa.ForeignKeyConstraint(["a", "b"], [other.c.a, other.c.b], name="fk_pair"),
        sa.CheckConstraint("a > 0", name="ck_a"),
        sa.PrimaryKeyConstraint("second", "first"),
        mysql_engine="InnoDB",
        mysql_charset="latin1",
    )
    keys.append_constraint(sa.ForeignKeyConstraint(["self_id", "first"], [keys.c.second, keys.c.first]))
    return [other, metadata.tables["Types"], keys]


class Server:
    """One target, read in its real and in its scratch form."""

    def __init__(self, target: TargetConfig) -> None:
        self.live: LiveTarget = open_target(target)
        self.made: list[str] = []

    def only_mariadb(self, why: str) -> None:
        """Skip the test on MySQL."""
        with self.live.sql.connect() as connection:
            if not getattr(connection.dialect, "is_mariadb", False):
                pytest.skip(f"MySQL: {why}")

    def run(self, *statements: str) -> None:
        with self.live.sql.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def deploy(self, tables: list[Table]) -> None:
        with self.live.sql.begin() as connection:
            self.live.engine.create(connection, tables)

    def real(self, tables: list[Table]) -> Reading:
        keys = [(table.schema, table.name) for table in tables]
        with self.live.sql.connect() as connection:
            return self.live.engine.read(connection, keys, Places(self.live.places(connection, tables)))

    def shadow(self, tables: list[Table]) -> Reading:
        keys = [(table.schema, table.name) for table in tables]
        with (
            self.live.sql.connect() as connection,
            self.live.engine.shadow(self.live.sql, connection, with_referred(tables)) as scratch,
        ):
            self.made += [str(name) for name in scratch.places.schemas.values()]
            return self.live.engine.read(scratch.connection, keys, scratch.places)

    def left_behind(self) -> list[str]:
        """Scratch databases of this object that are still there, and scratch tables in the target's own database."""
        names = [name for name in self.made if name.startswith("datakit_shadow_")]
        query = sa.text(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN :names UNION ALL SELECT table_name"
            " FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'datakit%shadow%'"
        ).bindparams(sa.bindparam("names", names, expanding=True))
        with self.live.sql.connect() as connection:
            return list(connection.execute(query).scalars())


@pytest.fixture
def server(mysql_database: TargetConfig) -> Server:
    return Server(mysql_database)


@pytest.fixture
def limited(mysql_database: TargetConfig, on_mysql: Callable[..., None]) -> Iterator[Callable[..., Server]]:
    """Makes a user that has these rights on the test's database and no others."""
    users: list[str] = []
    targets: list[TargetConfig] = []

    def make(rights: str = "ALL") -> Server:
        user = f"u_{uuid4().hex[:10]}"
        on_mysql(
            f"CREATE USER {user} IDENTIFIED BY 'secret'",
            f"GRANT {rights} ON {mysql_database.database}.* TO {user}",
        )
        users.append(user)
        targets.append(
            create_custom_target(
                "mysql",
                mysql_database.database,
                host=mysql_database.host,
                port=mysql_database.port,
                user=user,
                password="secret",
            )
        )
        return Server(targets[-1])

    yield make
    for target in targets:
        target.close()
    for user in users:
        on_mysql(f"DROP USER {user}")


def test_a_rich_schema_reads_equal_in_its_scratch_database(server: Server) -> None:
    tables = rich()
    server.deploy(tables)
    real, shadow = server.real(tables), server.shadow(tables)
    assert set(real) == {(None, "owner"), (None, "Types"), (None, "keys")}
    for key, reading in real.items():
        assert differences(shadow[key], reading) == []
    assert server.left_behind() == []


def test_copies_in_the_own_database_read_the_same(server: Server, limited: Callable[..., Server]) -> None:
    tables = rich()
    server.deploy(tables)
    user = limited()
    real, shadow = server.real(tables), user.shadow(tables)
    assert set(user.made) == {server.live.target.database}
    for key, reading in real.items():
        assert differences(shadow[key], reading) == []
    assert user.left_behind() == []


# One statement that changes the table `Types`, `owner` or `keys` of the rich schema, and the call that mends it.
DAMAGES: dict[str, tuple[str, str, Callable[[TableMending], tuple[str, ...]]]] = {
    "column dropped": ("Types", "DROP COLUMN day", lambda m: m.add_column("day")),
    "first column dropped": ("plain", "DROP COLUMN a", lambda m: m.add_column("a")),
    "counted column dropped": ("Types", "DROP COLUMN id", lambda m: m.add_column("id")),
    "column renamed in case": ("Types", "CHANGE clock Clock TIME", lambda m: m.add_column("clock")),
    "column added": ("Types", "ADD COLUMN more INT, ADD INDEX (more)", lambda m: m.drop_column("more")),
    "key column added": (
        "Types",
        """ADD COLUMN more INT, ADD INDEX (more, number), ADD FOREIGN KEY (more) REFERENCES owner (id),
        ADD CONSTRAINT ck_more CHECK (more > number)""",
        lambda m: m.drop_column("more"),
    ),
    "type": (
        "Types",
        "MODIFY short VARCHAR(11) DEFAULT 'a''b%c\\\\d'",
        lambda m: m.change_column("short", "type"),
    ),
    "type of a key": (
        "keys",
        "DROP FOREIGN KEY fk_named, MODIFY named_id BIGINT",
        lambda m: (
            *m.change_column("named_id", "type"),
            *m.add_part("foreign key", part(m.expected, "fk_named")),
        ),
    ),
    "time zone kind": ("Types", "MODIFY stamp DATETIME NULL", lambda m: m.change_column("stamp", "type")),
    "json": ("Types", "MODIFY document LONGTEXT", lambda m: m.change_column("document", "type")),
    "invisible": ("Types", "MODIFY clock TIME INVISIBLE", lambda m: m.change_column("clock", "type")),
    "nullable": ("Types", "MODIFY number INT NULL", lambda m: m.change_column("number", "nullability")),
    "not null": ("Types", "MODIFY i INT NOT NULL", lambda m: m.change_column("i", "nullability")),
    "default": ("Types", "ALTER short SET DEFAULT 'x'", lambda m: m.change_column("short", "default")),
    "default dropped": ("Types", "ALTER size DROP DEFAULT", lambda m: m.change_column("size", "default")),
    "default added": (
        "Types",
        "ALTER clock SET DEFAULT '1:00'",
        lambda m: m.change_column("clock", "default"),
    ),
    "on update": (
        "Types",
        "MODIFY stamp TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP",
        lambda m: m.change_column("stamp", "default"),
    ),
    "computed text": (
        "Types",
        "MODIFY `stored` INT AS (number * 3) STORED",
        lambda m: m.change_column("stored", "computed"),
    ),
    "computed kind": (
        "Types",
        "DROP COLUMN `stored`, ADD COLUMN `stored` INT AS (number * 2) VIRTUAL AFTER made",
        lambda m: m.change_column("stored", "computed"),
    ),
    "computed turned plain": (
        "Types",
        "MODIFY `stored` INT",
        lambda m: m.change_column("stored", "computed"),
    ),
    "plain turned computed": (
        "Types",
        "DROP COLUMN u, ADD COLUMN u INT AS (number + 1) VIRTUAL AFTER positive, ADD UNIQUE (u)",
        lambda m: m.change_column("u", "computed"),
    ),
    "stored turned plain": (
        "Types",
        "MODIFY clock TIME AS (maketime(1, 2, 3)) STORED",
        lambda m: m.change_column("clock", "computed"),
    ),
    "identity dropped": ("Types", "MODIFY id BIGINT NOT NULL", lambda m: m.change_column("id", "identity")),
    "identity added": (
        "keys",
        "MODIFY second INT AUTO_INCREMENT",
        lambda m: m.change_column("second", "identity"),
    ),
    "collation": ("Types", "MODIFY nocase VARCHAR(20)", lambda m: m.change_column("nocase", "collation")),
    "collation added": (
        "Types",
        "MODIFY `text` TEXT COLLATE utf8mb4_bin",
        lambda m: m.change_column("text", "collation"),
    ),
    "column comment": (
        "Types",
        "MODIFY `column comment` INT",
        lambda m: m.change_column("column comment", "comment"),
    ),
    "enum member": (
        "Types",
        "MODIFY checked_size ENUM('x', 'a,b', 'y''z')",
        lambda m: m.change_column("checked_size", "members"),
    ),
    "column moved": ("Types", "MODIFY clock TIME FIRST", lambda m: m.move_column("clock")),
    "column moved from the front": (
        "owner",
        "MODIFY id INT AUTO_INCREMENT AFTER a",
        lambda m: m.move_column("id"),
    ),
    "key dropped": ("Types", "DROP PRIMARY KEY, MODIFY id BIGINT NOT NULL", lambda m: m.change_primary_key()),
    "key reordered": (
        "keys",
        "ADD INDEX (second, first), DROP PRIMARY KEY, ADD PRIMARY KEY (first, second)",
        lambda m: (*m.change_primary_key(), *m.drop_part("index", part(m.found, "second"))),
    ),
    "foreign key dropped": (
        "keys",
        "DROP FOREIGN KEY fk_named, DROP INDEX fk_named",
        lambda m: m.add_part("foreign key", part(m.expected, "fk_named")),
    ),
    "unnamed foreign key dropped": (
        "keys",
        "DROP FOREIGN KEY keys_ibfk_1",
        lambda m: m.add_part("foreign key", m.expected.foreign_keys[2]),
    ),
    "foreign key added": (
        "Types",
        "ADD CONSTRAINT fk_more FOREIGN KEY (number) REFERENCES owner (id)",
        lambda m: m.drop_part("foreign key", part(m.found, "fk_more")),
    ),
    "foreign key renamed": (
        "keys",
        """DROP FOREIGN KEY fk_named, DROP INDEX fk_named, ADD CONSTRAINT fk_old
        FOREIGN KEY (named_id) REFERENCES owner (id) ON DELETE CASCADE ON UPDATE SET NULL""",
        lambda m: m.rename_part("foreign key", part(m.found, "fk_old"), "fk_named"),
    ),
    "index of a foreign key dropped": (
        "keys",
        "ADD INDEX (indexed_id), DROP INDEX ix_keys_indexed_id",
        lambda m: m.add_part("index", part(m.expected, "ix_keys_indexed_id")),
    ),
    "index for a foreign key added": (
        "keys",
        "ADD INDEX more (unnamed_id, a)",
        lambda m: m.drop_part("index", part(m.found, "more")),
    ),
    "unique dropped": (
        "Types",
        "DROP INDEX uq_fixed",
        lambda m: m.add_part("unique", part(m.expected, "uq_fixed")),
    ),
    "unique added": (
        "Types",
        "ADD UNIQUE more (day, moment)",
        lambda m: m.drop_part("unique", part(m.found, "more")),
    ),
    "unique reordered": (
        "Types",
        "DROP INDEX uq_fixed, ADD UNIQUE uq_fixed (short, fixed)",
        lambda m: (
            *m.drop_part("unique", part(m.found, "uq_fixed")),
            *m.add_part("unique", part(m.expected, "uq_fixed")),
        ),
    ),
    "index renamed": (
        "Types",
        "RENAME INDEX ix_prefix TO ix_old",
        lambda m: m.rename_part("index", part(m.found, "ix_old"), "ix_prefix"),
    ),
    "index prefix": (
        "Types",
        "DROP INDEX ix_prefix, ADD INDEX ix_prefix (`text`(11), number)",
        lambda m: (
            *m.drop_part("index", part(m.found, "ix_prefix")),
            *m.add_part("index", part(m.expected, "ix_prefix")),
        ),
    ),
    "full-text index dropped": (
        "Types",
        "DROP INDEX ix_text",
        lambda m: m.add_part("index", part(m.expected, "ix_text")),
    ),
    "index kind": (
        "Types",
        "DROP INDEX ix_text, ADD INDEX ix_text (`text`(5) DESC)",
        lambda m: (
            *m.drop_part("index", part(m.found, "ix_text")),
            *m.add_part("index", part(m.expected, "ix_text")),
        ),
    ),
    "check dropped": (
        "Types",
        "DROP CONSTRAINT ck_number",
        lambda m: m.add_part("check", part(m.expected, "ck_number")),
    ),
    "check added": (
        "Types",
        "ADD CONSTRAINT ck_more CHECK (number <> 7)",
        lambda m: m.drop_part("check", part(m.found, "ck_more")),
    ),
    "check of a column dropped": (
        "Types",
        "MODIFY positive INT",
        lambda m: m.add_part("check", part(m.expected, "positive")),
    ),
    "check of a column added": (
        "Types",
        "MODIFY clock TIME CHECK (clock > 0)",
        lambda m: m.drop_part("check", part(m.found, "clock")),
    ),
    "check renamed": (
        "Types",
        "DROP CONSTRAINT ck_number, ADD CONSTRAINT ck_old CHECK (number < 10)",
        lambda m: m.rename_part("check", part(m.found, "ck_old"), "ck_number"),
    ),
    "engine": (
        "Types",
        "DROP INDEX ix_text, ENGINE = MyISAM",
        lambda m: (*m.change_option("engine"), *m.add_part("index", part(m.expected, "ix_text"))),
    ),
    "row format": ("Types", "ROW_FORMAT = DYNAMIC", lambda m: m.change_option("row_format")),
    "key block size": (
        "owner",
        "ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 4",
        lambda m: (*m.change_option("key_block_size"), *m.change_option("row_format")),
    ),
    "partitions": ("plain", "PARTITION BY HASH (id) PARTITIONS 2", lambda m: m.change_option("partitions")),
    "default collation": ("Types", "DEFAULT CHARACTER SET ascii", lambda m: m.change_option("collation")),
    "collation of all": ("Types", "CONVERT TO CHARACTER SET utf8mb4", lambda m: m.change_option("collation")),
    "collation of the class": (
        "keys",
        "DROP FOREIGN KEY fk_pair, CONVERT TO CHARACTER SET utf8mb4",
        lambda m: (*m.change_option("collation"), *m.add_part("foreign key", part(m.expected, "fk_pair"))),
    ),
    "comment": ("Types", "COMMENT ''", lambda m: m.change_comment()),
    "comment added": ("owner", "COMMENT 'more'", lambda m: m.change_comment()),
}


# MySQL checks tables, not columns, and keeps a key that a foreign key needs.
ONLY_MARIADB = {
    "check of a column dropped",
    "check of a column added",
    "identity added",
    "key reordered",
}


def part(reading: TableReading | None, name: str) -> PartReading:
    """The constraint or index of this name."""
    assert reading
    parts = (*reading.foreign_keys, *reading.uniques, *reading.checks, *reading.indexes)
    return next(part for part in parts if part.name == name)


def differences(one: TableReading, other: TableReading) -> list[tuple[object, object]]:
    """What differs, and the order of columns; names that the server gave do not count."""
    pairs: list[tuple[object, object]] = [
        (one.columns.get(name), other.columns.get(name)) for name in {*one.columns, *other.columns}
    ]
    if set(one.columns) == set(other.columns):
        pairs.append((list(one.columns), list(other.columns)))
    pairs += [
        (without_names(getattr(one, field.name)), without_names(getattr(other, field.name)))
        for field in fields(one)[1:]
    ]
    return [pair for pair in pairs if pair[0] != pair[1]]


def without_names(value: object) -> object:
    if not isinstance(value, tuple):
        return value
    parts = [
        replace(part, name=None)
        if isinstance(part, PartReading) and re.search(r"_ibfk_\d+$|^CONSTRAINT_\d+$", part.name or "")
        else part
        for part in value
    ]
    return sorted(parts, key=repr) if parts and isinstance(parts[0], PartReading) else parts


def mending(server: Server, table: Table, expected: TableReading, found: TableReading | None) -> TableMending:
    with server.live.sql.connect() as connection:
        dialect = connection.dialect
    name = dialect.identifier_preparer.format_table(table)
    return server.live.engine.mending(dialect, table, name, ("CREATE …",), expected, found)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_change_is_read_and_its_mending_takes_it_back(server: Server, name: str) -> None:
    if name in ONLY_MARIADB:
        server.only_mariadb("this change cannot be made by that statement")
    tables = [
        *rich(),
        Table("plain", MetaData(), Column("a", sa.String(9)), Column("id", sa.Integer, primary_key=True)),
    ]
    by_name = {table.name: table for table in tables}
    where, damage, mend = DAMAGES[name]
    server.deploy(tables)
    before = server.real(tables)

    server.run(f"ALTER TABLE `{where}` {damage}")
    found = server.real(tables)
    assert {key[1] for key in before if differences(found[key], before[key])} == {where}
    server.run(*mend(mending(server, by_name[where], before[None, where], found[None, where])))

    assert differences(server.real(tables)[None, where], before[None, where]) == []


def in_schemas(named: str, default: str | None = None) -> list[Table]:
    """Tables of two schemas with keys in both directions; `default` names the default schema, too."""
    metadata = MetaData()
    here = Table("here", metadata, Column("id", sa.Integer, primary_key=True))
    there = Table(
        "there",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("text", sa.String(9)),
        Column("here_id", sa.ForeignKey(here.c.id, name="fk_here")),
        schema=named,
    )
    here.append_column(Column("there_id", sa.ForeignKey(there.c.id, ondelete="CASCADE", name="fk_there")))
    tables = [here, there]
    if default:
        spelt = Table(
            "spelt", metadata, Column("id", sa.ForeignKey(here.c.id), primary_key=True), schema=default
        )
        tables += [spelt, Table("last", metadata, Column("id", sa.ForeignKey(spelt.c.id), primary_key=True))]
    return tables


@pytest.fixture
def other_schema(on_mysql: Callable[..., None]) -> Iterator[str]:
    """Another database, with another default collation."""
    name = f"test_other_{uuid4().hex[:8]}"
    on_mysql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    yield name
    on_mysql("SET foreign_key_checks = 0", f"DROP DATABASE {name}")


def deploy_named(server: Server, tables: list[Table]) -> None:
    with server.live.sql.begin() as connection:
        server.live.engine.create(connection, tables, server.live.places(connection, tables))


@pytest.mark.parametrize("form", ["databases", "copies"])
def test_keys_between_schemas_read_the_same(
    server: Server,
    limited: Callable[..., Server],
    other_schema: str,
    on_mysql: Callable[..., None],
    form: str,
) -> None:
    tables = in_schemas(other_schema, server.live.target.database)
    deploy_named(server, tables)
    real = server.real(tables)
    shadow = (server if form == "databases" else limited()).shadow(tables)
    assert len(real) == 4
    assert real[None, "last"].foreign_keys[0].text == (
        f"FOREIGN KEY (id) REFERENCES {server.live.target.database}.spelt (id)"
    )
    for key, reading in real.items():
        assert differences(shadow[key], reading) == []
    on_mysql("SET foreign_key_checks = 0", f"DROP DATABASE {server.live.target.database}")
    on_mysql(f"CREATE DATABASE {server.live.target.database}")


def test_a_key_to_the_default_schema_is_mended_from_another(server: Server, other_schema: str) -> None:
    tables = in_schemas(other_schema)
    deploy_named(server, tables)
    before = server.real(tables)
    server.run(f"ALTER TABLE {other_schema}.there DROP FOREIGN KEY fk_here, DROP INDEX fk_here")
    found = server.real(tables)
    mend = mending(server, tables[1], before[other_schema, "there"], found[other_schema, "there"])
    server.run(*mend.add_part("foreign key", before[other_schema, "there"].foreign_keys[0]))
    assert server.real(tables) == before
    server.run("ALTER TABLE here DROP FOREIGN KEY fk_there", f"DROP TABLE {other_schema}.there")


def test_copies_say_that_another_default_collation_is_not_verified(
    limited: Callable[..., Server], on_mysql: Callable[..., None], other_schema: str
) -> None:
    user = limited()
    on_mysql(f"GRANT SELECT ON {other_schema}.* TO {user.live.target.user}")
    tables = in_schemas(other_schema)
    with (
        user.live.sql.connect() as connection,
        user.live.engine.shadow(user.live.sql, connection, tables) as scratch,
    ):
        assert scratch.note is not None
        assert f"of schema {other_schema};" in scratch.note
    with (
        user.live.sql.connect() as connection,
        user.live.engine.shadow(user.live.sql, connection, rich()) as scratch,
    ):
        assert scratch.note is None


@pytest.mark.parametrize("charset", ["latin1", "utf8mb4 COLLATE utf8mb4_unicode_ci"])
def test_a_database_of_another_charset_raises_no_false_alarm(server: Server, charset: str) -> None:
    server.run(f"ALTER DATABASE {server.live.target.database} CHARACTER SET {charset}")
    tables = rich()
    server.deploy(tables)
    real, shadow = server.real(tables), server.shadow(tables)
    for key, reading in real.items():
        assert differences(shadow[key], reading) == []


def test_who_may_only_select_reads_the_same(server: Server, limited: Callable[..., Server]) -> None:
    tables = rich()
    server.deploy(tables)
    assert limited("SELECT").real(tables) == server.real(tables)


@pytest.mark.parametrize("rights", ["SELECT", "SELECT, CREATE", "SELECT, CREATE, DROP"])
def test_without_a_right_there_is_no_scratch_place(
    server: Server, limited: Callable[..., Server], rights: str
) -> None:
    user = limited(rights)
    with pytest.raises(NoScratchPlaceError, match=r"error 1142 .*next: GRANT ALL ON `datakit") as caught:
        user.shadow(rich())
    assert "scratch place" in str(caught.value)
    assert server.left_behind() == []


def test_a_read_only_server_has_no_scratch_place(server: Server) -> None:
    sa.event.listen(server.live.sql, "connect", read_only)
    server.live.sql.dispose()
    with pytest.raises(NoScratchPlaceError, match=r"error 1792 .*next: validate on the primary server"):
        server.shadow(rich())


def read_only(raw: Any, _: object) -> None:
    raw.cursor().execute("SET SESSION TRANSACTION READ ONLY")


@pytest.mark.parametrize("form", ["databases", "copies"])
@pytest.mark.parametrize("broken_by", [KeyboardInterrupt, ValueError])
def test_nothing_stays_after_an_interruption(
    server: Server,
    limited: Callable[..., Server],
    form: str,
    broken_by: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who = server if form == "databases" else limited()
    execute = type(who.live.engine).execute

    def interrupt(statement: Statement) -> None:
        if statement.name == "Types":
            raise broken_by

    def interrupted(self: Any, connection: Connection, statements: Any, *_: Any) -> None:
        who.made += list(connection.execute(SCRATCH_OF_SESSION).scalars())
        execute(self, connection, statements, interrupt)

    monkeypatch.setattr(type(who.live.engine), "execute", interrupted)
    with pytest.raises(broken_by):
        who.shadow(rich())
    assert who.made != [] or form == "copies"
    assert who.left_behind() == []


SCRATCH_OF_SESSION = sa.text(
    "SELECT schema_name FROM information_schema.schemata"
    " WHERE IS_USED_LOCK(SUBSTRING_INDEX(schema_name, '_', 3)) = CONNECTION_ID()"
)


def test_what_a_killed_process_left_is_dropped(server: Server, on_mysql: Callable[..., None]) -> None:
    token = f"00000001{uuid4().hex[:6]}"  # long ago
    server.made.append(f"datakit_shadow_{token}_0")
    with server.live.sql.connect() as owner:
        owner.exec_driver_sql(f"SELECT GET_LOCK('datakit_shadow_{token}', 0)")
        on_mysql(f"CREATE DATABASE datakit_shadow_{token}_0")
        server.run(
            f"CREATE TABLE datakit_shadow_{token}_7 (id INT)", "CREATE TABLE datakit_shadow_mine (id INT)"
        )
        server.shadow(rich())
        assert len(server.left_behind()) == 3
        owner.invalidate()
    for _ in range(50):
        server.shadow(rich()[:1])
        if len(server.left_behind()) == 1:
            break
    assert server.left_behind() == ["datakit_shadow_mine"]


def test_a_table_that_is_being_made_is_waited_for_and_then_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.only_mariadb("nobody waits for a table that is being made")
    table = Table("slow", MetaData(), Column("a", sa.Integer))
    monkeypatch.setattr("sqlmodel_framework.engines.mysql_engine._LOCK_WAIT", 1)
    with server.live.sql.connect() as other, ThreadPoolExecutor() as pool:
        running = pool.submit(other.exec_driver_sql, "CREATE TABLE slow SELECT SLEEP(4) AS a")
        with server.live.sql.connect() as waiting:
            while not waiting.exec_driver_sql(RUNNING).all():
                waiting.rollback()
        with (
            pytest.raises(TryAgainError, match="error 1205"),
            server.live.engine.errors(server.live.target, "validate"),
        ):
            server.real([table])
        running.result()
    assert set(server.real([table])) == {(None, "slow")}


RUNNING = "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep' AND info LIKE 'CREATE TABLE slow%%'"


def test_lock_tables_does_not_stop_a_reading(server: Server) -> None:
    tables = rich()
    server.deploy(tables)
    with server.live.sql.connect() as other:
        other.exec_driver_sql("LOCK TABLES Types WRITE")
        assert len(server.real(tables)) == 3


def test_other_things_of_that_name_are_read_as_what_they_are(server: Server) -> None:
    server.only_mariadb("it has no sequences, no system-versioned tables and no such types")
    server.run(
        "CREATE TABLE base (id INT, a INT)",
        "CREATE VIEW seen AS SELECT * FROM base",
        "CREATE VIEW broken AS SELECT a FROM base",
        "ALTER TABLE base DROP COLUMN a",
        "CREATE SEQUENCE counted",
        "CREATE TABLE history (id INT) WITH SYSTEM VERSIONING",
        "CREATE TABLE odd (u UUID, i INET6, g POINT, `a%b ``c` INT DEFAULT 1)",
    )
    names = ["base", "seen", "broken", "counted", "history", "odd", "missing"]
    reading = server.real([Table(name, MetaData()) for name in names])
    assert {key[1]: table.kind for key, table in reading.items()} == {
        "base": "table",
        "seen": "view",
        "broken": "view",
        "counted": "sequence",
        "history": "system-versioned table",
        "odd": "table",
    }
    assert [c.type for c in reading[None, "odd"].columns.values()] == ["uuid", "inet6", "point", "int(11)"]
    assert list(reading[None, "odd"].columns)[-1] == "a%b `c"


def test_the_number_of_queries_is_fixed(server: Server) -> None:
    metadata = MetaData()
    for number in range(30):
        Table(
            f"t{number}",
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("a", sa.Integer, index=True),
        )
    tables = list(metadata.tables.values())
    server.deploy(tables)
    counts = [count_queries(server, tables[:1]), count_queries(server, tables)]
    assert counts[0] == counts[1] <= 22


def count_queries(server: Server, tables: list[Table]) -> int:
    seen: list[str] = []

    def count(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    with server.live.sql.connect() as connection:
        places = Places(server.live.places(connection, tables))
        sa.event.listen(server.live.sql, "before_cursor_execute", count)
        reading = server.live.engine.read(connection, [(None, table.name) for table in tables], places)
        sa.event.remove(server.live.sql, "before_cursor_execute", count)
    assert len(reading) == len(tables)
    return len(seen)


def test_the_key_of_a_reading_changes_with_what_decides_it(server: Server, other_schema: str) -> None:
    def key(*statements: str) -> str:
        with server.live.sql.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            found = server.live.engine.reading_key(connection, {None: None, "other": other_schema})
            connection.invalidate()
            return found

    own = f"ALTER DATABASE {server.live.target.database} COLLATE utf8mb4_czech_ci"
    assert other_schema in key()
    assert "'sql_mode', 'ANSI_QUOTES'" in key("SET SESSION sql_mode = 'ANSI_QUOTES'")
    assert "utf8mb4_czech_ci')" not in key()
    assert "utf8mb4_czech_ci')" in key(own)


def test_a_restored_dump_reads_the_same(server: Server) -> None:
    tables = rich()
    server.deploy(tables)
    before = server.real(tables)
    with server.live.sql.connect() as connection:
        dumps = [
            str(connection.exec_driver_sql(f"SHOW CREATE TABLE `{table.name}`").all()[0][1])
            for table in tables
        ]
    server.run("DROP TABLE `keys`, Types, owner", *dumps)
    after = server.real(tables)
    for key, reading in before.items():
        assert differences(after[key], reading) == []
