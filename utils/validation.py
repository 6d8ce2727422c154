"""Validation by shadow reading: the classes are deployed to a scratch place, and both sides are read the same way.

Both readings come from the same server, so what the server rewrites (types, spellings, implicit names) is rewritten
on both sides, and only real differences remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

from sqlalchemy import Connection, Table

from sqlmodel_framework.base.results import Result
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.ddl import schemas_of, with_referred
from sqlmodel_framework.engines.live import LiveTarget, open_target
from sqlmodel_framework.engines.reading import Reading
from sqlmodel_framework.utils.comparisons import COMPARISONS
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.tables import TableLike, tables_of

__all__ = ["ValidationResult", "compare_readings", "validate_deployment"]


@dataclass(frozen=True)
class ValidationResult(Result):
    """The outcome of a validation. `tables` are those of the classes, `findings` are sorted."""

    target: str
    tables: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def success(self) -> bool:
        """True without a finding of severity error."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def validate_deployment(tables: Iterable[TableLike], target: TargetConfig) -> ValidationResult:
    """Compare the tables of the classes with the target; nothing on the target changes.

    Raises TryAgainError when the target is not reachable, ConfigurationError and DeploymentError when it cannot be read.
    """
    started = perf_counter()
    wanted = tables_of(tables)
    live = open_target(target)
    with live.engine.errors(target, "validate"):
        live.engine.attach_schemas(live, schemas_of(wanted))
        with live.sql.connect() as connection:
            try:
                expected, found = _read_both(live, connection, wanted)
            finally:
                connection.rollback()
    return ValidationResult(
        target=target.name,
        tables=tuple(table.fullname for table in wanted),
        findings=compare_readings(expected, found),
        seconds=perf_counter() - started,
    )


def compare_readings(expected: Reading, found: Reading) -> tuple[Finding, ...]:
    """All differences between two readings of one kind of database, sorted."""
    findings: list[Finding] = []
    for key, reading in expected.items():
        name = ".".join(part for part in key if part)
        twin = found.get(key)
        if twin is None:
            findings.append(
                Finding(
                    name, "DK101", None, "a table", "no such table", "the table was dropped or never deployed"
                )
            )
            continue
        for compare in COMPARISONS:
            findings.extend(compare(name, reading, twin))
    return tuple(sorted(findings, key=lambda f: (f.table, f.code, f.column or "", f.expected)))


def _read_both(live: LiveTarget, connection: Connection, tables: Sequence[Table]) -> tuple[Reading, Reading]:
    keys = [(table.schema, table.name) for table in tables]
    found = live.engine.read(connection, keys, live.places(connection, tables))
    with live.engine.shadow(live.sql, connection, with_referred(tables)) as (scratch, places):
        expected = live.engine.read(scratch, keys, places)
    return expected, found
