"""A MySQL or MariaDB database that tests use one after the other: what they left, and how it goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from sqlalchemy import CompoundSelect, Connection, literal, quoted_name, select, table, text, union_all
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Changes, Cleaner, Template
from sqlmodel_framework.engines.live import open_target

__all__ = ["MySQLCleaner", "end_sessions", "wait_shortly"]

_LOCK_WAIT = 20
_ENDING = 10.0
_TERMS = 200
_SESSIONS = text(
    "SELECT id FROM information_schema.processlist WHERE db = :database AND id <> CONNECTION_ID()"
)
# Each view with the column that names the database; of the others those are read that the server has.
_STRUCTURE = {
    ("schemata", "schema_name"): "default_character_set_name default_collation_name",
    ("tables", "table_schema"): (
        "table_name table_type engine row_format table_collation create_options table_comment"
    ),
    ("columns", "table_schema"): (
        "table_name ordinal_position column_name column_type is_nullable column_default collation_name extra"
        " generation_expression column_comment srs_id"
    ),
    ("statistics", "table_schema"): (
        "table_name index_name seq_in_index column_name sub_part collation non_unique index_type index_comment"
        " is_visible ignored expression"
    ),
    ("table_constraints", "table_schema"): "table_name constraint_name constraint_type enforced",
    ("key_column_usage", "table_schema"): (
        "table_name constraint_name ordinal_position column_name referenced_table_schema referenced_table_name"
        " referenced_column_name"
    ),
    ("referential_constraints", "constraint_schema"): "table_name constraint_name update_rule delete_rule",
    ("check_constraints", "constraint_schema"): "table_name constraint_name check_clause",
    ("partitions", "table_schema"): (
        "table_name partition_name subpartition_name partition_method partition_expression partition_description"
    ),
    ("views", "table_schema"): "table_name view_definition check_option security_type definer",
    ("triggers", "trigger_schema"): (
        "trigger_name event_object_table action_order action_timing event_manipulation action_statement sql_mode definer"
    ),
    ("routines", "routine_schema"): (
        "routine_name routine_type dtd_identifier routine_definition is_deterministic sql_data_access security_type"
        " sql_mode routine_comment definer"
    ),
    ("parameters", "specific_schema"): (
        "specific_name routine_type ordinal_position parameter_mode parameter_name dtd_identifier"
    ),
    ("events", "event_schema"): (
        "event_name event_definition event_type execute_at interval_value interval_field starts ends on_completion"
        " event_comment definer"
    ),
}
_KNOWN = text(
    "SELECT LOWER(table_name), LOWER(column_name) FROM information_schema.columns"
    " WHERE table_schema = 'information_schema'"
)
_TABLES = text(
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"
)
_DELETE_TRIGGERS = text(
    "SELECT event_object_table FROM information_schema.triggers"
    " WHERE trigger_schema = DATABASE() AND event_manipulation = 'DELETE'"
)
_COUNTERS = text(
    "SELECT table_name, auto_increment FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND auto_increment > 1"
)
# MySQL shows counters as they were a day ago; MariaDB has no such setting.
_COUNT_NOW = "SET SESSION information_schema_stats_expiry = 0"


class MySQLCleaner(Cleaner):
    """What the catalogue says is compared each time with what it said of the new database: some milliseconds.

    Rows are looked for in all tables, also in those that the datakit's own DDL made.
    """

    def __init__(self, target: TargetConfig, template: Template) -> None:
        super().__init__(target, template)
        self._connection = open_target(target).sql.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._quote = self._connection.dialect.identifier_preparer.quote_identifier
        with suppress(DBAPIError):
            self._connection.exec_driver_sql(_COUNT_NOW)
        wait_shortly(self._connection)
        self._connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        self._types = {str(name): str(kind) for name, kind in self._connection.execute(_TABLES)}
        self._with_triggers = set(self._connection.execute(_DELETE_TRIGGERS).scalars())
        self._given = self._checksums(self._filled())
        self._structure, self._counters = self._read_structure(), self._read_counters()

    def changes(self) -> Changes:
        end_sessions(self._connection, str(self.target.database))
        if self._read_structure() != self._structure or self._checksums(self._given) != self._given:
            return Changes(structure=True)
        filled = [name for name in self._filled() if name not in self._given]
        if any(self._types[name] == "SYSTEM VERSIONED" for name in filled):
            return Changes(structure=True)  # the rows' history cannot be deleted
        now = self._read_counters()
        moved = [name for name in {**self._counters, **now} if now.get(name) != self._counters.get(name)]
        return Changes(tuple(filled), tuple(moved))

    def empty(self, changes: Changes) -> None:
        for name in changes.filled:
            # Deleting takes less time, but it fires triggers.
            verb = "TRUNCATE TABLE" if name in self._with_triggers else "DELETE FROM"
            self._connection.exec_driver_sql(f"{verb} {self._quote(name)}")
        for name in changes.counted:
            count = self._counters.get(name, 1)
            change = (
                "SEQUENCE {} RESTART WITH" if self._types[name] == "SEQUENCE" else "TABLE {} AUTO_INCREMENT ="
            )
            self._connection.exec_driver_sql(f"ALTER {change.format(self._quote(name))} {count}")

    def close(self) -> None:
        self._connection.close()
        self.target.close()

    def _filled(self) -> list[str]:
        """The tables that hold a row."""
        return [str(name) for query in self._rows for name in self._connection.execute(query).scalars()]

    @cached_property
    def _rows(self) -> list[CompoundSelect[Any]]:
        one_each = []
        for name, kind in self._types.items():
            if kind in ("BASE TABLE", "SYSTEM VERSIONED"):
                one = table(quoted_name(name, quote=True))
                rows = select(literal(1)).select_from(one)
                if kind == "SYSTEM VERSIONED":
                    rows = rows.with_hint(one, "FOR SYSTEM_TIME ALL")
                one_each.append(select(literal(name)).where(rows.exists()))
        return [union_all(*one_each[start : start + _TERMS]) for start in range(0, len(one_each), _TERMS)]

    def _checksums(self, names: Iterable[str]) -> Mapping[str, object]:
        """What tells whether the rows of a table are still those that the datakit's DDL wrote."""
        return {
            name: self._connection.exec_driver_sql(f"CHECKSUM TABLE {self._quote(name)}").one()[1]
            for name in names
        }

    def _read_counters(self) -> dict[str, int]:
        """The next number of each table that is not at 1, and of each sequence of MariaDB."""
        found = {str(name): int(number) for name, number in self._connection.execute(_COUNTERS)}
        for name, kind in self._types.items():
            if kind == "SEQUENCE":
                query = f"SELECT next_not_cached_value FROM {self._quote(name)}"  # noqa: S608
                found[name] = int(self._connection.exec_driver_sql(query).scalar_one())
        return found

    def _read_structure(self) -> list[list[str]]:
        return [sorted(map(repr, self._connection.execute(text(query)))) for query in self._queries]

    @cached_property
    def _queries(self) -> list[str]:
        known = {tuple(row) for row in self._connection.execute(_KNOWN)}
        return [
            f"SELECT {', '.join(one for one in columns.split() if (view, one) in known)}"  # noqa: S608
            f" FROM information_schema.{view} WHERE {schema} = DATABASE()"
            for (view, schema), columns in _STRUCTURE.items()
        ]


def wait_shortly(connection: Connection) -> None:
    """Let the session wait twenty seconds for locks of others, where the server's own patience is a day."""
    for name in ("lock_wait_timeout", "innodb_lock_wait_timeout"):
        connection.exec_driver_sql(f"SET SESSION {name} = {_LOCK_WAIT}")


def end_sessions(connection: Connection, database: str) -> None:
    """End all other sessions of a database, and wait ten seconds at most until they are gone.

    Its tables cannot be dropped while one of them is in a transaction.
    """
    ended: set[int] = set()
    end = time.monotonic() + _ENDING
    while time.monotonic() < end:
        found = set(connection.execute(_SESSIONS, {"database": database}).scalars())
        if not found:
            return
        for session in found - ended:
            with suppress(DBAPIError):  # it has ended by itself
                connection.exec_driver_sql(f"KILL {int(session)}")
        ended |= found
        time.sleep(0.005)
