"""The CHECK constraints of a table, held against rows that are in no database yet.

A private SQLite in memory evaluates them. What other databases write differently is translated, or defined as a function.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import SQLAlchemyError

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract, Contract, contract_of
from sqlmodel_framework.base.models.tables import TableLike
from sqlmodel_framework.utils.generation.sql_functions import define_functions

__all__ = ["RowChecks", "label_of", "literals_of", "quoted"]

_DIALECT = SQLiteDialect_pysqlite()
_AFFINITIES = {
    "boolean": "INTEGER",
    "integer": "INTEGER",
    "float": "REAL",
    "decimal": "NUMERIC",
    "interval": "REAL",
    "binary": "BLOB",
}
_STRING = re.compile(r"('(?:[^']|'')*')")
# What stands between the strings of a condition, from PostgreSQL's or MySQL's spelling to SQLite's.
_SPELLINGS = [
    (
        re.compile(
            r"::\s*(?:character varying|double precision|timestamp with(?:out)? time zone|\w+)(?:\s*\([\d, ]*\))?",
            re.IGNORECASE,
        ),
        "",
    ),
    (re.compile(r"!~\*"), " NOT REGEXP '(?i)' || "),
    (re.compile(r"~\*"), " REGEXP '(?i)' || "),
    (re.compile(r"!~"), " NOT REGEXP "),
    (re.compile(r"~"), " REGEXP "),
    (re.compile(r"\bILIKE\b", re.IGNORECASE), "MATCH"),
    (re.compile(r"\bRLIKE\b", re.IGNORECASE), "REGEXP"),
    (re.compile(r"\bEXTRACT\s*\(\s*(\w+)\s+FROM\b", re.IGNORECASE), r"date_part('\1',"),
    (re.compile(r"\b(?:DATE|TIMESTAMP)\s+(?=\Z)", re.IGNORECASE), ""),
]


class RowChecks:
    """The checks of one table. `rules` are those that are evaluated, `columns` names what they read, by rule:
    in place of a computed column those that it is worked out from.

    A check of plain text reads every column whose name stands in it.
    """

    def __init__(self, table: TableLike | Contract, *, only: Iterable[CheckRule] | None = None) -> None:
        """`only` leaves the other checks of the table out. Raises RowsNotGeneratedError for a check that SQLite cannot read."""
        self.contract = table if isinstance(table, Contract) else contract_of(table)
        self.rules = tuple(self.contract.checks if only is None else only)
        self.conditions = {rule: self._text_of(rule.condition, rule) for rule in self.rules}
        self._computed = {
            name: self._text_of(column.column.computed.sqltext, None)
            for name, column in self.contract.columns.items()
            if column.column.computed is not None
        }
        named = {rule: rule.columns or self.named_in(self.conditions[rule]) for rule in self.rules}
        self._reads_computed = any(name in self._computed for names in named.values() for name in names)
        self.columns = {rule: self._written(names) for rule, names in named.items()}
        self._try_each()

    def broken(self, rows: Mapping[str, Sequence[Any]]) -> list[tuple[CheckRule, ...]]:
        """For each row the checks that it breaks; `rows` are columns of equal length, one that is left out is null.

        A check that is null holds, as SQL says.
        """
        length = len(next(iter(rows.values()), ()))
        if not self.rules or not length:
            return [()] * length
        tests = [f"({self.conditions[rule]}) IS NOT FALSE" for rule in self.rules]
        good = (1,) * len(self.rules)
        return [() if row == good else self._failed(row) for row in self.evaluated(tests, rows)]

    def evaluated(
        self, expressions: Sequence[str], rows: Mapping[str, Sequence[Any]]
    ) -> list[tuple[Any, ...]]:
        """For each row what these expressions of its columns give."""
        with closing(self._database()) as database:
            stored = [name for name in self._stored() if name in rows]
            columns = [_as_stored(rows[name]) for name in stored] or [range(len(next(iter(rows.values()))))]
            into = ", ".join(quoted(name) for name in stored) or "rowid"
            marks = ", ".join("?" * len(columns))
            database.executemany(f"INSERT INTO r ({into}) VALUES ({marks})", zip(*columns, strict=True))  # noqa: S608 - a private database
            try:
                return database.execute(f"SELECT {', '.join(expressions)} FROM r ORDER BY rowid").fetchall()  # noqa: S608
            except sqlite3.Error as exc:
                raise self._cannot_be_evaluated(self.rules[0], str(exc)) from None

    def _failed(self, row: tuple[int, ...]) -> tuple[CheckRule, ...]:
        return tuple(rule for rule, holds in zip(self.rules, row, strict=True) if not holds)

    def _stored(self) -> list[str]:
        """The columns that are written: those that the checks read, all of them where one is worked out from others."""
        named = {name for names in self.columns.values() for name in names}
        return [
            name
            for name in self.contract.columns
            if name not in self._computed and (self._reads_computed or name in named)
        ]

    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        define_functions(database)
        columns = [
            f"{quoted(name)} {self._type_of(column)}" for name, column in self.contract.columns.items()
        ]
        try:
            database.execute(f"CREATE TABLE r ({', '.join(columns)})")
        except sqlite3.Error as exc:
            database.close()
            raise self._cannot_be_evaluated(self.rules[0], f"a computed column: {exc}") from None
        return database

    def _type_of(self, column: ColumnContract) -> str:
        affinity = _AFFINITIES.get(column.family or "", "TEXT")
        return f"{affinity} AS ({self._computed[column.name]})" if column.name in self._computed else affinity

    def _try_each(self) -> None:
        if not self.rules:
            return
        with closing(self._database()) as database:
            for rule in self.rules:
                try:
                    database.execute(f"SELECT {self.conditions[rule]} FROM r")  # noqa: S608
                except sqlite3.Error as exc:
                    raise self._cannot_be_evaluated(rule, str(exc)) from None

    def _text_of(self, condition: Any, rule: CheckRule | None) -> str:
        compiler = _DIALECT.statement_compiler(_DIALECT, None)
        try:
            text = compiler.process(condition, include_table=False, literal_binds=True)
        except (SQLAlchemyError, NotImplementedError) as exc:
            raise self._cannot_be_evaluated(rule, str(exc).splitlines()[0]) from None
        return _translated(text)

    def named_in(self, condition: str) -> tuple[str, ...]:
        """The columns whose names stand in a text."""
        text = _without_strings(condition).casefold()
        words = set(re.findall(r"\w+", text))
        return tuple(
            name
            for name in self.contract.columns
            if name.casefold() in (words if re.fullmatch(r"\w+", name) else text)
        )

    def _written(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """These columns, in place of a computed one those that it is worked out from."""
        found: dict[str, None] = {}
        for name in names:
            condition = self._computed.get(name)
            inner = (name,) if condition is None else self._written(self.named_in(condition))
            found |= dict.fromkeys(inner)
        return tuple(found)

    def _cannot_be_evaluated(self, rule: CheckRule | None, seen: str) -> RowsNotGeneratedError:
        return RowsNotGeneratedError(
            "a check cannot be evaluated outside of its database",
            where=f"table {self.contract.table}, check {label_of(rule) if rule else 'of a computed column'}",
            seen=seen,
            next_step="write the condition with operators and functions of standard SQL, or make the rows yourself",
        )


def label_of(rule: CheckRule) -> str:
    """The name of a check; its condition where it has none."""
    return rule.name or str(rule.condition)


def literals_of(rule: CheckRule) -> list[Any]:
    """The numbers and strings that a condition names, in their order: values near which it changes its mind."""
    compiler = _DIALECT.statement_compiler(_DIALECT, None)
    text = _translated(compiler.process(rule.condition, include_table=False, literal_binds=True))
    found: dict[Any, None] = {}
    for part in _STRING.split(text):
        if part.startswith("'"):
            found[part[1:-1].replace("''", "'")] = None
        else:
            for sign, number in re.findall(r"(?<![\w.])(-\s*)?(\d+(?:\.\d+)?)(?![\w.])", part):
                value = Decimal(number)
                found[value] = None
                if sign:
                    found[-value] = None
    return list(found)


def _translated(text: str) -> str:
    parts = _STRING.split(text)
    for number, part in enumerate(parts):
        if not part.startswith("'"):
            for spelling, ours in _SPELLINGS:
                part = spelling.sub(ours, part)  # noqa: PLW2901 - one after another
            parts[number] = part
    return "".join(parts)


def _without_strings(text: str) -> str:
    return _STRING.sub(" ", text)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_stored(values: Sequence[Any]) -> Iterable[Any]:
    """Values as SQLite compares them the way that other databases do."""
    first = next((value for value in values if value is not None), None)
    step = next((step for kind, step in _STEPS if isinstance(first, kind)), None)
    return values if step is None else [None if value is None else step(value) for value in values]


def _text_of_moment(value: datetime) -> str:
    """A point in time as it is in UTC: texts of several zones would not sort by time."""
    plain = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return plain.isoformat(" ", "microseconds")


_STEPS: list[tuple[type, Any]] = [
    (bool, int),
    (
        Decimal,
        lambda value: (
            int(value) if value == value.to_integral_value() and abs(value) < 2**63 else float(value)
        ),
    ),
    (datetime, _text_of_moment),
    (date, date.isoformat),
    (time, lambda value: value.isoformat("microseconds")),
    (timedelta, timedelta.total_seconds),
    (UUID, str),
    (dict, json.dumps),
    (list, json.dumps),
]
