"""Targets: the databases a datakit can be deployed to, by name, by parts or by URL.

A target is alive from its first use to `close()`, the end of a `with` block, or process exit. Two target objects are
two targets, even with equal fields: each `sqlite_memory` is a database of its own.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, DeploymentError, TryAgainError
from sqlmodel_framework.config.containers import ContainerSettings
from sqlmodel_framework.config.predefined import DESCRIPTIONS, PREDEFINED
from sqlmodel_framework.config.settings import environment_fields, read_configured_targets
from sqlmodel_framework.config.target_parts import TARGET_FIELDS, merge_fields, read_parts
from sqlmodel_framework.config.target_types import STARTED, TARGET_TYPES, known_types, one_of
from sqlmodel_framework.config.variables import environment_name, name_strange_variables

__all__ = [
    "TargetConfig",
    "create_custom_target",
    "get_ci_target",
    "get_development_target",
    "get_integration_target",
    "get_target_config",
    "list_targets",
    "target_from_url",
]


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
    on_our_server: bool = field(default=False, repr=False)
    """Set where the framework has started the server for another target."""
    lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    live: Any = field(default=None, init=False, repr=False)
    server_ended: Callable[[], str | None] | None = field(default=None, init=False, repr=False)
    """Says what became of a server that was started for the target; None while it runs."""
    _closers: list[Callable[[], object]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        known = known_types()
        if self.type not in known:
            raise ConfigurationError(
                "unknown target type",
                where=f"target {self.name}",
                seen=self.type,
                expected=one_of(known),
            )
        ours = TARGET_TYPES.get(self.type)
        methods = ours.methods if ours else (self.conn_method,)
        if self.conn_method not in methods:
            raise ConfigurationError(
                f"unknown connection method for {self.type}",
                where=f"target {self.name}",
                seen=self.conn_method,
                expected=one_of(methods),
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
        if self.conn_method in STARTED:
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
        return self.conn_method in ("memory", *STARTED) and not self.container.reuse

    @property
    def server_is_ours(self) -> bool:
        """True where the framework has started the server: variables about servers of the user do not count there."""
        return self.conn_method in STARTED or self.on_our_server

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


def list_targets() -> dict[str, str]:
    """Names of all known targets, predefined and configured, with a line about each."""
    configured = {name: spec.source for name, spec in read_configured_targets().items()}
    return {**DESCRIPTIONS, **configured}


def get_target_config(name: str, overrides: Mapping[str, Any] | None = None) -> TargetConfig:
    """Give a new target of that name: predefined or from pyproject.toml / datakit.toml.

    `DATAKIT_<TARGET>_<FIELD>` in the environment changes a field, `overrides` changes it again; options are changed one
    by one. A host, socket or URL stands in for a container: its settings do not count then. Raises ConfigurationError for an unknown name, field or value.
    """
    configured = read_configured_targets()
    known = sorted({*PREDEFINED, *configured})
    if name not in known:
        raise ConfigurationError(
            "unknown target",
            seen=name,
            expected=one_of(known),
            next_step=f"{_nearest(name, known)} targets of your own come from pyproject.toml ([tool.datakit.targets])"
            " or datakit.toml ([targets])",
        )
    name_strange_variables(known, TARGET_FIELDS)
    changes = [environment_fields(name, TARGET_FIELDS, other_targets=known), overrides or {}]
    fields = configured[name].fields if name in configured else {}
    target = TargetConfig(**read_parts(name, merge_fields(PREDEFINED.get(name, {}), fields, *changes)))
    usual = PREDEFINED.get(name, {}).get("type", target.type)
    if target.type != usual and not any("url" in layer for layer in changes):
        raise ConfigurationError(
            "a target has the name of a predefined one, and another type",
            where=f"target {name}",
            seen=target.type,
            expected=usual,
            next_step="give it a name of its own",
        )
    return target


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
    target = TargetConfig(
        **read_parts(name, {key: value for key, value in fields.items() if value is not None})
    )
    return replace(target, options=dict(options)) if options else target


def target_from_url(url: str, *, name: str = "url", password: str | None = None) -> TargetConfig:
    """Give a new target from a SQLAlchemy URL, such as `postgresql://user@host:5432/database`.

    The framework's own drivers are used whatever driver the URL names. `password` stands in for one in the URL.
    """
    return TargetConfig(**read_parts(name, {"url": url, **({"password": password} if password else {})}))


def get_ci_target() -> TargetConfig:
    """The target for fast checks: `sqlite_memory`."""
    return get_target_config("sqlite_memory")


def get_development_target() -> TargetConfig:
    """The target for work on one machine: `postgres_local`."""
    return get_target_config("postgres_local")


def get_integration_target() -> TargetConfig:
    """The target for integration tests: `postgres_container`."""
    return get_target_config("postgres_container")


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
