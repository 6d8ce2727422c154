"""Identity, sequences, AUTO_INCREMENT."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both, words
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_identities"]


def compare_identities(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns that the database counts up in another way."""
    for column, twin in columns_of_both(expected, found):
        if column.identity != twin.identity:
            yield Finding(
                table=table,
                code="DK215",
                column=column.name,
                expected=words(column.identity, "not counted up by the database"),
                found=words(twin.identity, "not counted up by the database"),
                cause="the way in which the database counts the key up was changed on one side",
            )
