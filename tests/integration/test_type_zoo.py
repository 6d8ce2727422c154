"""Every kind of class that people write, and every column type they use: deployed and validated on every target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from sqlmodel_framework import (
    TargetConfig,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    validate_deployment,
)

TYPES = """
    import enum
    import ipaddress
    import uuid
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from pathlib import Path as FilePath
    from typing import Annotated, Literal

    import sqlalchemy as sa
    from pydantic import NaiveDatetime
    from sqlalchemy import Column, Computed, Identity
    from sqlmodel_framework.base.models import UTCDateTime

    class Size(enum.Enum):
        small = "S"
        large = "L"

    class Level(enum.IntEnum):
        low = 1
        high = 2

    class PlainTypes(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        text: str
        short: str = Field(max_length=10)
        annotated: Annotated[str, Field(max_length=12)]
        number: int
        small: int = Field(sa_type=sa.SmallInteger)
        big: int = Field(sa_type=sa.BigInteger)
        real: float
        double: float = Field(sa_type=sa.Double)
        exact: Decimal = Field(max_digits=12, decimal_places=4)
        flag: bool
        day: date
        moment: datetime
        naive: NaiveDatetime
        utc: datetime = Field(sa_type=UTCDateTime)
        clock: time
        span: timedelta
        raw: bytes
        key: uuid.UUID
        size: Size
        level: Level
        address: ipaddress.IPv4Address
        file: FilePath
        maybe: str | None = None
        document: dict = Field(sa_type=sa.JSON)
        listed: list[str] = Field(sa_column=Column(sa.JSON, nullable=False))
        long_text: str = Field(sa_type=sa.Text)
        unicode_text: str = Field(sa_type=sa.UnicodeText)
        fixed: str = Field(sa_type=sa.CHAR(3))
        labelled: str = Field(sa_column=Column("renamed", sa.String(7), unique=True, comment="a comment"))
        with_default: int = Field(default=3, sa_column_kwargs={"server_default": "3"})
        quoted_default: str = Field(default="a'b", max_length=9, sa_column_kwargs={"server_default": "a'b%c"})
        computed: int | None = Field(default=None, sa_column=Column(sa.Integer, Computed("number * 2", persisted=True)))
        choice: str = Field(sa_type=sa.Enum("x", "y", name="choice_of_two"))
"""

STRUCTURES = """
    from typing import Optional
    import sqlalchemy as sa
    from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint

    class Abstract(SQLModel):
        id: int | None = Field(default=None, primary_key=True)
        name: str = Field(max_length=40, index=True)

    class Team(Abstract, table=True):
        heroes: list["Hero"] = Relationship(back_populates="team")

    class HeroBadge(SQLModel, table=True):
        hero_id: int = Field(foreign_key="hero.id", primary_key=True, ondelete="CASCADE")
        badge_id: int = Field(foreign_key="badge.id", primary_key=True)

    plain_link = sa.Table(
        "hero_friend",
        SQLModel.metadata,
        sa.Column("hero_id", sa.ForeignKey("hero.id"), primary_key=True),
        sa.Column("friend_id", sa.ForeignKey("hero.id"), primary_key=True),
    )

    class Hero(Abstract, table=True):
        __table_args__ = (
            UniqueConstraint("name", "team_id"),
            CheckConstraint("age > 0", name="ck_hero_age"),
            Index("ix_hero_age_name", "age", "name"),
            {"comment": "people"},
        )
        age: int
        team_id: int | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
        mentor_id: int | None = Field(default=None, foreign_key="hero.id")
        team: Optional[Team] = Relationship(back_populates="heroes")
        badges: list["Badge"] = Relationship(back_populates="heroes", link_model=HeroBadge)

    class Badge(Abstract, table=True):
        heroes: list[Hero] = Relationship(back_populates="badges", link_model=HeroBadge)

    class Order(SQLModel, table=True):
        year: int = Field(primary_key=True)
        number: int = Field(primary_key=True)

    class OrderLine(SQLModel, table=True):
        __table_args__ = (
            ForeignKeyConstraint(
                ["year", "number"], ["order.year", "order.number"], onupdate="CASCADE", name="fk_line_order"
            ),
        )
        id: int = Field(primary_key=True)
        year: int
        number: int
"""


def test_every_column_type(every_target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("zoo", {"types.py": TYPES}))
    deploy_data_objects(kit.tables, every_target)
    result = validate_deployment(kit.tables, every_target)
    assert result.findings == ()
    again = deploy_data_objects(kit.tables, every_target, if_exists="replace")
    assert again.replaced == ("plaintypes",)
    assert validate_deployment(kit.tables, every_target).findings == ()


def test_every_structure(every_target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("zoo", {"shapes.py": STRUCTURES}))
    result = deploy_data_objects(kit.tables, every_target)
    assert sorted(result.created) == [
        "badge",
        "hero",
        "hero_friend",
        "herobadge",
        "order",
        "orderline",
        "team",
    ]
    assert validate_deployment(kit.tables, every_target).findings == ()
    classes: dict[str, Any] = {getattr(cls, "__name__", ""): cls for cls in kit.tables}
    with Session(create_engine_for_target(every_target)) as session:
        team = classes["Team"](name="A")
        hero = classes["Hero"](name="Ann", age=5, team=team, badges=[classes["Badge"](name="gold")])
        session.add(hero)
        session.commit()
        session.refresh(hero)
        assert [badge.name for badge in hero.badges] == ["gold"]
        assert hero.team.heroes == [hero]


@pytest.mark.postgres
def test_types_of_postgres_alone(embedded_database: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql as pg

        class Special(SQLModel, table=True):
            id: int = Field(primary_key=True)
            tags: list[str] = Field(sa_type=pg.ARRAY(sa.Text))
            grid: list[int] = Field(sa_type=pg.ARRAY(sa.Integer, dimensions=2))
            document: dict = Field(sa_type=pg.JSONB)
            address: str = Field(sa_type=pg.INET)
            span: str = Field(sa_type=pg.INT4RANGE)
            search: str = Field(sa_type=pg.TSVECTOR)
            width: str = Field(sa_type=pg.INTERVAL(precision=3))
            bits: str = Field(sa_type=pg.BIT(5))
            precise: str = Field(sa_type=pg.TIMESTAMP(timezone=True, precision=3))
            named: str = Field(sa_type=pg.ENUM("a", "b", name="named_pair"))
            shape: str = Field(sa_type=pg.DOMAIN("positive", sa.Integer, check="VALUE > 0"))
            number: int = Field(sa_column=sa.Column(sa.Integer, sa.Sequence("special_numbers")))
    """
    kit = load_datakit(write_kit("special", {"special.py": source}))
    deploy_data_objects(kit.tables, embedded_database)
    assert validate_deployment(kit.tables, embedded_database).findings == ()
    with create_engine_for_target(embedded_database).connect() as connection:
        kinds = connection.exec_driver_sql(
            "SELECT relkind FROM pg_class WHERE relname = 'special_numbers'"
        ).scalar_one()
    assert kinds == "S"
