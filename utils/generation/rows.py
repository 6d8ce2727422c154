"""Rows from the contract of a class: `generate_rows`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from sqlalchemy import Table
from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError, MissingExtraError, RowsNotGeneratedError
from sqlmodel_framework.base.models.tables import TableLike, is_table_class, table_of
from sqlmodel_framework.engines.ddl import with_referred
from sqlmodel_framework.utils.generation.table_plan import plan_table
from sqlmodel_framework.utils.generation.table_rows import Surroundings, TableRows
from sqlmodel_framework.utils.table_order import Reference, order_of, references_of
from sqlmodel_framework.utils.tables import tables_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sqlmodel_framework.utils.discovery import Datakit

__all__ = ["RowPlan", "error_for", "generate_rows", "plan_rows"]

_BATCH = 65_536


@dataclass
class RowPlan:
    """How the rows of tables will be made, parents first; `failures` says why a table gets none, in the order of tables.

    `tables` holds those that the foreign keys of the given ones lead to as well; `given` are the given ones.
    """

    tables: list[TableRows] = field(default_factory=list)
    given: list[Table] = field(default_factory=list)
    failures: dict[str, RowsNotGeneratedError] = field(default_factory=dict)


def error_for(failures: Mapping[str, object]) -> RowsNotGeneratedError | None:
    """One error for all tables that get no rows; None without any."""
    if not failures:
        return None
    return RowsNotGeneratedError(
        "no rows can be made for some tables",
        where=", ".join(failures),
        seen="; ".join(f"{table}: {why}" for table, why in failures.items()),
        next_step="correct these classes; the other tables have their rows",
    )


@overload
def generate_rows(
    table_or_kit: type[SQLModel] | Table, n: int, seed: int = 0, *, batch_size: int = _BATCH
) -> Iterator[pa.RecordBatch]: ...


@overload
def generate_rows(
    table_or_kit: Datakit | str | os.PathLike[str] | Iterable[TableLike],
    n: int,
    seed: int = 0,
    *,
    batch_size: int = _BATCH,
) -> Iterator[tuple[TableLike, pa.RecordBatch]]: ...


def generate_rows(
    table_or_kit: TableLike | Datakit | str | os.PathLike[str] | Iterable[TableLike],
    n: int,
    seed: int = 0,
    *,
    batch_size: int = _BATCH,
) -> Iterator[pa.RecordBatch] | Iterator[tuple[TableLike, pa.RecordBatch]]:
    """Rows for one table as Arrow batches, or for the tables of a datakit as pairs of table and batch, parents first.

    A datakit may be given as `load_datakit` takes it: a folder or an importable name.

    The rows obey the contract: types, lengths, ranges, patterns, choices, keys, foreign keys and CHECKs. The same tables,
    `n` and `seed` give the same rows in every process and with any `batch_size`. A table whose keys take fewer than `n`
    values has as many rows as they take. Foreign keys of one table alone point at the rows that their parents have for
    the same `n` and `seed`. Columns that the database works out are left out. Rows are made when batches are taken, in
    constant memory.

    Raises RowsNotGeneratedError for a class that no rows can be made for; with several tables the others come first, and
    the error at the end names all that failed. Raises MissingExtraError where texts are needed and the extra `testing` is
    not installed.
    """
    _check_numbers(n, seed, batch_size)
    if isinstance(table_or_kit, str | os.PathLike):
        from sqlmodel_framework.utils.discovery import load_datakit

        table_or_kit = load_datakit(table_or_kit)
    if isinstance(table_or_kit, Table) or is_table_class(table_or_kit):
        plan = plan_rows([table_or_kit], n, seed)
        return _of_one(plan, table_of(table_or_kit), batch_size)
    items = getattr(table_or_kit, "tables", None)
    return _of_many(plan_rows(table_or_kit if items is None else items, n, seed), batch_size)  # type: ignore[arg-type]


def plan_rows(items: Iterable[TableLike], n: int, seed: int = 0) -> RowPlan:
    """Plan `n` rows for each table, and for those that foreign keys lead to. Failures of tables are kept, not raised."""
    given = list(items) if isinstance(items, Iterable) else items
    tables = tables_of(given)
    everything = with_referred(tables)
    classes = _classes(given, everything)
    order = order_of(everything)
    referred = _referred(everything)
    plans: dict[Table, TableRows] = {}
    failures = {table: _in_a_cycle(table, keys) for table, keys in order.cycles.items()}
    for table in order.tables:
        references = references_of(table)
        needed = [r for r in references if _is_needed(r, failures)]
        if needed:
            failures[table] = _without_parent(needed[0])
            continue
        around = Surroundings(n, seed, references, order.cut, order.late, referred, plans)
        try:
            plans[table] = plan_table(classes[table], around)
        except MissingExtraError:
            raise
        except ConfigurationError as exc:
            failures[table] = _as_failure(exc)
    _fail_late(order.late, plans, failures)
    said = {table.fullname: failures[table] for table in everything if table in failures}
    return RowPlan(list(plans.values()), tables, said)


def _in_a_cycle(table: Table, keys: str) -> RowsNotGeneratedError:
    return RowsNotGeneratedError(
        "tables need rows of one another before they can have their first",
        where=f"table {table.fullname}",
        seen=keys,
        expected="a foreign key in the cycle that may be null, or that is deferrable initially deferred",
        next_step="let one of these columns be null",
    )


def _without_parent(reference: Reference) -> RowsNotGeneratedError:
    return RowsNotGeneratedError(
        f"it needs rows of {reference.parent.fullname}, for which none can be made",
        where=f"table {reference.table.fullname}",
        seen=reference.label,
        next_step=f"correct {reference.parent.fullname}",
    )


def _as_failure(error: ConfigurationError) -> RowsNotGeneratedError:
    if isinstance(error, RowsNotGeneratedError):
        return error
    return RowsNotGeneratedError(
        error.what, where=error.where, seen=error.seen, expected=error.expected, next_step=error.next_step
    )


def _is_needed(reference: Reference, failures: Mapping[Table, object]) -> bool:
    return not reference.is_own and not reference.nullable and reference.parent in failures


def _fail_late(
    late: Iterable[Reference], plans: dict[Table, TableRows], failures: dict[Table, RowsNotGeneratedError]
) -> None:
    """Tables whose deferred keys point at one that failed fail too, and those that need them."""
    waiting = [reference for reference in late if reference.parent in failures]
    while waiting:
        for reference in waiting:
            plans.pop(reference.table, None)
            failures.setdefault(reference.table, _without_parent(reference))
        waiting = [r for table in plans for r in references_of(table) if _is_needed(r, failures)]


def _classes(given: Sequence[TableLike], tables: Sequence[Table]) -> dict[Table, TableLike]:
    """What each table is read from: its class where it has one, as only that knows limits."""
    found: dict[Table, TableLike] = {table: table for table in tables}
    waiting: list[type] = [SQLModel]
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        if is_table_class(cls) and (table := table_of(cls)) in found:
            found[table] = cls
    return found | {table_of(item): item for item in given}


def _referred(tables: Sequence[Table]) -> set[tuple[Table, str]]:
    """The columns that foreign keys refer to, those of tables that get no rows included."""
    everything = {other for table in tables for other in table.metadata.tables.values()}
    found: set[tuple[Table, str]] = set()
    for table in {*everything, *tables}:
        for reference in _resolved(table):
            found |= {(reference.parent, name) for name in reference.referred}
    return found


def _resolved(table: Table) -> Sequence[Reference]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return references_of(table)
    except SQLAlchemyError:
        # A table beside the given ones; what it refers to is no concern of theirs.
        return ()


def _of_one(plan: RowPlan, table: Table, size: int) -> Iterator[pa.RecordBatch]:
    if table.fullname in plan.failures:
        raise plan.failures[table.fullname]
    (rows,) = [rows for rows in plan.tables if table_of(rows.item) is table]
    return rows.batches(size)


def _of_many(plan: RowPlan, size: int) -> Iterator[tuple[TableLike, pa.RecordBatch]]:
    for rows in plan.tables:
        if table_of(rows.item) in plan.given:
            for batch in rows.batches(size):
                yield rows.item, batch
    error = error_for(plan.failures)
    if error is not None:
        raise error


def _check_numbers(n: int, seed: int, batch_size: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigurationError("seed is no whole number", seen=repr(seed), expected="a whole number")
    for name, value, least in (("n", n, 0), ("batch_size", batch_size, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigurationError(
                f"{name} is no number of rows", seen=repr(value), expected=f"a whole number from {least} on"
            )
