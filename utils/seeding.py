"""Fill deployed tables with generated rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter

from sqlalchemy import Connection, Table, literal, select

from sqlmodel_framework.base.errors import ConfigurationError, RowsNotGeneratedError
from sqlmodel_framework.base.models.tables import table_of
from sqlmodel_framework.base.results import Result
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.ddl import schemas_of
from sqlmodel_framework.engines.live import LiveTarget, holding
from sqlmodel_framework.utils.generation import RowPlan, error_for, plan_rows
from sqlmodel_framework.utils.tables import TableLike

__all__ = ["SeedResult", "seed_tables"]

_BATCH = 65_536


@dataclass(frozen=True)
class SeedResult(Result):
    """What was loaded: rows by table in the order of loading, parents first.

    `notes` say which tables got fewer rows than asked for. `failures` say why a table got none; the others have theirs.
    """

    target: str
    tables: dict[str, int]
    notes: tuple[str, ...]
    failures: dict[str, str]
    seconds: float

    @property
    def success(self) -> bool:
        """Whether every table got rows."""
        return not self.failures

    def error(self) -> RowsNotGeneratedError | None:
        """One error for all tables without rows; None without any."""
        return error_for(self.failures)


def seed_tables(
    tables: Iterable[TableLike],
    target: TargetConfig,
    rows: int = 100,
    seed: int = 0,
    *,
    kit: str = "PATH",
    connection: Connection | None = None,
) -> SeedResult:
    """Load `rows` generated rows into each deployed table, and into those their foreign keys lead to, in one transaction.

    The tables must be there and empty. `kit` is how messages name the datakit. `connection` is one of the target's whose
    transaction is to be used; it stays open. What `generate_rows` cannot make is a failure in the result. Raises
    ConfigurationError for tables that are not there or hold rows, DeploymentError where the database refuses rows, and
    TryAgainError where it is not reachable; no row stays then.
    """
    started = perf_counter()
    plan = plan_rows(tables, rows, seed)
    wanted = [table_of(table.item) for table in plan.tables]
    loaded: dict[str, int] = {}
    with holding(target) as live, live.engine.errors(target, "seed"):
        live.engine.refuse_if_absent(target)
        live.engine.attach_schemas(live, schemas_of(wanted), create=False)
        with live.sql.begin() if connection is None else nullcontext(connection) as used:
            _refuse_missing(live, used, wanted, kit)
            _refuse_filled(used, wanted, target)
            for made in plan.tables:
                table = table_of(made.item)
                loaded[table.fullname] = live.engine.insert(used, table, made.batches(_BATCH))
    failures = {table: str(error) for table, error in plan.failures.items()}
    return SeedResult(target.name, loaded, tuple(_notes(plan)), failures, perf_counter() - started)


def _refuse_missing(live: LiveTarget, connection: Connection, tables: Sequence[Table], kit: str) -> None:
    there = live.engine.existing_tables(connection, live.places(connection, tables))
    missing = [table.fullname for table in tables if (table.schema, table.name) not in there]
    if missing:
        raise ConfigurationError(
            "tables are not there",
            where=live.target.label,
            seen=f"no {', '.join(missing)}",
            next_step=_how_to_deploy(live.target, kit),
        )


def _how_to_deploy(target: TargetConfig, kit: str) -> str:
    if target.ends_with_process:
        return (
            "seed a file or a server of your own: this database ends with the process that deploys to it;"
            " in Python deploy and seed in one process"
        )
    options = "with the options of this call" if target.name == "custom" else f"--target {target.name}"
    return f"deploy the datakit first: datakit deploy {kit} {options}"


def _refuse_filled(connection: Connection, tables: Sequence[Table], target: TargetConfig) -> None:
    filled = [
        table.fullname
        for table in tables
        if connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None
    ]
    if filled:
        raise ConfigurationError(
            "tables hold rows already",
            where=target.label,
            seen=", ".join(filled),
            expected="empty tables, as generated keys could clash with theirs",
            next_step="empty them, or deploy the datakit to another database",
        )


def _notes(plan: RowPlan) -> Iterable[str]:
    for made in plan.tables:
        if made.count < made.wanted:
            yield f"{made.contract.table} has {made.count:,} rows: {made.why_fewer}"
