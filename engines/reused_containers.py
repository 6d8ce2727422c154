"""Containers that are kept between runs: one for each image and settings of a checkout, a database in it for each target."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.errors import ConfigurationError, DeploymentError, TryAgainError
from sqlmodel_framework.engines.container_labels import CHECKOUT, EXPIRES, REUSED, checkout, labels_of
from sqlmodel_framework.engines.containers import (
    Box,
    ContainerServer,
    Place,
    point_at,
    take_over_or_make,
    wait_until_ready,
)
from sqlmodel_framework.engines.docker_engine import docker_errors

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig

__all__ = ["LIFETIME", "join_container", "name_of"]

LIFETIME = 24 * 3600
"""Seconds after which a container is replaced, as soon as nobody is connected to it."""
_PATIENCE = 30


def join_container(target: TargetConfig, server: ContainerServer) -> None:
    """Point the target at a database of its own in the kept container, which is made where there is none.

    The database is dropped when the target ends. Raises ConfigurationError, DeploymentError or TryAgainError.
    """
    box = Box(server, target, name_of(target, server))
    target.on_close(box.close)
    with docker_errors(target.label):
        take_over_or_make(box, lambda: _find(box), lambda: _create(box))
        box.container.begin()
        place = _ready(box)
    _take_database(box, place)


def name_of(target: TargetConfig, server: ContainerServer) -> str:
    """The name of the container for these settings; two checkouts have two."""
    settings = target.container
    parts = [
        checkout(),
        settings.image or server.image,
        sorted(settings.environment.items()),
        list(server.options),
        list(settings.start_options),
        target.port,
    ]
    return f"datakit-{server.kind}-kept-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"


def _find(box: Box) -> bool:
    """Take over the container if it is there and has not expired. Raises ConfigurationError for one of somebody else."""
    import docker

    try:
        box.container.find(box.name)
    except docker.errors.NotFound:
        return False
    wrapped = box.container.get_wrapped_container()
    if wrapped.labels.get(CHECKOUT) != checkout() or REUSED not in wrapped.labels:
        raise ConfigurationError(
            "a container has the name of a kept one and is not ours",
            where=box.target.label,
            seen=box.name,
            next_step=f"docker rm {box.name}, if nobody needs it",
        )
    fresh = box.password
    box.password = box.server.login(wrapped.attrs["Config"]["Env"])
    if _is_stale(box) and (not box.state()["Running"] or box.server.is_idle(box.place())):
        with suppress(
            docker.errors.APIError
        ):  # another run may be removing it; by its id, not what has its name now
            wrapped.remove(force=True, v=True)
        box.password = fresh
        return False
    return True


def _is_stale(box: Box) -> bool:
    """Whether the container has expired, or the name of its image is another image's by now."""
    import docker

    wrapped = box.container.get_wrapped_container()
    if int(wrapped.labels.get(EXPIRES, "0")) < time.time():
        return True
    try:
        image = box.container.get_docker_client().client.images.get(box.container.image)
    except docker.errors.ImageNotFound:
        return False
    return bool(image.id != wrapped.attrs["Image"])


def _create(box: Box) -> bool:
    """Make the container; False where another run was faster."""
    import docker

    labels = {
        **labels_of(box.server.kind),
        REUSED: box.name,
        EXPIRES: str(int(time.time()) + LIFETIME),
    }
    try:
        box.create(labels, owned=False)
    except docker.errors.APIError as exc:
        # Podman has no code of its own for a name that is taken.
        if exc.status_code == 409 or "name is already in use" in str(exc.explanation):
            return False
        raise
    return True


def _ready(box: Box) -> Place:
    try:
        return wait_until_ready(box)
    except DeploymentError:
        # One that ends by itself is of no use to anybody; the next run makes a new one.
        with suppress(Exception):
            box.container.get_wrapped_container().remove(force=True, v=True)
        raise


def _take_database(box: Box, place: Place) -> None:
    """Create a database and hold it by a connection of its own, so that other runs can tell it from one that was left."""
    server, target = box.server, box.target
    try:
        holder = server.connect(place, patience=_PATIENCE)
    except server.driver_error as exc:
        raise _went_away(box, exc) from None
    target.on_close(_in_this_process(holder.close))
    try:
        database = server.create_database(holder)
    except server.driver_error as exc:
        raise _went_away(box, exc) from None
    target.on_close(_in_this_process(lambda: _drop(box, holder, database)))
    point_at(target, replace(place, database=database))
    target.point_at(server_ended=box.end)


def _drop(box: Box, holder: Any, database: str) -> None:
    # A container that was stopped, or a connection that broke, has taken the database along or leaves it to the next run.
    with suppress(box.server.driver_error):
        box.server.drop_database(holder, database)


def _in_this_process(action: Callable[[], object]) -> Callable[[], None]:
    """A forked child has no say in what its parent holds."""
    pid = os.getpid()

    def act() -> None:
        if os.getpid() == pid:
            action()

    return act


def _went_away(box: Box, exc: Exception) -> TryAgainError:
    return TryAgainError(
        "a kept container refused a database",
        where=box.target.label,
        seen=f"{box.name}: {' '.join(str(exc).split())[:300]}",
        next_step=f"try again, or end it with: datakit targets stop {box.name}",
    )
