"""What PostgreSQL says about tables, read from its catalog and printed by its own functions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from sqlmodel_framework.base.errors import TryAgainError
from sqlmodel_framework.engines.ddl import plain_dialect
from sqlmodel_framework.engines.reading import (
    ColumnReading,
    PartReading,
    Places,
    Reading,
    TableKey,
    TableReading,
)

__all__ = ["read_tables"]

_KINDS = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
}
_MAXIMUM = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def read_tables(connection: Connection, tables: Iterable[TableKey], places: Places) -> Reading:
    """Read tables by seven queries, whatever their number. Names are printed as the session's search path has them.

    Names of scratch schemas in the text are given back the names that the classes use.
    """
    keys = {(places.schemas[key[0]], places.name_of(key)): key for key in tables}
    arguments = {
        "schemas": sorted({str(place) for place, _ in keys}),
        "names": sorted({name for _, name in keys}),
    }
    connection.execute(_WITHOUT_JIT)
    named = connection.execute(_RELATIONS, arguments)
    relations = {row.oid: row for row in named if (row.schema, row.name) in keys}
    # One text: a driver takes longer to write a list than the server to read it.
    oids = {"tables": f"{{{','.join(str(oid) for oid, row in relations.items() if row.kind != 'S')}}}"}
    home = _Homes(connection, places)
    columns, sequences, comments, constraints, indexes = (
        _by_table(connection.execute(query, oids).all())
        for query in (_COLUMNS, _SEQUENCES, _COMMENTS, _CONSTRAINTS, _INDEXES)
    )
    _refuse_dropped(constraints, indexes)
    return {
        keys[relation.schema, relation.name]: _table(
            relation, columns[oid], sequences[oid], comments[oid], constraints[oid], indexes[oid], home
        )
        for oid, relation in relations.items()
    }


def _refuse_dropped(*parts: Mapping[int, Sequence[Row[Any]]]) -> None:
    """The catalog's functions see at once that something is gone, and print nothing."""
    if any(row.definition is None for by_table in parts for rows in by_table.values() for row in rows):
        raise TryAgainError("tables were changed while they were read", next_step="try again")


class _Homes:
    """Gives the names of scratch schemas in a text back the names of the classes; they are random, so no literal holds one."""

    def __init__(self, connection: Connection, places: Places) -> None:
        quote = plain_dialect(connection.dialect).identifier_preparer.quote
        self._spellings = [
            (f"{quote(place)}.", f"{quote(home)}.")
            for home, place in places.schemas.items()
            if home is not None and place is not None and home != place
        ]

    def __call__(self, printed: str) -> str:
        for place, home in self._spellings:
            printed = printed.replace(place, home)
        return printed


def _by_table(rows: Iterable[Row[Any]]) -> Mapping[int, list[Row[Any]]]:
    grouped: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row)
    return grouped


def _table(
    relation: Row[Any],
    columns: Sequence[Sequence[Any]],
    sequences: Sequence[Row[Any]],
    comments: Sequence[Row[Any]],
    constraints: Sequence[Row[Any]],
    indexes: Sequence[Row[Any]],
    home: _Homes,
) -> TableReading:
    counting = {row.column: row for row in sequences}
    said = {row.column: row.comment for row in comments}
    parts: dict[str, list[PartReading]] = defaultdict(list)
    for row in constraints:
        parts[row.kind].append(PartReading(row.name, home(row.definition), tuple(row.columns or ())))
    return TableReading(
        columns={row[2]: _column(row, counting.get(row[1]), said.get(row[1]), home) for row in columns},
        kind=_KINDS.get(relation.kind, "relation of another kind"),
        primary_key=next((part.columns for part in parts["p"]), ()),
        primary_key_name=next((part.name for part in parts["p"]), None),
        foreign_keys=tuple(parts["f"]),
        uniques=(*parts["u"], *parts["x"]),
        checks=tuple(parts["c"]),
        indexes=tuple(
            PartReading(row.name, home(row.definition), tuple(row.columns or ())) for row in indexes
        ),
        options=_options(relation, next((row.behind for row in constraints if row.behind), None), home),
        comment=said.get(0),
    )


