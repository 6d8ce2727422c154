"""Targets that tests share: each is started once, and again where a test has ended its server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.config.containers import Run
from sqlmodel_framework.config.targets import TargetConfig, get_target_config
from sqlmodel_framework.engines.live import LiveTarget, open_target

__all__ = ["Servers"]


class Servers:
    """Open targets by name. With `reused`, containers stay for later runs; the processes of a run share them."""

    def __init__(self, *, reused: bool = False, shared_by: Run | None = None) -> None:
        self._reused, self._shared_by = reused, shared_by
        self._open: dict[str, TargetConfig] = {}
        self._failures: dict[str, DatakitError] = {}

    def open(self, target: str | TargetConfig) -> LiveTarget:
        """The living form of a target by its name, or of one that is the caller's own.

        One that cannot be started is not tried again. Raises ConfigurationError, DeploymentError or TryAgainError.
        """
        if isinstance(target, TargetConfig):
            return open_target(target)
        if target in self._failures:
            raise self._failures[target]
        try:
            if target not in self._open:
                self._open[target] = self._new(target)
            return _answering(self._open[target])
        except DatakitError as exc:
            self._failures[target] = exc
            raise

    def _new(self, name: str) -> TargetConfig:
        found = get_target_config(name)
        if found.conn_method != "container":
            return found
        if self._reused:
            return get_target_config(name, {"reuse": True})
        found.container = replace(found.container, shared_by=self._shared_by)
        return found

    def renew(self, target: str | TargetConfig, broken: LiveTarget) -> None:
        """Have a target opened by name started again where this is it and its server does not answer.

        One that was handed in stays as it is: what was made through it is the caller's.
        """
        config = self._open.get(target) if isinstance(target, str) else None
        if config is not None and config.live is broken and not _answers(broken):
            with suppress(DatakitError):
                config.close()

    def close(self) -> None:
        """End all that were opened by name. Raises what the first of them raised, after the others have ended."""
        failures: list[DatakitError] = []
        for config in self._open.values():
            try:
                config.close()
            except DatakitError as exc:
                failures.append(exc)
        self._open.clear()
        if failures:
            raise failures[0]


def _answers(live: LiveTarget) -> bool:
    # The first connection may be one that the pool has kept from before; with its end the pool lets go of the others.
    for _ in range(2):
        with suppress(DBAPIError), live.sql.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            return True
    return False


def _answering(config: TargetConfig) -> LiveTarget:
    was_open = config.live is not None
    live = open_target(config)
    if not was_open:
        with live.engine.errors(config, "start"):
            live.sql.connect().close()
    return live
