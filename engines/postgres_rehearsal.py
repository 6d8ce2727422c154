"""The place of a round-trip proof on PostgreSQL: the tables themselves, in a transaction that is rolled back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Executable, Table, text
from sqlalchemy.exc import IntegrityError

from sqlmodel_framework.engines.base import Key, Scratch
from sqlmodel_framework.engines.ddl import plain_dialect
from sqlmodel_framework.engines.reading import Places, TableKey

__all__ = ["check_deferred", "make_rehearsal"]


@contextmanager
def make_rehearsal(
    engine: Engine,
    connection: Connection,
    tables: Sequence[Table],
    places: Places,
    wait_for_locks: Executable,
) -> Iterator[Scratch]:
    """The tables in a new transaction of the connection. Those with a sequence that a row would advance are closed.

    All of it sees one state of the tables: rows that others commit meanwhile are read by none of its queries, though
    their keys are taken.
    """
    connection.rollback()
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute(wait_for_locks)
    try:
        closed = _advancing_sequences(connection, tables, places)
        yield Scratch(connection, places, closed=closed, others=engine)
    finally:
        connection.rollback()


def check_deferred(
    scratch: Scratch, tables: Sequence[Table], waiting: Collection[Key]
) -> dict[TableKey, list[tuple[str, ...]]]:
    """Check the deferrable constraints of these tables one by one; see `TargetEngine.check_deferred`."""
    connection = scratch.connection
    physical = {(str(scratch.places.schemas[t.schema]), t.name): (t.schema, t.name) for t in tables}
    quote = plain_dialect(connection.dialect).identifier_preparer.quote
    broken: defaultdict[TableKey, list[tuple[str, ...]]] = defaultdict(list)
    later: list[str] = []
    given = {"schemas": sorted({schema for schema, _ in physical})}
    for schema, table, name, columns in connection.execute(_DEFERRABLE, given).all():
        key = physical.get((schema, table))
        named = f"{quote(schema)}.{quote(name)}".replace("%", "%%")
        if key is None:
            continue
        if (key, tuple(columns)) in waiting:
            later.append(named)
            continue
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SET CONSTRAINTS {named} IMMEDIATE")
        except IntegrityError:
            broken[key].append(tuple(columns))
    if later:
        # Constraints of two tables may have one name.
        connection.exec_driver_sql(f"SET CONSTRAINTS {', '.join(later)} DEFERRED")
    return dict(broken)


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


_DEFERRABLE = text(
    """
    SELECT n.nspname, c.relname, k.conname,
      ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place)
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE k.condeferrable AND n.nspname = ANY (:schemas)
    ORDER BY n.nspname, c.relname, k.conname
    """
)
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
