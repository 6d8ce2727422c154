"""Which findings count: `strict`, `select` and `ignore`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.utils.findings import ALL_CODES, CODES, LINT_CODES, Finding

__all__ = ["Rules", "refuse_unknown"]

_STRICT = {"DK103", "DK202"}


@dataclass(frozen=True)
class Rules:
    """`select` keeps findings, `ignore` then leaves some out.

    Each entry is a code (`DK213`), the beginning of one (`DK2`) or a name (`column-default`), with a place behind a colon
    where it is meant for some objects only: `DK602:audit_*`, `column-order:film.title`. Without `strict`, tables and
    columns that only the database has are no findings. `lint` says that the codes are those of lint. Raises
    ConfigurationError for an entry that names no code, and for one that names those of the other kind.
    """

    strict: bool = False
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    lint: bool = False

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
            refuse_unknown(entry, lint=self.lint)

    def unmatched(self, tables: Collection[str]) -> list[str]:
        """The entries whose place can be in none of these tables."""
        entries = dict.fromkeys((*self.select, *self.ignore))
        return [entry for entry in entries if not _in_any(entry.partition(":")[2], tables)]

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


def refuse_unknown(entry: str, where: str | None = None, *, lint: bool = False) -> None:
    """Raise ConfigurationError for an entry that names no code, or only codes of the other kind; `where` says where it stands."""
    found, own = _codes(entry), LINT_CODES if lint else CODES
    if any(code in own for code in found):
        return
    page = "docs/lint.md" if lint else "docs/findings.md"
    example = "DL101" if lint else "DK213"
    if found:
        raise ConfigurationError(
            f"a rule of {'lint' if lint else 'validation'} names a finding of {'validation' if lint else 'lint'}",
            where=where,
            seen=entry,
            expected=f"a code of {'lint, which begins with DL' if lint else 'validation, which begins with DK'}",
            next_step=f"see {page} for all codes",
        )
    raise ConfigurationError(
        "a rule names no kind of finding",
        where=where,
        seen=entry,
        expected=f"a code such as {example}, the beginning of one, or a name such as {own[example][0]}",
        next_step=f"{_meant(str(entry), [name for name, _ in own.values()])}see {page} for all codes",
    )


def _meant(entry: str, names: Sequence[str]) -> str:
    parts = entry.split(",")
    if len(parts) > 1 and all(_codes(part.strip()) for part in parts):
        return "give each rule on its own: repeat the option, or write a list of texts; "
    close = get_close_matches(entry.partition(":")[0].lower(), names, 1)
    return f"did you mean {close[0]}? " if close else ""


def _in_any(place: str, tables: Collection[str]) -> bool:
    heads = [place, *(place[:end] for end, letter in enumerate(place) if letter == ".")]
    return not place or any(fnmatchcase(table, head) for table in tables for head in heads)


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
