"""What happened, as text for a person and as JSON for a machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel_framework.base.errors import DatakitError, DeploymentError, TryAgainError, ValidationFailedError
from sqlmodel_framework.engines.live import CleanupResult
from sqlmodel_framework.utils.deployment import DeploymentResult
from sqlmodel_framework.utils.validation import ValidationResult

__all__ = ["FORMAT_VERSION", "TargetReport", "as_json", "as_text", "error_as_json", "exit_code_of"]

FORMAT_VERSION = 1
"""Version of the JSON document; it grows when a field changes its meaning or goes."""


@dataclass
class TargetReport:
    """What was done on one target; None where it was not asked for or not reached."""

    target: str
    address: str
    deployment: DeploymentResult | None = None
    validation: ValidationResult | None = None
    cleanup: CleanupResult | None = None
    error: DatakitError | None = None

    @property
    def exit_code(self) -> int:
        """0, or the code of the first thing that failed."""
        if self.error is not None:
            return self.error.exit_code
        if self.validation is not None and not self.validation.success:
            return ValidationFailedError.exit_code
        return 0


def exit_code_of(reports: Sequence[TargetReport]) -> int:
    """The first failure's code; 75 (try again) only where no target failed in another way."""
    codes = [report.exit_code for report in reports if report.exit_code]
    return next((code for code in codes if code != TryAgainError.exit_code), codes[0] if codes else 0)


def as_json(kit: str, tables: Sequence[str], reports: Sequence[TargetReport]) -> str:
    """The versioned document of a run."""
    document = {
        "format_version": FORMAT_VERSION,
        "datakit": kit,
        "tables": list(tables),
        "success": exit_code_of(reports) == 0,
        "targets": [_target_document(report) for report in reports],
    }
    return json.dumps(document, indent=2)


def error_as_json(error: DatakitError) -> str:
    """The document of a run that failed before any target was reached."""
    return json.dumps(
        {"format_version": FORMAT_VERSION, "success": False, "error": _error_document(error)}, indent=2
    )


def _target_document(report: TargetReport) -> dict[str, Any]:
    return {
        "target": report.target,
        "address": report.address,
        "success": report.exit_code == 0,
        "exit_code": report.exit_code,
        "deployment": asdict(report.deployment) if report.deployment else None,
        "validation": _validation_document(report.validation) if report.validation else None,
        "cleanup": asdict(report.cleanup) if report.cleanup else None,
        "error": _error_document(report.error) if report.error else None,
    }


def _validation_document(validation: ValidationResult) -> dict[str, Any]:
    return {
        "success": validation.success,
        "seconds": validation.seconds,
        "findings": [{"name": finding.name, **asdict(finding)} for finding in validation.findings],
    }


def _error_document(error: DatakitError) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "exit_code": error.exit_code,
        "retryable": error.retryable,
        "message": error.what,
        "where": error.where,
        "seen": error.seen,
        "expected": error.expected,
        "next_step": error.next_step,
    }


def as_text(reports: Iterable[TargetReport], *, verbose: bool = False) -> Iterator[str]:
    """Lines for a person: one or more a target, then its findings."""
    for report in reports:
        mark = "ok  " if report.exit_code == 0 else "FAIL"
        yield f"{mark} {report.target} ({report.address}): {'; '.join(_steps(report)) or 'nothing was done'}"
        if report.deployment is not None:
            yield from _deployment_lines(report.deployment, verbose=verbose)
        if report.validation is not None:
            yield from (f"     {finding}" for finding in report.validation.findings)
        if report.error is not None:
            yield f"     error: {report.error}"


def _steps(report: TargetReport) -> Iterator[str]:
    if report.deployment is not None:
        done = report.deployment
        parts = [f"{_count(len(done.created), 'table')} created"]
        parts += [f"{len(done.skipped)} there already"] if done.skipped else []
        parts += [f"{len(done.replaced)} replaced"] if done.replaced else []
        yield f"{', '.join(parts)} in {done.seconds:.2f} s"
    if report.validation is not None:
        findings = report.validation.findings
        outcome = "no difference" if not findings else _count(len(findings), "finding")
        yield f"validated: {outcome} in {_count(len(report.validation.tables), 'table')}, {report.validation.seconds:.2f} s"
    if report.cleanup is not None:
        yield f"cleaned up: {_count(len(report.cleanup.dropped), 'table')} dropped"
    if isinstance(report.error, DeploymentError) and report.deployment is None:
        yield "not deployed"


def _deployment_lines(deployment: DeploymentResult, *, verbose: bool) -> Iterator[str]:
    yield from (f"     note: {note}" for note in deployment.notes)
    if verbose:
        yield from (f"     created {name}" for name in deployment.created)
        yield from (f"     there already {name}" for name in deployment.skipped)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
