"""Scratch places on PostgreSQL: schemas of a transaction, or the session's temporary schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg2
from psycopg2 import errors
from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM, CreateDomainType, CreateEnumType
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from sqlmodel_framework.base.errors import NoScratchPlaceError
from sqlmodel_framework.engines.base import Scratch
from sqlmodel_framework.engines.ddl import SchemaMap, plain_dialect, schemas_of
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
        places = _own_schemas(connection, tables)
        if places is None:
            savepoint.rollback()
            savepoint = connection.begin_nested()
            places = _temporary_schema(connection, tables, create)
        else:
            _create_types_made_elsewhere(connection, tables, places)
            create(connection, tables, places)
        yield Scratch(connection, Places(places))
    finally:
        savepoint.rollback()


def search_only(connection: Connection, schemas: Sequence[str | None]) -> None:
    """Until the transaction's end, print names in these schemas bare, and all others with their schema."""
    quote = plain_dialect(connection.dialect).identifier_preparer.quote
    path = ", ".join(quote(schema) for schema in dict.fromkeys(schemas) if schema)
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": path})


def _own_schemas(connection: Connection, tables: Sequence[Table]) -> SchemaMap | None:
    """Schemas for the tables, first on the search path; None where the user may create none, or the server is read-only."""
    token = uuid4().hex[:8]
    schemas: list[str | None] = [None, *sorted(schemas_of(tables))]
    places = {schema: f"datakit_shadow_{token}_{number}" for number, schema in enumerate(schemas)}
    try:
        for place in places.values():
            connection.execute(CreateSchema(place))
    except DBAPIError as exc:
        if isinstance(exc.orig, _NO_PLACE):
            return None
        raise
    # Defaults and checks of the classes may name types and sequences of theirs without a schema.
    connection.execute(
        text("SELECT set_config('search_path', :first || ', ' || current_setting('search_path'), true)"),
        {"first": places[None]},
    )
    return places


def _create_types_made_elsewhere(connection: Connection, tables: Sequence[Table], places: SchemaMap) -> None:
    """Types with `create_type=False` stand in no DDL of the tables; their columns would name a type that is not there."""
    made = set()
    for sql_type in (getattr(c.type, "item_type", c.type) for table in tables for c in table.columns):
        if isinstance(sql_type, ENUM | DOMAIN) and not sql_type.create_type:
            create = CreateEnumType if isinstance(sql_type, ENUM) else CreateDomainType
            text_of = create(sql_type).compile(
                dialect=plain_dialect(connection.dialect),
                schema_translate_map=dict(places),
                render_schema_translate=True,
            )
            made.add(str(text_of))
    for statement in sorted(made):
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(statement)


def _temporary_schema(connection: Connection, tables: Sequence[Table], create: Create) -> SchemaMap:
    if schemas_of(tables):
        raise _no_place("temporary tables cannot stand for named schemas", None)
    try:
        create(connection, tables, {None: "pg_temp"})
    except psycopg2.Error as exc:
        if isinstance(exc, _NO_PLACE):
            raise _no_place("neither a schema nor a temporary table can be created", exc) from exc
        raise
    place = connection.execute(text("SELECT pg_my_temp_schema()::regnamespace::text")).scalar_one()
    return {None: str(place)}


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
    quote = plain_dialect(scratch.connection.dialect).identifier_preparer.quote
    table = f"{quote(str(scratch.places.schemas[key[0]]))}.{quote(scratch.places.name_of(key))}"
    unique, _, rest = definition.partition("INDEX")
    statement = (
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
        if kind == "checks"
        else f"CREATE {unique}INDEX {name} ON {table}{rest}"
    )
    with closing(scratch.connection.connection.cursor()) as cursor:
        cursor.execute(statement)
