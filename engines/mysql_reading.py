r"""Read the tables of MySQL and MariaDB from `information_schema`, in a fixed number of queries.

Seen on MariaDB 10.11: the wait for a table that another session is making or changing ends with error 1205 after
`lock_wait_timeout`; LOCK TABLES does not block a reading. Seen on MySQL 9.7: expressions hold `_utf8mb4\'text\'`, literal
defaults have no quotes, and nobody waits for a table that is being made.
Not read: comments of indexes, which no class can give.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sqlmodel_framework.engines.mysql_catalogue import Catalogue, Names, Physical, Row
from sqlmodel_framework.engines.reading import (
    ColumnReading,
    PartReading,
    Places,
    Reading,
    TableKey,
    TableReading,
)

__all__ = ["read_tables"]

_KINDS = {"BASE TABLE": "table", "SYSTEM VERSIONED": "system-versioned table", "VIEW": "view"}
_NO_RULE = {"RESTRICT", "NO ACTION"}


def read_tables(connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
    """Read these tables; names are compared as `lower_case_table_names` of the server says.

    Nine queries, ten with partitions, each followed by SHOW WARNINGS; more for each further 5,000 tables. A user without any right but SELECT
    sees no rules of foreign keys there on MariaDB: then SHOW CREATE TABLE is asked for the tables that have such keys.
    Raises TryAgainError for a table that is locked, DeploymentError for one that the server itself cannot read.
    """
    catalogue = Catalogue(connection, Names(connection, list(tables), places))
    return {key: _table(catalogue, physical) for physical, keys in catalogue.found().items() for key in keys}


def _table(catalogue: Catalogue, physical: Physical) -> TableReading:
    row = catalogue.tables[physical][0]
    own = (_charset(row["TABLE_COLLATION"]), row["TABLE_COLLATION"])
    columns = [_column(catalogue, c, own) for c in catalogue.columns.get(physical, ())]
    if row["TABLE_TYPE"] == "VIEW":
        return TableReading({c.name: c for c in columns}, kind="view")
    indexes = _indexes(catalogue, physical)
    primary_key, uniques, others = _sorted_indexes(catalogue, indexes)
    foreign_keys, implicit = _foreign_keys(catalogue, physical, others)
    return TableReading(
        columns={c.name: c for c in columns},
        kind=_KINDS.get(row["TABLE_TYPE"], row["TABLE_TYPE"].lower()),
        primary_key=primary_key,
        foreign_keys=foreign_keys,
        uniques=uniques,
        checks=_checks(catalogue, physical),
        indexes=tuple(part for name, part in others.items() if name not in implicit),
        options=_options(catalogue, physical, row),
        comment=row["TABLE_COMMENT"] or None,
    )


def _column(catalogue: Catalogue, row: Row, of_table: tuple[str | None, str | None]) -> ColumnReading:
    extra = row["EXTRA"] or ""
    type_, members = _type(row)
    own = (row["CHARACTER_SET_NAME"], row["COLLATION_NAME"])
    generated = catalogue.names.expression(row.get("GENERATION_EXPRESSION") or "")
    kind = "STORED" if re.search("STORED|PERSISTENT", extra, re.IGNORECASE) else "VIRTUAL"
    return ColumnReading(
        name=row["COLUMN_NAME"],
        type=type_,
        nullable=row["IS_NULLABLE"] == "YES",
        default=None if generated else _default(catalogue, row),
        computed=f"{kind} ({generated})" if generated else None,
        identity=_identity(catalogue, row),
        collation=None if own[1] is None or own == of_table else f"{own[0]}/{own[1]}",
        comment=row["COLUMN_COMMENT"] or None,
        members=members,
    )


def _identity(catalogue: Catalogue, row: Row) -> str | None:
    if "auto_increment" in (row["EXTRA"] or "").lower():
        return "AUTO_INCREMENT"
    options = catalogue.sequence_of(row["COLUMN_DEFAULT"])
    return None if options is None else f"a sequence {options}"


def _type(row: Row) -> tuple[str, tuple[str, ...] | None]:
    printed, members = str(row["COLUMN_TYPE"]), None
    if row["DATA_TYPE"] in {"enum", "set"}:
        members = tuple(_ESCAPED.sub(_unescape, m) for m in re.findall("'((?:[^']|'')*)'", printed))
        printed = row["DATA_TYPE"]
    if row.get("SRS_ID") is not None:
        printed += f" SRID {row['SRS_ID']}"
    if re.search("INVISIBLE", row["EXTRA"] or "", re.IGNORECASE):
        printed += " INVISIBLE"
    return printed, members


_ESCAPED = re.compile(r"''|\\(.)", re.DOTALL)


def _unescape(found: re.Match[str]) -> str:
    letter = found[1]
    return "'" if letter is None else {"n": "\n", "r": "\r", "0": "\0", "Z": "\x1a"}.get(letter, letter)


def _default(catalogue: Catalogue, row: Row) -> str | None:
    """What may stand after DEFAULT. MariaDB prints just that; MySQL prints a literal without its quotes."""
    printed, extra = row["COLUMN_DEFAULT"], row["EXTRA"] or ""
    on_update = re.search(r"on update \S+", extra, re.IGNORECASE)
    if catalogue.names.mariadb:
        found = None if printed == "NULL" else printed
    else:
        found = (
            None if printed is None else _mysql_default(row, printed, "DEFAULT_GENERATED" in extra.upper())
        )
    if found is not None:
        found = catalogue.names.expression(found) if not found.startswith("'") else found
    return " ".join(filter(None, [found, on_update and on_update[0].upper()])) or None


def _mysql_default(row: Row, printed: str, generated: bool) -> str:
    if re.match(r"CURRENT_TIMESTAMP\b", printed, re.IGNORECASE):
        return printed
    if generated:
        now = re.fullmatch(r"now\((\d*)\)", printed)
        return f"CURRENT_TIMESTAMP({now[1]})".replace("()", "") if now else f"({printed})"
    if re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?|b'[01]*'|0x[0-9a-f]*", printed, re.IGNORECASE):
        return printed
    return "'" + printed.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass
class _Index:
    name: str
    unique: bool
    method: str
    hidden: str
    parts: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


def _indexes(catalogue: Catalogue, physical: Physical) -> list[_Index]:
    found: dict[str, _Index] = {}
    for row in catalogue.statistics.get(physical, ()):
        index = found.setdefault(row["INDEX_NAME"], _new_index(row))
        index.parts.append(_index_part(catalogue, row))
        if row["COLUMN_NAME"] is not None:
            index.columns.append(row["COLUMN_NAME"])
    return sorted(found.values(), key=lambda index: index.name)


def _new_index(row: Row) -> _Index:
    hidden = (
        " INVISIBLE" if row.get("IS_VISIBLE") == "NO" else " IGNORED" if row.get("IGNORED") == "YES" else ""
    )
    return _Index(row["INDEX_NAME"], not int(row["NON_UNIQUE"]), row["INDEX_TYPE"], hidden)


def _index_part(catalogue: Catalogue, row: Row) -> str:
    if row["COLUMN_NAME"] is None:
        part = f"({catalogue.names.expression(row['EXPRESSION'])})"
    else:
        part = catalogue.names.quote(row["COLUMN_NAME"])
    if row["SUB_PART"] and row["INDEX_TYPE"] != "SPATIAL":
        part += f"({row['SUB_PART']})"
    return f"{part} DESC" if row["COLLATION"] == "D" else part


def _sorted_indexes(
    catalogue: Catalogue, indexes: Iterable[_Index]
) -> tuple[tuple[str, ...], tuple[PartReading, ...], dict[str, PartReading]]:
    """Primary key, unique constraints and all other indexes. A unique index is a unique constraint here."""
    primary_key: tuple[str, ...] = ()
    uniques, others = [], {}
    for index in indexes:
        if index.name == "PRIMARY":
            quoted = {catalogue.names.quote(name): name for name in index.columns}
            primary_key = tuple(quoted.get(part, part) for part in index.parts)
            continue
        part = PartReading(
            index.name, _index_text(index), tuple(index.columns) if _all_columns(index) else ()
        )
        if index.unique:
            uniques.append(part)
        else:
            others[index.name] = part
    return primary_key, tuple(uniques), others


def _all_columns(index: _Index) -> bool:
    return len(index.columns) == len(index.parts)


def _index_text(index: _Index) -> str:
    head = "UNIQUE" if index.unique else "INDEX"
    if index.method in {"FULLTEXT", "SPATIAL"}:
        head, method = f"{index.method} INDEX", ""
    else:
        method = f" USING {index.method}"
    return f"{head} ({', '.join(index.parts)}){method}{index.hidden}"


def _foreign_keys(
    catalogue: Catalogue, physical: Physical, indexes: Mapping[str, PartReading]
) -> tuple[tuple[PartReading, ...], set[str]]:
    """The foreign keys, and the names of the indexes that the server made for them."""
    keys: dict[str, list[Row]] = defaultdict(list)
    for row in catalogue.keys.get(physical, ()):
        if row["REFERENCED_TABLE_NAME"] is not None:
            keys[row["CONSTRAINT_NAME"]].append(row)
    found, implicit = [], set()
    for name, rows in sorted(keys.items()):
        columns = tuple(row["COLUMN_NAME"] for row in rows)
        rules = catalogue.rules.get((physical, name), ("RESTRICT", "RESTRICT"))
        text_ = _foreign_key_text(catalogue, rows, rules)
        found.append(PartReading(catalogue.names.constraint(name, physical), text_, columns))
        implicit |= {i for i, part in indexes.items() if _is_implicit(i, part, name, columns, catalogue)}
    return tuple(sorted(found, key=lambda part: part.name or "")), implicit


def _is_implicit(
    index: str, part: PartReading, key: str, columns: tuple[str, ...], catalogue: Catalogue
) -> bool:
    """The server names the index after the foreign key, or after its first column where that has no name."""
    plain = f"INDEX ({', '.join(catalogue.names.quote(name) for name in columns)}) USING BTREE"
    named = index == key or re.fullmatch(re.escape(columns[0]) + r"(_\d+)?", index)
    return part.text == plain and bool(named)


def _foreign_key_text(catalogue: Catalogue, rows: Sequence[Row], rules: tuple[str, str]) -> str:
    quote = catalogue.names.quote
    own = ", ".join(quote(row["COLUMN_NAME"]) for row in rows)
    theirs = ", ".join(quote(row["REFERENCED_COLUMN_NAME"]) for row in rows)
    referred = catalogue.names.referred(rows[0]["REFERENCED_TABLE_SCHEMA"], rows[0]["REFERENCED_TABLE_NAME"])
    deleting, updating = (rule if rule not in _NO_RULE else None for rule in rules)
    return (
        f"FOREIGN KEY ({own}) REFERENCES {referred} ({theirs})"
        + (f" ON DELETE {deleting}" if deleting else "")
        + (f" ON UPDATE {updating}" if updating else "")
    )


def _checks(catalogue: Catalogue, physical: Physical) -> tuple[PartReading, ...]:
    found = [
        PartReading(
            catalogue.names.constraint(row["CONSTRAINT_NAME"], physical),
            f"CHECK ({catalogue.names.expression(row['CHECK_CLAUSE'])})"
            + (" NOT ENFORCED" if row.get("ENFORCED") == "NO" else ""),
        )
        for row in catalogue.checks.get(physical, ())
    ]
    return tuple(sorted(found, key=lambda part: (part.name or "", part.text)))


def _options(catalogue: Catalogue, physical: Physical, row: Row) -> dict[str, str]:
    """Options of the table; `collation` is left out where it is the default of the database."""
    options = {"engine": row["ENGINE"], "row_format": row["ROW_FORMAT"]}
    for option in (row["CREATE_OPTIONS"] or "").split():
        name, _, value = option.replace("`", "").partition("=")
        if name.lower() not in {"row_format", "partitioned"}:
            options[name.lower()] = value
    collation = row["TABLE_COLLATION"]
    if collation and (_charset(collation), collation) != catalogue.defaults.get(physical[0]):
        options["collation"] = f"{_charset(collation)}/{collation}"
    if physical in catalogue.partitions and "partitioned" in (row["CREATE_OPTIONS"] or ""):
        options["partitions"] = _partitions(catalogue.partitions[physical])
    return {name: str(value) for name, value in options.items() if value is not None}


def _partitions(rows: Sequence[Row]) -> str:
    ordered = sorted(
        rows, key=lambda r: (r["PARTITION_ORDINAL_POSITION"], r["SUBPARTITION_ORDINAL_POSITION"] or 0)
    )
    first = ordered[0]
    sub = (
        [f"{first['SUBPARTITION_METHOD']}({first['SUBPARTITION_EXPRESSION']})"]
        if first["SUBPARTITION_METHOD"]
        else []
    )
    each = [" ".join(filter(None, [r["PARTITION_NAME"], r["PARTITION_DESCRIPTION"]])) for r in ordered]
    return ", ".join([f"{first['PARTITION_METHOD']}({first['PARTITION_EXPRESSION'] or ''})", *sub, *each])


def _charset(collation: str | None) -> str | None:
    return collation.partition("_")[0] if collation else None
