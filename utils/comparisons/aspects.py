"""What comparisons of columns share: the columns that both sides have, and a value as words."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import ColumnReading, TableReading

__all__ = ["columns_of_both", "words"]


def columns_of_both(
    expected: TableReading, found: TableReading
) -> Iterator[tuple[ColumnReading, ColumnReading]]:
    """Each column of the class with its twin in the database, where there is one."""
    for name, column in expected.columns.items():
        twin = found.columns.get(name)
        if twin is not None:
            yield column, twin


def words(value: str | None, nothing: str) -> str:
    """A text, or what to say where there is none."""
    return nothing if value is None else value
