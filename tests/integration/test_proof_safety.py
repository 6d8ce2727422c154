"""What a proof could change, show or stop on a database that is not as its classes are: it does none of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from sqlmodel_framework import (
    Datakit,
    TargetConfig,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    prove_deployment,
)

SHOP = """
    class Shop(SQLModel, table=True):
        id: int = Field(primary_key=True)
        code: str = Field(max_length=20, unique=True)

    class Free(SQLModel, table=True):
        id: int = Field(primary_key=True)
        number: int
"""


@pytest.fixture
def shop(write_kit: Callable[..., Path]) -> Datakit:
    return load_datakit(write_kit("shop", {"shop.py": SHOP}))


def run(target: TargetConfig, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last statement."""
    rows: list[tuple[object, ...]] = []
    with create_engine_for_target(target).begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
            rows = [tuple(row) for row in result] if result.returns_rows else []
    return rows


@pytest.mark.sqlite
def test_a_trigger_that_ends_the_transaction_leaves_no_row(tmp_path: Path, shop: Datakit) -> None:
    with create_custom_target("sqlite", str(tmp_path / "shop.db")) as target:
        deploy_data_objects(shop.tables, target)
        run(
            target,
            "CREATE TRIGGER t BEFORE INSERT ON shop WHEN NEW.code LIKE 'trail%' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
        )
        result = prove_deployment(shop.tables, target)
        assert run(target, "SELECT count(*) FROM shop UNION ALL SELECT count(*) FROM free") == [(0,), (0,)]
    assert result.findings == ()
    assert set(result.not_proven) == {"shop", "free"}
    assert "RAISE(ROLLBACK)" in result.not_proven["free"]


@pytest.mark.sqlite
def test_a_key_that_ends_the_transaction_is_no_missing_key(write_kit: Callable[..., Path]) -> None:
    source = """
        import sqlalchemy as sa

        class Shop(SQLModel, table=True):
            __table_args__ = (sa.UniqueConstraint("code", sqlite_on_conflict="ROLLBACK"),)
            id: int = Field(primary_key=True)
            code: str = Field(max_length=20)
    """
    kit = load_datakit(write_kit("ends", {"ends.py": source}))
    with create_custom_target("sqlite") as target:
        deploy_data_objects(kit.tables, target)
        result = prove_deployment(kit.tables, target)
        assert run(target, "SELECT count(*) FROM shop") == [(0,)]
    assert result.findings == ()
    assert set(result.not_proven) == {"shop"}


@pytest.mark.mysql
def test_a_copy_that_would_write_to_another_table_is_not_made(
    mysql_database: TargetConfig, shop: Datakit
) -> None:
    deploy_data_objects(shop.tables, mysql_database)
    name = mysql_database.database
    run(
        mysql_database,
        "DROP TABLE shop",
        "CREATE TABLE base (id int NOT NULL, code varchar(20) NOT NULL, KEY (id)) ENGINE=MyISAM",
        "CREATE TABLE shop (id int NOT NULL, code varchar(20) NOT NULL, KEY (id))"
        f" ENGINE=MRG_MyISAM UNION=({name}.base) INSERT_METHOD=LAST",
    )
    result = prove_deployment(shop.tables, mysql_database)
    assert run(mysql_database, "SELECT count(*) FROM base") == [(0,)]
    assert result.proven == ("free",)
    assert "would not keep its rows to itself" in result.not_proven["shop"]


@pytest.mark.mysql
def test_a_sequence_of_mariadb_does_not_move(mysql_database: TargetConfig, shop: Datakit) -> None:
    deploy_data_objects(shop.tables, mysql_database)
    with create_engine_for_target(mysql_database).connect() as connection:
        if not getattr(connection.dialect, "is_mariadb", False):
            pytest.skip("MySQL has no sequences")
    run(
        mysql_database,
        "CREATE SEQUENCE numbers",
        f"ALTER TABLE shop ADD extra bigint DEFAULT nextval({mysql_database.database}.numbers)",
    )
    result = prove_deployment(shop.tables, mysql_database)
    assert run(mysql_database, "SELECT nextval(numbers)") == [(1,)]
    assert result.not_proven["shop"].startswith("a row would advance the sequence of extra")


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["serial", "int GENERATED ALWAYS AS IDENTITY"])
def test_a_sequence_of_postgres_does_not_move(
    postgres_database: TargetConfig, shop: Datakit, kind: str
) -> None:
    deploy_data_objects(shop.tables, postgres_database)
    run(postgres_database, f"ALTER TABLE shop ADD extra {kind}")
    result = prove_deployment(shop.tables, postgres_database)
    assert run(postgres_database, "SELECT last_value, is_called FROM shop_extra_seq") == [(1, False)]
    assert result.proven == ("free",)
    assert result.not_proven["shop"].startswith("a row would advance the sequence of extra")


