"""Deploy, validate, clean up: the same on every target."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, inspect, text
from sqlmodel import Session, select

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    TryAgainError,
    cleanup_test_target,
    create_async_engine_for_target,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    get_target_config,
    load_datakit,
    plan_deployment,
    validate_deployment,
)
from sqlmodel_framework.base.errors import TargetNotEmptyError
from sqlmodel_framework.engines.base import engine_of
from sqlmodel_framework.engines.live import open_target

KITS = ["bronze_pagila", "silver_pagila", "bronze_flights", "silver_flights"]
ONE = {"one.py": "class One(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    name: str\n"}
TWO = {"two.py": "class Two(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"}


def table_names(engine: Engine) -> list[str]:
    return sorted(inspect(engine).get_table_names())


@pytest.mark.parametrize("name", KITS)
def test_a_bundled_kit_deploys_validates_and_leaves_nothing(name: str, target: TargetConfig) -> None:
    kit = load_datakit(f"sqlmodel_framework.datakits.{name}")
    deployed = deploy_data_objects(kit.tables, target)
    validated = validate_deployment(kit.tables, target)
    assert deployed["success"]
    assert len(deployed["created"]) == len(kit.tables)
    assert validated["success"]
    assert validated.findings == ()
    engine = create_engine_for_target(target)
    if not target.ends_with_process:
        cleaned = target.live.drop_created()
        assert len(cleaned) == len(kit.tables)
        assert table_names(engine) == []


def test_two_calls_see_one_database_and_cleanup_ends_it(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    deploy_data_objects(kit.tables, target)
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("INSERT INTO one (id, name) VALUES (1, 'x')"))
    assert create_engine_for_target(target) is create_engine_for_target(target)
    with create_engine_for_target(target).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM one")).scalar_one() == 1
    result = cleanup_test_target(target)
    assert result["success"]
    assert result["dropped"] == ("one",)
    assert cleanup_test_target(target).dropped == ()
    assert validate_deployment(kit.tables, target).findings[0].code == "DK101"


def test_cleanup_leaves_the_tables_of_others(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    if target.ends_with_process:
        pytest.skip("the whole database is the target's own")
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    deploy_data_objects(load_datakit(write_kit("kit", ONE)).tables, target, if_exists="skip")
    cleanup_test_target(target)
    assert table_names(create_engine_for_target(target)) == ["theirs"]
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("DROP TABLE theirs"))


def test_a_target_that_is_not_empty_is_refused(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    kit = load_datakit(write_kit("kit", ONE))
    with pytest.raises(TargetNotEmptyError) as caught:
        deploy_data_objects(kit.tables, target)
    assert str(caught.value) == (
        f"the target is not empty ({target.label}); seen: 1 table: theirs; expected: no tables; next: --if-exists skip"
        " creates what is missing, --if-exists replace drops and creates the datakit's own tables"
    )
    assert table_names(create_engine_for_target(target)) == ["theirs"]


def test_a_second_kit_joins_the_first_on_one_target(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    deploy_data_objects(load_datakit(write_kit("kit", ONE)).tables, target)
    deploy_data_objects(load_datakit(write_kit("other", TWO)).tables, target)
    assert table_names(create_engine_for_target(target)) == ["one", "two"]


def test_skip_keeps_what_is_there(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("kit", {**ONE, **TWO}))
    engine = create_engine_for_target(target)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (id INTEGER)"))
        connection.execute(text("INSERT INTO one VALUES (7)"))
    result = deploy_data_objects(kit.tables, target, if_exists="skip")
    assert (result.created, result.skipped, result.replaced) == (("two",), ("one",), ())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM one")).scalars().all() == [7]
    target.live.drop_created()
    if not target.ends_with_process:
        assert table_names(engine) == ["one"]


def test_replace_drops_only_the_tables_of_the_kit(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    engine = create_engine_for_target(target)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE one (id INTEGER)"))
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    result = deploy_data_objects(kit.tables, target, if_exists="replace")
    assert (result.created, result.replaced) == (("one",), ("one",))
    assert validate_deployment(kit.tables, target).success
    assert table_names(engine) == ["one", "theirs"]


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_enum_types_survive_a_second_deployment(
    mode: str, target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import enum
        class Colour(enum.Enum):
            red = "red"
        class Paint(SQLModel, table=True):
            id: int = Field(primary_key=True)
            colour: Colour
    """
    kit = load_datakit(write_kit("kit", {"paint.py": source}))
    deploy_data_objects(kit.tables, target)
    deploy_data_objects(kit.tables, target, if_exists=mode)  # type: ignore[arg-type]
    assert validate_deployment(kit.tables, target).success
    target.live.drop_created()
    if not target.ends_with_process:
        deploy_data_objects(kit.tables, target)
        assert validate_deployment(kit.tables, target).success


