"""A target's server in a container of its own: made, waited for, removed."""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from pydantic import SecretStr

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, DeploymentError, TryAgainError
from sqlmodel_framework.engines.container_labels import labels_of
from sqlmodel_framework.engines.container_refusals import refuse_what_is_ours
from sqlmodel_framework.engines.docker_engine import (
    docker_environment,
    docker_errors,
    finding_docker,
    is_loopback,
    pull_if_absent,
    reachable_host,
)
from sqlmodel_framework.engines.owned import disown, own

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.engines.database_containers import DatabaseContainer

__all__ = [
    "DATABASE",
    "Box",
    "ContainerServer",
    "Place",
    "point_at",
    "start_container",
    "take_over_or_make",
    "wait_until_ready",
]

DATABASE = "datakit"
_LINES_OF_LOG = 8
_NAMING = 30
_KILLED = 137


@dataclass(frozen=True)
class Place:
    """Where a server answers, and for whom."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str


class ContainerServer(ABC):
    """One kind of database in a container; the engines' files say which."""

    kind: ClassVar[str]
    name: ClassVar[str]
    image: ClassVar[str]
    port: ClassVar[int]
    user: ClassVar[str]
    login_variable: ClassVar[str]
    """The variable that holds the password of `user`."""
    own_variables: ClassVar[frozenset[str]]
    """Variables that say who may connect, and where: they are the target's own."""
    own_settings: ClassVar[frozenset[str]]
    """Settings of the server, with underscores, that are the target's own too."""
    short_settings: ClassVar[Mapping[str, str]]
    """Arguments of one letter for such settings."""
    system_databases: ClassVar[frozenset[str]]
    others_ask_for: ClassVar[Mapping[str, str]]
    """Variables that images of other databases ask for in their log, with what these are."""
    options: ClassVar[tuple[str, ...]]
    """The server is thrown away: it need not survive a crash."""
    driver_error: ClassVar[type[Exception]]

    @abstractmethod
    def container(self, image: str, password: str, database: str, **arguments: Any) -> DatabaseContainer:
        """An object of testcontainers, which is imported at this call. It asks the engine for its version."""

    @abstractmethod
    def connect(self, place: Place, *, patience: int = 2) -> Any:
        """A connection of the driver, in autocommit.

        Raises the driver's errors, after `patience` in seconds if the server is silent.
        """

    @abstractmethod
    def is_it(self, version: str) -> bool:
        """Whether a version is one of this kind of database."""

    def is_in_vain(self, exc: Exception) -> str | None:
        """What to do where no later attempt to connect can succeed; None: one may."""
        return None

    @abstractmethod
    def create_database(self, connection: Any) -> str:
        """Create a database that is held until the connection ends; drop those that nobody holds. Gives its name."""

    @abstractmethod
    def drop_database(self, connection: Any, database: str) -> None:
        """Drop a database, whoever is connected to it."""

    @abstractmethod
    def others(self, connection: Any) -> int:
        """How many other clients are connected to the server."""

    def login(self, variables: Iterable[str]) -> SecretStr:
        """The password of `user` among the variables of a container, each as `NAME=value`."""
        return SecretStr(dict(one.partition("=")[::2] for one in variables)[self.login_variable])

    def is_idle(self, place: Place) -> bool:
        """Whether nobody is connected; not idle is one that does not answer. A target in use has one connection at least."""
        try:
            with closing(self.connect(place)) as connection:
                return self.others(connection) == 0
        except (ConnectionError, self.driver_error):
            return False

    def version(self, place: Place) -> str:
        """Connect and ask. Raises the driver's errors."""
        with closing(self.connect(place)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT version()")
            return str(cursor.fetchone()[0])


class Box:
    """One container, known by the name that it has before it is made."""

    def __init__(self, server: ContainerServer, target: TargetConfig, name: str) -> None:
        self.server, self.target, self.name = server, target, name
        self.image = target.container.image or server.image
        self.database = target.database or DATABASE
        self.password = SecretStr(token_urlsafe(24))
        refuse_what_is_ours(server, target)
        environment = docker_environment()
        with finding_docker(target.label):
            self.container = server.container(
                self.image,
                self.password.get_secret_value(),
                self.database,
                docker_client_kw={"environment": environment},
            )
        self._order = {
            "do": "remove container",
            "name": name,
            "environment": environment,
            "path": [folder for folder in sys.path if folder],
        }
        self._creating = False
        self._pid = os.getpid()

    def create(self, labels: Mapping[str, str], *, owned: bool = True) -> None:
        """Make the container. It is removed when this process ends, in whatever way, if it is `owned`."""
        settings = self.target.container
        client = self.container.get_docker_client()
        pull_if_absent(client, self.container.image, self.target.label)
        host = reachable_host(client)
        if owned:
            own(self.name, {**self._order, "creating": True}, self.remove)
        with self._being_created():
            self.container.create(
                self.name,
                command=[*self.server.options, *settings.start_options],
                environment=settings.environment,
                address="127.0.0.1" if is_loopback(host) else None,
                host_port=self.target.port,
                labels=labels,
            )
        if owned:
            own(self.name, {**self._order, "creating": False}, self.remove)

    @contextmanager
    def _being_created(self) -> Iterator[None]:
        """After an interrupt nobody knows whether the engine has made the container; after its answer one does."""
        import docker

        self._creating = True
        try:
            yield
        except docker.errors.APIError:
            self._creating = False
            raise
        self._creating = False

    def remove_after(self, owner: str) -> None:
        """Have the container removed when another process has ended: its label says which."""
        own(self.name, {**self._order, "creating": False, "after": owner}, _leave_to_the_program)

    def remove(self) -> None:
        """Remove the container if it is there. A forked child has no say in it."""
        if os.getpid() != self._pid:
            return
        with docker_errors(self.target.label):
            gone = self._remove_if_there() or not self._creating
            for _ in range(20):
                # The engine may still be at the call that was interrupted.
                if gone:
                    break
                time.sleep(0.1)
                gone = self._remove_if_there()
        if gone:
            disown(self.name)

    def _remove_if_there(self) -> bool:
        import docker

        try:
            self.container.get_docker_client().client.api.remove_container(self.name, force=True, v=True)
        except docker.errors.NotFound:
            return False
        except docker.errors.APIError as exc:
            if exc.status_code != 409:  # somebody else is removing it
                raise
        return True

    def place(self) -> Place:
        """Where the server answers, as soon as the container runs."""
        host = reachable_host(self.container.get_docker_client()) or self.container.get_container_host_ip()
        port = self.container._get_exposed_port(self.server.port)  # noqa: SLF001 - its neighbour waits
        return Place(host, port, self.server.user, self.password, self.database)

    def state(self) -> dict[str, Any]:
        """The engine's word on the container: Running, ExitCode and others."""
        wrapped = self.container.get_wrapped_container()
        wrapped.reload()
        state: dict[str, Any] = wrapped.attrs["State"]
        return state

    def end(self) -> str | None:
        """What became of the container; None while it runs, and where the engine does not tell."""
        import docker
        import requests

        try:
            for _ in range(5):
                # A connection may break a moment before the engine has seen the end.
                state = self.state()
                if not state["Running"]:
                    return f"the container {self.name} ended with {state['ExitCode']}{_out_of_memory(state)}"
                time.sleep(0.1)
        except docker.errors.NotFound:
            return f"the container {self.name} was removed"
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return None
        return None

    def log(self) -> str:
        """The last lines of the container's log, without the password and what the environment was set to."""
        text = self.container.get_wrapped_container().logs(tail=_LINES_OF_LOG).decode(errors="replace")
        for value in (self.password.get_secret_value(), *self.target.container.environment.values()):
            text = text.replace(value, "***") if len(value) > 5 else text
        lines = [" ".join(line.split())[:200] for line in text.splitlines()]
        return " | ".join(line for line in lines if line) or "empty"

    def close(self) -> None:
        """Let go of the connections to the engine."""
        self.container.get_docker_client().client.close()


def start_container(target: TargetConfig, server: ContainerServer) -> None:
    """Start a container for the target, wait until its server answers, and point the target at it.

    The container ends with the target, at the latest with the process, however that ends. Raises ConfigurationError,
    DeploymentError or TryAgainError.
    """
    if target.container.reuse:
        from sqlmodel_framework.engines.reused_containers import join_container

        join_container(target, server)
        return
    if target.container.shared_by is not None:
        from sqlmodel_framework.engines.shared_containers import share_container

        share_container(target, server)
        return
    box = Box(server, target, f"datakit-{server.kind}-{uuid4().hex[:12]}")
    target.on_close(box.close)
    target.on_close(box.remove)
    with docker_errors(target.label):
        box.create(labels_of(server.kind))
        box.container.begin()
        place = wait_until_ready(box)
    point_at(target, place)
    target.point_at(server_ended=box.end)


def _leave_to_the_program() -> None:
    """The program beside this process waits; what raises here is not taken from it."""
    raise TryAgainError("a container is removed when the whole run has ended")


def point_at(target: TargetConfig, place: Place) -> None:
    """Let the target's fields say where its server is, until the target ends."""
    target.point_at(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
    )


def take_over_or_make(box: Box, find: Callable[[], bool], create: Callable[[], bool]) -> None:
    """Find the container of this name, or create it; `create` is False where the name is taken.

    The engine takes a name some time before the container that another process is making can be found by it. Raises
    TryAgainError.
    """
    end = time.monotonic() + _NAMING
    while not (find() or create()):
        if time.monotonic() > end:
            raise TryAgainError(
                "a container was removed as often as it was made",
                where=box.target.label,
                seen=box.name,
                next_step="try again",
            )
        time.sleep(0.05)


def wait_until_ready(box: Box) -> Place:
    """Wait until a query of the target's user succeeds twice in a row. Raises DeploymentError, or TryAgainError at the deadline."""
    end = time.monotonic() + box.target.container.deadline
    place, answers, seen = None, 0, "it did not get a port"
    while answers < 2:
        state = box.state()
        if not state["Running"]:
            raise _exited(box, state)
        if time.monotonic() > end:
            raise _too_late(box, seen)
        try:
            place = place or box.place()
            version = box.server.version(place)
            answers += 1
        except (ConnectionError, box.server.driver_error) as exc:
            answers, seen = 0, " ".join(str(exc).split())[:300]
            if step := box.server.is_in_vain(exc):
                raise ConfigurationError(
                    "a container cannot be connected to", where=box.target.label, seen=seen, next_step=step
                ) from exc
            time.sleep(0.1)
            continue
        if not box.server.is_it(version):
            raise _another_database(box, version)
    assert place is not None
    return place


def _exited(box: Box, state: Mapping[str, Any]) -> DatakitError:
    code, log = state["ExitCode"], box.log()
    killed = code == _KILLED
    other = next((name for variable, name in box.server.others_ask_for.items() if variable in log), None)
    # By itself it would end in the same way again; killed from outside, or for want of memory, it need not.
    return (TryAgainError if killed else DeploymentError)(
        f"the container of {box.server.name} {'was killed' if killed else 'ended'} before it was ready",
        where=box.target.label,
        seen=f"image {box.image}, exit code {code}{_out_of_memory(state)}; its log ends with: {log}",
        expected=f"a server of {box.server.name}",
        next_step=_after_exit(box, killed, other),
    )


def _after_exit(box: Box, killed: bool, other: str | None) -> str:
    if killed:
        return "try again"
    if other:
        return f"{box.image} is an image of {other}: name one of {box.server.name} with image="
    return "correct image, environment or start_options, or free disk space"


def _out_of_memory(state: Mapping[str, Any]) -> str:
    return ", out of memory" if state.get("OOMKilled") else ""


def _too_late(box: Box, seen: str) -> TryAgainError:
    return TryAgainError(
        f"the container of {box.server.name} did not get ready in time",
        where=box.target.label,
        seen=f"image {box.image}, {seen}; its log ends with: {box.log()}",
        expected=f"an answer of {box.server.name} within {box.target.container.deadline:g} s",
        next_step=f"try again with a longer deadline=, or check that the image is one of {box.server.name}",
    )


def _another_database(box: Box, version: str) -> DeploymentError:
    return DeploymentError(
        "a container holds another database",
        where=box.target.label,
        seen=f"image {box.image}, {version[:100]}; its log ends with: {box.log()}",
        expected=box.server.name,
        next_step=f"name an image of {box.server.name} with image=",
    )