@pytest.mark.postgres
def test_values_of_others_are_not_shown(postgres_database: TargetConfig, shop: Datakit) -> None:
    deploy_data_objects(shop.tables, postgres_database)
    edges = (2**31 - 1, -(2**31), -1, 1, 123456)
    run(
        postgres_database,
        "ALTER TABLE shop DROP CONSTRAINT shop_pkey",
        *(f"INSERT INTO shop (id, code) VALUES ({edge}, 'secret {edge}')" for edge in edges),
    )
    result = prove_deployment(shop.tables, postgres_database)
    assert not any("secret" in str(finding) for finding in result.findings)
    assert {finding.code for finding in result.findings} == {"DK911"}
    assert "the same primary keys" in result.not_proven["shop"]


@pytest.mark.postgres
def test_a_deferred_key_that_the_class_does_not_have(postgres_database: TargetConfig, shop: Datakit) -> None:
    deploy_data_objects(shop.tables, postgres_database)
    run(
        postgres_database,
        "ALTER TABLE free ADD FOREIGN KEY (number) REFERENCES shop (id) DEFERRABLE INITIALLY DEFERRED",
    )
    result = prove_deployment(shop.tables, postgres_database)
    assert {(finding.code, finding.place) for finding in result.findings} == {("DK902", "free.number")}
    assert "shop" in result.proven


