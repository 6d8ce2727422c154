"""The rows of `information_schema` on MySQL and MariaDB, by table, with names as the classes have them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, column, select, table, text

from sqlmodel_framework.base.errors import DeploymentError, TryAgainError
from sqlmodel_framework.engines.ddl import plain_dialect
from sqlmodel_framework.engines.reading import Places, TableKey

__all__ = ["Catalogue", "CopyPlaces", "Names", "Physical", "Row", "default_collations"]

Row = Mapping[Any, Any]
Physical = tuple[str, str]
"""Database and table as the server names them."""

_CHUNK = 5000
_TABLES = "TABLE_SCHEMA TABLE_NAME TABLE_TYPE ENGINE ROW_FORMAT TABLE_COLLATION CREATE_OPTIONS TABLE_COMMENT"
_COLUMNS = (
    "TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION COLUMN_DEFAULT IS_NULLABLE DATA_TYPE COLUMN_TYPE"
    " CHARACTER_SET_NAME COLLATION_NAME EXTRA COLUMN_COMMENT GENERATION_EXPRESSION SRS_ID"
)
_STATISTICS = (
    "TABLE_SCHEMA TABLE_NAME INDEX_NAME SEQ_IN_INDEX NON_UNIQUE COLUMN_NAME COLLATION SUB_PART INDEX_TYPE"
    " EXPRESSION IS_VISIBLE IGNORED"
)
_KEYS = (
    "TABLE_SCHEMA TABLE_NAME CONSTRAINT_NAME ORDINAL_POSITION COLUMN_NAME"
    " REFERENCED_TABLE_SCHEMA REFERENCED_TABLE_NAME REFERENCED_COLUMN_NAME"
)
_RULES = "CONSTRAINT_SCHEMA TABLE_NAME CONSTRAINT_NAME UPDATE_RULE DELETE_RULE"
_CHECKS = "CONSTRAINT_SCHEMA TABLE_NAME CONSTRAINT_NAME CHECK_CLAUSE"
_CONSTRAINTS = "TABLE_SCHEMA TABLE_NAME CONSTRAINT_NAME CONSTRAINT_TYPE ENFORCED"
_PARTITIONS = (
    "TABLE_SCHEMA TABLE_NAME PARTITION_ORDINAL_POSITION PARTITION_NAME PARTITION_METHOD PARTITION_EXPRESSION"
    " PARTITION_DESCRIPTION SUBPARTITION_ORDINAL_POSITION SUBPARTITION_METHOD SUBPARTITION_EXPRESSION"
)
_LOCKED = {1205, 1213, 1412}


@dataclass(frozen=True)
class CopyPlaces(Places):
    """Copies in the target's own database: `constraints` gives the class's name for a name that had to be another."""

    constraints: Mapping[str, str] = field(default_factory=dict)


def default_collations(connection: Connection, schemas: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Default charset and collation of those of the databases that exist."""
    source = table(
        "SCHEMATA",
        column("SCHEMA_NAME"),
        column("DEFAULT_CHARACTER_SET_NAME"),
        column("DEFAULT_COLLATION_NAME"),
        schema="information_schema",
    )
    rows = connection.execute(select(source).where(source.c.SCHEMA_NAME.in_(sorted(schemas))))
    return {name: (charset, collation) for name, charset, collation in rows.all()}


