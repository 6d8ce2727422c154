"""Changes of whole tables, their options, their indexes and their CHECK constraints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.sql.schema import SchemaItem

from sqlmodel_framework.benchmarks.drift.pairs import MYSQL, Change, item, keyless, lost, shops


def _with_note() -> MetaData:
    metadata = item()
    Table("note", metadata, Column("id", Integer, primary_key=True, autoincrement=False))
    return metadata


def _view() -> MetaData:
    """A view, made and dropped in a database alone: it is no part of the DDL of the tables."""
    metadata = shops()
    for when, statement in (
        ("after_create", "CREATE VIEW item AS SELECT id FROM shop"),
        ("before_drop", "DROP VIEW item"),
    ):
        ddl = DDL(statement)  # type: ignore[no-untyped-call]
        event.listen(metadata, when, ddl.execute_if(callable_=_in_a_database))
    return metadata


def _in_a_database(ddl: object, target: object, bind: object, *_: object, **__: object) -> bool:
    return isinstance(bind, Connection)


TABLES = (
    Change("table added", item, _with_note, ("DK101",), table="note"),
    Change("table removed", _with_note, item, ("DK103",), table="note", only_strict=True),
    Change("view in place of a table", _view, item, ("DK102",)),
)


def _option(name: str, before: dict[str, Any], after: dict[str, Any], *on: str) -> Change:
    return Change(name, lambda: item(**before), lambda: item(**after), ("DK104",), on=on)


_NO_COMMENT = lost("stores no comments", "sqlite")


def _rowid(**options: bool) -> MetaData:
    return keyless(Column("id", Integer, primary_key=True), Column("value", Integer), **options)


OPTIONS = (
    Change("table comment added", item, lambda: item(comment="goods"), ("DK105",), lost=_NO_COMMENT),
    Change(
        "table comment changed",
        lambda: item(comment="goods"),
        lambda: item(comment="wares"),
        ("DK105",),
        lost=_NO_COMMENT,
    ),
    Change("table comment removed", lambda: item(comment="goods"), item, ("DK105",), lost=_NO_COMMENT),
    _option("storage engine", {"mysql_engine": "InnoDB"}, {"mysql_engine": "MyISAM"}, *MYSQL),
    _option("row format", {"mysql_row_format": "DYNAMIC"}, {"mysql_row_format": "COMPACT"}, *MYSQL),
    _option("charset of a table", {"mysql_charset": "utf8mb4"}, {"mysql_charset": "greek"}, *MYSQL),
    _option(
        "collation of a table",
        {"mysql_collate": "utf8mb4_general_ci"},
        {"mysql_collate": "utf8mb4_bin"},
        *MYSQL,
    ),
    Change(
        "AUTOINCREMENT added",
        _rowid,
        lambda: _rowid(sqlite_autoincrement=True),
        ("DK104", "DK215"),
        on=("sqlite",),
    ),
    Change(
        "AUTOINCREMENT removed",
        lambda: _rowid(sqlite_autoincrement=True),
        _rowid,
        ("DK104", "DK215"),
        on=("sqlite",),
    ),
    Change(
        "STRICT",
        lambda: keyless(Column("id", Integer, primary_key=True), Column("value", Text)),
        lambda: keyless(Column("id", Integer, primary_key=True), Column("value", Text), sqlite_strict=True),
        ("DK104",),
        on=("sqlite",),
    ),
    _option("WITHOUT ROWID", {}, {"sqlite_with_rowid": False}, "sqlite"),
    Change(
        "primary key ON CONFLICT",
        _rowid,
        lambda: keyless(
            Column("id", Integer, primary_key=True, sqlite_on_conflict_primary_key="REPLACE"),
            Column("value", Integer),
        ),
        ("DK104", "DK301"),
        on=("sqlite",),
    ),
    Change(
        "NOT NULL ON CONFLICT",
        lambda: item(Column("extra", Integer, nullable=False)),
        lambda: item(Column("extra", Integer, nullable=False, sqlite_on_conflict_not_null="REPLACE")),
        ("DK104", "DK212"),
        on=("sqlite",),
    ),
    _option("UNLOGGED", {}, {"prefixes": ["UNLOGGED"]}, "postgresql"),
    _option("storage parameter", {}, {"postgresql_with": {"fillfactor": 70}}, "postgresql"),
    _option("partitioned", {}, {"postgresql_partition_by": "RANGE (id)"}, "postgresql"),
)


_Made = tuple[tuple[str, ...], dict[str, Any]]
"""The columns of an index, and its options."""


def _indexed(*columns: str, name: str = "item_find", **options: Any) -> MetaData:
    parts: list[SchemaItem] = [Column("a", Integer), Column("b", Integer), Column("c", String(50))]
    written = [
        text(column) if isinstance(column, str) and not column.isalpha() else column for column in columns
    ]
    return item(*parts, *([Index(name, *written, **options)] if columns else []))


def _index(name: str, before: _Made, after: _Made, *on: str, **more: Any) -> Change:
    columns, options = before
    new_columns, new_options = after
    return Change(
        name,
        lambda: _indexed(*columns, **options),
        lambda: _indexed(*new_columns, **new_options),
        ("DK603",),
        part="item_find",
        on=on or ("sqlite", "postgresql", *MYSQL),
        **more,
    )


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


_EXPRESSIONS = ("sqlite", "postgresql", "mysql")
_PARTIAL = ("sqlite", "postgresql")

INDEXES = (
    Change("index added", _indexed, lambda: _indexed("a"), ("DK601",), part="item_find"),
    Change("index removed", lambda: _indexed("a"), _indexed, ("DK602",), part="item_find"),
    Change(
        "index renamed", lambda: _indexed("a"), lambda: _indexed("a", name="item_seek"), ("DK801", "DK601")
    ),
    Change(
        "unique index removed",
        lambda: _indexed("a", unique=True),
        _indexed,
        ("DK604", "DK502"),
        part="item_find",
    ),
    Change(
        "unique index added",
        _indexed,
        lambda: _indexed("a", unique=True),
        ("DK601", "DK501"),
        part="item_find",
    ),
    Change(
        "index becomes unique",
        lambda: _indexed("a"),
        lambda: _indexed("a", unique=True),
        ("DK603", "DK501"),
        part="item_find",
    ),
    Change(
        "unique index becomes plain",
        lambda: _indexed("a", unique=True),
        lambda: _indexed("a"),
        ("DK603", "DK601", "DK502"),
        part="item_find",
    ),
    Change(
        "unique index becomes unique constraint",
        lambda: _indexed("a", unique=True),
        lambda: item(
            Column("a", Integer),
            Column("b", Integer),
            Column("c", String(50)),
            UniqueConstraint("a", name="item_find"),
        ),
        ("DK501",),
        part="item_find",
        lost=lost("a unique constraint is a unique index there", *MYSQL),
    ),
    Change(
        "one of two equal indexes removed",
        lambda: item(Index("i1", "value"), Index("i2", "value")),
        lambda: item(Index("i1", "value")),
        ("DK602",),
        part="i2",
    ),
    Change(
        "unique index on an expression added",
        item,
        lambda: item(Index("once", text("lower(name)"), unique=True)),
        ("DK601",),
        part="once",
        on=("sqlite", "postgresql"),
    ),
    _index("index columns reordered", (("a", "b"), {}), (("b", "a"), {})),
    _index("index on another column", (("a",), {}), (("b",), {})),
    _index("index gains a column", (("a",), {}), (("a", "b"), {})),
    _index("index DESC", (("a",), {}), (("a DESC",), {})),
    _index("index NULLS FIRST", (("a",), {}), (("a NULLS FIRST",), {}), "postgresql"),
    _index("index on an expression", (("c",), {}), (("(lower(c))",), {}), *_EXPRESSIONS),
    _index("index expression changed", (("(lower(c))",), {}), (("(upper(c))",), {}), *_EXPRESSIONS),
    _index("index WHERE added", (("a",), {}), (("a",), _where("b > 0")), *_PARTIAL),
    _index("index WHERE changed", (("a",), _where("b > 0")), (("a",), _where("b > 1")), *_PARTIAL),
    _index("index WHERE removed", (("a",), _where("b > 0")), (("a",), {}), *_PARTIAL),
    _index("index INCLUDE", (("a",), {}), (("a",), {"postgresql_include": ["b"]}), "postgresql"),
    _index("index method", (("a",), {}), (("a",), {"postgresql_using": "hash"}), "postgresql"),
    _index(
        "index method HASH",
        (("a",), {}),
        (("a",), {"mysql_using": "hash"}),
        *MYSQL,
        lost=lost("InnoDB makes a BTREE of it", *MYSQL),
    ),
    _index(
        "index operator class",
        (("c",), {}),
        (("c",), {"postgresql_ops": {"c": "varchar_pattern_ops"}}),
        "postgresql",
    ),
    _index(
        "index storage parameter",
        (("a",), {}),
        (("a",), {"postgresql_with": {"fillfactor": 70}}),
        "postgresql",
    ),
    _index("index collation", (("c",), {}), (('c COLLATE "C"',), {}), "postgresql"),
    _index("index collation, SQLite", (("c",), {}), (("c COLLATE NOCASE",), {}), "sqlite"),
    _index("index prefix length", (("c",), {}), (("c",), {"mysql_length": {"c": 10}}), *MYSQL),
    _index("index FULLTEXT", (("c",), {}), (("c",), {"mysql_prefix": "FULLTEXT"}), *MYSQL),
    _index(
        "unique index NULLS NOT DISTINCT",
        (("a",), {"unique": True}),
        (("a",), {"unique": True, "postgresql_nulls_not_distinct": True}),
        "postgresql",
    ),
)


def _checked(condition: str | None, name: str | None = "item_sane") -> MetaData:
    return item(*([CheckConstraint(condition, name=name)] if condition else []))


CHECKS = (
    Change(
        "CHECK added", lambda: _checked(None), lambda: _checked("value > 0"), ("DK701",), part="item_sane"
    ),
    Change(
        "CHECK removed", lambda: _checked("value > 0"), lambda: _checked(None), ("DK702",), part="item_sane"
    ),
    Change(
        "CHECK text changed",
        lambda: _checked("value > 0"),
        lambda: _checked("value > 1"),
        ("DK703",),
        part="item_sane",
    ),
    Change(
        "CHECK list changed",
        lambda: _checked("name IN ('a', 'b')"),
        lambda: _checked("name IN ('a', 'c')"),
        ("DK703",),
        part="item_sane",
    ),
    Change(
        "CHECK text changed in the case of a literal",
        lambda: _checked("name <> 'a'"),
        lambda: _checked("name <> 'A'"),
        ("DK703",),
        part="item_sane",
    ),
    Change(
        "CHECK renamed",
        lambda: _checked("value > 0"),
        lambda: _checked("value > 0", "item_good"),
        ("DK801",),
    ),
    Change("unnamed CHECK added", lambda: _checked(None), lambda: _checked("value > 0", None), ("DK701",)),
    Change("unnamed CHECK removed", lambda: _checked("value > 0", None), lambda: _checked(None), ("DK702",)),
    Change(
        "names of two CHECKs swapped",
        lambda: item(CheckConstraint("value > 0", name="c1"), CheckConstraint("value < 9", name="c2")),
        lambda: item(CheckConstraint("value < 9", name="c1"), CheckConstraint("value > 0", name="c2")),
        ("DK703", "DK801"),
    ),
    Change(
        "one of two equal CHECKs removed",
        lambda: item(CheckConstraint("value > 0"), CheckConstraint("value > 0")),
        lambda: item(CheckConstraint("value > 0")),
        ("DK702",),
    ),
    Change(
        "unnamed CHECK text changed",
        lambda: _checked("value > 0", None),
        lambda: _checked("value > 1", None),
        ("DK701", "DK703"),
    ),
)

CHANGES = (*TABLES, *OPTIONS, *INDEXES, *CHECKS)
