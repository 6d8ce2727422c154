"""How PostgreSQL tables are mended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.schema import CreateColumn

from sqlmodel_framework.engines.ddl import plain_dialect
from sqlmodel_framework.engines.mending import ColumnAspect, PartKind, TableMending
from sqlmodel_framework.engines.reading import ColumnReading, PartReading

__all__ = ["PostgresMending"]


@dataclass(frozen=True)
class PostgresMending(TableMending):
    """PostgreSQL can change all but the order of columns, and enums by new types only where members go."""

    def add_column(self, column: str) -> tuple[str, ...]:
        definition = str(
            CreateColumn(self.table.columns[column]).compile(dialect=plain_dialect(self.dialect))
        )
        return (f"{self._alter} ADD COLUMN {definition}",)

    def change_column(self, column: str, aspect: ColumnAspect) -> tuple[str, ...]:
        assert self.found is not None
        changes: dict[ColumnAspect, Callable[[ColumnReading, ColumnReading], tuple[str, ...]]] = {
            "type": self._change_type,
            "collation": self._change_type,
            "nullability": self._change_nullability,
            "default": self._change_default,
            "computed": self._change_computed,
            "identity": self._change_identity,
            "members": self._change_members,
            "comment": self._change_column_comment,
        }
        return changes[aspect](self.expected.columns[column], self.found.columns[column])

    def change_primary_key(self) -> tuple[str, ...]:
        assert self.found is not None
        key = ", ".join(self.quote(name) for name in self.expected.primary_key)
        drop = (
            [f"{self._alter} DROP CONSTRAINT {self.quote(self._key_name)}"] if self.found.primary_key else []
        )
        behind = self.expected.options.get("primary key", "")
        return (*drop, *([f"{self._alter} ADD PRIMARY KEY ({key}) {behind}".rstrip()] if key else []))

    def rename_primary_key(self, name: str) -> tuple[str, ...]:
        return (f"{self._alter} RENAME CONSTRAINT {self.quote(self._key_name)} TO {self.quote(name)}",)

    def add_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        named = f"{self.quote(part.name)} " if part.name else ""
        if kind == "index":
            unique, _, rest = part.text.partition("INDEX")
            return (f"CREATE {unique}INDEX {named}ON {self.name}{rest}",)
        return (f"{self._alter} ADD {f'CONSTRAINT {named}' if named else ''}{part.text}",)

    def drop_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        if kind == "index":
            return (f"DROP INDEX {self._beside(part.name or '')}",)
        return (f"{self._alter} DROP CONSTRAINT {self.quote(part.name or '')}",)

    def rename_part(self, kind: PartKind, found: PartReading, name: str) -> tuple[str, ...]:
        if kind == "index":
            return (f"ALTER INDEX {self._beside(found.name or '')} RENAME TO {self.quote(name)}",)
        return (f"{self._alter} RENAME CONSTRAINT {self.quote(found.name or '')} TO {self.quote(name)}",)

    def change_option(self, option: str) -> tuple[str, ...]:
        if option == "persistence":
            return (f"{self._alter} SET {self.expected.options.get(option, 'LOGGED')}",)
        if option == "primary key":
            return self.change_primary_key()
        if option == "storage parameters":
            return self._change_parameters(self.expected.options.get(option, ""))
        return ()

    def change_comment(self) -> tuple[str, ...]:
        return (f"COMMENT ON TABLE {self.name} IS {self._literal(self.expected.comment)}",)

    def _change_parameters(self, wanted: str) -> tuple[str, ...]:
        seen = (self.found.options if self.found else {}).get("storage parameters", "")
        gone = {one.partition("=")[0] for one in seen.split(", ") if one} - {
            one.partition("=")[0] for one in wanted.split(", ")
        }
        reset = (f"{self._alter} RESET ({', '.join(sorted(gone))})",) if gone else ()
        return (*((f"{self._alter} SET ({wanted})",) if wanted else ()), *reset)

    @property
    def _alter(self) -> str:
        return f"ALTER TABLE {self.name}"

    @property
    def _key_name(self) -> str:
        return (self.found.primary_key_name if self.found else None) or f"{self.table.name}_pkey"

    def _column(self, column: str, change: str) -> str:
        return f"{self._alter} ALTER COLUMN {self.quote(column)} {change}"

    def _beside(self, name: str) -> str:
        schema = self.table.schema
        return f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)

    def _literal(self, value: str | None) -> str:
        return "NULL" if value is None else "'" + value.replace("'", "''") + "'"

    def _change_type(self, expected: ColumnReading, found: ColumnReading) -> tuple[str, ...]:
        """Between families through text; a default of the old type goes first and comes back."""
        target = expected.type.split(" DOMAIN OVER ")[0]
        if target == found.type.split(" DOMAIN OVER ")[0] and "DOMAIN OVER" in found.type:
            return ()
        name = self.quote(expected.name)
        collate = f" COLLATE {expected.collation}" if expected.collation else ""
        if found.collation and not expected.collation:
            collate = ' COLLATE "default"'
        change = self._column(expected.name, f"TYPE {target}{collate}{_using(name, found.type, target)}")
        if found.default is None:
            return (change,)
        back = [self._column(expected.name, f"SET DEFAULT {expected.default}")] if expected.default else []
        return (self._column(expected.name, "DROP DEFAULT"), change, *back)

    def _change_nullability(self, expected: ColumnReading, _: ColumnReading) -> tuple[str, ...]:
        return (self._column(expected.name, "DROP NOT NULL" if expected.nullable else "SET NOT NULL"),)

    def _change_default(self, expected: ColumnReading, _: ColumnReading) -> tuple[str, ...]:
        change = "DROP DEFAULT" if expected.default is None else f"SET DEFAULT {expected.default}"
        return (self._column(expected.name, change),)

    def _change_column_comment(self, expected: ColumnReading, _: ColumnReading) -> tuple[str, ...]:
        column = f"{self.name}.{self.quote(expected.name)}"
        return (f"COMMENT ON COLUMN {column} IS {self._literal(expected.comment)}",)

    def _change_computed(self, expected: ColumnReading, _: ColumnReading) -> tuple[str, ...]:
        return (*self.drop_column(expected.name), *self.add_column(expected.name))

    def _change_identity(self, expected: ColumnReading, found: ColumnReading) -> tuple[str, ...]:
        """Identity columns only: a SERIAL is several objects, and its numbers must go on behind the largest there is."""
        wanted, seen = (reading.identity or "" for reading in (expected, found))
        drop = "DROP IDENTITY" if seen.startswith("GENERATED") else "DROP DEFAULT"
        remove = (self._column(expected.name, drop),) if seen else ()
        if wanted.startswith("GENERATED"):
            return (*remove, self._column(expected.name, f"ADD {_with_options(wanted)}"))
        if wanted == "SERIAL":
            return (*remove, *self._count_up(expected))
        return () if wanted else remove

    def _count_up(self, column: ColumnReading) -> tuple[str, ...]:
        """What SERIAL is short for; the numbers go on behind the largest one there is."""
        name, table = self.quote(column.name), self.name
        sequence = self._beside(f"{self.table.name}_{column.name}_seq")
        literal = self._literal(sequence)
        return (
            f"CREATE SEQUENCE IF NOT EXISTS {sequence} AS {column.type} OWNED BY {table}.{name}",
            f"SELECT setval({literal}, coalesce((SELECT max({name}) FROM {table}), 0) + 1, false)",  # noqa: S608 - quoted names
            self._column(column.name, f"SET DEFAULT nextval({literal}::regclass)"),
        )

    def _change_members(self, expected: ColumnReading, found: ColumnReading) -> tuple[str, ...]:
        """ADD VALUE keeps rows and order. A type cannot lose or move members: a new one takes its place."""
        wanted, seen = expected.members or (), found.members or ()
        name = expected.type.removesuffix("[]")
        if [member for member in wanted if member in seen] != list(seen):
            return self._replace_enum(expected, name)
        statements = []
        for number, member in enumerate(wanted):
            if member not in seen:
                place = f" AFTER {self._literal(wanted[number - 1])}" if number else ""
                place = place or (f" BEFORE {self._literal(seen[0])}" if seen else "")
                statements.append(f"ALTER TYPE {name} ADD VALUE {self._literal(member)}{place}")
        return tuple(statements)

    def _replace_enum(self, expected: ColumnReading, name: str) -> tuple[str, ...]:
        """Rows with a member that goes refuse this. The old type stays, as other columns may have it."""
        members = ", ".join(self._literal(member) for member in expected.members or ())
        column = self.quote(expected.name)
        bare = name.rpartition(".")[2].strip('"')
        back = [self._column(expected.name, f"SET DEFAULT {expected.default}")] if expected.default else []
        return (
            f"ALTER TYPE {name} RENAME TO {self.quote(f'{bare}_before')}",
            f"CREATE TYPE {name} AS ENUM ({members})",
            *([self._column(expected.name, "DROP DEFAULT")] if back else []),
            self._column(expected.name, f"TYPE {expected.type} USING {column}::text::{expected.type}"),
            *back,
        )


_NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}


def _using(column: str, found: str, expected: str) -> str:
    """How values become those of the other type; nothing where an assignment does it, which refuses what does not fit."""
    families = {re.sub(r"\(.*?\)", "", one) for one in (found, expected)}
    if len(families) == 1 or families <= _NUMBERS or expected.startswith("character"):
        return ""
    if families == {"timestamp without time zone", "timestamp with time zone"}:
        return f" USING {column} AT TIME ZONE 'UTC'"
    return f" USING {column}::text::{expected}"


def _with_options(identity: str) -> str:
    what, _, options = identity.partition(" IDENTITY")
    for word in ("START", "INCREMENT"):
        options = options.replace(f"{word} ", f"{word} {'WITH' if word == 'START' else 'BY'} ")
    return f"{what} IDENTITY" + (f" ({options.strip()})" if options.strip() else "")
