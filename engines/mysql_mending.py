"""Statements that would mend a table on MySQL and MariaDB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import String, literal

from sqlmodel_framework.engines.ddl import plain_dialect
from sqlmodel_framework.engines.mending import ColumnAspect, PartKind, TableMending
from sqlmodel_framework.engines.reading import ColumnReading, PartReading, TableReading

__all__ = ["MySQLMending"]

_TEXT_TYPE = re.compile(r"(char|varchar|tinytext|text|mediumtext|longtext|enum|set)\b")
_OPTION_DEFAULTS = {
    **dict.fromkeys(
        ("avg_row_length", "checksum", "delay_key_write", "key_block_size", "max_rows", "min_rows"), "0"
    ),
    **dict.fromkeys(("pack_keys", "stats_auto_recalc", "stats_persistent", "stats_sample_pages"), "DEFAULT"),
}


class MySQLMending(TableMending):
    """ALTER TABLE with column definitions built from the expected reading: MODIFY sets all that a column has.

    Not expressed: another partitioning, and the type of a column that foreign keys of other tables refer to, which the
    server refuses to change (error 1833). Run on MariaDB 10.11 only; MySQL needs 8.0.19, for DROP CONSTRAINT.
    """

    def drop_table(self) -> tuple[str, ...]:
        kind = self.found.kind if self.found else "table"
        word = kind.upper() if kind in {"view", "sequence"} else "TABLE"
        return (f"DROP {word} {self.name}",)

    def add_column(self, column: str) -> tuple[str, ...]:
        """Names of columns have no case here: one that differs in its case alone is renamed."""
        twin = _same_but_case(column, self._found)
        verb = f"CHANGE COLUMN {self.quote(twin)}" if twin else "ADD COLUMN"
        clauses = [f"{verb} {self._definition(column)} {self._position(column)}"]
        if self.expected.columns[column].identity and self._found.primary_key != self.expected.primary_key:
            clauses += self._key_clauses()
        return (self._alter(*clauses),)

    def drop_column(self, column: str) -> tuple[str, ...]:
        if _same_but_case(column, self.expected):
            return ()
        return (self._alter(*self._drops_of(column), f"DROP COLUMN {self.quote(column)}"),)

    def change_column(self, column: str, aspect: ColumnAspect) -> tuple[str, ...]:
        found = self._found.columns.get(column)
        if aspect == "identity" and (self.expected.columns[column].identity or "").startswith("a sequence"):
            return ()
        if aspect == "computed" and not self._may_modify_computed(column, found):
            return self._replace_column(column)
        keys = [key for key in self._found.foreign_keys if column in key.columns]
        modify = self._alter(f"MODIFY COLUMN {self._definition(column)}")
        if not keys or aspect not in {"type", "collation"}:
            return (modify,)
        return (
            self._alter(*(f"DROP FOREIGN KEY {self.quote(key.name or '')}" for key in keys)),
            modify,
            self._alter(*(f"ADD {self._part('foreign key', key)}" for key in keys)),
        )

    def move_column(self, column: str) -> tuple[str, ...]:
        return (self._alter(f"MODIFY COLUMN {self._definition(column)} {self._position(column)}"),)

    def change_primary_key(self) -> tuple[str, ...]:
        counted = [
            f"MODIFY COLUMN {self._definition(name)}"
            for name, column in self.expected.columns.items()
            if name in self._found.columns and (column.identity or self._found.columns[name].identity)
        ]
        return (self._alter(*self._key_clauses(), *counted),)

    def add_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        if kind == "check" and self._is_column_check(part):
            return (self._alter(f"MODIFY COLUMN {self._definition(part.name or '')}"),)
        return (self._alter(f"ADD {self._part(kind, part)}"),)

    def drop_part(self, kind: PartKind, part: PartReading) -> tuple[str, ...]:
        if kind == "check" and self._is_column_check(part):
            return (self._alter(f"MODIFY COLUMN {self._definition(part.name or '')}"),)
        return (self._alter(*self._drop_clauses(kind, part)),)

    def rename_part(self, kind: PartKind, found: PartReading, name: str) -> tuple[str, ...]:
        if kind in {"index", "unique"}:
            return (self._alter(f"RENAME INDEX {self.quote(found.name or '')} TO {self.quote(name)}"),)
        renamed = PartReading(name, found.text, found.columns)
        return (*self.drop_part(kind, found), self._alter(f"ADD {self._part(kind, renamed)}"))

    def change_option(self, option: str) -> tuple[str, ...]:
        value = self.expected.options.get(option)
        if option == "collation":
            return self._change_collation(value)
        if option == "partitions":
            return (self._alter("REMOVE PARTITIONING"),) if value is None else ()
        value = _OPTION_DEFAULTS.get(option) if value is None else value
        return () if value is None else (self._alter(f"{option.upper()} = {value}"),)

    def change_comment(self) -> tuple[str, ...]:
        return (self._alter(f"COMMENT = {self._literal(self.expected.comment or '')}"),)

    def quote(self, name: str) -> str:
        return plain_dialect(self.dialect).identifier_preparer.quote(name)

    # clauses

    @property
    def _found(self) -> TableReading:
        return self.found or TableReading({})

    @property
    def _is_mariadb(self) -> bool:
        return bool(getattr(self.dialect, "is_mariadb", False))

    def _alter(self, *clauses: str) -> str:
        return f"ALTER TABLE {self.name} " + ", ".join(clause.strip() for clause in clauses)

    def _literal(self, value: str) -> str:
        plain = plain_dialect(self.dialect)
        return str(literal(value, String()).compile(dialect=plain, compile_kwargs={"literal_binds": True}))

    def _position(self, column: str) -> str:
        names = list(self.expected.columns)
        before = [name for name in names[: names.index(column)] if name in self._found.columns]
        return f"AFTER {self.quote(before[-1])}" if before else "FIRST"

    def _definition(self, column: str) -> str:
        reading = self.expected.columns[column]
        type_, _, hidden = reading.type.partition(" INVISIBLE")
        invisible = "INVISIBLE" if reading.type.endswith(" INVISIBLE") else ""
        words = [self.quote(column), type_ if invisible else type_ + hidden]
        if reading.members is not None:
            words[-1] += "(" + ", ".join(map(self._literal, reading.members)) + ")"
        if reading.collation:
            words.append("CHARACTER SET {} COLLATE {}".format(*reading.collation.split("/")))
        words += self._filling(reading)
        words.append(invisible)
        if reading.comment:
            words.append(f"COMMENT {self._literal(reading.comment)}")
        words += [
            check.text
            for check in self.expected.checks
            if check.name == column and self._is_column_check(check)
        ]
        return " ".join(word for word in words if word)

    def _filling(self, reading: ColumnReading) -> Iterator[str]:
        """What fills a value that is missing."""
        if reading.computed:
            kind, _, expression = reading.computed.partition(" ")
            yield f"GENERATED ALWAYS AS {expression} {kind}"
            if not reading.nullable and not self._is_mariadb:
                yield "NOT NULL"
            return
        yield "NULL" if reading.nullable else "NOT NULL"
        if reading.default:
            yield reading.default if reading.default.startswith("ON UPDATE") else f"DEFAULT {reading.default}"
        if reading.identity == "AUTO_INCREMENT":
            yield reading.identity

    def _key_clauses(self) -> list[str]:
        columns = self.expected.columns
        parts = ", ".join(self.quote(part) if part in columns else part for part in self.expected.primary_key)
        return [
            *(["DROP PRIMARY KEY"] if self._found.primary_key else []),
            *([f"ADD PRIMARY KEY ({parts})"] if parts else []),
        ]

    def _part(self, kind: PartKind, part: PartReading) -> str:
        """A part as it follows ADD. A name that the server made is left to the server."""
        name = part.name or ""
        if kind in {"unique", "index"}:
            head, _, rest = part.text.partition(" (")
            return f"{head} {'INDEX ' if kind == 'unique' else ''}{self.quote(name)} ({rest}"
        text = self._with_default_schema(part.text) if kind == "foreign key" else part.text
        return text if _is_servers_name(name) else f"CONSTRAINT {self.quote(name)} {text}"

    def _with_default_schema(self, text: str) -> str:
        """A table without schema is looked for beside this one: name the default schema, where this one has another."""
        referred = re.search(r"\) REFERENCES ((?:`(?:[^`]|``)+`|[^ `.]+)) \(", text)
        default = self.dialect.default_schema_name
        if self.table.schema is None or referred is None or default is None:
            return text
        return text[: referred.start(1)] + f"{self.quote(default)}." + text[referred.start(1) :]

    def _drop_clauses(self, kind: PartKind, part: PartReading, going: str | None = None) -> list[str]:
        name = self.quote(part.name or "")
        if kind == "foreign key":
            index = self._implicit_index(part)
            return [f"DROP FOREIGN KEY {name}", *([f"DROP INDEX {self.quote(index)}"] if index else [])]
        if kind == "check":
            return [f"DROP CONSTRAINT {name}"]
        return [f"DROP INDEX {name}", *self._indexes_instead(part, going)]

    def _implicit_index(self, key: PartReading) -> str | None:
        """The index that the server made for a foreign key; None where another one serves the key, or serves others too."""
        if self._covers(key.columns) or any(
            other != key and other.columns[: len(key.columns)] == key.columns
            for other in self._found.foreign_keys
        ):
            return None
        if key.name and not _is_servers_name(key.name):
            return key.name
        taken = {part.name for part in (*self._found.indexes, *self._found.uniques)}
        first = key.columns[0]
        return next(name for n in range(1, 99) if (name := f"{first}_{n}" if n > 1 else first) not in taken)

    def _indexes_instead(self, index: PartReading, going: str | None) -> Iterator[str]:
        """Foreign keys need an index: one takes the place of that which goes. Those of the column `going` go too."""
        for key in self._found.foreign_keys:
            if going in key.columns:
                continue
            if index.columns[: len(key.columns)] == key.columns and not self._covers(key.columns, index):
                name = key.columns[0] if _is_servers_name(key.name or "") else key.name or ""
                yield f"ADD INDEX {self.quote(name)} ({', '.join(map(self.quote, key.columns))})"

    def _covers(self, columns: Sequence[str], without: PartReading | None = None) -> bool:
        """Whether the primary key or an index that was found begins with these columns."""
        others = [part.columns for part in (*self._found.indexes, *self._found.uniques) if part != without]
        return any(
            tuple(have[: len(columns)]) == tuple(columns) for have in (self._found.primary_key, *others)
        )

    def _is_column_check(self, part: PartReading) -> bool:
        """MariaDB names a check that belongs to a column after it; only MODIFY changes it."""
        return self._is_mariadb and part.name in self.expected.columns

    def _may_modify_computed(self, column: str, found: ColumnReading | None) -> bool:
        return self.expected.columns[column].computed is None and bool(
            found and found.computed and found.computed.startswith("STORED")
        )

    def _replace_column(self, column: str) -> tuple[str, ...]:
        """The values are computed anew; indexes on the column are made again."""
        again = [
            f"ADD {self._part(kind, part)}"
            for kind, parts in _parts(self.expected)
            for part in parts
            if column in part.columns
        ]
        return (
            self._alter(*self._drops_of(column), f"DROP COLUMN {self.quote(column)}"),
            self._alter(f"ADD COLUMN {self._definition(column)} {self._position(column)}", *again),
        )

    def _drops_of(self, column: str) -> list[str]:
        """What must go with a column: the server refuses to drop one that is part of it."""
        clauses = ["DROP PRIMARY KEY"] if column in self._found.primary_key[1:] else []
        for kind, parts in _parts(self._found):
            for part in parts:
                if column in part.columns and (kind == "foreign key" or len(part.columns) > 1):
                    clauses += self._drop_clauses(kind, part, column)
        quoted = f"`{column}`"
        return clauses + [
            f"DROP CONSTRAINT {self.quote(check.name or '')}"
            for check in self._found.checks
            if quoted in check.text and not (self._is_mariadb and check.name in self._found.columns)
        ]

    def _change_collation(self, value: str | None) -> tuple[str, ...]:
        """Columns are converted too; those of another collation, or whose type the server widens, are set again."""
        to = "{} COLLATE {}".format(*value.split("/")) if value else "DEFAULT"
        again = [
            f"MODIFY COLUMN {self._definition(name)}"
            for name, column in self.expected.columns.items()
            if name in self._found.columns and (column.collation or _TEXT_TYPE.match(column.type))
        ]
        convert = self._alter(f"CONVERT TO CHARACTER SET {to}")
        return (convert, self._alter(*again)) if again else (convert,)


def _parts(reading: TableReading) -> tuple[tuple[PartKind, tuple[PartReading, ...]], ...]:
    return ("foreign key", reading.foreign_keys), ("unique", reading.uniques), ("index", reading.indexes)


def _same_but_case(column: str, reading: TableReading) -> str | None:
    return next((n for n in reading.columns if n != column and n.casefold() == column.casefold()), None)


def _is_servers_name(name: str) -> bool:
    """Names that the server gives: `keys_ibfk_1`, `keys_chk_1`, `CONSTRAINT_1`; MariaDB 12 numbers foreign keys alone."""
    return not name or re.fullmatch(r".*_(ibfk|chk)_\d+|CONSTRAINT_\d+|\d+", name) is not None
