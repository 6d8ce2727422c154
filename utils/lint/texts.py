"""Texts without a length, enums, and documents."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from sqlalchemy import PickleType, TypeDecorator
from sqlalchemy import types as sql_types

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["enum_stored_by_name", "json_without_type", "text_without_length"]


def text_without_length(subject: Subject) -> Iterator[Finding]:
    """DL102: a text that is cut to 255 characters on one database, or refused there, and endless on another."""
    for column in subject.of("text"):
        if column.declared_length is not None or column.limits.max_length is not None:
            continue
        if isinstance(column.sql_type, sql_types.Text):
            continue
        cause = subject.told(_own_length, column)
        if cause is not None:
            yield subject.finding(
                "DL102", column, "max_length, or sa_type=Text", "a str without length", cause
            )


def _own_length(database: Database, column: ColumnContract) -> str | None:
    text = database.type_of(column)
    if text is None:
        return "has no type for it"
    length = re.fullmatch(r"\w+\((\d+)\)", text)
    return f"{text}, and refuses longer texts" if length else None


def enum_stored_by_name(subject: Subject) -> Iterator[Finding]:
    """DL107: an enum whose names are stored, and not its values."""
    for column in subject.of("enum"):
        kind: Any = column.sql_type
        members = getattr(kind.enum_class, "__members__", {})
        names = list(members)
        values = [str(member.value) for member in members.values()]
        if not names or list(kind.enums) != names or names == values:
            continue
        name, value = next((n, v) for n, v in zip(names, values, strict=True) if n != v)
        yield subject.finding(
            "DL107",
            column,
            f"values_callable, so that {value} is stored",
            "an enum of names",
            subject.everywhere(f"stores {name}"),
        )


_DOCUMENTS = (dict, list, set, tuple, frozenset)


def json_without_type(subject: Subject) -> Iterator[Finding]:
    """DL108: a dict or list in a column that is neither JSON nor an array."""
    for column in subject.of("text", "binary", "integer", "float"):
        own = column.column.type
        if isinstance(own, TypeDecorator) and not isinstance(own, PickleType):
            continue  # it may turn the value into what the database takes
        if column.field_info is None or not _is_document(column.field_info.annotation):
            continue
        cause = (
            "only Python can read it" if isinstance(own, PickleType) else "the driver decides what is stored"
        )
        yield subject.finding(
            "DL108",
            column,
            "a JSON type",
            f"a {type(own).__name__}",
            subject.everywhere(cause),
        )


def _is_document(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_document(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(map(_is_document, get_args(annotation)))
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, _DOCUMENTS)
