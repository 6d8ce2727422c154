"""Nullability of columns."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_nullability"]


def compare_nullability(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns that take NULL on one side only."""
    for column, twin in columns_of_both(expected, found):
        if twin.nullable != column.nullable:
            yield Finding(
                table=table,
                code="DK212",
                column=column.name,
                expected=_words(column.nullable),
                found=_words(twin.nullable),
                cause="the table refuses rows that the class allows"
                if column.nullable
                else "the table takes rows that the class forbids",
            )


def _words(nullable: bool) -> str:
    return "NULL allowed" if nullable else "NOT NULL"
