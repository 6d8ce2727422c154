"""Options of tables, such as ENGINE, ROW_FORMAT, STRICT, WITHOUT ROWID, UNLOGGED, partitioning."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import words
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_options"]


def compare_options(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find options that differ."""
    for option in sorted({*expected.options, *found.options}):
        wanted, seen = expected.options.get(option), found.options.get(option)
        if wanted != seen:
            yield Finding(
                table=table,
                code="DK104",
                column=None,
                expected=f"{option}: {words(wanted, 'not set')}",
                found=f"{option}: {words(seen, 'not set')}",
                cause="the table was created or altered with other options than the class gives",
                part=option,
            )
