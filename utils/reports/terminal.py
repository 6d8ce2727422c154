"""Text for a person at a terminal: findings as tables.

What comes from a database or a datakit is text, never markup.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.reports.document import TargetReport
from sqlmodel_framework.utils.reports.lint_terminal import lint_lines
from sqlmodel_framework.utils.reports.text import (
    INDENT,
    details,
    error_lines,
    finding_lines,
    headline,
    mending,
    remarks,
)
from sqlmodel_framework.utils.reports.words import fix_lines, printable, utf_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["as_tables", "console_of", "drawn", "terminal_width"]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_WIDE = 120
_ROOM_FOR_WORDS = 80
_MOST_IN_A_TABLE = 500


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is (COLUMNS counts first); None where stdout is none, or one without control codes."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    return shutil.get_terminal_size().columns


def as_tables(reports: Iterable[TargetReport], *, width: int, verbose: bool = False) -> str:
    """The same for a terminal of `width` columns: the findings of each target as a table, the statements below it.

    More than 500 findings on a target are lines: a table of thousands takes seconds and shows nobody more.
    """
    console = console_of(width)
    for report in reports:
        if report.lint is not None:
            _print_lint(console, report, width)
            continue
        _print(console, headline(report), "red" if report.exit_code else "green")
        _print_lines(console, details(report, verbose=verbose))
        _print_findings(console, report.findings, width=width, verbose=verbose)
        _print_lines(console, remarks(report))
        _print_lines(console, error_lines(report))
    return drawn(console)


def _print_lint(console: Console, report: TargetReport, width: int) -> None:
    """As linters do it: the findings, then the summary, where the eye is when all is printed."""
    for line in lint_lines(report.findings, width):
        line.no_wrap, line.overflow = True, "ignore"
        console.print(line, soft_wrap=True)
    _print_lines(console, remarks(report))
    _print_lines(console, error_lines(report))
    _print(console, headline(report), "red" if report.exit_code else "green")


def console_of(width: int) -> Console:
    """A rich console that keeps what is printed; colours follow TERM and NO_COLOR."""
    from rich.console import Console

    return Console(file=StringIO(), force_terminal=True, width=max(width, 40), highlight=False, emoji=False)


def drawn(console: Console) -> str:
    """What was printed on a console of `console_of`."""
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().rstrip("\n")


def _print_findings(console: Console, findings: Sequence[Finding], *, width: int, verbose: bool) -> None:
    if len(findings) > _MOST_IN_A_TABLE:
        assert isinstance(console.file, StringIO)
        console.file.writelines(f"{line}\n" for line in finding_lines(findings, verbose=verbose))
        return
    if findings:
        console.print(_wide_table(findings) if width >= _WIDE else _narrow_table(findings, width))
    if verbose:
        _print_lines(console, _mending_lines(findings))
    _print_lines(console, _fixes(findings))


def _mending_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings that the same statements would mend stand above them together."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.ddl, []).append(finding)
    groups.pop((), None)
    for group in groups.values():
        yield from (f"{INDENT}{finding.code} {printable(finding.place)}" for finding in group)
        yield from mending(group[0], INDENT)


def _fixes(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.fix is not None:
            yield f"{INDENT}{printable(f'{finding.file}:{finding.line}')}: {finding.code} {printable(finding.place)}"
            yield from (f"{INDENT}  {line}" for line in fix_lines(finding.fix))


def _print(console: Console, line: str, style: str = "") -> None:
    from rich.text import Text

    # Never wrapped: a terminal does it itself, and a statement that is copied stays whole.
    console.print(Text(line, style=style, no_wrap=True, overflow="ignore"), soft_wrap=True)


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        _print(console, line)


def _table(*headings: str) -> Table:
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.table import Table

    box = SIMPLE_HEAD if utf_terminal() else ASCII2
    table = Table(box=box, header_style="bold", show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _cell(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style)


def _wide_table(findings: Iterable[Finding]) -> Table:
    table = _table("Code", "Severity", "Place", "Expected", "Found", "Likely cause")
    for number in (0, 1):
        table.columns[number].no_wrap = True
    for finding in findings:
        style = _STYLES[finding.severity]
        table.add_row(
            _cell(f"{finding.code} {finding.name}", style),
            _cell(finding.severity.value, style),
            *map(_cell, (_place(finding), finding.expected, finding.found, finding.cause)),
        )
    return table


def _place(finding: Finding) -> str:
    return finding.place if finding.file is None else f"{finding.place} ({finding.file}:{finding.line})"


def _longest_word(findings: Iterable[Finding], most: int) -> int:
    """The width at which no place breaks in the middle of a word, but `most`."""
    words = [word for finding in findings for word in (*_place(finding).split(" "), finding.name)]
    return min(max(map(len, words)), most)


def _narrow_table(findings: Sequence[Finding], width: int) -> Table:
    """Three columns, and what differs in lines below each other."""
    from rich.text import Text

    table = _table("Code", "Place", "Difference")
    table.columns[0].no_wrap = True
    table.columns[1].max_width = width * 2 // 5
    if width >= _ROOM_FOR_WORDS:
        table.columns[1].min_width = _longest_word(findings, width * 2 // 5)
    for finding in findings:
        style = _STYLES[finding.severity]
        told = (("expected", finding.expected), ("found", finding.found), ("cause", finding.cause))
        table.add_row(
            _cell(finding.code, style) + Text("\n") + _cell(finding.severity.value, style),
            _cell(_place(finding)) + Text("\n") + _cell(finding.name, "dim"),
            Text("\n").join(_cell(f"{word}: ", "dim") + _cell(text) for word, text in told),
        )
    return table
