"""Times without a zone, and times whose fractions a database drops."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import NaiveDatetime

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Database, Subject

__all__ = ["datetime_without_time_zone", "microseconds_lost"]


def datetime_without_time_zone(subject: Subject) -> Iterator[Finding]:
    """DL104: a wall-clock time that the class does not call one."""
    for column in subject.of("datetime"):
        if column.time_zone or _is_naive(column):
            continue
        cause = str(subject.told(_offset_lost))
        yield subject.finding("DL104", column, "time_field()", "a DateTime without time zone", cause)


def _offset_lost(database: Database) -> str:
    if database.capabilities.time_zones:
        return "turns an aware time into the session's zone, then drops the offset"
    return "drops the offset of an aware time"


def _is_naive(column: ColumnContract) -> bool:
    """Whether the annotation says that a wall clock is meant."""
    info = column.field_info
    if info is None:
        return False
    return "NaiveDatetime" in str(info.annotation) or any(mark is NaiveDatetime for mark in info.metadata)


def microseconds_lost(subject: Subject) -> Iterator[Finding]:
    """DL105: a time of whole seconds on a database that must be asked for microseconds."""
    for column in subject.of("datetime", "time", "interval"):
        cause = subject.told(_fraction_lost, column)
        if cause is not None:
            yield subject.finding("DL105", column, "six fraction digits", f"a {column.family} without", cause)


def _fraction_lost(database: Database, column: ColumnContract) -> str | None:
    if database.facts.fraction_digits >= 6:
        return None
    text = database.type_of(column) or ""
    digits = re.search(r"\((\d)\)", text)
    kept = int(digits[1]) if digits else database.facts.fraction_digits
    if kept >= 6:
        return None
    return f"{text} keeps {kept} digits of a second"
