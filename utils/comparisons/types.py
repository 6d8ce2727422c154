"""Column types: family, length, precision, scale, time zone, enum members."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_types"]


def compare_types(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns whose type the server prints differently on the two sides."""
    for name, column in expected.columns.items():
        twin = found.columns.get(name)
        if twin is not None and twin.type != column.type:
            same_family = twin.type.split("(")[0].split(" ")[0] == column.type.split("(")[0].split(" ")[0]
            yield Finding(
                table=table,
                code="DK211",
                column=name,
                expected=column.type,
                found=twin.type,
                cause="the type's length, scale, time zone or members changed"
                if same_family
                else "the type changed",
            )
