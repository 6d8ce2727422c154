"""In which order tables are filled, and which foreign keys stand in the way of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ForeignKeyConstraint, Table

__all__ = ["Order", "Reference", "order_of", "references_of"]


@dataclass(frozen=True)
class Reference:
    """A foreign key: columns of `table` whose values stand in columns of `parent`, by names."""

    table: Table
    columns: tuple[str, ...]
    parent: Table
    referred: tuple[str, ...]
    deferred: bool

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
    """Tables with parents first. `cut` are foreign keys that stay null, `late` those that are checked at the end only.

    `cycles` says of each table that cannot be filled which required keys it is caught in.
    """

    tables: list[Table] = field(default_factory=list)
    cut: set[Reference] = field(default_factory=set)
    late: set[Reference] = field(default_factory=set)
    cycles: dict[Table, str] = field(default_factory=dict)


def references_of(table: Table) -> tuple[Reference, ...]:
    """The foreign keys of a table, sorted."""
    return tuple(
        sorted(map(_reference, table.foreign_key_constraints), key=lambda r: (r.columns, r.parent.fullname))
    )


def _reference(constraint: ForeignKeyConstraint) -> Reference:
    elements = constraint.elements
    names = {column.key: column.name for column in constraint.table.columns}
    return Reference(
        table=constraint.table,
        columns=tuple(names.get(key, key) for key in constraint.column_keys),
        parent=elements[0].column.table,
        referred=tuple(element.column.name for element in elements),
        deferred=bool(constraint.deferrable) and (constraint.initially or "").upper() == "DEFERRED",
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
    reachable = {table: _reachable(table, waiting, needs) for table in waiting}
    in_cycles = [r for table in waiting for r in needs[table] if table in reachable.get(r.parent, ())]
    loose = next((r for r in in_cycles if r.nullable), None) or next(
        (r for r in in_cycles if r.deferred), None
    )
    if loose is not None:
        (order.cut if loose.nullable else order.late).add(loose)
        needs[loose.table].remove(loose)
        return
    for table in list(waiting):
        if table in reachable[table]:
            caught = [
                r.label for r in in_cycles if r.table in reachable[table] and table in reachable[r.table]
            ]
            order.cycles[table] = ", ".join(caught)
            del waiting[table]


def _reachable(
    table: Table, waiting: Iterable[Table], needs: Mapping[Table, Sequence[Reference]]
) -> set[Table]:
    among, found = set(waiting), set[Table]()
    stack = [table]
    while stack:
        for reference in needs[stack.pop()]:
            if reference.parent in among and reference.parent not in found:
                found.add(reference.parent)
                stack.append(reference.parent)
    return found
