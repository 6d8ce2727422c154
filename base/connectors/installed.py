"""Connectors by name, from the entry points `sqlmodel_framework.connectors` of all installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["connector_class", "installed_connectors"]

_GROUP = "sqlmodel_framework.connectors"


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=_GROUP):
        if point.name in found and point.value != found[point.name].value:
            raise ConfigurationError(
                "two installed packages define a connector of the same name",
                seen=point.name,
                next_step="uninstall one of them",
            )
        found[point.name] = point
    return found


def installed_connectors() -> list[str]:
    """The names of all connectors, sorted; none is imported. Raises ConfigurationError for a name that is there twice."""
    return sorted(_entry_points())


def connector_class(name: str) -> type[Any]:
    """The class of a connector; only this one is imported. Raises ConfigurationError for a name that is not installed."""
    if name not in _entry_points():
        raise ConfigurationError(
            "no connector of this name is installed",
            seen=name,
            expected="one of " + ", ".join(installed_connectors()),
            next_step="install the package that has it, or this one again, so that its entry points are registered",
        )
    loaded: type[Any] = _entry_points()[name].load()
    return loaded