class Names:
    """Names of the server to names of the classes."""

    def __init__(self, connection: Connection, keys: Sequence[TableKey], places: Places) -> None:
        self.mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        self.quote = plain_dialect(connection.dialect).identifier_preparer.quote
        lower = connection.exec_driver_sql("SELECT @@lower_case_table_names").scalar_one()
        self.fold: Callable[[str], str] = str.lower if lower else str
        self._keys: dict[Physical, list[TableKey]] = defaultdict(list)
        for key in dict.fromkeys([*keys, *places.names]):
            place = places.schemas.get(key[0], key[0])
            if place is not None:
                self._keys[self.fold(place), self.fold(places.name_of(key))].append(key)
        self.wanted = set(keys)
        self._schemas = {self.fold(p): s for s, p in reversed(list(places.schemas.items())) if p is not None}
        self.constraints = places.constraints if isinstance(places, CopyPlaces) else {}

    def scope(self) -> tuple[list[str], list[str]]:
        """Databases and table names to read."""
        return sorted({schema for schema, _ in self._keys}), sorted({name for _, name in self._keys})

    def keys(self, schema: str, name: str) -> list[TableKey]:
        """The wanted tables that stand under this name."""
        return [k for k in self._keys.get((self.fold(schema), self.fold(name)), ()) if k in self.wanted]

    def referred(self, schema: str, name: str) -> str:
        """A table as a foreign key of a class would name it."""
        keys = self._keys.get((self.fold(schema), self.fold(name)))
        key = keys[0] if keys else (self._schemas.get(self.fold(schema), schema), name)
        return ".".join(self.quote(part) for part in key if part)

    def constraint(self, name: str, physical: Physical) -> str:
        """A constraint's name as the class or the server would give it to the table of the class."""
        if name in self.constraints:
            return self.constraints[name]
        keys = self._keys.get((self.fold(physical[0]), self.fold(physical[1])))
        if keys and name.startswith(f"{physical[1]}_"):
            return keys[0][1] + name.removeprefix(physical[1])
        return name

    def expression(self, printed: str) -> str:
        """An expression without the names of scratch places, and without what depends on the session that wrote it."""
        found = printed if self.mariadb else _INTRODUCER.sub("", re.sub(r"\\(['\\])", r"\1", printed))
        for place, schema in self._schemas.items():
            found = found.replace(f"`{place}`.", f"`{schema}`." if schema else "")
        for name, real in self.constraints.items():
            found = found.replace(f"`{name}`", f"`{real}`")
        return found


_INTRODUCER = re.compile(r"(?<![\w`'\"])_(?:utf8mb4|utf8mb3|utf8|latin1|ascii)(?=')")


