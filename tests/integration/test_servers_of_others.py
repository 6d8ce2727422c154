"""Servers that somebody else started stand in for containers; the compose file and the CI snippets of the docs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sqlmodel_framework.tests.integration.container_project import (
    DEPLOY,
    PAGILA,
    ROOT,
    answers,
    deploy,
    docker,
    end_of,
    wait_for,
)

pytestmark = [pytest.mark.container, pytest.mark.usefixtures("project")]


def test_a_server_that_somebody_else_started_is_the_same_target(full_disk: dict[str, str]) -> None:
    code, output = end_of(deploy(PAGILA, "--target", "postgres_container", "--cleanup", **full_disk))
    assert code == 0, output
    assert "postgres_container (postgres://postgres@127.0.0.1:" in output


@pytest.fixture
def full_disk(project: Path) -> Iterator[dict[str, str]]:
    """A PostgreSQL that the test started, with a small disk; as variables of the target postgres_container."""
    password = "full-disk-secret"
    name = docker(
        "run", "--detach", "--tmpfs", "/var/lib/postgresql/data:size=90m", "--publish", "127.0.0.1::5432",
        "--env", f"POSTGRES_PASSWORD={password}", "postgres:15.8",
    )  # fmt: skip
    port = docker("port", name, "5432").rpartition(":")[2]
    yield {
        "FULL_DISK": name,
        **{
            f"DATAKIT_POSTGRES_CONTAINER_{field}": value
            for field, value in {
                "HOST": "127.0.0.1",
                "PORT": wait_for(lambda: answers(port, password) and port),
                "USER": "postgres",
                "PASSWORD": password,
                "DATABASE": "postgres",
            }.items()
        },
    }
    docker("rm", "--force", "--volumes", name)


def test_a_full_disk_ends_with_5(full_disk: dict[str, str]) -> None:
    fill = "dd if=/dev/zero of=/var/lib/postgresql/data/fill bs=64k || true"
    docker("exec", full_disk["FULL_DISK"], "sh", "-c", fill)
    code, output = end_of(deploy(PAGILA, "--target", "postgres_container", **full_disk))
    assert code == 5, output
    assert "No space left on device" in output


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


def test_the_job_with_an_engine_of_its_own_needs_no_certificates_and_has_the_extra() -> None:
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    section = page.split("### GitLab\n")[1]
    (job,) = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)[1]).values()
    assert [service["alias"] for service in job["services"]] == ["docker"]
    assert job["variables"] == {"DOCKER_HOST": "tcp://docker:2375", "DOCKER_TLS_CERTDIR": ""}
    assert any("[testing]" in line for line in job["script"])
