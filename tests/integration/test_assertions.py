"""The assertions on every target: every type, every kind of place, schemas, and files that mean the same everywhere."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    TryAgainError,
    assert_rows,
    assert_schema,
    assert_snapshot,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    snapshot,
)
from sqlmodel_framework.utils.testing.snapshots import explain

ZOO = """
    import enum
    import uuid
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    import sqlalchemy as sa
    from sqlalchemy import Column
    from pydantic import NaiveDatetime
    from sqlmodel_framework.base.models import UTCDateTime
    from sqlmodel_framework.base.models.utc import LocalTime

    class Size(enum.Enum):
        small = "S"
        large = "small"

    class Level(enum.IntEnum):
        low = 1
        high = 2

    class Animal(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        text: str = Field(max_length=60)
        number: int
        big: int = Field(sa_type=sa.BigInteger)
        real: float
        double: float = Field(sa_type=sa.Double)
        exact: Decimal = Field(max_digits=12, decimal_places=4)
        flag: bool
        day: date
        naive: NaiveDatetime
        utc: datetime = Field(sa_type=UTCDateTime)
        clock: time = Field(sa_type=LocalTime)
        span: timedelta
        raw: bytes
        key: uuid.UUID
        size: Size
        level: Level
        address: str = Field(max_length=40)
        maybe: str | None = Field(default=None, max_length=10)
        document: dict | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
        listed: list[str] = Field(sa_column=Column(sa.JSON, nullable=False))
        long_text: str = Field(sa_type=sa.Text)
        labelled: str = Field(sa_column=Column("renamed", sa.String(7), unique=True))
        choice: str = Field(sa_type=sa.Enum("x", "y", name="choice_of_two"))
        computed: int | None = Field(default=None, sa_column=Column(sa.Integer, sa.Computed("number * 2", persisted=True)))
"""
CHANGES: dict[str, Any] = {
    "text": "größe",
    "number": 8,
    "big": 2**63 - 1,
    "real": 0.75,
    "double": 0.1,
    "exact": Decimal("12.7501"),
    "flag": False,
    "day": date(2024, 3, 1),
    "naive": datetime(2024, 2, 29, 23, 59, 58),  # noqa: DTZ001 - a wall clock
    "utc": datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC),
    "clock": time(12, 30, 1),
    "span": timedelta(days=1),
    "raw": b"\x00\x01\xfe",
    "key": uuid.UUID(int=8),
    "level": "high",
    "address": "127.0.0.2",
    "maybe": "",
    "document": {"a": 1},
    "listed": ["b", "a"],
    "long_text": "",
    "labelled": "other",
    "choice": "y",
}


@pytest.fixture
def zoo(target: TargetConfig, write_kit: Callable[..., Path]) -> tuple[TargetConfig, Any]:
    kit = load_datakit(write_kit("zoo", {"zoo.py": ZOO}))
    deploy_data_objects(kit.tables, target)
    (animal,) = kit.tables
    return target, animal


def animal_row(animal: Any) -> dict[str, Any]:
    size, level = (animal.model_fields[name].annotation for name in ("size", "level"))
    return {
        "text": "a 'quoted' \\ %s \n line",
        "number": 7,
        "big": -(2**63),
        "real": 0.5,
        "double": 0.1 + 0.2,
        "exact": Decimal("12.7500"),
        "flag": True,
        "day": date(2024, 2, 29),
        "naive": datetime(2024, 2, 29, 23, 59, 59),  # noqa: DTZ001 - a wall clock
        "utc": datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC),
        "clock": time(12, 30, 0, 5),
        "span": timedelta(days=-1, seconds=5),
        "raw": b"\x00\x01\xff",
        "key": uuid.UUID(int=7),
        "size": size.large,
        "level": level.low,
        "address": "127.0.0.1",
        "maybe": None,
        "document": {"b": [1, 2.5, None, True], "a": {"ö": "ü"}},
        "listed": ["a", "b"],
        "long_text": "x" * 5000,
        "labelled": "label",
        "choice": "x",
    }


def add(target: TargetConfig, animal: Any, *rows: dict[str, Any]) -> None:
    with Session(create_engine_for_target(target)) as session:
        session.add_all([animal(**row) for row in rows])
        session.commit()


def test_every_type(zoo: tuple[TargetConfig, Any]) -> None:
    target, animal = zoo
    row = animal_row(animal)
    add(target, animal, row)
    assert_rows(target, animal, [row])
    assert_rows(target, animal, [animal(**row)])
    size = animal.model_fields["size"].annotation
    others = {
        "exact": Decimal("12.75"),
        "utc": row["utc"].astimezone(timezone(timedelta(hours=-7))),
        "key": str(row["key"]),
        "size": "large",
        "level": 1,
        "address": ipaddress.ip_address("127.0.0.1"),
        "flag": 1,
        "raw": bytearray(row["raw"]),
    }
    assert_rows(target, animal, [row | others | {"computed": 14}])
    # A text that is stored is taken before one that is a member's value.
    with pytest.raises(AssertionError, match=r"'small' -> Size\.large"):
        assert_rows(target, animal, [row | {"size": "small"}])
    assert size("small") is size.large


def test_any_one_change(zoo: tuple[TargetConfig, Any]) -> None:
    target, animal = zoo
    row = animal_row(animal)
    add(target, animal, row)
    before = snapshot(target, animal, ignore="computed")
    for name, value in CHANGES.items():
        column = "renamed" if name == "labelled" else name
        with pytest.raises(AssertionError, match=f"1 changed(.|\n)* {column} "):
            assert_rows(target, animal, [row | {"id": 1, name: value}])
        with Session(create_engine_for_target(target)) as session:
            setattr(session.get(animal, 1), name, value)
            session.commit()
            assert_rows(session, animal, [row | {name: value}])
            (changed,) = snapshot(session, animal, ignore="computed").changes_since(before).changed
            assert list(changed.after) == [column]
            setattr(session.get(animal, 1), name, row[name])
            session.commit()
    assert snapshot(target, animal, ignore="computed") == before
    assert explain(before, before) == []


SNAPSHOT = (
    '{"id": 1, "text": "a \'quoted\' \\\\ %s \\n line", "number": 7, "big": -9223372036854775808, "real": 0.5,'
    ' "double": 0.30000000000000004, "exact": "12.7500", "flag": true, "day": "2024-02-29",'
    ' "naive": "2024-02-29T23:59:59", "utc": "2024-02-29T12:00:00.123456Z", "clock": "12:30:00.000005",'
    ' "span": "-PT86395S", "raw": "AAH/", "key": "00000000-0000-0000-0000-000000000007", "size": "large",'
    ' "level": "low", "address": "127.0.0.1", "maybe": null, "document": {"a": {"ö": "ü"}, "b": [1, 2.5, null, true]},'
    ' "listed": ["a", "b"], "renamed": "label", "choice": "x"}\n'
)


def test_a_snapshot_is_the_same_text_everywhere(zoo: tuple[TargetConfig, Any], tmp_path: Path) -> None:
    target, animal = zoo
    add(target, animal, animal_row(animal))
    file = tmp_path / "animal.jsonl"
    ignore = ["long_text", "computed"]
    assert_snapshot(target, animal, file, ignore=ignore, update=True)
    assert file.read_text(encoding="utf-8") == SNAPSHOT
    for name in ("a.jsonl", "a.json"):
        (tmp_path / name).write_text(f"[{SNAPSHOT}]" if name == "a.json" else SNAPSHOT, encoding="utf-8")
        assert_rows(target, animal, tmp_path / name)
    file.write_text(
        SNAPSHOT.replace('"12.7500"', "12.75").replace(".123456Z", ".123456+00:00"), encoding="utf-8"
    )
    assert_snapshot(target, animal, file, ignore=ignore)
    file.write_text(SNAPSHOT.replace("12.7500", "12.7499"), encoding="utf-8")
    with pytest.raises(AssertionError, match="1 changed"):
        assert_snapshot(target, animal, file, ignore=ignore)


def test_a_caller_keeps_its_transaction(zoo: tuple[TargetConfig, Any]) -> None:
    target, animal = zoo
    row = animal_row(animal)
    engine = create_engine_for_target(target)
    with Session(engine) as session:
        session.add(animal(**row))
        assert_rows(session, animal, [row])
        session.rollback()
    with engine.connect() as connection:
        assert_rows(connection, animal, [])
        with connection.begin():
            connection.execute(sa.insert(animal.__table__), {"renamed": "l", **_by_column(row)})
            assert_rows(connection, animal, [row | {"labelled": "l"}])
            assert connection.in_transaction()
    assert_rows(engine, animal, [row | {"labelled": "l"}])


def _by_column(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "labelled"}


def test_a_table_that_is_not_there(zoo: tuple[TargetConfig, Any]) -> None:
    target, animal = zoo
    near = sa.Table("animals", sa.MetaData(), sa.Column("id", sa.Integer))
    engine = create_engine_for_target(target)
    for where in (target, engine):
        with pytest.raises(
            ConfigurationError, match=r"seen: animal; next: did you mean the class of animal\?"
        ):
            assert_rows(where, near, [])
    with (
        engine.begin() as connection,
        pytest.raises(ConfigurationError, match="did you mean the class of animal"),
    ):
        assert_rows(connection, near, [])
    other = sa.Table("animal", sa.MetaData(), sa.Column("wings", sa.Integer))
    with pytest.raises(DeploymentError, match="wings"):
        assert_rows(target, other, [])
    assert_rows(target, animal, [])


def test_schemas_of_tables(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        class Landed(SQLModel, table=True):
            __table_args__ = {"schema": "landing_zone"}
            id: int = Field(primary_key=True)
    """
    kit = load_datakit(write_kit("landed", {"landed.py": source}))
    (landed,) = kit.tables
    try:
        deploy_data_objects(kit.tables, target)
        add(target, landed, {"id": 1})
        assert_rows(target, landed, [(1,)])
        assert_schema(target, landed)
    finally:
        target.close()


def test_the_schema(zoo: tuple[TargetConfig, Any]) -> None:
    target, animal = zoo
    engine = create_engine_for_target(target)
    with Session(engine) as session, engine.connect() as connection:
        for where in (target, engine, session, connection):
            assert_schema(where, animal)
            assert_schema(where, [animal], strict=True)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE animal ADD COLUMN extra INTEGER"))
        connection.execute(sa.text("CREATE TABLE other (id INTEGER)"))
    try:
        assert_schema(engine, animal)
        for where in (target, engine):
            with pytest.raises(AssertionError) as caught:
                assert_schema(where, animal, strict=True)
            lines = str(caught.value).splitlines()
            assert lines[0].startswith("FAIL ")
            assert "validated: 2 findings in 1 table" in lines[0]
            assert "DK202 column-unexpected: animal.extra: expected no such column" in "\n".join(lines)
            assert "DK103" in "\n".join(lines)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE other"))


def test_a_driver_that_validation_does_not_know(write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("zoo", {"zoo.py": ZOO}))
    driver: Any = SimpleNamespace(paramstyle="format", __version__="1.31.0", Error=Exception)
    stranger = sa.create_engine("postgresql+pg8000://", module=driver)
    with pytest.raises(ConfigurationError) as caught:
        assert_schema(stranger, kit.tables)
    assert str(caught.value) == (
        "tables of this engine cannot be validated; seen: postgresql through pg8000;"
        " expected: an engine of create_engine_for_target; next: pass the TargetConfig"
    )


@pytest.mark.postgres
def test_a_server_that_is_not_there(write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("zoo", {"zoo.py": ZOO}))
    target = create_custom_target("postgres", "x", host="127.0.0.1", port=1, user="x")
    for where in (target, create_engine_for_target(target)):
        with pytest.raises(TryAgainError):
            assert_rows(where, kit.tables[0], [])
    target.close()
