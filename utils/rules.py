"""Which findings count: `strict`, `select` and `ignore`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.utils.findings import ALL_CODES, Finding

__all__ = ["Rules", "refuse_unknown"]

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

    @property
    def looks_for_extras(self) -> bool:
        """Whether tables and columns that only the database has count: by `strict`, or selected by their own code."""
        return self.strict or any(self._selects(code) for code in _STRICT)

    def _selects(self, code: str) -> bool:
        return any(entry.partition(":")[0] in (code, ALL_CODES[code][0]) for entry in self.select)

    def __post_init__(self) -> None:
        if isinstance(self.select, str) or isinstance(self.ignore, str):
            raise ConfigurationError(
                "rules are a list of texts", seen="one text", expected="such as ['DK213']"
            )
        for entry in (*self.select, *self.ignore):
            refuse_unknown(entry)

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that count."""
        return [finding for finding in findings if self._counts(finding)]

    def asks_for(self, finding: Finding) -> bool:
        """False for what only the database has, unless somebody wants to know."""
        return finding.code not in _STRICT or self.strict or self._selects(finding.code)

    def _counts(self, finding: Finding) -> bool:
        if not self.asks_for(finding):
            return False
        if self.select and not any(_matches(entry, finding) for entry in self.select):
            return False
        return not any(_matches(entry, finding) for entry in self.ignore)


def refuse_unknown(entry: str, where: str | None = None) -> None:
    """Raise ConfigurationError for an entry that names no code; `where` says where the entry stands."""
    if not _codes(entry):
        raise ConfigurationError(
            "a rule names no kind of finding",
            where=where,
            seen=entry,
            expected="a code such as DK213, the beginning of one, or a name such as column-default",
            next_step="see docs/findings.md for all codes",
        )


def _codes(entry: str) -> list[str]:
    word, colon, place = str(entry).partition(":")
    if colon and not place:
        return []
    is_code = re.fullmatch(r"D[KL]\d{1,3}", word.upper())
    return [
        code
        for code, (name, _) in ALL_CODES.items()
        if name == word or (is_code and code.startswith(word.upper()))
    ]


def _matches(entry: str, finding: Finding) -> bool:
    place = entry.partition(":")[2]
    places = (finding.place, finding.table, f"{finding.table}.{finding.part}")
    return finding.code in _codes(entry) and (not place or any(fnmatchcase(one, place) for one in places))
