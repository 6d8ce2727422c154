"""Server defaults, as the server prints them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both, words
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_defaults"]


def compare_defaults(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns that the database fills in another way."""
    for column, twin in columns_of_both(expected, found):
        if column.default != twin.default:
            yield Finding(
                table=table,
                code="DK213",
                column=column.name,
                expected=words(column.default, "no default"),
                found=words(twin.default, "no default"),
                cause="the default was changed on one side after the table was created",
            )
