"""Scratch places on PostgreSQL: schemas of a transaction, or the session's temporary schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg2
from psycopg2 import errors
from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from sqlmodel_framework.base.errors import NoScratchPlaceError
from sqlmodel_framework.engines.base import Scratch
from sqlmodel_framework.engines.ddl import SchemaMap, schemas_of
from sqlmodel_framework.engines.postgres_reading import read_tables
from sqlmodel_framework.engines.reading import PartReading, Places, Reading, TableKey

__all__ = ["scratch_place", "search_only", "spelled_again"]

Create = Callable[[Connection, Sequence[Table], SchemaMap], None]
_NO_PLACE = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)


@contextmanager
def scratch_place(connection: Connection, tables: Sequence[Table], create: Create) -> Iterator[Scratch]:
    """Create the tables in schemas of a savepoint that is rolled back, so not even a killed process leaves them behind.

    Without the right to create schemas they become temporary tables. Raises NoScratchPlaceError where the user has
    neither right, and on a read-only server.
    """
    savepoint = connection.begin_nested()
    try:
        try:
            places = _own_schemas(connection, tables, create)
        except (DBAPIError, psycopg2.Error) as exc:
            if not _refuses_a_place(exc):
                raise
            savepoint.rollback()
            savepoint = connection.begin_nested()
            places = _temporary_schema(connection, tables, create)
        yield Scratch(connection, Places(places))
    finally:
        savepoint.rollback()


def search_only(connection: Connection, schemas: Sequence[str | None]) -> None:
    """Until the transaction's end, print names in these schemas bare, and all others with their schema."""
    quote = connection.dialect.identifier_preparer.quote
    path = ", ".join(quote(schema) for schema in dict.fromkeys(schemas) if schema)
    connection.exec_driver_sql(f"SET LOCAL search_path = {path or repr('')}")


def _own_schemas(connection: Connection, tables: Sequence[Table], create: Create) -> SchemaMap:
    token = uuid4().hex[:8]
    schemas: list[str | None] = [None, *sorted(schemas_of(tables))]
    places = {schema: f"datakit_shadow_{token}_{number}" for number, schema in enumerate(schemas)}
    for place in places.values():
        connection.execute(CreateSchema(place))
    # Defaults and checks of the classes may name types and sequences of theirs without a schema.
    connection.execute(
        text("SELECT set_config('search_path', :first || ', ' || current_setting('search_path'), true)"),
        {"first": places[None]},
    )
    create(connection, tables, places)
    return places


def _temporary_schema(connection: Connection, tables: Sequence[Table], create: Create) -> SchemaMap:
    if schemas_of(tables):
        raise _no_place("temporary tables cannot stand for named schemas", None)
    try:
        create(connection, tables, {None: "pg_temp"})
    except psycopg2.Error as exc:
        if _refuses_a_place(exc):
            raise _no_place("neither a schema nor a temporary table can be created", exc) from exc
        raise
    place = connection.execute(text("SELECT pg_my_temp_schema()::regnamespace::text")).scalar_one()
    return {None: str(place)}


def _refuses_a_place(exc: DBAPIError | psycopg2.Error) -> bool:
    return isinstance(exc.orig if isinstance(exc, DBAPIError) else exc, _NO_PLACE)


def _no_place(why: str, refusal: psycopg2.Error | None) -> NoScratchPlaceError:
    return NoScratchPlaceError(
        "there is no scratch place for the expected tables",
        seen=f"SQLSTATE {refusal.pgcode}: {why}" if refusal else why,
        expected="the right CREATE on the database, or TEMPORARY for a kit without named schemas, and a server that is"
        " not read-only",
        next_step="GRANT CREATE or TEMPORARY ON DATABASE to this user, or validate the primary server first",
    )


def spelled_again(scratch: Scratch, reading: Reading) -> Reading:
    """PostgreSQL prints `name IN (...)` of a varchar in one way, and in another once it has read its own print.

    So a table that was dumped and restored looks changed. Checks and indexes with such lists are created from their print
    in the scratch place, and printed again.
    """
    doubtful = [
        (key, kind, part)
        for key, table in reading.items()
        for kind in ("checks", "indexes")
        for part in getattr(table, kind)
        if "ANY (" in part.text
    ]
    if not doubtful:
        return reading
    named = {}
    for number, (key, kind, part) in enumerate(doubtful):
        named[key, kind, part] = name = f"datakit_again_{number}"
        _create_again(scratch, key, kind, part.text, name)
    again = read_tables(scratch.connection, dict.fromkeys(key for key, _, _ in doubtful), scratch.places)
    printed = {(key, part.name): part.text for key, t in again.items() for part in (*t.checks, *t.indexes)}

    def both(key: TableKey, kind: str, parts: Sequence[PartReading]) -> tuple[PartReading, ...]:
        names = [named.get((key, kind, part)) for part in parts]
        return tuple(
            part if name is None else replace(part, also=printed[key, name])
            for part, name in zip(parts, names, strict=True)
        )

    return {
        key: replace(t, checks=both(key, "checks", t.checks), indexes=both(key, "indexes", t.indexes))
        for key, t in reading.items()
    }


def _create_again(scratch: Scratch, key: TableKey, kind: str, definition: str, name: str) -> None:
    quote = scratch.connection.dialect.identifier_preparer.quote
    table = f"{quote(str(scratch.places.schemas[key[0]]))}.{quote(scratch.places.name_of(key))}"
    unique, _, rest = definition.partition("INDEX")
    statement = (
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
        if kind == "checks"
        else f"CREATE {unique}INDEX {name} ON {table}{rest}"
    )
    scratch.connection.connection.cursor().execute(statement)
