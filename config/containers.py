"""Settings of container targets: which image, how its server is started, whether it is kept between runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["CONTAINER_FIELDS", "ContainerSettings", "Run", "container_fields", "container_settings"]


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
    """Those of a target's fields that describe its container, in their types; texts of the environment are read.

    Raises ConfigurationError for a value that cannot be read. It is not shown: it may be a secret.
    """
    return {
        name: _READ[name](f"{where}, field {name}", values[name])
        for name in CONTAINER_FIELDS
        if values.get(name) is not None
    }


def _image(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value or value != "".join(value.split()):
        raise _wrong(where, "the name of an image", 'write image = "postgres:15.8"')
    return value


def _environment(where: str, value: Any) -> dict[str, str]:
    expected, step = "names and values", 'write environment = { TZ = "UTC" }, or TZ=UTC in a variable'
    pairs = value
    if isinstance(value, str):
        pairs = dict(word.split("=", 1) for word in _words(where, value, step) if "=" in word)
        if len(pairs) != len(_words(where, value, step)):
            raise _wrong(where, expected, step)
    texts = isinstance(pairs, Mapping) and all(
        isinstance(name, str) and name and "=" not in name and isinstance(one, str | int)
        for name, one in pairs.items()
    )
    if not texts:
        raise _wrong(where, expected, step)
    return {name: str(one) for name, one in pairs.items()}


def _start_options(where: str, value: Any) -> tuple[str, ...]:
    step = 'write start_options = ["-c", "work_mem=64MB"], or the same with blanks between in a variable'
    words = _words(where, value, step) if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise _wrong(where, "a list of texts", step)
    return tuple(words)


def _reuse(where: str, value: Any) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise _wrong(where, "true or false", "write reuse = true")
    return str(value).lower() == "true"


def _deadline(where: str, value: Any) -> float:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise _wrong(where, "a number of seconds above 0", "write deadline = 60")
    return seconds


def _words(where: str, text: str, step: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise _wrong(where, "a text whose quotes are closed", step) from None


def _wrong(where: str, expected: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(
        "a field of a container target cannot be read", where=where, expected=expected, next_step=next_step
    )


_READ: dict[str, Callable[[str, Any], Any]] = {
    "image": _image,
    "environment": _environment,
    "start_options": _start_options,
    "reuse": _reuse,
    "deadline": _deadline,
}
