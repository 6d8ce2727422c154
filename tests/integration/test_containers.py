"""Container targets on a real engine: the road, what goes wrong, and that nothing is left behind.

Each test has a project folder of its own, so it counts no container of another test.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TryAgainError,
    create_custom_target,
    create_engine_for_target,
    load_datakit,
)
from sqlmodel_framework.engines.container_labels import CHECKOUT, CREATED, KIND, RUN, checkout, labels_of
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.docker_proxy import DockerProxy
from sqlmodel_framework.utils.deployment import deploy_data_objects

pytestmark = pytest.mark.container

ROOT = Path(__file__).parents[2]
DEPLOY = [sys.executable, str(ROOT / "scripts" / "deploy_datakit.py")]
PAGILA = str(ROOT / "datakits" / "bronze_pagila")
SLOW = """
    import sqlalchemy as sa

    class Slow(SQLModel, table=True):
        id: int = Field(primary_key=True)

    sa.event.listen(Slow.__table__, "after_create", sa.DDL("SELECT pg_sleep(20)"))
"""


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
def image_of_podman() -> str:
    """What Podman writes before the name of an image that was made here."""
    return "localhost/" if "Podman" in docker("version") else ""


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


# the road


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_deploy_validate_and_clean_up_by_the_program(kind: str) -> None:
    code, output = end_of(deploy(PAGILA, "--target", f"{kind}_container", "--validate", "--cleanup"))
    assert code == 0, output
    assert "15 tables created" in output
    assert "no difference in 15 tables" in output
    assert "15 tables dropped" in output
    assert ours() == []


def test_a_target_closed_and_used_again_starts_anew() -> None:
    with create_custom_target("postgres", "shop", conn_method="container") as target:
        for _ in range(2):
            with create_engine_for_target(target).connect() as connection:
                assert connection.exec_driver_sql("SELECT current_database()").scalar_one() == "shop"
            (name,) = ours()
            inspected = json.loads(docker("inspect", name))[0]
            assert target.password
            assert f"POSTGRES_PASSWORD={target.password.get_secret_value()}" in inspected["Config"]["Env"]
            target.close()
            assert [target.host, target.port, target.user, target.password, target.database] == [
                *[None] * 4,
                "shop",
            ]
            assert ours() == []


def test_settings_reach_the_container() -> None:
    target = create_custom_target(
        "postgres",
        conn_method="container",
        environment={"TZ": "Asia/Tokyo"},
        start_options=["-c", "work_mem=7MB", "-c", "fsync=on"],
        name="set",
    )
    with target, create_engine_for_target(target).connect() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("work_mem", "fsync", "synchronous_commit", "max_locks_per_transaction")
        ]
        assert shown == ["7MB", "on", "off", "1024"]
        (name,) = ours()
        (inspected,) = json.loads(docker("inspect", name))
        assert "TZ=Asia/Tokyo" in inspected["Config"]["Env"]
        assert {port["HostIp"] for port in inspected["NetworkSettings"]["Ports"]["5432/tcp"]} == {"127.0.0.1"}
        assert (
            inspected["Config"]["Labels"].items()
            >= {
                "datakit.project": Path.cwd().name,
                CHECKOUT: checkout(),
                KIND: "postgres",
            }.items()
        )


def test_several_containers_at_once() -> None:
    both = [create_custom_target("postgres", conn_method="container") for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(open_target, both))
    assert len({target.port for target in both}) == 3
    assert len(ours()) == 3
    for target in both:
        target.close()


def test_the_fixed_port_is_used_and_a_taken_one_is_said(project: Path) -> None:
    with create_custom_target("postgres", conn_method="container") as first:
        open_target(first)
        second = create_custom_target("postgres", conn_method="container", port=first.port)
        with pytest.raises(ConfigurationError) as caught:
            open_target(second)
        port = first.port
    assert "the port of a container target is taken" in str(caught.value)
    assert re.search(
        rf"127\.0\.0\.1:{port}( failed: port is already allocated|: bind: address already in use);",
        str(caught.value),
    )
    assert "leave port out for a free one; postgres_embedded is a real PostgreSQL" in str(caught.value)
    with second:
        assert open_target(second).target.port == port


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


def answers(port: str, password: str) -> bool:
    with suppress(psycopg2.OperationalError):
        psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=password).close()
        return True
    return False


def test_a_full_disk_ends_with_5(full_disk: dict[str, str]) -> None:
    fill = "dd if=/dev/zero of=/var/lib/postgresql/data/fill bs=64k || true"
    docker("exec", full_disk["FULL_DISK"], "sh", "-c", fill)
    code, output = end_of(deploy(PAGILA, "--target", "postgres_container", **full_disk))
    assert code == 5, output
    assert "No space left on device" in output


# what goes wrong


def start(**fields: Any) -> None:
    with create_custom_target("postgres", conn_method="container", **fields) as target:
        open_target(target)


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_no_engine_is_one_line_that_names_the_way_without(kind: str) -> None:
    code, output = end_of(
        deploy(PAGILA, "--target", f"{kind}_container", DOCKER_HOST="unix:///nowhere/docker.sock")
    )
    assert code == 1
    (line,) = [line for line in output.splitlines() if "error:" in line]
    assert line.strip() == (
        "error: this needs Docker or Podman, and no engine answers"
        f" (target {kind}_container, {kind} container); seen: unix:///nowhere/docker.sock:"
        " No such file or directory; next: start one, or set DOCKER_HOST to its address;"
        " postgres_embedded is a real PostgreSQL that needs neither"
    )


def test_an_image_that_is_nowhere() -> None:
    with pytest.raises(ConfigurationError) as caught:
        start(image="registry.invalid/postgres:none")
    text = str(caught.value)
    assert text.startswith(
        "an image is not present and cannot be downloaded (target custom, postgres container)"
    )
    assert "docker pull registry.invalid/postgres:none" in text
    assert "image=" in text
    assert "postgres_embedded" in text


def test_a_container_that_ends_is_said_with_its_log_and_without_secrets() -> None:
    with pytest.raises(DeploymentError) as caught:
        start(environment={"CANARY": "canary_value"}, start_options=["-c", "canary_value=1"])
    text = str(caught.value)
    assert text.startswith("the container of PostgreSQL ended before it was ready")
    assert "image postgres:15.8, exit code 1; its log ends with:" in text
    assert 'unrecognized configuration parameter "***"' in text
    assert "canary_value" not in text


def test_an_image_of_another_database() -> None:
    with pytest.raises(DeploymentError, match=r"image mysql:8.0, exit code \d+; .*MYSQL_ROOT_PASSWORD"):
        start(image="mysql:8.0")
    with pytest.raises(DeploymentError, match=r"image postgres:15.8, exit code \d+; .*POSTGRES_PASSWORD"):
        open_target(create_custom_target("mysql", conn_method="container", image="postgres:15.8"))


def test_the_deadline_ends_with_the_log() -> None:
    with pytest.raises(TryAgainError) as caught:
        start(deadline=8, start_options=["-c", "port=5999"])
    text = str(caught.value)
    assert text.startswith("the container of PostgreSQL did not get ready in time")
    assert "; its log ends with: " in text
    assert " LOG: " in text
    assert "expected: an answer of PostgreSQL within 8 s" in text


def test_what_the_engine_refuses() -> None:
    with pytest.raises(ConfigurationError, match="invalid reference format"):
        start(image="UPPER//case")
    with pytest.raises(ConfigurationError, match=r"sets these variables itself.*POSTGRES_PASSWORD"):
        start(environment={"POSTGRES_PASSWORD": "x"})


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


def test_a_container_that_is_killed_while_deploying(write_kit: Callable[..., Path]) -> None:
    process, name = sleeping(write_kit("slow", {"slow.py": SLOW}))
    docker("kill", name)
    code, output = end_of(process)
    assert code == 75, output
    assert "PostgreSQL went away or was busy" in output
    assert ours() == []


@pytest.fixture
def proxy(project: Path, docker_engine: str) -> DockerProxy:
    """The engine through a socket of the test's own."""
    return DockerProxy(project / "proxy.sock", docker_engine)


