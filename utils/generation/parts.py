"""The parts of a table's rows: each gives some columns for any rows asked for, in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sqlmodel_framework.base.errors import RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import CheckRule
from sqlmodel_framework.utils.generation.arrays import taken, with_nulls
from sqlmodel_framework.utils.generation.checks import RowChecks
from sqlmodel_framework.utils.generation.draws import Draw
from sqlmodel_framework.utils.generation.equations import Equations
from sqlmodel_framework.utils.generation.hashing import Index, Key
from sqlmodel_framework.utils.generation.keys import Digit, Spread
from sqlmodel_framework.utils.table_order import Reference

if TYPE_CHECKING:
    from sqlmodel_framework.utils.generation.table_rows import TableRows

__all__ = ["CheckedParts", "Columns", "Distinct", "Drawn", "Matched", "Part", "Referring", "Tuples"]

Columns = dict[str, pa.Array]
_NULL_SHARE = 0.1
_NULL_SHARE_LATER = 0.25
_ATTEMPTS = 200


class Part(Protocol):
    """Some columns of a table. `attempt` counts how often rows were refused by a check; keys stay as they are."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it gives."""
        ...

    def at(self, index: Index, attempt: int = 0) -> Columns:
        """Their values in these rows."""
        ...


def _nulls(key: Key | None, index: Index, attempt: int) -> NDArray[np.bool_] | None:
    """Which rows are null: the first one never is."""
    if key is None:
        return None
    share = _NULL_SHARE_LATER if attempt else _NULL_SHARE
    nulls: NDArray[np.bool_] = np.logical_and(key.shares(index, attempt) < share, index != 0)
    return nulls


@dataclass(frozen=True)
class Drawn:
    """One column of values that need not differ. After a refusal the `candidates` come in, values that checks name."""

    name: str
    draw: Draw
    null_key: Key | None
    candidates: pa.Array | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def at(self, index: Index, attempt: int = 0) -> Columns:
        values = self.draw(index, attempt)
        if attempt and self.candidates is not None and len(self.candidates):
            key = Key.of(self.name, "candidates")
            other = taken(self.candidates, key.below(len(self.candidates), index, attempt))
            values = pc.if_else(pa.array(key.bits(index, -attempt) & np.uint64(1) == 1), other, values)
        return {self.name: with_nulls(values, _nulls(self.null_key, index, attempt))}


@dataclass(frozen=True)
class Distinct:
    """One column of a key. Rows beyond its capacity are null, where it may be."""

    name: str
    spread: Spread
    digit: Digit
    null_key: Key | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def at(self, index: Index, attempt: int = 0) -> Columns:
        position = self.digit.at(index)
        beyond = position >= self.spread.capacity
        values = self.spread.at(np.minimum(position, self.spread.capacity - 1))
        nulls = _nulls(self.null_key, index, 0)
        return {self.name: with_nulls(values, beyond if nulls is None else beyond | nulls)}


@dataclass(frozen=True)
class Referring:
    """The columns of a foreign key. They take the key of one row of the parent: by its digit, or any.

    A table that refers to itself takes an earlier row; its first row refers to none, or to itself where it must.
    `allowed` are the parent's rows that may be taken, None for all.
    """

    reference: Reference
    parent: Callable[[], TableRows]
    kinds: Mapping[str, pa.DataType]
    key: Key
    null_key: Key | None
    digit: Digit | None = None
    allowed: Index | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.reference.columns

    def at(self, index: Index, attempt: int = 0) -> Columns:
        rows, nulls = self.rows(index, attempt), self._nulls(index, attempt)
        found = self.parent().columns(self.reference.referred, rows)
        columns: Columns = {}
        for name, referred in zip(self.reference.columns, self.reference.referred, strict=True):
            values = found[referred].cast(self.kinds[name])
            columns[name] = with_nulls(values, nulls) if name in self.reference.nullable else values
        return columns

    def rows(self, index: Index, attempt: int) -> Index:
        """The rows of the parent."""
        if self.reference.is_own:
            return self._own_rows(index, attempt)
        last = max(self._capacity, 1) - 1
        rows = self.key.below(last + 1, index, attempt)
        if self.digit is not None:
            rows = np.minimum(self.digit.at(index), last)
        return rows if self.allowed is None else self.allowed[rows]

    @property
    def _capacity(self) -> int:
        return self.parent().count if self.allowed is None else len(self.allowed)

    def _own_rows(self, index: Index, attempt: int) -> Index:
        if self.digit is None:
            return self.key.below(np.maximum(index, 1), index, attempt)
        # A key that refers to its own table: the row before, or the row itself where there must be one.
        return np.maximum(index - 1, 0) if self.reference.nullable else index

    def _nulls(self, index: Index, attempt: int) -> NDArray[np.bool_] | None:
        if not self.reference.nullable:
            return None
        nulls = _nulls(self.null_key, index, attempt)
        nulls = np.zeros(len(index), bool) if nulls is None else nulls
        if self.reference.is_own:
            nulls = nulls | (index == 0)
        if self.digit is not None and not self.reference.is_own:
            nulls = nulls | (self.digit.at(index) >= self._capacity)
        return nulls


