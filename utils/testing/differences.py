"""Which rows differ: equal ones are put aside, the others are matched by key or by what they have in common."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.utils.testing.pairing import pair_up
from sqlmodel_framework.utils.testing.subjects import Subject
from sqlmodel_framework.utils.testing.values import ColumnKind, Matcher, exact_values, sort_key

__all__ = [
    "Approx",
    "ChangedRow",
    "Differences",
    "Rows",
    "approx_of",
    "differences_of",
    "rows_of",
    "sort_positions",
]

_COMMON = 100
"""Rows that share a value with more others than this are not looked for by it: no value tells them apart."""

_LOOKED_AT = 2_000
"""Rows without a partner that are looked at one by one; more only count."""

Exact = tuple[Hashable, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of one side: as Python has them, and in the form that can be compared, in the same order."""

    raw: Sequence[tuple[Any, ...]]
    exact: Sequence[Exact]


def rows_of(kinds: Sequence[ColumnKind], raw: Sequence[tuple[Any, ...]]) -> Rows:
    """Rows whose values stand in the order of these kinds."""
    columns = zip(*raw, strict=True) if raw else [()] * len(kinds)
    exact = [exact_values(kind, column) for kind, column in zip(kinds, columns, strict=True)]
    return Rows(raw, list(zip(*exact, strict=True)))


@dataclass(frozen=True)
class Approx:
    """How far floats may be apart, as `pytest.approx` has it: the greater of `rel` times the expected value and `abs`."""

    rel: float
    abs: float

    def allows(self, expected: object, found: object) -> bool:
        """Whether two numbers are as good as equal."""
        if not (isinstance(expected, float) and isinstance(found, float)):
            return False
        if not (math.isfinite(expected) and math.isfinite(found)):
            return expected == found
        return abs(expected - found) <= max(self.rel * abs(expected), self.abs)


def approx_of(given: float | tuple[float, float] | bool | None) -> Approx | None:
    """The tolerance that a test asks for. Raises ConfigurationError for what is none."""
    if given is None or given is False:
        return None
    if given is True:
        return Approx(1e-6, 1e-12)
    both = given if isinstance(given, tuple) else (given, 1e-12)
    if len(both) == 2 and all(isinstance(part, int | float) and part >= 0 for part in both):
        return Approx(*map(float, both))
    raise ConfigurationError(
        "approx is no tolerance",
        seen=repr(given),
        expected="True, a relative tolerance, or a pair of a relative and an absolute one",
        next_step="write approx=1e-6 or approx=(1e-6, 1e-12)",
    )


@dataclass(frozen=True)
class ChangedRow:
    """A row that is there with other values: `columns` are the positions of those. `by_key`: found by its key."""

    expected: tuple[Any, ...]
    found: tuple[Any, ...]
    columns: tuple[int, ...]
    by_key: bool


@dataclass(frozen=True)
class Differences:
    """What differs between two sides of `subject`, whose columns are the compared ones."""

    subject: Subject
    expected: int
    found: int
    missing: tuple[tuple[Any, ...], ...]
    unexpected: tuple[tuple[Any, ...], ...]
    changed: tuple[ChangedRow, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.changed)


def differences_of(
    subject: Subject, expected: Rows, found: Rows, approx: Approx | None = None
) -> Differences:
    """Compare two sides as multisets: what is there twice must be there twice.

    The time is linear in the number of rows. Rows that differ are sorted by their keys, or by all of their values.
    """
    matching = _Matching(subject, expected, found, approx)
    matching.put_equal_ones_aside()
    if matching.open_expected and matching.open_found:
        matching.match_by_key()
        matching.match_loosely()
        matching.match_by_similarity()
    return matching.outcome()


def sort_positions(
    subject: Subject,
    rows: Sequence[Exact],
    positions: Iterable[int] | None = None,
    *,
    by: Sequence[int] | None = None,
) -> list[int]:
    """The positions of rows, sorted by the key and then by all of their values, or by the places `by`."""
    places = _places(subject, [*subject.key, *subject.columns]) if by is None else by
    kinds = subject.kinds

    def key(position: int) -> list[Any]:
        row = rows[position]
        return [sort_key(row[place], kinds[place]) for place in places]

    return sorted(range(len(rows)) if positions is None else positions, key=key)


def _places(subject: Subject, names: Iterable[str]) -> list[int]:
    where = {name: place for place, name in enumerate(subject.columns)}
    return [where[name] for name in dict.fromkeys(names)]


