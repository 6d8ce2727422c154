"""Validation on PostgreSQL where something stands in its way: rights, locks, replicas, changes meanwhile, restored dumps."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import (
    DDL,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    inspect,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework import (
    Datakit,
    TargetConfig,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    validate_deployment,
)
from sqlmodel_framework.base.errors import ConfigurationError, TryAgainError

pytestmark = pytest.mark.postgres

KIT = {
    "shop.py": """
        import enum
        from datetime import datetime
        from decimal import Decimal
        from sqlalchemy import CheckConstraint, Computed, Column, DateTime, Enum, Index, Numeric, String, UniqueConstraint, text

        class Colour(enum.Enum):
            red = "red"
            tan = "tan"

        class Shop(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)

        class Item(SQLModel, table=True):
            __table_args__ = (
                CheckConstraint("kind IN ('a', 'b')"),
                UniqueConstraint("name", "kind"),
                Index("ix_item_open", text("lower(name)"), postgresql_where=text("kind IN ('a', 'b')")),
            )
            id: int | None = Field(default=None, primary_key=True)
            name: str = Field(max_length=50, index=True)
            kind: str = Field(max_length=1, sa_column_kwargs={"server_default": "a"})
            colour: Colour
            shade: Colour = Field(sa_type=Enum(Colour, native_enum=False, create_constraint=True, name="shades"))
            price: Decimal = Field(max_digits=7, decimal_places=2)
            twice: Decimal = Field(sa_column=Column(Numeric, Computed("price * 2", persisted=True)))
            seen: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": text("now()")})
            shop_id: int = Field(foreign_key="shop.id", ondelete="CASCADE")
    """
}


@pytest.fixture
def kit(write_kit: Callable[..., Path]) -> Datakit:
    return load_datakit(write_kit("shop", KIT))


@pytest.fixture
def deployed(kit: Datakit, postgres_database: TargetConfig) -> TargetConfig:
    deploy_data_objects(kit.tables, postgres_database)
    return postgres_database


@pytest.fixture
def reader(deployed: TargetConfig, on_postgres: Callable[..., None]) -> Iterator[TargetConfig]:
    """The same database for a user who may read it, and create temporary tables."""
    user = f"{deployed.database}_reader"
    on_postgres(f"CREATE ROLE {user} LOGIN PASSWORD 'reader-secret'")
    with _as(deployed, user) as target:
        yield target
    on_postgres(f"DROP OWNED BY {user}", f"DROP ROLE {user}", database=deployed.database)


@contextmanager
def _as(target: TargetConfig, user: str, port: int | None = None) -> Iterator[TargetConfig]:
    with create_custom_target(
        "postgres",
        target.database,
        host=target.host,
        port=port or target.port,
        user=user,
        password="reader-secret",
    ) as made:
        yield made


def _in(target: TargetConfig, *statements: str) -> None:
    with create_engine_for_target(target).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextmanager
def _held(target: TargetConfig, statement: str) -> Iterator[Connection]:
    """A statement in a transaction that stays open."""
    with create_engine_for_target(target).connect() as connection:
        connection.exec_driver_sql(statement)
        yield connection
        connection.rollback()


def test_the_second_look_creates_nothing(kit: Datakit, deployed: TargetConfig) -> None:
    assert not validate_deployment(kit.tables, deployed).from_cache
    _in(deployed, f"REVOKE CREATE, TEMPORARY ON DATABASE {deployed.database} FROM PUBLIC")
    second = validate_deployment(kit.tables, deployed, strict=True)
    assert second.from_cache
    assert second.findings == ()
    assert second.success


def test_a_cache_that_was_tampered_with_is_made_again(
    kit: Datakit, deployed: TargetConfig, own_cache: Path
) -> None:
    validate_deployment(kit.tables, deployed)
    (file,) = (own_cache / "readings").glob("*.json")
    for broken in ("", "{}", file.read_text()[:-9], '{"key": 1, "tables": []}'):
        file.write_text(broken)
        again = validate_deployment(kit.tables, deployed)
        assert again.success
        assert not again.from_cache


def test_a_changed_class_does_not_meet_the_old_cache(
    kit: Datakit, deployed: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    validate_deployment(kit.tables, deployed)
    changed = {"shop.py": KIT["shop.py"].replace("max_length=50", "max_length=51")}
    result = validate_deployment(load_datakit(write_kit("changed", changed)).tables, deployed)
    assert [finding.code for finding in result.findings] == ["DK211"]


def test_a_cache_that_cannot_be_written_is_none(
    kit: Datakit, deployed: TargetConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATAKIT_CACHE_DIR", str(tmp_path / "file"))
    for _ in range(2):
        result = validate_deployment(kit.tables, deployed)
        assert result.success
        assert not result.from_cache


def test_temporary_tables_stand_in_where_no_schema_can_be_created(
    kit: Datakit, reader: TargetConfig, deployed: TargetConfig
) -> None:
    assert validate_deployment(kit.tables, reader, strict=True).findings == ()
    _in(deployed, "ALTER TABLE item ALTER name TYPE varchar(60)", "ALTER TABLE item DROP CONSTRAINT shades")
    found = validate_deployment(kit.tables, reader).findings
    assert [(finding.code, finding.column) for finding in found] == [("DK211", "name"), ("DK701", "shade")]
    assert inspect(create_engine_for_target(deployed)).get_schema_names() == ["information_schema", "public"]


def test_without_any_scratch_place_nothing_counts_as_passed(
    kit: Datakit, reader: TargetConfig, deployed: TargetConfig
) -> None:
    _in(deployed, f"REVOKE TEMPORARY ON DATABASE {deployed.database} FROM PUBLIC")
    result = validate_deployment(kit.tables, reader)
    assert result.findings == ()
    assert result["success"] is False
    (sentence,) = result.unverified
    assert "42501" in sentence
    assert "types, defaults" in sentence
    _in(deployed, "ALTER TABLE item DROP COLUMN price CASCADE", "ALTER TABLE item ALTER name DROP NOT NULL")
    codes = [(finding.code, finding.column) for finding in validate_deployment(kit.tables, reader).findings]
    assert codes == [("DK201", "price"), ("DK201", "twice"), ("DK212", "name")]


def test_a_replica_is_unverified_until_its_primary_was_validated(
    kit: Datakit, deployed: TargetConfig
) -> None:
    port = os.environ.get("TEST_POSTGRES_REPLICA_PORT")
    if not port:
        if os.environ.get("DATAKIT_REQUIRE_SERVICES"):
            pytest.fail("DATAKIT_REQUIRE_SERVICES is set and TEST_POSTGRES_REPLICA_PORT is not")
        pytest.skip("no replica is configured (TEST_POSTGRES_REPLICA_PORT, see .ci/services)")
    password = deployed.password.get_secret_value() if deployed.password else None
    with create_custom_target(
        "postgres",
        deployed.database,
        host=deployed.host,
        port=int(port),
        user=deployed.user,
        password=password,
    ) as replica:
        _wait_for_replay(deployed, replica)
        alone = validate_deployment(kit.tables, replica)
        assert not alone.success
        assert "25006" in alone.unverified[0]
        assert validate_deployment(kit.tables, deployed).success
        informed = validate_deployment(kit.tables, replica)
        assert informed.from_cache
        assert informed.success


def _wait_for_replay(primary: TargetConfig, replica: TargetConfig) -> None:
    with create_engine_for_target(primary).connect() as connection:
        position = connection.exec_driver_sql("SELECT pg_current_wal_lsn()").scalar_one()
    for _ in range(200):
        try:
            with create_engine_for_target(replica).connect() as connection:
                query = text("SELECT pg_last_wal_replay_lsn() >= CAST(:position AS pg_lsn)")
                if connection.execute(query, {"position": position}).scalar():
                    return
        except Exception:  # noqa: S110 - the database itself is not there yet
            pass
        time.sleep(0.05)
    pytest.fail("the replica does not follow")


def test_a_read_only_session_is_unverified(
    kit: Datakit, reader: TargetConfig, on_postgres: Callable[..., None]
) -> None:
    on_postgres(f"ALTER ROLE {reader.user} SET default_transaction_read_only = on")
    result = validate_deployment(kit.tables, reader)
    assert not result.success
    assert "25006" in result.unverified[0]


def test_a_locked_table_is_read_or_asks_to_try_again(
    kit: Datakit, deployed: TargetConfig, reader: TargetConfig
) -> None:
    """Up to PostgreSQL 16 printing a definition takes no lock; later ones wait for one."""
    with _held(deployed, "LOCK TABLE item IN ACCESS EXCLUSIVE MODE"):
        try:
            assert validate_deployment(kit.tables, reader).success
        except TryAgainError as exc:
            assert exc.exit_code == 75  # noqa: PT017


def test_locks_are_waited_for_as_the_user_says(kit: Datakit, deployed: TargetConfig) -> None:
    """A scratch schema's foreign keys lock nothing of the target; the catalog itself can be locked."""
    password = deployed.password.get_secret_value() if deployed.password else None
    with (
        create_custom_target(
            "postgres",
            deployed.database,
            host=deployed.host,
            port=deployed.port,
            user=deployed.user,
            password=password,
            options={"options": "-c lock_timeout=200ms"},
        ) as hasty,
        _held(deployed, "LOCK TABLE pg_constraint IN ACCESS EXCLUSIVE MODE"),
    ):
        create_engine_for_target(hasty)
        with pytest.raises(TryAgainError):
            validate_deployment(kit.tables, hasty)


