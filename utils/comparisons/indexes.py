"""Indexes: columns and their order, expressions, uniqueness, partial WHERE, INCLUDE, method, operator class."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.parts import Parts, compare_parts
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_indexes"]

_PARTS = Parts("index", missing="DK601")


def compare_indexes(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find those that are missing, changed, or there without the class knowing."""
    yield from compare_parts(_PARTS, table, expected.indexes, found.indexes)
