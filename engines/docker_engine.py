"""The container engine: Docker or Podman, where it is, and its errors in our words."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    DeploymentError,
    MissingExtraError,
    TryAgainError,
)

if TYPE_CHECKING:
    from testcontainers.core.docker_client import DockerClient

__all__ = [
    "connect_docker",
    "docker_environment",
    "docker_errors",
    "finding_docker",
    "is_loopback",
    "pull_if_absent",
    "reachable_host",
]

_WITHOUT = "postgres_embedded is a real PostgreSQL that needs neither"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SYSTEM_SOCKET = Path("/var/run/docker.sock")


def docker_environment() -> dict[str, str]:
    """The variables that say where the engine is: DOCKER_HOST and the like, the current context, or a rootless socket.

    Raises MissingExtraError where the extra `testing` is not installed.
    """
    try:
        from testcontainers.core.docker_client import get_docker_host
    except ImportError as exc:
        raise MissingExtraError("testing", needed_for="a container target") from exc
    # An empty variable is none, as for docker itself.
    found = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_") and value}
    host = get_docker_host() or _rootless_socket()
    return {**found, "DOCKER_HOST": host} if host else found


def _rootless_socket() -> str | None:
    """The socket of an engine of this user, where the system has none, or none that this user may use."""
    if os.name != "posix" or os.access(_SYSTEM_SOCKET, os.R_OK | os.W_OK):
        return None
    return next((f"unix://{path}" for path in _rootless_places() if os.access(path, os.R_OK | os.W_OK)), None)


def _rootless_places() -> list[Path]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return [
        runtime / "docker.sock",
        Path.home() / ".docker/run/docker.sock",
        runtime / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    ]


def _tried() -> str:
    """What was looked at, as messages say it."""
    given = docker_environment().get("DOCKER_HOST")
    if given or os.name != "posix":
        return given or "no DOCKER_HOST"
    return "no DOCKER_HOST, and no engine at " + ", ".join(map(str, [_SYSTEM_SOCKET, *_rootless_places()]))


@contextmanager
def finding_docker(where: str | None, without: str | None = _WITHOUT) -> Iterator[None]:
    """While a client is made: where no engine answers, that is a ConfigurationError, which names the way without one."""
    try:
        import docker
    except ImportError as exc:
        raise MissingExtraError("testing", needed_for="a container target") from exc
    try:
        _try_socket(docker_environment().get("DOCKER_HOST", f"unix://{_SYSTEM_SOCKET}"))
        yield
    except (docker.errors.DockerException, OSError) as exc:
        raise ConfigurationError(
            "this needs Docker or Podman, and no engine answers",
            where=where,
            seen=re.sub(r"//[^/@]*@", "//", f"{_tried()}: {_words_of(exc)}"),
            next_step="; ".join(filter(None, [_way_to_engine(exc), without])),
        ) from exc


def _way_to_engine(exc: BaseException) -> str:
    if isinstance(exc, PermissionError):
        return "get the right to use its socket (a member of the group docker has it), or start a rootless engine"
    if "paramiko" in str(exc):
        return "an engine over ssh:// needs one more package: pip install paramiko"
    given = os.environ.get("DOCKER_HOST", "")
    if given and "://" not in given:
        return f"DOCKER_HOST needs a scheme: {'unix' if given.startswith('/') else 'tcp'}://{given}"
    return "start one, or set DOCKER_HOST to its address"


def _try_socket(address: str) -> None:
    """Raise OSError where nobody listens on the socket: docker's own client would never close the one it tried."""
    scheme, _, path = address.partition("://")
    if "unix" in scheme and hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as tried:
            tried.settimeout(10)
            tried.connect(path)


def connect_docker(where: str | None = None, without: str | None = _WITHOUT) -> DockerClient:
    """A client of the engine. Raises ConfigurationError where none answers; it names the way without one."""
    environment = docker_environment()
    from testcontainers.core.docker_client import DockerClient

    with finding_docker(where, without):
        return DockerClient(environment=environment)


@contextmanager
def docker_errors(where: str) -> Iterator[None]:
    """Turn the engine's errors into ours."""
    import docker
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as exc:
        raise _refusal(exc, where) from exc
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,  # the answer to a download ends without the client's own words
    ) as exc:
        raise TryAgainError(
            "the container engine went away",
            where=where,
            seen=_words_of(exc),
            next_step="check the engine, then try again; datakit targets clean removes what was left",
        ) from exc


def _refusal(exc: Any, where: str) -> DatakitError:
    words = _words_of(exc)
    if "port is already allocated" in words or "address already in use" in words:
        return ConfigurationError(
            "the port of a container target is taken",
            where=where,
            seen=words,
            next_step=f"free it, name another one with port=, or leave port out for a free one; {_WITHOUT}",
        )
    if "no space left on device" in words:
        return DeploymentError(
            "the disk of the container engine is full",
            where=where,
            seen=words,
            next_step="free space there: docker system df says what takes it",
        )
    if exc.status_code == 404 or "marked for removal" in words:
        return TryAgainError(
            "the container of a target is gone", where=where, seen=words, next_step="try again"
        )
    return ConfigurationError(
        "the container engine refused a call",
        where=where,
        seen=words,
        next_step=f"correct what it names: image, environment or start_options; {_WITHOUT}",
    )


def pull_if_absent(client: DockerClient, image: str, where: str) -> None:
    """Download an image that is not here. Raises ConfigurationError where that fails."""
    import docker

    try:
        client.client.images.get(image)
        return
    except docker.errors.ImageNotFound:
        pass
    try:
        name, tag = docker.utils.parse_repository_tag(image)
        client.client.images.pull(name, tag=tag or "latest")
    except docker.errors.APIError as exc:
        raise ConfigurationError(
            "an image is not present and cannot be downloaded",
            where=where,
            seen=f"{image}: {_words_of(exc)}",
            next_step=f"docker pull {image} where a registry is reachable, or name another one with image=;"
            f" {_WITHOUT}",
        ) from exc


def reachable_host(client: DockerClient) -> str | None:
    """Where published ports are reached; None where only the container, once it runs, can tell.

    Raises ConfigurationError where a variable names a host that is not known.
    """
    for variable in ("TC_HOST", "TESTCONTAINERS_HOST_OVERRIDE"):
        if override := os.environ.get(variable):
            _refuse_unknown_host(variable, override)
            return override
    from testcontainers.core.config import ConnectionMode

    by_socket = client.client.api.base_url == "http+docker://localhost"
    if by_socket and client.client.info().get("Name") == socket.gethostname():
        # Engine and process share a machine, which may be a container itself: its gateway leads elsewhere.
        return "127.0.0.1"
    host = client.host()
    return host if client.get_connection_mode() is ConnectionMode.docker_host else None


def _refuse_unknown_host(variable: str, host: str) -> None:
    try:
        socket.getaddrinfo(host, None)
    except OSError as exc:
        raise ConfigurationError(
            "nobody knows the host where containers are to be reached",
            where=variable,
            seen=f"{host}: {_words_of(exc)}",
            next_step=f"correct {variable}, or unset it",
        ) from exc


def is_loopback(host: str | None) -> bool:
    """Whether only this machine reaches the address."""
    return host in _LOOPBACK


def _words_of(exc: BaseException) -> str:
    """The engine's own sentence; the client puts the whole request around it."""
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    words = " ".join(str(getattr(exc, "explanation", None) or exc).split())
    inner = re.search(r"(?:FileNotFoundError|ConnectionRefusedError|PermissionError)\([^)]*\)", words)
    return (inner[0] if inner else words)[:400]