class _Matching:
    """The rows that have no partner yet, as positions on each side, and the pairs that differ."""

    def __init__(self, subject: Subject, expected: Rows, found: Rows, approx: Approx | None) -> None:
        self.subject, self.expected, self.found, self.approx = subject, expected, found, approx
        self.open_expected: list[int] = []
        self.open_found: list[int] = []
        self.pairs: list[tuple[int, int, bool]] = []

    def put_equal_ones_aside(self) -> None:
        """All of those that are the same to the last value."""
        left = Counter(self.expected.exact)
        for position, row in enumerate(self.found.exact):
            if left.get(row):
                left[row] -= 1
            else:
                self.open_found.append(position)
        left = +left
        for position, row in enumerate(self.expected.exact):
            if left.get(row):
                left[row] -= 1
                self.open_expected.append(position)

    def differing(self, expected: int, found: int) -> tuple[int, ...]:
        """The places in which two rows differ."""
        wanted, got = self.expected.exact[expected], self.found.exact[found]
        return tuple(
            place
            for place, value in enumerate(wanted)
            if value != got[place]
            and not (isinstance(value, Matcher) and value.matches(self.found.raw[found][place]))
            and not (self.approx and self.approx.allows(value, got[place]))
        )

    def match_by_key(self) -> None:
        """Rows whose key stands once on each side. A pair that does not differ after all is put aside."""
        places = _places(self.subject, self.subject.key)
        if not places:
            return
        by_key = [_unique(side.exact, positions, places) for side, positions in self._open()]
        both = [key for key in by_key[0] if key in by_key[1]]
        self._take([(by_key[0][key], by_key[1][key]) for key in both], by_key=True)

    def match_loosely(self) -> None:
        """Rows that are equal within the tolerance, or by values that say themselves what they equal."""
        loose = {
            place
            for position in self.open_expected
            for place, value in enumerate(self.expected.exact[position])
            if isinstance(value, Matcher) or (self.approx and isinstance(value, float))
        }
        if not loose:
            return
        strict = [place for place in range(len(self.subject.columns)) if place not in loose]
        groups: defaultdict[Exact, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for number, (side, positions) in enumerate(self._open()):
            for position in sort_positions(self.subject, side.exact, positions, by=sorted(loose)):
                groups[tuple(side.exact[position][place] for place in strict)][number].append(position)
        pairs = [
            pair
            for expected, found in groups.values()
            for pair in pair_up(
                expected, found, lambda e, f: not self.differing(e, f), self._window(min(loose), found)
            )
        ]
        self._take(pairs, by_key=False)

    def _open(self) -> tuple[tuple[Rows, list[int]], tuple[Rows, list[int]]]:
        return (self.expected, self.open_expected), (self.found, self.open_found)

    def _window(self, place: int, found: Sequence[int]) -> Callable[[int], tuple[int, int]]:
        """Where rows may stand, among these that are sorted by this place first, whose floats are near enough."""
        values = [self.found.exact[position][place] for position in found]
        approx = self.approx
        if approx is None or not all(isinstance(value, float) for value in values):
            return lambda _: (0, len(found))

        def window(position: int) -> tuple[int, int]:
            wanted = self.expected.exact[position][place]
            if not isinstance(wanted, float) or not math.isfinite(wanted):
                return 0, len(found)
            distance = max(approx.rel * abs(wanted), approx.abs)
            return bisect_left(values, wanted - distance), bisect_right(values, wanted + distance)  # type: ignore[type-var]

        return window

    def match_by_similarity(self) -> None:
        """Rows that have at least half of their values in common, the most alike first; those with a key of their own stay."""
        width = len(self.subject.columns)
        buckets: defaultdict[tuple[int, Hashable], list[int]] = defaultdict(list)
        expected, found = self._without_own_key()
        for position in found:
            for item in enumerate(self.found.exact[position]):
                buckets[item].append(position)
        candidates = []
        for position in expected[:_LOOKED_AT]:
            common: Counter[int] = Counter()
            for item in enumerate(self.expected.exact[position]):
                others = buckets.get(item, ())
                if len(others) <= _COMMON:
                    common.update(others)
            candidates += [(-same, position, other) for other, same in common.items() if 2 * same >= width]
        pairs: dict[int, int] = {}
        taken: set[int] = set()
        for _, position, other in sorted(candidates):
            if position not in pairs and other not in taken:
                pairs[position] = other
                taken.add(other)
        self._take(list(pairs.items()), by_key=False)

    def _without_own_key(self) -> tuple[list[int], list[int]]:
        """What no key tells apart. A key on one side alone is a row that is missing or unexpected."""
        places = _places(self.subject, self.subject.key)
        if not places:
            return self.open_expected, self.open_found
        keys = [
            Counter(tuple(side.exact[position][place] for place in places) for position in positions)
            for side, positions in self._open()
        ]
        shared = keys[0].keys() & keys[1].keys()
        return (
            [p for p in self.open_expected if tuple(self.expected.exact[p][i] for i in places) in shared],
            [p for p in self.open_found if tuple(self.found.exact[p][i] for i in places) in shared],
        )

    def _take(self, pairs: Sequence[tuple[int, int]], *, by_key: bool) -> None:
        self.pairs += [(*pair, by_key) for pair in pairs if self.differing(*pair)]
        gone = [{pair[side] for pair in pairs} for side in (0, 1)]
        self.open_expected = [position for position in self.open_expected if position not in gone[0]]
        self.open_found = [position for position in self.open_found if position not in gone[1]]

    def outcome(self) -> Differences:
        """What is left."""
        by_expected = {expected: (found, by_key) for expected, found, by_key in self.pairs}
        return Differences(
            self.subject,
            len(self.expected.raw),
            len(self.found.raw),
            tuple(self._sorted(self.expected, self.open_expected)),
            tuple(self._sorted(self.found, self.open_found)),
            tuple(
                ChangedRow(
                    self.expected.raw[position],
                    self.found.raw[by_expected[position][0]],
                    self.differing(position, by_expected[position][0]),
                    by_expected[position][1],
                )
                for position in sort_positions(self.subject, self.expected.exact, by_expected)
            ),
        )

    def _sorted(self, side: Rows, positions: list[int]) -> Iterator[tuple[Any, ...]]:
        return (side.raw[position] for position in sort_positions(self.subject, side.exact, positions))


def _unique(rows: Sequence[Exact], positions: Iterable[int], places: Sequence[int]) -> dict[Exact, int]:
    """The positions of rows by those of their keys that stand once."""
    found: dict[Exact, int] = {}
    twice: set[Exact] = set()
    for position in positions:
        key = tuple(rows[position][place] for place in places)
        if found.setdefault(key, position) != position:
            twice.add(key)
    return {key: position for key, position in found.items() if key not in twice}
