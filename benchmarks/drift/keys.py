"""Changes of primary keys, foreign keys and unique constraints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import INT4RANGE, ExcludeConstraint

from sqlmodel_framework.benchmarks.drift.pairs import MYSQL, Change, item, keyless, lost


def _keyed(*columns: str, name: str | None = None) -> MetaData:
    return keyless(
        Column("a", Integer, nullable=False, autoincrement=False),
        Column("b", Integer, nullable=False, autoincrement=False),
        *([PrimaryKeyConstraint(*columns, name=name)] if columns else []),
    )


PRIMARY_KEYS = (
    Change("primary key added", _keyed, lambda: _keyed("a"), ("DK301",)),
    Change("primary key dropped", lambda: _keyed("a"), _keyed, ("DK301",)),
    Change("primary-key column added", lambda: _keyed("a"), lambda: _keyed("a", "b"), ("DK301",)),
    Change("primary-key column removed", lambda: _keyed("a", "b"), lambda: _keyed("a"), ("DK301",)),
    Change("primary-key columns reordered", lambda: _keyed("a", "b"), lambda: _keyed("b", "a"), ("DK301",)),
    Change("primary key on another column", lambda: _keyed("a"), lambda: _keyed("b"), ("DK301",)),
    Change(
        "primary key renamed",
        lambda: _keyed("a", name="item_key"),
        lambda: _keyed("a", name="item_main"),
        ("DK801",),
        lost=lost("calls every primary key PRIMARY", *MYSQL),
    ),
)


def _referring(*to: str, name: str = "item_shop", **options: Any) -> MetaData:
    """`item` with a foreign key to the columns `to`, or with none."""
    parts = [Column("shop_id", Integer), Column("shop_number", Integer)]
    columns = ["shop_id", "shop_number"][: len(to)]
    return item(*parts, *([ForeignKeyConstraint(columns, to, name=name, **options)] if to else []))


def _action(before: str | None, after: str | None, event: str) -> dict[str, Any]:
    old: dict[str, Any] = {event: before}
    new: dict[str, Any] = {event: after}
    return {
        "before": lambda: _referring("shop.id", **old),
        "after": lambda: _referring("shop.id", **new),
        "codes": ("DK403",),
        "part": "item_shop",
    }


_WHEN = ("sqlite", "postgresql")

FOREIGN_KEYS = (
    Change("foreign key added", _referring, lambda: _referring("shop.id"), ("DK401",), part="item_shop"),
    Change("foreign key removed", lambda: _referring("shop.id"), _referring, ("DK402",), part="item_shop"),
    Change(
        "foreign key to another table",
        lambda: _referring("shop.id"),
        lambda: _referring("depot.id"),
        ("DK403",),
        part="item_shop",
    ),
    Change(
        "foreign key to another column",
        lambda: _referring("shop.id"),
        lambda: _referring("shop.number"),
        ("DK403",),
        part="item_shop",
    ),
    Change(
        "foreign key of two columns added",
        _referring,
        lambda: _referring("shop.id", "shop.number"),
        ("DK401",),
        part="item_shop",
    ),
    Change(
        "foreign key gains a column",
        lambda: _referring("shop.id"),
        lambda: _referring("shop.id", "shop.number"),
        ("DK403",),
        part="item_shop",
    ),
    Change(
        "foreign key of two columns crossed",
        lambda: _referring("shop.id", "shop.number"),
        lambda: item(
            Column("shop_id", Integer),
            Column("shop_number", Integer),
            ForeignKeyConstraint(["shop_number", "shop_id"], ["shop.id", "shop.number"], name="item_shop"),
        ),
        ("DK403",),
        part="item_shop",
    ),
    Change("ON DELETE added", **_action(None, "CASCADE", "ondelete")),
    Change("ON DELETE removed", **_action("CASCADE", None, "ondelete")),
    Change("ON DELETE changed", **_action("CASCADE", "SET NULL", "ondelete")),
    Change(
        "ON DELETE NO ACTION to RESTRICT",
        **_action("NO ACTION", "RESTRICT", "ondelete"),
        lost=lost("NO ACTION, RESTRICT and nothing do the same there", *MYSQL),
    ),
    Change("ON UPDATE added", **_action(None, "CASCADE", "onupdate")),
    Change("ON UPDATE changed", **_action("CASCADE", "SET NULL", "onupdate")),
    Change("foreign key DEFERRABLE", **_action(None, True, "deferrable"), on=_WHEN),  # type: ignore[arg-type]
    Change(
        "foreign key INITIALLY DEFERRED",
        lambda: _referring("shop.id", deferrable=True, initially="IMMEDIATE"),
        lambda: _referring("shop.id", deferrable=True, initially="DEFERRED"),
        ("DK403",),
        part="item_shop",
        on=_WHEN,
    ),
    Change(
        "ON DELETE SET NULL of some columns",
        **_action("SET NULL (shop_id)", "SET NULL", "ondelete"),
        on=("postgresql",),
    ),
    Change("foreign key MATCH FULL", **_action(None, "FULL", "match"), on=("postgresql",)),
    Change(
        "foreign key renamed",
        lambda: _referring("shop.id"),
        lambda: _referring("shop.id", name="item_of_shop"),
        ("DK801",),
    ),
)


def _unique(*columns: str, name: str | None = "item_once", **options: Any) -> MetaData:
    parts = [Column("a", Integer), Column("b", Integer), Column("c", Integer)]
    return item(*parts, *([UniqueConstraint(*columns, name=name, **options)] if columns else []))


UNIQUES = (
    Change("unique added", _unique, lambda: _unique("a", "b"), ("DK501",), part="item_once"),
    Change("unique removed", lambda: _unique("a", "b"), _unique, ("DK502",), part="item_once"),
    Change("unnamed unique added", _unique, lambda: _unique("a", name=None), ("DK501",)),
    Change("unnamed unique removed", lambda: _unique("a", name=None), _unique, ("DK502",)),
    Change(
        "unnamed unique on another column",
        lambda: _unique("a", name=None),
        lambda: _unique("b", name=None),
        ("DK501", "DK503"),
    ),
    Change(
        "unique on another column",
        lambda: _unique("a", "b"),
        lambda: _unique("a", "c"),
        ("DK503",),
        part="item_once",
    ),
    Change(
        "unique gains a column",
        lambda: _unique("a"),
        lambda: _unique("a", "b"),
        ("DK503",),
        part="item_once",
    ),
    Change(
        "unique columns reordered",
        lambda: _unique("a", "b"),
        lambda: _unique("b", "a"),
        ("DK503",),
        part="item_once",
    ),
    Change("unique renamed", lambda: _unique("a"), lambda: _unique("a", name="item_single"), ("DK801",)),
    Change(
        "unique DEFERRABLE",
        lambda: _unique("a"),
        lambda: _unique("a", deferrable=True),
        ("DK503",),
        part="item_once",
        on=("postgresql",),
    ),
    Change(
        "unique NULLS NOT DISTINCT",
        lambda: _unique("a"),
        lambda: _unique("a", postgresql_nulls_not_distinct=True),
        ("DK503",),
        part="item_once",
        on=("postgresql",),
    ),
    Change(
        "unique ON CONFLICT",
        lambda: _unique("a"),
        lambda: _unique("a", sqlite_on_conflict="REPLACE"),
        ("DK503",),
        part="item_once",
        on=("sqlite",),
    ),
    Change(
        "exclusion constraint added",
        lambda: item(Column("span", INT4RANGE)),
        lambda: item(
            Column("span", INT4RANGE), ExcludeConstraint(("span", "&&"), name="no_overlap", using="gist")
        ),
        ("DK501", "DK601", "DK701"),
        part="no_overlap",
        on=("postgresql",),
    ),
)

CHANGES = (*PRIMARY_KEYS, *FOREIGN_KEYS, *UNIQUES)
