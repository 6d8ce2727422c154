"""Primary keys: their columns and the order of these."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_primary_keys"]


def compare_primary_keys(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find a primary key with other columns or another order."""
    if expected.primary_key != found.primary_key:
        reordered = set(expected.primary_key) == set(found.primary_key)
        yield Finding(
            table=table,
            code="DK301",
            column=None,
            expected=_words(expected.primary_key),
            found=_words(found.primary_key),
            cause="the key's columns stand in another order" if reordered else "the key's columns changed",
        )


def _words(columns: tuple[str, ...]) -> str:
    return f"PRIMARY KEY ({', '.join(columns)})" if columns else "no primary key"
