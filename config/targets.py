"""Targets: the databases a datakit can be deployed to, by name, by parts or by URL.

A target is alive from its first use to `close()`, the end of a `with` block, or process exit. Two target objects are
two targets, even with equal fields: each `sqlite_memory` is a database of its own.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, DeploymentError, TryAgainError
from sqlmodel_framework.config.containers import (
    CONTAINER_FIELDS,
    ContainerSettings,
    container_fields,
    container_settings,
)
from sqlmodel_framework.config.settings import environment_fields, read_configured_targets

__all__ = [
    "CONNECTION_METHODS",
    "TARGET_FIELDS",
    "TargetConfig",
    "create_custom_target",
    "get_ci_target",
    "get_development_target",
    "get_integration_target",
    "get_target_config",
    "list_targets",
    "target_from_url",
]

CONNECTION_METHODS: dict[str, tuple[str, ...]] = {
    "sqlite": ("memory", "file"),
    "postgres": ("tcp", "password", "socket", "embedded", "container", "private"),
    "mysql": ("tcp", "password", "socket", "container", "private"),
}

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


_STARTED = ("embedded", "container", "private")
"""Connection methods by which the framework starts the server itself."""
_PLACE = ("host", "user", "password", "socket")
_UNUSED: dict[str, tuple[str, ...]] = {
    "memory": ("database", "port", *_PLACE, *CONTAINER_FIELDS),
    "file": ("port", *_PLACE, *CONTAINER_FIELDS),
    "private": ("port", *_PLACE, *CONTAINER_FIELDS),
    "container": _PLACE,
}
"""Fields that mean nothing to a connection method; to any other, those of containers."""


@dataclass(eq=False, kw_only=True)
class TargetConfig:
    """One target.

    `database` is a file path for SQLite; None means the server's default. `host`, `port`, `user` and `password` of None
    mean what libpq or the MySQL client would take. `socket` is the Unix socket: its directory for PostgreSQL, the file
    for MySQL. `options` are connection options of the driver, such as `sslmode`; unknown ones are refused.
    `container` says how the container of a container target is made. While a server that was started for the target
    runs, the fields say where it is; after that they are as they were.
    """

    name: str
    type: str
    conn_method: str
    database: str | None = None
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: SecretStr | None = None
    socket: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    container: ContainerSettings = field(default_factory=ContainerSettings, repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    live: Any = field(default=None, init=False, repr=False)
    _closers: list[Callable[[], object]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        methods = CONNECTION_METHODS.get(self.type, (self.conn_method,))
        known = {*CONNECTION_METHODS, *entry_points(group="sqlmodel_framework.engines").names}
        if self.type not in known:
            raise ConfigurationError(
                "unknown target type",
                where=f"target {self.name}",
                seen=self.type,
                expected=_one_of(sorted(known)),
            )
        if self.conn_method not in methods:
            raise ConfigurationError(
                f"unknown connection method for {self.type}",
                where=f"target {self.name}",
                seen=self.conn_method,
                expected=_one_of(methods),
            )
        if self.conn_method == "password" and self.password is None:
            raise ConfigurationError(
                "the connection method 'password' was chosen and no password is given",
                where=f"target {self.name}",
                next_step=f"set {environment_name(self.name, 'password')} or pass --password",
            )

    @property
    def address(self) -> str:
        """Where the target is, without password or options: safe to show."""
        if self.type == "sqlite":
            return "sqlite in memory" if self.conn_method == "memory" else f"sqlite file {self.database}"
        if self.conn_method in _STARTED:
            return f"{self.type} {self.conn_method}"
        user = f"{self.user}@" if self.user else ""
        host = self.socket or self.host or "default host"
        port = f":{self.port}" if self.port else ""
        return f"{self.type}://{user}{host}{port}/{self.database or ''}"

    @property
    def label(self) -> str:
        """How messages name this target."""
        return f"target {self.name}, {self.address}"

    @property
    def ends_with_process(self) -> bool:
        """True where the whole database is the target's own and vanishes with it."""
        return self.conn_method in ("memory", *_STARTED) and not self.container.reuse

    def point_at(self, **place: Any) -> None:
        """Set fields until the target ends: where a server that was started for it is."""
        before = {name: getattr(self, name) for name in place}
        self.on_close(lambda: self._set(before))
        self._set(place)

    def _set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def on_close(self, closer: Callable[[], object]) -> None:
        """Run `closer` when the target ends; the last one added runs first."""
        self._closers.append(closer)

    def close(self) -> None:
        """End the target: what was created through it is dropped, servers it started stop. Safe to call twice.

        All steps run, also after one that fails. A step is forgotten only when it is done: the next call repeats what
        failed, and what an interrupt kept from running. One failure is raised as it is; several become one
        TryAgainError where a repetition may mend all of them, else one DeploymentError.
        """
        with self.lock:
            failures = self._run_closers()
        if failures:
            raise _ending_failed(self.label, failures)

    def _run_closers(self) -> list[Exception]:
        failures: list[Exception] = []
        for closer in reversed(self._closers.copy()):
            try:
                closer()
            except Exception as exc:  # noqa: BLE001 - a driver may raise anything, and the other steps must run
                failures.append(exc)
            else:
                self._closers.remove(closer)
        return failures

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: builtins.type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_PREDEFINED: dict[str, dict[str, str]] = {
    "sqlite_memory": {"type": "sqlite", "conn_method": "memory"},
    "sqlite_file": {"type": "sqlite", "conn_method": "file", "database": "datakit.db"},
    "postgres_embedded": {"type": "postgres", "conn_method": "embedded"},
    "postgres_local": {"type": "postgres"},
    "postgres_container": {"type": "postgres", "conn_method": "container"},
    "mysql_local": {"type": "mysql"},
    "mysql_container": {"type": "mysql", "conn_method": "container"},
}

