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
    from sqlmodel_framework.utils.linting import LintResult
    from sqlmodel_framework.utils.proof.prove import ProofResult
    from sqlmodel_framework.utils.validation import ValidationResult

__all__ = [
    "FORMAT_VERSION",
    "TargetReport",
    "as_json",
    "error_as_json",
    "exit_code_of",
    "lint_document",
    "report_schema",
]

FORMAT_VERSION = 1
"""Version of the JSON document; it grows when a field changes its meaning or goes."""


@dataclass
class TargetReport:
    """What was done on one target; None where it was not asked for or not reached. `validating`: nothing was to be deployed.

    A report on `lint` names the datakit in the target's place: no target has a part in it. `proof_required`: what is not
    proven could not be checked.
    """

    target: str
    address: str
    deployment: DeploymentResult | None = None
    validation: ValidationResult | None = None
    cleanup: CleanupResult | None = None
    error: DatakitError | None = None
    validating: bool = False
    lint: LintResult | None = None
    proof: ProofResult | None = None
    proof_required: bool = False

    @property
    def checked(self) -> ValidationResult | LintResult | None:
        """What compared or read; a proof may give findings beside it."""
        return self.validation or self.lint

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, sorted."""
        own = self.checked.findings if self.checked else ()
        if self.proof is None:
            return own
        return tuple(sorted((*own, *self.proof.findings), key=lambda finding: finding.sort_key))

    @property
    def tables(self) -> tuple[str, ...] | None:
        """The tables that were looked at; None where none were."""
        looked = self.checked or self.proof
        return tuple(looked.tables) if looked is not None else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing and no finding."""
        own = tuple(self.checked.notes) if self.checked else ()
        if self.proof is None:
            return own
        return (*own, *self.proof.notes, *(() if self.proof_required else self._not_proven))

    @property
    def _not_proven(self) -> tuple[str, ...]:
        reasons = self.proof.not_proven if self.proof else {}
        if len(reasons) > 1 and self.proof and not self.proof.proven and len(set(reasons.values())) == 1:
            return (f"not proven: all {len(reasons)} tables ({next(iter(reasons.values()))})",)
        return tuple(f"not proven: {table} ({reason})" for table, reason in reasons.items())

    @property
    def unverified(self) -> tuple[str, ...]:
        """What could not be checked; lint reads classes, and checks them all."""
        own = self.validation.unverified if self.validation else ()
        return (*own, *self._not_proven) if self.proof_required else own

    @property
    def exit_code(self) -> int:
        """0, or the code of the first thing that failed."""
        if self.error is not None:
            return self.error.exit_code
        if self.checked is not None and not self.checked.success:
            return ValidationFailedError.exit_code
        if self.proof is not None and (not self.proof.success or self.unverified):
            return ValidationFailedError.exit_code
        return 0


def exit_code_of(reports: Sequence[TargetReport]) -> int:
    """The first failure's code; 75 (try again) only where no target failed in another way."""
    codes = [report.exit_code for report in reports if report.exit_code]
    return next((code for code in codes if code != TryAgainError.exit_code), codes[0] if codes else 0)


def as_json(kit: str, tables: Sequence[str], reports: Sequence[TargetReport]) -> str:
    """The versioned document of a run."""
    if any(report.lint is not None for report in reports):
        return _lint_as_json(kit, tables, reports[0])
    document = {
        "format_version": FORMAT_VERSION,
        "datakit": kit,
        "tables": list(tables),
        "success": exit_code_of(reports) == 0,
        "targets": [_target_document(report) for report in reports],
    }
    return json.dumps(document, indent=2)


def _lint_as_json(kit: str, tables: Sequence[str], report: TargetReport) -> str:
    assert report.lint is not None
    document = {
        "format_version": FORMAT_VERSION,
        "datakit": kit,
        "tables": list(tables),
        "success": report.exit_code == 0,
        "lint": lint_document(report.lint),
        "error": _error_document(report.error) if report.error else None,
    }
    return json.dumps(document, indent=2)


def lint_document(lint: LintResult) -> dict[str, Any]:
    """What lint found, as a part of a document."""
    return {
        "success": lint.success,
        "seconds": lint.seconds,
        "databases": list(lint.databases),
        "counts": counts(lint.findings),
        "findings": [_finding_document(finding) for finding in lint.findings],
        "notes": list(lint.notes),
    }


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
        "proof": _proof_document(report.proof, required=report.proof_required) if report.proof else None,
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


def _proof_document(proof: ProofResult, *, required: bool) -> dict[str, Any]:
    return {
        "success": proof.success and not (required and proof.not_proven),
        "required": required,
        "seconds": proof.seconds,
        "proven": list(proof.proven),
        "not_proven": [{"table": name, "reason": reason} for name, reason in proof.not_proven.items()],
        "rows": proof.rows,
        "forbidden": proof.forbidden,
        "counts": counts(proof.findings),
        "findings": [_finding_document(finding) for finding in proof.findings],
        "notes": list(proof.notes),
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
