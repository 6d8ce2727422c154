"""Sessions of pytest inside a test: each in a process and a project of its own, and what they leave behind."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterable
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest

from sqlmodel_framework.engines.container_labels import CHECKOUT, checkout

__all__ = ["KIT", "InnerSessions", "alive", "of_mysql", "of_postgres", "write_project"]

KIT = """
    from sqlmodel import Field, SQLModel

    class Film(SQLModel, table=True):
        film_id: int | None = Field(default=None, primary_key=True)
        title: str = Field(max_length=100)

    class Copy(SQLModel, table=True):
        copy_id: int | None = Field(default=None, primary_key=True)
        film_id: int = Field(foreign_key="film.film_id")
"""
# Plugins that these sessions do not use would take most of their time to import.
PROJECT = """
    [tool.pytest.ini_options]
    addopts = "-p no:randomly -p no:hypothesispytest -p no:faker -p no:cacheprovider --strict-markers --strict-config -W error"
    pythonpath = ["tests"]
    timeout = 60
"""
# What the tests of the project share.
WORDS = """
    from sqlmodel import func, select

    def film(datakit, title="Alien"):
        return datakit["Film"](title=title)

    def count(datakit):
        return datakit.session.exec(select(func.count()).select_from(datakit["Film"])).one()

    def add(datakit):
        "One committed film; its number is 1 in a fresh database, whatever other tests did."
        assert count(datakit) == 0
        made = film(datakit)
        datakit.session.add(made)
        datakit.session.commit()
        assert made.film_id == 1
        datakit.session.commit()
        return made
"""
PRELUDE = """\
import os, signal, subprocess, sys, threading, time
import pytest
import sqlalchemy as sa
from words import add, count, film
"""


class InnerSessions:
    """A project with the kit `kit`, whose tests are run. `temp` is where its processes put their temporary folders."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester, self.project = pytester, pytester.path
        # Sockets of servers need short paths.
        self.temp = Path(tempfile.mkdtemp(prefix="inner-", dir="/tmp"))
        monkeypatch.setenv("TMPDIR", str(self.temp))
        for variable in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
            monkeypatch.delenv(variable, raising=False)
        write_project(self.project)
        self.checkouts = [checkout()]

    def write(self, name: str, source: str) -> Path:
        """A file of the project."""
        return write(self.project / name, source)

    def kit(self, source: str = KIT, name: str = "kit") -> None:
        """A datakit of one module."""
        self.write(f"{name}/tables.py", source)

    def run(self, source: str, *arguments: str, seconds: float = 120) -> pytest.RunResult:
        """Run these tests in the project, by pytest with warnings as errors."""
        self.tests(source)
        return self.again(*arguments, seconds=seconds)

    def tests(self, source: str, project: Path | None = None) -> Path:
        """The test file of a project."""
        return write((project or self.project) / "tests/test_inner.py", PRELUDE + textwrap.dedent(source))

    def again(self, *arguments: str, seconds: float = 120) -> pytest.RunResult:
        """Run the tests that are there."""
        return self.pytester.runpytest_subprocess(*arguments, "tests", timeout=seconds)

    def copy(self) -> Path:
        """A second checkout of the project."""
        second = Path(shutil.copytree(self.project, self.project.with_name(f"{self.project.name}-copy")))
        with chdir(second):
            self.checkouts.append(checkout())
        return second

    def start(self, *arguments: str, project: Path | None = None) -> subprocess.Popen[bytes]:
        """The same without waiting, in a process group of its own; what it says is in the project's file `said`."""
        folder = project or self.project
        with (folder / "said").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", *arguments, "tests"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def left(self) -> list[str]:
        """Databases, containers, temporary folders and servers of this project."""
        folders = [path.name for path in self.temp.glob("datakit-*")]
        made = [name for checkout in self.checkouts for name in containers(checkout)]
        return [*self.ours([*of_postgres(), *of_mysql()]), *folders, *processes_of(self.temp), *made]

    def ours(self, names: Iterable[str]) -> list[str]:
        """Those of the databases that belong to this project."""
        begin = re.compile(f"datakit_[a-z]+_({'|'.join(one[:8] for one in self.checkouts)})_")
        return [name for name in names if begin.match(name)]

    def drop_kept(self) -> None:
        """Drop the databases that were to stay."""
        for name in self.ours(of_postgres()):
            of_postgres(f'ALTER DATABASE "{name}" IS_TEMPLATE false')
            of_postgres(f'DROP DATABASE "{name}"')
        for name in self.ours(of_mysql()):
            of_mysql(f"DROP DATABASE {name}")
        for folder in self.temp.glob("datakit-test-*"):
            shutil.rmtree(folder)

    def rows_by(self, command: str) -> str:
        """What a printed command reads of the films; it asks for the password, which is given to it."""
        program, *words = shlex.split(command)
        query = "SELECT film_id, title FROM film"
        ends = {"sqlite3": [query], "psql": ["-At", "-c", query], "mysql": ["-N", "-e", query]}
        passwords = {name: os.environ[f"DATAKIT_{name}_LOCAL_PASSWORD"] for name in ("POSTGRES", "MYSQL")}
        environment = {**os.environ, "PGPASSWORD": passwords["POSTGRES"], "MYSQL_PWD": passwords["MYSQL"]}
        given = [program, *(word for word in words if word != "-p" or program == "psql"), *ends[program]]
        done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return "|".join(re.split(r"[|\t]", done.stdout.strip()))

    def assert_nothing_is_left(self, seconds: float = 10) -> None:
        """After some time at most: a program beside a killed process cleans up after it."""
        end = time.monotonic() + seconds
        while self.left() and time.monotonic() < end:
            time.sleep(0.05)
        assert self.left() == []

    def remove(self) -> None:
        """Remove the databases that are left after a failure, and the temporary folders."""
        self.drop_kept()
        shutil.rmtree(self.temp, ignore_errors=True)


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