def test_what_stands_in_place_of_a_table_is_named(kit: Datakit, deployed: TargetConfig) -> None:
    _in(deployed, "ALTER TABLE item RENAME TO item_before", "CREATE VIEW item AS SELECT * FROM item_before")
    (finding,) = validate_deployment(kit.tables, deployed).findings
    assert (finding.code, finding.table, finding.found) == ("DK102", "item", "a view")
    _in(deployed, "DROP VIEW item", "ALTER TABLE item_before RENAME TO item")


def test_a_type_that_the_driver_does_not_know_is_read_as_text(kit: Datakit, deployed: TargetConfig) -> None:
    _in(
        deployed,
        "CREATE TYPE place AS (x integer, y integer)",
        "ALTER TABLE item DROP COLUMN price CASCADE, ADD COLUMN price place NOT NULL",
        "ALTER TABLE shop ADD COLUMN whole int4multirange",
    )
    findings = validate_deployment(kit.tables, deployed, strict=True).findings
    assert ("DK211", "price", "place") in {(f.code, f.column, f.found) for f in findings}
    assert ("DK202", "whole", "int4multirange") in {(f.code, f.column, f.found) for f in findings}


def test_a_restored_dump_reads_like_the_original(kit: Datakit, deployed: TargetConfig) -> None:
    """A dump holds what the server printed, and the server prints that in another way once it has read it."""
    with create_engine_for_target(deployed).begin() as connection:
        query = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'item'::regclass AND contype = 'c'"
        checks = connection.exec_driver_sql(query).all()
        index = connection.exec_driver_sql("SELECT pg_get_indexdef('ix_item_open'::regclass)").scalar_one()
        cursor = connection.connection.cursor()
        for name, definition in checks:
            cursor.execute(
                f"ALTER TABLE item DROP CONSTRAINT {name}; ALTER TABLE item ADD CONSTRAINT {name} {definition}"
            )
        cursor.execute(f"DROP INDEX ix_item_open; {index}")
        assert checks != connection.exec_driver_sql(query).all()
    assert validate_deployment(kit.tables, deployed).findings == ()


