"""The words that the formats share."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from sqlmodel_framework.utils.findings import Finding, Fix, Severity

__all__ = [
    "Sources",
    "by_table",
    "count",
    "counts",
    "difference",
    "fix_lines",
    "printable",
    "printable_lines",
    "source_of",
    "statements_of",
    "utf_terminal",
]

Sources = dict[str, tuple[str, int]]
"""Full name of a table -> file, from the working folder where it is below it, and line (from 1) of its class."""


def printable(text: str) -> str:
    r"""The text in one line; what a terminal would act on or not show stands as an escape, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> Iterator[str]:
    """The lines of a text of several, such as a statement; tabs become four spaces."""
    return (printable(line.replace("\t", "    ").rstrip(" \r")) for line in text.strip("\r\n").split("\n"))


def count(number: int, word: str) -> str:
    """`1 table`, `2 tables`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def by_table(findings: Iterable[Finding]) -> defaultdict[str, list[Finding]]:
    """The findings of each table, in their order."""
    tables: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        tables[finding.table].append(finding)
    return tables


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings of each severity, all severities named."""
    seen = Counter(finding.severity for finding in findings)
    return {severity.value: seen[severity] for severity in Severity}


def difference(finding: Finding) -> str:
    """What differs and why, without the place."""
    return printable(f"expected {finding.expected}, found {finding.found} ({finding.cause})")


def statements_of(finding: Finding) -> Iterator[str]:
    """The lines of the statements that would mend it, each statement ended by a semicolon."""
    for statement in finding.ddl:
        yield from printable_lines(f"{statement.rstrip().rstrip(';')};")


def source_of(finding: Finding, sources: Sources | None) -> tuple[str, int] | None:
    """File and line that a finding is shown at: its own, or those of its table's class."""
    if finding.file is not None and finding.line is not None:
        return finding.file, finding.line
    return (sources or {}).get(finding.table)


def fix_lines(fix: Fix) -> Iterator[str]:
    """The lines as they are, behind `-`, and as they should be, behind `+`."""
    yield from (f"- {line}" for line in printable_lines(fix.old))
    yield from (f"+ {line}" for line in (*printable_lines(fix.new), *map(printable, fix.imports)))


def utf_terminal() -> bool:
    """Whether stdout can show the lines of a box."""
    return (sys.stdout.encoding or "utf-8").lower().startswith("utf")
