"""The place of a round-trip proof on PostgreSQL: the tables themselves, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Executable, Table, text

from sqlmodel_framework.engines.base import Scratch
from sqlmodel_framework.engines.reading import Places, TableKey

__all__ = ["make_rehearsal"]


@contextmanager
def make_rehearsal(
    connection: Connection, tables: Sequence[Table], places: Places, wait_for_locks: Executable
) -> Iterator[Scratch]:
    """The tables in the connection's own transaction. Those with a sequence that a row would advance are closed."""
    connection.execute(wait_for_locks)
    try:
        yield Scratch(connection, places, closed=_advancing_sequences(connection, tables, places))
    finally:
        connection.rollback()


def _advancing_sequences(
    connection: Connection, tables: Sequence[Table], places: Places
) -> dict[TableKey, str]:
    """Tables with a column that numbers itself and that the class does not have: no rollback takes a number back."""
    schemas = sorted({str(places.schemas[table.schema]) for table in tables})
    names = sorted({table.name for table in tables})
    rows = connection.execute(_NUMBERED, {"schemas": schemas, "names": names}).all()
    numbered = {(schema, table, column) for schema, table, column in rows}
    closed: dict[TableKey, str] = {}
    for table in tables:
        place = (str(places.schemas[table.schema]), table.name)
        known = {column.name for column in table.columns}
        extra = sorted(c for *key, c in numbered if tuple(key) == place and c not in known)
        if extra:
            closed[table.schema, table.name] = (
                f"a row would advance the sequence of {', '.join(extra)}, which the class does not have"
            )
    return closed


_NUMBERED = text(
    """
    SELECT n.nspname, c.relname, a.attname
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE n.nspname = ANY (:schemas) AND c.relname = ANY (:names) AND a.attnum > 0 AND NOT a.attisdropped
      AND (a.attidentity <> '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%')
    """
)
