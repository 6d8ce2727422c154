"""Members of native enums, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_enum_members"]


def compare_enum_members(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find enums that gained or lost members, or have them in another order."""
    for column, twin in columns_of_both(expected, found):
        if column.members is not None and twin.members is not None and column.members != twin.members:
            yield Finding(
                table=table,
                code="DK218",
                column=column.name,
                expected=_words(column.members),
                found=_words(twin.members),
                cause=_cause(column.members, twin.members),
            )


def _words(members: Sequence[str]) -> str:
    return f"({', '.join(map(repr, members))})"


def _cause(expected: Sequence[str], found: Sequence[str]) -> str:
    added = [member for member in expected if member not in found]
    removed = [member for member in found if member not in expected]
    parts = [
        *([f"the class gained {_words(added)}"] if added else []),
        *([f"the class lost {_words(removed)}"] if removed else []),
    ]
    return " and ".join(parts) or "the members stand in another order, which decides how rows are sorted"
