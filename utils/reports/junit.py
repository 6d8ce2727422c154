"""JUnit's XML: a test suite a target, a test case a table.

Read by Jenkins, GitLab, Azure DevOps and others; the form is that of https://github.com/testmoapp/junitxml.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.reports.document import TargetReport
from sqlmodel_framework.utils.reports.matrix import rows_of
from sqlmodel_framework.utils.reports.words import (
    by_table,
    count,
    fix_lines,
    printable,
    printable_lines,
    statements_of,
)

__all__ = ["as_junit"]


def as_junit(kit: str, tables: Sequence[str], reports: Sequence[TargetReport]) -> str:
    """The run as one XML document.

    A table's findings of severity error are one `failure`, the others its `system-out`; of lint, warnings fail, too. What could not be checked is an
    `error` in a case of its own, as is an error of the target. No table passes that was not validated wholly:
    it is `skipped`, or has failed.
    """
    root = Element("testsuites", name=printable(kit))
    for report in reports:
        _add_suite(root, kit, report, tables)
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in root):.3f}")
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode")


def _add_suite(root: Element, kit: str, report: TargetReport, tables: Sequence[str]) -> None:
    suite = SubElement(root, "testsuite", name=printable(report.target))
    findings = by_table(report.findings)
    own = set(tables if report.tables is None else report.tables)
    skipped = _why_skipped(report)
    not_proven = report.proof.not_proven if report.proof is not None else {}
    for table in rows_of([report], tables):
        _add_table(
            _case(suite, kit, report, table),
            findings[table],
            _FAILING if report.lint is None else _FAILING_LINT,
            _why_this(table, not_proven, skipped) if table in own or findings[table] else "not validated",
        )
    if report.unverified:
        _add_unverified(_case(suite, kit, report, "(unverified)"), report.unverified)
    if report.error is not None:
        _add_error(_case(suite, kit, report, "(target)" if report.lint is None else kit), report.error)
    if report.notes:
        SubElement(suite, "system-out").text = _lines(report.notes)
    _count(suite, report)


def _case(suite: Element, kit: str, report: TargetReport, name: str) -> Element:
    class_name = printable(f"{kit}.{report.target}")
    return SubElement(suite, "testcase", classname=class_name, name=printable(name))


def _why_skipped(report: TargetReport) -> str | None:
    """Why a table without an error has not passed; None where it has."""
    if report.tables is None:
        return "not reached" if report.error is not None else "not validated"
    if report.validation is not None and report.validation.unverified:
        return "not everything could be checked: see (unverified)"
    return None


def _why_this(table: str, not_proven: Mapping[str, str], skipped: str | None) -> str | None:
    return f"not proven: {printable(not_proven[table])}" if table in not_proven else skipped


_FAILING = {Severity.ERROR}
_FAILING_LINT = {Severity.ERROR, Severity.WARNING}


def _add_table(
    case: Element, findings: Sequence[Finding], failing: Collection[Severity], skipped: str | None
) -> None:
    errors = [finding for finding in findings if finding.severity in failing]
    others = [finding for finding in findings if finding.severity not in failing]
    if errors:
        kinds = ", ".join(dict.fromkeys(f"{finding.code} {finding.name}" for finding in errors))
        message = f"{count(len(errors), 'difference')}: {kinds}"
        SubElement(case, "failure", type=errors[0].name, message=message).text = _told(errors)
    elif skipped is not None:
        SubElement(case, "skipped", message=skipped)
    if others:
        SubElement(case, "system-out").text = _told(others)


def _add_unverified(case: Element, sentences: Sequence[str]) -> None:
    message = f"{count(len(sentences), 'thing')} could not be checked"
    SubElement(case, "error", type="unverified", message=message).text = _lines(sentences)


def _add_error(case: Element, error: DatakitError) -> None:
    message = printable(error.what)
    SubElement(case, "error", type=type(error).__name__, message=message).text = "\n".join(
        printable_lines(str(error))
    )


def _told(findings: Iterable[Finding]) -> str:
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.severity.value}: {printable(str(finding))}")
        if finding.ddl:
            lines.append("would mend it:")
        lines += (f"  {line}" for line in statements_of(finding))
        lines += (f"  {line}" for line in (fix_lines(finding.fix) if finding.fix else ()))
    return "\n".join(lines)


def _lines(sentences: Iterable[str]) -> str:
    return "\n".join(map(printable, sentences))


def _count(suite: Element, report: TargetReport) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for total, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(total, str(len(suite.findall(f"testcase/{name}"))))
    steps = (report.deployment, report.checked, report.proof)
    suite.set("time", f"{sum(step.seconds for step in steps if step is not None):.3f}")
