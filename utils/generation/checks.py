"""The CHECK constraints of a table, held against rows that are in no database yet.

A private SQLite in memory evaluates them, as a reader that belongs to no target. What databases write in their own way is
translated or defined as a function; where they calculate in different ways, each way is tried, and the outcome is undecided
where they do not agree.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import SQLAlchemyError

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract, Contract, contract_of
from sqlmodel_framework.base.models.tables import TableLike
from sqlmodel_framework.engines.base import installed_engines
from sqlmodel_framework.engines.conditions import Arithmetic
from sqlmodel_framework.utils.generation.exact import UnreadConditionError, exact_form
from sqlmodel_framework.utils.generation.exact_functions import define_exact_functions
from sqlmodel_framework.utils.generation.sql_functions import define_functions

__all__ = ["RowChecks", "literals_of", "quoted"]

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
# What standard SQL spells in another way than SQLite.
_SPELLINGS = (
    (re.compile(r"\bEXTRACT\s*\(\s*(\w+)\s+FROM\b", re.IGNORECASE), r"date_part('\1',"),
    (re.compile(r"\b(?:DATE|TIMESTAMP)\s+(?=\Z)", re.IGNORECASE), ""),
)


@dataclass(frozen=True)
class _Reading:
    """What conditions may be made of, in all installed databases together, and how those calculate."""

    spellings: Sequence[tuple[re.Pattern[str], str]]
    functions: Mapping[tuple[str, int], Callable[..., Any]]
    arithmetics: tuple[Arithmetic, ...]


@cache
def _reading() -> _Reading:
    found = [engine.conditions for engine in installed_engines().values()]
    return _Reading(
        (*(one for conditions in found for one in conditions.spellings), *_SPELLINGS),
        {name: made for conditions in found for name, made in conditions.functions.items()},
        tuple(dict.fromkeys(conditions.arithmetic for conditions in found)),
    )


# Databases that nobody uses now: to define the functions takes longer than to evaluate most checks.
_idle: deque[sqlite3.Connection] = deque()
_MOST_IDLE = 4


def _new_database() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    define_functions(database, _reading().functions)
    return database


class RowChecks:
    """The checks of one table. `rules` are those that are evaluated, `columns` names what they read, by rule:
    in place of a computed column those that it is worked out from.

    A check of plain text reads every column whose name stands in it.
    """

    def __init__(
        self,
        table: TableLike | Contract,
        *,
        only: Iterable[CheckRule] | None = None,
        arithmetic: Arithmetic | None = None,
        tried: bool = True,
    ) -> None:
        """`only` leaves the other checks of the table out; `arithmetic` is that of the one database that counts.

        Raises RowsNotGeneratedError for a check that SQLite cannot read; not `tried`, they come with the first rows.
        """
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
        self._arithmetics = _reading().arithmetics if arithmetic is None else (arithmetic,)
        self._exact = {rule: text for rule in self.rules if (text := self._exact_form(rule)) is not None}
        if tried:
            self._try_each()

    def broken(self, rows: Mapping[str, Sequence[Any]]) -> list[tuple[CheckRule, ...]]:
        """For each row the checks that it breaks; `rows` are columns of equal length, one that is left out is null.

        A check that is null holds, as SQL says. One that is undecided is not among them.
        """
        return self._rules_where(rows, lambda verdict: verdict is False)

    def not_held(self, rows: Mapping[str, Sequence[Any]]) -> list[tuple[CheckRule, ...]]:
        """For each row the checks that it breaks, or that are undecided."""
        return self._rules_where(rows, lambda verdict: verdict is not True)

    def _rules_where(
        self, rows: Mapping[str, Sequence[Any]], wanted: Callable[[bool | None], bool]
    ) -> list[tuple[CheckRule, ...]]:
        verdicts = self.verdicts(rows)
        good = (True,) * len(self.rules)
        return [
            () if row == good else tuple(r for r, v in zip(self.rules, row, strict=True) if wanted(v))
            for row in verdicts
        ]

    def verdicts(self, rows: Mapping[str, Sequence[Any]]) -> list[tuple[bool | None, ...]]:
        """For each row whether each check holds; None where databases calculate it to different ends, or some refuse to."""
        length = len(next(iter(rows.values()), ()))
        if not self.rules or not length:
            return [()] * length
        tests = [f"({self.conditions[rule]}) IS NOT FALSE" for rule in self.rules]
        found = [tuple(map(bool, row)) for row in self.evaluated(tests, rows)]
        if not self._exact:
            return found  # type: ignore[return-value]
        columns: list[Sequence[bool | None]] = list(zip(*found, strict=True))
        for number, rule in enumerate(self.rules):
            if rule in self._exact:
                ways = [
                    self._calculated(rule, rows, one) if one.exact else columns[number]
                    for one in self._arithmetics
                ]
                columns[number] = [way[0] if len(set(way)) == 1 else None for way in zip(*ways, strict=True)]
        return list(zip(*columns, strict=True))

    def _calculated(
        self, rule: CheckRule, rows: Mapping[str, Sequence[Any]], arithmetic: Arithmetic
    ) -> list[bool | None]:
        with self._database(exact=True) as database:
            define_exact_functions(database, arithmetic)
            self._fill(database, rows, exact=True)
            statement = f"SELECT ({self._exact[rule]}) IS NOT FALSE, exact_doubt() FROM r"  # noqa: S608 - a private database
            try:
                return [None if doubt else bool(holds) for holds, doubt in database.execute(statement)]
            except sqlite3.Error as exc:
                raise self._cannot_be_evaluated(rule, str(exc)) from None

    def evaluated(
        self, expressions: Sequence[str], rows: Mapping[str, Sequence[Any]]
    ) -> list[tuple[Any, ...]]:
        """For each row what these expressions of its columns give."""
        with self._database() as database:
            self._fill(database, rows)
            try:
                return database.execute(f"SELECT {', '.join(expressions)} FROM r ORDER BY rowid").fetchall()  # noqa: S608
            except sqlite3.Error as exc:
                raise self._cannot_be_evaluated(self.rules[0], str(exc)) from None

    def _fill(
        self, database: sqlite3.Connection, rows: Mapping[str, Sequence[Any]], *, exact: bool = False
    ) -> None:
        stored = [name for name in self._stored() if name in rows]
        columns = [_as_stored(rows[name], exact=exact) for name in stored]
        columns = columns or [range(len(next(iter(rows.values()))))]
        into = ", ".join(quoted(name) for name in stored) or "rowid"
        marks = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO r ({into}) VALUES ({marks})", zip(*columns, strict=True))  # noqa: S608 - a private database

    def _exact_form(self, rule: CheckRule) -> str | None:
        if not any(one.exact for one in self._arithmetics):
            return None
        try:
            return exact_form(self.conditions[rule], self.contract, self._computed)
        except UnreadConditionError:
            raise self._cannot_be_evaluated(rule, "a calculation whose end depends on the database") from None

    def _stored(self) -> list[str]:
        """The columns that are written: those that the checks read, all of them where one is worked out from others."""
        named = {name for names in self.columns.values() for name in names}
        return [
            name
            for name in self.contract.columns
            if name not in self._computed and (self._reads_computed or name in named)
        ]

    @contextmanager
    def _database(self, *, exact: bool = False) -> Iterator[sqlite3.Connection]:
        """A table for the rows; with `exact`, decimals are texts, and computed columns stand in the conditions themselves."""
        columns = [
            f"{quoted(name)} {'TEXT' if exact and column.family == 'decimal' else self._type_of(column)}"
            for name, column in self.contract.columns.items()
            if not (exact and column.computed)
        ]
        try:
            database = _idle.pop()
        except IndexError:
            database = _new_database()
        try:
            database.execute(f"CREATE TABLE r ({', '.join(columns)})")
            yield database
            database.execute("DROP TABLE r")
        except sqlite3.Error as exc:
            database.close()
            raise self._cannot_be_evaluated(self.rules[0], f"a computed column: {exc}") from None
        except BaseException:
            database.close()
            raise
        if len(_idle) < _MOST_IDLE:
            _idle.append(database)
        else:
            database.close()

    def _type_of(self, column: ColumnContract) -> str:
        affinity = _AFFINITIES.get(column.family or "", "TEXT")
        return f"{affinity} AS ({self._computed[column.name]})" if column.name in self._computed else affinity

    def _try_each(self) -> None:
        if not self.rules:
            return
        with self._database() as database:
            try:
                tests = ", ".join(f"({self.conditions[rule]})" for rule in self.rules)
                database.execute(f"SELECT {tests} FROM r")  # noqa: S608
            except sqlite3.Error:
                self._try_one_by_one(database)

    def _try_one_by_one(self, database: sqlite3.Connection) -> None:
        for rule in self.rules:
            try:
                database.execute(f"SELECT ({self.conditions[rule]}) FROM r")  # noqa: S608
            except sqlite3.Error as exc:
                raise self._cannot_be_evaluated(rule, str(exc)) from None

    def _text_of(self, condition: Any, rule: CheckRule | None) -> str:
        try:
            return _translated(_compiled(condition))
        except (SQLAlchemyError, NotImplementedError) as exc:
            raise self._cannot_be_evaluated(rule, str(exc).splitlines()[0]) from None

    def named_in(self, condition: str) -> tuple[str, ...]:
        """The columns whose names stand in a text."""
        text = _without_strings(condition).casefold()
        words = set(re.findall(r"\w+", text))
        return tuple(
            name
            for name in self.contract.columns
            if name.casefold() in (words if name.isidentifier() or re.fullmatch(r"\w+", name) else text)
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
            where=f"table {self.contract.table}, check {rule.label if rule else 'of a computed column'}",
            seen=seen,
            next_step="write the condition with operators and functions of standard SQL, or make the rows yourself",
        )


def literals_of(rule: CheckRule) -> list[Any]:
    """The numbers and strings that a condition names, in their order: values near which it changes its mind."""
    text = _translated(_compiled(rule.condition))
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


def _compiled(condition: Any) -> str:
    """The condition as SQLAlchemy writes it for SQLite; a text without a colon, which may be a parameter, stays as it is."""
    if isinstance(condition, TextClause) and not {":", "\\"} & set(condition.text):
        return condition.text
    compiler = _DIALECT.statement_compiler(_DIALECT, None)
    return str(compiler.process(condition, include_table=False, literal_binds=True))


def _translated(text: str) -> str:
    parts = _STRING.split(text)
    for number, part in enumerate(parts):
        if not part.startswith("'"):
            for spelling, ours in _reading().spellings:
                part = spelling.sub(ours, part)  # noqa: PLW2901 - one after another
            parts[number] = part
    return "".join(parts)


def _without_strings(text: str) -> str:
    return _STRING.sub(" ", text)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_stored(values: Sequence[Any], *, exact: bool = False) -> Iterable[Any]:
    """Values as SQLite compares them the way that other databases do; with `exact`, decimals as text."""
    first = next((value for value in values if value is not None), None)
    step = next((step for kind, step in _STEPS if isinstance(first, kind)), None)
    if exact and isinstance(first, Decimal):
        step = str
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
