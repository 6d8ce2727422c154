"""Columns that the class has and the database lacks."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_columns"]


def compare_columns(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find missing columns, and say where one differs only in case."""
    by_lower_case = {name.lower(): name for name in found.columns}
    for name, column in expected.columns.items():
        if name not in found.columns:
            twin = by_lower_case.get(name.lower())
            yield Finding(
                table=table,
                code="DK201",
                column=name,
                expected=column.type,
                found="no such column" if twin is None else f"a column {twin}",
                cause="the class gained the column after the table was created"
                if twin is None
                else "the names differ in upper and lower case",
            )
