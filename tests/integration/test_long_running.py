"""Two datakits in eight threads on servers, round after round: no file, thread, object, session or database is left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmodel_framework.engines.container_labels import checkout
from sqlmodel_framework.tests.integration.inner_sessions import of_mysql, of_postgres

FILM = """
class Film(SQLModel, table=True):
    film_id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=100)
"""
SHOP = FILM.replace("Film", "Shop").replace("film_id", "shop_id")
WORKER = """
import gc, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlmodel_framework import FreshDatabases

TARGET, *KITS = sys.argv[1:]

def take(kit):
    with FreshDatabases(kit, target=TARGET) as databases:
        for _ in range(2):
            with databases.fresh() as database:
                assert database.session.get(database.tables[0], 1) is None
                assert database.validate().success

def rounds(number):
    with ThreadPoolExecutor(8) as threads:
        for _ in range(number):
            list(threads.map(take, KITS * 4))

def held():
    gc.collect()
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return files, threading.active_count(), len(gc.get_objects())

rounds(2)
before = held()
rounds(5)
after = held()
print(before, after)
assert after[:2] == before[:2], "files, threads"
assert after[2] - before[2] < 1000, "objects"
"""
SESSIONS = {
    "postgres_local": (of_postgres, "SELECT datname FROM pg_stat_activity WHERE datname LIKE 'datakit_%'"),
    "mysql_local": (of_mysql, "SELECT db FROM information_schema.processlist WHERE db LIKE 'datakit_%'"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("postgres_local", marks=pytest.mark.postgres),
        pytest.param("mysql_local", marks=pytest.mark.mysql),
    ],
)
def test_two_datakits_in_eight_threads(
    write_kit: Callable[..., Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    request.getfixturevalue(name.replace("local", "server"))
    # A project of its own, so that its databases are told from those of other tests.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datakit.toml").touch()
    kits = [str(write_kit("films", {"film.py": FILM})), str(write_kit("shops", {"shop.py": SHOP}))]
    words = [sys.executable, "-c", WORKER, name, *kits]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    ask, sessions = SESSIONS[name]
    assert [one for one in [*ask(), *ask(sessions)] if checkout()[:8] in one] == []
