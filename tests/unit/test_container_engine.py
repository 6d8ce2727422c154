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
from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.engines import docker_engine, owner_watch
from sqlmodel_framework.engines.container_labels import RUN, labels_of, owner_of
from sqlmodel_framework.engines.containers import Place
from sqlmodel_framework.engines.docker_engine import connect_docker, docker_errors, finding_docker
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
