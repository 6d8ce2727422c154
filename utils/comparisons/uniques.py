"""Unique constraints, and exclusion constraints: columns and their order."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.parts import Parts, compare_parts
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_uniques"]

_PARTS = Parts("unique constraint", missing="DK501")


def compare_uniques(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find those that are missing, changed, or there without the class knowing."""
    yield from compare_parts(_PARTS, table, expected.uniques, found.uniques)
