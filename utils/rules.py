"""Which findings count: `strict`, `select` and `ignore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.utils.findings import CODES, Finding

__all__ = ["Rules"]

_STRICT = {"DK103", "DK202"}


@dataclass(frozen=True)
class Rules:
    """`select` keeps findings, `ignore` then leaves some out.

    Each entry is a code (`DK213`), the beginning of one (`DK2`) or a name (`column-default`), with a place behind a colon
    where it is meant for some objects only: `DK602:audit_*`, `column-order:film.title`. Without `strict`, tables and
    columns that only the database has are no findings. Raises ConfigurationError for an entry that names no code.
    """

    strict: bool = False
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        for entry in (*self.select, *self.ignore):
            if not _codes(entry):
                raise ConfigurationError(
                    "a rule names no kind of finding",
                    seen=entry,
                    expected="a code such as DK213, the beginning of one, or a name such as column-default",
                    next_step="see docs/findings.md for all codes",
                )

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that count."""
        return [finding for finding in findings if self._counts(finding)]

    def _counts(self, finding: Finding) -> bool:
        if finding.code in _STRICT and not self.strict:
            return False
        if self.select and not any(_matches(entry, finding) for entry in self.select):
            return False
        return not any(_matches(entry, finding) for entry in self.ignore)


def _codes(entry: str) -> list[str]:
    word = entry.partition(":")[0]
    if not word:
        return []
    return [code for code, (name, _) in CODES.items() if code.startswith(word.upper()) or name == word]


def _matches(entry: str, finding: Finding) -> bool:
    place = entry.partition(":")[2]
    return finding.code in _codes(entry) and (
        not place or fnmatchcase(finding.place, place) or fnmatchcase(finding.table, place)
    )
