"""A PostgreSQL database that tests use one after the other: what they left, and how it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, column, delete, literal, select, table, text, union_all

from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.fresh import Changes, Cleaner, Template
from sqlmodel_framework.engines.live import open_target

__all__ = ["PostgresCleaner"]

_END_OTHERS = text(
    "SELECT count(pg_catalog.pg_terminate_backend(pid, 5000)) FROM pg_catalog.pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend'"
)
# Any statement that changes the structure writes rows of these, with a new xmin; deleted ones change the count.
_CATALOGS = (
    "attrdef attribute cast class collation constraint conversion default_acl depend description enum event_trigger"
    " extension foreign_data_wrapper foreign_server foreign_table index inherits language largeobject_metadata namespace"
    " opclass operator policy proc publication range rewrite sequence statistic_ext trigger ts_config type"
)
_ROWS_OF = "SELECT ('{name}', count(*), sum(xmin::text::bigint))::text FROM pg_catalog.pg_{name}"
_SETTINGS = (
    "SELECT ('settings', count(*), sum(s.xmin::text::bigint))::text FROM pg_catalog.pg_db_role_setting s"
    " JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()"
)
_STRUCTURE = text(
    " UNION ALL ".join([*(_ROWS_OF.format(name=name) for name in _CATALOGS.split()), _SETTINGS])
)
_SEQUENCES = text("SELECT schemaname, sequencename FROM pg_catalog.pg_sequences ORDER BY 1, 2")
_SET = text("SELECT pg_catalog.setval(CAST(:name AS regclass), :value, :called)")
_VALUES: tuple[str, ...] = ("last_value", "is_called")
_TERMS = 400
_GROWN_TO = 262_144
_GROWN = text(
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE pg_catalog.pg_relation_size(name::regclass) > :size"
)
# Without it foreign keys and triggers hinder the deletion.
_MAY_SKIP_KEYS = text("SELECT current_setting('is_superuser')::bool")


class PostgresCleaner(Cleaner):
    """Whether the structure changed is told by the catalogs' rows, so functions, rights and settings count too."""

    def __init__(self, target: TargetConfig, template: Template) -> None:
        super().__init__(target, template)
        self._connection = open_target(target).sql.connect()
        with self._connection.begin():
            self._structure = self._read_structure()
            self._value_queries = self._queries_for_values()
            self._counters = self._read_counters()

    def changes(self) -> Changes:
        with self._connection.begin():
            self._connection.execute(_END_OTHERS)
            if self._read_structure() != self._structure:
                return Changes(structure=True)
            counters = self._read_counters()
            moved = tuple(name for name, counter in counters.items() if counter != self._counters[name])
            return Changes(self.tables_with_rows(self._connection), moved)

    def empty(self, changes: Changes) -> None:
        """Delete the rows, or truncate: that takes longer, but for tables that have grown."""
        with self._connection.begin():
            named = self._connection.dialect.identifier_preparer.format_table
            filled = {named(one): one for one in self.template.tables if one.fullname in changes.filled}
            truncated = self._to_be_truncated(list(filled))
            for name, one in filled.items():
                if name not in truncated:
                    self._connection.execute(delete(one))
            if truncated:
                self._connection.exec_driver_sql(f"TRUNCATE {', '.join(truncated)} CASCADE")
            if changes.counted:
                self._connection.execute(_SET, [self._counter(name) for name in changes.counted])
            if truncated:
                self._structure = self._read_structure()

    def close(self) -> None:
        self._connection.close()
        self.target.close()

    def _to_be_truncated(self, names: Sequence[str]) -> Sequence[str]:
        if not self._connection.execute(_MAY_SKIP_KEYS).scalar_one():
            return names
        self._connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        return self._connection.execute(_GROWN, {"names": names, "size": _GROWN_TO}).scalars().all()

    def _read_structure(self) -> Sequence[str]:
        return self._connection.execute(_STRUCTURE).scalars().all()

    def _queries_for_values(self) -> list[CompoundSelect[Any]]:
        """The values of all sequences; the view of sequences does not tell one that was set from an unused one."""
        named = self._connection.dialect.identifier_preparer.format_table
        found = self._connection.execute(_SEQUENCES).all()
        sequences = [table(name, *map(column, _VALUES), schema=schema) for schema, name in found]
        one_each = [select(literal(named(one)), *one.columns) for one in sequences]
        return [union_all(*one_each[start : start + _TERMS]) for start in range(0, len(one_each), _TERMS)]

    def _read_counters(self) -> dict[str, tuple[int, bool]]:
        rows = [row for query in self._value_queries for row in self._connection.execute(query)]
        return {name: (value, called) for name, value, called in rows}

    def _counter(self, name: str) -> dict[str, object]:
        value, called = self._counters[name]
        return {"name": name, "value": value, "called": called}
