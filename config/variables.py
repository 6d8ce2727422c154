"""Environment variables that look like ours and are not: a misspelt one would pass in silence."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

__all__ = ["environment_name", "name_strange_variables"]

_log = logging.getLogger(__name__)
_SETTINGS = ("DATAKIT_CACHE_DIR", "DATAKIT_UPDATE_SNAPSHOTS")
_NEAR = 0.85


def environment_name(target: str, field_name: str) -> str:
    """The environment variable that overrides a field of a target."""
    return f"DATAKIT_{target}_{field_name}".upper().replace("-", "_")


def name_strange_variables(targets: Iterable[str], fields: Iterable[str]) -> None:
    """Log a warning, once for each, about variables that end like a field of a target, or are nearly one, and are none."""
    endings = tuple(f"_{field_name}".upper() for field_name in fields)
    known = {
        f"DATAKIT_{target}{ending}".upper().replace("-", "_") for target in targets for ending in endings
    }
    for variable in sorted(
        {name for name in os.environ if name.startswith("DATAKIT_")} - known - {*_SETTINGS}
    ):
        near = get_close_matches(variable, [*known, *_SETTINGS], n=1, cutoff=_NEAR)
        if near or variable.endswith(endings):
            _warn(variable, near[0] if near else None)


@cache
def _warn(variable: str, near: str | None) -> None:
    _log.warning(
        "%s is set, and no target or setting has such a variable%s",
        variable,
        f"; did you mean {near}?" if near else "",
    )
