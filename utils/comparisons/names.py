"""Names of constraints and indexes, where the class gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmodel_framework.engines.reading import PartReading, TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_names"]


def compare_names(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find those that are there under another name. In the expected reading only names that the class gives are left."""
    key, seen_key = expected.primary_key_name, found.primary_key_name
    if key is not None and seen_key is not None and key != seen_key:
        yield _finding(table, key, seen_key)
    for wanted, seen in (
        (expected.foreign_keys, found.foreign_keys),
        (expected.uniques, found.uniques),
        (expected.checks, found.checks),
        (expected.indexes, found.indexes),
    ):
        yield from _renamed(table, wanted, seen)


def _renamed(table: str, expected: Sequence[PartReading], found: Sequence[PartReading]) -> Iterator[Finding]:
    left = list(found)
    renamed = []
    for part in expected:
        same = next((other for other in left if other.name == part.name and part.says(other.text)), None)
        if same is not None:
            left.remove(same)
        elif part.name is not None:
            renamed.append(part)
    for part in renamed:
        twin = next((other for other in left if part.says(other.text)), None)
        if twin is not None:
            left.remove(twin)
            yield _finding(table, str(part.name), twin.name)


def _finding(table: str, expected: str, found: str | None) -> Finding:
    return Finding(
        table=table,
        code="DK801",
        column=None,
        expected=expected,
        found=found or "no name",
        cause="the same thing stands under another name: DROP and ALTER by name would fail",
        part=found,
    )
