"""Collation and charset of columns."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both, words
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_collations"]


def compare_collations(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns with another collation or charset."""
    for column, twin in columns_of_both(expected, found):
        if column.collation != twin.collation:
            yield Finding(
                table=table,
                code="DK216",
                column=column.name,
                expected=words(column.collation, "the database's default"),
                found=words(twin.collation, "the database's default"),
                cause="the collation decides order and equality of texts; it was set or changed on one side",
            )
