"""The tools that are measured: each says what differs between a database and the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, Table

from sqlmodel_framework.benchmarks.drift.places import Place
from sqlmodel_framework.utils.deployment import validate_deployment

STRICTEST: dict[str, Any] = {
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
}
"""All that Alembic 1.20 can compare; the CHECK plugin ships with it and compares by name."""


@dataclass(frozen=True)
class Seen:
    """One difference that a tool reported: the table it names, and its words."""

    table: str
    words: str


Tool = Callable[[Place, MetaData], list[Seen]]


def ours(place: Place, metadata: MetaData, *, strict: bool = False) -> list[Seen]:
    """What `validate_deployment` finds."""
    result = validate_deployment(list(metadata.tables.values()), place.target, strict=strict)
    return [Seen(finding.table, str(finding)) for finding in result.findings]


def ours_strict(place: Place, metadata: MetaData) -> list[Seen]:
    """What `validate_deployment` finds, tables and columns that no class has included."""
    return ours(place, metadata, strict=True)


def alembic_default(place: Place, metadata: MetaData) -> list[Seen]:
    """What Alembic finds unless told otherwise."""
    return _alembic(place, metadata, {})


def alembic_strictest(place: Place, metadata: MetaData) -> list[Seen]:
    """What Alembic finds with all that it can compare."""
    return _alembic(place, metadata, STRICTEST)


TOOLS: dict[str, Tool] = {
    "ours": ours,
    "ours, strict": ours_strict,
    "Alembic": alembic_default,
    "Alembic, strictest": alembic_strictest,
}


def _alembic(place: Place, metadata: MetaData, options: dict[str, Any]) -> list[Seen]:
    with place.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=dict(options))
        differences = compare_metadata(context, metadata)
    return [Seen(_table_of(difference), repr(difference)) for difference in _flat(differences)]


def _flat(differences: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Changes of one column come as a list of their own."""
    for difference in differences:
        if isinstance(difference, list):
            yield from difference
        else:
            yield difference


def _table_of(difference: tuple[Any, ...]) -> str:
    """The table's name: a column's difference has it as text, others carry the table or a part of it."""
    about = difference[1]
    if isinstance(about, Table):
        return about.name
    part_of = getattr(about, "table", None)
    return str(part_of.name if part_of is not None else difference[2])
