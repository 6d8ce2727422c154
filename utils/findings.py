"""Findings: the differences between the classes and a database, with stable codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ALL_CODES", "CODES", "LINT_CODES", "Finding", "Fix", "Severity"]


class Severity(StrEnum):
    """How bad a finding is; an `error` fails a validation."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


CODES: dict[str, tuple[str, Severity]] = {
    "DK101": ("table-missing", Severity.ERROR),
    "DK102": ("not-a-table", Severity.ERROR),
    "DK103": ("table-unexpected", Severity.ERROR),
    "DK104": ("table-option", Severity.ERROR),
    "DK105": ("table-comment", Severity.WARNING),
    "DK201": ("column-missing", Severity.ERROR),
    "DK202": ("column-unexpected", Severity.ERROR),
    "DK203": ("column-blocks-inserts", Severity.ERROR),
    "DK204": ("column-order", Severity.WARNING),
    "DK211": ("column-type", Severity.ERROR),
    "DK212": ("column-nullability", Severity.ERROR),
    "DK213": ("column-default", Severity.ERROR),
    "DK214": ("column-computed", Severity.ERROR),
    "DK215": ("column-identity", Severity.ERROR),
    "DK216": ("column-collation", Severity.ERROR),
    "DK217": ("column-comment", Severity.WARNING),
    "DK218": ("enum-members", Severity.ERROR),
    "DK301": ("primary-key", Severity.ERROR),
    "DK401": ("foreign-key-missing", Severity.ERROR),
    "DK402": ("foreign-key-unexpected", Severity.ERROR),
    "DK403": ("foreign-key-changed", Severity.ERROR),
    "DK501": ("unique-missing", Severity.ERROR),
    "DK502": ("unique-unexpected", Severity.ERROR),
    "DK503": ("unique-changed", Severity.ERROR),
    "DK601": ("index-missing", Severity.ERROR),
    "DK602": ("index-unexpected", Severity.WARNING),
    "DK603": ("index-changed", Severity.ERROR),
    "DK604": ("unique-index-unexpected", Severity.ERROR),
    "DK701": ("check-missing", Severity.ERROR),
    "DK702": ("check-unexpected", Severity.ERROR),
    "DK703": ("check-changed", Severity.ERROR),
    "DK801": ("name-differs", Severity.INFO),
    "DK901": ("value-changed", Severity.ERROR),
    "DK902": ("row-refused", Severity.ERROR),
    "DK903": ("row-lost", Severity.ERROR),
    "DK911": ("forbidden-row-accepted", Severity.ERROR),
}
"""Every code with its name and severity; docs/findings.md explains each. DK103 and DK202 are looked for by `strict` alone."""

LINT_CODES: dict[str, tuple[str, Severity]] = {
    "DL001": ("suppression-unused", Severity.INFO),
    "DL002": ("suppression-unknown", Severity.ERROR),
    "DL101": ("decimal-without-digits", Severity.ERROR),
    "DL102": ("text-without-length", Severity.WARNING),
    "DL103": ("limit-dropped", Severity.ERROR),
    "DL104": ("datetime-without-time-zone", Severity.WARNING),
    "DL105": ("microseconds-lost", Severity.WARNING),
    "DL106": ("integer-too-small", Severity.WARNING),
    "DL107": ("enum-stored-by-name", Severity.WARNING),
    "DL108": ("json-without-type", Severity.ERROR),
    "DL109": ("float-single-precision", Severity.WARNING),
    "DL201": ("description-no-comment", Severity.INFO),
    "DL202": ("default-no-server-default", Severity.INFO),
    "DL203": ("limit-not-enforced", Severity.INFO),
    "DL204": ("nullable-for-required", Severity.WARNING),
    "DL301": ("name-too-long", Severity.ERROR),
    "DL302": ("name-reserved", Severity.INFO),
    "DL303": ("names-differ-in-case", Severity.ERROR),
    "DL401": ("index-too-wide", Severity.ERROR),
    "DL402": ("float-in-key", Severity.ERROR),
    "DL403": ("foreign-key-without-index", Severity.WARNING),
    "DL404": ("silver-without-key", Severity.WARNING),
    "DL501": ("shared-column", Severity.ERROR),
    "DL502": ("bronze-without-metadata", Severity.WARNING),
}
"""What lint finds in the classes themselves; docs/lint/ has a page for each."""

ALL_CODES = {**CODES, **LINT_CODES}


@dataclass(frozen=True)
class Fix:
    """A correction of a class: the lines `line` to `end_line` of its file, as they are and as they should be.

    `imports` are the import statements that the new lines need.
    """

    line: int
    end_line: int
    old: str
    new: str
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One difference.

    `expected` is what the class says, `found` what the database has. `column` and `part` (a constraint or an index, by
    the name it has in the database, or in the class where the database has none) are None for a whole table. `ddl` are
    the statements that would mend the database: a proposal that nothing here ever runs, empty where the database has no
    statement for it. They may need time, locks and decisions about rows.

    Of what lint finds, `expected` is what the class should say, `found` what it says, and `cause` what each database
    makes of that. `file` and `line` are those of the field, or of the class; `fix` is there when it was asked for.
    """

    table: str
    code: str
    column: str | None
    expected: str
    found: str
    cause: str
    part: str | None = None
    ddl: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None
    fix: Fix | None = None

    @property
    def name(self) -> str:
        """The code's name, such as `column-missing`."""
        return ALL_CODES[self.code][0]

    @property
    def severity(self) -> Severity:
        """The code's severity."""
        return ALL_CODES[self.code][1]

    @property
    def place(self) -> str:
        """Table, and column or part where there is one."""
        return ".".join(part for part in (self.table, self.column or self.part) if part)

    @property
    def sort_key(self) -> tuple[str, ...]:
        """Findings stand in this order: the same differences are always printed alike."""
        return (self.table, self.code, self.column or "", self.part or "", self.expected, self.found)

    def __str__(self) -> str:
        return f"{self.code} {self.name}: {self.place}: expected {self.expected}, found {self.found} ({self.cause})"
