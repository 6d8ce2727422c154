"""SQLite read in bulk: its pragmas joined to its schema table, and the stored SQL for what no pragma tells."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, column, func, select, table, true
from sqlalchemy.sql.expression import ColumnElement, TableClause

from sqlmodel_framework.engines.reading import (
    ColumnReading,
    PartReading,
    Places,
    Reading,
    TableKey,
    TableReading,
)
from sqlmodel_framework.engines.sqlite_ddl_text import (
    Token,
    normal_text,
    plain,
    spelled,
    tokens_of,
    type_text,
    without_outer_parentheses,
)
from sqlmodel_framework.engines.sqlite_table_text import (
    ColumnText,
    ConstraintText,
    TableText,
    parse_index,
    parse_table,
)

__all__ = ["read_tables"]


def read_tables(connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
    """Read tables with at most three queries a schema. Names are found in the letter case SQLite ignores.

    In a transaction all queries see one state of a database.
    """
    wanted: dict[str | None, dict[str, TableKey]] = defaultdict(dict)
    for key in tables:
        wanted[key[0]][plain(places.name_of(key))] = key
    found: dict[TableKey, TableReading] = {}
    for schema, keys in wanted.items():
        found |= _Schema(connection, places.schemas[schema] or "main", keys).read()
    return found


@dataclass(frozen=True)
class _Referred:
    """A table as foreign keys see it: its name as the class has it or plain, its columns by plain name, its key."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]


