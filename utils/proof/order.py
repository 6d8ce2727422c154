"""In which order tables get their rows: parents first, and what to do about circles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from sqlalchemy import ForeignKeyConstraint, Table

__all__ = ["Link", "Order", "links_of", "order_of"]


@dataclass(frozen=True)
class Link:
    """A foreign key of a table, by names of columns. `nullable` are those of its columns that may be null.

    `deferred`: the database looks at it at the end of a transaction only.
    """

    table: str
    columns: tuple[str, ...]
    referred_table: str
    referred: tuple[str, ...]
    nullable: tuple[str, ...]
    deferred: bool = False
    name: str | None = None

    @property
    def to_itself(self) -> bool:
        """Whether rows refer to rows of the same table."""
        return self.table == self.referred_table


@dataclass
class Order:
    """Tables in the order of writing.

    Keys in `late` are null at first and set when both tables have rows. Rows behind keys in `ahead` come after those
    that refer to them: the database looks later. `circles` says of tables why no row can be the first.
    """

    tables: list[Table] = field(default_factory=list)
    late: set[Link] = field(default_factory=set)
    ahead: set[Link] = field(default_factory=set)
    circles: dict[str, str] = field(default_factory=dict)


def links_of(table: Table) -> list[Link]:
    """The foreign keys of a table, sorted."""
    links = [_link(constraint) for constraint in table.foreign_key_constraints]
    return sorted(links, key=lambda link: (link.columns, link.referred_table, link.referred))


def _link(constraint: ForeignKeyConstraint) -> Link:
    name = constraint.name
    return Link(
        table=constraint.table.fullname,
        columns=tuple(column.name for column in constraint.columns),
        referred_table=constraint.referred_table.fullname,
        referred=tuple(element.column.name for element in constraint.elements),
        nullable=tuple(column.name for column in constraint.columns if column.nullable),
        deferred=str(constraint.initially or "").upper() == "DEFERRED",
        name=name if isinstance(name, str) else None,
    )


def order_of(tables: Sequence[Table]) -> Order:
    """The order of writing for tables whose foreign keys lead to tables among them."""
    by_name = {table.fullname: table for table in tables}
    links = [link for table in tables for link in links_of(table)]
    order = Order(late={link for link in links if link.to_itself and link.nullable})
    open_links = [link for link in links if not link.to_itself]
    while True:
        try:
            order.tables = [by_name[name] for name in _sorted(by_name, open_links)]
            return order
        except CycleError as exc:
            circle: list[str] = exc.args[1]
            _open(circle, open_links, order)


def _sorted(names: Iterable[str], links: Iterable[Link]) -> list[str]:
    graph: dict[str, dict[str, None]] = {name: {} for name in names}
    for link in links:
        graph[link.table][link.referred_table] = None
    return list(TopologicalSorter(graph).static_order())


def _open(circle: Sequence[str], links: list[Link], order: Order) -> None:
    """Take the keys between two tables of a circle out: those that may be null, else those that are looked at later."""
    steps = [
        [link for link in links if (link.referred_table, link.table) == step] for step in pairwise(circle)
    ]
    taken = next((step for step in steps if all(link.nullable for link in step)), None)
    if taken is not None:
        order.late.update(taken)
    else:
        taken = next((step for step in steps if all(link.deferred or link.nullable for link in step)), None)
        if taken is not None:
            order.late.update(link for link in taken if link.nullable)
            order.ahead.update(link for link in taken if not link.nullable)
    if taken is None:
        taken = steps[0]
        names = " → ".join(reversed(circle))
        for name in circle:
            order.circles.setdefault(name, f"a circle of foreign keys that cannot be null: {names}")
    for link in taken:
        links.remove(link)
