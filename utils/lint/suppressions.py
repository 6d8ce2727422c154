"""Findings that the class itself says are meant: `price: Decimal  # datakit: ignore[DL101]`."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel_framework.utils.findings import LINT_CODES, Finding
from sqlmodel_framework.utils.sources import Place, SourceFile, Sources

__all__ = ["Suppressions", "comments_of"]

_COMMENT = re.compile(r"#\s*datakit\s*:\s*ignore\b(?:\[(?P<entries>[^\]]*)\])?", re.IGNORECASE)
_NAMES = {name: code for code, (name, _) in LINT_CODES.items()}


@dataclass(frozen=True)
class Comment:
    """One comment. `entries` are codes or names, as written; none where the comment names none."""

    file: SourceFile
    line: int
    entries: tuple[str, ...]


def comments_of(file: SourceFile) -> dict[int, Comment]:
    """Line -> the comment that suppresses findings there."""
    if "datakit" not in file.text.casefold():
        return {}
    found = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
            match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                entries = (entry.strip() for entry in (match["entries"] or "").split(","))
                line = token.start[0]
                found[line] = Comment(file, line, tuple(entry for entry in entries if entry))
    except (tokenize.TokenError, SyntaxError):
        return {}
    return found


@dataclass
class Suppressions:
    """The comments beside the fields and classes of one run, and which of their entries were of use."""

    _used: set[tuple[Path, int, str]] = field(default_factory=set)
    _comments: dict[Path, dict[int, Comment]] = field(default_factory=dict)

    def cover(self, finding: Finding, place: Place | None) -> bool:
        """Whether a comment at the finding's place names its code."""
        covered = False
        for comment in () if place is None else self._at(place):
            for entry in comment.entries:
                if _code(entry) == finding.code:
                    self._used.add((comment.file.path, comment.line, entry))
                    covered = True
        return covered

    def complaints(self, sources: Sources, *, unused: bool) -> Iterator[Finding]:
        """DL002 for entries that name no code, and DL001 for `unused` ones, wherever they stand in the kit's files."""
        for file in sources.files():
            for comment in self._of(file).values():
                yield from self._about(comment, sources.table_at(file, comment.line), unused=unused)

    def _at(self, place: Place) -> Iterable[Comment]:
        comments = self._of(place.file)
        if not comments:
            return ()
        return [comments[line] for line in range(place.line, place.end_line + 1) if line in comments]

    def _of(self, file: SourceFile) -> dict[int, Comment]:
        if file.path not in self._comments:
            self._comments[file.path] = comments_of(file)
        return self._comments[file.path]

    def _about(self, comment: Comment, table: str, *, unused: bool) -> Iterator[Finding]:
        file, line = comment.file.shown, comment.line
        known = [entry for entry in comment.entries if _code(entry) is not None]
        wrong = [entry for entry in comment.entries if entry not in known]
        if wrong or not comment.entries:
            expected = "codes or names, such as # datakit: ignore[DL101]"
            found, cause = ", ".join(wrong) or "no code", "nothing is left out for it"
            yield Finding(table, "DL002", None, expected, found, cause, file=file, line=line)
        for entry in known if unused else ():
            if (comment.file.path, line, entry) not in self._used:
                cause = "the class was corrected, or the comment stands beside something else"
                yield Finding(
                    table, "DL001", None, "no comment", f"ignore[{entry}]", cause, file=file, line=line
                )


def _code(entry: str) -> str | None:
    return entry.upper() if entry.upper() in LINT_CODES else _NAMES.get(entry.lower())
