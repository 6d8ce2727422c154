"""Containers that stay and what goes with them: kept ones past their time, replaced images, volumes, servers of others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from sqlmodel_framework import TargetConfig, create_custom_target, create_engine_for_target
from sqlmodel_framework.engines import our_containers
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.test_containers import (
    DEPLOY,
    PAGILA,
    ROOT,
    assert_nothing_is_left,
    docker,
    ours,
    targets,
    wait_for,
)

pytestmark = pytest.mark.container

LIFETIME = "sqlmodel_framework.engines.reused_containers.LIFETIME"


@pytest.fixture(autouse=True)
def project(docker_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of the test's own; at the end nothing of it is there."""
    (tmp_path / "datakit.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    kept = [name for name in ours() if "-kept-" in name]
    docker("rm", "--force", "--volumes", *kept) if kept else None
    assert_nothing_is_left()


@pytest.fixture
def image() -> Iterator[str]:
    """The name of an image that the test makes itself."""
    name = f"datakit-test-{uuid4().hex[:8]}"
    yield name
    docker("rmi", "--force", *docker("images", "--all", "--quiet", "--filter", f"label={name}").split())


def kept(kind: str = "postgres", **fields: Any) -> TargetConfig:
    return create_custom_target(kind, conn_method="container", reuse=True, deadline=180, **fields)


def identifier() -> str:
    (name,) = ours()
    return docker("inspect", "--format", "{{.Id}}", name)


def commit(image: str, change: str) -> None:
    made = docker("create", "--env", "POSTGRES_PASSWORD=x", "postgres:15.8")
    docker("commit", "--change", change, "--change", f"LABEL {image}=", made, image)
    docker("rm", made)


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_clean_leaves_a_kept_container_past_its_time_to_those_who_use_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIFETIME, -1)
    with kept(kind) as target:
        open_target(target)
        assert targets("clean") == (0, ["nothing to remove"])
        with create_engine_for_target(target).connect() as connection:
            assert connection.exec_driver_sql("SELECT 7").scalar_one() == 7
        assert len(ours()) == 1
    code, (line,) = targets("clean")
    assert (code, line.startswith(f"removed datakit-{kind}-kept-")) == (0, True)
    assert ours() == []


def test_clean_does_not_take_a_container_for_the_one_that_had_its_name() -> None:
    with kept() as first:
        open_target(first)
    listed = our_containers.list_containers()
    docker("rm", "--force", "--volumes", *ours())
    with kept() as second:
        open_target(second)
        before = identifier()
        our_containers._remove(listed, lambda one: True)
        assert identifier() == before


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


RUN_AND_DIE = """
import os, subprocess, sys
from sqlmodel_framework import create_custom_target, create_engine_for_target
from sqlmodel_framework.engines.owned import _owned
target = create_custom_target("postgres", conn_method="container", image=sys.argv[1])
create_engine_for_target(target)
print(_owned.program.pid, flush=True)
input()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda one: one.name)
def test_volumes_and_the_watching_program_go_with_the_container(number: signal.Signals, image: str) -> None:
    """The official images declare a volume for their data, the stand-ins of the tests do not."""
    commit(image, "VOLUME /var/lib/postgresql/data")
    command = [sys.executable, "-c", RUN_AND_DIE, image]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout
        program = Path("/proc") / run.stdout.readline().strip()
        (name,) = ours()
        volume = docker("inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", name)
        assert volume in docker("volume", "ls", "--quiet").split()
        assert program.exists()
        run.send_signal(number)
    assert_nothing_is_left()
    assert volume not in docker("volume", "ls", "--quiet").split()
    wait_for(lambda: not program.exists())


# a server that somebody else started


@contextmanager
def started(service: dict[str, Any]) -> Iterator[str]:
    """The service of a compose file, by docker run, on a free port; gives the port."""
    (published,) = service["ports"]
    address, _, port = published.split(":")
    options = [word for pair in service["environment"].items() for word in ("--env", "=".join(pair))]
    name = docker(
        "run", "--detach", "--publish", f"{address}::{port}", *options, service["image"], *service.get("command", ())
    )  # fmt: skip
    try:
        _, *check = service["healthcheck"]["test"]
        wait_for(
            lambda: (
                subprocess.run(["docker", "exec", name, *check], capture_output=True, check=False).returncode
                == 0
            ),
            90,
        )
        yield docker("port", name, port).splitlines()[0].rpartition(":")[2]
    finally:
        docker("rm", "--force", "--volumes", name)


def test_the_compose_file_and_the_variables_of_the_docs_deploy() -> None:
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# compose.yaml\n.*?)```", page, re.DOTALL)
    services = yaml.safe_load(text)["services"]
    given = dict(
        re.findall(r"(DATAKIT_(?:POSTGRES|MYSQL)_CONTAINER_\w+)=(\S+)", page.split("docker compose up")[1])
    )
    assert sorted(services) == ["mysql", "postgres"]
    with started(services["postgres"]) as postgres, started(services["mysql"]) as mysql:
        environment = {
            **os.environ,
            **given,
            "DATAKIT_POSTGRES_CONTAINER_PORT": postgres,
            "DATAKIT_MYSQL_CONTAINER_PORT": mysql,
            "DOCKER_HOST": "unix:///nowhere",
        }
        done = subprocess.run(
            [*DEPLOY, PAGILA, "--target", "postgres_container", "--target", "mysql_container",
             "--validate", "--cleanup"],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"postgres_container (postgres://postgres@127.0.0.1:{postgres}/)" in done.stdout + done.stderr
    assert f"mysql_container (mysql://root@127.0.0.1:{mysql}/datakit)" in done.stdout + done.stderr


@pytest.mark.parametrize("heading", ["GitHub Actions", "GitLab"])
def test_the_snippets_for_ci_are_read_as_yaml_and_name_fields_of_targets(heading: str) -> None:
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    section = page.split(f"### {heading}\n")[1]
    snippet = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)[0])
    job = snippet["jobs"]["datakits"] if heading == "GitHub Actions" else snippet["datakits"]
    services = job["services"].values() if isinstance(job["services"], dict) else job["services"]
    assert [service.get("image") or service["name"] for service in services] == ["postgres:15.8"]
    variables = job.get("env") or job["variables"]
    expected = {f"DATAKIT_POSTGRES_CONTAINER_{field}" for field in ("HOST", "PORT", "USER", "PASSWORD")}
    assert set(variables) >= expected - (
        {"DATAKIT_POSTGRES_CONTAINER_PORT"} if heading == "GitLab" else set()
    )
    assert set(variables) <= expected
