"""Containers that the workers of one run share: made by the first, removed when the run's main process has ended."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from sqlmodel_framework.engines.container_labels import RUN, checkout, labels_of
from sqlmodel_framework.engines.containers import (
    Box,
    ContainerServer,
    point_at,
    take_over_or_make,
    wait_until_ready,
)
from sqlmodel_framework.engines.docker_engine import docker_errors

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig

__all__ = ["share_container"]


def share_container(target: TargetConfig, server: ContainerServer) -> None:
    """Point the target at the run's container, which is made where there is none; raises what `start_container` does.

    The container stays when the target ends: other workers use it.
    """
    run = target.container.shared_by
    assert run is not None
    settings = target.container
    parts = [
        checkout(),
        run.name,
        settings.image or server.image,
        sorted(settings.environment.items()),
        list(settings.start_options),
        target.database,
        target.port,
    ]
    box = Box(
        server,
        target,
        f"datakit-{server.kind}-run-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}",
    )
    target.on_close(box.close)
    box.remove_after(run.owner)
    with docker_errors(target.label):
        take_over_or_make(box, lambda: _find(box), lambda: _create(box, run.owner))
        box.container.begin()
        place = wait_until_ready(box)
    point_at(target, place)
    target.point_at(server_ended=box.end)


def _find(box: Box) -> bool:
    """Take over the container if it is there; one that a test has ended is removed."""
    import docker

    try:
        box.container.find(box.name)
        wrapped = box.container.get_wrapped_container()
        # One that was only just made does not run yet: another worker starts it.
        if wrapped.status in ("exited", "dead"):
            wrapped.remove(force=True, v=True)
            return False
    except docker.errors.NotFound:
        return False
    box.password = box.server.login(wrapped.attrs["Config"]["Env"])
    return True


def _create(box: Box, owner: str) -> bool:
    """Make the container; False where another worker was faster."""
    import docker

    try:
        box.create({**labels_of(box.server.kind), RUN: owner}, owned=False)
    except docker.errors.APIError as exc:
        # Podman has no code of its own for a name that is taken.
        if exc.status_code == 409 or "name is already in use" in str(exc.explanation):
            return False
        raise
    return True