DESCRIPTIONS = {
    "sqlite_memory": "SQLite in memory: nothing to install, gone when the process ends",
    "sqlite_file": "SQLite in the file datakit.db, or in --database",
    "postgres_embedded": "a private PostgreSQL for this process, from the extra 'embedded'",
    "postgres_local": "a PostgreSQL that runs already: socket or TCP, libpq's environment counts",
    "postgres_container": "PostgreSQL in a container of Docker or Podman, from the extra 'testing'",
    "mysql_local": "a MySQL or MariaDB that runs already: socket or TCP",
    "mysql_container": "MySQL in a container of Docker or Podman, from the extra 'testing'",
}


def list_targets() -> dict[str, str]:
    """Names of all known targets, predefined and configured, with a line about each."""
    configured = {name: f"{spec.source}" for name, spec in read_configured_targets().items()}
    return {**DESCRIPTIONS, **configured}


def get_target_config(name: str, overrides: Mapping[str, Any] | None = None) -> TargetConfig:
    """Give a new target of that name: predefined or from pyproject.toml / datakit.toml.

    `DATAKIT_<TARGET>_<FIELD>` in the environment changes a field, `overrides` changes it again; options are changed one
    by one. Raises ConfigurationError for an unknown name, field or value.
    """
    configured = read_configured_targets()
    known = sorted({*_PREDEFINED, *configured})
    if name not in known:
        raise ConfigurationError(
            "unknown target",
            seen=name,
            expected=_one_of(known),
            next_step=f"{_nearest(name, known)} targets of your own come from pyproject.toml ([tool.datakit.targets])"
            " or datakit.toml ([targets])",
        )
    values: dict[str, Any] = dict(configured[name].fields if name in configured else _PREDEFINED[name])
    changes = {**environment_fields(name, TARGET_FIELDS, other_targets=known), **(overrides or {})}
    if "url" in changes or (values.get("conn_method") == "container" and {"host", "socket"} & changes.keys()):
        # A server that somebody else started stands in for the container.
        values = {} if "url" in changes else {"type": values["type"]}
    if "options" in changes:
        # Option by option: one more option must not take away a configured sslmode.
        changes["options"] = {**values.get("options", {}), **changes["options"]}
    return _build(name, {**values, **changes})


