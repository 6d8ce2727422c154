"""What a class says in Python alone: descriptions, defaults, and that a value must be there."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["default_no_server_default", "description_no_comment", "nullable_for_required"]


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


def nullable_for_required(subject: Subject) -> Iterator[Finding]:
    """DL204: a column that takes NULL for a field that takes no None."""
    for column in subject.columns:
        info = column.field_info
        if not column.nullable or column.computed or info is None:
            continue
        if info.default is None or _takes_none(info.annotation):
            continue
        cause = subject.everywhere("takes NULL, where the class says that a value stands")
        yield subject.finding("DL204", column, "nullable=False", "a column that takes NULL", cause)


def _takes_none(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _takes_none(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(map(_takes_none, get_args(annotation)))
    return annotation in (None, type(None), Any, object)
