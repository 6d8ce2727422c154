"""Several targets in one table: tables down, targets across."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.reports.document import TargetReport
from sqlmodel_framework.utils.reports.terminal import console_of, drawn
from sqlmodel_framework.utils.reports.words import by_table, count, counts, printable, utf_terminal

__all__ = ["as_matrix", "cells_of", "rows_of"]

_LEAST_FOR_NAMES = 20


def as_matrix(
    reports: Sequence[TargetReport], tables: Sequence[str] = (), *, width: int | None = None
) -> str:
    """How each table fared on each target: a grid on a terminal of `width` columns, aligned text for None.

    `tables` are the kit's; tables that only findings name follow. A terminal too narrow for a grid gets the text, too.
    """
    names = rows_of(reports, tables)
    columns = [[printable(report.target), *cells_of(report, names)] for report in reports]
    rows = list(zip(["table", *map(printable, names)], *columns, strict=True))
    needed = _LEAST_FOR_NAMES + sum(max(map(_columns, column)) + 3 for column in columns)
    return "\n".join(_aligned(rows)) if width is None or needed > width else _grid(rows, width)


def rows_of(reports: Sequence[TargetReport], tables: Sequence[str]) -> list[str]:
    """The kit's tables in their order, then those that only findings name, sorted."""
    known = dict.fromkeys(chain(tables, *(report.tables or () for report in reports)))
    found = {finding.table for report in reports for finding in report.findings}
    return [*known, *sorted(found - set(known))]


def cells_of(report: TargetReport, tables: Iterable[str]) -> list[str]:
    """For each table `ok`, `missing`, `2 errors`, `1 warning`, `unverified`, `not proven`, `not validated`, `not reached`; `-` for others' tables."""
    if report.tables is None:
        return ["not validated" if report.error is None else "not reached" for _ in tables]
    findings, own = by_table(report.findings), set(report.tables)
    return [
        _cell(table, findings[table], report) if table in findings or table in own else "-"
        for table in tables
    ]


def _cell(table: str, findings: Sequence[Finding], report: TargetReport) -> str:
    if any(finding.code == "DK101" for finding in findings):
        return "missing"
    number = counts(findings)
    if number["error"]:
        return count(number["error"], "error")
    if report.validation is not None and report.validation.unverified:
        return "unverified"
    if report.proof is not None and table in report.proof.not_proven:
        return "not proven"
    return count(number["warning"], "warning") if number["warning"] else "ok"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _grid(rows: Sequence[Sequence[str]], width: int) -> str:
    from rich.box import ASCII2, SQUARE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SQUARE if utf_terminal() else ASCII2, header_style="bold")
    for heading in rows[0]:
        table.add_column(Text(heading), overflow="fold")
    for name, *cells in rows[1:]:
        table.add_row(Text(name), *(Text(cell, style=_style(cell)) for cell in cells))
    console = console_of(width)
    console.print(table)
    return drawn(console)


def _style(cell: str) -> str:
    if cell in ("ok", "-"):
        return "green" if cell == "ok" else "dim"
    return "yellow" if cell.endswith(("warning", "warnings", "not validated", "not proven")) else "bold red"
