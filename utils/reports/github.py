"""Workflow commands of GitHub Actions: findings as annotations.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.reports.document import TargetReport
from sqlmodel_framework.utils.reports.words import (
    Sources,
    difference,
    fix_lines,
    printable,
    printable_lines,
    source_of,
    statements_of,
)

__all__ = ["as_github"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_github(
    reports: Sequence[TargetReport], sources: Sources | None = None, *, verbose: bool = False
) -> Iterator[str]:
    """One command a finding, an error, and a thing that could not be checked; none where all is well."""
    for report in reports:
        for finding in report.findings:
            yield _finding_command(report, finding, sources or {}, verbose=verbose)
        for sentence in report.unverified:
            yield _command("error", {"title": "unverified"}, printable(f"{report.target}: {sentence}"))
        if report.error is not None:
            lines = "\n".join(printable_lines(f"{report.target}: {report.error}"))
            yield _command("error", {**_broken(report), "title": type(report.error).__name__}, lines)


def _broken(report: TargetReport) -> dict[str, str]:
    """The place of the first module that lint could not import."""
    if report.lint is None or not report.lint.broken:
        return {}
    file, line = report.lint.broken[0]
    return {
        "file": printable(Path(file).as_posix()),
        **({} if line is None else {"line": str(line)}),
    }


def _finding_command(report: TargetReport, finding: Finding, sources: Sources, *, verbose: bool) -> str:
    properties: dict[str, str] = {}
    place = source_of(finding, sources)
    if place is not None:
        file, line = place
        properties = {"file": printable(Path(file).as_posix()), "line": str(line)}
    properties["title"] = f"{finding.code} {finding.name}"
    message = f"{printable(f'{report.target}: {finding.place}')}: {difference(finding)}"
    if verbose and finding.ddl:
        message = "\n".join([message, "would mend it:", *statements_of(finding)])
    if finding.fix is not None:
        message = "\n".join([message, *fix_lines(finding.fix)])
    return _command(_COMMANDS[finding.severity], properties, message)


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    told = ",".join(f"{key}={_escaped_property(value)}" for key, value in properties.items())
    return f"::{name} {told}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
