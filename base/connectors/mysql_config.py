"""How to reach a MySQL or MariaDB source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self

from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["MySQLConfig"]

# What the client programs of MySQL read.
_VARIABLES = {
    "MYSQL_HOST": "host",
    "MYSQL_TCP_PORT": "port",
    "MYSQL_UNIX_PORT": "socket",
    "MYSQL_PWD": "password",
}
_NUMBERS = ("port", "connect_timeout", "read_timeout")
_SECONDS = ("statement_timeout", "lock_timeout")
_SWITCHES = ("ssl", "ssl_verify_identity")
_SWITCH_WORDS = {"true": True, "1": True, "false": False, "0": False}
# The connector reads by these.
_OWN_PARAMETERS = ("charset", "conv", "cursorclass", "init_command", "use_unicode")
_DRIVERS = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")


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
class MySQLConfig:
    """How to reach a MySQL or MariaDB source.

    `socket` is the path of a Unix socket, and stands in place of host and port. `option_file` is a file as the client
    programs read it, such as `~/.my.cnf`, of which the group `option_group` counts; what is given here stands above it.

    `ssl_ca` has the server checked against this authority, and its name, too, unless `ssl_verify_identity` is False;
    `ssl_verify_identity=True` alone checks both against the authorities of the system. `ssl=True` encrypts without checking
    anything. Timeouts are in seconds: `connect_timeout`, `read_timeout` for silence of the server, `statement_timeout` for
    one statement, `lock_timeout` for a lock on a table; None leaves them to the server.
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None
    username: str | None = None
    password: SecretStr | str | None = None
    socket: str | None = None
    option_file: str | None = None
    option_group: str = "client"
    ssl: bool | None = None
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    ssl_verify_identity: bool | None = None
    connect_timeout: int = 10
    read_timeout: int | None = None
    statement_timeout: float | None = None
    lock_timeout: float | None = None
    application_name: str = "datakit"
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        if isinstance(self.password, str):
            object.__setattr__(self, "password", SecretStr(self.password))
        for names, read in ((_NUMBERS, _whole_number), (_SECONDS, _seconds), (_SWITCHES, _switch)):
            for name in names:
                if (value := getattr(self, name)) is not None:
                    object.__setattr__(self, name, read(value, f"{self.address}, {name}"))
        self._refuse_settings_apart()

    def _refuse_settings_apart(self) -> None:
        """What contradicts another field, or has one."""
        if self.ssl is False and (self.ssl_ca or self.ssl_cert or self.ssl_key or self.ssl_verify_identity):
            raise ConfigurationError(
                "TLS is switched off, and settings for it are given",
                where=self.address,
                next_step="leave ssl out, or the certificates",
            )
        if self.ssl_key and not self.ssl_cert:
            raise ConfigurationError(
                "a key is given without its certificate", where=self.address, next_step="give ssl_cert"
            )
        if own := sorted({*self.parameters} & {*_OWN_PARAMETERS}):
            raise ConfigurationError(
                "a parameter of the driver is the connector's own",
                where=self.address,
                seen=", ".join(own),
                next_step="leave it out",
            )

    @classmethod
    def from_url(cls, url: str, **more: Any) -> Self:
        """The source of `mysql://user:password@host:3306/database?ssl_ca=/path`. `more` are fields, and stand above the URL.

        Raises ConfigurationError, which shows no part of the URL but the name of an option that is not known.
        """
        try:
            parts = make_url(url)
        except (ArgumentError, ValueError):
            raise ConfigurationError(
                "this is no URL", where="source", expected="mysql://user:password@host:3306/database"
            ) from None
        if parts.drivername not in _DRIVERS:
            raise ConfigurationError(
                "the URL is of no MySQL", where="source", seen=parts.drivername, expected="mysql or mariadb"
            )
        query = {name: value for name, value in parts.query.items() if name != "charset"}
        if "unix_socket" in query:
            query["socket"] = query.pop("unix_socket")
        _refuse_unknown(query, "source")
        place = {
            "host": parts.host,
            "port": parts.port,
            "database": parts.database,
            "username": parts.username,
            "password": parts.password,
        }
        given = {name: value for name, value in place.items() if value}
        return cls(**{**query, **given, **more})

    @classmethod
    def from_env(cls, **more: Any) -> Self:
        """The source that the variables of MySQL's client programs name now: MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_UNIX_PORT and
        MYSQL_PWD. `more` are fields, and stand above the variables.
        """
        found = {
            name: os.environ[variable] for variable, name in _VARIABLES.items() if os.environ.get(variable)
        }
        return cls(**{**found, **more})

    @classmethod
    def from_target(cls, target: _Target, **more: Any) -> Self:
        """The database of a target, which may be a source too. `more` are fields, and stand above the target's.

        A server that is started for the target must run: call `create_engine_for_target` first. Raises
        ConfigurationError for one that does not, and for anything but MySQL.
        """
        if target.type != "mysql":
            raise ConfigurationError("the source is no MySQL", where=target.label, seen=target.type)
        if target.conn_method in ("container", "private") and not (target.socket or target.host):
            raise ConfigurationError(
                "the server of a target does not run yet",
                where=target.label,
                next_step="start it first: create_engine_for_target(target)",
            )
        given = {
            "host": None if target.socket else target.host,
            "port": target.port,
            "database": target.database,
            "username": target.user,
            "password": target.password,
            "socket": target.socket,
        }
        options = {
            name: value for name, value in target.options.items() if name not in ("charset", "write_timeout")
        }
        _refuse_unknown(options, target.label)
        return cls(**{**options, **given, **more})

    @property
    def address(self) -> str:
        """The source without password: safe to show."""
        user = f"{self.username}@" if self.username else ""
        place = self.socket or self.host or ("option file" if self.option_file else "default host")
        port = f":{self.port}" if self.port and not self.socket else ""
        return f"source mysql://{user}{place}{port}/{self.database or ''}"

    def driver_parameters(self) -> dict[str, Any]:
        """Arguments of pymysql.connect. The password is in plain text here."""
        # The driver would write a text as Latin-1.
        password = self.password.get_secret_value().encode() if isinstance(self.password, SecretStr) else None
        given = {
            "host": self.host or (None if self.socket or self.option_file else "127.0.0.1"),
            "port": self.port,
            "user": self.username,
            "password": password,
            "database": self.database,
            "unix_socket": self.socket,
            "read_default_file": self.option_file,
            "read_default_group": self.option_group if self.option_file else None,
            "connect_timeout": self.connect_timeout,
            "read_timeout": self.read_timeout,
            "program_name": self.application_name,
            "charset": "utf8mb4",
            **self._tls(),
            **self.parameters,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _tls(self) -> dict[str, Any]:
        if self.ssl is False:
            return {"ssl_disabled": True}
        certificates = {"ssl_cert": self.ssl_cert, "ssl_key": self.ssl_key}
        if self.ssl_ca or self.ssl_verify_identity:
            named = self.ssl_verify_identity is not False
            return {
                "ssl_ca": self.ssl_ca,
                "ssl_verify_cert": True,
                "ssl_verify_identity": named,
                **certificates,
            }
        if not (self.ssl or self.ssl_cert):
            return {}
        given = {name.removeprefix("ssl_"): value for name, value in certificates.items() if value}
        return {"ssl": {"check_hostname": False, "verify_mode": False, **given}}


def _refuse_unknown(options: Mapping[str, Any], where: str) -> None:
    allowed = {one.name for one in fields(MySQLConfig)} - {"parameters", "password"}
    if unknown := sorted(set(options) - allowed):
        raise ConfigurationError(
            "unknown option of a MySQL source",
            where=where,
            seen=", ".join(unknown),
            expected=", ".join(sorted(allowed)),
        )


def _wrong_type(where: str, expected: str) -> ConfigurationError:
    return ConfigurationError(
        "a connection parameter has the wrong type", where=where, seen="something else", expected=expected
    )


def _whole_number(value: object, where: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise _wrong_type(where, "a whole number above 0") from None
    if number < 1:
        raise _wrong_type(where, "a whole number above 0")
    return number


def _seconds(value: object, where: str) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        raise _wrong_type(where, "a number of seconds, 0.001 or more") from None
    if not 0.001 <= seconds < 1e6:
        raise _wrong_type(where, "a number of seconds, 0.001 or more")
    return seconds


def _switch(value: object, where: str) -> bool:
    found = _SWITCH_WORDS.get(str(value).lower())
    if found is None:
        raise _wrong_type(where, "true or false")
    return found
