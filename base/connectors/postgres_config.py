"""How to reach a PostgreSQL source, as libpq understands it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, Self

import psycopg2.extensions
from pydantic import SecretStr

from sqlmodel_framework.base.connectors.libpq_parameters import (
    environment_parameters,
    parameters_of_url,
    service_parameters,
)
from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["PostgresConfig"]

_FIELDS = {"dbname": "database", "user": "username"}
"""Parameters of libpq whose field has another name."""
_SECRETS = ("password", "sslpassword")
_GSSENCMODES = ("disable", "prefer", "require")
# The release that knows the parameter.
_REQUIRE_AUTH = 160000
# What the server takes in milliseconds is an integer of 32 bits.
_LONGEST = 2_147_483
_TIMEOUTS = ("statement_timeout", "lock_timeout")
# A server that is gone without a word is noticed within two minutes; most systems take two hours.
_KEEPALIVES = {"keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "6"}


class _Target(Protocol):
    """A target as `config.targets` makes it, seen from below."""

    type: str
    conn_method: str
    database: str | None
    host: str | None
    port: int | None
    user: str | None
    password: SecretStr | None
    socket: str | None
    options: Mapping[str, str]

    @property
    def label(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class PostgresConfig:
    """How to reach a PostgreSQL source. None leaves a value to libpq: its service file, environment, .pgpass and defaults.

    `host` is a name, the folder of a socket, or several names with commas; `port` may then be a text with commas too.

    `use_kerberos` authenticates by a ticket and by nothing else: a server that wants a password is refused (by libpq 16
    and later). `gssencmode` is then `prefer` unless given, and the user is the ticket's unless one is given. The ticket
    comes from `credential_cache` (`FILE:/run/tickets/datakit`; None: the process's own, `KRB5CCNAME`), or with `keytab`
    from the KDC: fetched when the first connection needs it, again when half of its life is over, and kept in memory,
    unless `credential_cache` says where. `principal` is whose key of the keytab is taken; None means its first.

    A cache and keytab given here are those of this source alone, and safe in threads: the library that libpq uses is told
    for the thread that connects, while it connects. The environment is never changed. `KRB5CCNAME`, `KRB5_CONFIG` and
    `KRB5_CLIENT_KTNAME` count for the whole process: set them before threads start, never around a call.

    `schema` is where tables without a schema are looked up. Timeouts are in seconds: `statement_timeout` is how long one
    statement may run, and so reading one table; `lock_timeout` how long to wait for a lock; None leaves both to the server,
    and 0 is no limit. `parameters` are more of libpq's parameters by its own names, such as `target_session_attrs` or `options`.
    """

    host: str | None = None
    port: int | str | None = None
    database: str | None = None
    username: str | None = None
    password: SecretStr | str | None = None
    service: str | None = None
    passfile: str | None = None
    use_kerberos: bool = False
    gssencmode: str | None = None
    krbsrvname: str | None = None
    credential_cache: str | None = None
    keytab: str | None = None
    principal: str | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    sslpassword: SecretStr | str | None = None
    schema: str = "public"
    connect_timeout: int = 10
    statement_timeout: float | None = None
    lock_timeout: float | None = None
    application_name: str = "datakit"
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        for name in _SECRETS:
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, SecretStr(getattr(self, name)))
        if self.use_kerberos and self.password is not None:
            raise ConfigurationError(
                "a password and Kerberos are both given",
                where=self.address,
                next_step="leave the password out",
            )
        self._refuse_settings_apart()
        for name in _TIMEOUTS:
            if (seconds := getattr(self, name)) is not None and not 0 <= seconds < _LONGEST:
                raise ConfigurationError(
                    f"{name} is no time in seconds",
                    where=self.address,
                    seen=str(seconds),
                    expected=f"0 or more, and less than {_LONGEST}",
                )

    def _refuse_settings_apart(self) -> None:
        """What only makes sense together with another field, or in it."""
        alone = [
            name for name in ("credential_cache", "keytab", "principal") if getattr(self, name) is not None
        ]
        if alone and not self.use_kerberos:
            raise ConfigurationError(
                "a setting for Kerberos is given and Kerberos is not asked for",
                where=self.address,
                seen=", ".join(alone),
                next_step="give use_kerberos=True",
            )
        if self.gssencmode not in (None, *_GSSENCMODES):
            raise ConfigurationError(
                "invalid gssencmode",
                where=self.address,
                seen=self.gssencmode,
                expected="one of " + ", ".join(_GSSENCMODES),
            )
        named = sorted({_FIELDS.get(name, name) for name in self.parameters} & _PARAMETER_FIELDS)
        if named:
            raise ConfigurationError(
                "a parameter has a field of its own",
                where=self.address,
                seen=", ".join(named),
                next_step="give it by the field",
            )

    @classmethod
    def from_url(cls, url: str, **more: Any) -> Self:
        """The source of `postgresql://user:password@host:5432/database?sslmode=require`, or of `host=… dbname=…`.

        `more` are fields, and stand above the URL. Raises ConfigurationError, which shows no part of the URL but the name
        of an option that is not known.
        """
        return cls._from_libpq(parameters_of_url(url), more)

    @classmethod
    def from_env(cls, **more: Any) -> Self:
        """The source that libpq's variables name now: `PGHOST`, `PGSERVICE`, `PGSSLMODE` and all others with a parameter.

        `more` are fields, and stand above the variables. Raises ConfigurationError for a value that is no number.
        """
        return cls._from_libpq(environment_parameters(), more)

    @classmethod
    def from_target(cls, target: _Target, **more: Any) -> Self:
        """The database of a target, which may be a source too. `more` are fields, and stand above the target's.

        A server that is started for the target must run: call `create_engine_for_target` first. Raises
        ConfigurationError for one that does not, and for anything but PostgreSQL.
        """
        if target.type != "postgres":
            raise ConfigurationError("the source is no PostgreSQL", where=target.label, seen=target.type)
        host = target.socket or target.host
        if target.conn_method in ("embedded", "container", "private") and host is None:
            raise ConfigurationError(
                "the server of a target does not run yet",
                where=target.label,
                next_step="start it first: create_engine_for_target(target)",
            )
        place = {"host": host, "port": target.port, "dbname": target.database, "user": target.user}
        given = {name: value for name, value in place.items() if value is not None}
        return cls._from_libpq({**target.options, **given}, {"password": target.password, **more})

    @classmethod
    def _from_libpq(cls, parameters: Mapping[str, Any], more: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {}
        others: dict[str, str] = {}
        for name, value in parameters.items():
            field_name = _FIELDS.get(name, name)
            if name == "port":
                values[name] = int(value) if str(value).isdecimal() else value
            elif name == "connect_timeout":
                values[name] = _whole_number(name, value)
            elif field_name in _PARAMETER_FIELDS:
                values[field_name] = value
            else:
                others[name] = value
        # A password and a ticket exclude one another; what is given explicitly decides.
        if more.get("use_kerberos") and "password" not in more:
            values.pop("password", None)
        return cls(**{**values, "parameters": others, **more})

    @property
    def address(self) -> str:
        """The source without password: safe to show."""
        if self.service and not self.host:
            return f"source service {self.service}"
        user = f"{self.username}@" if self.username else ""
        port = f":{self.port}" if self.port else ""
        return f"source postgresql://{user}{self.host or 'default host'}{port}/{self.database or ''}"

    def resolved(self) -> Self:
        """The same source with what the service file and the environment add, as far as libpq would take it.

        Raises ConfigurationError for a value that cannot be read.
        """
        service = service_parameters(self.service)
        below = {**environment_parameters(), **service}
        for name in (
            "service",
            "connect_timeout",
            "application_name",
            *(_SECRETS if self.use_kerberos else ()),
        ):
            below.pop(name, None)
        found = self._from_libpq(below, {})
        missing = {
            one.name: getattr(found, one.name) for one in fields(self) if getattr(self, one.name) is None
        }
        return replace(self, **missing, parameters={**found.parameters, **self.parameters})

    def libpq_parameters(self, options: str) -> dict[str, Any]:
        """Arguments of psycopg2.connect; `options` are server settings, above those of the user. Secrets are in plain text here."""
        parameters: dict[str, Any] = {
            name: getattr(self, _FIELDS.get(name, name)) for name in sorted(_LIBPQ_NAMES)
        }
        for name in _SECRETS:
            secret = parameters[name]
            parameters[name] = secret.get_secret_value() if isinstance(secret, SecretStr) else None
        if self.use_kerberos:
            parameters["gssencmode"] = self.gssencmode or "prefer"
            if psycopg2.extensions.libpq_version() >= _REQUIRE_AUTH:
                parameters["require_auth"] = "gss"
        found = self.resolved().parameters
        limits = [
            f"-c {name}={round(getattr(self, name) * 1000)}"
            for name in _TIMEOUTS
            if getattr(self, name) is not None
        ]
        parameters = {
            **parameters,
            "client_encoding": "UTF8",
            **{name: value for name, value in _KEEPALIVES.items() if name not in found},
            **self.parameters,
            "options": " ".join(part for part in (found.get("options"), *limits, options) if part),
        }
        return {name: value for name, value in parameters.items() if value is not None}


_OWN_FIELDS = {"use_kerberos", "credential_cache", "keytab", "principal", "schema", "parameters", *_TIMEOUTS}
"""Fields that are no parameters of libpq."""
_PARAMETER_FIELDS = {one.name for one in fields(PostgresConfig)} - _OWN_FIELDS
_LIBPQ_NAMES = {name for name in _PARAMETER_FIELDS if name not in _FIELDS.values()} | set(_FIELDS)


def _whole_number(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigurationError(
            "a connection parameter has the wrong type", where=name, seen="a text", expected="a whole number"
        ) from None
