"""Findings: the differences between the classes and a database, with stable codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CODES", "Finding", "Severity"]


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


@dataclass(frozen=True)
class Finding:
    """One difference.

    `expected` is what the class says, `found` what the database has. `column` and `part` (a constraint or an index, by
    the name it has in the database, or in the class where the database has none) are None for a whole table. `ddl` are
    the statements that would mend the database: a proposal that nothing here ever runs, empty where the database has no
    statement for it. They may need time, locks and decisions about rows.
    """

    table: str
    code: str
    column: str | None
    expected: str
    found: str
    cause: str
    part: str | None = None
    ddl: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The code's name, such as `column-missing`."""
        return CODES[self.code][0]

    @property
    def severity(self) -> Severity:
        """The code's severity."""
        return CODES[self.code][1]

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
