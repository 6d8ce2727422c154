"""What foreign keys, unique constraints, checks and indexes share: parts of a table with a name and a definition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlmodel_framework.engines.reading import PartReading
from sqlmodel_framework.utils.findings import Finding

__all__ = ["Parts", "compare_parts"]


@dataclass(frozen=True)
class Parts:
    """One kind of part: its word in sentences, and the code of one that is missing; the next two are unexpected and changed."""

    word: str
    missing: str

    @property
    def unexpected(self) -> str:
        """The code of a part that only the database has."""
        return self._code(1)

    @property
    def changed(self) -> str:
        """The code of a part that differs."""
        return self._code(2)

    def _code(self, step: int) -> str:
        return f"DK{int(self.missing[2:]) + step}"


def compare_parts(
    kind: Parts, table: str, expected: Sequence[PartReading], found: Sequence[PartReading]
) -> Iterator[Finding]:
    """Pair parts by definition, then by name, then by columns. Names alone are no difference here."""
    missing, unexpected = _unmatched(expected, found)
    for part, twin in _changed(missing, unexpected):
        yield _finding(
            kind.changed, table, part, twin, part.text, twin.text, f"the {kind.word}'s definition changed"
        )
    for part in missing:
        cause = f"the {kind.word} was dropped, or the class gained it after the table was created"
        yield _finding(kind.missing, table, part, None, part.text, f"no such {kind.word}", cause)
    for part in unexpected:
        cause = f"the {kind.word} was added by hand, or the class lost it after the table was created"
        yield _finding(kind.unexpected, table, None, part, f"no {kind.word}", part.text, cause)


def _unmatched(
    expected: Sequence[PartReading], found: Sequence[PartReading]
) -> tuple[list[PartReading], list[PartReading]]:
    """What stays on each side when equal definitions go in pairs, those of the same name first."""
    left = list(found)
    missing = []
    for part in sorted(expected, key=_key):
        twins = [other for other in left if part.says(other.text)]
        if twins:
            left.remove(next((other for other in twins if other.name == part.name), twins[0]))
        else:
            missing.append(part)
    return missing, sorted(left, key=_key)


def _changed(
    missing: list[PartReading], unexpected: list[PartReading]
) -> list[tuple[PartReading, PartReading]]:
    """Take out of both lists what belongs together."""
    pairs = []
    for part in list(missing):
        twin = next((other for other in unexpected if part.name and other.name == part.name), None) or next(
            (other for other in unexpected if part.columns and other.columns == part.columns), None
        )
        if twin is not None:
            pairs.append((part, twin))
            missing.remove(part)
            unexpected.remove(twin)
    return pairs


def _finding(
    code: str,
    table: str,
    expected_part: PartReading | None,
    found_part: PartReading | None,
    expected: str,
    found: str,
    cause: str,
) -> Finding:
    part = found_part or expected_part
    assert part is not None
    return Finding(
        table=table,
        code=code,
        column=part.columns[0] if len(part.columns) == 1 else None,
        expected=expected,
        found=found,
        cause=cause,
        part=part.name,
    )


def _key(part: PartReading) -> tuple[str, str]:
    return (part.text, part.name or "")
