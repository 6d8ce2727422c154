"""The proof of one table: rows that its class allows are written, then forbidden rows are tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.utils.proof.checked import Checked
from sqlmodel_framework.utils.proof.forbidden import Forbidden, forbidden_rows
from sqlmodel_framework.utils.proof.rows import Row, RowMaker, fitting_options, loosely
from sqlmodel_framework.utils.proof.store import Refused
from sqlmodel_framework.utils.proof.written_rows import RETRIES_OF_KEYS, WrittenRows, marks_of
from sqlmodel_framework.utils.table_order import Reference, references_of

__all__ = ["TableProof"]


class TableProof(WrittenRows):
    """What a proof does to one table, after its parents."""

    # rows that are allowed

    def write(
        self,
        least: int,
        null_first: set[Reference],
        rows_of: Mapping[str, Sequence[Row]],
        late: Mapping[Reference, list[tuple[Any, ...]]],
    ) -> None:
        """Write all rows and compare those that cannot stay. Raises RowsNotGeneratedError where there are none."""
        self.empty = self.store.is_empty()
        self._make_maker(null_first, rows_of, late)
        maker = self._ready()
        *before, last = self._rounds(maker, least)
        for rows in before:
            self.rows = self._insert(maker, rows)
            self.compare()
            self._remove()
        self.rows = self._insert(maker, last)
        if self.rows and self.reason is None:
            self.rows += self._insert_rest(maker)
        self.compare()
        if members := self._shown_untried(lambda name: self.contract.columns[name].choices is not None):
            self.fail(f"no row was found for members of an enum: {members}")

    def _make_maker(
        self,
        null_first: set[Reference],
        rows_of: Mapping[str, Sequence[Row]],
        late: Mapping[Reference, list[tuple[Any, ...]]],
    ) -> None:
        references = references_of(self.table)
        options = {
            reference: late[reference]
            if reference in late
            else fitting_options(reference, self.contract.columns, rows_of.get(reference.parent.fullname, ()))
            for reference in references
        }
        self.maker = RowMaker(
            self.contract,
            self.table,
            references,
            options,
            null_first & set(references),
            self.edges,
            self.random,
        )
        if not self.contract.checks:
            return
        try:
            self.checked = Checked(self.contract, self.store.engine.conditions.arithmetic)
        except ConfigurationError as exc:
            self.fail(f"{exc.what}: {exc.where}")
            return
        self.maker.base = self.checked.find_base(self.maker)

    def _rounds(self, maker: RowMaker, least: int) -> list[list[Row]]:
        for name in maker.free:
            nulls = [None] if self.contract.columns[name].nullable else []
            self._values[name] = [*maker.edges[name], *nulls]
        if self.checked is None:
            rounds = maker.rounds(least, self.wanted)
        else:
            self.checked.keep_edges(maker)
            planned = maker.rounds(least, self.wanted)
            rounds = [self.checked.repaired(maker, rows) for rows in planned]
            if self.wanted and sum(map(len, rounds)) < sum(map(len, planned)):
                self.fail("no row was found for some keys that others refer to: checks speak of them")
        more, alone = self._rows_of_rest(maker, rounds)
        rounds[-1] = [*more, *rounds[-1]]
        return [*([row] for row in alone), *rounds]

    def _rows_of_rest(self, maker: RowMaker, rounds: list[list[Row]]) -> tuple[list[Row], list[Row]]:
        """Rows for values that stand in none yet; and rows that have to be alone, for their keys are like those of others."""
        placed = {mark for rows in rounds for row in rows for mark in marks_of(row)}
        more, alone = [], []
        for name, values in self._values.items():
            for value in values:
                if (name, repr(value)) in placed:
                    continue
                row = self._row_with(maker, name, value)
                if row is not None:
                    more.append(row)
                elif (row := self._row_with(maker, name, value, alone=True)) is not None:
                    alone.append(row)
                placed |= set() if row is None else set(marks_of(row))
        return more, alone

    # keys of circles

    def set_parents(self, reference: Reference, rows: Sequence[Row]) -> None:
        """Set a foreign key that was null until its parents were there, in all rows but those that stay null."""
        maker = self._ready()
        options = fitting_options(reference, self.contract.columns, rows)
        if not options or not self.rows:
            return
        if not self.store.key:
            self.fail(f"rows without a primary key cannot be given their {', '.join(reference.columns)}")
            return
        changed = []
        for turn, row in enumerate(self.rows[:-1] or self.rows):
            fixed = [
                o
                for o in options
                if all(
                    n in reference.nullable or row[n] == v for n, v in zip(reference.columns, o, strict=True)
                )
            ]
            if fixed:
                option = fixed[(turn + 1) % len(fixed)]
                changed.append((row, {**row, **dict(zip(reference.columns, option, strict=True))}))
        changed = self._allowed(maker, changed)
        refusal = self.store.update([new for _, new in changed], reference.nullable) if changed else None
        if refusal is not None:
            self._blame(reference.nullable[0], f"the key of a row of {reference.parent.fullname}", refusal)
            return
        for row, new in changed:
            row.update(new)
        self.compare()

    def _allowed(self, maker: RowMaker, changed: list[tuple[Row, Row]]) -> list[tuple[Row, Row]]:
        """Without rows that would repeat a key or break a check."""
        seen: set[Any] = set()
        kept = []
        broken = self.checked.not_held([new for _, new in changed]) if self.checked else [()] * len(changed)
        for (row, new), rules in zip(changed, broken, strict=True):
            keys = {
                (key, tuple(loosely(new[name]) for name in key))
                for key in maker.keys
                if all(new[name] is not None for name in key)
            }
            if not rules and not keys & seen:
                kept.append((row, new))
                seen |= keys
        return kept

    # rows that are forbidden

    def forbid(self, parents: Mapping[str, TableProof]) -> None:
        """Try one forbidden row for each rule."""
        if not self.rows or any(finding.code == "DK903" for finding in self.losses.found.values()):
            return
        capabilities = self.store.engine.capabilities
        dialect = self.store.connection.dialect
        for one in forbidden_rows(self._ready(), self.checked, self.rows, capabilities, dialect):
            if isinstance(one, Forbidden):
                if one.rule not in ("foreign key", "duplicate") or one.columns not in self.unchecked:
                    self._try(one, parents)
            elif one.by_nature:
                self.never[one.rule] += 1
            else:
                self.fail(one.why)

    def _try(self, forbidden: Forbidden, parents: Mapping[str, TableProof]) -> None:
        self.tried += 1
        reason = ""
        for row in self._ways(forbidden):
            outcome = self.store.attempt(row, forbidden.types, forbidden.columns)
            if not isinstance(outcome, Refused):
                reference = forbidden.reference
                if reference is None or not self._leads_somewhere(row, reference, parents):
                    self.losses.let_in(forbidden, outcome)
                    return
                reason = "rows that are there have the keys that should lead nowhere"
            elif outcome.reason == "duplicate" and forbidden.rule != "duplicate":
                reason = "a forbidden row was refused for another reason: its key was taken"
            else:
                if outcome.reason == "unsent":
                    columns = ", ".join(forbidden.columns)
                    self.fail(f"a forbidden value of {columns} cannot be sent: {outcome.words}")
                return
        self.fail(reason)

    def _ways(self, forbidden: Forbidden) -> Iterator[Row]:
        """The forbidden row, then others that break the same rule: with keys that may be nobody's."""
        yield forbidden.row
        maker = self._ready()
        kept = {name: forbidden.row[name] for name in maker.free if name not in maker.in_keys}
        for _ in range(RETRIES_OF_KEYS):
            row = maker.make(kept, keep=False)
            if row is None:
                return
            broken = {name: forbidden.row[name] for name in forbidden.columns}
            if forbidden.reference is not None:
                broken = {name: maker.plain(name) for name in broken}
            yield {**row, **broken}

    def _leads_somewhere(self, row: Row, reference: Reference, parents: Mapping[str, TableProof]) -> bool:
        parent = parents.get(reference.parent.fullname)
        values = [row[name] for name in reference.columns]
        return parent is not None and parent.store.holds(reference.referred, values)
