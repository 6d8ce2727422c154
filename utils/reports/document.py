"""The versioned JSON document; report.schema.json beside this file says what is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.errors import DatakitError, TryAgainError, ValidationFailedError
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.reports.words import counts

if TYPE_CHECKING:
    from sqlmodel_framework.engines.live import CleanupResult
    from sqlmodel_framework.utils.deployment import DeploymentResult
    from sqlmodel_framework.utils.validation import ValidationResult

__all__ = ["FORMAT_VERSION", "TargetReport", "as_json", "error_as_json", "exit_code_of", "report_schema"]

FORMAT_VERSION = 1
"""Version of the JSON document; it grows when a field changes its meaning or goes."""


@dataclass
class TargetReport:
    """What was done on one target; None where it was not asked for or not reached. `validating`: nothing was to be deployed."""

    target: str
    address: str
    deployment: DeploymentResult | None = None
    validation: ValidationResult | None = None
    cleanup: CleanupResult | None = None
    error: DatakitError | None = None
    validating: bool = False

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


def report_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of every document that the programs print."""
    text = files(__package__).joinpath("report.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


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
        "tables": list(validation.tables),
        "counts": counts(validation.findings),
        "findings": [_finding_document(finding) for finding in validation.findings],
        "unverified": list(validation.unverified),
        "notes": list(validation.notes),
    }


def _finding_document(finding: Finding) -> dict[str, Any]:
    return {"name": finding.name, "severity": finding.severity.value, **asdict(finding)}


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
