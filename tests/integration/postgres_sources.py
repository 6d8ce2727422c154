"""Sources for tests of the PostgreSQL connector, and what is done to them beside reading."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg2 import sql
from psycopg2.extras import execute_batch
from pydantic import SecretStr

from sqlmodel_framework import PostgresConfig, PostgresConnector, TargetConfig, create_engine_for_target

__all__ = ["PostgresHands", "plain", "postgres_source_on", "reading_processes", "reading_threads", "settled"]


def postgres_source_on(target: TargetConfig) -> PostgresConnector:
    """A connector to the database of a target, whose application name no other has."""
    create_engine_for_target(target)
    return PostgresConnector(PostgresConfig.from_target(target, application_name=f"reader_{uuid4().hex[:8]}"))


def plain(source: PostgresConnector) -> dict[str, Any]:
    """What another process needs to make the same connector, in plain text."""
    names = ("host", "port", "database", "username", "application_name")
    config = source.config
    password = config.password.get_secret_value() if isinstance(config.password, SecretStr) else None
    return {**{name: getattr(config, name) for name in names}, "password": password}


class PostgresHands:
    """What a test does to a source beside reading it: each statement in a transaction of its own."""

    def __init__(self, source: PostgresConnector) -> None:
        self._source = PostgresConnector(replace(source.config, application_name="hands"))
        self._observed = source.config.application_name

    def run(self, *statements: str | sql.Composable) -> None:
        with closing(self._source.get_connection()) as connection:
            connection.autocommit = True
            for statement in statements:
                connection.cursor().execute(statement)

    def insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row, in one transaction."""
        with closing(self._source.get_connection()) as connection, connection, connection.cursor() as cursor:
            for row in rows:
                cursor.execute(statement, row)

    def insert_many(self, statement: sql.Composable, rows: Sequence[Sequence[Any]]) -> None:
        """The same for many rows, some thousand at a time."""
        with closing(self._source.get_connection()) as connection, connection, connection.cursor() as cursor:
            execute_batch(cursor, statement, rows, page_size=2000)

    def fetch(
        self, statement: str, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> list[tuple[Any, ...]]:
        """The driver's own reading; for several sets of values the rows of all."""
        with closing(self._source.get_connection()) as connection:
            cursor = connection.cursor()
            rows: list[tuple[Any, ...]] = []
            for one in [values] if values is None or isinstance(values, Mapping) else values:
                cursor.execute(statement, one)
                rows += cursor.fetchall()
            return rows

    def sessions(self) -> list[str]:
        """What the server is doing for the observed source."""
        found = self.fetch(
            "SELECT query FROM pg_stat_activity WHERE application_name = %(name)s", {"name": self._observed}
        )
        return [str(query) for (query,) in found]

    def left_alone(self) -> bool:
        """Whether every connection, thread and process of the observed source is gone; a server notices a moment later."""
        return settled(lambda: not (self.sessions() or reading_threads() or reading_processes()))


def settled(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether a condition comes about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def reading_threads() -> list[str]:
    return [
        one.name for one in threading.enumerate() if one.name.startswith(("datakit-copy", "datakit-decode"))
    ]


def reading_processes() -> list[int]:
    """Reading processes of this one, living or not waited for (Linux)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and "postgres_worker" in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found
