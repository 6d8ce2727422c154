"""The rows of one table, and what has to be known to plan them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from sqlalchemy import Table

from sqlmodel_framework.base.models.contract import Contract
from sqlmodel_framework.base.models.tables import TableLike
from sqlmodel_framework.utils.generation.hashing import Index
from sqlmodel_framework.utils.generation.parts import (
    Columns,
    Part,
)
from sqlmodel_framework.utils.table_order import Reference

__all__ = ["Surroundings", "TableRows"]


@dataclass(frozen=True)
class Surroundings:
    """What the plan of a table needs to know: how many rows are wanted, the seed, its foreign keys, and the other plans.

    `cut` keys stay null. `referred` are the columns that keys of any table refer to.
    """

    rows: int
    seed: int
    references: Sequence[Reference]
    cut: Collection[Reference]
    late: Collection[Reference]
    referred: Collection[tuple[Table, str]]
    plans: Mapping[Table, TableRows]


@dataclass
class TableRows:
    """The rows of one table, any of which can be worked out at any time. `why_fewer` says what limits their number."""

    item: TableLike
    contract: Contract
    count: int
    parts: list[Part]
    wanted: int
    why_fewer: str | None = None
    fixed: dict[str, Part] = field(default_factory=dict)

    @cached_property
    def schema(self) -> pa.Schema:
        """The contract's, without the columns that the database works out."""
        return pa.schema([f for f in self.contract.schema if not self.contract.columns[f.name].computed])

    @cached_property
    def _part_of(self) -> dict[str, Part]:
        return {name: part for part in self.parts for name in part.names} | self.fixed

    def columns(self, names: Iterable[str], index: Index) -> Columns:
        """Some columns of these rows."""
        found: Columns = {}
        for name in names:
            if name not in found:
                found |= self._part_of[name].at(index)
        return found

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """All rows, in batches of this size."""
        for start in range(0, self.count, size):
            index = np.arange(start, min(start + size, self.count))
            columns: Columns = {}
            for part in self.parts:
                columns |= part.at(index)
            yield pa.RecordBatch.from_arrays(
                [columns[name] for name in self.schema.names], schema=self.schema
            )
