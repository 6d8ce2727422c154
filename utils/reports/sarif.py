"""SARIF 2.1.0: findings for code scanning.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlmodel_framework._version import __version__
from sqlmodel_framework.utils.findings import CODES, LINT_CODES, Finding, Severity
from sqlmodel_framework.utils.reports.document import TargetReport, exit_code_of
from sqlmodel_framework.utils.reports.explanations import EXPLANATIONS
from sqlmodel_framework.utils.reports.lint_explanations import LINT_EXPLANATIONS
from sqlmodel_framework.utils.reports.words import Sources, difference, printable, source_of

__all__ = ["as_sarif"]

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def as_sarif(kit: str, reports: Sequence[TargetReport], sources: Sources | None = None) -> str:
    """One run with the findings of all targets, and a rule for every code.

    A result's logical location names target, table, and column or part; a physical one stands where `sources` knows the
    class. Errors and what could not be checked are notifications, and the invocation is then not successful.
    """
    codes = LINT_CODES if any(report.lint is not None for report in reports) else CODES
    run = {
        "tool": {"driver": {"name": "datakit", "semanticVersion": __version__, "rules": list(_rules(codes))}},
        "automationDetails": {"id": f"datakit/{quote(kit, errors='backslashreplace')}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(reports)],
        "results": [
            _result(report, finding, sources or {}, list(codes))
            for report in reports
            for finding in report.findings
        ],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(document, indent=2)


def _rules(codes: Mapping[str, tuple[str, Severity]]) -> Iterator[dict[str, Any]]:
    for code, (name, severity) in codes.items():
        meaning, advice = (EXPLANATIONS | LINT_EXPLANATIONS)[code]
        yield {
            "id": code,
            "name": name.title().replace("-", ""),
            "shortDescription": {"text": name},
            "fullDescription": {"text": meaning},
            "help": {"text": f"{meaning} {advice}"},
            "defaultConfiguration": {"level": _LEVELS[severity]},
        }


def _result(report: TargetReport, finding: Finding, sources: Sources, codes: Sequence[str]) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{printable(f'{report.target}: {finding.place}')}: {difference(finding)}"},
        "locations": [_location(report, finding, sources)],
        "partialFingerprints": {"datakit/v1": _fingerprint(report, finding)},
        "properties": {
            "target": report.target,
            "expected": finding.expected,
            "found": finding.found,
            "cause": finding.cause,
            "ddl": list(finding.ddl),
            "fix": asdict(finding.fix) if finding.fix else None,
        },
    }


def _location(report: TargetReport, finding: Finding, sources: Sources) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": list(_logical_locations(report, finding))}
    place = source_of(finding, sources)
    if place is not None:
        location["physicalLocation"] = _physical(*place)
    return location


def _physical(file: str, line: int) -> dict[str, Any]:
    path = Path(file).as_posix()
    uri = ("file://" if path.startswith("/") else "") + quote(path, errors="backslashreplace")
    return {"artifactLocation": {"uri": uri}, "region": {"startLine": max(line, 1)}}


def _logical_locations(report: TargetReport, finding: Finding) -> Iterator[dict[str, str]]:
    """The innermost place first: readers that show one show the first."""
    steps = [("target", report.target), ("table", finding.table)]
    if finding.column is not None:
        steps.append(("column", finding.column))
    elif finding.part is not None:
        steps.append(("part", finding.part))
    for end in range(len(steps), 0, -1):
        kind, name = steps[end - 1]
        yield {"name": name, "kind": kind, "fullyQualifiedName": "/".join(step for _, step in steps[:end])}


def _fingerprint(report: TargetReport, finding: Finding) -> str:
    """The same for the same difference on the next day: what was expected and found is not part of it."""
    place = (report.target, finding.code, finding.table, finding.column or "", finding.part or "")
    return sha256("\0".join(place).encode("utf-8", "backslashreplace")).hexdigest()


def _invocation(reports: Sequence[TargetReport]) -> dict[str, Any]:
    notifications = [notification for report in reports for notification in _notifications(report)]
    return {
        "executionSuccessful": not any(notification["level"] == "error" for notification in notifications),
        "exitCode": exit_code_of(reports),
        "toolExecutionNotifications": notifications,
    }


def _notifications(report: TargetReport) -> Iterator[dict[str, Any]]:
    if report.error is not None:
        broken = () if report.lint is None else report.lint.broken
        yield _notification("error", f"{report.target}: {report.error}", broken)
    for sentence in report.unverified:
        yield _notification("error", f"{report.target}: unverified: {sentence}")
    for note in report.notes:
        yield _notification("note", f"{report.target}: {note}")


def _notification(level: str, text: str, places: Sequence[tuple[str, int | None]] = ()) -> dict[str, Any]:
    notification: dict[str, Any] = {"level": level, "message": {"text": printable(text)}}
    if places:
        notification["locations"] = [
            {"physicalLocation": _physical(file, 1 if line is None else line)} for file, line in places
        ]
    return notification