def create_custom_target(
    type: str,  # noqa: A002 - the name is part of the published call
    database: str | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    user: str | None = None,
    password: str | None = None,
    conn_method: str | None = None,
    socket: str | None = None,
    options: Mapping[str, str] | None = None,
    name: str = "custom",
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
    start_options: Sequence[str] | None = None,
    reuse: bool | None = None,
    deadline: float | None = None,
) -> TargetConfig:
    """Give a new target from its parts. `conn_method` None means: socket if one is given, else TCP; a file if `database` is one.

    `image` and what follows it are the fields of `ContainerSettings`, for the connection method `container` alone.
    Raises ConfigurationError for parts that do not fit together.
    """
    fields = {
        "type": type,
        "database": database,
        "host": host,
        "port": port,
        "user": user,
        "password": password,
        "conn_method": conn_method,
        "socket": socket,
        "image": image,
        "environment": environment,
        "start_options": start_options,
        "reuse": reuse,
        "deadline": deadline,
    }
    target = _build(name, {key: value for key, value in fields.items() if value is not None})
    return replace(target, options=dict(options)) if options else target


def target_from_url(url: str, *, name: str = "url", password: str | None = None) -> TargetConfig:
    """Give a new target from a SQLAlchemy URL, such as `postgresql://user@host:5432/database`.

    The framework's own drivers are used whatever driver the URL names. `password` stands in for one in the URL.
    """
    return _build(name, {"url": url, **({"password": password} if password else {})})


def get_ci_target() -> TargetConfig:
    """The target for fast checks: `sqlite_memory`."""
    return get_target_config("sqlite_memory")


def get_development_target() -> TargetConfig:
    """The target for work on one machine: `postgres_local`."""
    return get_target_config("postgres_local")


def get_integration_target() -> TargetConfig:
    """The target for integration tests: `postgres_container`."""
    return get_target_config("postgres_container")


def environment_name(target: str, field_name: str) -> str:
    """The environment variable that overrides a field of a target."""
    return f"DATAKIT_{target}_{field_name}".upper().replace("-", "_")


def _build(name: str, values: dict[str, Any]) -> TargetConfig:
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
    return TargetConfig(name=name, options=options, container=container_settings(values), **parts)


def _refuse_unused(name: str, values: dict[str, Any]) -> None:
    """A field that would be ignored is a mistake: its giver expects something of it."""
    method = values["conn_method"]
    if method == "memory" and values.get("database") == ":memory:":
        del values["database"]
    ignored = (*_UNUSED.get(method, CONTAINER_FIELDS), *(["database"] if values.get("reuse") else []))
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
        return "a container has a user, a password and, if it is reused, a database of its own"
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


_BACKENDS = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "postgres": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
}


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
    kind = _BACKENDS.get(url.drivername.split("+", maxsplit=1)[0])
    if kind is None:
        raise ConfigurationError(
            "a URL names an unknown database",
            where=f"target {name}",
            seen=url.drivername,
            expected=_one_of(_BACKENDS),
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


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "choose one of these;"


def _ending_failed(label: str, failures: Sequence[Exception]) -> Exception:
    """The error to raise for these; only errors of ours are quoted, as the text of others may hold rows."""
    if len(failures) == 1:
        return failures[0]
    again = all(isinstance(exc, TryAgainError) for exc in failures)
    error = (TryAgainError if again else DeploymentError)(
        "a target could not be ended",
        where=label,
        seen=f"{len(failures)} failures: "
        + "; ".join(str(exc) if isinstance(exc, DatakitError) else type(exc).__name__ for exc in failures),
        next_step="close it again: only what failed is repeated",
    )
    error.__cause__ = ExceptionGroup("ending a target", failures)
    return error


def _one_of(names: Iterable[str]) -> str:
    return "one of " + ", ".join(names)
