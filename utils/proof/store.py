"""The rows of one table in the place of a proof: written, read back, and tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    String,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import column as column_clause
from sqlalchemy import table as table_clause
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.types import TypeEngine

from sqlmodel_framework.engines.base import Refusal, TargetEngine
from sqlmodel_framework.utils.proof.comparing import Unreadable
from sqlmodel_framework.utils.proof.rows import Row

__all__ = ["NotWritableError", "Refused", "RowStore"]

# What types and drivers raise about a value before a statement is sent, or about one that they read.
_CLIENT_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class NotWritableError(Exception):
    """Rows may not be written here; the text says why."""


@dataclass(frozen=True)
class Refused:
    """A row that was not taken: why, and the words of the database, without values."""

    reason: Refusal
    words: str


class _UndoneError(Exception):
    """Ends a savepoint."""


def _undo() -> None:
    raise _UndoneError


@dataclass
class RowStore:
    """One table, in columns that are written; `schema` is that of the place. Everything happens in a savepoint.

    `others` connects to what others have committed since; None where nobody else can write.
    """

    engine: TargetEngine
    connection: Connection
    table: Table
    columns: Sequence[str]
    schema: str | None
    others: Engine | None = None

    def __post_init__(self) -> None:
        self.into = self._into({})
        self.key = tuple(column.name for column in self.table.primary_key.columns)
        self._insert = self.engine.insert_of(self.table, self.into)

    def _into(self, instead: Mapping[str, TypeEngine[Any]]) -> Any:
        """Clauses in place of the table and its columns: no default and no sequence comes in beside the values."""
        by_name = {column.name: column for column in self.table.columns}
        clauses = [column_clause(name, instead.get(name, by_name[name].type)) for name in self.columns]
        return table_clause(self.table.name, *clauses, schema=self.schema)

    @contextmanager
    def _errors(self) -> Iterator[list[Refused]]:
        """A savepoint; what is refused in it is told in the list."""
        told: list[Refused] = []
        try:
            with self.connection.begin_nested():
                yield told
        except _UndoneError:
            pass
        except DBAPIError as exc:
            original = exc.orig or exc
            reason = self.engine.why_refused(original)
            if reason == "busy":
                raise
            words = self.engine.translate(original, "").seen or type(original).__name__
            if reason == "rights":
                raise NotWritableError(words) from None
            told.append(Refused(reason, words))
        except StatementError as exc:
            told.append(Refused("unsent", type(exc.orig or exc).__name__))
        except _CLIENT_ERRORS as exc:
            told.append(Refused("unsent", type(exc).__name__))

    def is_empty(self) -> bool:
        """Whether nobody has rows here. Raises NotWritableError where that may not be looked at."""
        found: list[Any] = []
        with self._errors() as refused:
            found.extend(self.connection.execute(select(literal(1)).select_from(self.into).limit(1)))
        for one in refused:
            raise NotWritableError(one.words)
        return not found

    def others_wrote(self) -> bool:
        """Whether others have committed rows that are not read here."""
        return self._committed(select(literal(1)).select_from(self.into).limit(1))

    def _committed(self, statement: Select[Any]) -> bool:
        if self.others is None:
            return False
        with self.others.connect() as connection:
            return connection.execute(statement).first() is not None

    def insert(self, rows: Sequence[Row]) -> Refused | None:
        """Write rows, all or none."""
        if not rows:
            return None
        with self._errors() as refused:
            self.connection.execute(self._insert, [self._parameters(row) for row in rows])
        return refused[0] if refused else None

    def attempt(
        self, row: Row, instead: Mapping[str, TypeEngine[Any]], show: Sequence[str]
    ) -> Refused | list[Any]:
        """Try a row that does not stay; `instead` are types for values that the columns' own would not send.

        Gives what is then read in the columns `show`, where the row is taken and can be read.
        """
        read: list[Any] = []
        insert = self.engine.insert_of(self.table, self._into(instead)) if instead else self._insert
        with self._errors() as refused:
            self.connection.execute(insert, self._parameters(row))
            read = self._shown(row, show)
            _undo()
        return refused[0] if refused else read

    def _shown(self, row: Row, show: Sequence[str]) -> list[Any]:
        if not self.key or any(name in show or row.get(name) is None for name in self.key):
            return []
        columns = [cast(self.into.c[name], String) for name in show]
        try:
            with self.connection.begin_nested():
                found = self.connection.execute(select(*columns).where(self._is(row))).fetchmany(2)
        except (DBAPIError, *_CLIENT_ERRORS):
            return []
        # Of two rows with one key, one may be somebody's own.
        return list(found[0]) if len(found) == 1 else []

    def update(self, rows: Sequence[Row], columns: Sequence[str]) -> Refused | None:
        """Set columns of rows that are there, found by their primary key."""
        where = and_(*(self.into.c[name] == bindparam(f"k{i}") for i, name in enumerate(self.key)))
        values = {name: bindparam(f"v{i}", type_=self.into.c[name].type) for i, name in enumerate(columns)}
        statement = update(self.into).where(where).values(values)
        parameters = [
            {f"k{i}": row[name] for i, name in enumerate(self.key)}
            | {f"v{i}": row[name] for i, name in enumerate(columns)}
            for row in rows
        ]
        with self._errors() as refused:
            self.connection.execute(statement, parameters)
        return refused[0] if refused else None

    def delete(self, rows: Sequence[Row]) -> None:
        """Take back rows that were written here, by their primary keys."""
        if rows and self.key:
            self.connection.execute(delete(self.into).where(self._among(rows)))

    def holds(self, columns: Sequence[str], values: Sequence[Any]) -> bool:
        """Whether a row has these values, one that others have committed meanwhile among them."""
        condition = and_(*(self.into.c[n] == value for n, value in zip(columns, values, strict=True)))
        statement = select(literal(1)).select_from(self.into).where(condition)
        return self.connection.execute(statement).first() is not None or self._committed(statement)

    def _parameters(self, row: Row) -> dict[str, Any]:
        return {f"p{number}": row[name] for number, name in enumerate(self.columns)}

    def _is(self, row: Row) -> ColumnElement[bool]:
        found: ColumnElement[bool] = and_(*(self.into.c[name] == row[name] for name in self.key))
        return found

    # reading

    def read(self, rows: Sequence[Row] | None) -> list[Row]:
        """All rows, or those with the primary keys of these; values that cannot be read are `Unreadable`."""
        statement = select(*(self.into.c[name] for name in self.columns))
        if rows is not None:
            statement = statement.where(self._among(rows))
        try:
            return [
                dict(zip(self.columns, found, strict=True)) for found in self.connection.execute(statement)
            ]
        except DBAPIError:
            raise
        except _CLIENT_ERRORS:
            return self._read_one_by_one(rows)

    def _among(self, rows: Sequence[Row]) -> ColumnElement[bool]:
        if len(self.key) == 1:
            of_one: ColumnElement[bool] = self.into.c[self.key[0]].in_([row[self.key[0]] for row in rows])
            return of_one
        columns = [self.into.c[name] for name in self.key]
        if any(isinstance(column.type, String) for column in columns):
            return or_(*(self._is(row) for row in rows))
        keys = [tuple(row[name] for name in self.key) for row in rows]
        found: ColumnElement[bool] = tuple_(*columns).in_(keys)
        return found

    def _read_one_by_one(self, rows: Sequence[Row] | None) -> list[Row]:
        """Value by value, so that one that cannot be read hides no other."""
        whole = select(*(cast(self.into.c[name], String) for name in self.columns))
        if rows is not None:
            whole = whole.where(self._among(rows))
        return [self._read_values(tuple(found)) for found in self.connection.execute(whole).all()]

    def _read_values(self, texts: Sequence[Any]) -> Row:
        """The row that has these values as text."""
        row: Row = {}
        as_text = [cast(self.into.c[name], String) for name in self.columns]
        pairs = zip(as_text, texts, strict=True)
        same = and_(*(column.is_(None) if text is None else column == text for column, text in pairs))
        for name, text in zip(self.columns, texts, strict=True):
            try:
                row[name] = self.connection.execute(select(self.into.c[name]).where(same).limit(1)).scalar()
            except DBAPIError:
                raise
            except _CLIENT_ERRORS as exc:
                row[name] = Unreadable(str(text), type(exc).__name__)
        return row
