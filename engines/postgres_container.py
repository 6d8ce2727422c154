"""PostgreSQL in a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import psycopg2
from psycopg2 import sql

from sqlmodel_framework.engines.containers import ContainerServer, Place
from sqlmodel_framework.engines.libpq_isolation import without_environment
from sqlmodel_framework.engines.system_databases import OF_POSTGRES

if TYPE_CHECKING:
    from sqlmodel_framework.engines.database_containers import DatabaseContainer

__all__ = ["PostgresServer"]

_OURS = "SELECT datname FROM pg_catalog.pg_database WHERE datname LIKE 'datakit\\_run\\_%'"
_OTHERS = """
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
"""


class PostgresServer(ContainerServer):
    """PostgreSQL. A database is held by an advisory lock, which ends with the session."""

    kind = "postgres"
    name = "PostgreSQL"
    image = "postgres:15.8"
    port = 5432
    user = "postgres"
    login_variable = "POSTGRES_PASSWORD"
    own_variables = frozenset(
        {"PGPORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}
    )
    own_settings = frozenset({"port", "listen_addresses"})
    short_settings: ClassVar[Mapping[str, str]] = {"-p": "port", "-h": "listen_addresses"}
    system_databases = OF_POSTGRES
    others_ask_for: ClassVar[Mapping[str, str]] = {
        "MYSQL_ROOT_PASSWORD": "MySQL",
        "MARIADB_ROOT_PASSWORD": "MariaDB",
    }
    options: ClassVar[tuple[str, ...]] = tuple(
        word
        for setting in (
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_locks_per_transaction=1024",
        )
        for word in ("-c", setting)
    )
    driver_error = psycopg2.Error

    def container(self, image: str, password: str, database: str, **arguments: Any) -> DatabaseContainer:
        from sqlmodel_framework.engines.database_containers import PostgreSQLContainer

        return PostgreSQLContainer(image, username=self.user, password=password, dbname=database, **arguments)

    def connect(self, place: Place, *, patience: int = 2) -> Any:
        connection = psycopg2.connect(
            host=place.host,
            port=place.port,
            user=place.user,
            password=place.password.get_secret_value(),
            dbname=place.database,
            connect_timeout=patience,
            application_name="datakit",
            **without_environment(),
        )
        connection.autocommit = True
        return connection

    def is_in_vain(self, exc: Exception) -> str | None:
        # libpq looks for the service before it looks at anything else.
        words = str(exc)
        return (
            "unset PGSERVICE"
            if "PGSERVICE" in os.environ and "service" in words and "not found" in words
            else None
        )

    def is_it(self, version: str) -> bool:
        return version.startswith("PostgreSQL")

    def create_database(self, connection: Any) -> str:
        name = f"datakit_run_{uuid4().hex[:12]}"
        with connection.cursor() as cursor:
            cursor.execute(_OURS)
            for (abandoned,) in cursor.fetchall():
                cursor.execute("SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext(%s))", [abandoned])
                if cursor.fetchone()[0]:
                    self.drop_database(connection, abandoned)
                    cursor.execute(
                        "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext(%s))", [abandoned]
                    )
            cursor.execute("SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext(%s))", [name])
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop_database(self, connection: Any, database: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
        with connection.cursor() as cursor:
            cursor.execute(statement)

    def others(self, connection: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_OTHERS)
            return int(cursor.fetchone()[0])
