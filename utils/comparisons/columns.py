"""Columns that only one side has, and their order."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import ColumnReading, TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_columns"]


def compare_columns(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns that are missing, that the class does not have, or that stand elsewhere."""
    yield from _missing(table, expected, found)
    yield from _unexpected(table, expected, found)
    yield from _moved(table, expected, found)


def _missing(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    by_lower_case = {name.lower(): name for name in found.columns}
    for name, column in expected.columns.items():
        if name not in found.columns:
            twin = by_lower_case.get(name.lower())
            yield Finding(
                table=table,
                code="DK201",
                column=name,
                expected=column.type or "a column",
                found="no such column" if twin is None else f"a column {twin}",
                cause="the class gained the column after the table was created"
                if twin is None
                else "the names differ in upper and lower case",
            )


def _unexpected(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    for name, column in found.columns.items():
        if name not in expected.columns:
            cause = "the column was added by hand, or the class lost it after the table was created"
            yield Finding(table, "DK202", name, "no such column", _words(column), cause)
            if not column.nullable and not (column.default or column.computed or column.identity):
                cause = "the column takes no NULL and has no default, so rows of the class cannot be inserted"
                yield Finding(table, "DK203", name, "a column that rows can leave out", _words(column), cause)


def _moved(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """One finding for the first column that stands elsewhere; those that only one side has do not count."""
    wanted = [name for name in expected.columns if name in found.columns]
    seen = [name for name in found.columns if name in expected.columns]
    for name, other in zip(wanted, seen, strict=True):
        if name != other:
            cause = "COPY and INSERT without column names would put values into the wrong columns"
            yield Finding(table, "DK204", name, ", ".join(wanted), ", ".join(seen), cause)
            return


def _words(column: ColumnReading) -> str:
    return column.type + ("" if column.nullable else " NOT NULL")
