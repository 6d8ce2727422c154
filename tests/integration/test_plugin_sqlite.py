"""The plugin's databases on SQLite: whose files they are, and what tests leave in them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from sqlmodel_framework.engines.fresh import Changes
from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions

pytestmark = pytest.mark.sqlite

KILLED = """
    import subprocess, sys

    @pytest.mark.datakit("../kit", targets=["sqlite_file"])
    def test_is_killed(datakit):
        folder = os.path.dirname(datakit.target.database)
        reading = [sys.executable, "-c", "import sys, time; print(1, flush=True); time.sleep(600)", folder + "/data"]
        one = subprocess.Popen(reading, stdout=subprocess.PIPE, start_new_session=True)
        one.stdout.readline()
        with open("reader", "w") as file:
            file.write(str(one.pid))
        os.kill(os.getpid(), signal.SIGKILL)
"""
LEAVES_A_TRANSACTION = """
    LEFT = []

    @pytest.mark.datakit("../kit", targets=["sqlite_memory", "sqlite_file"], isolation="rollback")
    class Test:
        @pytest.mark.parametrize("statement", ["INSERT INTO film (title) VALUES ('left')", "SELECT * FROM film"])
        def test_leaves_a_transaction_open(self, datakit, statement):
            LEFT.append(datakit.engine.connect())
            LEFT.append(LEFT[-1].exec_driver_sql(statement))

        def test_next(self, datakit):
            add(datakit)
            datakit.session.add(film(datakit))
            datakit.session.commit()
"""


def test_a_killed_run_removes_its_files_and_ends_no_process_that_names_them(inner: InnerSessions) -> None:
    inner.tests(KILLED)
    process = inner.start()
    assert process.wait(60) == -signal.SIGKILL, (inner.project / "said").read_text()
    reader = int((inner.project / "reader").read_text())
    try:
        end_of_folders(inner)
        assert "sleep" in Path(f"/proc/{reader}/cmdline").read_text()
    finally:
        os.kill(reader, signal.SIGKILL)


def end_of_folders(inner: InnerSessions) -> None:
    """Wait until the program beside the killed run has removed its folder."""
    end = time.monotonic() + 10
    while list(inner.temp.glob("datakit-*")) and time.monotonic() < end:
        time.sleep(0.05)
    assert not list(inner.temp.glob("datakit-*"))


def test_an_open_transaction_locks_no_later_test_out(inner: InnerSessions) -> None:
    inner.run(LEAVES_A_TRANSACTION).assert_outcomes(passed=6)


def test_changes_in_words() -> None:
    assert str(Changes()) == "nothing"
    said = "rows in film, copy and moved counters of film and a changed structure"
    assert str(Changes(("film", "copy"), ("film",), structure=True)) == said
