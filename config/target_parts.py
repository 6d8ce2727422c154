"""What a target is made of, read from texts and URLs: the parts that fit together, in their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.config.containers import CONTAINER_FIELDS, container_fields, container_settings
from sqlmodel_framework.config.target_types import known_url_names, one_of, type_of_url, unused_fields

__all__ = ["TARGET_FIELDS", "merge_fields", "read_parts"]

TARGET_FIELDS = (
    "type",
    "database",
    "host",
    "port",
    "user",
    "password",
    "conn_method",
    "socket",
    "url",
    "options",
    *CONTAINER_FIELDS,
)


_NEVER_EMPTY = ("type", "host", "user", "conn_method", "socket", "url")


def merge_fields(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a target from several places, the weakest first; options one by one.

    A URL takes the place of what stands below it. A host, socket or URL stands in for a container of a weaker place,
    whose settings do not count then; the other fields do.
    """
    values: dict[str, Any] = {}
    stands_in = False
    for layer in layers:
        if "conn_method" in layer:
            stands_in = False
        elif {"host", "socket", "url"} & layer.keys():
            stands_in = stands_in or values.get("conn_method") == "container"
        below = {} if "url" in layer else values
        options = {**below.get("options", {}), **layer.get("options", {})}
        values = {**below, **layer, **({"options": options} if options else {})}
    if stands_in:
        values = {
            name: value for name, value in values.items() if name not in ("conn_method", *CONTAINER_FIELDS)
        }
    return values


def read_parts(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a TargetConfig from fields as they were given: a URL in its parts, texts in their types.

    Raises ConfigurationError for a value that cannot be read, and for fields that do not fit together.
    """
    values = dict(given)
    _refuse_empty(name, values)
    options: Mapping[str, str] = values.pop("options", {})
    if "url" in values:
        url = values.pop("url")
        parts = _parts_of_url(name, url.get_secret_value() if isinstance(url, SecretStr) else str(url))
        options = {**parts.pop("options"), **options}
        values = {**parts, **values}
    if "password" in values and not isinstance(values["password"], SecretStr):
        values["password"] = SecretStr(str(values["password"]))
    if "port" in values:
        values["port"] = _port(name, values["port"])
    if values.get("conn_method") is None:
        values["conn_method"] = _default_method(values)
    if values.get("type") == "postgres" and values["conn_method"] == "socket" and "host" in values:
        values["socket"] = values.pop("host")
    values.update(container_fields(f"target {name}", values))
    _refuse_unused(name, values)
    if values["conn_method"] == "file" and not values.get("database"):
        raise ConfigurationError(
            "no file is given", where=f"target {name}", next_step="name it with database= or --database"
        )
    parts = {key: value for key, value in values.items() if key not in CONTAINER_FIELDS}
    return {**parts, "name": name, "options": options, "container": container_settings(values)}


def _refuse_empty(name: str, values: Mapping[str, Any]) -> None:
    """An empty text would be taken for none given, and another server for the one that is meant."""
    never = (*_NEVER_EMPTY, *(["database"] if values.get("type", "sqlite") != "sqlite" else []))
    empty = [key for key in never if isinstance(values.get(key), str) and not values[key].strip()]
    if empty:
        raise ConfigurationError(
            "a field of a target is empty",
            where=f"target {name}",
            seen=", ".join(empty),
            next_step="give it a value, or leave it out",
        )


def _refuse_unused(name: str, values: dict[str, Any]) -> None:
    """A field that would be ignored is a mistake: its giver expects something of it."""
    method = values["conn_method"]
    if method == "memory" and values.get("database") == ":memory:":
        del values["database"]
    ignored = (*unused_fields(method), *(["database"] if values.get("reuse") else []))
    unused = sorted(key for key in ignored if values.get(key) is not None)
    if unused:
        target = "an SQLite target" if values.get("type") == "sqlite" else f"a {values.get('type')} target"
        raise ConfigurationError(
            f"{target} ({method}) does not use these fields",
            where=f"target {name}",
            seen=", ".join(unused),
            next_step=f"leave them out; {_used_by(method)}",
        )


def _used_by(method: str) -> str:
    if method in ("memory", "file"):
        return "for a database in a file use sqlite_file"
    if method == "container":
        return (
            "a container has a user, a password and, with reuse, a database of its own;"
            " for a server that runs already, name its host"
        )
    return (
        "a private server is the target's own" if method == "private" else "images are for container targets"
    )


def _default_method(values: Mapping[str, Any]) -> str:
    if values.get("type") == "sqlite":
        return "file" if values.get("database") not in (None, "", ":memory:") else "memory"
    host = str(values.get("host") or "")
    return "socket" if values.get("socket") or host.startswith("/") else "tcp"


def _port(name: str, value: Any) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = -1
    if not 0 < port < 65536:
        raise ConfigurationError(
            "a port is wrong", where=f"target {name}", seen=str(value), expected="a number from 1 to 65535"
        )
    return port


def _parts_of_url(name: str, text: str) -> dict[str, Any]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if text.partition("?")[0].count("@") > 1:
        # Where the password ends is a guess, and the rest of it would be shown as host.
        raise ConfigurationError(
            "a URL has more than one @",
            where=f"target {name}",
            next_step="write an @ in a user or password as %40, a / as %2F, or give the password apart",
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not chained: the cause would carry the text, password included.
        raise ConfigurationError(
            "a URL cannot be read", where=f"target {name}", expected="postgresql://user@host:5432/database"
        ) from None
    kind = type_of_url(url.drivername.split("+", maxsplit=1)[0])
    if kind is None:
        raise ConfigurationError(
            "a URL names an unknown database",
            where=f"target {name}",
            seen=url.drivername,
            expected=one_of(known_url_names()),
        )
    options = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    parts: dict[str, Any] = {
        "type": kind,
        "database": url.database,
        "host": url.host or (options.pop("host", None) if kind == "postgres" else None),
        "port": url.port,
        "user": url.username or options.pop("user", None),
        "password": url.password or options.pop("password", None),
        "socket": options.pop("unix_socket", None),
        "options": options,
    }
    return {key: value for key, value in parts.items() if value is not None}
