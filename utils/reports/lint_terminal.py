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
_FIX_STYLES = {"-": "red", "+": "green"}
_INDENT = "    "
_NARROWEST, _WIDEST = 30, 120
"""Longer lines are hard to read, however wide the terminal is."""


def lint_lines(findings: Sequence[Finding], width: int) -> Iterator[Text]:
    """A block of lines for each finding, with an empty line behind it. Its first line and those of its fix are never wrapped."""
    from rich.text import Text

    room = max(_NARROWEST, min(width, _WIDEST) - len(_INDENT))
    for finding in findings:
        yield _head(finding)
        yield from _wrapped(f"expected {finding.expected}, found {finding.found}", room)
        for cause in finding.cause.split("; "):
            yield from _wrapped(cause, room, style="dim")
        for line in () if finding.fix is None else fix_lines(finding.fix):
            yield Text(f"{_INDENT}{line}", style=_FIX_STYLES.get(line[:1], ""))
        yield Text("")


def _head(finding: Finding) -> Text:
    from rich.text import Text

    where = "" if finding.file is None else f"{finding.file}:{finding.line}: "
    return Text.assemble(
        (printable(where), "bold"),
        (f"{finding.code} {finding.severity.value}", _STYLES[finding.severity]),
        f" {finding.name}: ",
        (printable(finding.place), "bold"),
    )


def _wrapped(sentence: str, room: int, style: str = "") -> Iterator[Text]:
    from rich.text import Text

    for line in wrap(printable(sentence), room, subsequent_indent="  "):
        yield Text(f"{_INDENT}{line}", style=style)