@pytest.mark.postgres
def test_a_deferred_key_whose_rows_were_refused(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import sqlalchemy as sa

        class Head(SQLModel, table=True):
            id: int = Field(primary_key=True)
            tail_id: int = Field(sa_column=sa.Column(
                sa.ForeignKey("tail.id", deferrable=True, initially="DEFERRED", use_alter=True, name="fk_tail"), nullable=False))

        class Tail(SQLModel, table=True):
            id: int = Field(primary_key=True)
            head_id: int = Field(foreign_key="head.id")
    """
    kit = load_datakit(write_kit("snake", {"snake.py": source}))
    deploy_data_objects(kit.tables, postgres_database)
    run(postgres_database, "ALTER TABLE tail ADD extra int NOT NULL")
    result = prove_deployment(kit.tables, postgres_database)
    assert {(finding.code, finding.place) for finding in result.findings} == {("DK902", "tail")}
    assert set(result.not_proven) == {"head", "tail"}
    assert "does not hold at the end" in result.not_proven["head"]


@pytest.mark.postgres
def test_a_variant_has_its_own_range(postgres_database: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        from decimal import Decimal
        import sqlalchemy as sa

        class Wide(SQLModel, table=True):
            id: int = Field(primary_key=True)
            number: int = Field(sa_type=sa.Integer().with_variant(sa.BigInteger(), "postgresql"))
            amount: Decimal = Field(sa_type=sa.Numeric(8, 2).with_variant(sa.Numeric(18, 2), "postgresql"))
    """
    kit = load_datakit(write_kit("wide", {"wide.py": source}))
    deploy_data_objects(kit.tables, postgres_database)
    assert prove_deployment(kit.tables, postgres_database).findings == ()
    run(postgres_database, "ALTER TABLE wide ALTER amount TYPE numeric(30, 2)")
    (finding,) = prove_deployment(kit.tables, postgres_database).findings
    assert (finding.code, finding.place) == ("DK911", "wide.amount")


@pytest.mark.postgres
def test_points_in_time_are_held_against_checks_in_utc(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        from datetime import datetime
        import sqlalchemy as sa
        from sqlmodel_framework.base.models import UTCDateTime

        class Moment(SQLModel, table=True):
            __table_args__ = (sa.CheckConstraint("at >= '2024-07-01 00:00:00+00'", name="ck_at"),)
            id: int = Field(primary_key=True)
            at: datetime = Field(sa_type=UTCDateTime)
    """
    kit = load_datakit(write_kit("moments", {"moments.py": source}))
    deploy_data_objects(kit.tables, postgres_database)
    result = prove_deployment(kit.tables, postgres_database)
    assert result.findings == ()
    assert result.not_proven == {}


@pytest.mark.sqlite
def test_a_proof_leaves_the_filters_of_warnings_alone(
    monkeypatch: pytest.MonkeyPatch, write_kit: Callable[..., Path]
) -> None:
    """They belong to the whole process: another thread would see what a proof sets."""
    source = """
        from decimal import Decimal

        class Price(SQLModel, table=True):
            id: int = Field(primary_key=True)
            amount: Decimal = Field(max_digits=8, decimal_places=2)
    """
    kit = load_datakit(write_kit("prices", {"prices.py": source}))
    with create_custom_target("sqlite") as target:
        deploy_data_objects(kit.tables, target)
        monkeypatch.delattr(warnings, "catch_warnings")
        monkeypatch.delattr(warnings, "filterwarnings")
        result = prove_deployment(kit.tables, target)
    assert result.findings == ()
    assert result.proven == ("price",)


@pytest.mark.postgres
def test_a_deferred_key_that_does_not_hold_concerns_its_own_table_alone(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import sqlalchemy as sa

        class Head(SQLModel, table=True):
            id: int = Field(primary_key=True)
            tail_id: int = Field(sa_column=sa.Column(
                sa.ForeignKey("tail.id", deferrable=True, initially="DEFERRED", use_alter=True, name="fk_tail"), nullable=False))

        class Tail(SQLModel, table=True):
            id: int = Field(primary_key=True)
            head_id: int = Field(foreign_key="head.id")

        class Hat(SQLModel, table=True):
            id: int = Field(primary_key=True)
            head_id: int = Field(foreign_key="head.id")

        class Shop(SQLModel, table=True):
            id: int = Field(primary_key=True)
            code: str = Field(max_length=20)
    """
    kit = load_datakit(write_kit("snakes", {"snakes.py": source}))
    deploy_data_objects(kit.tables, postgres_database)
    run(
        postgres_database,
        "ALTER TABLE tail ADD extra int NOT NULL",
        "ALTER TABLE shop ALTER code TYPE varchar(30)",
        "ALTER TABLE hat DROP CONSTRAINT hat_head_id_fkey",
        "ALTER TABLE head ADD UNIQUE (tail_id) DEFERRABLE INITIALLY DEFERRED",
    )
    result = prove_deployment(kit.tables, postgres_database)
    assert set(result.proven) == {"hat", "shop"}
    assert "does not hold at the end" in result.not_proven["head"]
    assert {(finding.code, finding.place) for finding in result.findings} == {
        ("DK902", "tail"),
        ("DK911", "hat.head_id"),
        ("DK911", "shop.code"),
    }


MEANWHILE = """
    class Shop(SQLModel, table=True):
        id: int = Field(primary_key=True)
        code: str = Field(max_length=20, unique=True)
        number: int

    class Visit(SQLModel, table=True):
        id: int = Field(primary_key=True)
        shop_id: int = Field(foreign_key="shop.id")
"""


@pytest.mark.postgres
@pytest.mark.parametrize("when", ["FROM public.shop", "INSERT INTO public.shop"])
def test_rows_that_others_commit_meanwhile_disturb_nothing(
    postgres_database: TargetConfig, write_kit: Callable[..., Path], when: str
) -> None:
    kit = load_datakit(write_kit("shops", {"shops.py": MEANWHILE}))
    deploy_data_objects(kit.tables, postgres_database)
    engine = create_engine_for_target(postgres_database)
    others: list[str] = []

    def commit_rows(_: object, __: object, statement: str, *___: object) -> None:
        if when in statement and not others:
            others.append(statement)
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO shop SELECT n, 'theirs ' || n, n FROM generate_series(1, 3000) n"
                    " UNION ALL SELECT 2147483647, '', 1 UNION ALL SELECT -2147483648, 'trailing  ', 2"
                )
                connection.exec_driver_sql("INSERT INTO visit SELECT n, n FROM generate_series(1, 3000) n")

    event.listen(engine, "before_cursor_execute", commit_rows)
    try:
        result = prove_deployment(kit.tables, postgres_database)
    finally:
        event.remove(engine, "before_cursor_execute", commit_rows)
    assert others
    assert result.findings == ()
    assert result.not_proven == {}
    assert run(postgres_database, "SELECT count(*) FROM shop UNION ALL SELECT count(*) FROM visit") == [
        (3002,),
        (3000,),
    ]


@pytest.mark.postgres
def test_a_lost_row_is_not_taken_for_one_that_others_commit_meanwhile(
    postgres_database: TargetConfig, shop: Datakit
) -> None:
    deploy_data_objects(shop.tables, postgres_database)
    run(
        postgres_database,
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER t BEFORE INSERT ON shop FOR EACH ROW WHEN (NEW.code LIKE 'trail%%') EXECUTE FUNCTION swallow()",
    )
    engine = create_engine_for_target(postgres_database)
    others: list[str] = []

    def commit_rows(_: object, __: object, statement: str, *___: object) -> None:
        if "INSERT INTO public.shop" in statement and not others:
            others.append(statement)
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO shop SELECT n, 'secret ' || n FROM generate_series(1, 9) n"
                )

    event.listen(engine, "before_cursor_execute", commit_rows)
    try:
        result = prove_deployment(shop.tables, postgres_database)
    finally:
        event.remove(engine, "before_cursor_execute", commit_rows)
    assert others
    assert {finding.code for finding in result.findings} == {"DK903"}
    assert not any("secret" in str(finding) for finding in result.findings)


