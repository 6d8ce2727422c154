"""One test file on all seven targets, from two checkouts at the same time, and killed at any moment: nothing is left."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import time
from itertools import product

import pytest

from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions

pytestmark = [
    pytest.mark.container,
    pytest.mark.usefixtures("docker_engine", "postgres_server", "mysql_server"),
]

SEVEN = [
    "sqlite_memory",
    "sqlite_file",
    "postgres_embedded",
    "postgres_local",
    "mysql_local",
    "postgres_container",
    "mysql_container",
]
SOURCE = """
    @pytest.mark.datakit(
        "../kit",
        targets=TARGETS,
    )
    @pytest.mark.parametrize("number", range(NUMBER))
    class TestEverywhere:
        def test_rows(self, datakit, number):
            add(datakit)
            assert datakit.validate().success

        def test_structure(self, datakit, number):
            add(datakit)
            with datakit.engine.begin() as connection:
                connection.execute(sa.text("DROP TABLE copy"))
"""
KILLS = int(os.environ.get("DATAKIT_TEST_KILLS", "4"))
"""How many runs are killed; more than the four of every test run are for a change of what cleans up."""
LONGEST = 20.0
"""Seconds from the first thing that could be left; the container of MySQL is up by then."""
LOG = logging.getLogger(__name__)
_ALL = list(product((signal.SIGKILL, signal.SIGINT, signal.SIGTERM), (["-n", "2"], []), (True, False)))
# Steps of five lead through all twelve; the first four know every signal.
WAYS = [_ALL[5 * number % len(_ALL)] for number in range(KILLS)]


def file_on(targets: list[str], number: int) -> str:
    return SOURCE.replace("TARGETS", repr(targets)).replace("NUMBER", str(number))


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers may take their time to start."""
    for kind in ("POSTGRES", "MYSQL"):
        monkeypatch.setenv(f"DATAKIT_{kind}_CONTAINER_DEADLINE", "240")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("slow_machine")
def test_one_file_on_all_targets_from_two_checkouts_at_once(inner: InnerSessions) -> None:
    inner.tests(file_on(SEVEN, 2))
    second = inner.copy()
    settings = ["-o", "timeout=300"]
    running = {
        inner.project: inner.start("-n", "2", *settings),
        second: inner.start(*settings, project=second),
    }
    for project, process in running.items():
        process.wait(500)
        said = (project / "said").read_text()
        assert process.returncode == 0, said
        assert " 28 passed in " in said, said
    assert len(set(inner.checkouts)) == 2


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("slow_machine")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0].name}-{'xdist' if way[1] else 'alone'}")
def test_a_killed_run_leaves_nothing(
    inner: InnerSessions, way: tuple[signal.Signals, list[str], bool]
) -> None:
    number, workers, main_alone = way
    # Whichever comes first is met by most signals.
    targets = random.sample(SEVEN, len(SEVEN))
    inner.tests(file_on(targets, 100))
    process = inner.start(*workers)
    while not inner.left() and process.poll() is None:
        time.sleep(0.05)
    seconds = random.uniform(0, LONGEST)  # noqa: S311 - no secret
    whom = "the main process" if main_alone else "all processes"
    LOG.info("%s to %s after %.1f s, targets %s", number.name, whom, seconds, " ".join(targets))
    time.sleep(seconds)
    assert process.poll() is None, (inner.project / "said").read_text()
    LOG.info("then there were %s", inner.left())
    (os.kill if main_alone else os.killpg)(process.pid, number)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    inner.assert_nothing_is_left(seconds=90)
