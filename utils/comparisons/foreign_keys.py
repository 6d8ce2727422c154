"""Foreign keys: columns, target, ON DELETE, ON UPDATE, DEFERRABLE."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.parts import Parts, compare_parts
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_foreign_keys"]

_PARTS = Parts("foreign key", missing="DK401")


def compare_foreign_keys(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find those that are missing, changed, or there without the class knowing."""
    yield from compare_parts(_PARTS, table, expected.foreign_keys, found.foreign_keys)
