"""Where settings come from: pyproject.toml or datakit.toml above the working folder, and the environment."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.config.containers import (
    CONTAINER_FIELDS,
    container_field_of_text,
    container_fields,
)
from sqlmodel_framework.config.predefined import PREDEFINED

__all__ = [
    "LintSettings",
    "TargetSpec",
    "ValidationSettings",
    "environment_fields",
    "nearest_section",
    "read_configured_targets",
    "read_lint_settings",
    "read_validation_settings",
]

_FILES: dict[str, tuple[str, ...]] = {"datakit.toml": (), "pyproject.toml": ("tool", "datakit")}
"""Settings files, the stronger one first, and the section of each that is ours."""
_SECTIONS = ("kits", "lint", "targets", "validation")
_TEXT_FIELDS = ("type", "database", "host", "user", "password", "conn_method", "socket", "url")
_SPEC_FIELDS = frozenset((*_TEXT_FIELDS, "port", "options", *CONTAINER_FIELDS))
_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a string"),
    (bool, "a boolean"),
    (int, "a whole number"),
    (float, "a number with a fraction"),
    (list, "a list"),
    (dict, "a table"),
    ((date, time), "a date or time"),
)
"""Types of TOML and what to call them; the first that fits counts, as a bool is an int and a datetime a date."""


@dataclass(frozen=True)
class TargetSpec:
    """A target as a file defines it; `source` names the file."""

    fields: Mapping[str, Any] = field(repr=False)
    source: str


def read_configured_targets(start: Path | None = None) -> dict[str, TargetSpec]:
    """Targets from the nearest datakit.toml or pyproject.toml with such a section, from `start` (None: here) upwards.

    Raises ConfigurationError for a file that cannot be read, an unknown section or field, and a value of a wrong type.
    """
    found = nearest_section("targets", start)
    return {} if found is None else {name: _spec(found[0], name, value) for name, value in found[1].items()}


@dataclass(frozen=True)
class ValidationSettings:
    """What a settings file says about validation; see `Rules` for the entries of `select` and `ignore`.

    `sections` says for each entry in which file and section it stands.
    """

    strict: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)


def read_validation_settings(kit: str, start: Path | None = None) -> ValidationSettings:
    """The section `validation`, with what `kits.<name>` says for this datakit in its place: `ignore` adds up.

    Raises ConfigurationError for an unknown field or a wrong type.
    """
    general = _validation_fields(nearest_section("validation", start), "validation")
    kits = nearest_section("kits", start)
    if kits is None or kit not in kits[1]:
        return ValidationSettings(**general)
    own = _validation_fields((kits[0], _without_lint(kits[1][kit])), "kits", kit)
    ignore = (*general.get("ignore", ()), *own.get("ignore", ()))
    sections = {**general.get("sections", {}), **own["sections"]}
    return ValidationSettings(**{**general, **own, "ignore": ignore, "sections": sections})


@dataclass(frozen=True)
class LintSettings:
    """What a settings file says about lint; see `Rules` for `select` and `ignore`. `databases` are target types.

    `sections` says for each entry of these two in which file and section it stands.
    """

    databases: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict, compare=False)


def read_lint_settings(kit: str, start: Path | None = None) -> LintSettings:
    """The section `lint`, with what `kits.<name>.lint` says for this datakit in its place: `ignore` adds up.

    Raises ConfigurationError for an unknown field or a wrong type.
    """
    general = _lint_fields(nearest_section("lint", start), "lint")
    kits = nearest_section("kits", start)
    kit_fields = {} if kits is None else kits[1].get(kit, {})
    own: dict[str, Any] = {}
    if kits is not None and isinstance(kit_fields, dict) and "lint" in kit_fields:
        own = _lint_fields(
            (kits[0], _table(kits[0], kit_fields["lint"], "kits", kit, "lint")), "kits", kit, "lint"
        )
    ignore = (*general.get("ignore", ()), *own.get("ignore", ()))
    sections = {**general.get("sections", {}), **own.get("sections", {})}
    return LintSettings(**{**general, **own, "ignore": ignore, "sections": sections})


def _lint_fields(section: tuple[Path, Mapping[str, Any]] | None, *names: str) -> dict[str, Any]:
    if section is None:
        return {}
    path, fields = section
    wanted = ("databases", "select", "ignore")
    where = f"{path}, section {_label(path, *names)}"
    unknown = sorted(set(fields) - set(wanted))
    if unknown:
        raise ConfigurationError(
            "the settings for lint have an unknown field",
            where=where,
            seen=", ".join(unknown),
            expected=", ".join(wanted),
        )
    for name, value in fields.items():
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ConfigurationError(
                "a setting for lint has a wrong type",
                where=f"{where}, {name}",
                seen=_type_of(value),
                expected="a list of texts",
            )
    entries = (*fields.get("select", ()), *fields.get("ignore", ()))
    return {
        **{name: tuple(value) for name, value in fields.items()},
        "sections": dict.fromkeys(entries, where),
    }


def _without_lint(fields: Any) -> Any:
    """A kit's section without the one on lint."""
    if not isinstance(fields, dict):
        return fields
    return {name: value for name, value in fields.items() if name != "lint"}


