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
    `ssl=True` encrypts without checking anything. Timeouts are in seconds: `connect_timeout`, `read_timeout` for silence
    of the server, `statement_timeout` for one statement; None is no limit.
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
    application_name: str = "datakit"
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        if isinstance(self.password, str):
            object.__setattr__(self, "password", SecretStr(self.password))
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, int):
                object.__setattr__(self, name, _whole_number(name, value, self.address))
        if self.ssl is False and (self.ssl_ca or self.ssl_cert or self.ssl_key):
            raise ConfigurationError(
                "TLS is switched off, and settings for it are given",
                where=self.address,
                next_step="leave ssl out, or the certificates",
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
        allowed = {one.name for one in fields(cls)} - {"parameters", "password"}
        unknown = sorted(set(query) - allowed)
        if unknown:
            raise ConfigurationError(
                "unknown option in the URL",
                where="source",
                seen=", ".join(unknown),
                expected=", ".join(sorted(allowed)),
            )
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
        if not (self.ssl or self.ssl_ca or self.ssl_cert):
            return {}
        if not self.ssl_ca:
            certificates = {"cert": self.ssl_cert, "key": self.ssl_key}
            given = {name: value for name, value in certificates.items() if value}
            return {"ssl": {"check_hostname": False, "verify_mode": False, **given}}
        return {
            "ssl_ca": self.ssl_ca,
            "ssl_cert": self.ssl_cert,
            "ssl_key": self.ssl_key,
            "ssl_verify_cert": True,
            "ssl_verify_identity": self.ssl_verify_identity is not False,
        }


def _whole_number(name: str, value: object, where: str) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigurationError(
            "a connection parameter has the wrong type",
            where=f"{where}, {name}",
            seen="a text",
            expected="a whole number",
        ) from None