@dataclass(frozen=True)
class Matched:
    """The other columns of a foreign key that shares columns with one before: a row of the parent with the same values there.

    The parent's shared values are kept in memory.
    """

    reference: Reference
    parent: Callable[[], TableRows]
    kinds: Mapping[str, pa.DataType]
    key: Key
    shared: tuple[str, ...]
    leading: Part

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self.reference.columns if name not in self.shared)

    def at(self, index: Index, attempt: int = 0) -> Columns:
        before = self.leading.at(index, attempt)
        groups = pc.index_in(joined([before[name] for name in self.shared]), self.values)
        order, starts, counts = self._grouped
        group = groups.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        rows = order[starts[group] + self.key.below(counts[group], index, attempt)]
        referred = dict(zip(self.reference.columns, self.reference.referred, strict=True))
        found = self.parent().columns([referred[name] for name in self.names], rows)
        nulls = groups.is_null().to_numpy(zero_copy_only=False)
        return {
            name: with_nulls(found[referred[name]].cast(self.kinds[name]), nulls if nulls.any() else None)
            for name in self.names
        }

    @cached_property
    def _parents_values(self) -> pa.Array:
        parent = self.parent()
        referred = dict(zip(self.reference.columns, self.reference.referred, strict=True))
        names = [referred[name] for name in self.shared]
        found = parent.columns(names, np.arange(parent.count))
        return joined(
            [found[name].cast(self.kinds[own]) for own, name in zip(self.shared, names, strict=True)]
        )

    @cached_property
    def values(self) -> pa.Array:
        """The shared values that the parent has, each once."""
        return pc.unique(self._parents_values)

    @cached_property
    def _grouped(self) -> tuple[Index, Index, Index]:
        groups = pc.index_in(self._parents_values, self.values).to_numpy(zero_copy_only=False)
        counts = np.bincount(groups, minlength=len(self.values)).astype(np.int64)
        return np.argsort(groups, kind="stable"), np.cumsum(counts) - counts, counts


def joined(columns: Sequence[pa.Array]) -> pa.Array:
    """Several columns as one of texts."""
    texts = [column.cast(pa.string()) for column in columns]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "\0")


@dataclass(frozen=True)
class Tuples:
    """Columns that a check joins: whole rows of a pool that were held against it."""

    pool: pa.RecordBatch
    key: Key

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.pool.schema.names)

    def at(self, index: Index, attempt: int = 0) -> Columns:
        positions = self.key.below(self.pool.num_rows, index, attempt)
        return {name: taken(self.pool.column(name), positions) for name in self.names}


@dataclass(frozen=True)
class CheckedParts:
    """Columns that a check joins with those of keys: each row takes its first attempt that holds."""

    parts: tuple[Part, ...]
    checks: RowChecks
    equations: Equations

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.names)

    def at(self, index: Index, attempt: int = 0) -> Columns:
        """Raises RowsNotGeneratedError for a row of which no attempt holds."""
        columns = self._try(index, 0)
        waiting, broken = self._refused(columns, np.arange(len(index)))
        number = 0
        while len(waiting):
            number += 1
            if number > _ATTEMPTS:
                raise never_held(self.checks, sorted({rule.label for row in broken for rule in row}))
            tried = self._try(index[waiting], number)
            columns = {name: _replaced(values, waiting, tried[name]) for name, values in columns.items()}
            waiting, broken = self._refused(tried, waiting)
        return columns

    def _try(self, index: Index, attempt: int) -> Columns:
        drawn = {name: values for part in self.parts for name, values in part.at(index, attempt).items()}
        return self.equations.settled(drawn, attempt)

    def _refused(self, columns: Columns, rows: Index) -> tuple[Index, list[tuple[CheckRule, ...]]]:
        read = {name for names in self.checks.columns.values() for name in names}
        found = self.checks.not_held(
            {name: values.to_pylist() for name, values in columns.items() if name in read}
        )
        refused = np.fromiter((bool(row) for row in found), bool, len(found))
        return rows[refused], [row for row in found if row]


def never_held(checks: RowChecks, labels: Sequence[str]) -> RowsNotGeneratedError:
    """The error for checks that no row was found for."""
    return RowsNotGeneratedError(
        "no row was found that the checks let in",
        where=f"table {checks.contract.table}",
        seen=f"no row that was tried met {'; '.join(labels) or 'all of them at once'}",
        next_step="make the rows yourself, or state the checks in another way: they may be met by rows that were not tried",
    )


def _replaced(values: pa.Array, rows: Index, others: pa.Array) -> pa.Array:
    mask = np.zeros(len(values), bool)
    mask[rows] = True
    return pc.replace_with_mask(values, pa.array(mask), others)
