"""Column types: family, length, precision, scale, time zone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlmodel_framework.engines.reading import TableReading
from sqlmodel_framework.utils.comparisons.aspects import columns_of_both
from sqlmodel_framework.utils.findings import Finding

__all__ = ["compare_types"]


def compare_types(table: str, expected: TableReading, found: TableReading) -> Iterator[Finding]:
    """Find columns whose type the server prints differently on the two sides."""
    for column, twin in columns_of_both(expected, found):
        if column.type != twin.type:
            yield Finding(
                table=table,
                code="DK211",
                column=column.name,
                expected=column.type,
                found=twin.type,
                cause=_cause(column.type, twin.type),
            )


def _cause(expected: str, found: str) -> str:
    zones = ["with time zone" in text for text in (expected, found)]
    if "time zone" in expected and "time zone" in found and zones[0] != zones[1]:
        return "only one side has the time zone: SQLModel mapped datetime without one up to 0.0.39, with one since 0.0.50"
    if _family(expected) != _family(found):
        return "the type is of another family"
    wanted, seen = _numbers(expected), _numbers(found)
    if not wanted or not seen or len(wanted) != len(seen):
        return "length or precision was set on one side only"
    if all(a >= b for a, b in zip(wanted, seen, strict=True)):
        return "the database's type is narrower: it refuses or cuts values that the class allows"
    if all(a <= b for a, b in zip(wanted, seen, strict=True)):
        return "the database's type is wider: it takes values that the class forbids"
    return "length, precision or scale changed"


def _family(type_text: str) -> str:
    return re.sub(r"\(.*?\)", "", type_text).strip().lower()


def _numbers(type_text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", "".join(re.findall(r"\((.*?)\)", type_text)))]
