"""What a proof could change, show or stop on a database that is not as its classes are: it does none of it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import SAWarning

from sqlmodel_framework import (
    Datakit,
    TargetConfig,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    prove_deployment,
)
from sqlmodel_framework.utils.proof import prove

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


def test_proofs_side_by_side_put_the_filters_of_warnings_back() -> None:
    entered, leave = threading.Barrier(2), threading.Event()

    def first() -> None:
        with prove._quiet:
            entered.wait()
            leave.wait()

    before = list(warnings.filters)
    thread = threading.Thread(target=first)
    thread.start()
    entered.wait()
    with prove._quiet:
        leave.set()
        thread.join()
        warnings.warn("Dialect sqlite does *not* support Decimal objects", SAWarning, stacklevel=1)
    assert list(warnings.filters) == before
