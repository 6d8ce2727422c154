"""Databases that a server needs for itself: no target is put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel_framework.base.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig

__all__ = ["OF_MYSQL", "OF_POSTGRES", "refuse_system_database"]

OF_POSTGRES = frozenset({"template0", "template1"})
OF_MYSQL = frozenset({"information_schema", "mysql", "performance_schema", "sys"})


def refuse_system_database(target: TargetConfig, names: frozenset[str]) -> None:
    """Raise ConfigurationError where the target's database has one of these names, which do not depend on case."""
    if (target.database or "").lower() in names:
        raise ConfigurationError(
            "a database of the server's own cannot be a target's",
            where=target.label,
            seen=target.database,
            next_step="name another one with database=, or leave database out",
        )
