"""Living targets: the engine of a target from first use to cleanup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, Table

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.results import Result
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import Created, TargetEngine, engine_of
from sqlmodel_framework.engines.ddl import SchemaMap, schemas_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = [
    "CleanupResult",
    "LiveTarget",
    "cleanup_test_target",
    "create_async_engine_for_target",
    "create_engine_for_target",
    "holding",
    "open_target",
]


@dataclass
class LiveTarget:
    """A target in use. `created` records what deployments made; `attached_schemas` what SQLite attaches,
    `absent_schemas` those of them whose file is not there: an empty database in memory stands in.
    """

    target: TargetConfig
    engine: TargetEngine
    sql: Engine = field(init=False)
    created: Created = field(default_factory=Created)
    attached_schemas: set[str] = field(default_factory=set)
    absent_schemas: set[str] = field(default_factory=set)

    def places(self, connection: Connection, tables: Sequence[Table]) -> SchemaMap:
        """Where the schemas of these tables stand on this target."""
        return {
            None: self.engine.default_schema(connection),
            **{schema: schema for schema in schemas_of(tables)},
        }

    def drop_created(self) -> list[str]:
        """Drop what the record holds and nothing else; gives the tables dropped. One that is gone already is no error.

        One thread at a time: a second one waits, and finds an empty record.
        """
        with self.target.lock:
            created = self.created
            if created.is_empty:
                return []
            dropped = created.tables if self.target.ends_with_process else self._drop(created)
            # Emptied only now: after an error the record still says what is there to be dropped.
            self.created = Created()
        return [table.fullname for table in dropped]

    def _drop(self, created: Created) -> list[Table]:
        with self.engine.errors(self.target, "cleanup"), self.sql.begin() as connection:
            existing = self.engine.existing_tables(connection, self.places(connection, created.tables))
            still = [table for table in created.tables if (table.schema, table.name) in existing]
            self.engine.drop_tables(connection, still)
            self.engine.drop_free_standing(connection, created.free_standing)
            gone = self.engine.missing_schemas(connection, created.schemas)
            for schema in reversed([schema for schema in created.schemas if schema not in gone]):
                self.engine.drop_schema(connection, schema)
        return still

    def end(self) -> None:
        """Drop what was created and let go of the connections. After an error the target is still alive, with its record."""
        try:
            self.drop_created()
        finally:
            self.sql.dispose()
        self.target.live = None


@dataclass(frozen=True)
class CleanupResult(Result):
    """What a cleanup dropped, as names of tables."""

    target: str
    dropped: tuple[str, ...]

    @property
    def success(self) -> bool:
        """True: a cleanup that fails raises."""
        return True


def open_target(target: TargetConfig) -> LiveTarget:
    """Give the living form of a target; the first call starts what it needs. Raises ConfigurationError for anything but a target."""
    with holding(target) as live:
        return live


@contextmanager
def holding(target: TargetConfig) -> Iterator[LiveTarget]:
    """The living form of a target, for this thread alone: others wait until the block ends. Raises as `open_target` does."""
    if not isinstance(target, TargetConfig):
        raise ConfigurationError(
            "a target object is needed",
            seen=f"{type(target).__name__} {target!r}" if isinstance(target, str) else type(target).__name__,
            expected="a TargetConfig",
            next_step="pass get_target_config('sqlite_memory') or create_custom_target(...) and keep it for later calls",
        )
    with target.lock:
        if target.live is None:
            _bring_up(target)
        live: LiveTarget = target.live
        yield live


def _bring_up(target: TargetConfig) -> None:
    engine = engine_of(target)
    try:
        engine.start(target)
        live = target.live = LiveTarget(target, engine)
        live.sql = engine.connect(target)
        target.on_close(live.end)
    except BaseException:
        target.live = None
        target.close()
        raise


def create_engine_for_target(target: TargetConfig) -> Engine:
    """The SQLAlchemy engine of a target: the same one at every call until the target ends. Nothing is connected yet."""
    return open_target(target).sql


def create_async_engine_for_target(target: TargetConfig) -> AsyncEngine:
    """A new async engine on the same database as the target's own; dispose of it yourself. Needs the extra `async`."""
    live = open_target(target)
    return live.engine.connect_async(target)


def cleanup_test_target(target: TargetConfig) -> CleanupResult:
    """Drop what was created through this target, stop what it started, and end it.

    Raises DeploymentError or TryAgainError where something cannot be dropped; the target then stays alive, and the call
    can be repeated. Threads may share a target: one cleans up, the others wait.
    """
    with target.lock:
        live: LiveTarget | None = target.live
        dropped = live.drop_created() if live is not None else []
        target.close()
    return CleanupResult(target=target.name, dropped=tuple(dropped))
