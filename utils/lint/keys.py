"""Keys and indexes: too wide, of floats, or missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import Index

from sqlmodel_framework.base.models.bronze import BronzeMetadata
from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.base.models.silver import SilverMetadata
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["float_in_key", "foreign_key_without_index", "index_too_wide", "silver_without_key"]


def index_too_wide(subject: Subject) -> Iterator[Finding]:
    """DL401: an index or key whose entries are wider than a database takes."""
    wide = {column.name for column in subject.of("text", "binary", "json", "enum")}
    if not wide:
        return
    for part, columns, index in _indexes(subject):
        if wide.isdisjoint(columns):
            continue
        cause = subject.told(_too_wide, columns, index, subject)
        if cause is not None:
            only = subject.contract.columns[columns[0]] if len(columns) == 1 else None
            told = f"{part} ({', '.join(columns)})"
            name = None if index is None or only is not None else str(index.name)
            yield subject.finding("DL401", only, "a narrower index", told, cause, part=name)


def _indexes(subject: Subject) -> Iterator[tuple[str, Sequence[str], Index | None]]:
    own = subject.contract
    if own.primary_key:
        yield "PRIMARY KEY", own.primary_key, None
    indexes = {tuple(c.name for c in index.columns): index for index in subject.table.indexes}
    others = dict.fromkeys([*own.unique_keys, *(key.columns for key in own.foreign_keys)])
    yield from (
        ("UNIQUE" if key in own.unique_keys else "FOREIGN KEY", key, None)
        for key in others
        if key not in indexes
    )
    yield from (("INDEX", key, index) for key, index in indexes.items() if key)


def _too_wide(
    database: Database, columns: Sequence[str], index: Index | None, subject: Subject
) -> str | None:
    most = database.facts.index_bytes
    lengths = index.dialect_kwargs.get(f"{database.dialect.name}_length") if index is not None else None
    if most is None or lengths is not None:
        return None
    widths = [_width(database, subject.contract.columns[name]) for name in columns]
    if None in widths:
        return "refuses a text without a length in an index, or indexes its beginning alone"
    width = sum(width or 0 for width in widths)
    return f"takes {most} bytes, and this has {width}: refused, or cut" if width > most else None


_FIXED = {
    "boolean": 1,
    "date": 3,
    "time": 6,
    "datetime": 8,
    "interval": 8,
    "integer": 8,
    "float": 8,
    "enum": 2,
}


def _width(database: Database, column: ColumnContract) -> int | None:
    """Bytes of the column in an index; None for a type without a length."""
    if column.family in _FIXED:
        return _FIXED[column.family]
    name, _, length = (database.type_of(column) or "").partition("(")
    size = re.match(r"\d+", length)
    if column.family == "decimal":
        return int(size[0]) // 2 + 1 if size else 8
    if size is None:
        return None if database.facts.sized_index_texts else 0
    return int(size[0]) * (1 if name in ("BINARY", "VARBINARY") else database.facts.character_bytes)


def float_in_key(subject: Subject) -> Iterator[Finding]:
    """DL402: a float that identifies rows."""
    floats = {column.name: column for column in subject.of("float")}
    if not floats:
        return
    own = subject.contract
    kinds = [("the primary key", own.primary_key)]
    kinds += [("a unique key", key) for key in own.unique_keys]
    kinds += [("a foreign key", key.columns) for key in own.foreign_keys]
    for name, column in floats.items():
        kind = next((kind for kind, key in kinds if name in key), None)
        if kind is not None:
            cause = subject.everywhere("0.1 + 0.2 and 0.3 are two keys")
            expected = "a Decimal, an integer or a text"
            yield subject.finding("DL402", column, expected, f"a float in {kind}", cause)


def foreign_key_without_index(subject: Subject) -> Iterator[Finding]:
    """DL403: a foreign key whose columns begin no index."""
    for key in subject.contract.foreign_keys:
        size = len(key.columns)
        if any(set(columns[:size]) == set(key.columns) for columns in subject.indexed):
            continue
        cause = subject.told(_unindexed)
        if cause is not None:
            only = subject.contract.columns[key.columns[0]] if size == 1 else None
            found = f"FOREIGN KEY ({', '.join(key.columns)}) without an index"
            yield subject.finding("DL403", only, "index=True", found, cause)


def _unindexed(database: Database) -> str | None:
    if database.facts.indexes_foreign_keys:
        return None
    return "makes no index for it: a join, or a delete in the other table, reads the whole table"


def silver_without_key(subject: Subject) -> Iterator[Finding]:
    """DL404: a Silver table whose rows nothing identifies but a number of the server's."""
    if not _is_silver(subject) or subject.contract.unique_keys:
        return
    key = subject.contract.primary_key
    found = "no key"
    if key:
        column = subject.contract.columns[key[0]]
        info = column.field_info
        made = info is not None and not info.is_required() and column.family in ("integer", "uuid")
        if len(key) > 1 or column.column.foreign_keys or not made:
            return
        found = f"the key {key[0]}, which is made anew for each row"
    cause = subject.everywhere("a promotion that runs twice stores every row twice")
    yield subject.finding("DL404", None, "a key of the business", found, cause)


def _is_silver(subject: Subject) -> bool:
    if isinstance(subject.item, type) and issubclass(subject.item, SilverMetadata):
        return True
    bronze = isinstance(subject.item, type) and issubclass(subject.item, BronzeMetadata)
    return not bronze and (subject.kit.startswith("silver") or subject.table.name.startswith("silver_"))
