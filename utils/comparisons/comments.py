"""Comments on tables and columns."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both, words
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_comments"]

_CAUSE = "the comment was changed on one side"


def compare_comments(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find comments that differ."""
    if expected.comment != found.comment:
        yield Finding(table, "DK105", None, _quoted(expected.comment), _quoted(found.comment), _CAUSE)
    for column, twin in columns_of_both(expected, found):
        if column.comment != twin.comment:
            yield Finding(table, "DK217", column.name, _quoted(column.comment), _quoted(twin.comment), _CAUSE)


def _quoted(comment: str | None) -> str:
    return words(None if comment is None else repr(comment), "no comment")