def test_tables_that_change_meanwhile_end_in_a_result_or_try_again(
    kit: Datakit, deployed: TargetConfig
) -> None:
    stop = threading.Event()

    def change() -> None:
        with create_engine_for_target(deployed).connect() as connection:
            while not stop.is_set():
                connection.exec_driver_sql("CREATE INDEX ix_new ON item (price)")
                connection.exec_driver_sql("ALTER TABLE item ADD COLUMN extra integer CHECK (extra > 0)")
                connection.commit()
                connection.exec_driver_sql("DROP INDEX ix_new")
                connection.exec_driver_sql("ALTER TABLE item DROP COLUMN extra")
                connection.commit()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(25):
            try:
                codes = {finding.code for finding in validate_deployment(kit.tables, deployed).findings}
            except TryAgainError:
                continue
            assert codes <= {"DK602", "DK702"}
    finally:
        stop.set()
        changing.join()


def test_a_named_schema_is_compared_under_its_own_name(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = KIT["shop.py"].replace(
        "class Shop(SQLModel, table=True):",
        'class Shop(SQLModel, table=True):\n            __table_args__ = {"schema": "sales"}',
    )
    kit = load_datakit(write_kit("named", {"shop.py": source.replace("shop.id", "sales.shop.id")}))
    deploy_data_objects(kit.tables, postgres_database)
    assert validate_deployment(kit.tables, postgres_database, strict=True).findings == ()
    _in(
        postgres_database,
        "CREATE TABLE public.shop (id integer PRIMARY KEY)",
        "ALTER TABLE item DROP CONSTRAINT item_shop_id_fkey",
        "ALTER TABLE item ADD FOREIGN KEY (shop_id) REFERENCES public.shop (id) ON DELETE CASCADE",
    )
    (finding,) = validate_deployment(kit.tables, postgres_database).findings
    assert finding.code == "DK403"
    assert "REFERENCES sales.shop(id)" in finding.expected
    assert "REFERENCES shop(id)" in finding.found


def test_ddl_of_the_kits_own_never_runs_in_a_scratch_place(postgres_database: TargetConfig) -> None:
    metadata = MetaData()
    item = Table("item", metadata, Column("id", Integer, primary_key=True, autoincrement=False))
    for statement in ("CREATE TABLE IF NOT EXISTS audit (id integer)", "SELECT setval('counter', 7)"):
        event.listen(item, "after_create", DDL(statement))  # type: ignore[no-untyped-call]
    _in(postgres_database, "CREATE SEQUENCE counter START 500")
    deploy_data_objects([item], postgres_database, if_exists="skip")
    _in(postgres_database, "DROP TABLE audit", "SELECT setval('counter', 500)")
    result = validate_deployment([item], postgres_database)
    assert result.success
    assert "DDL of the kit's own" in result.notes[0]
    with create_engine_for_target(postgres_database).connect() as connection:
        assert connection.exec_driver_sql("SELECT last_value FROM counter").scalar_one() == 500
        assert inspect(connection).get_table_names() == ["item"]


def test_types_that_others_made(postgres_database: TargetConfig) -> None:
    metadata = MetaData()
    item = Table(
        "item",
        metadata,
        Column("mood", postgresql.ENUM("sad", "glad", name="mood", create_type=False)),
        Column("code", postgresql.DOMAIN("code", Integer, create_type=False)),
        Column("kind", postgresql.ENUM("a", "b", name="kind", schema="types")),
    )
    _in(postgres_database, "CREATE TYPE mood AS ENUM ('sad', 'glad')", "CREATE DOMAIN code AS integer")
    deploy_data_objects([item], postgres_database)
    for _ in range(2):
        assert validate_deployment([item], postgres_database, strict=True).findings == ()
    _in(postgres_database, "ALTER TYPE mood ADD VALUE 'mad'", "ALTER DOMAIN code ADD CHECK (value > 0)")
    codes = [finding.code for finding in validate_deployment([item], postgres_database).findings]
    assert codes == ["DK211", "DK218"]


def test_settings_that_change_how_the_server_prints_are_no_drift(postgres_database: TargetConfig) -> None:
    metadata = MetaData()
    item = Table(
        "item",
        metadata,
        Column("a", postgresql.INTERVAL, server_default=text("interval '1 day 2 hours'")),
        Column("b", postgresql.BYTEA, server_default=text("'\\x00ff'::bytea")),
    )
    deploy_data_objects([item], postgres_database)
    assert validate_deployment([item], postgres_database).success
    name = postgres_database.database
    _in(
        postgres_database,
        f"ALTER DATABASE {name} SET intervalstyle = 'sql_standard'",
        f"ALTER DATABASE {name} SET bytea_output = 'escape'",
    )
    create_engine_for_target(postgres_database).dispose()
    assert validate_deployment([item], postgres_database).findings == ()


def test_a_key_to_a_partitioned_table_is_one_key(postgres_database: TargetConfig) -> None:
    metadata = MetaData()
    Table("b", metadata, Column("id", Integer, primary_key=True), postgresql_partition_by="RANGE (id)")
    Table("a", metadata, Column("b_id", Integer, ForeignKey("b.id")))
    deploy_data_objects(metadata.tables.values(), postgres_database)
    _in(postgres_database, "CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (10)")
    assert validate_deployment(metadata.tables.values(), postgres_database, strict=True).findings == ()


def test_an_expression_over_an_owned_sequence_is_not_a_serial(postgres_database: TargetConfig) -> None:
    item = Table("item", MetaData(), Column("id", Integer, primary_key=True))
    deploy_data_objects([item], postgres_database)
    _in(postgres_database, "ALTER TABLE item ALTER id SET DEFAULT nextval('item_id_seq') * 10")
    assert {finding.code for finding in validate_deployment([item], postgres_database).findings} >= {"DK213"}


def test_proposed_ddl_keeps_values_as_they_are(postgres_database: TargetConfig) -> None:
    deployed = Table("item", MetaData(), Column("name", Text), Column("at", DateTime))
    wanted = Table("item", MetaData(), Column("name", String(5)), Column("at", DateTime(timezone=True)))
    deploy_data_objects([deployed], postgres_database)
    _in(postgres_database, "INSERT INTO item VALUES ('too long', '2026-01-02 10:00')")
    at, name = validate_deployment([wanted], postgres_database).findings
    with pytest.raises(DBAPIError, match="too long"):
        _in(postgres_database, *name.ddl)
    _in(postgres_database, "SET timezone = 'Europe/Berlin'", *at.ddl, "RESET timezone")
    with create_engine_for_target(postgres_database).connect() as connection:
        query = "SELECT at AT TIME ZONE 'UTC' = '2026-01-02 10:00' FROM item"
        assert connection.exec_driver_sql(query).scalar_one() is True


def test_a_unique_index_made_by_hand_is_an_error(kit: Datakit, deployed: TargetConfig) -> None:
    _in(deployed, "CREATE UNIQUE INDEX by_hand ON item (price)")
    result = validate_deployment(kit.tables, deployed)
    assert [finding.code for finding in result.findings] == ["DK604"]
    assert not result.success


def test_what_rules_leave_out_is_said(kit: Datakit, deployed: TargetConfig) -> None:
    _in(deployed, "CREATE INDEX by_hand ON item (price)", "CREATE TABLE theirs (id integer)")
    assert validate_deployment(kit.tables, deployed).notes == ()
    result = validate_deployment(kit.tables, deployed, ignore=["DK602:item.by_hand"])
    assert result.findings == ()
    assert result.notes == ("1 finding left out by select and ignore",)
    (finding,) = validate_deployment(kit.tables, deployed, select=["DK103"]).findings
    assert finding.table == "theirs"


@pytest.mark.parametrize("entry", ["D", "DK", "d", "DK999", "", "DK602:", "nothing", "DK2 "])
def test_a_rule_that_names_nothing_is_refused(kit: Datakit, deployed: TargetConfig, entry: str) -> None:
    with pytest.raises(ConfigurationError, match="a rule names no kind of finding"):
        validate_deployment(kit.tables, deployed, ignore=[entry])
