"""Connections to servers that were started for a target: libpq's variables are about servers of the user, and do not count."""

from __future__ import annotations

import os
from typing import Any

from psycopg2.extensions import libpq_version

from sqlmodel_framework.base.connectors.libpq_parameters import environment_parameters

__all__ = ["set_utc", "without_environment"]

# What libpq takes where nobody says anything; an empty text stands for none.
_USUAL = {
    "channel_binding": "prefer",
    "gssencmode": "disable",
    "hostaddr": "",
    "krbsrvname": "postgres",
    "options": "",
    "requirepeer": "",
    "ssl_max_protocol_version": "",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcert": "",
    "sslcompression": "0",
    "sslcrl": "",
    "sslcrldir": "",
    "sslkey": "",
    "sslmode": "prefer",
    "sslrootcert": "",
    "sslsni": "1",
    "target_session_attrs": "any",
}
_SINCE_17 = {
    "gssdelegation": "0",
    "load_balance_hosts": "disable",
    # No text stands for none here.
    "require_auth": "password,md5,scram-sha-256,none",
    "sslcertmode": "allow",
    "sslnegotiation": "postgres",
}


def without_environment() -> dict[str, Any]:
    """Parameters that put libpq's usual values above those of the environment; a service may set any of them.

    Who connects gives host, port, user, password and database himself.
    """
    usual = {**_USUAL, **(_SINCE_17 if libpq_version() >= 170000 else {})}
    encoding = {"client_encoding": "UTF8"} if os.environ.get("PGCLIENTENCODING") else {}
    if os.environ.get("PGSERVICE"):
        return {**usual, **encoding}
    named = environment_parameters()
    return {**{name: value for name, value in usual.items() if name in named}, **encoding}


def set_utc(connection: Any, _: object = None) -> None:
    """Set a new connection's time zone: `PGTZ` is sent beside the options, and would win."""
    if os.environ.get("PGTZ"):
        before, connection.autocommit = connection.autocommit, True
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone TO 'UTC'")
        connection.autocommit = before
