"""In which order tables are filled, by generated rows and by the rows of a proof, and which foreign keys stand in the way of one."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ForeignKeyConstraint, Table

__all__ = ["Order", "Reference", "order_of", "references_of"]


@dataclass(frozen=True)
class Reference:
    """A foreign key: columns of `table` whose values stand in columns of `parent`, by names.

    `deferred`: the database looks at it at the end of a transaction only. `name` is the constraint's, if it has one.
    """

    table: Table
    columns: tuple[str, ...]
    parent: Table
    referred: tuple[str, ...]
    deferred: bool
    name: str | None = None

    @property
    def nullable(self) -> tuple[str, ...]:
        """The columns that may be null; one null is enough for the key to hold."""
        return tuple(
            name
            for name in self.columns
            if (column := self.table.columns[name]).nullable and not column.primary_key
        )

    @property
    def is_own(self) -> bool:
        """Whether the table refers to itself."""
        return self.parent is self.table

    @property
    def label(self) -> str:
        """The key as `child(column) -> parent`."""
        return f"{self.table.fullname}({', '.join(self.columns)}) -> {self.parent.fullname}"


@dataclass
class Order:
    """Tables with parents first. Keys in `cut` are null when a row is written, as their parents come later.

    Parents of keys in `late` come later too: the database checks those at the end only. `cycles` says of each table that
    cannot be filled, and is not in `tables`, which required keys it is caught in. Keys of a table to itself cut nothing.
    """

    tables: list[Table] = field(default_factory=list)
    cut: set[Reference] = field(default_factory=set)
    late: set[Reference] = field(default_factory=set)
    cycles: dict[Table, str] = field(default_factory=dict)


def references_of(table: Table) -> tuple[Reference, ...]:
    """The foreign keys of a table, sorted."""
    found = map(_reference, table.foreign_key_constraints)
    return tuple(sorted(found, key=lambda r: (r.columns, r.parent.fullname, r.referred)))


def _reference(constraint: ForeignKeyConstraint) -> Reference:
    return Reference(
        table=constraint.table,
        columns=tuple(column.name for column in constraint.columns),
        parent=constraint.referred_table,
        referred=tuple(element.column.name for element in constraint.elements),
        deferred=(constraint.initially or "").upper() == "DEFERRED",
        name=constraint.name if isinstance(constraint.name, str) else None,
    )


def order_of(tables: Sequence[Table]) -> Order:
    """The order of tables, all of whose parents are among them. A cycle is cut at a key that may be null or is deferred."""
    order = Order()
    waiting = dict.fromkeys(tables)
    needs = {table: [r for r in references_of(table) if not r.is_own] for table in tables}
    while waiting:
        ready = next((table for table in waiting if not any(r.parent in waiting for r in needs[table])), None)
        if ready is not None:
            order.tables.append(ready)
            del waiting[ready]
        else:
            _cut(order, waiting, needs)
    return order


def _cut(order: Order, waiting: dict[Table, None], needs: dict[Table, list[Reference]]) -> None:
    """Take one foreign key out of the cycles that are left; tables of cycles without such a key are given up."""
    loose = _in_a_cycle(waiting, needs, lambda r: bool(r.nullable)) or _in_a_cycle(
        waiting, needs, lambda r: r.deferred
    )
    if loose is not None:
        (order.cut if loose.nullable else order.late).add(loose)
        needs[loose.table].remove(loose)
        return
    reachable = {table: _reachable(table, waiting, needs) for table in waiting}
    in_cycles = [r for table in waiting for r in needs[table] if table in reachable.get(r.parent, ())]
    for table in list(waiting):
        if table in reachable[table]:
            caught = [
                r.label for r in in_cycles if r.table in reachable[table] and table in reachable[r.table]
            ]
            order.cycles[table] = ", ".join(caught)
            del waiting[table]


def _in_a_cycle(
    waiting: Container[Table],
    needs: Mapping[Table, Sequence[Reference]],
    wanted: Callable[[Reference], bool],
) -> Reference | None:
    """The first wanted key that stands in a cycle; what can be reached is only worked out for those."""
    keys = (r for table, keys in needs.items() if table in waiting for r in keys if wanted(r))
    return next((r for r in keys if r.table in _reachable(r.parent, waiting, needs)), None)


def _reachable(
    table: Table, waiting: Container[Table], needs: Mapping[Table, Sequence[Reference]]
) -> set[Table]:
    found = set[Table]()
    stack = [table] if table in waiting else []
    while stack:
        for reference in needs[stack.pop()]:
            if reference.parent in waiting and reference.parent not in found:
                found.add(reference.parent)
                stack.append(reference.parent)
    return found
