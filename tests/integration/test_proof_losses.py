"""The proof finds losses: tables are deployed from their classes, then changed by hand, or the session is; each loss is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from sqlmodel_framework import (
    Datakit,
    TargetConfig,
    create_engine_for_target,
    deploy_data_objects,
    get_target_config,
    load_datakit,
    plan_deployment,
    prove_deployment,
)

SHOP = """
    import enum
    from datetime import date, datetime
    from decimal import Decimal

    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql
    from sqlmodel_framework.base.models import UTCDateTime

    class Size(enum.Enum):
        small = "S"
        large = "L"

    class Shop(SQLModel, table=True):
        id: int = Field(primary_key=True)
        code: str = Field(max_length=20, unique=True)

    class Item(SQLModel, table=True):
        __table_args__ = (
            sa.CheckConstraint("stock >= 0", name="ck_stock"),
            sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_shop"),
        )
        id: int = Field(primary_key=True)
        shop_id: int
        name: str = Field(max_length=40)
        note: str | None = Field(default=None, max_length=200)
        amount: Decimal = Field(max_digits=15, decimal_places=4)
        stock: int
        weight: float = Field(sa_type=sa.Double)
        at: datetime = Field(sa_type=UTCDateTime)
        day: date
        size: Size = Field(sa_type=sa.Enum(Size, name="size"))
        flag: bool
        raw: bytes = Field(sa_type=sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"))
        document: dict = Field(sa_type=sa.JSON)
"""


@dataclass(frozen=True)
class Loss:
    """What is done to tables that were deployed, or to the sessions, and the finding that it makes."""

    server: str
    name: str
    code: str
    place: str
    statements: tuple[str, ...] = ()
    session: str | None = None
    cause: str = ""
    mariadb: bool | None = None  # None: on MariaDB and on MySQL


POSTGRES = [
    Loss(
        "postgres",
        "shorter",
        "DK902",
        "item.name",
        ("ALTER TABLE item ALTER name TYPE varchar(10)",),
        cause="too short",
    ),
    Loss(
        "postgres", "longer", "DK911", "item.name", ("ALTER TABLE item ALTER name TYPE text",), cause="longer"
    ),
    Loss(
        "postgres",
        "fewer digits",
        "DK901",
        "item.amount",
        ("ALTER TABLE item ALTER amount TYPE numeric(15, 2)",),
        cause="keeps 2 digits",
    ),
    Loss(
        "postgres", "float for decimal", "DK901", "item.amount", ("ALTER TABLE item ALTER amount TYPE real",)
    ),
    Loss(
        "postgres",
        "real for double",
        "DK902",
        "item.weight",
        ("ALTER TABLE item ALTER weight TYPE real",),
        cause="range",
    ),
    Loss(
        "postgres",
        "numeric for double",
        "DK901",
        "item.weight",
        ("ALTER TABLE item ALTER weight TYPE numeric(330, 10)",),
    ),
    Loss(
        "postgres",
        "no fraction",
        "DK901",
        "item.at",
        ("ALTER TABLE item ALTER at TYPE timestamptz(0)",),
        cause="fraction",
    ),
    Loss(
        "postgres",
        "milliseconds",
        "DK901",
        "item.at",
        ("ALTER TABLE item ALTER at TYPE timestamptz(3)",),
        cause="3 digits",
    ),
    Loss(
        "postgres",
        "no foreign key",
        "DK911",
        "item.shop_id",
        ("ALTER TABLE item DROP CONSTRAINT fk_shop",),
        cause="foreign key is missing",
    ),
    Loss(
        "postgres",
        "keys not checked",
        "DK911",
        "item.shop_id",
        session="SET session_replication_role = replica",
    ),
    Loss(
        "postgres",
        "nullable",
        "DK911",
        "item.day",
        ("ALTER TABLE item ALTER day DROP NOT NULL",),
        cause="nullable",
    ),
    Loss(
        "postgres",
        "no unique key",
        "DK911",
        "shop.code",
        ("ALTER TABLE shop DROP CONSTRAINT shop_code_key",),
        cause="unique",
    ),
    Loss(
        "postgres",
        "no primary key",
        "DK911",
        "item.id",
        ("ALTER TABLE item DROP CONSTRAINT item_pkey",),
        cause="unique",
    ),
    Loss(
        "postgres",
        "no check",
        "DK911",
        "item.stock",
        ("ALTER TABLE item DROP CONSTRAINT ck_stock",),
        cause="CHECK is missing",
    ),
    Loss(
        "postgres",
        "another check",
        "DK902",
        "item.name",
        ("ALTER TABLE item ADD CHECK (name NOT LIKE '% ')",),
        cause="CHECK",
    ),
    Loss(
        "postgres",
        "wider",
        "DK911",
        "item.stock",
        ("ALTER TABLE item ALTER stock TYPE bigint",),
        cause="wider",
    ),
    Loss(
        "postgres",
        "narrower",
        "DK902",
        "item.stock",
        ("ALTER TABLE item ALTER stock TYPE smallint",),
        cause="range",
    ),
    Loss(
        "postgres",
        "text for an enum",
        "DK911",
        "item.size",
        ("ALTER TABLE item ALTER size TYPE text",),
        cause="members",
    ),
    Loss(
        "postgres",
        "blanks cut",
        "DK901",
        "item.name",
        ("ALTER TABLE item ALTER name TYPE char(40)",),
        cause="blanks",
    ),
    Loss(
        "postgres",
        "another column",
        "DK902",
        "item",
        ("ALTER TABLE item ADD extra int NOT NULL",),
        cause="takes no null",
    ),
    Loss(
        "postgres",
        "a trigger that changes",
        "DK901",
        "item.name",
        (
            "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name = lower(NEW.name); RETURN NEW; END'",
            "CREATE TRIGGER change BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION change()",
        ),
        cause="case",
    ),
    Loss(
        "postgres",
        "a trigger that drops",
        "DK903",
        "item",
        (
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER lose BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION lose()",
        ),
    ),
    Loss(
        "postgres",
        "not in UTC",
        "DK901",
        "item.at",
        session="SET TIME ZONE 'America/New_York'",
        cause="cannot be read",
    ),
]
MYSQL = [
    Loss(
        "mysql",
        "shorter",
        "DK902",
        "item.name",
        ("ALTER TABLE item MODIFY name varchar(10) NOT NULL",),
        cause="too short",
    ),
    Loss(
        "mysql",
        "no fraction",
        "DK901",
        "item.at",
        ("ALTER TABLE item MODIFY at datetime NOT NULL",),
        cause="fraction",
    ),
    Loss(
        "mysql",
        "float for decimal",
        "DK901",
        "item.amount",
        ("ALTER TABLE item MODIFY amount float NOT NULL",),
    ),
    Loss(
        "mysql",
        "float for double",
        "DK901",
        "item.weight",
        ("ALTER TABLE item MODIFY weight float NOT NULL",),
    ),
    Loss(
        "mysql",
        "fewer digits",
        "DK901",
        "item.amount",
        ("ALTER TABLE item MODIFY amount decimal(15, 2) NOT NULL",),
        cause="keeps 2 digits",
    ),
    Loss(
        "mysql",
        "latin1",
        "DK902",
        "item.name",
        ("ALTER TABLE item MODIFY name varchar(40) CHARACTER SET latin1 NOT NULL",),
        cause="character set",
    ),
    Loss(
        "mysql",
        "three bytes",
        "DK902",
        "item.name",
        ("ALTER TABLE item MODIFY name varchar(40) CHARACTER SET utf8mb3 NOT NULL",),
        cause="character set",
    ),
    Loss(
        "mysql",
        "MyISAM",
        "DK911",
        "item.shop_id",
        ("ALTER TABLE item DROP FOREIGN KEY fk_shop", "ALTER TABLE item ENGINE = MyISAM"),
        cause="foreign key",
        mariadb=True,
    ),
    # MySQL refuses to write to it and to another table in one transaction.
    Loss(
        "mysql",
        "MyISAM of MySQL",
        "DK902",
        "item",
        ("ALTER TABLE item DROP FOREIGN KEY fk_shop", "ALTER TABLE item ENGINE = MyISAM"),
        mariadb=False,
    ),
    Loss(
        "mysql", "not strict", "DK911", "item.name", session="SET SESSION sql_mode = ''", cause="not strict"
    ),
    Loss(
        "mysql",
        "keys not checked",
        "DK911",
        "item.shop_id",
        session="SET SESSION foreign_key_checks = 0",
        cause="switched off",
    ),
    Loss(
        "mysql",
        "checks not enforced",
        "DK911",
        "item.stock",
        session="SET SESSION check_constraint_checks = 0",
        cause="CHECK",
        mariadb=True,
    ),
    Loss(
        "mysql",
        "check not enforced",
        "DK911",
        "item.stock",
        ("ALTER TABLE item ALTER CHECK ck_stock NOT ENFORCED",),
        cause="CHECK",
        mariadb=False,
    ),
    Loss(
        "mysql",
        "a member less",
        "DK902",
        "item.size",
        ("ALTER TABLE item MODIFY size enum('small') NOT NULL",),
        cause="member",
    ),
    Loss(
        "mysql",
        "blanks cut",
        "DK901",
        "item.name",
        ("ALTER TABLE item MODIFY name char(40) NOT NULL",),
        cause="drops trailing blanks",
    ),
    Loss("mysql", "nullable", "DK911", "item.day", ("ALTER TABLE item MODIFY day date",), cause="nullable"),
    Loss(
        "mysql", "no unique key", "DK911", "shop.code", ("ALTER TABLE shop DROP INDEX code",), cause="unique"
    ),
    Loss("mysql", "a day alone", "DK901", "item.at", ("ALTER TABLE item MODIFY at date NOT NULL",)),
    Loss(
        "mysql",
        "a small blob",
        "DK902",
        "item.raw",
        ("ALTER TABLE item MODIFY raw blob NOT NULL",),
        cause="too short",
    ),
]
SQLITE = [
    Loss(
        "sqlite",
        "keys not checked",
        "DK911",
        "item.shop_id",
        session="PRAGMA foreign_keys = OFF",
        cause="switched off",
    ),
    Loss(
        "sqlite",
        "checks not enforced",
        "DK911",
        "item.stock",
        session="PRAGMA ignore_check_constraints = ON",
        cause="CHECK",
    ),
    Loss(
        "sqlite",
        "text as numbers",
        "DK901",
        "item.name",
        ("name VARCHAR(40)", "name NUMERIC"),
        cause="came back",
    ),
    Loss("sqlite", "nullable", "DK911", "item.day", ("day DATE NOT NULL", "day DATE"), cause="nullable"),
    Loss("sqlite", "no unique key", "DK911", "shop.code", (", \n\tUNIQUE (code)", ""), cause="unique"),
    Loss(
        "sqlite",
        "no check",
        "DK911",
        "item.stock",
        ("CONSTRAINT ck_stock CHECK (stock >= 0), ", ""),
        cause="CHECK",
    ),
    Loss(
        "sqlite",
        "no foreign key",
        "DK911",
        "item.shop_id",
        (", \n\tCONSTRAINT fk_shop FOREIGN KEY(shop_id) REFERENCES shop (id)", ""),
        cause="foreign key",
    ),
    Loss(
        "sqlite",
        "shorter",
        "DK902",
        "item.name",
        ("name VARCHAR(40) NOT NULL", "name TEXT NOT NULL CHECK (length(name) <= 10)"),
        cause="CHECK",
    ),
]

LOSSES = [*POSTGRES, *MYSQL, *SQLITE]
SERVERS = {
    "sqlite": pytest.mark.sqlite,
    "postgres": pytest.mark.postgres,
    "mysql": pytest.mark.mysql,
}


@pytest.fixture
def shop(write_kit: Callable[..., Path]) -> Datakit:
    return load_datakit(write_kit("shop", {"shop.py": SHOP}))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[TargetConfig]:
    """An empty database of one's own, in which texts are UTF-8."""
    if request.param == "sqlite":
        with get_target_config("sqlite_memory") as target:
            yield target
        return
    made: TargetConfig = request.getfixturevalue(f"{request.param}_database")
    if request.param == "mysql":
        with create_engine_for_target(made).begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {made.database} CHARACTER SET utf8mb4")
    yield made


def on(losses: list[Loss]) -> list[object]:
    return [
        pytest.param(loss.server, loss, marks=SERVERS[loss.server], id=f"{loss.server}-{loss.name}")
        for loss in losses
    ]


@pytest.mark.parametrize("server", [pytest.param(n, marks=m) for n, m in SERVERS.items()], indirect=True)
def test_nothing_is_found_where_nothing_is_lost(server: TargetConfig, shop: Datakit) -> None:
    deploy_data_objects(shop.tables, server)
    result = prove_deployment(shop.tables, server)
    assert result.findings == ()
    assert result.not_proven == {}
    assert result.proven == result.tables == ("shop", "item")
    assert result.rows > 20
    assert result.forbidden > 15


@pytest.mark.parametrize(("server", "loss"), on(LOSSES), indirect=["server"])
def test_a_loss_is_found(server: TargetConfig, loss: Loss, shop: Datakit) -> None:
    if loss.mariadb not in (None, is_mariadb(server)):
        pytest.skip("another kind of MySQL")
    lose(server, loss, shop)
    result = prove_deployment(shop.tables, server)
    found = {(finding.code, finding.place): finding for finding in result.findings}
    assert (loss.code, loss.place) in found
    causes = [finding.cause for finding in result.findings if finding.place == loss.place]
    assert any(loss.cause in cause for cause in causes), causes
    assert not result.success
    if not loss.session and loss.code != "DK903":
        assert {finding.place for finding in result.findings} == {loss.place}


def is_mariadb(server: TargetConfig) -> bool:
    with create_engine_for_target(server).connect() as connection:
        return bool(getattr(connection.dialect, "is_mariadb", False))


def lose(server: TargetConfig, loss: Loss, shop: Datakit) -> None:
    """Deploy, then do what the loss says. SQLite cannot alter much: its tables are created in another way at once."""
    engine = create_engine_for_target(server)
    if server.type == "sqlite" and loss.statements:
        with engine.begin() as connection:
            plan = [statement.text for statement in plan_deployment(shop.tables, server)]
            old, new = loss.statements
            changed = [text.replace(old, new) for text in plan]
            assert changed != plan
            for text in changed:
                connection.exec_driver_sql(text)
    else:
        deploy_data_objects(shop.tables, server)
        with engine.begin() as connection:
            for statement in loss.statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))
    if loss.session is not None:
        in_every_session(engine, loss.session)


def in_every_session(engine: Engine, statement: str) -> None:
    engine.dispose()

    @event.listens_for(engine, "connect")
    def on_connect(raw: Any, _: Any) -> None:
        raw.cursor().execute(statement)
        raw.commit()
