"""What MySQL's catalogue says: tables of a database, keys and storage of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection as PyMySQLConnection

from sqlmodel_framework.base.connectors.base import ForeignKey, Keys
from sqlmodel_framework.base.connectors.source_columns import refuse_unknown

__all__ = ["Storage", "keys_of", "storage_of", "tables_of"]

_WHOLE_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint")


@dataclass(frozen=True)
class Storage:
    """How a table is kept. `engine` and `rows`, the server's estimate, are None for a view.

    `number_key` is the primary key where it is one column of whole numbers, else None.
    """

    engine: str | None
    rows: int | None
    number_key: str | None


def tables_of(connection: PyMySQLConnection[Any], database: str, where: str) -> list[str]:
    """Tables of a database, sorted. Raises ExtractionError for a database that is not there."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, (database,))
        tables = sorted(str(name) for (name,) in cursor.fetchall())
        if not tables:
            cursor.execute("SELECT schema_name FROM information_schema.schemata")
            refuse_unknown([database], [str(name) for (name,) in cursor.fetchall()], "database", where)
    return tables


def storage_of(connection: PyMySQLConnection[Any], database: str, table: str) -> Storage:
    """How a table is kept; all None for a name that is not there."""
    with connection.cursor() as cursor:
        cursor.execute(_STORAGE, (database, table))
        engine, rows = cursor.fetchone() or (None, None)
        cursor.execute(_PRIMARY_KEY, (database, table))
        key = [(str(name), str(kind)) for name, kind in cursor.fetchall()]
    number = key[0][0] if len(key) == 1 and key[0][1] in _WHOLE_NUMBERS else None
    return Storage(engine, rows, number)


def keys_of(connection: PyMySQLConnection[Any], database: str, table: str) -> Keys:
    """The keys of a table; none for a name that is not there."""
    keys: dict[str, list[str]] = {}
    foreign: dict[str, tuple[list[str], str, list[str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, (database, table))
        for name, column, schema, referred, other in cursor.fetchall():
            if referred is None:
                keys.setdefault(str(name), []).append(str(column))
            else:
                place = str(referred) if schema == database else f"{schema}.{referred}"
                own, _, others = foreign.setdefault(str(name), ([], place, []))
                own.append(str(column))
                others.append(str(other))
    primary = tuple(keys.pop("PRIMARY", ()))
    return Keys(
        primary,
        tuple(tuple(columns) for _, columns in sorted(keys.items())),
        tuple(
            ForeignKey(tuple(own), place, tuple(others))
            for _, (own, place, others) in sorted(foreign.items())
        ),
    )


_TABLES = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
)
_STORAGE = (
    "SELECT engine, table_rows FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
)
_PRIMARY_KEY = (
    "SELECT column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = %s AND table_name = %s AND column_key = 'PRI' ORDER BY ordinal_position"
)
_KEYS = (
    "SELECT constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name"
    " FROM information_schema.key_column_usage WHERE table_schema = %s AND table_name = %s"
    " ORDER BY constraint_name, ordinal_position"
)
