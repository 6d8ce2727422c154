"""The proof of one table: rows that its class allows are written, refusals are traced to columns, forbidden rows are tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import Column, Table, TypeDecorator
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import Interval

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.models.contract import Contract
from sqlmodel_framework.base.models.utc import UTCDateTime
from sqlmodel_framework.utils.proof.checked import Checked
from sqlmodel_framework.utils.proof.comparing import shown
from sqlmodel_framework.utils.proof.forbidden import Forbidden, forbidden_rows
from sqlmodel_framework.utils.proof.losses import Losses
from sqlmodel_framework.utils.proof.rows import Row, RowMaker, fitting_options, loosely
from sqlmodel_framework.utils.proof.store import Refused, RowStore
from sqlmodel_framework.utils.table_order import Reference, references_of

__all__ = ["TableProof"]

_RETRIES = 3
_RETRIES_OF_KEYS = 20


@dataclass
class TableProof:
    """One table while it is proven. `reason` says why it is not; `rows` are those that are there.

    `unchecked` are columns of deferred keys that do not hold, so that the database looks at them no more.
    """

    table: Table
    contract: Contract
    store: RowStore
    losses: Losses
    edges: dict[str, list[Any]]
    random: Random
    wanted: list[Row] = field(default_factory=list)
    maker: RowMaker | None = None
    checked: Checked | None = None
    rows: list[Row] = field(default_factory=list)
    reason: str | None = None
    empty: bool = True
    unchecked: set[tuple[str, ...]] = field(default_factory=set)
    written: int = 0
    tried: int = 0
    never: Counter[str] = field(default_factory=Counter)
    _guilty: set[tuple[str, str]] = field(default_factory=set)
    _values: dict[str, list[Any]] = field(default_factory=dict)
    _placed: set[tuple[str, str]] = field(default_factory=set)
    _taken: set[tuple[str, str]] = field(default_factory=set)
    _untried: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Remember the first reason why the table is not proven."""
        self.reason = self.reason or reason

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

    @property
    def notes(self) -> list[str]:
        """What was left out, for each cause."""
        name = self.table.fullname
        found = [
            f"{name}: not tried, {cause}: {_told(values)}" for cause, values in sorted(self._untried.items())
        ]
        if self._taken:
            columns = ", ".join(sorted({column for column, _ in self._taken}))
            found.append(f"{name}: boundary values of {columns} not tried: taken by rows that are there")
        return found

    def _shown_untried(self, of: Callable[[str], bool]) -> str:
        found: dict[str, list[Any]] = {}
        for values in self._untried.values():
            for name, untried in values.items():
                if of(name):
                    found.setdefault(name, []).extend(untried)
        return _told(found)

    def _ready(self) -> RowMaker:
        assert self.maker is not None
        return self.maker

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
        placed = {mark for rows in rounds for row in rows for mark in _marks(row)}
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
                placed |= set() if row is None else set(_marks(row))
        return more, alone

    def _row_with(self, maker: RowMaker, name: str, value: Any, *, alone: bool = False) -> Row | None:
        """A row that has a value and keeps the checks; one that is alone takes no keys from others."""
        if alone and not self.store.key:
            return None
        wanted: Row | None = {name: value}
        if self.checked is not None and name in self.checked.named:
            if self.checked.forbids(maker, name, value):
                return None
            wanted = self.checked.completed(maker, name, value)
            if wanted is None:
                self._leave_out("by a CHECK", name, value)
                return None
        assert wanted is not None
        row = maker.make_alone(wanted) if alone else maker.make(wanted)
        if row is None:
            return None
        if repr(row[name]) == repr(value) and (self.checked is None or self.checked.not_held([row]) == [()]):
            return row
        if not alone:
            maker.give_back(row)
        return None

    def _leave_out(self, cause: str, name: str, value: Any) -> None:
        values = self._untried.setdefault(cause, {}).setdefault(name, [])
        if repr(value) not in map(repr, values):
            values.append(value)

    def _insert_rest(self, maker: RowMaker) -> list[Row]:
        """Rows for values that stand in none that was taken, and that no finding tells of; gives those that are there."""
        there: list[Row] = []
        for name, values in self._values.items():
            for value in values:
                mark = (name, repr(value))
                if mark in self._placed | self._guilty | self._taken:
                    continue
                if self.checked is not None and self.checked.forbids(maker, name, value):
                    continue
                if not any(value in of.get(name, ()) for of in self._untried.values()):
                    there += self._insert_value(maker, name, value)
        return there

    def _insert_value(self, maker: RowMaker, name: str, value: Any) -> list[Row]:
        for _ in range(_RETRIES):
            row = self._row_with(maker, name, value)
            if row is None:
                break
            refusal = self.store.insert([row])
            if refusal is None:
                self.written += 1
                self._placed |= set(_marks(row))
                return [row]
            maker.give_back(row)
            if self._is_taken(maker, name, value, refusal):
                return []
        self._leave_out("in no row that is taken", name, value)
        return []

    def _is_taken(self, maker: RowMaker, name: str, value: Any, refusal: Refused) -> bool:
        """Whether a value of a key was refused because somebody's row has it."""
        if refusal.reason != "duplicate" or name not in maker.in_keys or self._is_alone():
            return False
        known = (self.contract.primary_key, *self.contract.unique_keys)
        by_expression = any(name in key and key not in known for key in maker.keys)
        if by_expression or ((name,) in maker.keys and self.store.holds([name], [value])):
            self._taken.add((name, repr(value)))
            return True
        return False

    def _insert(self, maker: RowMaker, rows: list[Row]) -> list[Row]:
        """Write rows, one by one where not all are taken; gives those that are there."""
        if self.store.insert(rows) is None:
            self.written += len(rows)
            self._placed |= {mark for row in rows for mark in _marks(row)}
            return rows
        taken, refused = [], []
        for row in rows:
            why = self.store.insert([row])
            if why is None:
                taken.append(row)
            else:
                refused.append((row, why))
                maker.give_back(row)
        base = self._base(maker, taken, refused)
        if base is not None:
            mended = (self._mended(maker, base, row, why) for row, why in refused)
            taken += [row for row in mended if row is not None]
        self._placed |= {mark for row in taken for mark in _marks(row)}
        self.written += len(taken)
        return taken

    def _base(self, maker: RowMaker, taken: list[Row], refused: list[tuple[Row, Refused]]) -> Row | None:
        """A row that is taken; where there is none, all rows are refused for one reason."""
        why = refused[0][1]
        for _ in range(self._retries(why)):
            row = maker.make({})
            if row is not None:
                refusal = self.store.attempt(row, {}, ())
                if not isinstance(refusal, Refused):
                    return row
                why = refusal
        if taken:
            return taken[0]
        self._blame(None, "a row of plain values", why)
        self.fail(f"no row was taken: {why.words}")
        return None

    def _mended(self, maker: RowMaker, base: Row, row: Row, why: Refused) -> Row | None:
        """Find the columns that a row was refused for, by a plain row with one of its values; write it without those."""
        guilty = [name for name in row if self._is_guilty(maker, base, name, row[name])]
        values = {name: base[name] if name in guilty else row[name] for name in maker.free}
        for again in range(self._retries(why)):
            fixed = maker.make(
                {name: value for name, value in values.items() if not again or name not in maker.in_keys}
            )
            if fixed is None:
                break
            refusal = self.store.insert([fixed])
            if refusal is None:
                return fixed
            why = refusal
        if not guilty:
            self._blame(None, "a row of values that are taken by themselves", why)
        return None

    def _retries(self, why: Refused) -> int:
        """How often another row is tried: where others have rows, plain keys may be theirs."""
        return _RETRIES_OF_KEYS if why.reason == "duplicate" and not self._is_alone() else _RETRIES

    def _is_alone(self) -> bool:
        """Whether nobody else has rows here, nor has committed some meanwhile: their keys are taken, though they are not read."""
        return self.empty and not self.store.others_wrote()

    def _is_guilty(self, maker: RowMaker, base: Row, name: str, value: Any) -> bool:
        """Whether a plain row with this value is refused."""
        if name not in maker.free or value == base[name]:
            return False
        mark = (name, repr(value))
        if mark in self._guilty | self._taken:
            return True
        wanted = {**{n: base[n] for n in maker.free if n not in maker.in_keys}, name: value}
        refusal = self._refused_with(maker, wanted, name, value)
        if refusal is None:
            return False
        if self._is_taken(maker, name, value, refusal):
            return True
        self._guilty.add(mark)
        self._blame(name, shown(value), refusal)
        return True

    def _refused_with(self, maker: RowMaker, wanted: Row, name: str, value: Any) -> Refused | None:
        """The refusal of a row with a value; another row is tried where its key may be somebody's."""
        for _ in range(_RETRIES_OF_KEYS):
            trial = maker.make(wanted, keep=False)
            if trial is None or trial[name] != value:
                return None
            refusal = self.store.attempt(trial, {}, ())
            if not isinstance(refusal, Refused):
                return None
            if refusal.reason != "duplicate" or name in maker.in_keys or self._is_alone():
                return refusal
        return None

    def _blame(self, name: str | None, value: str, refusal: Refused) -> None:
        """A refusal is a finding, unless others or the proof itself may be the cause of it."""
        maker = self._ready()
        if refusal.reason == "duplicate" and (maker.keys_beyond_contract or not self._is_alone()):
            self.fail("keys are taken by rows that are there, or by a unique index over expressions")
        elif refusal.reason == "check" and self._is_declared(name, refusal):
            self.fail("the database evaluates a CHECK in another way, by its collation for instance")
        elif name in self._worked_out_from() and refusal.reason != "length":
            self.fail(f"a computed column does not take what it works out from {name}")
        elif refusal.reason == "unsent" and (unknown := self._unknown_types(name)):
            columns = ", ".join(unknown)
            self.fail(f"the type of {columns} takes other values than those that are known: {refusal.words}")
        else:
            self.losses.refused(name, value, refusal)

    def _is_declared(self, name: str | None, refusal: Refused) -> bool:
        """Whether the check that refused a row may be one of the class: most databases tell its name."""
        rules = [
            rule
            for rule in self.contract.checks
            if self.checked is None or name is None or name in self.checked.reads(rule)
        ]
        told = any(rule.name is None or rule.name in refusal.words for rule in rules)
        return bool(rules) and (told or not self.store.engine.capabilities.names_checks)

    def _worked_out_from(self) -> set[str]:
        """Columns that computed columns speak of; all where an expression is plain text."""
        named: set[str] = set()
        for column in self.table.columns:
            if column.computed is not None:
                parts = [part.name for part in iterate(column.computed.sqltext) if isinstance(part, Column)]
                named |= set(parts or (other.name for other in self.table.columns))
        return named

    def _unknown_types(self, name: str | None) -> list[str]:
        """The columns whose types are the kit's own, which may take any values."""
        return [
            column.name
            for column in self.table.columns
            if name in (None, column.name)
            and isinstance(column.type, TypeDecorator)
            and not isinstance(column.type, Interval | UTCDateTime)
            and not type(column.type).__module__.startswith("sqlmodel.")
        ]

    def _remove(self) -> None:
        """Take back the rows of a round."""
        self.store.delete(self.rows)
        self.rows = []

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

    # what was read

    def compare(self) -> None:
        """Read the rows and hold every value against what was sent."""
        if not self.rows:
            return
        if not self.empty and not self.store.key:
            self.fail("without a primary key its rows cannot be told from those that are there")
            return
        read = self.store.read(None if self.empty else self.rows)
        if not self.empty and len(read) > len(self.rows):
            self.fail("rows that are there have the same primary keys: the database has no such key")
            return
        there = self.losses.compare(self.rows, read)
        if len(there) < len(self.rows):
            self.fail("rows are lost, so that a row that is refused cannot be told from one that is lost")
        self.rows = there

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
        for _ in range(_RETRIES_OF_KEYS):
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


def _marks(row: Row) -> Iterator[tuple[str, str]]:
    """The values of a row, so that they can be looked up."""
    return ((name, repr(value)) for name, value in row.items())


def _told(values: Mapping[str, Sequence[Any]]) -> str:
    """Columns and their values for a message."""
    return "; ".join(f"{name} {', '.join(map(shown, found))}" for name, found in values.items())
