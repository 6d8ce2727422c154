"""Foreign keys: columns, target, ON DELETE, ON UPDATE, DEFERRABLE."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import ForeignKeyReading, TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_foreign_keys"]


def compare_foreign_keys(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find foreign keys that are missing, changed, or there without the class knowing. Names do not count."""
    missing = sorted(expected.foreign_keys - found.foreign_keys)
    unexpected = sorted(found.foreign_keys - expected.foreign_keys)
    for key in missing:
        twin = next((other for other in unexpected if other.columns == key.columns), None)
        if twin is not None:
            unexpected.remove(twin)
        yield Finding(
            table=table,
            code="DK401",
            column=_column(key),
            expected=str(key),
            found="no such foreign key" if twin is None else str(twin),
            cause="the foreign key was dropped or never created"
            if twin is None
            else "the foreign key changed",
        )
    for key in unexpected:
        yield Finding(
            table=table,
            code="DK402",
            column=_column(key),
            expected="no foreign key",
            found=str(key),
            cause="the database has a foreign key that the class does not",
        )


def _column(key: ForeignKeyReading) -> str | None:
    return key.columns[0] if len(key.columns) == 1 else None
