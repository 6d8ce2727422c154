"""What validation compares, one file a thing. Each comparison takes the two readings of one table and gives findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.columns import compare_columns
from sqlmodel_framework.utils.comparisons.foreign_keys import compare_foreign_keys
from sqlmodel_framework.utils.comparisons.nullability import compare_nullability
from sqlmodel_framework.utils.comparisons.primary_keys import compare_primary_keys
from sqlmodel_framework.utils.comparisons.types import compare_types
from sqlmodel_framework.utils.findings import Finding

__all__ = ["COMPARISONS", "Comparison"]

Comparison = Callable[[str, TableReading, TableReading], Iterator[Finding]]
"""Called with the table's name, the expected reading and the one found."""

COMPARISONS: tuple[Comparison, ...] = (
    compare_columns,
    compare_types,
    compare_nullability,
    compare_primary_keys,
    compare_foreign_keys,
)
