"""Validation by shadow reading: the classes are deployed to a scratch place, and both sides are read the same way.

Both readings come from the same server, so what the server rewrites (types, spellings, implicit names) is rewritten
on both sides, and only real differences remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

from sqlalchemy import Connection, Table

from sqlmodel_framework.base.results import Result
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import engine_of
from sqlmodel_framework.engines.ddl import Statement, schemas_of, with_referred
from sqlmodel_framework.engines.live import LiveTarget, open_target
from sqlmodel_framework.engines.reading import PartReading, Places, Reading, TableKey, TableReading
from sqlmodel_framework.utils.comparisons import COMPARISONS, NAMES_ONLY
from sqlmodel_framework.utils.expected import Expected, expected_reading
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.proposals import with_ddl
from sqlmodel_framework.utils.rules import Rules
from sqlmodel_framework.utils.tables import TableLike, tables_of

__all__ = ["ValidationResult", "compare_readings", "validate_deployment"]

_BOOKKEEPING = {
    "alembic_version",
    "spatial_ref_sys",
    "flyway_schema_history",
    "databasechangelog",
    "databasechangeloglock",
}
"""Tables of other tools: never findings."""


@dataclass(frozen=True)
class ValidationResult(Result):
    """The outcome of a validation. `tables` are those of the classes, `findings` are sorted.

    `unverified` says what could not be compared, `notes` what else is worth knowing, `from_cache` whether the expected
    reading was made by an earlier call, `left_out` how many findings `select` and `ignore` did not let count.
    """

    target: str
    tables: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float
    unverified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    from_cache: bool = False
    left_out: int = 0

    @property
    def success(self) -> bool:
        """True where everything could be compared, and no finding has the severity error."""
        return not self.unverified and not any(f.severity is Severity.ERROR for f in self.findings)


def validate_deployment(
    tables: Iterable[TableLike],
    target: TargetConfig,
    *,
    strict: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> ValidationResult:
    """Compare the tables of the classes with the target; nothing on the target changes.

    `strict` also reports tables and columns that only the database has; `select` and `ignore` say which findings count,
    see `Rules`. Raises TryAgainError when the target is not reachable or a table is locked, ConfigurationError and
    DeploymentError when it cannot be read.
    """
    started = perf_counter()
    rules = Rules(strict, select, ignore)
    wanted = tables_of(tables)
    if isinstance(target, TargetConfig):
        engine_of(target).refuse_if_absent(target)
    live = open_target(target)
    with live.engine.errors(target, "validate"):
        live.engine.attach_schemas(live, _schemas_of(wanted), create=False)
        with live.sql.connect() as connection:
            try:
                expected, findings, notes, left_out = _compare(live, connection, wanted, rules)
            finally:
                connection.rollback()
    return ValidationResult(
        target=target.name,
        tables=tuple(table.fullname for table in wanted),
        findings=findings,
        seconds=perf_counter() - started,
        unverified=_unverified(expected),
        notes=notes,
        from_cache=expected.from_cache,
        left_out=left_out,
    )


def _schemas_of(tables: Sequence[Table]) -> Iterator[str]:
    """Looked for only by an engine that attaches schemas."""
    yield from schemas_of(tables)


def _compare(
    live: LiveTarget, connection: Connection, wanted: Sequence[Table], rules: Rules
) -> tuple[Expected, tuple[Finding, ...], tuple[str, ...], int]:
    keys = [(table.schema, table.name) for table in wanted]
    with_all = with_referred(wanted)
    places = live.places(connection, with_all)
    with ThreadPoolExecutor(1) as pool:
        # Writing the DDL is Python's work, reading is mostly the server's.
        rendering = pool.submit(live.engine.render, with_all, connection.dialect)
        found = live.engine.read(connection, keys, Places(places))
        statements = rendering.result()
    expected = expected_reading(live, connection, with_all, statements, places)
    named = {
        key: _with_given_names(expected.reading[key], table)
        for key, table in zip(keys, wanted, strict=True)
        if not _is_equal(expected.reading[key], found.get(key))
    }
    findings = [*compare_readings(named, found, names_only=expected.refusal is not None)]
    if rules.looks_for_extras:
        others = live.engine.existing_tables(connection, live.places(connection, wanted)) - {
            (t.schema, t.name) for t in with_all
        }
        findings.extend(_unexpected_tables(others))
    counting = sorted(rules.apply(findings), key=lambda finding: finding.sort_key)
    left_out = len(findings) - len(counting) - _only_strict(findings, rules)
    notes = tuple(_notes(statements, left_out))
    named_tables = {table.fullname: table for table in wanted}
    if expected.refusal is not None:
        return expected, tuple(counting), notes, left_out
    if not counting:
        return expected, (), notes, left_out
    there = live.engine.existing_free_standing(connection, places)
    missing = [s for s in statements if s.free_standing and not s.makes_again(there)]
    dialect = connection.dialect
    ddl = with_ddl(counting, named_tables, statements, missing, expected.reading, found, live.engine, dialect)
    return expected, ddl, notes, left_out


def _only_strict(findings: Sequence[Finding], rules: Rules) -> int:
    """How many of the findings nobody asked for: they were not left out by a rule."""
    return sum(not rules.asks_for(finding) for finding in findings)


def _notes(statements: Sequence[Statement], left_out: int) -> Iterator[str]:
    if left_out:
        yield f"{left_out} finding{'s' if left_out > 1 else ''} left out by select and ignore"
    for table in sorted({statement.name for statement in statements if statement.custom}):
        yield (
            f"{table}: DDL of the kit's own was not run in the scratch place; what it makes is compared as unexpected"
        )


def compare_readings(expected: Reading, found: Reading, *, names_only: bool = False) -> tuple[Finding, ...]:
    """All differences between two readings of one kind of database, sorted; with `names_only` those of `NAMES_ONLY`."""
    findings: list[Finding] = []
    for key, reading in expected.items():
        name = _full_name(key)
        twin = found.get(key)
        if twin is None:
            cause = "the table was dropped or never deployed"
            findings.append(Finding(name, "DK101", None, "a table", "no such table", cause))
        elif twin.kind != "table":
            cause = "something else stands under the table's name"
            findings.append(Finding(name, "DK102", None, "a table", f"a {twin.kind}", cause))
        else:
            for compare in NAMES_ONLY if names_only else COMPARISONS:
                findings.extend(compare(name, reading, twin))
    return tuple(sorted(findings, key=lambda finding: finding.sort_key))


def _is_equal(expected: TableReading, found: TableReading | None) -> bool:
    """Equal in all, names and the order of columns included: most tables of most validations."""
    return expected == found and list(expected.columns) == list(found.columns)


def _unexpected_tables(keys: Iterable[TableKey]) -> Iterator[Finding]:
    for key in keys:
        if key[1].lower() not in _BOOKKEEPING:
            cause = "the table was created by hand or belongs to others, or the datakit lost its class"
            yield Finding(_full_name(key), "DK103", None, "no such table", "a table", cause)


def _with_given_names(reading: TableReading, table: Table) -> TableReading:
    """Leave only the names that the class gives: those that the server makes up are no promise."""
    parts = (*table.constraints, *table.indexes)
    given = {str(name) for name in (getattr(part, "name", None) for part in parts) if isinstance(name, str)}

    def left(parts: Sequence[PartReading]) -> tuple[PartReading, ...]:
        return tuple(part if part.name in given else replace(part, name=None) for part in parts)

    return replace(
        reading,
        primary_key_name=reading.primary_key_name if reading.primary_key_name in given else None,
        foreign_keys=left(reading.foreign_keys),
        uniques=left(reading.uniques),
        checks=left(reading.checks),
        indexes=left(reading.indexes),
    )


def _unverified(expected: Expected) -> tuple[str, ...]:
    if expected.refusal is None:
        return (expected.note,) if expected.note else ()
    missing = "types, defaults, constraints, indexes, comments, options"
    return (f"{missing}: only names, order and nullability of columns and primary keys; {expected.refusal}",)


def _full_name(key: TableKey) -> str:
    return ".".join(part for part in key if part)