class Catalogue:
    """The rows of `information_schema`, by table."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self.names = names
        self._connection = connection
        self._known = self._columns_of_views()
        # COLUMNS comes first: it fails for a locked table, where TABLES gives a row full of NULL.
        self.columns = self._rows("COLUMNS", _COLUMNS, "ORDINAL_POSITION")
        self.tables = self._rows("TABLES", _TABLES)
        self._refuse_unreadable()
        self.defaults = default_collations(connection, {schema for schema, _ in self.tables})
        self.statistics = self._rows("STATISTICS", _STATISTICS, "SEQ_IN_INDEX")
        self.keys = self._rows("KEY_COLUMN_USAGE", _KEYS, "ORDINAL_POSITION")
        self.rules = self._rules()
        self.checks = self._checks()
        partitioned = any("partitioned" in (row["CREATE_OPTIONS"] or "") for row in self._table_rows())
        self.partitions = self._rows("PARTITIONS", _PARTITIONS) if partitioned else {}
        self.sequences = self._sequences()

    def sequence_of(self, default: object) -> str | None:
        """The options of the sequence that a default takes its values from."""
        found = _NEXT_VALUE.fullmatch(str(default))
        return self.sequences.get(found[1]) if found else None

    def found(self) -> dict[Physical, list[TableKey]]:
        """The wanted tables that are there."""
        found = {physical: self.names.keys(*physical) for physical in self.tables}
        return {physical: keys for physical, keys in found.items() if keys}

    def _table_rows(self) -> list[Row]:
        return [rows[0] for rows in self.tables.values()]

    def _columns_of_views(self) -> set[tuple[str, str]]:
        """What this server's `information_schema` has: it differs between versions."""
        rows = self._connection.execute(_VIEWS)
        return {(str(view).upper(), str(name).upper()) for view, name in rows}

    def _rows(self, view: str, names: str, order: str | None = None) -> dict[Physical, list[Row]]:
        """Rows of a view by database and table. Sorted here: the server would sort on disk, for the long texts."""
        wanted = [name for name in names.split() if (view, name) in self._known]
        if not wanted:
            return {}
        source = table(view, *(column(name) for name in wanted), schema="information_schema")
        schemas, tables = self.names.scope()
        by_name = "TABLE_NAME" in wanted
        query = select(*(source.c[name].label(name) for name in wanted)).where(
            source.c[wanted[0]].in_(schemas)
        )
        found: dict[Physical, list[Row]] = defaultdict(list)
        for start in range(0, len(tables) if by_name else 1, _CHUNK):
            chunk = query.where(source.c.TABLE_NAME.in_(tables[start : start + _CHUNK])) if by_name else query
            rows = self._connection.execute(chunk).mappings().all()
            self._refuse_locked()
            for row in rows:
                found[row[wanted[0]], row["TABLE_NAME"] if by_name else ""].append(row)
        if order:
            for listed in found.values():
                listed.sort(key=lambda row: row[order] or 0)
        return found

    def _refuse_unreadable(self) -> None:
        for row in self._table_rows():
            if row["TABLE_TYPE"] == "BASE TABLE" and row["ENGINE"] is None:
                raise DeploymentError(
                    "the server cannot read a table",
                    where=f"table {row['TABLE_NAME']}",
                    seen=str(row["TABLE_COMMENT"]),
                    next_step="look at the server's log, and repair or drop the table",
                )

    def _refuse_locked(self) -> None:
        """A table that is locked all the time is left out of a view, with a warning and no error."""
        for _, number, sentence in self._connection.exec_driver_sql("SHOW WARNINGS"):
            if number in _LOCKED:
                seen = f"error {number} {sentence}"
                raise TryAgainError("a table is locked by another session", seen=seen, next_step="try again")

    def _sequences(self) -> Mapping[str, str]:
        """Options of the sequences that fill columns, by name as the server prints it: one query for all."""
        defaults = (str(row["COLUMN_DEFAULT"]) for rows in self.columns.values() for row in rows)
        names = sorted({found[1] for found in map(_NEXT_VALUE.fullmatch, defaults) if found})
        if not names:
            return {}
        queries = [f"SELECT {_SEQUENCE_OPTIONS} FROM {name}" for name in names]  # noqa: S608 - quoted by the server
        rows = self._connection.exec_driver_sql(" UNION ALL ".join(queries).replace("%", "%%")).all()
        return {name: str(options) for name, (options,) in zip(names, rows, strict=True)}

    def _rules(self) -> dict[tuple[Physical, str], tuple[str, str]]:
        """ON DELETE and ON UPDATE by table and foreign key."""
        found = {
            (physical, row["CONSTRAINT_NAME"]): (row["DELETE_RULE"], row["UPDATE_RULE"])
            for physical, rows in self._rows("REFERENTIAL_CONSTRAINTS", _RULES).items()
            for row in rows
        }
        for physical, rows in self.keys.items():
            names = {row["CONSTRAINT_NAME"] for row in rows if row["REFERENCED_TABLE_NAME"]}
            if any((physical, name) not in found for name in names):
                found |= {(physical, name): rules for name, rules in self._printed_rules(physical).items()}
        return found

    def _printed_rules(self, physical: Physical) -> dict[str, tuple[str, str]]:
        quote = self._connection.dialect.identifier_preparer.quote_identifier
        name = ".".join(quote(part) for part in physical)
        printed = str(self._connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").all()[0][1])
        return {
            key["name"].replace("``", "`"): (key["delete"] or "RESTRICT", key["update"] or "RESTRICT")
            for key in _PRINTED_KEY.finditer(printed)
        }

    def _checks(self) -> dict[Physical, list[Row]]:
        found = self._rows("CHECK_CONSTRAINTS", _CHECKS)
        if ("CHECK_CONSTRAINTS", "TABLE_NAME") in self._known:
            return found
        clauses = {
            (schema, row["CONSTRAINT_NAME"]): row["CHECK_CLAUSE"]
            for (schema, _), rows in found.items()
            for row in rows
        }
        return {
            physical: [
                {**row, "CHECK_CLAUSE": clauses[physical[0], row["CONSTRAINT_NAME"]]}
                for row in rows
                if (physical[0], row["CONSTRAINT_NAME"]) in clauses and row["CONSTRAINT_TYPE"] == "CHECK"
            ]
            for physical, rows in self._rows("TABLE_CONSTRAINTS", _CONSTRAINTS).items()
        }


_NEXT_VALUE = re.compile(r"nextval\(((?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`)\)", re.IGNORECASE)
_SEQUENCE_OPTIONS = (
    "concat('START ', start_value, ' INCREMENT ', increment, ' MINVALUE ', minimum_value,"
    " ' MAXVALUE ', maximum_value, ' CACHE ', cache_size, if(cycle_option, ' CYCLE', ''))"
)


_VIEWS = text(
    "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema'"
    " AND TABLE_NAME IN ('TABLES', 'COLUMNS', 'STATISTICS', 'KEY_COLUMN_USAGE', 'REFERENTIAL_CONSTRAINTS',"
    " 'CHECK_CONSTRAINTS', 'TABLE_CONSTRAINTS', 'PARTITIONS')"
)
_RULE = "CASCADE|SET NULL|SET DEFAULT|NO ACTION|RESTRICT"
_PRINTED_KEY = re.compile(
    r"^ *CONSTRAINT `(?P<name>(?:[^`]|``)+)` FOREIGN KEY .*?"
    rf"(?: ON DELETE (?P<delete>{_RULE}))?(?: ON UPDATE (?P<update>{_RULE}))?,?$",
    re.MULTILINE,
)
