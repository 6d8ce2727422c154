"""Snapshots: the rows of a table at one moment, to compare with later ones or with a file."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError, StorageError
from sqlmodel_framework.utils.reports.words import count
from sqlmodel_framework.utils.testing.assertions import ordered_positions, picked
from sqlmodel_framework.utils.testing.differences import (
    Differences,
    Rows,
    differences_of,
    rows_of,
    sort_positions,
)
from sqlmodel_framework.utils.testing.drawing import counts_text, difference_lines
from sqlmodel_framework.utils.testing.expected import json_rows
from sqlmodel_framework.utils.testing.subjects import (
    Readable,
    Subject,
    Where,
    known_columns,
    place_name,
    read_rows,
    subject_of,
)
from sqlmodel_framework.utils.testing.written import as_json_value, from_json_value
from sqlmodel_framework.utils.whole_file import replace_whole

__all__ = ["ChangedValues", "Changes", "Snapshot", "assert_snapshot", "explain", "snapshot"]

_WORDS = ("removed", "added", "changed")
_FALSE = ("", "0", "false", "no")


@dataclass(frozen=True)
class ChangedValues:
    """A row whose key is in both snapshots: `before` and `after` hold the columns that changed."""

    key: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class Changes:
    """What happened between two snapshots, as rows by column name, sorted by key. False where nothing did."""

    added: tuple[Mapping[str, Any], ...]
    removed: tuple[Mapping[str, Any], ...]
    changed: tuple[ChangedValues, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """The rows of a table at one moment. Two are equal where table, columns and rows are, each value by its type.

    `rows` are tuples in the order of `columns`, sorted by key, or as the snapshot was ordered; `exact` are the same in the
    form that is compared. `subject` has its columns, `whole` all of the table. `taken` grows from snapshot to snapshot.
    """

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    subject: Subject = field(kw_only=True)
    whole: Subject = field(kw_only=True)
    exact: tuple[tuple[Any, ...], ...] = field(kw_only=True)
    taken: int = field(default_factory=itertools.count().__next__, kw_only=True)

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return (self.table, self.columns, self.exact) == (other.table, other.columns, other.exact)

    def __hash__(self) -> int:
        return hash((self.table, self.columns, self.exact))

    def __repr__(self) -> str:
        return f"<snapshot of {self.table}: {count(len(self.rows), 'row')}>"

    def changes_since(self, before: Snapshot) -> Changes:
        """What was added, removed and changed since an earlier snapshot of the same columns.

        Rows are told apart by the primary key; of a table without one, or without it in the snapshot, those count as
        changed that have at least half of their values in common. Raises ConfigurationError for another table or other
        columns.
        """
        differences = self.differences(before)
        columns = self.columns
        key = differences.subject.key

        def named(row: Sequence[Any], only: Iterable[str] = columns) -> dict[str, Any]:
            return {name: row[columns.index(name)] for name in only}

        return Changes(
            tuple(map(named, differences.unexpected)),
            tuple(map(named, differences.missing)),
            tuple(
                ChangedValues(
                    named(row.found, key),
                    named(row.expected, [columns[place] for place in row.columns]),
                    named(row.found, [columns[place] for place in row.columns]),
                )
                for row in differences.changed
            ),
        )

    def differences(self, before: Snapshot) -> Differences:
        """How this snapshot differs from an earlier one. Raises ConfigurationError as `changes_since` does."""
        if not isinstance(before, Snapshot) or (self.table, self.columns) != (before.table, before.columns):
            raise ConfigurationError(
                "only snapshots of the same table and columns can be compared",
                seen=f"{before.table} ({', '.join(before.columns)})"
                if isinstance(before, Snapshot)
                else type(before).__name__,
                expected=f"{self.table} ({', '.join(self.columns)})",
            )
        return differences_of(self.subject, Rows(before.rows, before.exact), Rows(self.rows, self.exact))


def snapshot(
    where: Where,
    table: Readable,
    *,
    ignore: str | Iterable[str] = (),
    order: str | Sequence[str] | None = None,
) -> Snapshot:
    """The rows that are there now, without the columns of `ignore`; raises what `assert_rows` raises for bad input.

    Without `order` they are sorted by key; with it, written as for `assert_rows`, the sequence counts when snapshots are
    compared.
    """
    whole = subject_of(table)
    ignored = known_columns(whole, ignore, "ignore")
    subject = whole.of(name for name in whole.columns if name not in ignored)
    found = read_rows(where, whole)
    rows = rows_of(subject.kinds, picked(whole.columns, subject, found))
    positions = (
        sort_positions(subject, rows.exact) if order is None else ordered_positions(whole, found, order)
    )
    return Snapshot(
        whole.name,
        subject.columns,
        tuple(tuple(rows.raw[position]) for position in positions),
        subject=subject,
        whole=whole,
        exact=tuple(rows.exact[position] for position in positions),
    )


def explain(left: object, right: object) -> list[str]:
    """Why `left == right` does not hold, in lines, the first one a summary; nothing where it does, or where they are no snapshots.

    The one that was taken first counts as the earlier one.
    """
    if not isinstance(left, Snapshot) or not isinstance(right, Snapshot) or left == right:
        return []
    if (left.table, left.columns) != (right.table, right.columns):
        return [
            "snapshots of different tables or columns",
            f"  {left.table}: {', '.join(left.columns)}",
            f"  {right.table}: {', '.join(right.columns)}",
        ]
    before, after = sorted((left, right), key=lambda one: one.taken)
    differences = after.differences(before)
    if not differences:
        return [f"{left.table}: the same rows in another sequence"]
    summary = f"{left.table}: {counts_text(differences, _WORDS)}"
    return [
        summary,
        f"{count(len(before), 'row')} before, {len(after)} after",
        *difference_lines(differences, _WORDS, "before -> after"),
    ]


# files


def assert_snapshot(
    where: Where,
    table: Readable,
    path: str | Path,
    *,
    ignore: str | Iterable[str] = (),
    update: bool = False,
) -> None:
    """The rows are those of a stored file; AssertionError says how they differ.

    The file holds JSON lines: a row a line, sorted by key, the same text on every database. It is written where it is not
    there, with `update`, and with DATAKIT_UPDATE_SNAPSHOTS=1. Where CI is set, a file that is not there is a failure, and
    nothing is written for it. Raises ConfigurationError for a file that cannot be read, StorageError for one that cannot be
    written, and what `assert_rows` raises.
    """
    __tracebackhide__ = True
    file = Path(path)
    now = snapshot(where, table, ignore=ignore)
    if update or _is_set("DATAKIT_UPDATE_SNAPSHOTS"):
        _write(file, now)
        return
    text = _read(file, now)
    if text is None and not _is_set("CI"):
        _write(file, now)
        return
    message = _compared(file, text, now, place_name(where, now.whole))
    if message:
        raise AssertionError("\n".join(message))


_UPDATE = "to accept what is there, pass update=True or set DATAKIT_UPDATE_SNAPSHOTS=1"


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() not in _FALSE


def _compared(file: Path, text: str | None, now: Snapshot, place: str) -> list[str]:
    """Nothing where the file says what is there."""
    title = f"{now.table} on {place}: snapshot {file.name}"
    if text is None:
        return [
            f"{title} is not there, and CI is set: nothing is written",
            "run the test once outside CI, and commit the file",
        ]
    if text == _text_of(now):
        return []
    stored = json_rows(now.whole, file, text, lines=True)
    if stored.rows and stored.columns != now.columns:
        lacks = [name for name in now.columns if name not in stored.columns]
        also = [name for name in stored.columns if name not in now.columns]
        words = [
            f"it lacks {', '.join(lacks)}" if lacks else "",
            f"it also has {', '.join(also)}" if also else "",
        ]
        return [f"{title} has other columns: {' and '.join(filter(None, words))}", _UPDATE]
    subject = now.subject
    found = [
        tuple(
            from_json_value(kind, as_json_value(kind, value))
            for kind, value in zip(subject.kinds, row, strict=True)
        )
        for row in now.rows
    ]
    differences = differences_of(subject, rows_of(subject.kinds, stored.rows), rows_of(subject.kinds, found))
    if not differences:
        return []
    return [
        f"{title}: {counts_text(differences)}",
        f"{count(differences.expected, 'row')} stored, {differences.found or 'none'} found",
        *difference_lines(differences, arrow="stored -> found"),
        _UPDATE,
    ]


def _text_of(now: Snapshot) -> str:
    kinds = now.subject.kinds
    return "".join(
        json.dumps(
            {kind.name: as_json_value(kind, value) for kind, value in zip(kinds, row, strict=True)},
            ensure_ascii=False,
            sort_keys=False,
        )
        + "\n"
        for row in now.rows
    )


def _read(file: Path, now: Snapshot) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            "a snapshot cannot be read", where=f"{now.table}, file {file}", seen=type(exc).__name__
        ) from None


def _write(file: Path, now: Snapshot) -> None:
    content = _text_of(now).encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_bytes() != content:
            replace_whole(file, content)
    except OSError as exc:
        raise StorageError(
            "a snapshot cannot be written",
            where=f"{now.table}, file {file}",
            seen=exc.strerror or type(exc).__name__,
        ) from None
