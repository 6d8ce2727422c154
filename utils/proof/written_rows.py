"""The rows of one table in a proof: written, refusals traced to columns, and read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import Column, Table, TypeDecorator
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import Interval

from sqlmodel_framework.base.models.contract import Contract
from sqlmodel_framework.base.models.utc import UTCDateTime
from sqlmodel_framework.utils.proof.checked import Checked
from sqlmodel_framework.utils.proof.comparing import shown
from sqlmodel_framework.utils.proof.losses import Losses
from sqlmodel_framework.utils.proof.rows import Row, RowMaker
from sqlmodel_framework.utils.proof.store import Refused, RowStore

__all__ = ["RETRIES_OF_KEYS", "WrittenRows", "marks_of"]

_RETRIES = 3
RETRIES_OF_KEYS = 20


@dataclass
class WrittenRows:
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

    def _leave_out(self, cause: str, name: str, value: Any) -> None:
        values = self._untried.setdefault(cause, {}).setdefault(name, [])
        if repr(value) not in map(repr, values):
            values.append(value)

    def _ready(self) -> RowMaker:
        assert self.maker is not None
        return self.maker

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

    # written

    def _insert(self, maker: RowMaker, rows: list[Row]) -> list[Row]:
        """Write rows, one by one where not all are taken; gives those that are there."""
        if self.store.insert(rows) is None:
            self.written += len(rows)
            self._placed |= {mark for row in rows for mark in marks_of(row)}
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
        self._placed |= {mark for row in taken for mark in marks_of(row)}
        self.written += len(taken)
        return taken

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
                self._placed |= set(marks_of(row))
                return [row]
            maker.give_back(row)
            if self._is_taken(maker, name, value, refusal):
                return []
        self._leave_out("in no row that is taken", name, value)
        return []

    def _remove(self) -> None:
        """Take back the rows of a round."""
        self.store.delete(self.rows)
        self.rows = []

    # why rows are refused

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
        return RETRIES_OF_KEYS if why.reason == "duplicate" and not self._is_alone() else _RETRIES

    def _is_alone(self) -> bool:
        """Whether nobody else has rows here, nor has committed some meanwhile: their keys are taken, though they are not read."""
        return self.empty and not self.store.others_wrote()

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
        for _ in range(RETRIES_OF_KEYS):
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


def marks_of(row: Row) -> Iterator[tuple[str, str]]:
    """The values of a row, so that they can be looked up."""
    return ((name, repr(value)) for name, value in row.items())


def _told(values: Mapping[str, Sequence[Any]]) -> str:
    """Columns and their values for a message."""
    return "; ".join(f"{name} {', '.join(map(shown, found))}" for name, found in values.items())
