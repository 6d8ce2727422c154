"""The DDL that a finding proposes parses on the server, and once it has run the finding is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import MetaData

from sqlmodel_framework import validate_deployment
from sqlmodel_framework.benchmarks.drift.changes import CHANGES
from sqlmodel_framework.benchmarks.drift.pairs import Change
from sqlmodel_framework.benchmarks.drift.places import Place
from sqlmodel_framework.utils.findings import Finding

NO_STATEMENT = {
    "DK102": "what stands in the table's place belongs to others",
    "DK103": "the table belongs to others",
    "DK203": "the finding beside it, DK202, drops the column",
}
NO_STATEMENT_ON = {
    ("postgresql", "DK204"): "PostgreSQL cannot move a column",
    ("postgresql", "partitioned"): "PostgreSQL cannot partition a table that is there",
    ("postgresql", "type of a domain"): "the domain is changed, not the table",
    ("postgresql", "CHECK of a domain"): "the domain is changed, not the table",
    ("mariadb", "names of two CHECKs swapped"): "each name is taken until the other is gone",
    ("mysql", "names of two CHECKs swapped"): "each name is taken until the other is gone",
    ("postgresql", "names of two CHECKs swapped"): "each name is taken until the other is gone",
    ("sqlite", "DK801"): "SQLite renames no constraint",
    ("mariadb", "sequence options"): "the sequence is changed, not the table",
    ("postgresql", "sequence options"): "the sequence is changed, not the table",
}


def findings(place: Place, metadata: MetaData) -> tuple[Finding, ...]:
    return validate_deployment(list(metadata.tables.values()), place.target, strict=True).findings


def run(place: Place, finding: Finding) -> None:
    """Each statement commits by itself, as in a script that a person runs."""
    with place.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        cursor = connection.connection.cursor()
        for statement in finding.ddl:
            cursor.execute(statement)
        # A rebuilt table or type stays under another name: what does not fit is not lost.
        if place.dialect == "sqlite":
            cursor.execute(f'DROP TABLE IF EXISTS "{finding.table}__before"')
        if place.dialect == "postgresql":
            cursor.execute("DROP TYPE IF EXISTS colour_before")


@contextmanager
def _dropping(place: Place, metadata: MetaData) -> Iterator[None]:
    """Drop at the end what the proposals made."""
    try:
        yield
    finally:
        with place.engine.begin() as connection:
            metadata.drop_all(connection)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_proposed_ddl_removes_its_finding(place: Place, change: Change) -> None:
    if not change.stored_by(place.dialect):
        pytest.skip(f"no difference on {place.dialect}")
    with _dropping(place, change.after()), place.holding(change.before()):
        left = findings(place, change.after())
        assert left
        for _ in range(10):
            mendable = [finding for finding in left if finding.ddl]
            if not mendable:
                break
            run(place, mendable[0])
            left = findings(place, change.after())
            assert str(mendable[0]) not in [str(finding) for finding in left]
        unexplained = [
            str(finding)
            for finding in left
            if finding.code not in NO_STATEMENT
            and (place.dialect, finding.code) not in NO_STATEMENT_ON
            and (place.dialect, change.name) not in NO_STATEMENT_ON
        ]
        assert unexplained == []
