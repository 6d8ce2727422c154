"""The end of a run with containers, however it ends: nothing is left."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sqlmodel_framework import (
    create_custom_target,
)
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.container_project import (
    PAGILA,
    assert_nothing_is_left,
    commit,
    deploy,
    docker,
    end_of,
    ours,
    wait_for,
)
from sqlmodel_framework.tests.integration.docker_proxy import DockerProxy

pytestmark = [pytest.mark.container, pytest.mark.usefixtures("project")]


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


def test_ctrl_c_after_the_result_ends_without_a_traceback() -> None:
    for wait in (0.0, 0.03, 0.1, 0.2):
        process = deploy(PAGILA, "--target", "postgres_container")
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        code, rest = end_of(process)
        assert first.startswith("ok "), first + rest
        assert code in (0, 130, -signal.SIGINT)
        assert "Traceback" not in rest
        assert "Exception ignored" not in rest
    assert_nothing_is_left()


INTERRUPTED_AT_EXIT = """
import os, signal
from sqlmodel_framework import create_custom_target, create_engine_for_target
from sqlmodel_framework.engines import owned
create_engine_for_target(create_custom_target("postgres", conn_method="container"))
(key,) = owned._owned.ends
owned._owned.ends[key] = lambda: os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_while_python_ends_leaves_the_rest_to_the_watching_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT_EXIT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
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
