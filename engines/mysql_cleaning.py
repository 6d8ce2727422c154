"""A MySQL or MariaDB database that tests use one after the other: what they left, and how it goes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, delete, text
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Changes, Cleaner, Template
from sqlmodel_framework.engines.live import open_target

__all__ = ["MySQLCleaner", "end_sessions"]

_SESSIONS = text(
    "SELECT id FROM information_schema.processlist WHERE db = :database AND id <> CONNECTION_ID()"
)
_STRUCTURE = tuple(
    text(f"SELECT {columns} FROM information_schema.{view} WHERE {schema} = DATABASE() ORDER BY {columns}")  # noqa: S608
    for view, schema, columns in (
        (
            "tables",
            "table_schema",
            "table_name, table_type, engine, row_format, table_collation, create_options",
        ),
        (
            "columns",
            "table_schema",
            "table_name, ordinal_position, column_name, column_type, is_nullable, column_default, collation_name, extra",
        ),
        (
            "statistics",
            "table_schema",
            "table_name, index_name, seq_in_index, column_name, sub_part, non_unique, index_type",
        ),
        ("table_constraints", "table_schema", "table_name, constraint_name, constraint_type"),
        ("triggers", "trigger_schema", "trigger_name, action_timing, event_manipulation, action_statement"),
        ("routines", "routine_schema", "routine_name, routine_type, routine_definition"),
        ("events", "event_schema", "event_name, event_definition"),
    )
)
_COUNTERS = text(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment > 1"
)
# MySQL shows counters as they were a day ago; MariaDB has no such setting.
_COUNT_NOW = "SET SESSION information_schema_stats_expiry = 0"


class MySQLCleaner(Cleaner):
    """The structure is read from the information schema each time: seven queries, some milliseconds."""

    def __init__(self, target: TargetConfig, template: Template) -> None:
        super().__init__(target, template)
        self._connection = open_target(target).sql.connect().execution_options(isolation_level="AUTOCOMMIT")
        with suppress(DBAPIError):
            self._connection.exec_driver_sql(_COUNT_NOW)
        self._structure = self._read_structure()

    def changes(self) -> Changes:
        end_sessions(self._connection, str(self.target.database))
        if self._read_structure() != self._structure:
            return Changes(structure=True)
        counted = tuple(self._connection.execute(_COUNTERS).scalars())
        return Changes(self.tables_with_rows(self._connection), counted)

    def empty(self, changes: Changes) -> None:
        quote = self._connection.dialect.identifier_preparer.quote_identifier
        self._connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        for table in self.template.tables:
            if table.fullname in changes.filled:
                self._connection.execute(delete(table))
        for name in changes.counted:
            self._connection.exec_driver_sql(f"ALTER TABLE {quote(name)} AUTO_INCREMENT = 1")

    def close(self) -> None:
        self._connection.close()
        self.target.close()

    def _read_structure(self) -> Sequence[object]:
        return [self._connection.execute(query).all() for query in _STRUCTURE]


def end_sessions(connection: Connection, database: str) -> None:
    """End all other sessions of a database: its tables cannot be dropped while one of them is in a transaction."""
    for session in connection.execute(_SESSIONS, {"database": database}).scalars().all():
        with suppress(DBAPIError):  # it has ended by itself
            connection.exec_driver_sql(f"KILL {int(session)}")
