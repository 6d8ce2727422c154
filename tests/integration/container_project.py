"""What the tests of containers share: a project of their own, its containers, and the programs run in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2

from sqlmodel_framework import (
    TargetConfig,
    create_custom_target,
)
from sqlmodel_framework.engines.container_labels import CHECKOUT, checkout
from sqlmodel_framework.engines.live import open_target

LIFETIME = "sqlmodel_framework.engines.reused_containers.LIFETIME"
ROOT = Path(__file__).parents[2]
DEPLOY = [sys.executable, str(ROOT / "scripts" / "deploy_datakit.py")]
PAGILA = str(ROOT / "datakits" / "bronze_pagila")
SLOW = """
    import sqlalchemy as sa

    class Slow(SQLModel, table=True):
        id: int = Field(primary_key=True)

    sa.event.listen(Slow.__table__, "after_create", sa.DDL("SELECT pg_sleep(20)"))
"""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def ours() -> list[str]:
    """Names of the containers of this test, running or not."""
    return docker("ps", "-a", "--filter", f"label={CHECKOUT}={checkout()}", "--format", "{{.Names}}").split()


def assert_nothing_is_left(seconds: float = 40) -> None:
    """A container that the engine is just making shows up a moment later: nothing has to be there for a while."""
    end, seen = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() - seen < 0.6 and time.monotonic() < end:
        seen = time.monotonic() if ours() else seen
        time.sleep(0.1)
    assert ours() == []


def deploy(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEPLOY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


def targets(*arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "sqlmodel_framework.scripts.datakit", "targets", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return found


def start(**fields: Any) -> None:
    with create_custom_target("postgres", conn_method="container", **fields) as target:
        open_target(target)


def kept(kind: str = "postgres", **fields: Any) -> TargetConfig:
    return create_custom_target(kind, conn_method="container", reuse=True, deadline=180, **fields)


def identifier() -> str:
    (name,) = ours()
    return docker("inspect", "--format", "{{.Id}}", name)


def commit(image: str, change: str) -> None:
    made = docker("create", "--env", "POSTGRES_PASSWORD=x", "postgres:15.8")
    docker("commit", "--change", change, "--change", f"LABEL {image}=", made, image)
    docker("rm", made)


def sleeping(kit: Path, **environment: str) -> tuple[subprocess.Popen[str], str]:
    """A deployment that is in the middle of its DDL, and the name of its container."""
    process = deploy(str(kit), "--target", "postgres_container", "--cleanup", **environment)
    (name,) = wait_for(ours)
    wait_for(lambda: "pg_sleep" in activity(name))
    return process, name


def activity(name: str) -> str:
    query = "SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    done = subprocess.run(
        ["docker", "exec", name, "psql", "-U", "postgres", "-Atc", query, "datakit"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def databases(name: str) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE datname LIKE 'datakit_run%' ORDER BY 1"
    return docker("exec", name, "psql", "-U", "postgres", "-Atc", query, "datakit").split()


def answers(port: str, password: str) -> bool:
    with suppress(psycopg2.OperationalError):
        psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=password).close()
        return True
    return False
