"""MySQL, or MariaDB, in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import pymysql

from sqlmodel_framework.engines.containers import ContainerServer, Place

if TYPE_CHECKING:
    from sqlmodel_framework.engines.database_containers import DatabaseContainer

__all__ = ["MySQLServer"]

_OURS = r"SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'datakit\_run\_%'"
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
    )
    options: ClassVar[tuple[str, ...]] = (
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=OFF",
        "--skip-log-bin",
        "--skip-name-resolve",
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
            cursor.execute(_OURS)
            for (abandoned,) in cursor.fetchall():
                cursor.execute("SELECT GET_LOCK(%s, 0)", [abandoned])
                if cursor.fetchone()[0]:
                    self.drop_database(connection, abandoned)
                    cursor.execute("SELECT RELEASE_LOCK(%s)", [abandoned])
            cursor.execute("SELECT GET_LOCK(%s, 0)", [name])
            cursor.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, connection: Any, database: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {database}")

    def others(self, connection: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_OTHERS)
            return int(cursor.fetchone()[0])
