"""Fixtures of the tests that use real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from sqlmodel_framework import PostgresConnector
from sqlmodel_framework.base.connectors.libpq_parameters import ENVIRONMENT
from sqlmodel_framework.benchmarks.drift.places import Place, place_of, place_on
from sqlmodel_framework.tests.integration.container_project import assert_nothing_is_left, docker, ours
from sqlmodel_framework.tests.integration.docker_proxy import DockerProxy
from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions
from sqlmodel_framework.tests.integration.postgres_sources import PostgresHands, postgres_source_on
from sqlmodel_framework.tests.integration.secured_server import SecuredServer

_SERVERS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("postgres_server", marks=pytest.mark.postgres),
    pytest.param("mysql_server", marks=pytest.mark.mysql),
]


@pytest.fixture(scope="session", params=_SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """One database of a server for all tests; each test leaves it empty."""
    with ExitStack() as opened:
        if request.param == "sqlite_memory":
            yield opened.enter_context(place_of(request.param))
        else:
            yield opened.enter_context(place_on(request.getfixturevalue(request.param)))


@pytest.fixture
def secured(secured_server: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecuredServer:
    """The server that asks for tickets and certificates, for a process that has neither, nor any setting of libpq's."""
    for variable in [*ENVIRONMENT.values(), "PGSERVICEFILE", "PGSYSCONFDIR", "PGTZ", "KRB5_CLIENT_KTNAME"]:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KRB5_CONFIG", secured_server.file("krb5.conf"))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'no-tickets'}")
    return secured_server


@pytest.fixture(
    params=[
        pytest.param("postgres_database", marks=pytest.mark.postgres, id="local"),
        pytest.param("embedded_database", marks=pytest.mark.postgres, id="embedded"),
    ]
)
def postgres_source(request: pytest.FixtureRequest) -> PostgresConnector:
    """A connector to an empty database of each server; its connections are told from others by their application name."""
    return postgres_source_on(request.getfixturevalue(request.param))


@pytest.fixture
def hands(postgres_source: PostgresConnector) -> PostgresHands:
    """Statements and observation beside the source."""
    return PostgresHands(postgres_source)


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[InnerSessions]:
    """Sessions of pytest in a project of their own; at the end nothing of them is left."""
    sessions = InnerSessions(pytester, monkeypatch)
    yield sessions
    try:
        sessions.assert_nothing_is_left()
    finally:
        sessions.remove()


@pytest.fixture
def project(docker_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of the test's own that starts containers; at the end nothing of it is there."""
    (tmp_path / "datakit.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    kept = [name for name in ours() if "-kept-" in name]
    docker("rm", "--force", "--volumes", *kept) if kept else None
    # Tests that kill something wait themselves for what the engine is just making.
    if ours():
        assert_nothing_is_left()


@pytest.fixture
def image_of_podman() -> str:
    """What Podman writes before the name of an image that was made here."""
    return "localhost/" if "Podman" in docker("version") else ""


@pytest.fixture
def image(docker_engine: str) -> Iterator[str]:
    """The name of an image that the test makes itself."""
    name = f"datakit-test-{uuid4().hex[:8]}"
    yield name
    docker("rmi", "--force", *docker("images", "--all", "--quiet", "--filter", f"label={name}").split())


@pytest.fixture
def proxy(project: Path, docker_engine: str) -> DockerProxy:
    """The engine through a socket of the test's own."""
    return DockerProxy(project / "proxy.sock", docker_engine)
