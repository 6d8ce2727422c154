"""CHECK constraints, as the server prints them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.parts import Parts, compare_parts
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_checks"]

_PARTS = Parts("check", missing="DK701")


def compare_checks(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find those that are missing, changed, or there without the class knowing."""
    yield from compare_parts(_PARTS, table, expected.checks, found.checks)
