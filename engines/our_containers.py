"""The containers of this checkout: list them, stop kept ones, remove what crashed runs left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.engines.container_labels import (
    CHECKOUT,
    CREATED,
    EXPIRES,
    KIND,
    REUSED,
    RUN,
    checkout,
    owner_of,
)
from sqlmodel_framework.engines.containers import DATABASE, ContainerServer, Place
from sqlmodel_framework.engines.docker_engine import connect_docker, docker_errors, reachable_host

__all__ = [
    "OurContainer",
    "clean_containers",
    "list_containers",
    "stop_containers",
    "stop_unused_containers",
]

_WHERE = "containers of this checkout"


@dataclass(frozen=True)
class OurContainer:
    """One container of this checkout.

    `state` is the engine's word, such as running. `owner` is alive, dead or unknown (another machine, or before a
    restart); None for a kept container, which has none. `created` and `expires` are seconds since 1970; None: never.
    `identifier` is the engine's: another container may get the same name.
    """

    identifier: str
    name: str
    type: str
    image: str
    state: str
    port: int | None
    owner: str | None
    created: int
    expires: int | None


def list_containers() -> list[OurContainer]:
    """The containers of this checkout, oldest first. Raises ConfigurationError where no engine answers."""
    with _client() as api:
        found = api.containers(all=True, filters={"label": f"{CHECKOUT}={checkout()}"})
    return sorted(map(_read, found), key=lambda one: (one.created, one.name))


def stop_containers(names: Sequence[str]) -> list[OurContainer]:
    """Remove kept containers by name, also used ones; gives those removed. Raises ConfigurationError for another name."""
    ours = list_containers()
    kept = [one for one in ours if one.owner is None]
    for one in ours:
        if one.name in names and one.owner is not None:
            raise ConfigurationError(
                "a container belongs to a run, and is not kept",
                where=one.name,
                seen=f"its run is {one.owner}",
                next_step="end the run: the container goes with it"
                if one.owner == "alive"
                else "see datakit targets clean --help",
            )
    unknown = sorted({*names} - {one.name for one in kept})
    if unknown:
        raise ConfigurationError(
            "no kept container of this checkout has this name",
            seen=", ".join(unknown),
            expected=("one of " + ", ".join(one.name for one in kept)) if kept else "there is none",
            next_step="see datakit targets list",
        )
    return _remove(kept, lambda one: one.name in names)


def stop_unused_containers() -> tuple[list[OurContainer], list[OurContainer]]:
    """Remove all kept containers that nobody uses; gives those removed, and those that stay as somebody is, or may be, connected."""
    kept = [one for one in list_containers() if one.owner is None]
    used = [one for one in kept if _is_used(one)]
    return _remove(kept, lambda one: one not in used), used


def clean_containers(older_than: float | None = None) -> list[OurContainer]:
    """Remove what runs left that are dead, and kept containers past their time that nobody uses; gives those removed.

    A container whose owner cannot be known is removed only if it is older than `older_than` seconds. One whose owner
    lives stays.
    """
    now = time.time()

    def left(one: OurContainer) -> bool:
        if one.expires is not None:
            return one.expires < now and not _is_used(one)
        old = older_than is not None and now - one.created > older_than
        return one.owner == "dead" or (one.owner == "unknown" and old)

    return _remove(list_containers(), left)


def _is_used(one: OurContainer) -> bool:
    """Whether somebody is connected to a kept container, or may be: its server does not answer."""
    from sqlmodel_framework.engines.mysql_container import MySQLServer
    from sqlmodel_framework.engines.postgres_container import PostgresServer

    servers: dict[str, ContainerServer] = {
        server.kind: server for server in (PostgresServer(), MySQLServer())
    }
    if one.state != "running" or one.port is None or one.type not in servers:
        return False
    server = servers[one.type]
    client = connect_docker(_WHERE, without=None)
    try:
        with docker_errors(_WHERE):
            password = server.login(client.client.api.inspect_container(one.identifier)["Config"]["Env"])
            host = reachable_host(client) or client.host()
    finally:
        client.client.close()
    return not server.is_idle(Place(host, one.port, server.user, password, DATABASE))


def _remove(containers: Sequence[OurContainer], wanted: Callable[[OurContainer], bool]) -> list[OurContainer]:
    import docker

    chosen = [one for one in containers if wanted(one)]
    with _client() as api:
        for one in chosen:
            try:
                api.remove_container(one.identifier, force=True, v=True)
            except docker.errors.APIError as exc:
                if exc.status_code not in (404, 409):  # somebody else has removed it, or is at it
                    raise
    return chosen


@contextmanager
def _client() -> Iterator[Any]:
    client = connect_docker(_WHERE, without=None).client
    try:
        with docker_errors(_WHERE):
            yield client.api
    finally:
        client.close()


def _read(entry: dict[str, Any]) -> OurContainer:
    labels = entry["Labels"]
    kept = REUSED in labels
    return OurContainer(
        identifier=entry["Id"],
        name=entry["Names"][0].lstrip("/"),
        type=labels.get(KIND, ""),
        image=entry["Image"],
        state=entry["State"],
        port=next((port["PublicPort"] for port in entry["Ports"] or () if "PublicPort" in port), None),
        owner=None if kept else owner_of(labels.get(RUN, "")),
        created=int(labels.get(CREATED, "0")),
        expires=int(labels[EXPIRES]) if EXPIRES in labels else None,
    )
