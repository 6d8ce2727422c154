"""Text for a person, in plain lines; terminal.py draws the same as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sqlmodel_framework.base.errors import DeploymentError
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.reports.document import TargetReport
from sqlmodel_framework.utils.reports.words import (
    count,
    counts,
    fix_lines,
    printable,
    printable_lines,
    statements_of,
)

if TYPE_CHECKING:
    from sqlmodel_framework.utils.deployment import DeploymentResult
    from sqlmodel_framework.utils.proof.prove import ProofResult
    from sqlmodel_framework.utils.validation import ValidationResult

__all__ = ["INDENT", "as_text", "details", "error_lines", "finding_lines", "headline", "mending", "remarks"]

INDENT = "     "


def as_text(reports: Iterable[TargetReport], *, verbose: bool = False) -> Iterator[str]:
    """Plain lines: one or more a target, then its findings; `verbose` adds every table and the statements that would mend it."""
    for report in reports:
        yield headline(report)
        yield from details(report, verbose=verbose)
        yield from finding_lines(report.findings, verbose=verbose)
        yield from remarks(report)
        yield from error_lines(report)


def headline(report: TargetReport) -> str:
    """What was done on the target, and whether it succeeded."""
    mark = "ok  " if report.exit_code == 0 else "FAIL"
    steps = "; ".join(_steps(report)) or "nothing was done"
    return printable(f"{mark} {report.target} ({report.address}): {steps}")


def _steps(report: TargetReport) -> Iterator[str]:
    if report.deployment is not None:
        done = report.deployment
        parts = [f"{count(len(done.created), 'table')} created"]
        parts += [f"{len(done.skipped)} there already"] if done.skipped else []
        parts += [f"{len(done.replaced)} replaced"] if done.replaced else []
        yield f"{', '.join(parts)} in {done.seconds:.2f} s"
    if report.validation is not None:
        done_in = f"in {count(len(report.validation.tables), 'table')}, {report.validation.seconds:.2f} s"
        yield f"validated: {_outcome(report.validation)} {done_in}"
    if report.proof is not None:
        yield from _proof_steps(report.proof)
    if report.lint is not None:
        done_in = f"in {count(len(report.lint.tables), 'table')}, {report.lint.seconds:.2f} s"
        yield f"linted: {_findings_in_words(report.lint.findings) or 'no finding'} {done_in}"
    if report.cleanup is not None:
        yield f"cleaned up: {count(len(report.cleanup.dropped), 'table')} dropped"
    if isinstance(report.error, DeploymentError) and report.deployment is None:
        yield "not validated" if report.validating else "not deployed"


def _proof_steps(proof: ProofResult) -> Iterator[str]:
    words = _findings_in_words(proof.findings)
    done = f"{count(len(proof.proven), 'table')}, {count(proof.rows, 'row')}, {proof.seconds:.1f} s"
    yield f"proven: {words + ' in ' if words else ''}{done}"
    if proof.not_proven:
        yield f"not proven: {count(len(proof.not_proven), 'table')}"


def _outcome(validation: ValidationResult) -> str:
    words = _findings_in_words(validation.findings)
    none = "no difference that counts" if validation.left_out else "no difference"
    if not validation.unverified:
        return words or none
    return f"{words or none + ' seen'}, {count(len(validation.unverified), 'thing')} unverified"


def _findings_in_words(findings: Sequence[Finding]) -> str:
    """`2 findings`, with the severities where one is no error."""
    number = counts(findings)
    kinds = [count(number["error"], "error"), count(number["warning"], "warning"), f"{number['info']} info"]
    told = ", ".join(kind for kind in kinds if not kind.startswith("0 "))
    if len(findings) == number["error"]:
        return count(len(findings), "finding") if findings else ""
    return f"{count(len(findings), 'finding')} ({told})"


def details(report: TargetReport, *, verbose: bool) -> Iterator[str]:
    """What to know about the deployment."""
    if report.deployment is not None:
        yield from _deployment_lines(report.deployment, verbose=verbose)


def _deployment_lines(deployment: DeploymentResult, *, verbose: bool) -> Iterator[str]:
    yield from (f"{INDENT}note: {printable(note)}" for note in deployment.notes)
    if verbose:
        yield from (f"{INDENT}created {printable(name)}" for name in deployment.created)
        yield from (f"{INDENT}there already {printable(name)}" for name in deployment.skipped)


def finding_lines(findings: Iterable[Finding], *, verbose: bool) -> Iterator[str]:
    """A line a finding; `verbose` adds the statements that would mend it, once where several findings share them."""
    told: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        yield f"{INDENT}{_place_in_file(finding)}{_severity_word(finding)}{printable(str(finding))}"
        if finding.fix is not None:
            yield from (f"{INDENT}  {line}" for line in fix_lines(finding.fix))
        if verbose and finding.ddl:
            first = told.setdefault(finding.ddl, finding)
            yield from mending(finding, INDENT + "  ") if first is finding else [_as_above(first)]


def _as_above(first: Finding) -> str:
    return f"{INDENT}  would mend it: the same as for {first.code} {printable(first.place)}"


def remarks(report: TargetReport) -> Iterator[str]:
    """What could not be checked, and notes."""
    yield from (f"{INDENT}unverified: {printable(sentence)}" for sentence in report.unverified)
    yield from (f"{INDENT}note: {printable(note)}" for note in report.notes)


def error_lines(report: TargetReport) -> Iterator[str]:
    """The error, in as many lines as it has."""
    if report.error is not None:
        first, *others = printable_lines(str(report.error))
        yield f"{INDENT}error: {first}"
        yield from (f"{INDENT}  {line}" for line in others)


def _place_in_file(finding: Finding) -> str:
    return "" if finding.file is None else printable(f"{finding.file}:{finding.line}: ")


def _severity_word(finding: Finding) -> str:
    return "" if finding.severity is Severity.ERROR else f"{finding.severity.value}: "


def mending(finding: Finding, indent: str) -> Iterator[str]:
    """The statements that would mend a finding."""
    yield f"{indent}would mend it:"
    yield from (f"{indent}  {line}" for line in statements_of(finding))
