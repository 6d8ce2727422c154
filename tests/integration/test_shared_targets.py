"""Threads that share one target object: they clean up, deploy and close at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, inspect

from sqlmodel_framework import (
    DeploymentError,
    TargetConfig,
    cleanup_test_target,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
)
from sqlmodel_framework.engines.live import LiveTarget, open_target

THREADS = 8


@pytest.fixture(
    params=[
        pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
        pytest.param("sqlite_file", marks=pytest.mark.sqlite),
        pytest.param("postgres_embedded", marks=pytest.mark.postgres),
        pytest.param("postgres_local", marks=pytest.mark.postgres),
    ]
)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TargetConfig]:
    """A target that tables are dropped on one by one, or that ends as a whole."""
    if request.param.startswith("postgres"):
        fixture = "embedded_database" if request.param == "postgres_embedded" else "postgres_database"
        yield request.getfixturevalue(fixture)
        return
    file = str(tmp_path / "shared.db") if request.param == "sqlite_file" else None
    with create_custom_target("sqlite", file, name=request.param) as made:
        yield made


def at_once(action: Callable[[int], object]) -> list[object]:
    """What the action gives in each of eight threads that start together."""
    barrier = Barrier(THREADS)

    def run(number: int) -> object:
        barrier.wait()
        return action(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def tables(name: str, count: int = 3) -> list[Table]:
    metadata = MetaData()
    return [
        Table(f"{name}_{number}", metadata, Column("id", Integer, primary_key=True))
        for number in range(count)
    ]


def names_in(target: TargetConfig) -> list[str]:
    with create_engine_for_target(target).connect() as connection:
        return sorted(inspect(connection).get_table_names())


def test_each_table_is_dropped_by_one_thread_only(shared: TargetConfig) -> None:
    deploy_data_objects(tables("shared", 20), shared)
    live = open_target(shared)
    dropped = at_once(lambda _: live.drop_created())
    assert sorted(map(len, dropped)) == [0] * (THREADS - 1) + [20]  # type: ignore[arg-type]
    assert live.created.is_empty


def test_threads_clean_up_one_target(shared: TargetConfig) -> None:
    deploy_data_objects(tables("shared", 20), shared)
    results = at_once(lambda _: len(cleanup_test_target(shared).dropped))
    assert sorted(results) == [0] * (THREADS - 1) + [20]  # type: ignore[type-var]
    assert shared.live is None
    assert names_in(shared) == []


def test_threads_deploy_to_one_target(shared: TargetConfig) -> None:
    results = at_once(lambda number: deploy_data_objects(tables(f"kit{number}"), shared).created)
    assert [len(created) for created in results] == [3] * THREADS  # type: ignore[arg-type]
    expected = sorted(f"kit{number}_{i}" for number in range(THREADS) for i in range(3))
    assert names_in(shared) == expected
    assert sorted(table.name for table in open_target(shared).created.tables) == expected
    assert sorted(cleanup_test_target(shared).dropped) == expected


def test_threads_deploy_while_others_clean_up(shared: TargetConfig) -> None:
    def deploy_or_clean_up(number: int) -> tuple[str, ...]:
        if number % 2:
            return cleanup_test_target(shared).dropped
        return deploy_data_objects(tables(f"kit{number}"), shared).created

    for _ in range(3):
        at_once(deploy_or_clean_up)
        still = names_in(shared)
        assert sorted(table.name for table in open_target(shared).created.tables) == still
        cleanup_test_target(shared)
    assert names_in(shared) == []


def test_a_close_that_cannot_drop_keeps_the_record_and_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = create_custom_target("sqlite", str(tmp_path / "kept.db"))
    deploy_data_objects(tables("kept"), target)
    live = open_target(target)

    def refuse(self: LiveTarget, created: object) -> list[Table]:
        raise DeploymentError("no right to drop")

    monkeypatch.setattr(LiveTarget, "_drop", refuse)
    with pytest.raises(DeploymentError, match="no right to drop"):
        target.close()
    assert open_target(target) is live
    assert names_in(target) == ["kept_0", "kept_1", "kept_2"]
    monkeypatch.undo()
    assert cleanup_test_target(target).dropped == ("kept_0", "kept_1", "kept_2")
    assert target.live is None
    assert names_in(target) == []
    target.close()