def test_a_deployment_that_fails_leaves_nothing(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        from sqlalchemy import CheckConstraint
        class Good(SQLModel, table=True):
            id: int = Field(primary_key=True)
        class Zbad(SQLModel, table=True):
            __table_args__ = (CheckConstraint("no_such_column > 0"),)
            id: int = Field(primary_key=True)
            good_id: int = Field(foreign_key="good.id")
    """
    kit = load_datakit(write_kit("kit", {"kit.py": source}))
    with pytest.raises(DeploymentError) as caught:
        deploy_data_objects(kit.tables, target)
    assert target.name in str(caught.value)
    assert "no_such_column" in str(caught.value)
    assert table_names(create_engine_for_target(target)) == []
    assert target.live.created.is_empty


def test_ctrl_c_in_the_middle_leaves_nothing(
    target: TargetConfig, write_kit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = load_datakit(write_kit("kit", {**ONE, **TWO}))
    engine = engine_of(target)
    execute = type(engine).execute

    def interrupted(self: Any, connection: Any, statements: Any, done: Any) -> None:
        execute(engine, connection, statements[:1], done)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(engine), "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deploy_data_objects(kit.tables, target)
    assert table_names(create_engine_for_target(target)) == []


def test_a_shadow_is_gone_after_ctrl_c(
    target: TargetConfig, write_kit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    deploy_data_objects(kit.tables, target)
    sql, engine = create_engine_for_target(target), engine_of(target)
    read = type(engine).read
    scratch: list[Any] = []

    def interrupted(self: Any, connection: Any, tables: Any, places: Any) -> object:
        scratch.append(places)
        if len(scratch) == 2:
            raise KeyboardInterrupt
        return read(engine, connection, tables, places)

    with monkeypatch.context() as patched:
        patched.setattr(type(engine), "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            validate_deployment(kit.tables, target)
    left = set(inspect(sql).get_schema_names()) & set(scratch[1].schemas.values())
    assert left == set()
    assert validate_deployment(kit.tables, target).success


def test_named_schemas(target: TargetConfig, write_kit: Callable[..., Path], worker_id: str) -> None:
    schema = f"sales_{worker_id}_{threading.get_native_id()}"
    source = f"""
        class Region(SQLModel, table=True):
            __table_args__ = {{"schema": "{schema}"}}
            id: int = Field(primary_key=True)
        class Town(SQLModel, table=True):
            __table_args__ = {{"schema": "{schema}"}}
            id: int = Field(primary_key=True)
            region_id: int = Field(foreign_key="{schema}.region.id", index=True)
        class Visit(SQLModel, table=True):
            id: int = Field(primary_key=True)
            town_id: int = Field(foreign_key="{schema}.town.id")
    """
    kit = load_datakit(write_kit("kit", {"kit.py": source}))
    result = deploy_data_objects(kit.tables, target)
    assert f"{schema}.town" in result.created
    assert validate_deployment(kit.tables, target).findings == ()
    engine = create_engine_for_target(target)
    with engine.begin() as connection:
        for statement in (
            f"INSERT INTO {schema}.region (id) VALUES (1)",
            f"INSERT INTO {schema}.town (id, region_id) VALUES (1, 1)",
            "INSERT INTO visit (id, town_id) VALUES (1, 1)",
        ):
            connection.execute(text(statement))
    crosses = engine_of(target).capabilities.cross_schema_foreign_keys
    assert bool(result.notes) is not crosses
    if not crosses:
        assert result.notes == (
            f"visit.town_id: the foreign key to {schema}.town crosses schemas, which sqlite cannot store",
        )
    if not target.ends_with_process:
        target.live.drop_created()
        assert schema not in inspect(engine).get_schema_names() or engine_of(target).kind == "sqlite"


def test_a_schema_that_others_use_is_not_dropped(
    target: TargetConfig, write_kit: Callable[..., Path], worker_id: str
) -> None:
    if target.type == "sqlite" or target.ends_with_process:
        pytest.skip("an attached database is not dropped; an own database is dropped whole")
    schema = f"shared_{worker_id}_{threading.get_native_id()}"
    source = f"""
        class Town(SQLModel, table=True):
            __table_args__ = {{"schema": "{schema}"}}
            id: int = Field(primary_key=True)
    """
    deploy_data_objects(load_datakit(write_kit("kit", {"kit.py": source})).tables, target)
    engine = create_engine_for_target(target)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {schema}.theirs (id INTEGER)"))
    with pytest.raises(DeploymentError, match="theirs"):
        target.live.drop_created()
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {schema}.theirs"))
    target.live.drop_created()
    assert schema not in inspect(engine).get_schema_names()


def test_a_second_schema_leaves_the_first_as_it_is(write_kit: Callable[..., Path]) -> None:
    source = """
        class {name}(SQLModel, table=True):
            __table_args__ = {{"schema": "{schema}"}}
            id: int = Field(primary_key=True)
    """
    first = load_datakit(write_kit("one", {"a.py": source.format(name="A", schema="a?b")}))
    second = load_datakit(write_kit("two", {"b.py": source.format(name="B", schema="b")}))
    with get_target_config("sqlite_memory") as target:
        deploy_data_objects(first.tables, target)
        with create_engine_for_target(target).begin() as connection:
            connection.execute(text('INSERT INTO "a?b".a VALUES (1)'))
        deploy_data_objects(second.tables, target)
        assert validate_deployment(first.tables, target).success
        with create_engine_for_target(target).connect() as connection:
            assert connection.execute(text('SELECT id FROM "a?b".a')).scalar_one() == 1


def test_a_lost_connection_leaves_nothing_half_deployed(
    target: TargetConfig, write_kit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if target.type == "sqlite":
        pytest.skip("SQLite has no connection to lose")
    kit = load_datakit(write_kit("kit", {**ONE, **TWO}))
    engine = type(engine_of(target))
    execute = engine.execute
    kill = {
        "postgres": "SELECT pg_terminate_backend(pg_backend_pid())",
        "mysql": "KILL CONNECTION_ID()",
    }[target.type]

    def lose(self: Any, connection: Any, statements: Any, done: Any) -> None:
        execute(self, connection, statements[:1], done)
        connection.connection.cursor().execute(kill)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "execute", lose)
        with pytest.raises((DeploymentError, TryAgainError)):
            deploy_data_objects(kit.tables, target)
    assert table_names(create_engine_for_target(target)) == []
    assert deploy_data_objects(kit.tables, target)["success"]


@pytest.mark.mysql
def test_a_lost_connection_leaves_no_scratch_database(
    mysql_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    deploy_data_objects(kit.tables, mysql_database)
    sql, engine = create_engine_for_target(mysql_database), engine_of(mysql_database)
    with sql.connect() as connection:
        shadow = engine.shadow(sql, connection, [one.__table__ for one in kit.tables])  # type: ignore[union-attr]
        with pytest.raises(pymysql.MySQLError), shadow as scratch:
            scratch.connection.connection.cursor().execute("KILL CONNECTION_ID()")
    assert not set(scratch.places.schemas.values()) & set(inspect(sql).get_schema_names())


def test_what_appears_meanwhile_is_not_dropped(
    mysql_database: TargetConfig, write_kit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    engine = type(engine_of(mysql_database))
    execute = engine.execute
    sql = create_engine_for_target(mysql_database)

    def too_late(self: Any, connection: Any, statements: Any, done: Any) -> None:
        with sql.begin() as other:
            other.execute(text("CREATE TABLE one (id INTEGER)"))
        execute(self, connection, statements, done)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "execute", too_late)
        with pytest.raises(DeploymentError, match="already exists"):
            deploy_data_objects(kit.tables, mysql_database)
    assert table_names(sql) == ["one"]


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_sequences_and_domains_survive_a_second_deployment(
    mode: str, embedded_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql as pg
        class Invoice(SQLModel, table=True):
            id: int = Field(primary_key=True)
            number: int = Field(sa_column=sa.Column(sa.Integer, sa.Sequence("inv_no")))
            shape: str = Field(sa_type=pg.DOMAIN("positive", sa.Integer, check="VALUE > 0"))
    """
    kit = load_datakit(write_kit("kit", {"kit.py": source}))
    deploy_data_objects(kit.tables, embedded_database)
    deploy_data_objects(kit.tables, embedded_database, if_exists=mode)  # type: ignore[arg-type]
    assert validate_deployment(kit.tables, embedded_database).success


def test_foreign_keys_between_schemas(
    target: TargetConfig, write_kit: Callable[..., Path], worker_id: str
) -> None:
    one, two = (f"art{n}_{worker_id}_{threading.get_native_id()}" for n in (1, 2))
    source = f"""
        class Film(SQLModel, table=True):
            id: int = Field(primary_key=True)
        class Poster(SQLModel, table=True):
            __table_args__ = {{"schema": "{one}"}}
            id: int = Field(primary_key=True)
            film_id: int = Field(foreign_key="film.id")
        class Print(SQLModel, table=True):
            __table_args__ = {{"schema": "{two}"}}
            id: int = Field(primary_key=True)
            poster_id: int = Field(foreign_key="{one}.poster.id")
    """
    kit = load_datakit(write_kit("kit", {"kit.py": source}))
    deploy_data_objects(kit.tables, target)
    assert validate_deployment(kit.tables, target).findings == ()
    deploy_data_objects(kit.tables, target, if_exists="replace")
    assert validate_deployment(kit.tables, target).findings == ()
    assert len(target.live.drop_created()) == 3


def test_a_kit_that_refers_to_another(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    first = load_datakit(write_kit("first", ONE))
    source = """
        from sqlalchemy import Column, ForeignKey, Integer
        from first.one import One
        class Child(SQLModel, table=True):
            id: int = Field(primary_key=True)
            one_id: int = Field(sa_column=Column(Integer, ForeignKey(One.__table__.c.id)))
    """
    second = load_datakit(write_kit("second", {"child.py": source}))
    deploy_data_objects([*second.tables, *first.tables], target)
    assert validate_deployment([*second.tables, *first.tables], target).findings == ()
    assert validate_deployment(second.tables, target).findings == ()
    assert validate_deployment(first.tables, target).findings == ()


@pytest.mark.mysql
def test_replace_rehearses_where_a_drop_cannot_be_undone(
    mysql_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    deploy_data_objects(load_datakit(write_kit("kit", ONE)).tables, mysql_database)
    engine = create_engine_for_target(mysql_database)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO one VALUES (1, 'kept')"))
    source = """
        from sqlalchemy import CheckConstraint
        class One(SQLModel, table=True):
            __table_args__ = (CheckConstraint("no_such_column > 0"),)
            id: int = Field(primary_key=True)
    """
    refused = load_datakit(write_kit("refused", {"one.py": source}))
    with pytest.raises(DeploymentError, match="no_such_column"):
        deploy_data_objects(refused.tables, mysql_database, if_exists="replace")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM one")).scalar_one() == "kept"


def test_a_foreign_key_is_enforced(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    from sqlalchemy.exc import IntegrityError

    source = """
        class Parent(SQLModel, table=True):
            id: int = Field(primary_key=True)
        class Child(SQLModel, table=True):
            id: int = Field(primary_key=True)
            parent_id: int = Field(foreign_key="parent.id")
    """
    deploy_data_objects(load_datakit(write_kit("kit", {"kit.py": source})).tables, target)
    with create_engine_for_target(target).connect() as connection, pytest.raises(IntegrityError):
        connection.execute(text("INSERT INTO child (id, parent_id) VALUES (1, 99)"))


def test_cycles_are_dropped_with_rows_in_them(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        class Hen(SQLModel, table=True):
            id: int = Field(primary_key=True)
            egg_id: int | None = Field(default=None, foreign_key="egg.id")
            mother_id: int | None = Field(default=None, foreign_key="hen.id")
        class Egg(SQLModel, table=True):
            id: int = Field(primary_key=True)
            hen_id: int | None = Field(default=None, foreign_key="hen.id")
    """
    kit = load_datakit(write_kit("kit", {"kit.py": source}))
    deploy_data_objects(kit.tables, target)
    assert validate_deployment(kit.tables, target).findings == ()
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("INSERT INTO hen (id) VALUES (1)"))
        connection.execute(text("INSERT INTO egg (id, hen_id) VALUES (1, 1)"))
        connection.execute(text("UPDATE hen SET egg_id = 1, mother_id = 1"))
    result = deploy_data_objects(kit.tables, target, if_exists="replace")
    assert set(result.replaced) == {"egg", "hen"}


def test_a_table_that_others_refer_to_is_not_dropped(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    if target.ends_with_process:
        pytest.skip("the whole database is the target's own")
    deploy_data_objects(load_datakit(write_kit("kit", ONE)).tables, target)
    engine = create_engine_for_target(target)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE theirs (id INTEGER, one_id INTEGER,"
                " FOREIGN KEY (one_id) REFERENCES one (id) ON DELETE CASCADE)"
            )
        )
        connection.execute(text("INSERT INTO one (id, name) VALUES (1, 'x')"))
        connection.execute(text("INSERT INTO theirs VALUES (1, 1)"))
    with pytest.raises(DeploymentError, match="theirs"):
        target.live.drop_created()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM theirs")).scalar_one() == 1
        connection.execute(text("DROP TABLE theirs"))
    assert target.live.drop_created() == ["one"]


def test_the_end_of_a_with_block_cleans_up(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    with target:
        deploy_data_objects(kit.tables, target)
        assert validate_deployment(kit.tables, target).success
    assert table_names(create_engine_for_target(target)) == []


def test_times_are_utc_and_aware(target: TargetConfig) -> None:
    kit = load_datakit("sqlmodel_framework.datakits.silver_flights")
    deploy_data_objects(kit.tables, target)
    airline: Any = next(c for c in kit.tables if getattr(c, "__name__", "") == "Airline")
    before = datetime.now(UTC)
    engine = create_engine_for_target(target)
    with Session(engine) as session:
        session.add(airline(carrier_code="ZZ", name="Zed"))
        session.commit()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO airline (carrier_code, name) VALUES ('YY', 'Why')"))
    with Session(engine) as session:
        stamps = [row.silver_load_timestamp for row in session.exec(select(airline)).all()]
    assert len(stamps) == 2
    for stamp in stamps:
        assert stamp.utcoffset() is not None
        assert stamp.utcoffset().total_seconds() == 0
        assert abs((stamp - before).total_seconds()) < 60


def test_the_async_engine_sees_the_same_database(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    deploy_data_objects(load_datakit(write_kit("kit", ONE)).tables, target)
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("INSERT INTO one (id, name) VALUES (5, 'five')"))

    async def read() -> object:
        engine = create_async_engine_for_target(target)
        try:
            async with engine.connect() as connection:
                return (await connection.execute(text("SELECT name FROM one WHERE id = 5"))).scalar_one()
        finally:
            await engine.dispose()

    assert asyncio.run(read()) == "five"


def test_two_kits_in_eight_threads(write_kit: Callable[..., Path]) -> None:
    folders = [
        write_kit("left", ONE),
        write_kit("right", {"one.py": ONE["one.py"].replace("name: str", "title: int")}),
    ]

    def work(number: int) -> tuple[bool, str]:
        kit = load_datakit(folders[number % 2])
        with get_target_config("sqlite_memory") as target:
            deploy_data_objects(kit.tables, target)
            found = validate_deployment(kit.tables, target)
            (column,) = {c["name"] for c in inspect(create_engine_for_target(target)).get_columns("one")} - {
                "id"
            }
            return found.success, column

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(work, range(80)))
    assert results == [(True, "name"), (True, "title")] * 40


def test_memory_targets_are_separate(write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    with get_target_config("sqlite_memory") as one, get_target_config("sqlite_memory") as other:
        deploy_data_objects(kit.tables, one)
        assert validate_deployment(kit.tables, one).success
        assert not validate_deployment(kit.tables, other).success


def test_a_sqlite_file_goes_only_when_it_is_ours_and_empty(
    tmp_path: Path, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    path = tmp_path / "kit.db"
    with create_custom_target("sqlite", str(path)) as target:
        deploy_data_objects(kit.tables, target)
        assert path.exists()
    assert not path.exists()
    with create_custom_target("sqlite", str(path)) as target:
        deploy_data_objects(kit.tables, target)
        with create_engine_for_target(target).begin() as connection:
            connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    with create_custom_target("sqlite", str(path)) as target:
        assert table_names(create_engine_for_target(target)) == ["theirs"]
    assert path.exists()


def test_validation_does_not_touch_an_open_transaction(
    target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    deploy_data_objects(kit.tables, target)
    engine = create_engine_for_target(target)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM one")).scalar_one() == 0
        assert validate_deployment(kit.tables, target).success
        connection.execute(text("INSERT INTO one (id, name) VALUES (1, 'x')"))
        connection.commit()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM one")).scalar_one() == 1


def test_a_plan_is_the_ddl_and_needs_no_server(write_kit: Callable[..., Path]) -> None:
    source = "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    title: str = Field(max_length=9)\n"
    kit = load_datakit(write_kit("kit", {"film.py": source}))
    nowhere = create_custom_target("postgres", "none", host="127.0.0.1", port=1)
    (statement,) = plan_deployment(kit.tables, nowhere)
    assert (statement.element, statement.name) == ("CreateTable", "film")
    assert " ".join(statement.text.split()) == (
        "CREATE TABLE film ( id SERIAL NOT NULL, title VARCHAR(9) NOT NULL, PRIMARY KEY (id) )"
    )


IN_SCHEMAS = """
    class Region(SQLModel, table=True):
        __table_args__ = {"schema": "Sales 100%"}
        id: int = Field(primary_key=True)
        town_id: int = Field(foreign_key="town.id")
    class Town(SQLModel, table=True):
        id: int = Field(primary_key=True)
    class Street(SQLModel, table=True):
        __table_args__ = {"schema": "public"}
        id: int = Field(primary_key=True)
"""


def test_a_plan_begins_with_the_schemas(write_kit: Callable[..., Path], tmp_path: Path) -> None:
    kit = load_datakit(write_kit("kit", {"kit.py": IN_SCHEMAS}))

    def schemas(target: TargetConfig) -> list[str]:
        plan = plan_deployment(kit.tables, target)
        tables = [number for number, statement in enumerate(plan) if statement.element == "CreateTable"]
        return [statement.text for statement in plan[: tables[0]]]

    # An empty PostgreSQL has a schema `public`, and a MySQL target its own database.
    postgres = create_custom_target("postgres", "none", host="127.0.0.1", port=1)
    assert schemas(postgres) == ['CREATE SCHEMA "Sales 100%"']
    mysql = create_custom_target("mysql", "public", host="127.0.0.1", port=1)
    assert schemas(mysql) == ["CREATE SCHEMA `Sales 100%`"]
    assert schemas(create_custom_target("sqlite", str(tmp_path / "kit.db"))) == [
        f"-- ATTACH DATABASE '{tmp_path}/kit.Sales%20100%25.db' AS \"Sales 100%\"",
        f"-- ATTACH DATABASE '{tmp_path}/kit.public.db' AS public",
    ]
    assert schemas(get_target_config("sqlite_memory"))[0] == "-- ATTACH DATABASE ':memory:' AS \"Sales 100%\""


def test_a_plan_can_be_run_by_hand(
    target: TargetConfig, write_kit: Callable[..., Path], worker_id: str
) -> None:
    schema = f"Plan 100% {worker_id} {threading.get_native_id()}"
    source = IN_SCHEMAS.replace("Sales 100%", schema).split("    class Street")[0]
    kit = load_datakit(write_kit("kit", {"kit.py": source}))
    plan = plan_deployment(kit.tables, target)
    live = open_target(target)
    live.engine.attach_schemas(live, [schema])
    with live.sql.begin() as connection:
        live.engine.execute(connection, [one for one in plan if not one.text.startswith("--")])
    assert validate_deployment(kit.tables, target).findings == ()
    deploy_data_objects(kit.tables, target, if_exists="replace")
    if target.type != "sqlite":
        live.created.schemas.append(schema)


def test_a_name_instead_of_a_target_is_refused(write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("kit", ONE))
    with pytest.raises(ConfigurationError, match="get_target_config"):
        deploy_data_objects(kit.tables, "sqlite_memory")  # type: ignore[arg-type]