def _options(relation: Row[Any], behind_key: str | None, home: _Homes) -> Mapping[str, str]:
    options = {
        "persistence": "UNLOGGED" if relation.persistence == "u" else None,
        "access method": relation.method if relation.method not in (None, "heap") else None,
        "storage parameters": ", ".join(sorted(relation.parameters or ())) or None,
        "primary key": behind_key,
        "partitioned by": home(relation.partitioned) if relation.partitioned else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _column(
    row: Sequence[Any], sequence: Row[Any] | None, comment: str | None, home: _Homes
) -> ColumnReading:
    # By place, as there are many: a name takes longer to look up.
    _, _, name, nullable, type_, default, generated, identity, collation, domain, members = row
    expression = None if default is None else home(default)
    elsewhere = generated or (sequence and _is_own(sequence, identity, expression))
    return ColumnReading(
        name,
        home(f"{type_} {domain}" if domain else type_),
        nullable,
        None if elsewhere else expression,
        f"{_GENERATED[generated]} ({expression})" if generated else None,
        _identity(identity, type_, sequence) if sequence else None,
        home(collation) if collation else None,
        comment,
        tuple(members) if members is not None else None,
    )


def _is_own(sequence: Row[Any], identity: str, default: str | None) -> bool:
    """Whether the sequence is the column's own, and the default says no more than that."""
    return sequence.owned and bool(identity or _NEXT_VALUE.fullmatch(default or ""))


_NEXT_VALUE = re.compile(r"nextval\('(?:[^']|'')+'::regclass\)")
_GENERATED = {"s": "STORED", "v": "VIRTUAL"}
_IDENTITIES = {"a": "GENERATED ALWAYS AS IDENTITY", "d": "GENERATED BY DEFAULT AS IDENTITY"}


def _identity(identity: str, type_: str, sequence: Row[Any]) -> str:
    """How the server counts the column up, with those options of its sequence that are not the usual ones."""
    what = _IDENTITIES.get(identity) or ("SERIAL" if sequence.owned else "a sequence")
    low, high = (1, _MAXIMUM[sequence.type]) if sequence.increment > 0 else (-_MAXIMUM[sequence.type] - 1, -1)
    usual_start = low if sequence.increment > 0 else high
    options = [
        f"AS {sequence.type}" if sequence.type != type_ else "",
        f"START {sequence.start}" if sequence.start != usual_start else "",
        f"INCREMENT {sequence.increment}" if sequence.increment != 1 else "",
        f"MINVALUE {sequence.minimum}" if sequence.minimum != low else "",
        f"MAXVALUE {sequence.maximum}" if sequence.maximum != high else "",
        f"CACHE {sequence.cache}" if sequence.cache != 1 else "",
        "CYCLE" if sequence.cycle else "",
    ]
    return " ".join([what, *filter(None, options)])


_OURS = "= ANY (CAST(:tables AS oid[]))"

# The costs of these queries look high enough to compile them, which takes longer than to run them.
_WITHOUT_JIT = text("SELECT set_config('jit', 'off', true)")

_RELATIONS = text(
    """
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
           c.reloptions AS parameters, a.amname AS method,
           CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partitioned
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname = ANY (:schemas) AND c.relname = ANY (:names)
    """
)

_COLUMNS = text(
    f"""
    SELECT a.attrelid AS table, a.attnum AS number, a.attname AS name, NOT a.attnotnull AS nullable,
           pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
           pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS default, a.attgenerated AS generated, a.attidentity AS identity,
           CASE WHEN a.attcollation <> t.typcollation THEN
             (SELECT CASE WHEN o.collnamespace = 'pg_catalog'::regnamespace THEN '' ELSE o.collnamespace::regnamespace || '.' END
                     || pg_catalog.quote_ident(o.collname)
              FROM pg_catalog.pg_collation o WHERE o.oid = a.attcollation) END AS collation,
           CASE WHEN t.typtype = 'd' THEN
             (SELECT 'DOMAIN OVER ' || pg_catalog.format_type(t.typbasetype, t.typtypmod)
                     || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
                     || coalesce(' DEFAULT ' || t.typdefault, '')
                     || coalesce((SELECT string_agg(' ' || pg_catalog.pg_get_constraintdef(k.oid), '' ORDER BY k.conname)
                                  FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'), '')) END AS domain,
           CASE WHEN t.typtype = 'e' OR t.typcategory = 'A' THEN
             (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
              WHERE e.enumtypid IN (t.oid, t.typelem)) END AS members
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid {_OURS} AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum
    """  # noqa: S608 - constant text
)

_SEQUENCES = text(
    f"""
    SELECT d.adrelid AS table, d.adnum AS column,
           EXISTS (SELECT FROM pg_catalog.pg_depend o
                   WHERE o.classid = 'pg_class'::regclass AND o.objid = s.seqrelid AND o.refclassid = 'pg_class'::regclass
                     AND o.refobjid = d.adrelid AND o.refobjsubid = d.adnum AND o.deptype IN ('a', 'i')) AS owned,
           pg_catalog.format_type(s.seqtypid, NULL) AS type, s.seqstart AS start, s.seqincrement AS increment,
           s.seqmin AS minimum, s.seqmax AS maximum, s.seqcache AS cache, s.seqcycle AS cycle
    FROM pg_catalog.pg_attrdef d
    -- Statistics that are older than the defaults make the server go through all of them for each, if it may.
    CROSS JOIN LATERAL (
      SELECT u.refobjid FROM pg_catalog.pg_depend u
      WHERE u.classid = 'pg_attrdef'::regclass AND u.objid = d.oid AND u.refclassid = 'pg_class'::regclass OFFSET 0) u
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = u.refobjid
    WHERE d.adrelid {_OURS}
    UNION ALL
    SELECT a.attrelid, a.attnum, true, pg_catalog.format_type(s.seqtypid, NULL),
           s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_depend o ON o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid
      AND o.refobjsubid = a.attnum AND o.classid = 'pg_class'::regclass AND o.deptype IN ('a', 'i')
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = o.objid
    WHERE a.attrelid {_OURS} AND a.attidentity <> ''
    """  # noqa: S608 - constant text
)

_COMMENTS = text(
    f"""
    SELECT objoid AS table, objsubid AS column, description AS comment
    FROM pg_catalog.pg_description WHERE classoid = 'pg_class'::regclass AND objoid {_OURS}
    """  # noqa: S608 - constant text
)

_CONSTRAINTS = text(
    f"""
    SELECT k.conrelid AS table, k.conname AS name, k.contype AS kind,
           pg_catalog.pg_get_constraintdef(k.oid) AS definition, x.columns,
           CASE WHEN k.contype = 'p' THEN
             substr(pg_catalog.pg_get_constraintdef(k.oid), length('PRIMARY KEY (' || x.quoted || ')') + 2) END AS behind
    FROM pg_catalog.pg_constraint k
    CROSS JOIN LATERAL (
      SELECT array_agg(a.attname::text ORDER BY x.place) AS columns,
             string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY x.place) AS quoted
      FROM unnest(k.conkey) WITH ORDINALITY AS x (number, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.number) x
    WHERE k.conrelid {_OURS} AND k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0
    ORDER BY k.conrelid, k.conname
    """  # noqa: S608 - constant text
)

_INDEXES = text(
    f"""
    SELECT c.oid AS table, i.relname AS name,
           CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX'
             || substr(p.printed, strpos(p.printed, pg_catalog.quote_ident(c.relname) || ' USING ')
                                  + length(pg_catalog.quote_ident(c.relname)))
             || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END AS definition,
           (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_attribute ca ON ca.attrelid = c.oid AND ca.attname = a.attname
            WHERE a.attrelid = i.oid) AS columns
    FROM pg_catalog.pg_index x
    JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    -- Behind the index's name, which may hold anything.
    CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_indexdef(i.oid) AS text OFFSET 0) whole
    CROSS JOIN LATERAL (SELECT substr(whole.text, strpos(whole.text, pg_catalog.quote_ident(i.relname) || ' ON ')
      + length(pg_catalog.quote_ident(i.relname))) AS printed OFFSET 0) p
    WHERE x.indrelid {_OURS} AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))
    ORDER BY c.oid, i.relname
    """  # noqa: S608 - constant text
)
