"""A worker that lives for weeks: two datakits in eight threads, a hundred times, without growth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FILM = """
class Film(SQLModel, table=True):
    film_id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=100)
"""
SHOP = """
class Shop(SQLModel, table=True):
    shop_id: int | None = Field(default=None, primary_key=True)
    town: str = Field(max_length=100)
"""
WORKER = """
import gc, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlmodel_framework import FreshDatabases, deploy_data_objects, get_target_config, load_datakit, validate_deployment

KITS = sys.argv[1:]

def deploy(kit):
    tables = load_datakit(kit).tables
    with get_target_config("sqlite_memory") as target:
        deploy_data_objects(tables, target)
        assert validate_deployment(tables, target).success

def take(kit):
    with FreshDatabases(kit) as databases:
        for _ in range(2):
            with databases.fresh() as database:
                assert database.session.get(database.tables[0], 1) is None

def rounds(number):
    with ThreadPoolExecutor(8) as threads:
        for _ in range(number):
            for work in (deploy, take):
                list(threads.map(work, KITS * 4))

def held():
    gc.collect()
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    (kilobytes,) = [line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmRSS")]
    objects = len(gc.get_objects())
    return {"files": files, "threads": threading.active_count(), "objects": objects, "memory": int(kilobytes)}

rounds(10)
before = held()
rounds(100)
after = held()
print(before, after)
assert after["files"] == before["files"], "files"
assert after["threads"] == before["threads"], "threads"
assert after["objects"] - before["objects"] < 1000, "objects"
assert after["memory"] - before["memory"] < 16_000, "memory"
"""


@pytest.mark.slow
def test_two_datakits_in_eight_threads_a_hundred_times(write_kit: Callable[..., Path]) -> None:
    kits = [str(write_kit("films", {"film.py": FILM})), str(write_kit("shops", {"shop.py": SHOP}))]
    done = subprocess.run([sys.executable, "-c", WORKER, *kits], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