def write_project(folder: Path) -> None:
    """A project folder with its settings, the words of its tests and the kit."""
    write(folder / "pyproject.toml", PROJECT)
    write(folder / "tests/words.py", WORDS)
    write(folder / "kit/tables.py", KIT)


def of_postgres(query: str = "SELECT datname FROM pg_database ORDER BY 1") -> list[str]:
    """What the configured PostgreSQL says, by default the names of its databases; nothing where none is configured."""
    settings = _settings("POSTGRES")
    if not settings:
        return []
    settings["dbname"] = settings.pop("database")
    with closing(psycopg2.connect(**settings)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(query)
        return [str(row[0]) for row in cursor.fetchall()] if cursor.description else []


def of_mysql(query: str = "SHOW DATABASES") -> list[str]:
    """What the configured MySQL or MariaDB says."""
    settings = _settings("MYSQL")
    if not settings:
        return []
    with (
        pymysql.connect(**{**settings, "port": int(settings["port"])}) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query)
        return [str(row[0]) for row in cursor.fetchall()]


def _settings(kind: str) -> dict[str, Any]:
    parts = ("host", "port", "user", "password", "database")
    found = {part: os.environ.get(f"DATAKIT_{kind}_LOCAL_{part.upper()}") for part in parts}
    return {part: value for part, value in found.items() if value} if found["host"] else {}


def containers(checkout: str) -> list[str]:
    """Names of a checkout's containers; none where Docker's program is missing or no engine answers."""
    if shutil.which("docker") is None:
        return []
    label = f"label={CHECKOUT}={checkout}"
    words = ["docker", "ps", "-a", "--filter", label, "--format", "{{.Names}}"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()


def processes_of(folder: Path) -> list[str]:
    """Servers whose data is below this folder, by their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder / "datakit-") in words:
            found.append(words)
    return found


def alive(pids: Iterable[int]) -> list[int]:
    """Those of the processes that run."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]
