"""Settings of container targets: which image, how its server is started, whether it is kept between runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = [
    "CONTAINER_FIELDS",
    "ContainerSettings",
    "Run",
    "container_field_of_text",
    "container_fields",
    "container_settings",
]


@dataclass(frozen=True)
class Run:
    """A run with several processes. `owner` is the main one, as the labels of containers name it."""

    name: str
    owner: str


@dataclass(frozen=True)
class ContainerSettings:
    """How a target's container is made.

    `image` None means the default of the target's type. `environment` is set in the container, `start_options` are
    arguments of the server. With `reuse` the container is kept for later runs. `deadline` is in seconds: the longest
    wait for the server, without the download of the image. The processes of the run `shared_by` have one together.
    """

    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    start_options: tuple[str, ...] = ()
    reuse: bool = False
    deadline: float = 60.0
    shared_by: Run | None = field(default=None, repr=False)


CONTAINER_FIELDS = tuple(one.name for one in fields(ContainerSettings) if one.name != "shared_by")


def container_settings(values: Mapping[str, Any]) -> ContainerSettings:
    """The settings among a target's fields, as `container_fields` gave them."""
    return ContainerSettings(
        **{name: values[name] for name in CONTAINER_FIELDS if values.get(name) is not None}
    )


def container_fields(where: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a target's fields that describe its container, checked, in their types.

    Raises ConfigurationError for a value of a wrong type. It is shown only where it cannot be a secret.
    """
    found = {}
    for name in CONTAINER_FIELDS:
        if values.get(name) is not None:
            one = _FIELDS[name]
            if not one.fits(values[name]):
                raise _wrong(f"{where}, field {name}", name, values[name], f"write {one.in_file}")
            found[name] = one.made(values[name])
    return found


def container_field_of_text(variable: str, name: str, text: str) -> Any:
    """The value of such a field from the text of an environment variable. Raises ConfigurationError."""
    one = _FIELDS[name]
    try:
        value = one.read(text)
    except ValueError:
        value = None
    if value is None or not one.fits(value):
        raise _wrong(variable, name, text, f"set {variable}={one.in_variable}")
    return one.made(value)


@dataclass(frozen=True)
class _Field:
    """How one field is written in a file and in a variable, and read."""

    expected: str
    in_file: str
    in_variable: str
    fits: Callable[[Any], bool]
    made: Callable[[Any], Any]
    read: Callable[[str], Any]
    may_be_secret: bool = False


def _is_image(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value == "".join(value.split())


def _is_environment(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and name
        and "=" not in name
        and isinstance(one, str | int)
        and not isinstance(one, bool)
        for name, one in value.items()
    )


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


def _is_deadline(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _pairs(text: str) -> dict[str, str]:
    """Raises ValueError for a quote that is not closed, and for a word without a sign of equality."""
    return dict(word.split("=", 1) for word in shlex.split(text))


_FIELDS = {
    "image": _Field(
        "the name of an image, without blanks",
        'image = "postgres:15.8"',
        "postgres:15.8",
        _is_image,
        str,
        str,
    ),
    "environment": _Field(
        "names and values",
        'environment = { TZ = "UTC" }',
        '"TZ=UTC LANG=C.UTF-8", with quotes inside as in a shell',
        _is_environment,
        lambda value: {name: str(one) for name, one in value.items()},
        _pairs,
        may_be_secret=True,
    ),
    "start_options": _Field(
        "a list of texts",
        'start_options = ["-c", "work_mem=64MB"]',
        '"-c work_mem=64MB", with quotes inside as in a shell',
        _is_list_of_texts,
        tuple,
        shlex.split,
        may_be_secret=True,
    ),
    "reuse": _Field(
        "true or false",
        "reuse = true",
        "true",
        lambda value: isinstance(value, bool),
        bool,
        lambda text: {"true": True, "false": False}.get(text.lower()),
    ),
    "deadline": _Field("a number of seconds above 0", "deadline = 60", "60", _is_deadline, float, float),
}


def _wrong(where: str, name: str, value: Any, next_step: str) -> ConfigurationError:
    one = _FIELDS[name]
    return ConfigurationError(
        "a field of a container target cannot be read",
        where=where,
        seen=repr(value)[:200] if isinstance(value, str | int | float) and not one.may_be_secret else None,
        expected=one.expected,
        next_step=next_step,
    )
