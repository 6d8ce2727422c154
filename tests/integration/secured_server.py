"""The PostgreSQL that asks for tickets and certificates, and its KDC, as .ci/services starts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from sqlmodel_framework import PostgresConfig

__all__ = ["SecuredServer", "false_clock"]


@dataclass(frozen=True)
class SecuredServer:
    """`folder` holds krb5.conf, keytabs and certificates. Roles say how they are let in, see pg_hba.conf in .ci/services."""

    folder: Path
    port: int
    socket: str

    password = "postgres-test-secret"

    def file(self, name: str) -> str:
        """The path of a keytab or certificate."""
        return str(self.folder / name)

    def config(self, **fields: Any) -> PostgresConfig:
        """The server by its name, as nobody in particular."""
        return PostgresConfig(**{"host": "localhost", "port": self.port, "database": "postgres", **fields})

    def with_keytab(self, of: str = "alice", **fields: Any) -> PostgresConfig:
        """The server by a ticket that its keytab fetches."""
        return self.config(**{"use_kerberos": True, "keytab": self.file(f"{of}.keytab"), **fields})

    def kinit(
        self, cache: Path, principal: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> str:
        """Get a ticket as a user does; gives the name of the cache."""
        keytab = self.file(f"{principal.partition('@')[0]}.keytab")
        subprocess.run(
            ["kinit", *options, "-k", "-t", keytab, "-c", f"FILE:{cache}", principal],
            env={**os.environ, **(environment or {})},
            check=True,
            capture_output=True,
        )
        return f"FILE:{cache}"

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the administrator, by the socket."""
        with closing(
            psycopg2.connect(host=self.socket, port=self.port, user="datakit_admin", dbname=database)
        ) as connection:
            connection.autocommit = True
            for statement in statements:
                connection.cursor().execute(statement)


def false_clock(offset: str) -> dict[str, str]:
    """The environment of a program that sees another time, such as `-1h`; skips the test where that cannot be had."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        reason = "libfaketime is not installed"
        pytest.fail(reason) if os.environ.get("DATAKIT_REQUIRE_SERVICES") else pytest.skip(reason)
    return {**os.environ, "LD_PRELOAD": str(found[0]), "FAKETIME": offset}
