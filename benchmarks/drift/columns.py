"""Changes of columns: there or not, type, nullability, default, computed, identity, collation, comment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    SmallInteger,
    String,
    Text,
    Time,
    Unicode,
    Uuid,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import CHAR

from sqlmodel_framework.benchmarks.drift.pairs import MYSQL, Change, item, keyless, lost, typed

_NO_ZONE = lost("stores no time zone", "sqlite", *MYSQL)
_NO_COMMENT = lost("stores no comments", "sqlite")
_NO_IDENTITY = lost("has no identity columns: nothing of it is declared", "sqlite", *MYSQL)


def _key() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=False)


THERE = (
    Change(
        "column added",
        item,
        lambda: item(Column("extra", Integer)),
        ("DK201",),
        column="extra",
    ),
    Change(
        "column removed",
        lambda: item(Column("extra", Integer)),
        item,
        ("DK202",),
        column="extra",
        only_strict=True,
    ),
    Change(
        "column removed that every row must fill",
        lambda: item(Column("extra", Integer, nullable=False)),
        item,
        ("DK203",),
        column="extra",
    ),
    Change(
        "column renamed",
        lambda: item(Column("size", Integer)),
        lambda: item(Column("width", Integer)),
        ("DK201",),
        column="width",
    ),
    Change(
        "column renamed in case",
        lambda: item(Column("size", Integer)),
        lambda: item(Column("Size", Integer)),
        ("DK201",),
        column="Size",
    ),
    Change(
        "column moved",
        lambda: keyless(_key(), Column("a", Integer), Column("b", Integer), Column("c", Integer)),
        lambda: keyless(_key(), Column("b", Integer), Column("c", Integer), Column("a", Integer)),
        ("DK204",),
    ),
)

TYPES = (
    typed("type of another family", Integer(), Date()),
    typed("length longer", String(20), String(30)),
    typed("length shorter", String(20), String(10)),
    typed("length removed", String(20), String(), on=("sqlite", "postgresql")),
    typed("length added", String(), String(20), on=("sqlite", "postgresql")),
    typed("precision", Numeric(10, 2), Numeric(12, 2)),
    typed("scale", Numeric(10, 2), Numeric(10, 3)),
    typed("precision removed", Numeric(10, 2), Numeric()),
    typed("time zone added to a timestamp", DateTime(), DateTime(timezone=True), lost=_NO_ZONE),
    typed("time zone removed from a timestamp", DateTime(timezone=True), DateTime(), lost=_NO_ZONE),
    typed("time zone added to a time", Time(), Time(timezone=True), lost=_NO_ZONE),
    typed("integer wider", Integer(), BigInteger()),
    typed("integer narrower", Integer(), SmallInteger()),
    typed(
        "FLOAT to DOUBLE",
        Float(),
        Double(),
        lost=lost("FLOAT and DOUBLE PRECISION are one type there", "postgresql"),
    ),
    typed("REAL to DOUBLE", REAL(), Double(), lost=lost("REAL is another word for DOUBLE there", *MYSQL)),
    typed("TEXT to VARCHAR", Text(), String(20)),
    typed("VARCHAR to CHAR", String(20), CHAR(20)),
    typed("BOOLEAN to INTEGER", Boolean(), Integer()),
    typed("text to bytes", Text(), LargeBinary()),
    typed("UUID to text", Uuid(), String(36)),
    typed("JSON to text", JSON(), Text()),
    typed("TIMESTAMP to DATE", DateTime(), Date()),
    typed(
        "BOOLEAN to TINYINT(1)", Boolean(), mysql.TINYINT(1), on=MYSQL, lost=lost("one type there", *MYSQL)
    ),
    typed("unsigned", Integer(), mysql.INTEGER(unsigned=True), on=MYSQL),
    typed("fractional seconds", mysql.DATETIME(), mysql.DATETIME(fsp=6), on=MYSQL),
    typed("DATETIME to TIMESTAMP", mysql.DATETIME(), mysql.TIMESTAMP(), on=MYSQL),
    typed("TEXT to LONGTEXT", Text(), mysql.LONGTEXT(), on=MYSQL),
    typed(
        "SET member added",
        mysql.SET("red", "tan"),
        mysql.SET("red", "tan", "sky"),
        "DK218",
        "DK211",
        on=MYSQL,
    ),
    typed("JSON to JSONB", postgresql.JSON(), postgresql.JSONB(), on=("postgresql",)),
    typed("UUID to CHAR(32)", postgresql.UUID(), CHAR(32), on=("postgresql",)),
    typed(
        "timestamp precision",
        postgresql.TIMESTAMP(),
        postgresql.TIMESTAMP(precision=3),
        on=("postgresql",),
    ),
    typed(
        "interval fields",
        postgresql.INTERVAL(),
        postgresql.INTERVAL(fields="DAY TO SECOND"),
        on=("postgresql",),
    ),
    typed("plain to array", Integer(), postgresql.ARRAY(Integer), on=("postgresql",)),
    typed("array element", postgresql.ARRAY(Integer), postgresql.ARRAY(BigInteger), on=("postgresql",)),
    typed(
        "array dimensions",
        postgresql.ARRAY(Integer, dimensions=1),
        postgresql.ARRAY(Integer, dimensions=2),
        on=("postgresql",),
        lost=lost("the number of dimensions has no meaning there, and a dump drops it", "postgresql"),
    ),
    typed("bit length", postgresql.BIT(8), postgresql.BIT(16), on=("postgresql",)),
)


def _domain(length: int, check: str | None = None) -> MetaData:
    kind = postgresql.DOMAIN(
        "thing_code", String(length), check=check, constraint_name="code_form" if check else None
    )
    return item(Column("thing", kind))


DOMAINS = (
    Change(
        "plain to domain",
        lambda: item(Column("thing", String(5))),
        lambda: _domain(5),
        ("DK211",),
        column="thing",
        on=("postgresql",),
    ),
    Change(
        "type of a domain",
        lambda: _domain(5),
        lambda: _domain(8),
        ("DK211",),
        column="thing",
        on=("postgresql",),
    ),
    Change(
        "CHECK of a domain",
        lambda: _domain(5, "VALUE <> ''"),
        lambda: _domain(5, "VALUE <> 'none'"),
        ("DK211",),
        column="thing",
        on=("postgresql",),
    ),
)

NULLABILITY = (
    Change(
        "NULL allowed",
        lambda: item(Column("extra", Integer, nullable=False)),
        lambda: item(Column("extra", Integer, nullable=True)),
        ("DK212",),
        column="extra",
    ),
    Change(
        "NULL forbidden",
        lambda: item(Column("extra", Integer, nullable=True)),
        lambda: item(Column("extra", Integer, nullable=False)),
        ("DK212",),
        column="extra",
    ),
)


def _default(
    name: str, kind: type, before: object, after: object, on: tuple[str, ...] | None = None
) -> Change:
    def build(default: object) -> MetaData:
        return item(Column("extra", kind(50) if kind is String else kind(), server_default=default))  # type: ignore[arg-type]

    change = Change(name, lambda: build(before), lambda: build(after), ("DK213",), column="extra")
    return change if on is None else replace(change, on=on)


DEFAULTS = (
    _default("default added", Integer, None, text("5")),
    _default("default removed", Integer, text("5"), None),
    _default("default number changed", Integer, text("5"), text("6")),
    _default("default decimal changed", Numeric, text("0"), text("1")),
    _default("default text changed", String, "new", "old"),
    _default("default text changed in case", String, "new", "New"),
    _default("default empty text added", String, None, ""),
    _default("default function to constant", DateTime, func.now(), "2020-01-01 00:00:00"),
    _default("default function added", DateTime, None, func.now()),
    _default("default function changed", DateTime, func.now(), text("clock_timestamp()"), ("postgresql",)),
    _default("default boolean changed", Boolean, true(), false()),
    _default(
        "default ON UPDATE CURRENT_TIMESTAMP",
        DateTime,
        text("CURRENT_TIMESTAMP"),
        text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"),
        MYSQL,
    ),
)


def _sequence(**options: Any) -> MetaData:
    sequence = Sequence("extra_number", **options)
    return item(Column("extra", Integer, sequence, server_default=sequence.next_value()))


def _counted(*, autoincrement: bool) -> MetaData:
    return keyless(Column("id", Integer, primary_key=True, autoincrement=autoincrement))


def _identity(identity: Identity | None) -> MetaData:
    return item(Column("extra", Integer, *([identity] if identity else []), nullable=False))


_NO_AUTOINCREMENT = lost("counts every INTEGER PRIMARY KEY up", "sqlite")
_COUNTED = ("DK215", "DK213")

COUNTING = (
    Change(
        "sequence default added",
        lambda: item(Column("extra", Integer)),
        _sequence,
        _COUNTED,
        column="extra",
        on=("postgresql", "mariadb"),
    ),
    Change(
        "sequence default removed",
        _sequence,
        lambda: item(Column("extra", Integer)),
        _COUNTED,
        column="extra",
        on=("postgresql", "mariadb"),
    ),
    Change(
        "sequence options",
        _sequence,
        lambda: _sequence(increment=5),
        _COUNTED,
        column="extra",
        on=("postgresql", "mariadb"),
    ),
    Change(
        "autoincrement switched off",
        lambda: _counted(autoincrement=True),
        lambda: _counted(autoincrement=False),
        _COUNTED,
        column="id",
        lost=_NO_AUTOINCREMENT,
    ),
    Change(
        "autoincrement switched on",
        lambda: _counted(autoincrement=False),
        lambda: _counted(autoincrement=True),
        _COUNTED,
        column="id",
        lost=_NO_AUTOINCREMENT,
    ),
    Change(
        "SERIAL to identity",
        lambda: _counted(autoincrement=True),
        lambda: keyless(Column("id", Integer, Identity(), primary_key=True)),
        _COUNTED,
        column="id",
        on=("postgresql",),
    ),
    Change(
        "identity added",
        lambda: _identity(None),
        lambda: _identity(Identity()),
        ("DK215",),
        column="extra",
        lost=_NO_IDENTITY,
    ),
    Change(
        "identity removed",
        lambda: _identity(Identity()),
        lambda: _identity(None),
        ("DK215",),
        column="extra",
        lost=_NO_IDENTITY,
    ),
    Change(
        "identity ALWAYS",
        lambda: _identity(Identity()),
        lambda: _identity(Identity(always=True)),
        ("DK215",),
        column="extra",
        lost=_NO_IDENTITY,
    ),
    Change(
        "identity start",
        lambda: _identity(Identity(start=1)),
        lambda: _identity(Identity(start=100)),
        ("DK215",),
        column="extra",
        lost=_NO_IDENTITY,
    ),
    Change(
        "identity increment",
        lambda: _identity(Identity(increment=1)),
        lambda: _identity(Identity(increment=10)),
        ("DK215",),
        column="extra",
        lost=_NO_IDENTITY,
    ),
    Change(
        "identity limit",
        lambda: _identity(Identity(maxvalue=10)),
        lambda: _identity(Identity(maxvalue=20)),
        ("DK215",),
        column="extra",
        on=("postgresql",),
    ),
    Change(
        "identity CYCLE",
        lambda: _identity(Identity()),
        lambda: _identity(Identity(cycle=True)),
        ("DK215",),
        column="extra",
        on=("postgresql",),
    ),
)


def _computed(text_: str | None, *, persisted: bool | None = True) -> MetaData:
    return item(Column("twice", Integer, *([Computed(text_, persisted)] if text_ else [])))


COMPUTED = (
    Change(
        "plain to computed",
        lambda: _computed(None),
        lambda: _computed("value * 2"),
        ("DK214",),
        column="twice",
    ),
    Change(
        "computed to plain",
        lambda: _computed("value * 2"),
        lambda: _computed(None),
        ("DK214",),
        column="twice",
    ),
    Change(
        "computed expression",
        lambda: _computed("value * 2"),
        lambda: _computed("value + value"),
        ("DK214",),
        column="twice",
    ),
    Change(
        "computed expression in the case of a literal",
        lambda: _computed("CASE WHEN name = 'a' THEN 1 END"),
        lambda: _computed("CASE WHEN name = 'A' THEN 1 END"),
        ("DK214",),
        column="twice",
    ),
    Change(
        "computed and stored to computed when read",
        lambda: _computed("value * 2"),
        lambda: _computed("value * 2", persisted=False),
        ("DK214",),
        column="twice",
        on=("sqlite", *MYSQL),
    ),
)


def _native(*members: str, name: str = "colour") -> MetaData:
    return item(Column("colour", Enum(*members, name=name)))


def _checked(*members: str, name: str | None = "colour_members") -> MetaData:
    kind = Enum(*members, name=name, native_enum=False, create_constraint=True)
    return item(Column("colour", kind))


_NO_ENUM = lost("has no enum type: only the length of the text is stored", "sqlite")

ENUMS = (
    Change(
        "enum member added",
        lambda: _native("red", "tan"),
        lambda: _native("red", "tan", "sky"),
        ("DK218",),
        column="colour",
        lost=_NO_ENUM,
    ),
    Change(
        "enum member removed",
        lambda: _native("red", "tan", "sky"),
        lambda: _native("red", "tan"),
        ("DK218",),
        column="colour",
        lost=_NO_ENUM,
    ),
    Change(
        "enum member renamed",
        lambda: _native("red", "tan"),
        lambda: _native("red", "sky"),
        ("DK218",),
        column="colour",
        lost=_NO_ENUM,
    ),
    Change(
        "enum members reordered",
        lambda: _native("red", "tan"),
        lambda: _native("tan", "red"),
        ("DK218",),
        column="colour",
        lost=_NO_ENUM,
    ),
    Change(
        "enum type renamed",
        lambda: _native("red", "tan", name="colour"),
        lambda: _native("red", "tan", name="shade"),
        ("DK211",),
        column="colour",
        lost={**_NO_ENUM, **lost("enum types have no name", *MYSQL)},
    ),
    Change(
        "enum type to text",
        lambda: _native("red", "tan"),
        lambda: item(Column("colour", String(3))),
        ("DK211",),
        column="colour",
        lost=_NO_ENUM,
    ),
    Change(
        "member added to an enum of text and CHECK",
        lambda: _checked("red", "tan"),
        lambda: _checked("red", "tan", "sky"),
        ("DK703",),
        part="colour_members",
    ),
    Change(
        "member removed from an enum of text and CHECK",
        lambda: _checked("red", "tan", "sky"),
        lambda: _checked("red", "tan"),
        ("DK703",),
        part="colour_members",
    ),
    Change(
        "member added to an enum of text and CHECK, unnamed",
        lambda: _checked("red", "tan", name=None),
        lambda: _checked("red", "tan", "sky", name=None),
        ("DK701", "DK703"),
    ),
)


def _collated(postgres: str | None, my: str | None, lite: str | None) -> MetaData:
    kind = (
        Unicode(50)
        .with_variant(Unicode(50, collation=postgres), "postgresql")
        .with_variant(Unicode(50, collation=my), "mysql", "mariadb")
        .with_variant(Unicode(50, collation=lite), "sqlite")
    )
    return item(Column("label", kind))


COLLATIONS = (
    Change(
        "collation set",
        lambda: _collated(None, None, None),
        lambda: _collated("C", "utf8mb4_bin", "NOCASE"),
        ("DK216",),
        column="label",
    ),
    Change(
        "collation removed",
        lambda: _collated("C", "utf8mb4_bin", "NOCASE"),
        lambda: _collated(None, None, None),
        ("DK216",),
        column="label",
    ),
    Change(
        "collation changed",
        lambda: _collated("C", "utf8mb4_bin", "NOCASE"),
        lambda: _collated("POSIX", "utf8mb4_unicode_ci", "RTRIM"),
        ("DK216",),
        column="label",
    ),
    Change(
        "charset of a column",
        lambda: item(Column("label", mysql.VARCHAR(50))),
        lambda: item(Column("label", mysql.VARCHAR(50, charset="greek"))),
        ("DK216",),
        column="label",
        on=MYSQL,
    ),
)


def _noted(comment: str | None) -> MetaData:
    return item(Column("extra", Integer, comment=comment))


COMMENTS = (
    Change(
        "column comment added",
        lambda: _noted(None),
        lambda: _noted("in mm"),
        ("DK217",),
        column="extra",
        lost=_NO_COMMENT,
    ),
    Change(
        "column comment changed",
        lambda: _noted("in mm"),
        lambda: _noted("in cm"),
        ("DK217",),
        column="extra",
        lost=_NO_COMMENT,
    ),
    Change(
        "column comment removed",
        lambda: _noted("in mm"),
        lambda: _noted(None),
        ("DK217",),
        column="extra",
        lost=_NO_COMMENT,
    ),
)

CHANGES = (
    *THERE,
    *TYPES,
    *DOMAINS,
    *NULLABILITY,
    *DEFAULTS,
    *COUNTING,
    *COMPUTED,
    *ENUMS,
    *COLLATIONS,
    *COMMENTS,
)
