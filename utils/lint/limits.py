"""Limits of a field that its column does not have, or that no database enforces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.edits import raw_string
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["limit_dropped", "limit_not_enforced"]

_CHECKED = ("min_length", "ge", "gt", "le", "lt", "multiple_of", "pattern", "choices")


def limit_dropped(subject: Subject) -> Iterator[Finding]:
    """DL103: a length or digits that the field has and its column has not, and a regex that pydantic ignores."""
    for column in subject.columns:
        if column.field_info is None:
            continue
        for expected, found in (*_lengths(column), *_digits(column)):
            cause = subject.everywhere(f"the column is made with {found}")
            yield subject.finding("DL103", column, expected, found, cause)
        pattern = getattr(column.field_info, "_attributes_set", {}).get("regex")
        if pattern is not None:
            cause = "pydantic 2 has no regex: neither Python nor a database checks it"
            source = raw_string(str(pattern))
            expected = f"Annotated[str, StringConstraints(pattern={source})]"
            yield subject.finding("DL103", column, expected, f"regex={source}", cause)


def _lengths(column: ColumnContract) -> Iterator[tuple[str, str]]:
    wanted, own = column.limits.max_length, column.declared_length
    if column.family in ("text", "binary") and wanted is not None and own != wanted:
        yield f"max_length={wanted} in the column", "no length" if own is None else f"a length of {own}"


def _digits(column: ColumnContract) -> Iterator[tuple[str, str]]:
    limits = column.limits
    if column.family != "decimal" or (limits.max_digits is None and limits.decimal_places is None):
        return
    own: Any = column.sql_type
    digits = own.precision if limits.max_digits is None else limits.max_digits
    places = own.scale or 0 if limits.decimal_places is None else limits.decimal_places
    if (digits, places) != (own.precision, own.scale or 0):
        wanted = [f"max_digits={limits.max_digits}", f"decimal_places={limits.decimal_places}"]
        told = ", ".join(part for part in wanted if not part.endswith("None"))
        seen = (
            "no digits"
            if own.precision is None
            else f"{own.precision} digits, {own.scale or 0} behind the point"
        )
        yield f"{told} in the column", seen


def limit_not_enforced(subject: Subject) -> Iterator[Finding]:
    """DL203: a limit that only Python knows."""
    for column in subject.columns:
        if column.field_info is None or column.computed:
            continue
        limits = column.limits
        named = [
            name
            for name in _CHECKED
            if getattr(limits, name) is not None and not subject.enforced.by_check(column, name)
        ]
        enum_cause = subject.told(_enum_open, column) if column.family == "enum" else None
        if enum_cause is not None and subject.enforced.by_check(column, "choices"):
            enum_cause = None
        if not named and enum_cause is None:
            continue
        if named:
            cause = subject.everywhere("takes any value, and SQLModel checks no limit of a table class")
            yield subject.finding("DL203", column, "a CHECK", f"{', '.join(named)} without a CHECK", cause)
        else:
            found = "an Enum without a CHECK"
            yield subject.finding("DL203", column, "create_constraint=True", found, str(enum_cause))


def _enum_open(database: Database, column: ColumnContract) -> str | None:
    kind: Any = column.sql_type
    if kind.create_constraint or (database.capabilities.native_enum and kind.native_enum):
        return None
    return "stores the enum as a text, and takes any"
