"""Differences as text that fits beside pytest's margin in a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from unicodedata import normalize
from uuid import UUID

from sqlmodel_framework.utils.reports.words import printable
from sqlmodel_framework.utils.testing.differences import ChangedRow, Differences
from sqlmodel_framework.utils.testing.values import Matcher

__all__ = ["counts_text", "cut", "difference_lines", "row_lines", "shown", "shown_pair", "wrapped"]

_WIDTH = 72
_ROWS = 10
_COLUMNS = 8
_NAMES = 20
_LONGEST = 40
_SHORTEST = 16
_NAME = 28
_BEFORE = 6


def shown(value: Any) -> str:
    """A value in one line: texts in quotes, so that 'None' is no null and '1' no number."""
    if isinstance(value, Matcher):
        value = value.value
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, Decimal | date | time | timedelta | UUID):
        return str(value)
    return printable(repr(bytes(value) if isinstance(value, memoryview) else value))


def shown_pair(expected: Any, found: Any, width: int) -> tuple[str, str]:
    """Two values that differ, each in `width` characters; of long ones the place is shown where they part."""
    both = _told_apart(expected, found)
    if max(map(_width, both)) <= width:
        return both
    same = next((i for i, (a, b) in enumerate(zip(*both, strict=False)) if a != b), min(map(len, both)))
    start = max(0, same - _BEFORE)
    first, second = ("…" + text[start + 1 :] if start else text for text in both)
    return cut(first, width, beginning=width - 8), cut(second, width, beginning=width - 8)


def _told_apart(expected: Any, found: Any) -> tuple[str, str]:
    """Two values that differ, as two texts that look different."""
    first, second = shown(expected), shown(found)
    if first == second:
        return f"{first} ({type(expected).__name__})", f"{second} ({type(found).__name__})"
    if normalize("NFKC", first) == normalize("NFKC", second):
        return ascii(expected), ascii(found)
    return first, second


def cut(text: str, width: int, *, beginning: int | None = None) -> str:
    """The text in at most `width` cells of a terminal; of a longer one the beginning and the end."""
    if _width(text) <= width:
        return text
    head = max(1, (width - 1) * 2 // 3 if beginning is None else beginning)
    start, end = text[:head], text[len(text) - (width - 1 - head) :] if width - 1 > head else ""
    while _width(start) + 1 + _width(end) > width and len(start) > 1:
        start = start[:-1]
    while _width(start) + 1 + _width(end) > width and end:
        end = end[1:]
    return f"{start}…{end}"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


# tables


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose columns stand below one another."""
    widths = [max(map(_width, column)) for column in zip(header, *rows, strict=True)]
    return ["  " + "  ".join(map(_padded, cells, widths)).rstrip() for cells in (header, *rows)]


def row_lines(columns: Sequence[str], key: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """The first rows as a table, the key first, as many columns as fit; then what is left out."""
    order = [
        *(columns.index(name) for name in key),
        *(i for i, name in enumerate(columns) if name not in key),
    ]
    cells = [[shown(row[place]) for place in order] for row in rows[:_ROWS]]
    header = [printable(columns[place]) for place in order]
    for longest in range(_LONGEST, _SHORTEST - 1, -2):
        table = [[cut(text, longest) for text in line] for line in (header, *cells)]
        fitting = _fitting(table)
        if fitting == len(header):
            break
    yield from _columns(table[0][:fitting], [line[:fitting] for line in table[1:]])
    if fitting < len(header):
        yield from wrapped("  not shown: ", header[fitting:])
    if len(rows) > _ROWS:
        yield f"  and {len(rows) - _ROWS} more"


def _fitting(table: Sequence[Sequence[str]]) -> int:
    """How many columns fit; one always does."""
    left, number = _WIDTH, 0
    for column in zip(*table, strict=True):
        left -= 2 + max(map(_width, column))
        if left < 0:
            break
        number += 1
    return max(1, number)


def _changed_lines(differences: Differences, arrow: str) -> Iterator[str]:
    changed = differences.changed
    by_key = all(row.by_key for row in changed)
    header = [cut(", ".join(differences.subject.key) if by_key else "row", _NAME), "column"]
    lines = [line for row in changed[:_ROWS] for line in _lines_of(differences, row, bare=by_key)]
    names = [[cut(part, _NAME) for part in line[:2]] for line in lines]
    widths = [max(map(_width, column)) for column in zip(header, *names, strict=True)]
    room = max(16, _WIDTH - sum(widths) - 6 - 4)
    table = []
    for (row, name), (_, _, place, own) in zip(names, lines, strict=True):
        table.append([row, name, "" if place is None else _arrow(own, place, room)])
    yield from _columns([*header, arrow], table)
    if len(changed) > _ROWS:
        yield f"  and {len(changed) - _ROWS} more"


def _arrow(row: ChangedRow, place: int, room: int) -> str:
    expected, found = row.expected[place], row.found[place]
    whole = _told_apart(expected, found)
    if sum(map(_width, whole)) <= room:
        return " -> ".join(whole)
    return " -> ".join(shown_pair(expected, found, room // 2))


def _lines_of(
    differences: Differences, row: ChangedRow, *, bare: bool
) -> Iterator[tuple[str, str, int | None, ChangedRow]]:
    columns = differences.subject.columns
    ident = _identity(differences, row, bare=bare)
    for place in row.columns[:_COLUMNS]:
        yield ident, printable(columns[place]), place, row
        ident = ""
    if len(row.columns) > _COLUMNS:
        yield "", f"and {len(row.columns) - _COLUMNS} more", None, row


def _identity(differences: Differences, row: ChangedRow, *, bare: bool) -> str:
    """The key of a row, or some of what did not change; `bare` leaves out the names of the key's columns."""
    columns, key = differences.subject.columns, differences.subject.key
    same = [
        place for place in range(len(columns)) if place not in row.columns and row.found[place] is not None
    ]
    places = [columns.index(name) for name in key] if row.by_key else same[:2]
    values = [shown(row.found[place]) for place in places]
    named = [f"{printable(columns[place])} {value}" for place, value in zip(places, values, strict=True)]
    return ", ".join(values if bare else named) or "a row"


def wrapped(title: str, names: Sequence[str]) -> list[str]:
    """A title and names, in as many lines as they need; none without a name."""
    text = title + ", ".join(map(printable, names[:_NAMES]))
    text += f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return textwrap.wrap(text, _WIDTH, subsequent_indent="    ", break_on_hyphens=False) if names else []


# the whole


def counts_text(
    differences: Differences, words: tuple[str, str, str] = ("missing", "unexpected", "changed")
) -> str:
    """`1 missing, 2 unexpected`."""
    numbers = (len(differences.missing), len(differences.unexpected), len(differences.changed))
    return ", ".join(f"{number} {word}" for number, word in zip(numbers, words, strict=True) if number)


def difference_lines(
    differences: Differences,
    words: tuple[str, str, str] = ("missing", "unexpected", "changed"),
    arrow: str = "expected -> found",
) -> Iterator[str]:
    """The rows of each kind below its word, if it has one; nothing for a kind that has none."""
    subject = differences.subject
    for word, rows in zip(words, (differences.missing, differences.unexpected), strict=False):
        if rows:
            yield from [f"{word}:"] if word else []
            yield from row_lines(subject.columns, subject.key, rows)
    if differences.changed:
        yield f"{words[2]}:"
        yield from _changed_lines(differences, arrow)