def _validation_fields(section: tuple[Path, Mapping[str, Any]] | None, *names: str) -> dict[str, Any]:
    if section is None:
        return {}
    path, fields = section
    where = f"{path}, section {_label(path, *names)}"
    wanted = {"strict": bool, "select": list, "ignore": list}
    if not isinstance(fields, dict) or not set(fields) <= set(wanted):
        raise ConfigurationError(
            "the settings for validation have an unknown field",
            where=where,
            seen=", ".join(sorted(fields)) if isinstance(fields, dict) else type(fields).__name__,
            expected="strict, select and ignore",
        )
    for name, value in fields.items():
        texts = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        if not isinstance(value, wanted[name]) or (isinstance(value, list) and not texts):
            raise ConfigurationError(
                "a setting for validation has a wrong type",
                where=f"{where}, {name}",
                seen=type(value).__name__,
                expected="true or false" if name == "strict" else "a list of texts",
            )
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    entries = (*found.get("select", ()), *found.get("ignore", ()))
    return {**found, "sections": dict.fromkeys(entries, where)}


def nearest_section(name: str, start: Path | None = None) -> tuple[Path, Mapping[str, Any]] | None:
    """A section of the nearest datakit.toml or pyproject.toml (`tool.datakit`) that has it, from `start` upwards.

    Raises ConfigurationError for a file that cannot be read, a section that is no table, and a section that is unknown.
    """
    folder = (start or Path.cwd()).resolve()
    for parent in (folder, *folder.parents):
        for file_name in _FILES:
            path = parent / file_name
            if path.is_file():
                sections = _our_sections(path)
                if name in sections:
                    return path, _table(path, sections[name], name)
    return None


def _our_sections(path: Path) -> Mapping[str, Any]:
    found: Any = _read_toml(path)
    for key in _FILES[path.name]:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    sections = _table(path, found)
    unknown = sorted(set(sections) - set(_SECTIONS))
    if unknown:
        raise ConfigurationError(
            "a settings file has an unknown section",
            where=str(path),
            seen=", ".join(_label(path, name) for name in unknown),
            expected="one of " + ", ".join(_label(path, name) for name in _SECTIONS),
            next_step="correct the name or take the section out",
        )
    return sections


