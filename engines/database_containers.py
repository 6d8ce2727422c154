"""The container classes of testcontainers, made and started step by step: no Ryuk, and the waiting is ours.

Imported only when a container is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testcontainers.community.mysql import MySqlContainer
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.generic import DbContainer

__all__ = ["DatabaseContainer", "MySQLContainer", "PostgreSQLContainer"]


class DatabaseContainer(DbContainer):
    """A container of a database. `create`, `begin` and `DockerClient.client` take the place of `start`."""

    def create(
        self,
        name: str,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        address: str | None,
        host_port: int | None,
        labels: Mapping[str, str],
    ) -> None:
        """Make the container and do not start it yet. `address` None publishes the port on all addresses of the host."""
        self._configure()
        (port,) = self.ports
        published: Any = host_port if address is None else (address, host_port)
        self._container = self.get_docker_client().client.containers.create(
            self.image,
            name=name,
            command=list(command),
            environment={**self.env, **environment},
            ports={f"{port}/tcp": published},
            labels=dict(labels),
        )

    def begin(self) -> None:
        """Start what was created, or let go on what somebody has paused."""
        wrapped = self.get_wrapped_container()
        wrapped.reload()
        if wrapped.status == "paused":
            wrapped.unpause()
        else:
            wrapped.start()

    def find(self, name: str) -> None:
        """Take over a container that is there. Raises docker.errors.NotFound."""
        self._container = self.get_docker_client().client.containers.get(name)

    def _connect(self) -> None:
        """Wait for nothing."""


class PostgreSQLContainer(DatabaseContainer, PostgresContainer):
    """The official image of PostgreSQL, or one that takes the same variables."""


class MySQLContainer(DatabaseContainer, MySqlContainer):
    """The official image of MySQL or MariaDB, or one that takes the same variables."""
