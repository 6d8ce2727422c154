"""Where settings come from: pyproject.toml or datakit.toml above the working folder, and the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["TargetSpec", "environment_fields", "read_configured_targets"]

_SPEC_FIELDS = frozenset(
    ("type", "database", "host", "port", "user", "password", "conn_method", "socket", "url", "options")
)


@dataclass(frozen=True)
class TargetSpec:
    """A target as a file defines it; `source` names the file."""

    fields: Mapping[str, Any] = field(repr=False)
    source: str


def read_configured_targets(start: Path | None = None) -> dict[str, TargetSpec]:
    """Targets from the nearest datakit.toml or pyproject.toml with such a section, from `start` (None: here) upwards.

    Raises ConfigurationError for a file that cannot be read, an unknown field or a name that is no name.
    """
    folder = (start or Path.cwd()).resolve()
    for parent in (folder, *folder.parents):
        for file_name, section in (
            ("datakit.toml", ("targets",)),
            ("pyproject.toml", ("tool", "datakit", "targets")),
        ):
            path = parent / file_name
            if path.is_file():
                found = _section(_read_toml(path), section)
                if found is not None:
                    return {name: _spec(path, name, fields) for name, fields in found.items()}
    return {}


def environment_fields(target: str, fields: Iterable[str], *, other_targets: Iterable[str]) -> dict[str, str]:
    """Fields of a target that `DATAKIT_<TARGET>_<FIELD>` sets; an unknown field of this target is an error."""
    prefix = _prefix(target)
    longer = tuple(
        _prefix(other) for other in other_targets if _prefix(other).startswith(prefix) and other != target
    )
    names = {f"{prefix}{field.upper()}": field for field in fields}
    values = {}
    for variable, value in os.environ.items():
        if not variable.startswith(prefix) or variable.startswith(longer or ("\0",)):
            continue
        if variable not in names:
            raise ConfigurationError(
                "an environment variable sets an unknown field",
                seen=variable,
                expected="one of " + ", ".join(names),
            )
        values[names[variable]] = value
    return values


def _prefix(target: str) -> str:
    return f"DATAKIT_{target}_".upper().replace("-", "_")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError("a settings file cannot be read", where=str(path), seen=str(exc)) from exc


def _section(document: Mapping[str, Any], keys: Iterable[str]) -> Mapping[str, Any] | None:
    value: Any = document
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value if isinstance(value, dict) else None


def _spec(path: Path, name: str, fields: Any) -> TargetSpec:
    where = f"{path}, target {name}"
    if not isinstance(fields, dict):
        raise ConfigurationError(
            "a target is not a table of fields", where=where, expected=f"[targets.{name}]"
        )
    unknown = sorted(set(fields) - _SPEC_FIELDS)
    if unknown:
        raise ConfigurationError(
            "a target has an unknown field",
            where=where,
            seen=", ".join(unknown),
            expected="one of " + ", ".join(sorted(_SPEC_FIELDS)),
        )
    if "type" not in fields and "url" not in fields:
        raise ConfigurationError("a target has neither type nor url", where=where)
    return TargetSpec(fields=fields, source=f"defined in {path.name}")
