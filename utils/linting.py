"""Lint: what the classes of a datakit say that databases do not do alike, before any DDL."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from time import perf_counter

from sqlmodel_framework.base.errors import ConfigurationError, DiscoveryError
from sqlmodel_framework.base.results import Result
from sqlmodel_framework.engines.base import installed_engines
from sqlmodel_framework.utils.discovery import Datakit, PartOfDatakit, load_what_imports
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.lint import RULES
from sqlmodel_framework.utils.lint.failures import explained
from sqlmodel_framework.utils.lint.fixes import fix_of
from sqlmodel_framework.utils.lint.subject import Database, Subject, databases_of
from sqlmodel_framework.utils.lint.suppressions import Suppressions
from sqlmodel_framework.utils.rules import Rules
from sqlmodel_framework.utils.sources import Place, Sources
from sqlmodel_framework.utils.tables import TableLike, table_of

__all__ = ["LintResult", "lint_datakit"]


@dataclass(frozen=True)
class LintResult(Result):
    """What lint found. `databases` are the types that it looked at, `findings` are sorted.

    `notes` say what was left out, and which rules matched nothing. `broken` are file and line of the modules that cannot
    be imported and that no finding is about. `error` is there where modules cannot be imported and no finding says why: the others
    were looked at.
    """

    datakit: str
    databases: tuple[str, ...]
    tables: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    error: DiscoveryError | None = None
    broken: tuple[tuple[str, int | None], ...] = ()

    @property
    def success(self) -> bool:
        """True without an error, and without a finding of severity error or warning."""
        return self.error is None and all(finding.severity is Severity.INFO for finding in self.findings)


def lint_datakit(
    kit: str | os.PathLike[str] | Datakit,
    *,
    databases: Sequence[str] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fix_hints: bool = False,
) -> LintResult:
    """Say what the classes of a datakit leave to each database. Nothing is connected.

    `databases` are target types, such as mysql; none means all that are installed. `select` and `ignore` say which
    findings count, see `Rules`; comments in the classes leave out others. With `fix_hints`, findings hold the corrected
    lines where there are such. Raises DiscoveryError where nothing of the kit can be read, ConfigurationError for an
    unknown type or rule.
    """
    rules = Rules(select=select, ignore=ignore, lint=True)
    chosen = databases_of(_known(databases))
    part = PartOfDatakit(kit) if isinstance(kit, Datakit) else load_what_imports(kit)
    started = perf_counter()
    assert part.kit is not None
    sources = Sources(part.kit)
    broken, unexplained, error = explained(part, sources, fix_hints=fix_hints)
    whole = not part.failures
    with _set_aside():
        found = [*broken, *_findings(part.kit, chosen, sources, fix_hints=fix_hints, whole=whole)]
        counted = sorted(rules.apply(found), key=_order)
    left_out = len(found) - len(counted)
    tables = tuple(table_of(item).fullname for item in part.kit.tables)
    notes = (
        [f"{left_out} finding{'s' if left_out != 1 else ''} left out by select and ignore"]
        if left_out
        else []
    )
    if whole:
        known = {*tables, *(finding.table for finding in found)}
        notes += [
            f"the rule {entry} matched nothing: no table is named so" for entry in rules.unmatched(known)
        ]
    return LintResult(
        datakit=part.kit.name,
        databases=tuple(database.kind for database in chosen),
        tables=tables,
        findings=tuple(counted),
        seconds=perf_counter() - started,
        notes=tuple(notes),
        error=error,
        broken=unexplained,
    )


@contextmanager
def _set_aside() -> Iterator[None]:
    """Leave what is in memory out of garbage collections: to look through 1,000 classes takes longer than to lint them."""
    frozen = gc.get_freeze_count() > 0
    if not frozen:
        gc.freeze()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()


def _known(kinds: Sequence[str]) -> Sequence[str]:
    installed = list(installed_engines())
    if isinstance(kinds, str):
        raise ConfigurationError(
            "databases are a list of types", seen="one text", expected="such as ['mysql']"
        )
    unknown = [kind for kind in kinds if kind not in installed]
    if unknown:
        raise ConfigurationError(
            "no database of this type is known",
            seen=", ".join(unknown),
            expected=f"one of {', '.join(installed)}",
            next_step=_meant(unknown[0], installed),
        )
    return list(dict.fromkeys(kinds)) or installed


def _meant(kind: str, installed: Sequence[str]) -> str | None:
    names = {
        name: said
        for engine in installed_engines().values()
        for name, said in engine.capabilities.also_called
    }
    close = get_close_matches(kind.lower(), installed, 1)
    return names.get(kind.lower()) or (f"did you mean {close[0]}?" if close else None)


def _order(finding: Finding) -> tuple[object, ...]:
    return (finding.file or "", finding.line or 0, finding.code, finding.sort_key)


def _findings(
    kit: Datakit, databases: Sequence[Database], sources: Sources, *, fix_hints: bool, whole: bool
) -> Iterator[Finding]:
    suppressions = Suppressions()
    for item in kit.tables:
        subject = Subject(kit.name, item, databases)
        for rule in RULES.values():
            for finding in rule(subject):
                place = _place(sources, item, subject, finding)
                if suppressions.cover(finding, place):
                    continue
                fix = fix_of(finding, subject, place) if fix_hints and place is not None else None
                yield _at(finding, place, fix)
    everything = whole and len(databases) == len(installed_engines())
    yield from suppressions.complaints(sources, unused=everything)


def _place(sources: Sources, item: TableLike, subject: Subject, finding: Finding) -> Place | None:
    """The field that a finding is about, or the class."""
    column = subject.contract.columns.get(finding.column or "")
    if column is not None and column.field is not None:
        place = sources.field_place(item, column.field)
        if place is not None:
            return place
    return sources.class_place(item)


def _at(finding: Finding, place: Place | None, fix: object) -> Finding:
    if place is None:
        return finding
    return replace(finding, file=place.file.shown, line=place.line, fix=fix)  # type: ignore[arg-type]
