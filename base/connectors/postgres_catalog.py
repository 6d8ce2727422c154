"""What PostgreSQL's catalog says: tables of a schema, keys and size of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel_framework.base.connectors.base import ForeignKey, Keys
from sqlmodel_framework.base.connectors.source_columns import refuse_unknown

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["Storage", "keys_of", "storage_of", "tables_of"]


@dataclass(frozen=True)
class Storage:
    """How a table lies on disk, with its partitions and children.

    `rows` is the server's estimate, None before the first ANALYZE and for views. `pages` is the length of the longest
    part in pages of 8 kB or what the server was built with, None where a part has no pages, as views and foreign tables
    have none. `total_pages` adds all parts up.
    """

    rows: int | None
    pages: int | None
    total_pages: int


def tables_of(connection: PsycopgConnection, schema: str, where: str) -> list[str]:
    """Tables of a schema, sorted; a partitioned table is one, its partitions are none.

    Raises ExtractionError for a schema that is not there.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, (schema,))
        tables = [str(name) for (name,) in cursor.fetchall()]
        if not tables:
            cursor.execute(_SCHEMAS)
            refuse_unknown([schema], [str(name) for (name,) in cursor.fetchall()], "schema", where)
    return tables


def keys_of(connection: PsycopgConnection, schema: str, table: str) -> Keys:
    """The keys of a table; none for a name that is not there."""
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, (schema, table))
        found = cursor.fetchall()
    plain = [(kind, tuple(columns)) for kind, columns, _, _ in found]
    return Keys(
        primary=next((columns for kind, columns in plain if kind == "p"), ()),
        unique=tuple(columns for kind, columns in plain if kind == "u"),
        foreign=tuple(
            ForeignKey(tuple(columns), str(other), tuple(referred))
            for kind, columns, other, referred in found
            if kind == "f"
        ),
    )


def storage_of(connection: PsycopgConnection, schema: str, table: str) -> Storage:
    """The size of a table; that of nothing for a name that is not there."""
    with connection.cursor() as cursor:
        cursor.execute(_STORAGE, (schema, table))
        parts = cursor.fetchall()
    estimates = [rows for _, rows, _ in parts]
    known = bool(parts) and all(rows is not None and rows >= 0 for rows in estimates)
    pages = [pages for has_pages, _, pages in parts if has_pages]
    return Storage(
        rows=int(sum(estimates)) if known else None,
        pages=max(pages) if parts and len(pages) == len(parts) else None,
        total_pages=sum(pages),
    )


_TABLES = """
    SELECT c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
    ORDER BY c.relname
"""

_SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' ORDER BY nspname"

_KEYS = """
    SELECT k.contype::text,
        ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY place),
        (SELECT fn.nspname || '.' || f.relname FROM pg_catalog.pg_class f
         JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace WHERE f.oid = k.confrelid),
        ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(attnum, place)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY place)
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND k.contype IN ('p', 'u', 'f')
    ORDER BY k.conname
"""

# The parts that hold rows: the table, its partitions and the tables that inherit from it; a partitioned table holds none.
_STORAGE = """
    WITH RECURSIVE part(oid) AS (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s
        UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid
    )
    SELECT c.relkind IN ('r', 'm'),
        CASE WHEN c.relkind IN ('r', 'm', 'f') THEN c.reltuples END,
        CASE WHEN c.relkind IN ('r', 'm')
             THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint END
    FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid
    WHERE c.relkind <> 'p'
"""
