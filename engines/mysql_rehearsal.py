"""The place of a round-trip proof on MySQL and MariaDB: copies of the tables as they are, in scratch databases.

MyISAM keeps no savepoints and no rollback, so nothing is written beside the rows of others. The copies are what
SHOW CREATE TABLE prints: engine, character sets, types and foreign keys are those of the target. Triggers are not copied.
A copy that would write outside of its scratch database is not made: MERGE, FEDERATED and the like keep rows elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import NoScratchPlaceError
from sqlmodel_framework.engines.base import Scratch
from sqlmodel_framework.engines.ddl import plain_dialect
from sqlmodel_framework.engines.mysql_catalogue import Physical, default_collations
from sqlmodel_framework.engines.mysql_shadow import SHADOW_PREFIX, Plan, error_number, scratch_session
from sqlmodel_framework.engines.reading import Places, TableKey

__all__ = ["make_rehearsal"]

_NO_RIGHT = {1044, 1142, 1227, 1290, 1792, 1836, 1874, 3989}
_NO_SUCH_TABLE = 1146
_REFERENCES = re.compile(
    r"^(?P<key>  CONSTRAINT .*? REFERENCES )(?P<table>`(?:[^`]|``)+`(?:\.`(?:[^`]|``)+`)?)", re.MULTILINE
)
_NAME = re.compile(r"`((?:[^`]|``)+)`")
_ENGINE = re.compile(r"^\).*?\bENGINE=(?P<engine>\w+)", re.MULTILINE)
_OWN_ROWS = {
    *(
        "archive",
        "aria",
        "blackhole",
        "columnstore",
        "csv",
        "innodb",
        "memory",
        "myisam",
        "ndbcluster",
        "rocksdb",
    ),
    "tokudb",
}
_NUMBERED = re.compile(r"^  (?P<column>`(?:[^`]|``)+`) .*\bnextval\(", re.MULTILINE)


@contextmanager
def make_rehearsal(engine: Engine, connection: Connection, tables: Sequence[Table]) -> Iterator[Scratch]:
    """Copies of those of the tables that are there, and of all that their foreign keys lead to, without rows.

    Raises NoScratchPlaceError where no scratch database can be made.
    """
    default = str(connection.dialect.default_schema_name)
    wanted = [(table.schema or default, table.name) for table in tables]
    with scratch_session(engine, connection) as (scratch, plan):
        scratch.exec_driver_sql("SET SESSION lock_wait_timeout = 10")
        printed = _print_all(scratch, wanted)
        closed: dict[TableKey, str] = {}
        for table in tables:
            place = (table.schema or default, table.name)
            why = _writes_elsewhere(printed[place], table) if place in printed else None
            if why is not None:
                closed[table.schema, table.name] = why
                del printed[place]
        places = _create(
            scratch, plan, [default, *sorted({schema for schema, _ in (*wanted, *printed)} - {default})]
        )
        _copy(scratch, places, printed)
        schemas: dict[str | None, str | None] = {None: places[default]}
        schemas.update(places)
        scratch.commit()
        yield Scratch(scratch, Places(schemas), closed=closed)


def _writes_elsewhere(printed: str, table: Table) -> str | None:
    """Why a row in a copy would change something outside of the scratch place; None where it would not."""
    engine = _ENGINE.search(printed)
    if engine is not None and engine["engine"].lower() not in _OWN_ROWS:
        return f"a copy of a table of the engine {engine['engine']} would not keep its rows to itself"
    columns = [_physical(found["column"], "")[1] for found in _NUMBERED.finditer(printed)]
    known = {column.name for column in table.columns}
    extra = [column for column in columns if column not in known]
    if extra:
        return f"a row would advance the sequence of {', '.join(extra)}, which the class does not have"
    return None


def _print_all(scratch: Connection, wanted: Sequence[Physical]) -> dict[Physical, str]:
    """Table -> its CREATE TABLE; tables that the database's foreign keys lead to are among them."""
    quote = plain_dialect(scratch.dialect).identifier_preparer.quote_identifier
    printed: dict[Physical, str] = {}
    waiting = list(dict.fromkeys(wanted))
    for table in waiting:
        try:
            row = scratch.exec_driver_sql(
                f"SHOW CREATE TABLE {quote(table[0])}.{quote(table[1])}".replace("%", "%%")
            ).one()
        except DBAPIError as exc:
            if error_number(exc) != _NO_SUCH_TABLE:
                raise
            continue
        if not str(row[1]).startswith("CREATE TABLE"):
            continue
        printed[table] = str(row[1])
        for found in _REFERENCES.finditer(printed[table]):
            referred = _physical(found["table"], table[0])
            if referred not in waiting:
                waiting.append(referred)
    return printed


def _physical(printed: str, schema: str) -> Physical:
    names = [name.replace("``", "`") for name in _NAME.findall(printed)]
    return (names[0], names[1]) if len(names) == 2 else (schema, names[0])


def _create(scratch: Connection, plan: Plan, schemas: Sequence[str]) -> dict[str, str]:
    """A scratch database for each of these, with its default collation."""
    plan.databases = {schema: plan.name(number) for number, schema in enumerate(schemas)}
    collations = default_collations(scratch, schemas)
    quote = scratch.dialect.identifier_preparer.quote
    try:
        for schema, name in plan.databases.items():
            # The right to drop it is needed first.
            scratch.exec_driver_sql(f"DROP DATABASE IF EXISTS {quote(name)}")
            pair = collations.get(str(schema))
            charset = f"CHARACTER SET {pair[0]} COLLATE {pair[1]}" if pair else ""
            scratch.exec_driver_sql(f"CREATE DATABASE {quote(name)} {charset}")
    except DBAPIError as exc:
        if error_number(exc) not in _NO_RIGHT:
            raise
        raise NoScratchPlaceError(
            "rows can only be tried in a scratch database, and none can be made",
            seen=f"error {error_number(exc)}",
            expected=f"the right to create and drop databases named {SHADOW_PREFIX}…, and a server that is not read-only",
            next_step=r"GRANT ALL ON `datakit\_shadow\_%`.* to this user, or prove on the primary server",
        ) from None
    return {str(schema): name for schema, name in plan.databases.items()}


def _copy(scratch: Connection, places: dict[str, str], printed: dict[Physical, str]) -> None:
    """Create the copies, keys before the tables that they refer to included; the session then checks keys as before."""
    quote = plain_dialect(scratch.dialect).identifier_preparer.quote_identifier
    checks = int(scratch.exec_driver_sql("SELECT @@SESSION.foreign_key_checks").scalar_one())
    mode = scratch.exec_driver_sql("SELECT @@SESSION.sql_mode").scalar_one()
    # What was created under another mode, such as a default of zeros, is created again under none.
    scratch.exec_driver_sql("SET SESSION foreign_key_checks = 0, sql_mode = ''")
    cursor = scratch.connection.cursor()
    try:
        for (schema, _), text in printed.items():

            def moved(found: re.Match[str], schema: str = schema) -> str:
                place, name = _physical(found["table"], schema)
                return f"{found['key']}{quote(places[place])}.{quote(name)}"

            cursor.execute(f"USE {quote(places[schema])}")
            cursor.execute(_REFERENCES.sub(moved, text))
        # What names no database means a copy, whoever writes it.
        cursor.execute(f"USE {quote(places[str(scratch.dialect.default_schema_name)])}")
        cursor.execute("SET SESSION foreign_key_checks = %s, sql_mode = %s", (checks, mode))
    finally:
        cursor.close()
