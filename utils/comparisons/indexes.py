"""Indexes: columns and their order, expressions, uniqueness, partial WHERE, INCLUDE, method, operator class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.parts import Parts, compare_parts
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_indexes"]

_PARTS = Parts("index", missing="DK601")


def compare_indexes(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find those that are missing, changed, or there without the class knowing; a unique one of these refuses rows."""
    for finding in compare_parts(_PARTS, table, expected.indexes, found.indexes):
        refuses_rows = finding.code == _PARTS.unexpected and finding.found.startswith("UNIQUE ")
        yield replace(finding, code="DK604") if refuses_rows else finding