def _table(path: Path, value: Any, *names: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise ConfigurationError(
        "a section of a settings file has the wrong type",
        where=f"{path}, section {_label(path, *names)}",
        seen=_type_of(value),
        expected="a table",
        next_step=f"write {_label(path, *names)} and the fields below it",
    )


def _label(path: Path, *names: str) -> str:
    """A section's name as it stands in the file."""
    return f"[{'.'.join([*_FILES[path.name], *names])}]"


def environment_fields(target: str, fields: Iterable[str], *, other_targets: Iterable[str]) -> dict[str, Any]:
    """Fields of a target that `DATAKIT_<TARGET>_<FIELD>` sets: `options` and settings of containers in their types, others as text.

    Raises ConfigurationError for an unknown field of this target, an empty value, and one that cannot be read.
    """
    prefix = _prefix(target)
    longer = tuple(
        _prefix(other) for other in other_targets if _prefix(other).startswith(prefix) and other != target
    )
    names = {f"{prefix}{field.upper()}": field for field in fields}
    values: dict[str, Any] = {}
    for variable, value in os.environ.items():
        if not variable.startswith(prefix) or variable.startswith(longer or ("\0",)):
            continue
        if variable not in names:
            raise ConfigurationError(
                "an environment variable sets an unknown field",
                seen=variable,
                expected="one of " + ", ".join(names),
            )
        values[names[variable]] = _of_text(variable, names[variable], value)
    return values


def _of_text(variable: str, field_name: str, text: str) -> Any:
    if field_name == "options":
        return _options(variable, text)
    if not text.strip() and field_name not in ("password", "environment", "start_options"):
        # An empty host would be taken for none given, and another server for the one that is meant.
        raise ConfigurationError(
            "an environment variable of a target is empty",
            seen=variable,
            next_step=f"give it a value, or unset {variable}",
        )
    return container_field_of_text(variable, field_name, text) if field_name in CONTAINER_FIELDS else text


def _options(variable: str, text: str) -> dict[str, str]:
    """Options from `sslmode=require connect_timeout=5`; a value with blanks is quoted as in a shell."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = [""]  # a quote that is never closed
    pairs = [word.partition("=") for word in words]
    wrong = [number for number, (name, sign, _) in enumerate(pairs, start=1) if not (name and sign)]
    if wrong:
        raise ConfigurationError(
            "an environment variable with options cannot be read",
            where=variable,
            seen=f"option {wrong[0]} of {len(words)} is not written as name=value",
            expected="options such as sslmode=require connect_timeout=5",
            next_step="put a value with blanks in quotes: options='-c search_path=dwh'",
        )
    return {name: value for name, _, value in pairs}


def _prefix(target: str) -> str:
    return f"DATAKIT_{target}_".upper().replace("-", "_")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError("a settings file cannot be read", where=str(path), seen=str(exc)) from exc


def _spec(path: Path, name: str, value: Any) -> TargetSpec:
    fields = dict(_table(path, value, "targets", name))
    where = f"{path}, section {_label(path, 'targets', name)}"
    unknown = sorted(set(fields) - _SPEC_FIELDS)
    if unknown:
        raise ConfigurationError(
            "a target has an unknown field",
            where=where,
            seen=", ".join(unknown),
            expected="one of " + ", ".join(sorted(_SPEC_FIELDS)),
        )
    if "type" not in fields and "url" not in fields and name not in PREDEFINED:
        raise ConfigurationError("a target has neither type nor url", where=where)
    for key in _TEXT_FIELDS:
        if key in fields and not isinstance(fields[key], str):
            raise _wrong_type(where, key, fields[key], "a string", f'write {key} = "…"')
    if "port" in fields:
        fields["port"] = _port(where, fields["port"])
    if "options" in fields:
        fields["options"] = _option_texts(where, fields["options"])
    fields.update(container_fields(where, fields))
    return TargetSpec(fields=fields, source=f"defined in {path.name}")


def _port(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(where, "port", value, "a whole number", "write port = 5432")
    return value


def _option_texts(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _wrong_type(where, "options", value, "a table", 'write options = { sslmode = "require" }')
    for name, option in value.items():
        if isinstance(option, bool) or not isinstance(option, str | int):
            raise _wrong_type(
                where, f"options.{name}", option, "a string or a whole number", f'write {name} = "…"'
            )
    return {name: str(option) for name, option in value.items()}


def _wrong_type(
    where: str, field_name: str, value: object, expected: str, next_step: str
) -> ConfigurationError:
    """The value itself is not shown: it may be a password."""
    return ConfigurationError(
        "a field of a target has the wrong type",
        where=f"{where}, field {field_name}",
        seen=_type_of(value),
        expected=expected,
        next_step=next_step,
    )


def _type_of(value: object) -> str:
    return next((words for kind, words in _TYPES if isinstance(value, kind)), type(value).__name__)
