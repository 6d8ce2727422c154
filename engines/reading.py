"""What a database says about its tables, in a form that two databases of one kind can be compared in."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, inspect, types
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SAWarning, UnsupportedCompilationError

from sqlmodel_framework.engines.ddl import SchemaMap

__all__ = ["ColumnReading", "ForeignKeyReading", "Reading", "TableKey", "TableReading", "read_tables"]

TableKey = tuple[str | None, str]
"""Schema as the class names it (None: the default schema) and table name."""


@dataclass(frozen=True)
class ColumnReading:
    """One column. `type` is the type as the dialect prints it, with length, scale, time zone and enum members."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, order=True)
class ForeignKeyReading:
    """One foreign key without its name. Options are sorted pairs such as `("ondelete", "CASCADE")`."""

    columns: tuple[str, ...]
    referred_table: str
    referred_columns: tuple[str, ...]
    options: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        rules = "".join(f" {name} {value}" for name, value in self.options)
        return (
            f"({', '.join(self.columns)}) -> {self.referred_table}({', '.join(self.referred_columns)}){rules}"
        )


@dataclass(frozen=True)
class TableReading:
    """One table: columns in order, key columns in order, foreign keys."""

    columns: Mapping[str, ColumnReading]
    primary_key: tuple[str, ...]
    foreign_keys: frozenset[ForeignKeyReading]


Reading = Mapping[TableKey, TableReading]


def read_tables(
    connection: Connection, tables: Iterable[TableKey], places: SchemaMap, **options: Any
) -> Reading:
    """Read tables in bulk: a fixed number of Inspector calls a schema, whatever the number of tables.

    `places` says in which schema each schema of the classes stands; `options` go to the dialect's reflection.
    Tables that are not there are left out.
    """
    inspector = inspect(connection)
    wanted: dict[str | None, set[str]] = defaultdict(set)
    for schema, name in tables:
        wanted[schema].add(name)
    default = connection.dialect.default_schema_name
    home_of = {place: schema for schema, place in places.items()}
    readings: dict[TableKey, TableReading] = {}
    for schema, names in wanted.items():
        place = places[schema]
        arguments: dict[str, Any] = {"schema": place, "filter_names": sorted(names), **options}
        with warnings.catch_warnings():
            # A type or a quoted name that SQLAlchemy cannot parse: both sides read the same, so the comparison stands.
            warnings.simplefilter("ignore", SAWarning)
            columns = inspector.get_multi_columns(**arguments)
            keys = inspector.get_multi_pk_constraint(**arguments)
            foreign_keys = inspector.get_multi_foreign_keys(**arguments)
        for (_, name), listed in columns.items():
            found = (place, name)
            readings[schema, name] = TableReading(
                columns={c["name"]: _column(c, connection.dialect, home_of) for c in listed},
                primary_key=tuple(keys[found]["constrained_columns"]),
                foreign_keys=frozenset(
                    _foreign_key(k, schema, home_of, default) for k in foreign_keys.get(found, ())
                ),
            )
    return readings


def _column(column: Any, dialect: Dialect, home_of: Mapping[str | None, str | None]) -> ColumnReading:
    text = _type_text(column["type"], dialect)
    for place, home in home_of.items():
        if place is not None:
            # A named type stands in the scratch schema on one side and in its own on the other.
            prefix = dialect.identifier_preparer.quote_schema(place)
            text = text.replace(f"{prefix}.", "" if home is None else f"{home}.")
    return ColumnReading(name=column["name"], type=text, nullable=column["nullable"])


def _type_text(sql_type: types.TypeEngine[Any], dialect: Dialect) -> str:
    members = getattr(sql_type, "enums", None)
    if members:
        return f"ENUM {getattr(sql_type, 'name', None) or ''}({', '.join(map(repr, members))})"
    try:
        text = sql_type.compile(dialect=dialect)
    except UnsupportedCompilationError:
        return "unknown to SQLAlchemy"
    collation = getattr(sql_type, "collation", None)
    return text if collation is None else text.replace(f' COLLATE "{collation}"', "")


def _foreign_key(
    key: Any, schema: str | None, home_of: Mapping[str | None, str | None], default: str | None
) -> ForeignKeyReading:
    place = key["referred_schema"]
    home = schema if place is None else home_of.get(place, place)
    if home == default:
        home = None
    referred = key["referred_table"]
    return ForeignKeyReading(
        columns=tuple(key["constrained_columns"]),
        referred_table=referred if home is None else f"{home}.{referred}",
        referred_columns=tuple(key["referred_columns"]),
        options=tuple(
            sorted((name, str(value)) for name, value in key["options"].items() if value is not None)
        ),
    )
