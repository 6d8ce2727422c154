"""Fresh databases for tests: seconds for one beside create_all, and whole test sessions beside those of other plugins.

All of a group's sessions use the same server, or containers of the same image, and the same test: one row is written,
committed and counted. Where a plugin resets nothing between tests, its session creates and drops the tables by itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from statistics import median
from time import perf_counter
from typing import Annotated

import typer
from sqlalchemy import create_engine

from sqlmodel_framework import FreshDatabases, create_engine_for_target, get_target_config
from sqlmodel_framework.benchmarks.generated import Classes, table_classes
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Isolation

__all__ = ["main"]

ISOLATIONS: tuple[Isolation, ...] = ("database", "rows", "rollback")

TESTS = """
    from datetime import UTC, date, datetime
    from decimal import Decimal
    from uuid import uuid4

    import pytest
    from sqlmodel import func, select

    from models import CLASSES

    MARK

    @pytest.mark.parametrize("number", range(COUNT))
    def test_a_row_is_kept(session, number):
        session.add(
            CLASSES[0](
                name="a", amount=Decimal(number), ratio=0.5, active=True, day=date(2020, 1, 1),
                seen_at=datetime(2020, 1, 1, tzinfo=UTC), token=uuid4(),
            )
        )
        session.commit()
        assert session.exec(select(func.count()).select_from(CLASSES[0])).one() == 1
"""
OURS = """
    import pytest

    @pytest.fixture
    def session(datakit_session):
        return datakit_session
"""
ENGINE_TO_SESSION = """
    import os

    import pytest
    from sqlalchemy import URL, create_engine
    from sqlmodel import Session

    from models import METADATA

    HOST, PORT = os.environ["BENCH_HOST"], int(os.environ["BENCH_PORT"])
    USER, PASSWORD = os.environ["BENCH_USER"], os.environ["BENCH_PASSWORD"]
"""
PYTEST_POSTGRESQL = """
    from pytest_postgresql import factories

    def load(**options):
        engine = create_engine("postgresql+psycopg://", connect_args=options)
        METADATA.create_all(engine)
        engine.dispose()

    bench_server = factories.postgresql_noproc(
        host=HOST, port=PORT, user=USER, password=PASSWORD, dbname="bench_pytest_postgresql", load=[load]
    )
    bench_database = factories.postgresql("bench_server")

    @pytest.fixture
    def session(bench_database):
        info = bench_database.info
        url = URL.create("postgresql+psycopg", USER, PASSWORD, HOST, PORT, info.dbname)
        engine = create_engine(url)
        with Session(engine) as session:
            yield session
        engine.dispose()
"""
MOCK_POSTGRES = """
    from pytest_mock_resources import PostgresConfig, create_postgres_fixture

    @pytest.fixture(scope="session")
    def pmr_postgres_config():
        return PostgresConfig(
            host=HOST, port=PORT, ci_port=PORT, username=USER, password=PASSWORD, root_database="postgres",
            drivername="postgresql+psycopg2",
        )

    bench_engine = create_postgres_fixture(METADATA)

    @pytest.fixture
    def session(bench_engine):
        with Session(bench_engine) as session:
            yield session
        bench_engine.dispose()
"""
MOCK_MYSQL = """
    from pytest_mock_resources import MysqlConfig, create_mysql_fixture

    @pytest.fixture(scope="session")
    def pmr_mysql_config():
        return MysqlConfig(
            host=HOST, port=PORT, ci_port=PORT, username=USER, password=PASSWORD,
            root_database=os.environ["BENCH_DATABASE"],
        )

    bench_engine = create_mysql_fixture(METADATA)

    @pytest.fixture
    def session(bench_engine):
        with Session(bench_engine) as session:
            yield session
        bench_engine.dispose()
"""
MOCK_SQLITE = """
    import pytest
    from pytest_mock_resources import create_sqlite_fixture
    from sqlmodel import Session

    from models import METADATA

    bench_engine = create_sqlite_fixture(METADATA)

    @pytest.fixture
    def session(bench_engine):
        with Session(bench_engine) as session:
            yield session