def test_the_engine_goes_away_in_the_middle(write_kit: Callable[..., Path], proxy: DockerProxy) -> None:
    quick = SLOW.replace("pg_sleep(20)", "pg_sleep(2)")
    process, name = sleeping(write_kit("slow", {"slow.py": quick}), DOCKER_HOST=proxy.address)
    proxy.go_away()
    code, output = end_of(process)
    assert code == 75, output
    assert "the container engine went away" in output
    assert "datakit targets clean" in output
    assert ours() == [name]
    proxy.come_back()
    assert_nothing_is_left()


def test_the_engine_goes_away_while_the_server_starts(proxy: DockerProxy) -> None:
    process = deploy(
        PAGILA, "--target", "postgres_container",
        DOCKER_HOST=proxy.address, DATAKIT_POSTGRES_CONTAINER_START_OPTIONS="-c port=5999",
    )  # fmt: skip
    wait_for(ours)
    time.sleep(1)
    proxy.go_away()
    code, output = end_of(process)
    assert code == 75, output
    proxy.come_back()
    assert_nothing_is_left()


# the end of a run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("request_part", "of_answer"),
    [(b"/containers/create", False), (b"/containers/create", True), (b"/start HTTP", False)],
    ids=["before create", "after create", "before start"],
)
def test_a_run_that_ends_between_create_and_start(
    number: signal.Signals, request_part: bytes, of_answer: bool, proxy: DockerProxy
) -> None:
    proxy.hold, proxy.hold_answer = request_part, of_answer
    process = deploy(PAGILA, "--target", "postgres_container", DOCKER_HOST=proxy.address)
    assert proxy.held.wait(30)
    if of_answer or b"start" in request_part:
        wait_for(ours)
    process.send_signal(number)
    time.sleep(0.5)
    proxy.released.set()
    code, output = end_of(process)
    assert code == (130 if number is signal.SIGINT else -number), output
    assert_nothing_is_left()


