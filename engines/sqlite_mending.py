"""Mending SQLite: ALTER TABLE where it can do the work, else the rebuild that SQLite's documentation describes.

Source: https://www.sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from sqlmodel_framework.engines.mending import ColumnAspect, PartKind, TableMending
from sqlmodel_framework.engines.reading import ColumnReading, PartReading, TableReading
from sqlmodel_framework.engines.sqlite_ddl_text import plain, tokens_of
from sqlmodel_framework.engines.sqlite_table_text import parse_table, renamed_table

__all__ = ["SQLiteMending"]


@dataclass(frozen=True)
class SQLiteMending(TableMending):
    """SQLite. A rebuild gives the table all that the class says but missing indexes, whatever the finding was.

    Columns that no class knows keep their values and indexes in a rebuild; they lose defaults and constraints. Triggers
    stay with the old table, which is kept as `<name>__before`: the shell goes on after an error, such as a row that the
    new table refuses, and a DROP would then lose the rows. A rebuild is to be run outside a transaction, where SQLite can
    turn foreign keys off; BEGIN refuses to run inside one.
    """

    def add_column(self, column: str) -> tuple[str, ...]:
        twin = self._twin(self.found, column)
        if twin is not None:
            return self._rename_column(twin, column)
        expected = self.expected.columns[column]
        text = parse_table(self.create[0]).columns[plain(column)]
        if not _can_be_added(expected) or column in self.expected.primary_key or text.constraints:
            return self._rebuild()
        return (f"ALTER TABLE {self.name} ADD COLUMN {text.definition}",)

    def drop_column(self, column: str) -> tuple[str, ...]:
        assert self.found is not None
        twin = self._twin(self.expected, column)
        if twin is not None:
            return self._rename_column(column, twin)
        if _is_used(column, self.found):
            return self._rebuild(without={column})
        return super().drop_column(column)

    def change_column(self, column: str, aspect: ColumnAspect) -> tuple[str, ...]:
        return () if aspect == "comment" else self._rebuild()

    def move_column(self, column: str) -> tuple[str, ...]:
        return self._rebuild()

    def change_primary_key(self) -> tuple[str, ...]:
        return self._rebuild()

    def add_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        if kind != "index" or part.name is None:
            return self._rebuild()
        return (self._create_index(part.name, part),)

    def drop_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        if kind != "index" or part.name is None:
            return self._rebuild()
        return (f"DROP INDEX {self._in_schema(part.name)}",)

    def rename_part(self, kind: PartKind, found: PartReading, name: str) -> tuple[str, ...]:
        if kind != "index":
            return self._rebuild()
        return (*self.drop_part(kind, found), self._create_index(name, found))

    def change_option(self, option: str) -> tuple[str, ...]:
        return self._rebuild()

    def _rename_column(self, found: str, expected: str) -> tuple[str, ...]:
        quoted = map(self.quote, (found, expected))
        return (f"ALTER TABLE {self.name} RENAME COLUMN {' TO '.join(quoted)}",)

    def _twin(self, reading: TableReading | None, column: str) -> str | None:
        """A column that differs in letter case alone: SQLite takes it for the same one."""
        columns = reading.columns if reading is not None else ()
        return next((name for name in columns if name != column and plain(name) == plain(column)), None)

    def _rebuild(self, *, without: Collection[str] = ()) -> tuple[str, ...]:
        assert self.found is not None
        extra = [
            column
            for name, column in self.found.columns.items()
            if plain(name) not in map(plain, chain(self.expected.columns, without))
        ]
        new = self._in_schema(self._new_name)
        return (
            "PRAGMA foreign_keys = OFF",
            "PRAGMA legacy_alter_table = ON",
            "BEGIN IMMEDIATE",
            renamed_table(self.create[0], self.quote(self._new_name)),
            *(f"ALTER TABLE {new} ADD COLUMN {self._kept(column)}" for column in extra),
            *self._copy_rows(new, extra),
            *self._keep_counting(),
            *(
                f"DROP INDEX IF EXISTS {self._in_schema(part.name)}"
                for part in self.found.indexes
                if part.name
            ),
            f"ALTER TABLE {self.name} RENAME TO {self.quote(f'{self.table.name}__before')}",
            f"ALTER TABLE {new} RENAME TO {self.quote(self.table.name)}",
            *self._indexes_again(without),
            "COMMIT",
            "PRAGMA legacy_alter_table = OFF",
            "PRAGMA foreign_keys = ON",
        )

    @property
    def _new_name(self) -> str:
        return f"{self.table.name}__new"

    def _kept(self, column: ColumnReading) -> str:
        """A column of others as ADD COLUMN takes it: without NOT NULL, with its values as plain values."""
        return f"{self.quote(column.name)} {column.type}".rstrip()

    def _copy_rows(self, new: str, extra: Collection[ColumnReading]) -> Iterator[str]:
        assert self.found is not None
        there = {plain(name): name for name in self.found.columns}
        into = [one.name for one in self.expected.columns.values() if one.computed is None]
        pairs = [(name, there[plain(name)]) for name in into if plain(name) in there]
        pairs += [(one.name, one.name) for one in extra]
        if pairs:
            names, sources = (", ".join(map(self.quote, side)) for side in zip(*pairs, strict=True))
            yield f"INSERT INTO {new} ({names}) SELECT {sources} FROM {self.name}"  # noqa: S608 - quoted names

    def _keep_counting(self) -> Iterator[str]:
        """AUTOINCREMENT never gives a number twice, not even that of a row that is gone."""
        assert self.found is not None
        sides = (self.expected, self.found)
        if all(any(one.identity for one in side.columns.values()) for side in sides):
            sequence = self._in_schema("sqlite_sequence")
            old, new = map(_string, (self.table.name, self._new_name))
            yield f"DELETE FROM {sequence} WHERE name = {new}"  # noqa: S608 - a quoted string
            yield f"INSERT INTO {sequence} SELECT {new}, seq FROM {sequence} WHERE name = {old}"  # noqa: S608

    def _indexes_again(self, without: Collection[str]) -> Iterator[str]:
        """The indexes that were there, as the class has them; those of others as they were. A missing one stays missing."""
        assert self.found is not None
        ours = {plain(part.name): part for part in self.expected.indexes if part.name}
        for part in self.found.indexes:
            name = part.name or ""
            if plain(name) in ours:
                yield self._create_index(name, ours[plain(name)])
            elif not any(_names(part, one) for one in without):
                yield self._create_index(name, part)

    def _create_index(self, name: str, part: PartReading) -> str:
        kind, definition = part.text.split("INDEX ", 1)
        return f"CREATE {kind}INDEX {self._in_schema(name)} ON {self.quote(self.table.name)} {definition}"

    def _in_schema(self, name: str) -> str:
        schema = self.table.schema
        return f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _can_be_added(column: ColumnReading) -> bool:
    """Whether ADD COLUMN takes such a column in a table with rows."""
    if column.computed is not None:
        return column.computed.startswith("VIRTUAL") and column.nullable
    return column.nullable if column.default is None else _is_constant(column.default)


def _is_constant(default: str) -> bool:
    tokens = [token for token in tokens_of(default) if token.text not in ("+", "-")]
    return len(tokens) == 1 and tokens[0].kind in ("string", "blob", "number")


def _is_used(column: str, table: TableReading) -> bool:
    """Whether DROP COLUMN would be refused: a key, constraint, index or computed column names the column."""
    parts = (*table.foreign_keys, *table.uniques, *table.checks, *table.indexes)
    computed = [one.computed for one in table.columns.values() if one.computed and one.name != column]
    return column in table.primary_key or any(
        _names(PartReading(None, text), column) for text in (*computed, *(part.text for part in parts))
    )


def _names(part: PartReading, column: str) -> bool:
    return any(
        token.kind in ("word", "name") and plain(token.value) == plain(column)
        for token in tokens_of(part.text)
    )
