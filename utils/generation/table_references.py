"""The foreign keys of a table that is planned: which rows of which parent its rows may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule, contract_of
from sqlmodel_framework.base.models.tables import TableLike
from sqlmodel_framework.utils.generation.checks import RowChecks
from sqlmodel_framework.utils.generation.hashing import Index, Key
from sqlmodel_framework.utils.generation.keys import Digit, Spread
from sqlmodel_framework.utils.generation.parts import (
    Matched,
    Part,
    Referring,
    joined,
    never_held,
)
from sqlmodel_framework.utils.generation.table_rows import Surroundings, TableRows
from sqlmodel_framework.utils.table_order import Reference

__all__ = ["PlannedReferences"]


class PlannedReferences:
    """One table being planned: its foreign keys."""

    def __init__(self, item: TableLike, around: Surroundings) -> None:
        self.item = item
        self.around = around
        self.contract = contract_of(item)
        self.count = around.rows
        self.why_fewer: str | None = None
        self.seed = around.seed
        self.checks = RowChecks(self.contract)
        self.written = {name: c for name, c in self.contract.columns.items() if not c.computed}
        self.leading: list[Reference] = []
        self.matched: list[tuple[Reference, tuple[str, ...], Reference]] = []
        self.null: set[str] = set()
        self.allowed: dict[Reference, Index] = {}
        self.met: set[CheckRule] = set()
        self.digits: dict[Reference | str, Digit] = {}
        self.tried: dict[str, Spread] = {}
        self.own: TableRows
        self.spreads: dict[str, Spread] = {}

    def _key(self, *names: object) -> Key:
        return Key.of(self.seed, self.contract.table, *names)

    def _fewer(self, capacity: int, why: str) -> None:
        if capacity < self.count:
            self.count, self.why_fewer = capacity, why

    def _assign_references(self) -> None:
        """Which foreign keys lead, which follow another one whose columns they share, and which stay null."""
        owner: dict[str, Reference] = {}
        for reference in sorted(self.around.references, key=lambda r: -len(r.columns)):
            shared = [name for name in reference.columns if name in owner or name in self.null]
            own_nullable = [name for name in reference.nullable if name not in owner]
            if any(name in self.null for name in shared):
                continue
            if reference in self.around.cut or (own_nullable and not self._has_rows(reference)):
                self.null |= set(own_nullable)
                if not own_nullable:
                    raise self._shares_columns(reference)
            elif not shared:
                self.leading.append(reference)
                owner |= dict.fromkeys(reference.columns, reference)
            elif not self._is_implied(reference, owner):
                self._follow(reference, shared, own_nullable, owner)

    def _has_rows(self, reference: Reference) -> bool:
        return reference.is_own or reference in self.around.late or reference.parent in self.around.plans

    def _is_implied(self, reference: Reference, owner: Mapping[str, Reference]) -> bool:
        """Whether a longer key says it already: its parent's columns refer to the same place."""
        leaders = {owner.get(name) for name in reference.columns}
        leader = leaders.pop() if len(leaders) == 1 else None
        if leader is None:
            return False
        there = dict(zip(leader.columns, leader.referred, strict=True))
        columns = tuple(there[name] for name in reference.columns)
        if (leader.parent, columns) == (reference.parent, reference.referred):
            return True
        parent = self if leader.is_own else None
        keys = self.around.references if parent else _references_of_parent(leader)
        wanted = dict(zip(columns, reference.referred, strict=True))
        return any(
            key.parent is reference.parent and dict(zip(key.columns, key.referred, strict=True)) == wanted
            for key in keys
        )

    def _follow(
        self, reference: Reference, shared: list[str], own_nullable: list[str], owner: dict[str, Reference]
    ) -> None:
        leaders = {owner[name] for name in shared}
        leader = leaders.pop()
        if leaders or reference.is_own or leader.is_own or reference in self.around.late:
            if not own_nullable:
                raise self._shares_columns(reference)
            self.null |= set(own_nullable)
            return
        self.matched.append((reference, tuple(shared), leader))
        owner |= {name: reference for name in reference.columns if name not in owner}

    def _hold_parents_against_checks(self) -> None:
        """Where checks read nothing but the columns of one foreign key: the rows of the parent that they let in."""
        for reference in self.leading:
            rules = [
                rule for rule, names in self.checks.columns.items() if set(names) <= set(reference.columns)
            ]
            if not rules or reference.is_own or reference in self.around.late:
                continue
            parent = self.around.plans[reference.parent]
            found = parent.columns(reference.referred, np.arange(parent.count))
            values = {
                own: found[other].to_pylist()
                for own, other in zip(reference.columns, reference.referred, strict=True)
            }
            checks = RowChecks(self.contract, only=rules)
            refused = checks.not_held(values)
            good = np.flatnonzero(np.fromiter((not row for row in refused), bool, len(refused)))
            if not len(good) and parent.count:
                if not reference.nullable:
                    raise never_held(checks, sorted({rule.label for row in refused for rule in row}))
                self.null |= set(reference.nullable)
            self.allowed[reference] = good
            if len(good):
                values = {name: pa.array(found).take(good).to_pylist() for name, found in values.items()}
            unmet = self._broken_by_nulls(checks, reference, values)
            if unmet and not len(good):
                raise never_held(checks, sorted(rule.label for rule in unmet))
            self.met |= set(rules) - unmet
        self.leading = [r for r in self.leading if not self.null & set(r.columns)]

    @staticmethod
    def _broken_by_nulls(
        checks: RowChecks, reference: Reference, values: Mapping[str, list[Any]]
    ) -> set[CheckRule]:
        """The checks that rows without a parent may break: those are still to be held against each row."""
        if not reference.nullable:
            return set()
        nulls = {name: [None] * len(v) if name in reference.nullable else v for name, v in values.items()}
        return {rule for row in checks.not_held(nulls) for rule in row}

    def _shares_columns(self, reference: Reference) -> RowsNotGeneratedError:
        return RowsNotGeneratedError(
            "a foreign key shares columns with others in a way that rows cannot be made for",
            where=f"table {self.contract.table}",
            seen=reference.label,
            next_step="make the rows yourself, or let one of its columns be null",
        )

    def _parent(self, reference: Reference) -> Callable[[], TableRows]:
        plans = self.around.plans
        return (lambda: self.own) if reference.is_own else (lambda: plans[reference.parent])

    def _reference_parts(self) -> list[Part]:
        made: dict[Reference, Part] = {}
        kinds = {name: column.arrow_type for name, column in self.written.items()}
        for reference in self.leading:
            key = self._key(*reference.columns, "row")
            null_key = (
                None if self._must_be_given(reference.nullable) else self._key(*reference.columns, "null")
            )
            digit, allowed = self.digits.get(reference), self.allowed.get(reference)
            made[reference] = Referring(
                reference, self._parent(reference), kinds, key, null_key, digit, allowed
            )
        for reference, shared, leader in self.matched:
            made[reference] = Matched(
                reference,
                self._parent(reference),
                kinds,
                self._key(*reference.columns, "row"),
                shared,
                made[leader],
            )
        return list(made.values())

    def _narrow_leaders(self) -> None:
        """A leading key may only take rows of its parent that the key which follows it finds a partner for."""
        for reference, shared, leader in self.matched:
            partners = self._parents_values(reference, shared).to_numpy(zero_copy_only=False)
            own = self._parents_values(leader, shared).to_numpy(zero_copy_only=False)
            allowed = np.flatnonzero(np.isin(own, partners))
            if leader in self.allowed:
                allowed = np.intersect1d(allowed, self.allowed[leader])
            if not len(allowed) and self.count:
                raise self._shares_columns(reference)
            self.allowed[leader] = allowed

    def _parents_values(self, reference: Reference, names: Sequence[str]) -> pa.Array:
        """What all rows of the parent hold in place of these columns, as one column of texts."""
        parent = self.around.plans[reference.parent]
        there = dict(zip(reference.columns, reference.referred, strict=True))
        found = parent.columns([there[name] for name in names], np.arange(parent.count))
        return joined([found[there[name]].cast(self.written[name].arrow_type) for name in names])

    def _must_be_given(self, names: Iterable[str]) -> bool:
        """Whether a column may not be null after all: it is part of the primary key, or other keys refer to it."""
        table = self.contract.columns[next(iter(self.contract.columns))].column.table
        return any(
            name in self.contract.primary_key or (table, name) in self.around.referred for name in names
        )


def _references_of_parent(reference: Reference) -> Sequence[Reference]:
    from sqlmodel_framework.utils.table_order import references_of

    return references_of(reference.parent)