def test_nothing_is_left_of_twenty_runs_that_are_killed(project: Path) -> None:
    before = ours()

    def one(number: int) -> int:
        process = deploy(PAGILA, "--target", "postgres_container", "--validate")
        time.sleep(random.uniform(0.3, 4))  # noqa: S311 - any moment
        process.send_signal(signal.SIGKILL if number % 2 else signal.SIGINT)
        return end_of(process)[0]

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(one, range(20)))
    assert set(codes) & {-signal.SIGKILL}
    assert before == []
    assert_nothing_is_left()


def test_the_watching_program_holds_no_output(project: Path) -> None:
    """A reader of the output gets its end with the process, and not when the program beside it is done."""
    code = (
        "import os, sys, time\n"
        "from sqlmodel_framework import create_custom_target, create_engine_for_target\n"
        "create_engine_for_target(create_custom_target('postgres', conn_method='container'))\n"
        "print('up', flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (-9, "up\n", "")
    assert_nothing_is_left(10)


def test_a_forked_child_removes_nothing(project: Path) -> None:
    target = create_custom_target("postgres", conn_method="container")
    open_target(target)
    code = (
        "import os, sys\n"
        "from sqlmodel_framework import create_custom_target, create_engine_for_target\n"
        "target = create_custom_target('postgres', conn_method='container')\n"
        "create_engine_for_target(target)\n"
        "if os.fork() == 0:\n"
        "    sys.exit(0)\n"
        "os.wait()\n"
        "target.live.sql.dispose()\n"
        "print(create_engine_for_target(target).connect().exec_driver_sql('SELECT 7').scalar_one())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    assert len(ours()) == 1
    target.close()


# clean, list, stop


def made(**labels: str) -> str:
    words = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
    arguments = [word.replace("__", ".") for word in words]
    return docker("create", *arguments, "--env", "POSTGRES_PASSWORD=x", "postgres:15.8")


def test_clean_removes_what_nobody_owns_and_nothing_else(project: Path) -> None:
    labels = labels_of("postgres")
    machine, pid, started = labels[RUN].split("/")
    base = {CHECKOUT: labels[CHECKOUT], KIND: "postgres", CREATED: labels[CREATED]}
    old = {**base, CREATED: str(int(time.time()) - 7200)}
    entries = {
        "alive": {**old, RUN: labels[RUN]},
        "dead": {**base, RUN: f"{machine}/{pid}/1"},
        "elsewhere": {**base, RUN: f"other-machine/{pid}/{started}"},
        "elsewhere, old": {**old, RUN: f"other-machine/{pid}/{started}"},
        "other checkout": {**old, CHECKOUT: "0" * 16, RUN: f"{machine}/{pid}/1"},
    }
    identifiers = {name: made(**entry) for name, entry in entries.items()}

    def there() -> list[str]:
        found = docker("ps", "-aq", "--no-trunc").split()
        return [name for name, identifier in identifiers.items() if identifier in found]

    try:
        assert targets("list")[0] == 0
        code, lines = targets("clean")
        assert (code, len(lines)) == (0, 1), lines
        assert there() == ["alive", "elsewhere", "elsewhere, old", "other checkout"]
        assert targets("clean", "--older-than", "1h")[0] == 0
        assert there() == ["alive", "elsewhere", "other checkout"]
        assert targets("clean", "--older-than", "0s")[0] == 0
        assert there() == ["alive", "other checkout"]
        assert targets("clean") == (0, ["nothing to remove"])
    finally:
        docker("rm", "--force", "--volumes", *(identifiers[name] for name in there()))


def test_a_run_whose_watching_program_was_killed_too_is_cleaned(image_of_podman: str) -> None:
    code = (
        "import os\n"
        "from sqlmodel_framework import create_custom_target, create_engine_for_target\n"
        "from sqlmodel_framework.engines.owned import _owned\n"
        "create_engine_for_target(create_custom_target('postgres', conn_method='container'))\n"
        "os.kill(_owned.program.pid, 9)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    (name,) = ours()
    code_of_list, lines = targets("list")
    assert code_of_list == 0
    assert lines[0].startswith(name)
    assert lines[0].endswith("its run is dead")
    assert targets("stop", "--all") == (0, ["nothing to remove"])
    assert targets("clean") == (0, [f"removed {name} ({image_of_podman}postgres:15.8)"])
    assert ours() == []


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


def databases(name: str) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE datname LIKE 'datakit_run%' ORDER BY 1"
    return docker("exec", name, "psql", "-U", "postgres", "-Atc", query, "datakit").split()


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
