"""Findings of lint for a person at a terminal: place, code and message, what it means, the fix; the summary comes last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.reports.words import fix_lines, printable

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["lint_lines"]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
_INDENT = "    "
_WIDEST = 120
"""Longer lines are hard to read, however wide the terminal is."""


def lint_lines(findings: Sequence[Finding], width: int) -> Iterator[Text]:
    """A block of lines for each finding, with an empty line behind it. Its first line and those of its fix are never wrapped."""
    from rich.text import Text

    for finding in findings:
        where = "" if finding.file is None else printable(f"{finding.file}:{finding.line}")
        head = Text(f"{where}: " if where else "", style="bold")
        head.append(f"{finding.code} {finding.severity.value}", style=_STYLES[finding.severity])
        head.append(f" {finding.name}: ", style="default")
        head.append(printable(finding.place), style="bold")
        yield head
        told = (f"expected {finding.expected}, found {finding.found}", *finding.cause.split("; "))
        for sentence in told:
            for line in wrap(
                printable(sentence), max(30, min(width, _WIDEST) - len(_INDENT)), subsequent_indent="  "
            ):
                yield Text(_INDENT + line, style="" if sentence is told[0] else "dim")
        if finding.fix is not None:
            for line in fix_lines(finding.fix):
                style = {"-": "red", "+": "green"}.get(line[:1], "")
                yield Text(f"{_INDENT}{line}", style=style)
        yield Text("")