class _Schema:
    """One attached database; `keys` are the wanted tables by their plain names there."""

    def __init__(self, connection: Connection, place: str, keys: Mapping[str, TableKey]) -> None:
        self._connection = connection
        self._place = place
        self._keys = keys

    def read(self) -> dict[TableKey, TableReading]:
        stored = self._stored_sql(self._keys)
        columns = self._columns(self._keys)
        indexes: dict[str, list[Any]] = defaultdict(list)
        texts: dict[str, TableText] = {}
        for row in stored:
            if row.type == "index":
                indexes[plain(row.tbl_name)].append(row)
            elif row.type == "table" and row.rootpage:
                texts[plain(row.name)] = parse_table(row.sql)
        referred = self._referred(texts, columns)
        return {
            self._keys[plain(row.name)]: _Table(texts[name], columns[name], referred).read(indexes[name])
            if (name := plain(row.name)) in texts
            else TableReading(columns={}, kind="virtual table" if row.type == "table" else row.type)
            for row in stored
            if row.type != "index"
        }

    def _stored_sql(self, names: Collection[str]) -> Sequence[Any]:
        master = _master(self._place)
        query = select(
            master.c.type, master.c.name, master.c.tbl_name, master.c.rootpage, master.c.sql
        ).where(
            master.c.type.in_(("table", "view", "index")),
            master.c.sql.is_not(None),
            _named(master.c.tbl_name, names),
        )
        return self._connection.execute(query.order_by(master.c.name)).all()

    def _columns(self, names: Collection[str]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for row in self._connection.execute(_columns_query(self._place, names)):
            found[plain(row.table_name)].append(row)
        return found

    def _referred(
        self, texts: Mapping[str, TableText], columns: Mapping[str, list[Any]]
    ) -> dict[str, _Referred]:
        """What foreign keys refer to, by plain name; tables that are not wanted are asked for as well."""
        names = {
            plain(one.reference.table) for text in texts.values() for one in text.constraints if one.reference
        }
        others = sorted(names - columns.keys())
        known = {**columns, **(self._columns(others) if others else {})}
        return {
            name: _Referred(
                self._keys[name][1] if name in self._keys else name,
                {plain(row.name): row.name for row in rows},
                _key_columns(rows),
            )
            for name, rows in known.items()
        }


def _master(place: str) -> TableClause:
    names = ("type", "name", "tbl_name", "rootpage", "sql")
    return table("sqlite_master", *(column(name) for name in names), schema=place)


def _named(name: ColumnElement[Any], names: Collection[str]) -> ColumnElement[bool]:
    listed = func.json_each(json.dumps(sorted(names))).table_valued("value")
    return name.collate("NOCASE").in_(select(listed.c.value))


def _columns_query(place: str, names_wanted: Collection[str]) -> Select[Any]:
    master = _master(place)
    names = ("cid", "name", "type", "notnull", "dflt_value", "pk")
    info = func.pragma_table_xinfo(master.c.name, place).table_valued(*names, name="info")
    # A virtual table has no root page; its columns cannot be read without its module.
    query = select(master.c.name.label("table_name"), *(info.c[name] for name in names))
    return (
        query.select_from(master.join(info, true()))
        .where(master.c.type == "table", master.c.rootpage > 0, _named(master.c.name, names_wanted))
        .order_by(master.c.name, info.c.cid)
    )


def _key_columns(rows: Sequence[Any]) -> tuple[str, ...]:
    return tuple(row.name for row in sorted(rows, key=lambda row: row.pk) if row.pk)


class _Table:
    """One table: what its pragma says beside what its SQL says."""

    def __init__(self, text: TableText, rows: Sequence[Any], referred: Mapping[str, _Referred]) -> None:
        self._text = text
        self._rows = rows
        self._referred = referred
        self._names = {plain(row.name): row.name for row in rows}
        self._key = _key_columns(rows)

    def read(self, indexes: Sequence[Any]) -> TableReading:
        return TableReading(
            columns={row.name: self._column(row) for row in self._rows},
            primary_key=self._key,
            primary_key_name=self._text.key.name if self._text.key else None,
            foreign_keys=self._parts("FOREIGN KEY", self._foreign_key),
            uniques=self._uniques(),
            checks=self._parts("CHECK", self._check),
            indexes=tuple(self._index(row.name, row.sql) for row in indexes),
            options=self._options(),
        )

    def _column(self, row: Any) -> ColumnReading:
        text = self._text.columns.get(plain(row.name), ColumnText(row.name, ""))
        return ColumnReading(
            name=row.name,
            type=type_text(row.type),
            nullable=not row.notnull and not self._is_rowid(row, text),
            default=_default(row.dflt_value),
            computed=self._computed(text),
            identity="AUTOINCREMENT" if self._counts_up(row, text) else None,
            collation=None if text.collation == "BINARY" else text.collation,
        )

    def _is_rowid(self, row: Any, text: ColumnText) -> bool:
        """Whether the column is the rowid under another name: then it is never NULL, declared so or not."""
        return (
            self._key == (row.name,)
            and type_text(row.type) == "INTEGER"
            and not self._text.without_rowid
            and not text.descending_key
        )

    def _counts_up(self, row: Any, text: ColumnText) -> bool:
        key = self._text.key
        if not row.pk or key is None:
            return False
        return text.autoincrement or any(_ends_with(term, "AUTOINCREMENT") for term in key.terms)

    def _computed(self, text: ColumnText) -> str | None:
        if text.computed is None:
            return None
        expression = self._expression(text.computed)
        return f"{'STORED' if text.stored else 'VIRTUAL'} ({expression})"

    def _expression(self, tokens: Sequence[Token]) -> str:
        return normal_text(without_outer_parentheses(tokens), self._names)

    def _parts(self, kind: str, read: Callable[[ConstraintText], PartReading]) -> tuple[PartReading, ...]:
        return _sorted(read(one) for one in self._text.constraints if one.kind == kind)

    def _uniques(self) -> tuple[PartReading, ...]:
        """SQLite keeps no second index where the primary key or another constraint says the same."""
        found: dict[str | None, PartReading | None] = {self._key_text(): None}
        for one in self._text.constraints:
            text, columns = self._terms(one.terms)
            if one.kind == "UNIQUE" and text not in found:
                found[text] = PartReading(one.name, f"UNIQUE ({text}){_on_conflict(one)}", columns)
        return _sorted(part for part in found.values() if part is not None)

    def _check(self, one: ConstraintText) -> PartReading:
        return PartReading(one.name, f"CHECK ({self._expression(one.condition)})")

    def _foreign_key(self, one: ConstraintText) -> PartReading:
        reference = one.reference
        assert reference is not None
        text, columns = self._terms(one.terms)
        known = self._referred.get(plain(reference.table), _Referred(plain(reference.table), {}, ()))
        names = [known.columns.get(plain(name), name) for name in reference.columns] or known.key
        target = f"({', '.join(map(spelled, names))})" if names else ""
        rules = (
            reference.on_delete and f"ON DELETE {reference.on_delete}",
            reference.on_update and f"ON UPDATE {reference.on_update}",
            reference.deferrable,
        )
        words = (f"FOREIGN KEY ({text}) REFERENCES {spelled(known.name)}{target}", *rules)
        return PartReading(one.name, " ".join(word for word in words if word), columns)

    def _index(self, name: str, sql: str) -> PartReading:
        index = parse_index(sql)
        text, columns = self._terms(index.terms)
        unique = "UNIQUE " if index.unique else ""
        where = f" WHERE {self._expression(index.where)}" if index.where else ""
        return PartReading(name, f"{unique}INDEX ({text}){where}", columns)

    def _options(self) -> dict[str, str]:
        options = {"STRICT": self._text.strict, "WITHOUT ROWID": self._text.without_rowid}
        found = {name: "yes" for name, is_set in options.items() if is_set}
        key = self._text.key
        if key is not None and (key.conflict or self._key_text() != self._plain_key()):
            found["PRIMARY KEY"] = f"({self._key_text()}){_on_conflict(key)}"
        for text in self._text.columns.values():
            if text.null_conflict:
                found[f"NOT NULL of {text.name}"] = f"ON CONFLICT {text.null_conflict}"
        return found

    def _key_text(self) -> str | None:
        """The key's columns with what is said beside their names; None without a key."""
        key = self._text.key
        if key is None:
            return None
        descending = any(text.descending_key for text in self._text.columns.values())
        return self._terms(key.terms)[0] + (" DESC" if descending else "")

    def _plain_key(self) -> str:
        return ", ".join(map(spelled, self._key))

    def _terms(self, terms: Sequence[Sequence[Token]]) -> tuple[str, tuple[str, ...]]:
        """The text of a list of columns or expressions, and the columns, if there is nothing else."""
        read = [self._term(term) for term in terms]
        columns = tuple(name for _, name in read if name is not None)
        return ", ".join(text for text, _ in read), columns if len(columns) == len(read) else ()

    def _term(self, term: Sequence[Token]) -> tuple[str, str | None]:
        tokens: Sequence[Token] = [token for token in term if token.key not in _SAID_ANYWAY]
        descending = _ends_with(tokens, "DESC")
        tokens = without_outer_parentheses(tokens[: len(tokens) - descending])
        collation = None
        if len(tokens) > 2 and _ends_with(tokens[:-1], "COLLATE"):
            tokens, collation = tokens[:-2], tokens[-1].value.upper()
        tokens = without_outer_parentheses(tokens)
        name = self._column_named(tokens)
        if collation == self._collation_of(name):
            collation = None
        words = (
            self._expression(tokens) if name is None else spelled(name),
            collation and f"COLLATE {collation}",
            "DESC" if descending else None,
        )
        return " ".join(word for word in words if word), name

    def _column_named(self, tokens: Sequence[Token]) -> str | None:
        """The column that a term is; a string names one here as well."""
        if len(tokens) != 1 or tokens[0].kind not in ("word", "name", "string"):
            return None
        return self._names.get(plain(tokens[0].value))

    def _collation_of(self, name: str | None) -> str:
        text = self._text.columns.get(plain(name)) if name else None
        return (text and text.collation) or "BINARY"


_SAID_ANYWAY = {"ASC", "AUTOINCREMENT"}


def _sorted(parts: Iterable[PartReading]) -> tuple[PartReading, ...]:
    return tuple(sorted(parts, key=lambda part: (part.text, part.name or "")))


def _ends_with(tokens: Sequence[Token], word: str) -> bool:
    return bool(tokens) and tokens[-1].key == word


def _on_conflict(one: ConstraintText) -> str:
    return f" ON CONFLICT {one.conflict}" if one.conflict else ""


_NO_VALUE = {"NULL": None, "TRUE": "1", "FALSE": "0"}


@lru_cache(maxsize=1024)
def _default(text: str | None) -> str | None:
    """A default in one spelling. A bare word is a string, TRUE is 1, and NULL is no default, as SQLite has it."""
    if text is None:
        return None
    tokens = without_outer_parentheses(tokens_of(text))
    if len(tokens) == 1 and tokens[0].kind in ("word", "name"):
        word = tokens[0].key
        if word in _NO_VALUE:
            return _NO_VALUE[word]
        if not word.startswith("CURRENT_"):
            return "'" + tokens[0].value.replace("'", "''") + "'"
    return normal_text(tokens, {})
