"""The targets that are there without any settings."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DESCRIPTIONS", "PREDEFINED"]

PREDEFINED: Mapping[str, Mapping[str, str]] = {
    "sqlite_memory": {"type": "sqlite", "conn_method": "memory"},
    "sqlite_file": {"type": "sqlite", "conn_method": "file", "database": "datakit.db"},
    "postgres_embedded": {"type": "postgres", "conn_method": "embedded"},
    "postgres_local": {"type": "postgres"},
    "postgres_container": {"type": "postgres", "conn_method": "container"},
    "mysql_local": {"type": "mysql"},
    "mysql_container": {"type": "mysql", "conn_method": "container"},
}

DESCRIPTIONS: Mapping[str, str] = {
    "sqlite_memory": "SQLite in memory: nothing to install, gone when the process ends",
    "sqlite_file": "SQLite in the file datakit.db, or in --database",
    "postgres_embedded": "a private PostgreSQL for this process, from the extra 'embedded'",
    "postgres_local": "a PostgreSQL that runs already: socket or TCP, libpq's environment counts",
    "postgres_container": "PostgreSQL in a container of Docker or Podman, from the extra 'testing'",
    "mysql_local": "a MySQL or MariaDB that runs already: socket or TCP",
    "mysql_container": "MySQL in a container of Docker or Podman, from the extra 'testing'",
}
