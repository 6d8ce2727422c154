"""Deploy the tables of a datakit to a target: plan as data, then apply, and record what was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal, get_args

from sqlalchemy import Connection, Table

from sqlmodel_framework.base.errors import ConfigurationError, TargetNotEmptyError
from sqlmodel_framework.base.results import Result
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import Created, engine_of
from sqlmodel_framework.engines.ddl import Statement, schemas_of
from sqlmodel_framework.engines.live import (
    LiveTarget,
    cleanup_test_target,
    create_engine_for_target,
    holding,
)
from sqlmodel_framework.engines.reading import TableKey
from sqlmodel_framework.utils.discovery import discover_datakit_modules, discover_sqlmodel_classes
from sqlmodel_framework.utils.tables import TableLike, tables_of
from sqlmodel_framework.utils.validation import validate_deployment

__all__ = [
    "DeploymentResult",
    "IfExists",
    "cleanup_test_target",
    "create_engine_for_target",
    "deploy_data_objects",
    "discover_datakit_modules",
    "discover_sqlmodel_classes",
    "plan_deployment",
    "validate_deployment",
]

IfExists = Literal["fail", "skip", "replace"]
"""What to do on a target that holds tables already; see `deploy_data_objects`."""


@dataclass(frozen=True)
class DeploymentResult(Result):
    """What a deployment did, as names of tables; `notes` are things the database cannot store as the classes say."""

    target: str
    created: tuple[str, ...]
    skipped: tuple[str, ...]
    replaced: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def success(self) -> bool:
        """True: a deployment that fails raises, and leaves nothing behind."""
        return True


def plan_deployment(tables: Iterable[TableLike], target: TargetConfig) -> list[Statement]:
    """The DDL that a deployment to an empty target of this type would run, schemas first. Nothing is connected.

    A schema that no statement makes, as on SQLite, is an SQL comment.
    """
    wanted = tables_of(tables)
    engine, schemas = engine_of(target), schemas_of(wanted)
    dialect = engine.offline_dialect()
    made = engine.render(wanted, dialect, engine.offline_places(target, schemas))
    return [*engine.render_schemas(schemas, dialect, target), *made]


def deploy_data_objects(
    tables: Iterable[TableLike], target: TargetConfig, *, if_exists: IfExists = "fail"
) -> DeploymentResult:
    """Create the tables with their types, indexes and keys, all or nothing.

    `if_exists` says what happens on a target that holds tables this target object did not create: `fail` refuses,
    `skip` creates only the tables that are missing, `replace` drops the tables of these names, and no others, first.
    Raises TargetNotEmptyError, DeploymentError, ConfigurationError or TryAgainError; nothing half-deployed stays.
    """
    if if_exists not in get_args(IfExists):
        raise ConfigurationError("if_exists is wrong", seen=repr(if_exists), expected="fail, skip or replace")
    started = perf_counter()
    wanted = tables_of(tables)
    with holding(target) as live, live.engine.errors(target, "deploy"):
        live.engine.attach_schemas(live, schemas_of(wanted))
        with _all_or_nothing(live) as (connection, created):
            clashing = _clashing(live, connection, wanted, if_exists)
            skipped, old = (clashing, []) if if_exists == "skip" else ([], clashing)
            missing = [table for table in wanted if table not in skipped]
            _create(live, connection, missing, old, created)
    return DeploymentResult(
        target=target.name,
        created=tuple(table.fullname for table in missing),
        skipped=tuple(table.fullname for table in skipped),
        replaced=tuple(table.fullname for table in old),
        notes=tuple(_notes(live, missing)),
        seconds=perf_counter() - started,
    )


@contextmanager
def _all_or_nothing(live: LiveTarget) -> Iterator[tuple[Connection, Created]]:
    """One transaction; where DDL commits by itself, what was made is dropped again after a failure."""
    created = Created()
    with live.sql.connect() as connection:
        try:
            yield connection, created
            connection.commit()
        except BaseException:
            if not live.engine.capabilities.transactional_ddl:
                # The connection may be broken: it is given up, and a new one does the dropping.
                connection.invalidate()
                _undo(live, created)
            raise
    live.created.add(created)


def _undo(live: LiveTarget, created: Created) -> None:
    """Drop what a failed deployment made. Where that fails too, the record keeps it for a later cleanup."""
    before, live.created = live.created, created
    try:
        live.drop_created()
    except BaseException:
        before.add(created)
        raise
    finally:
        live.created = before


def _clashing(
    live: LiveTarget, connection: Connection, wanted: Sequence[Table], if_exists: IfExists
) -> list[Table]:
    """Those of the tables whose names are taken. Raises TargetNotEmptyError where the target should hold none."""
    existing = live.engine.existing_tables(connection, live.places(connection, wanted))
    if if_exists == "fail":
        _refuse_if_not_empty(live, existing, wanted)
        return []
    return [table for table in wanted if (table.schema, table.name) in existing]


def _refuse_if_not_empty(live: LiveTarget, existing: set[TableKey], wanted: Sequence[Table]) -> None:
    ours = {(table.schema, table.name) for table in live.created.tables}
    in_the_way = existing - (ours - {(table.schema, table.name) for table in wanted})
    others = sorted(".".join(part for part in key if part) for key in in_the_way)
    if others:
        shown = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
        raise TargetNotEmptyError(
            "the target is not empty",
            where=live.target.label,
            seen=f"{len(others)} table{'s' if len(others) > 1 else ''}: {shown}",
            expected="no tables",
            next_step="--if-exists skip creates what is missing, --if-exists replace drops and creates the"
            " datakit's own tables",
        )


def _create(
    live: LiveTarget,
    connection: Connection,
    tables: Sequence[Table],
    old: Sequence[Table],
    created: Created,
) -> None:
    """Create the tables, in the place of the old ones where there are such."""
    for schema in live.engine.missing_schemas(connection, sorted(schemas_of(tables))):
        live.engine.create_schema(connection, schema)
        created.schemas.append(schema)
    if not tables:
        return
    places = live.places(connection, tables)
    types = live.engine.existing_free_standing(connection, places)
    # Beside named schemas the default one is named too: MySQL looks for a key's table beside the key's own.
    named = places if schemas_of(tables) and places[None] is not None else None
    by_key = {(table.schema, table.name): table for table in tables}

    def record(statement: Statement) -> None:
        """Only what this deployment made itself may be dropped again."""
        if statement.free_standing:
            created.free_standing.append(statement)
        elif statement.element == "CreateTable":
            created.tables.append(by_key[statement.schema, statement.name])

    if old:
        live.engine.replace(live, connection, old, tables, named, existing=types, done=record)
    else:
        live.engine.create(connection, tables, named, existing=types, done=record)


def _notes(live: LiveTarget, tables: Sequence[Table]) -> Iterator[str]:
    if live.engine.capabilities.cross_schema_foreign_keys:
        return
    for table in tables:
        for key in table.foreign_keys:
            if key.column.table.schema != table.schema:
                yield (
                    f"{table.fullname}.{key.parent.name}: the foreign key to {key.column.table.fullname} crosses schemas,"
                    f" which {live.engine.kind} cannot store"
                )
