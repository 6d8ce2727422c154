"""Computed columns: expression, and whether the values are stored."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both, words
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_computed"]


def compare_computed(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns that are computed in another way, or on one side only."""
    for column, twin in columns_of_both(expected, found):
        if column.computed != twin.computed:
            yield Finding(
                table=table,
                code="DK214",
                column=column.name,
                expected=words(column.computed, "not computed"),
                found=words(twin.computed, "not computed"),
                cause="the expression, or whether it is stored, was changed on one side",
            )
