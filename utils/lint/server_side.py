"""What a class says in Python alone: descriptions and defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["default_no_server_default", "description_no_comment"]


def description_no_comment(subject: Subject) -> Iterator[Finding]:
    """DL201: a description that no database shows."""
    for column in subject.columns:
        info = column.field_info
        if info is None or not info.description or column.column.comment:
            continue
        cause = subject.told(_uncommented)
        if cause is not None:
            yield subject.finding("DL201", column, "a comment", "a description", cause)


def _uncommented(database: Database) -> str | None:
    return "the column has no comment" if database.facts.comments else None


def default_no_server_default(subject: Subject) -> Iterator[Finding]:
    """DL202: a default that only Python knows."""
    for column in subject.columns:
        own = column.column
        if own.default is None or own.server_default is not None or column.computed:
            continue
        cause = subject.everywhere(f"an INSERT without it {'stores NULL' if column.nullable else 'fails'}")
        yield subject.finding("DL202", column, "a server_default", _default(own.default), cause)


def _default(default: Any) -> str:
    return f"a default of {default.arg!r} in Python" if default.is_scalar else "a default in Python"
