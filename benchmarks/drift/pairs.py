"""What a change is: two small databases that differ in one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, UniqueConstraint
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.types import TypeEngine

Build = Callable[[], MetaData]

DIALECTS = ("sqlite", "postgresql", "mariadb", "mysql")
MYSQL = ("mariadb", "mysql")


@dataclass(frozen=True)
class Change:
    """One difference: `before` is what the database has, `after` what the classes say.

    `codes` are the findings that count as naming it, `table`, `column` and `part` the object that they name. `on` are
    the dialects in which both sides can be declared, `lost` those of them that store both sides alike, with the reason.
    `only_strict` is about things that the database has beside the classes.
    """

    name: str
    before: Build
    after: Build
    codes: tuple[str, ...]
    table: str = "item"
    column: str | None = None
    part: str | None = None
    on: tuple[str, ...] = DIALECTS
    lost: Mapping[str, str] = field(default_factory=dict)
    only_strict: bool = False

    def stored_by(self, dialect: str) -> bool:
        """Whether the two sides are different databases there."""
        return dialect in self.on and dialect not in self.lost


def lost(reason: str, *dialects: str) -> Mapping[str, str]:
    """The same reason for several dialects."""
    return dict.fromkeys(dialects, reason)


def shops() -> MetaData:
    """The tables that foreign keys can lead to."""
    metadata = MetaData()
    Table("depot", metadata, Column("id", Integer, primary_key=True, autoincrement=False))
    Table(
        "shop",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("number", Integer, nullable=False),
        UniqueConstraint("number", name="shop_number"),
        UniqueConstraint("id", "number", name="shop_id_number"),
    )
    return metadata


def keyless(*parts: SchemaItem, **options: Any) -> MetaData:
    """The table `item` of these parts, beside the shops."""
    metadata = shops()
    Table("item", metadata, *parts, **options)
    return metadata


def item(*parts: SchemaItem, **options: Any) -> MetaData:
    """The table `item` with a key, a `name`, a `value` that is there always, and these parts."""
    return keyless(
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("name", String(50)),
        Column("value", Integer, nullable=False),
        *parts,
        **options,
    )


def typed(
    name: str,
    before: TypeEngine[Any],
    after: TypeEngine[Any],
    *codes: str,
    on: tuple[str, ...] = DIALECTS,
    lost: Mapping[str, str] | None = None,
) -> Change:
    """The column `thing` of another type."""
    return Change(
        name,
        lambda: item(Column("thing", before)),
        lambda: item(Column("thing", after)),
        codes or ("DK211",),
        column="thing",
        on=on,
        lost=lost or {},
    )
