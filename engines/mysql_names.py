"""Names that a replacement on MySQL and MariaDB hands over: constraints and triggers have one name each in a database."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CheckConstraint, Connection, ForeignKeyConstraint, Table, bindparam, text

from sqlmodel_framework.base.errors import DeploymentError
from sqlmodel_framework.engines.ddl import Statement, plain_dialect
from sqlmodel_framework.engines.mysql_catalogue import Physical

__all__ = ["HeldName", "needed_constraints", "needed_triggers", "quoter", "still_held"]

_Key = tuple[str, str, str]
"""Kind, database and name."""


@dataclass(frozen=True)
class HeldName:
    """A name that an old table has and a new one needs, with the statements that give it up and bring it back."""

    key: _Key
    give_up: str
    bring_back: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key[0]} {self.key[2]}"


def quoter(connection: Connection) -> Callable[[Iterable[str]], str]:
    """Writes a name with those before it, such as a table with its database, percent signs as they are."""
    quote = plain_dialect(connection.dialect).identifier_preparer.quote_identifier
    return lambda names: ".".join(map(quote, names))


def still_held(connection: Connection, schemas: Collection[str]) -> set[_Key]:
    """The foreign keys, checks and triggers in these databases."""
    return {key for key, _ in _held(connection, schemas)}


def needed_constraints(
    connection: Connection, old: Collection[Physical], new: Mapping[Physical, Table]
) -> Iterator[HeldName]:
    """Constraints of the old tables whose names the new ones, by their places, need."""
    # MariaDB names a check once in its table, MySQL once in its database.
    mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    kinds = {"FOREIGN KEY": ForeignKeyConstraint, **({} if mariadb else {"CHECK": CheckConstraint})}
    name_of: Any = plain_dialect(connection.dialect).identifier_preparer.format_constraint
    needed = {
        (schema, str(name_of(constraint, _alembic_quote=False)).lower())
        for (schema, _), table in new.items()
        for constraint in table.constraints
        if isinstance(constraint, tuple(kinds.values())) and constraint.name is not None
    }
    quote = quoter(connection)
    for (kind, schema, name), place in _held(connection, {schema for schema, _ in needed}):
        if kind in kinds and place in old and (schema, name.lower()) in needed:
            table = quote(place)
            give_up = f"ALTER TABLE {table} DROP {kind} {quote([name])}"
            back = f"ALTER TABLE {table} ADD {_definition(connection, table, name)}"
            yield HeldName((kind, schema, name), give_up, (back,))


def needed_triggers(
    connection: Connection, kept: Mapping[Physical, Physical], custom: Sequence[Statement]
) -> Iterator[HeldName]:
    """Triggers of the kept tables, given with their places, that the kit's own DDL names."""
    texts = " ".join(one.text for one in custom).lower()
    for key, table in _held(connection, {schema for schema, _ in kept}):
        if key[0] == "TRIGGER" and table in kept and key[2].lower() in texts:
            yield _trigger(connection, key, table[1], kept[table][1])


def _trigger(connection: Connection, key: _Key, kept: str, place: str) -> HeldName:
    quote = quoter(connection)
    trigger = quote(key[1:])
    _, mode, printed, *_ = _fetch(connection, f"SHOW CREATE TRIGGER {trigger}")
    # The server prints the name that the table has now.
    written = str(printed).replace(quote([kept]), quote([place]), 1)
    back = (f"USE {quote(key[1:2])}", f"SET SESSION sql_mode = '{mode}'", written)
    return HeldName(key, f"DROP TRIGGER {trigger}", back)


def _definition(connection: Connection, table: str, name: str) -> str:
    quoted = quoter(connection)([name])
    printed = str(_fetch(connection, f"SHOW CREATE TABLE {table}")[1])
    found = re.search(rf"^ *(CONSTRAINT {re.escape(quoted)} .*?),?$", printed, re.MULTILINE)
    if found is None:
        raise DeploymentError(
            "a constraint cannot be read, so it could not be put back after a failure",
            where=f"table {table}, constraint {name}",
            next_step="drop that constraint, then replace again",
        )
    return found[1]


def _fetch(connection: Connection, query: str) -> tuple[Any, ...]:
    """The first row of a query with percent signs as they are."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(query)
        return tuple(cursor.fetchone() or ())
    finally:
        cursor.close()


def _held(connection: Connection, schemas: Collection[str]) -> list[tuple[_Key, Physical]]:
    """Foreign keys, checks and triggers, with the tables that have them."""
    if not schemas:
        return []
    within = {"schemas": sorted(schemas)}
    # Two queries: MySQL's views have columns of several collations, which a UNION may refuse.
    rows = [*connection.execute(_CONSTRAINTS, within), *connection.execute(_TRIGGERS, within)]
    return [
        ((str(kind), str(schema), str(name)), (str(schema), str(table))) for kind, schema, table, name in rows
    ]


_CONSTRAINTS = text(
    "SELECT CONSTRAINT_TYPE, TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS"
    " WHERE CONSTRAINT_TYPE IN ('FOREIGN KEY', 'CHECK') AND TABLE_SCHEMA IN :schemas"
).bindparams(bindparam("schemas", expanding=True))
_TRIGGERS = text(
    "SELECT 'TRIGGER', EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_NAME"
    " FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA IN :schemas"
).bindparams(bindparam("schemas", expanding=True))