"""
DATABASES = """
    import pytest
    from sqlalchemy import URL, create_engine
    from sqlmodel import Session

    from models import METADATA

    pytest_plugins = ["pytest_databases.docker.KIND"]

    @pytest.fixture(scope="session")
    def bench_engine(SERVICE):
        url = URL.create("DRIVER", SERVICE.user, SERVICE.password, SERVICE.host, SERVICE.port, SERVICE.NAME)
        engine = create_engine(url)
        yield engine
        engine.dispose()

    @pytest.fixture
    def session(bench_engine):
        METADATA.create_all(bench_engine)
        with Session(bench_engine) as session:
            yield session
        METADATA.drop_all(bench_engine)
"""


@dataclass(frozen=True)
class Way:
    """One plugin's session: its conftest, options and, for ours, the target and the isolation."""

    conftest: str
    target: str | None = None
    isolation: Isolation | None = None
    options: tuple[str, ...] = ()

    def write(self, folder: Path, tables: int, tests: int) -> None:
        """Write the session's files into an empty folder."""
        folder.mkdir()
        mark = ""
        if self.target:
            mark = f"pytestmark = pytest.mark.datakit(CLASSES, targets=[{self.target!r}], isolation={self.isolation!r})"
        models = f"""
            from sqlmodel_framework.benchmarks.generated import table_classes

            CLASSES = table_classes({tables})
            METADATA = CLASSES[0].metadata
        """
        (folder / "models.py").write_text(textwrap.dedent(models))
        (folder / "conftest.py").write_text(self.conftest)
        text = textwrap.dedent(TESTS).replace("COUNT", str(tests)).replace("MARK", mark)
        (folder / "test_bench.py").write_text(text)
        (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")


def conftest_of(*parts: str) -> str:
    return "\n".join(textwrap.dedent(part) for part in parts)


def ours(target: str) -> dict[str, Way]:
    usual = {f"ours on {target}": Way(conftest_of(OURS), target)}
    return usual | {
        f"ours on {target}, {isolation}": Way(conftest_of(OURS), target, isolation)
        for isolation in ISOLATIONS
    }


def databases(kind: str, service: str, driver: str, name: str) -> Way:
    text = conftest_of(DATABASES)
    for word, given in {"KIND": kind, "SERVICE": service, "DRIVER": driver, "NAME": name}.items():
        text = text.replace(word, given)
    return Way(text)


GROUPS: dict[str, dict[str, Way]] = {
    "sqlite": ours("sqlite_memory") | {"pytest-mock-resources": Way(conftest_of(MOCK_SQLITE))},
    "postgres": ours("postgres_local")
    | {
        "pytest-postgresql": Way(conftest_of(ENGINE_TO_SESSION, PYTEST_POSTGRESQL)),
        "pytest-mock-resources": Way(conftest_of(ENGINE_TO_SESSION, MOCK_POSTGRES)),
    },
    "mysql": ours("mysql_local") | {"pytest-mock-resources": Way(conftest_of(ENGINE_TO_SESSION, MOCK_MYSQL))},
    "postgres_container": ours("postgres_container")
    | {"pytest-databases": databases("postgres", "postgres_15_service", "postgresql+psycopg", "database")},
    "mysql_container": ours("mysql_container")
    | {"pytest-databases": databases("mysql", "mysql_8_service", "mysql+pymysql", "db")},
}
SERVERS = {"postgres": "postgres_local", "mysql": "mysql_local"}


# one database


@contextmanager
def created(target: TargetConfig) -> Iterator[str]:
    """The URL of an empty database on the target's server, or in memory, dropped afterwards."""
    if target.type == "sqlite":
        yield "sqlite://"
        return
    engine = create_engine_for_target(target)
    name = f"bench_{token_hex(6)}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield engine.url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


def create_all_seconds(target: TargetConfig, classes: Classes) -> float:
    """Seconds of a new database with the tables, dropped again."""
    started = perf_counter()
    with created(target) as url:
        engine = create_engine(url)
        classes[0].metadata.create_all(engine, tables=[one.__table__ for one in classes])  # type: ignore[attr-defined]
        engine.dispose()
    return perf_counter() - started


def fresh_seconds(databases: FreshDatabases, count: int = 10) -> float:
    """Seconds of one fresh database, given back again: the mean of some in a row, as work beside goes on after each."""
    started = perf_counter()
    for _ in range(count):
        databases.give_back(databases.take())
    return (perf_counter() - started) / count


def compare_one(target_name: str, classes: Classes, rounds: int) -> None:
    """Print the medians of one fresh database beside create_all."""
    with ExitStack() as stack:
        target = stack.enter_context(get_target_config(target_name))
        usual = stack.enter_context(FreshDatabases(classes, target=target_name)).isolation
        ways = {"create_all": partial(create_all_seconds, target, classes)}
        for isolation in ISOLATIONS:
            databases = FreshDatabases(classes, target=target_name, isolation=isolation)
            stack.enter_context(databases)
            name = f"{isolation}, the usual way" if isolation == usual else isolation
            ways[name] = partial(fresh_seconds, databases)
        samples: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                seconds = way()
                if number:
                    samples[name].append(seconds)
    base = median(samples["create_all"])
    for name, found in samples.items():
        typer.echo(
            f"{target_name}, one database: {name}: {median(found) * 1000:.2f} ms, "
            f"{median(found) / base:.4f} of create_all (median of {rounds})"
        )


# whole sessions


def environment_of(group: str) -> dict[str, str]:
    """What the sessions of a group need to reach the server that all of them use."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    if group in SERVERS:
        with get_target_config(SERVERS[group]) as target:
            url = create_engine_for_target(target).url
        found |= {
            "BENCH_HOST": str(url.host),
            "BENCH_PORT": str(url.port),
            "BENCH_USER": str(url.username),
            "BENCH_PASSWORD": str(url.password),
            "BENCH_DATABASE": str(url.database),
        }
    return found


def session_seconds(folder: Path, way: Way, tests: int, workers: int, environment: dict[str, str]) -> float:
    """The wall time of one test session, in which every test must pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers if workers > 1 else 0), *way.options]
    if workers > 1 and "pytest_mock_resources" in way.conftest:
        command.append("--pmr-multiprocess-safe")
    started = perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = perf_counter() - started
    if not re.search(rf"\b{tests} passed", done.stdout):
        raise RuntimeError(f"{command} in {folder}:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    return seconds


def compare_sessions(
    group: str, tables: int, tests: int, rounds: int, folder: Path, only: str | None
) -> None:
    """Print the medians of whole sessions, with one and with two workers."""
    environment = environment_of(group)
    ways = {name: way for name, way in GROUPS[group].items() if not only or re.search(only, name)}
    folders = {}
    for number, (name, way) in enumerate(ways.items()):
        folders[name] = folder / f"{group}{number}"
        way.write(folders[name], tables, tests)
    for workers in (1, 2):
        samples: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                samples[name].append(session_seconds(folders[name], way, tests, workers, environment))
        base = median(next(iter(samples.values())))
        for name, seconds in samples.items():
            typer.echo(
                f"{group}, {workers} worker(s): {name}: {median(seconds):.2f} s, {median(seconds) / base:.2f} of ours "
                f"(median of {rounds}, {min(seconds):.2f} to {max(seconds):.2f})"
            )


def main(
    group: Annotated[list[str] | None, typer.Option(help=f"Sessions: {', '.join(GROUPS)}.")] = None,
    tables: Annotated[int, typer.Option(min=1)] = 50,
    tests: Annotated[int, typer.Option(min=1)] = 200,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    single_rounds: Annotated[int, typer.Option(min=0, help="Rounds of one database; 0 leaves it out.")] = 7,
    only: Annotated[str | None, typer.Option(help="Sessions whose name has this pattern.")] = None,
) -> None:
    """Print medians and ratios; the servers are those of the environment."""
    if single_rounds:
        classes = table_classes(tables)
        for target in ("sqlite_memory", "postgres_local", "mysql_local"):
            compare_one(target, classes, single_rounds)
    with tempfile.TemporaryDirectory() as folder:
        for name in group or ["sqlite", "postgres", "mysql"]:
            compare_sessions(name, tables, tests, rounds, Path(folder), only)


if __name__ == "__main__":
    typer.run(main)
