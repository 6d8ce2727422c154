"""Containers that are kept between runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    create_custom_target,
    create_engine_for_target,
    load_datakit,
)
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.container_project import (
    commit,
    databases,
    deploy,
    docker,
    end_of,
    identifier,
    kept,
    ours,
    start,
    targets,
)
from sqlmodel_framework.utils.deployment import deploy_data_objects

pytestmark = [pytest.mark.container, pytest.mark.usefixtures("project")]


REUSE = """
import sys
from sqlmodel_framework import create_custom_target, deploy_data_objects, load_datakit, validate_deployment
kit = load_datakit("sqlmodel_framework.datakits.bronze_pagila")
with create_custom_target("postgres", conn_method="container", reuse=True) as target:
    deploy_data_objects(kit.tables, target)
    print(validate_deployment(kit.tables, target)["success"], target.port, target.database, flush=True)
    input()
"""


def test_two_runs_at_once_share_a_kept_container(image_of_podman: str) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", REUSE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [run.stdout.readline().split() for run in runs if run.stdout]
    failed = [run.communicate()[1] for run, answer in zip(runs, answers, strict=True) if not answer]
    assert not failed
    assert [answer[0] for answer in answers] == ["True", "True"]
    (name,) = ours()
    assert answers[0][1] == answers[1][1]
    assert answers[0][2] != answers[1][2]
    assert databases(name) == sorted(answer[2] for answer in answers)
    runs[0].communicate("\n", timeout=30)
    assert databases(name) == [answers[1][2]]
    runs[1].kill()
    runs[1].communicate()
    assert databases(name) == [answers[1][2]]
    with create_custom_target("postgres", conn_method="container", reuse=True) as third:
        open_target(third)
        assert databases(name) == [third.database]
    assert databases(name) == []
    assert ours() == [name]
    code, lines = targets("list")
    assert code == 0
    assert "kept until" in lines[0]
    assert targets("clean", "--older-than", "0s") == (0, ["nothing to remove"])
    code, lines = targets("stop", "nonsense")
    assert code == 1
    assert f"expected: one of {name}" in lines[0]
    assert targets("stop", name) == (0, [f"removed {name} ({image_of_podman}postgres:15.8)"])
    assert ours() == []


def test_a_kept_container_past_its_time_is_replaced_when_nobody_is_connected(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def kept() -> Any:
        return create_custom_target("postgres", conn_method="container", reuse=True)

    with kept() as first, kept() as second:
        with monkeypatch.context() as patch:
            patch.setattr("sqlmodel_framework.engines.reused_containers.LIFETIME", -1)
            open_target(first)
        identifier = docker("inspect", "--format", "{{.Id}}", *ours())
        open_target(second)
        assert docker("inspect", "--format", "{{.Id}}", *ours()) == identifier
    with kept() as third:
        open_target(third)
        assert docker("inspect", "--format", "{{.Id}}", *ours()) != identifier
    with kept() as fourth:
        open_target(fourth)
        assert fourth.ends_with_process is False


def test_other_settings_are_another_kept_container_and_one_of_others_is_not_taken(project: Path) -> None:
    for options in ([], ["-c", "work_mem=5MB"]):
        with create_custom_target(
            "postgres", conn_method="container", reuse=True, start_options=options
        ) as target:
            open_target(target)
    names = ours()
    assert len(names) == 2
    docker("rm", "--force", "--volumes", *names)
    docker("create", "--name", names[0], "postgres:15.8")
    docker("create", "--name", names[1], "postgres:15.8")
    try:
        with pytest.raises(ConfigurationError, match="is not ours"):
            start(reuse=True)
    finally:
        docker("rm", "--force", "--volumes", *names)


@pytest.mark.mysql
def test_a_kept_mysql(project: Path) -> None:
    kit = load_datakit("sqlmodel_framework.datakits.bronze_flights")
    for _ in range(2):
        with create_custom_target("mysql", conn_method="container", reuse=True) as target:
            deploy_data_objects(kit.tables, target)
            with create_engine_for_target(target).connect() as connection:
                query = r"SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 'datakit\_run\_%%'"
                assert connection.exec_driver_sql(query).scalar_one() == 1
    assert len(ours()) == 1


def test_a_kept_container_whose_image_was_made_anew_is_replaced(image: str) -> None:
    commit(image, "LABEL turn=1")
    seen = []
    for turn in (1, 1, 2):
        if turn == 2:
            commit(image, "LABEL turn=2")
        with kept(image=image) as target:
            open_target(target)
            seen.append(identifier())
    assert seen[0] == seen[1] != seen[2]
    docker("rm", "--force", "--volumes", *ours())


@pytest.mark.mysql
def test_schemas_of_runs_on_a_kept_mysql_go_when_the_last_run_is_gone(write_kit: Callable[..., Path]) -> None:
    stores = """
        class Branch(SQLModel, table=True):
            __table_args__ = {"schema": "stores"}
            id: int = Field(primary_key=True)
    """
    kit = str(write_kit("shop", {"branch.py": stores}))
    environment = {"DATAKIT_MYSQL_CONTAINER_REUSE": "true"}
    for _ in range(2):
        code, output = end_of(deploy(kit, "--target", "mysql_container", "--validate", **environment))
        assert code == 0, output
    with kept("mysql") as first, kept("mysql") as second:
        tables = load_datakit(kit).tables
        deploy_data_objects(tables, first)
        open_target(second)
        with create_engine_for_target(first).connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM stores.branch").scalar_one() == 0


def test_a_kept_container_that_somebody_paused_goes_on() -> None:
    with kept() as first:
        open_target(first)
    (name,) = ours()
    docker("pause", name)
    with kept() as second, create_engine_for_target(second).connect() as connection:
        assert connection.exec_driver_sql("SELECT 7").scalar_one() == 7
    assert ours() == [name]
