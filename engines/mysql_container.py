"""MySQL, or MariaDB, in a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pymysql

from sqlmodel_framework.engines.containers import ContainerServer, Place
from sqlmodel_framework.engines.system_databases import OF_MYSQL

if TYPE_CHECKING:
    from sqlmodel_framework.engines.database_containers import DatabaseContainer

__all__ = ["MySQLServer"]

_OURS = r"SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'datakit\_run\_%'"
_SCHEMAS = r"""
SELECT schema_name FROM information_schema.schemata
WHERE schema_name NOT IN %s AND schema_name <> 'datakit' AND schema_name NOT LIKE 'datakit\_%%'
"""
_PATIENCE = 30
_OTHERS = """
SELECT count(*) FROM information_schema.processlist
WHERE id <> CONNECTION_ID() AND command <> 'Daemon' AND user NOT IN ('system user', 'event_scheduler')
"""


class MySQLServer(ContainerServer):
    """MySQL. A database is held by a lock of its name, which ends with the session. Schemas of kits are databases, so the user is root."""

    kind = "mysql"
    name = "MySQL"
    image = "mysql:8.0"
    port = 3306
    user = "root"
    login_variable = "MYSQL_ROOT_PASSWORD"
    own_variables = frozenset(
        f"{brand}_{name}{ending}"
        for brand in ("MYSQL", "MARIADB")
        for name in (
            "ROOT_PASSWORD",
            "DATABASE",
            "USER",
            "PASSWORD",
            "ALLOW_EMPTY_PASSWORD",
            "RANDOM_ROOT_PASSWORD",
        )
        for ending in ("", "_FILE")
    ) | {"MYSQL_TCP_PORT"}
    own_settings = frozenset({"port", "bind_address", "skip_networking"})
    short_settings: ClassVar[Mapping[str, str]] = {"-P": "port"}
    system_databases = OF_MYSQL
    others_ask_for: ClassVar[Mapping[str, str]] = {"POSTGRES_PASSWORD": "PostgreSQL"}
    options: ClassVar[tuple[str, ...]] = (
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=OFF",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
    )
    driver_error = pymysql.MySQLError

    def container(self, image: str, password: str, database: str, **arguments: Any) -> DatabaseContainer:
        from sqlmodel_framework.engines.database_containers import MySQLContainer

        return MySQLContainer(image, username=self.user, password=password, dbname=database, **arguments)

    def connect(self, place: Place, *, patience: int = 2) -> Any:
        return pymysql.connect(
            host=place.host,
            port=place.port,
            user=place.user,
            password=place.password.get_secret_value(),
            database=place.database,
            connect_timeout=patience,
            read_timeout=patience,
            autocommit=True,
            # A connection that holds a database is idle for the length of a run.
            init_command="SET SESSION wait_timeout = 2147483",
        )

    def is_it(self, version: str) -> bool:
        return version[:1].isdigit()

    def create_database(self, connection: Any) -> str:
        name = f"datakit_run_{uuid4().hex[:12]}"
        with connection.cursor() as cursor:
            # One run at a time: who is alone drops the schemas of runs that are gone, and nobody makes new ones meanwhile.
            cursor.execute("SELECT GET_LOCK('datakit_run', %s)", [_PATIENCE])
            (locked,) = cursor.fetchone()
            if not self._drop_abandoned(connection, cursor) and locked:
                self._drop_schemas(connection, cursor)
            cursor.execute("SELECT GET_LOCK(%s, 0)", [name])
            cursor.execute(f"CREATE DATABASE {name}")
            cursor.execute("SELECT RELEASE_LOCK('datakit_run')")
        return name

    def _drop_abandoned(self, connection: Any, cursor: Any) -> int:
        """Drop the databases of runs that are gone; gives the number of those that live."""
        cursor.execute(_OURS)
        living = 0
        for (one,) in cursor.fetchall():
            cursor.execute("SELECT GET_LOCK(%s, 0)", [one])
            if cursor.fetchone()[0]:
                self.drop_database(connection, one)
                cursor.execute("SELECT RELEASE_LOCK(%s)", [one])
            else:
                living += 1
        return living

    def _drop_schemas(self, connection: Any, cursor: Any) -> None:
        """Drop the named schemas that runs made: whatever is neither the server's own nor named by us: those have owners too."""
        cursor.execute(_SCHEMAS, [OF_MYSQL])
        for (schema,) in cursor.fetchall():
            self.drop_database(connection, schema)

    def drop_database(self, connection: Any, database: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS `{}`".format(database.replace("`", "``")))

    def others(self, connection: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_OTHERS)
            return int(cursor.fetchone()[0])
