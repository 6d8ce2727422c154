"""The DDL that would mend what validation found. It is proposed, never run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Table
from sqlalchemy.engine import Dialect

from sqlmodel_framework.engines.base import TargetEngine
from sqlmodel_framework.engines.ddl import Statement, plain_dialect
from sqlmodel_framework.engines.mending import ColumnAspect, PartKind, TableMending
from sqlmodel_framework.engines.reading import PartReading, Reading, TableReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["with_ddl"]

Mend = Callable[[TableMending, Finding], tuple[str, ...]]


def with_ddl(
    findings: Sequence[Finding],
    tables: Mapping[str, Table],
    statements: Sequence[Statement],
    missing: Sequence[Statement],
    expected: Reading,
    found: Reading,
    engine: TargetEngine,
    dialect: Dialect,
) -> tuple[Finding, ...]:
    """Give each finding the statements that would remove it, where the database has any.

    `statements` create the tables; `missing` are those of them that make a type or sequence that is not there.
    """
    plain = plain_dialect(dialect)
    mendings: dict[str, TableMending] = {}
    mended = []
    for finding in findings:
        table = tables.get(finding.table)
        if table is None or finding.code not in _MENDS:
            mended.append(finding)
            continue
        if finding.table not in mendings:
            key = (table.schema, table.name)
            mendings[finding.table] = engine.mending(
                dialect=plain,
                table=table,
                name=plain.identifier_preparer.format_table(table),
                create=tuple(s.text for s in statements if (s.schema, s.name) == key),
                expected=expected[key],
                found=found.get(key),
            )
        ddl = _MENDS[finding.code](mendings[finding.table], finding)
        needed = _needed_by(ddl, missing)
        missing = [statement for statement in missing if statement not in needed]
        mended.append(replace(finding, ddl=(*(statement.text for statement in needed), *ddl)))
    return tuple(mended)


def _needed_by(ddl: Sequence[str], missing: Sequence[Statement]) -> list[Statement]:
    """Statements that create the types and sequences that are not there and that these statements name."""
    return [
        statement
        for statement in missing
        if any(re.search(rf"\b{re.escape(statement.name)}\b", text) for text in ddl)
    ]


def _column(change: Callable[[TableMending, str], tuple[str, ...]]) -> Mend:
    return lambda mending, finding: change(mending, finding.column or "")


def _aspect(aspect: ColumnAspect) -> Mend:
    return lambda mending, finding: mending.change_column(finding.column or "", aspect)


def _missing(kind: PartKind, mending: TableMending, finding: Finding) -> tuple[str, ...]:
    part = _part(mending.expected, kind, finding.expected, finding.part)
    if part is None:
        return ()
    # A name that the server made up is no reason to drop what has it: the new part gets another.
    in_the_way = [
        (other, twin)
        for other in _LISTS
        for twin in _parts(mending.found, other)
        if twin.name == part.name == finding.part
    ]
    drops = [statement for other, twin in in_the_way for statement in mending.drop_part(other, twin)]
    return (
        *(drops if part.name and finding.found.startswith("no such") else ()),
        *mending.add_part(kind, part),
    )


def _unexpected(kind: PartKind, mending: TableMending, finding: Finding) -> tuple[str, ...]:
    part = _part(mending.found, kind, finding.found, finding.part)
    return mending.drop_part(kind, part) if part else ()


def _changed(kind: PartKind, mending: TableMending, finding: Finding) -> tuple[str, ...]:
    drop, add = _unexpected(kind, mending, finding), _missing(kind, mending, finding)
    # Where a table is rebuilt, both are the same rebuild.
    return drop if drop == add else (*drop, *add)


def _renamed(mending: TableMending, finding: Finding) -> tuple[str, ...]:
    if mending.found is not None and mending.found.primary_key_name == finding.part:
        return mending.rename_primary_key(finding.expected)
    if any(part.name == finding.expected for kind in _LISTS for part in _parts(mending.found, kind)):
        return ()
    for kind in _LISTS:
        part = next((p for p in _parts(mending.found, kind) if p.name == finding.part), None)
        if part is not None:
            return mending.rename_part(kind, part, finding.expected)
    return ()


def _part(reading: TableReading | None, kind: PartKind, text: str, name: str | None) -> PartReading | None:
    """The part of a text; of several the one of that name."""
    parts = [part for part in _parts(reading, kind) if part.text == text]
    return next((part for part in parts if part.name == name), parts[0] if parts else None)


def _parts(reading: TableReading | None, kind: PartKind) -> tuple[PartReading, ...]:
    return getattr(reading, _LISTS[kind]) if reading is not None else ()


_LISTS: dict[PartKind, str] = {
    "foreign key": "foreign_keys",
    "unique": "uniques",
    "index": "indexes",
    "check": "checks",
}
_PART_CODES: dict[PartKind, str] = {"foreign key": "DK4", "unique": "DK5", "index": "DK6", "check": "DK7"}
_MENDS: dict[str, Mend] = {
    "DK101": lambda mending, _: mending.add_table(),
    "DK104": lambda mending, finding: mending.change_option(finding.part or ""),
    "DK105": lambda mending, _: mending.change_comment(),
    "DK201": _column(lambda mending, column: mending.add_column(column)),
    "DK202": _column(lambda mending, column: mending.drop_column(column)),
    "DK204": _column(lambda mending, column: mending.move_column(column)),
    "DK211": _aspect("type"),
    "DK212": _aspect("nullability"),
    "DK213": _aspect("default"),
    "DK214": _aspect("computed"),
    "DK215": _aspect("identity"),
    "DK216": _aspect("collation"),
    "DK217": _aspect("comment"),
    "DK218": _aspect("members"),
    "DK301": lambda mending, _: mending.change_primary_key(),
    "DK604": partial(_unexpected, "index"),
    "DK801": _renamed,
    **{f"{code}01": partial(_missing, kind) for kind, code in _PART_CODES.items()},
    **{f"{code}02": partial(_unexpected, kind) for kind, code in _PART_CODES.items()},
    **{f"{code}03": partial(_changed, kind) for kind, code in _PART_CODES.items()},
}
