"""The types of targets that the framework brings: how each is connected to, and which URLs name it.

What a type does stands in its engine's file. This table is what must be known before an engine is loaded; a test
compares it with the engines that are installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from sqlmodel_framework.config.containers import CONTAINER_FIELDS

__all__ = [
    "STARTED",
    "TARGET_TYPES",
    "TargetType",
    "known_types",
    "known_url_names",
    "one_of",
    "type_of_url",
    "unused_fields",
]


@dataclass(frozen=True)
class TargetType:
    """`methods` are the connection methods, `url_names` the names of databases in SQLAlchemy URLs."""

    methods: tuple[str, ...]
    url_names: tuple[str, ...]


TARGET_TYPES = {
    "sqlite": TargetType(("memory", "file"), ("sqlite",)),
    "postgres": TargetType(
        ("tcp", "password", "socket", "embedded", "container", "private"), ("postgresql", "postgres")
    ),
    "mysql": TargetType(("tcp", "password", "socket", "container", "private"), ("mysql", "mariadb")),
}

STARTED = ("embedded", "container", "private")
"""Connection methods by which the framework starts the server itself."""

_PLACE = ("host", "user", "password", "socket")
_UNUSED: dict[str, tuple[str, ...]] = {
    "memory": ("database", "port", *_PLACE, *CONTAINER_FIELDS),
    "file": ("port", *_PLACE, *CONTAINER_FIELDS),
    "private": ("port", *_PLACE, *CONTAINER_FIELDS),
    "container": _PLACE,
}


def unused_fields(method: str) -> tuple[str, ...]:
    """Fields that mean nothing to a connection method."""
    return _UNUSED.get(method, CONTAINER_FIELDS)


def known_types() -> list[str]:
    """Our types, and those of engines that other packages bring, sorted."""
    return sorted({*TARGET_TYPES, *_installed()})


def type_of_url(url_name: str) -> str | None:
    """The type that a URL names, such as `postgres` for `postgresql`; an engine of another package by its type; None: unknown."""
    for kind, target_type in TARGET_TYPES.items():
        if url_name in target_type.url_names:
            return kind
    return url_name if url_name in _installed() else None


def known_url_names() -> list[str]:
    """The names that `type_of_url` knows."""
    ours = [name for target_type in TARGET_TYPES.values() for name in target_type.url_names]
    return [*ours, *sorted(_installed() - TARGET_TYPES.keys())]


def one_of(names: Iterable[str]) -> str:
    """How messages list what is known."""
    return "one of " + ", ".join(names)


@cache
def _installed() -> frozenset[str]:
    return frozenset(entry_points(group="sqlmodel_framework.engines").names)