@pytest.mark.postgres
def test_a_forbidden_row_whose_key_is_somebodys_is_tried_with_another(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    """Of the keys, 1 to 80 are taken by rows that are there: of 160 values 80 are left."""
    source = """
        import sqlalchemy as sa

        class Owner(SQLModel, table=True):
            id: int = Field(primary_key=True)

        class Slot(SQLModel, table=True):
            __table_args__ = (sa.CheckConstraint("number <> 7", name="ck_number"),)
            id: int = Field(primary_key=True, ge=1, le=160)
            number: int
            owner_id: int = Field(foreign_key="owner.id")
            code: str = Field(max_length=10)
    """
    kit = load_datakit(write_kit("slots", {"slots.py": source}))
    deploy_data_objects(kit.tables, postgres_database)
    run(
        postgres_database,
        "INSERT INTO owner VALUES (1)",
        "INSERT INTO slot SELECT n, n + 100, 1, 'x' FROM generate_series(1, 80) n",
    )
    results = [prove_deployment(kit.tables, postgres_database, seed=seed) for seed in range(5)]
    assert [(result.findings, result.not_proven) for result in results] == [((), {})] * 5
    run(postgres_database, "ALTER TABLE slot DROP CONSTRAINT ck_number")
    results = [prove_deployment(kit.tables, postgres_database, seed=seed) for seed in range(5)]
    assert [[finding.code for finding in result.findings] for result in results] == [["DK911"]] * 5


@pytest.mark.postgres
def test_a_row_whose_padded_values_all_differ_is_not_lost(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import sqlalchemy as sa

        class Node(SQLModel, table=True):
            code: str = Field(sa_column=sa.Column(sa.CHAR(12), primary_key=True))
            parent: str | None = Field(default=None, sa_column=sa.Column(sa.CHAR(12), sa.ForeignKey("node.code")))
    """
    kit = load_datakit(write_kit("nodes", {"nodes.py": source}))
    deploy_data_objects(kit.tables, postgres_database)
    for seed in range(3):
        result = prove_deployment(kit.tables, postgres_database, seed=seed)
        assert {(finding.code, finding.place) for finding in result.findings} == {
            ("DK901", "node.code"),
            ("DK901", "node.parent"),
        }
        assert result.not_proven == {}
