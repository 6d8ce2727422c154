"""Container engines and owners without an engine: what is said, and what is not taken for gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import docker
import pymysql
import pytest
import requests
import urllib3
from pydantic import SecretStr

from sqlmodel_framework import ConfigurationError, DeploymentError, TryAgainError
from sqlmodel_framework.base.connectors.libpq_parameters import ENVIRONMENT
from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.engines import docker_engine, owner_watch
from sqlmodel_framework.engines.container_labels import RUN, labels_of, owner_of
from sqlmodel_framework.engines.containers import Place
from sqlmodel_framework.engines.docker_engine import connect_docker, docker_errors, finding_docker
from sqlmodel_framework.engines.libpq_isolation import _SINCE_17, without_environment
from sqlmodel_framework.engines.mysql_container import MySQLServer

SECRET = "canary-secret-2207"


def refused(words: str, status: int = 500) -> docker.errors.APIError:
    answer = requests.Response()
    answer.status_code = status
    return docker.errors.APIError("refused", answer, words)


@pytest.mark.parametrize(
    ("error", "ours", "words"),
    [
        (refused("Bind for 0.0.0.0:5433 failed: port is already allocated"), ConfigurationError, "postgres_embedded"),
        (refused("rootlessport listen tcp 127.0.0.1:5433: bind: address already in use"), ConfigurationError, "port="),
        (refused("mkdir /var/lib/docker/x: no space left on device"), DeploymentError, "docker system df"),
        (refused("No such container: x", 404), TryAgainError, "is gone"),
        (refused("can not get logs from container which is dead or marked for removal", 409), TryAgainError, "is gone"),
        (urllib3.exceptions.ProtocolError("Connection broken"), TryAgainError, "the container engine went away"),
        (requests.exceptions.ReadTimeout("no answer"), TryAgainError, "the container engine went away"),
    ],
    ids=["port", "port of Podman", "disk", "gone", "going", "broken download", "silence"],
)  # fmt: skip
def test_errors_of_the_engine_are_ours(error: Exception, ours: type[DatakitError], words: str) -> None:
    with pytest.raises(DatakitError, match=words) as caught, docker_errors("target t"):
        raise error
    assert type(caught.value) is ours


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "a member of the group docker has it"),
        (docker.errors.DockerException("Install paramiko package"), "pip install paramiko"),
        (ConnectionRefusedError(111, "Connection refused"), "start one, or set DOCKER_HOST"),
    ],
    ids=["no right", "ssh", "nobody listens"],
)
def test_why_no_engine_answers_decides_what_to_do(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "_try_socket", lambda address: None)
    with pytest.raises(ConfigurationError, match=words) as caught, finding_docker("target t"):
        raise error
    assert "postgres_embedded" in str(caught.value)


def test_a_password_in_the_address_of_an_engine_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://user:{SECRET}@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="no engine answers") as caught:
        connect_docker()
    assert SECRET not in str(caught.value)


def test_a_socket_of_the_system_without_the_right_to_it_gives_way_to_a_rootless_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system, rootless = tmp_path / "docker.sock", tmp_path / "podman" / "podman.sock"
    rootless.parent.mkdir()
    for path in (system, rootless):
        path.touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(docker_engine, "_SYSTEM_SOCKET", tmp_path / "system.sock")
    (tmp_path / "system.sock").touch()
    assert docker_engine._rootless_socket() is None
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "system.sock" and allowed(path, mode)
    )
    assert docker_engine._rootless_socket() == f"unix://{system}"
    system.unlink()
    assert docker_engine._rootless_socket() == f"unix://{rootless}"


def test_an_owner_that_cannot_be_asked_after_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, pid, _ = labels_of("postgres")[RUN].split("/")
    assert owner_of(f"{machine}/{pid}/") == "unknown"

    def hidden(number: int, sign: int) -> None:
        raise PermissionError(number, sign)

    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert owner_of(f"{machine}/{ended.pid}/1") == "dead"
    monkeypatch.setattr(os, "kill", hidden)
    assert owner_of(f"{machine}/{ended.pid}/1") == "unknown"


def test_an_owner_is_not_dead_because_no_file_can_be_opened() -> None:
    code = (
        "import resource\n"
        "from sqlmodel_framework.engines.container_labels import RUN, labels_of, owner_of\n"
        "run = labels_of('x')[RUN]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\n"
        "print(owner_of(run))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "unknown\n"


def test_orders_are_carried_out_whose_owner_was_killed_in_the_middle_of_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "datakit-own-x"
    folder.mkdir()
    order = {"key": "a", "do": "end server", "folder": str(folder), "signal": 15}
    lines = json.dumps(order) + '\n{"key": "b", "do": "end ser'
    subprocess.run([sys.executable, "-P", str(owner_watch.__file__)], input=lines, text=True, check=True)
    assert not folder.exists()


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up() -> None:
    hung_up: list[Any] = []

    def listen(server: socket.socket) -> None:
        client, _ = server.accept()
        client.settimeout(20)
        try:
            hung_up.append(client.recv(1))
        except TimeoutError as exc:
            hung_up.append(exc)
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen, args=(server,))
        thread.start()
        place = Place("127.0.0.1", server.getsockname()[1], "root", SecretStr("x"), "d")
        with pytest.raises(pymysql.OperationalError):
            MySQLServer().connect(place)
        thread.join()
    assert hung_up == [b""]


@pytest.mark.parametrize("given", [None, ""])
def test_without_an_address_the_sockets_that_were_tried_are_named(
    given: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    if given is not None:
        monkeypatch.setenv("DOCKER_HOST", given)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(docker_engine, "_SYSTEM_SOCKET", tmp_path / "system.sock")
    monkeypatch.setattr(docker_engine, "_rootless_socket", lambda: None)
    with pytest.raises(ConfigurationError) as caught:
        connect_docker()
    assert caught.value.seen == (
        f"no DOCKER_HOST, and no engine at {tmp_path}/system.sock, {tmp_path}/docker.sock,"
        f" {tmp_path}/.docker/run/docker.sock, {tmp_path}/podman/podman.sock, /run/podman/podman.sock:"
        " No such file or directory"
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("/run/docker.sock", "DOCKER_HOST needs a scheme: unix:///run/docker.sock"),
        ("docker:2375", "DOCKER_HOST needs a scheme: tcp://docker:2375"),
    ],
)
def test_an_address_without_a_scheme_is_completed(
    given: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", given)
    with pytest.raises(ConfigurationError) as caught, finding_docker("target t"):
        raise docker.errors.DockerException("Invalid bind address format")
    assert caught.value.next_step == f"{words}; postgres_embedded is a real PostgreSQL that needs neither"


def test_the_variables_of_libpq_are_neutral_one_by_one_and_all_for_a_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in list(os.environ):
        if variable.startswith("PG"):
            monkeypatch.delenv(variable)
    assert without_environment() == {}
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    assert without_environment() == {"hostaddr": "", "sslmode": "prefer"}
    monkeypatch.setenv("PGSERVICE", "shop")
    names = without_environment().keys()
    # Who connects gives the others, and what is not a matter of a server stays.
    given = {"host", "port", "user", "password", "dbname", "passfile", "service", "application_name"}
    assert set(ENVIRONMENT) - names <= given | {"connect_timeout", "gsslib", *_SINCE_17}
