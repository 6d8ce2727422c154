"""The plan of a table's rows: how many there are, and which part gives each column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sqlmodel_framework.base.models.contract import CheckRule, ColumnContract
from sqlmodel_framework.base.models.tables import TableLike, is_table_class
from sqlmodel_framework.utils.generation.candidates import candidates
from sqlmodel_framework.utils.generation.checks import RowChecks, literals_of
from sqlmodel_framework.utils.generation.draws import draw_from
from sqlmodel_framework.utils.generation.equations import Equations
from sqlmodel_framework.utils.generation.moments import earlier_of
from sqlmodel_framework.utils.generation.parts import (
    CheckedParts,
    Columns,
    Distinct,
    Drawn,
    Matched,
    Part,
    Referring,
    Tuples,
    never_held,
)
from sqlmodel_framework.utils.generation.table_keys import PlannedKeys
from sqlmodel_framework.utils.generation.table_rows import Surroundings, TableRows
from sqlmodel_framework.utils.generation.values import draw_later, draw_of

__all__ = ["plan_table"]

_SAMPLE = 4_096
_ENOUGH = 400
_ROUNDS = 24


def plan_table(item: TableLike, around: Surroundings) -> TableRows:
    """Plan the rows of a table whose parents are planned. Raises RowsNotGeneratedError for one that cannot be filled."""
    return _PlannedTable(item, around).plan()


class _PlannedTable(PlannedKeys):
    """One table being planned: its other columns and its checks, after its keys."""

    def plan(self) -> TableRows:
        self._assign_references()
        self._hold_parents_against_checks()
        self._narrow_leaders()
        self._number_keys()
        references = self._reference_parts()
        keys = [self._key_part(name) for name in self.spreads]
        taken_already = {name for part in (*references, *keys) for name in part.names}
        drawn = [self._drawn(name) for name in self.written if name not in taken_already]
        fixed: dict[str, Part] = {part.name: part for part in keys}
        for part in references:
            if isinstance(part, Referring) and part.digit is not None:
                fixed |= dict.fromkeys(part.names, part)
        self.own = self._rows([*keys, *references, *drawn], fixed)
        self.own = self._rows(self._checked([*keys, *references], drawn), fixed)
        return self.own

    def _rows(self, parts: list[Part], fixed: dict[str, Part]) -> TableRows:
        return TableRows(self.item, self.contract, self.count, parts, self.around.rows, self.why_fewer, fixed)

    # other columns

    def _drawn(self, name: str) -> Drawn:
        column, key = self.written[name], self._key(name)
        null_key = None if not column.nullable or self._must_be_given((name,)) else self._key(name, "null")
        if name in self.null:
            nothing = column.arrow_type
            return Drawn(name, lambda index, _: pa.nulls(len(index), nothing), None)
        draw = draw_of(column, key, self.seed, self._annotation(column))
        others = [
            c for n, c in self.written.items() if n not in (name, *self.spreads) and not self._rules_of(n)
        ]
        earlier = earlier_of(column, others)
        if earlier is not None:
            draw = draw_later(column, key, earlier, self._key(earlier.name))
        rules = self._rules_of(name)
        if not rules:
            return Drawn(name, draw, null_key)
        natural = draw(np.arange(_SAMPLE), 0)
        literals = [value for rule in self._rules_around(rules) for value in literals_of(rule)]
        others_pool = candidates(
            column, literals, natural[:300].to_pylist(), f"{self.seed}/{self.contract.table}"
        )
        own = self._rules_of_one(name)
        if own:
            natural, others_pool = self._let_in(name, own, natural, others_pool)
            draw = draw_from(natural, key)
        return Drawn(name, draw, null_key, others_pool)

    def _annotation(self, column: ColumnContract) -> Any:
        if column.field is None or not is_table_class(self.item):
            return None
        return self.item.model_fields[column.field].annotation

    def _rules_of(self, name: str) -> list[CheckRule]:
        return [rule for rule, columns in self.checks.columns.items() if name in columns]

    def _rules_around(self, rules: Sequence[CheckRule]) -> list[CheckRule]:
        """These checks, and those that share columns with them, and so on."""
        found = list(rules)
        for rule in found:
            columns = set(self.checks.columns[rule])
            found += [
                r for r, names in self.checks.columns.items() if r not in found and columns & set(names)
            ]
        return found

    def _let_in(
        self, name: str, rules: list[CheckRule], natural: pa.Array, others: pa.Array
    ) -> tuple[pa.Array, pa.Array]:
        """Of a column's values those that its own checks let in: the natural ones, where there are enough, and the others."""
        checks = RowChecks(self.contract, only=rules)
        kept = []
        for values in (natural, others):
            broken = checks.not_held({name: values.to_pylist()})
            kept.append(values.filter(pa.array([not row for row in broken], pa.bool_())))
        found, candidates_found = kept
        if len(found) < _SAMPLE // 50:
            found = pa.concat_arrays([found, candidates_found])
        if not len(found):
            refused = [
                set(row) for row in (*checks.not_held({name: [*natural.to_pylist(), *others.to_pylist()]}),)
            ]
            always = set.intersection(*refused) if refused else set()
            if self.contract.columns[name].nullable and not checks.not_held({name: [None]})[0]:
                return pa.nulls(1, natural.type), others
            raise never_held(checks, sorted(rule.label for rule in always))
        return found, candidates_found

    # checks

    def _checked(self, keyed: Sequence[Part], drawn: Sequence[Drawn]) -> list[Part]:
        """Join the parts whose columns stand in one check."""
        parts: list[Part] = [*keyed, *drawn]
        groups = self._groups(parts)
        made: list[Part] = []
        for members, rules in groups:
            if not rules:
                made.extend(members)
            elif all(isinstance(part, Drawn) for part in members):
                made.append(self._tuples(members, rules))
            else:
                checks = self._checks_with_own(members, rules)
                checked = CheckedParts(tuple(members), checks, self._equations(members, checks))
                if self.count:
                    checked.at(
                        np.unique(np.linspace(0, self.count - 1, min(self.count, 500)).astype(np.int64))
                    )
                made.append(checked)
        return made

    def _groups(self, parts: Sequence[Part]) -> list[tuple[list[Part], list[CheckRule]]]:
        groups: list[tuple[list[Part], list[CheckRule]]] = [([part], []) for part in parts]
        for rule, columns in self.checks.columns.items():
            if rule in self.met or (len(columns) == 1 and not self._is_of_reference(columns[0], parts)):
                continue
            touched = [g for g in groups if any(name in columns for part in g[0] for name in part.names)]
            touched += [g for g in groups if g not in touched and _leads_one_of(g[0], touched)]
            if touched:
                merged = ([p for g in touched for p in g[0]], [*(r for g in touched for r in g[1]), rule])
                groups = [g for g in groups if g not in touched] + [merged]
        return groups

    def _is_of_reference(self, name: str, parts: Sequence[Part]) -> bool:
        """Whether a column's checks are not yet met: those of foreign keys, and of computed columns."""
        return not any(isinstance(part, Drawn | Distinct) and name in part.names for part in parts)

    def _tuples(self, members: Sequence[Part], rules: Sequence[CheckRule]) -> Tuples:
        checks = self._checks_with_own(members, rules)
        equations = self._equations(members, checks)
        names = [name for part in members for name in part.names]
        schema = pa.schema([pa.field(name, self.written[name].arrow_type) for name in names])
        kept: list[pa.RecordBatch] = []
        ever: set[CheckRule] = set()
        for attempt in range(_ROUNDS):
            columns: Columns = {}
            for part in members:
                columns |= part.at(np.arange(1, _SAMPLE + 1), attempt)
            columns = equations.settled(columns, attempt)
            broken = checks.not_held({name: values.to_pylist() for name, values in columns.items()})
            ever |= {rule for rule in checks.rules if any(rule not in row for row in broken)}
            batch = pa.RecordBatch.from_arrays([columns[name] for name in names], schema=schema)
            kept.append(batch.filter(pa.array([not row for row in broken])))
            if sum(batch.num_rows for batch in kept) >= _ENOUGH:
                break
        pool = pa.Table.from_batches(kept).combine_chunks().to_batches()
        if not pool:
            raise never_held(checks, sorted(rule.label for rule in set(checks.rules) - ever))
        return Tuples(pool[0], self._key(*names, "tuple"))

    def _checks_with_own(self, members: Sequence[Part], rules: Sequence[CheckRule]) -> RowChecks:
        """These checks, with those of one column each: what an equation gives has to meet them too."""
        names = {name for part in members if isinstance(part, Drawn) for name in part.names}
        own = [rule for name in names for rule in self._rules_of_one(name) if rule not in rules]
        return RowChecks(self.contract, only=[rule for rule in self.checks.rules if rule in (*rules, *own)])

    def _equations(self, members: Sequence[Part], checks: RowChecks) -> Equations:
        free = {part.name: self.written[part.name] for part in members if isinstance(part, Drawn)}
        return Equations(checks, {name: column for name, column in free.items() if name not in self.null})


def _leads_one_of(members: Sequence[Part], groups: Sequence[tuple[list[Part], list[CheckRule]]]) -> bool:
    """Whether a part in a group takes its values from one of these: both must make the same attempt."""
    leading = [part.leading for group in groups for part in group[0] if isinstance(part, Matched)]
    return any(part is leader for part in members for leader in leading)
