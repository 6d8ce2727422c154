"""Settings of a container that a target makes itself, and that nobody else may: who may connect, and where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.engines.system_databases import refuse_system_database

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.engines.containers import ContainerServer

__all__ = ["refuse_what_is_ours"]


def refuse_what_is_ours(server: ContainerServer, target: TargetConfig) -> None:
    """Raise ConfigurationError for a database, variables and arguments that are the server's or the target's own."""
    refuse_system_database(target, server.system_databases)
    settings = target.container
    for what, taken, place in (
        ("variables", server.own_variables & settings.environment.keys(), "environment"),
        ("settings", server.own_settings & _settings_of(server, settings.start_options), "start_options"),
    ):
        if taken:
            raise ConfigurationError(
                f"a container target sets these {what} itself",
                where=target.label,
                seen=", ".join(sorted(taken)),
                next_step=f"leave them out of {place}; database= names the database, port= the port on the host",
            )


def _settings_of(server: ContainerServer, words: Sequence[str]) -> set[str]:
    """Names of the settings that arguments of a server give, as `--name=value`, `-c name=value` or by one letter."""
    names = set()
    for word, following in pairwise((*words, "")):
        short = server.short_settings.get(word[:2])
        if short is not None:
            names.add(short)
        elif word.startswith("-"):
            setting = following if word in ("-c", "--") else word.removeprefix("-c").lstrip("-")
            names.add(setting.partition("=")[0].strip().replace("-", "_").lower())
    return names
