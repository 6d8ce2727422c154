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


CODES: dict[str, str] = {
    "DK101": "table-missing",
    "DK201": "column-missing",
    "DK211": "column-type",
    "DK212": "column-nullability",
    "DK301": "primary-key",
    "DK401": "foreign-key-missing",
    "DK402": "foreign-key-unexpected",
}
"""Every code with its name; docs/validation.md explains each."""


@dataclass(frozen=True, order=True)
class Finding:
    """One difference. `expected` is what the class says, `found` what the database has; `column` is None for a whole table."""

    table: str
    code: str
    column: str | None
    expected: str
    found: str
    cause: str
    severity: Severity = Severity.ERROR

    @property
    def name(self) -> str:
        """The code's name, such as `column-missing`."""
        return CODES[self.code]

    @property
    def place(self) -> str:
        """Table, and column where there is one."""
        return self.table if self.column is None else f"{self.table}.{self.column}"

    def __str__(self) -> str:
        return f"{self.code} {self.name}: {self.place}: expected {self.expected}, found {self.found} ({self.cause})"
