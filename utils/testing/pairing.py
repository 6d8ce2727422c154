"""Partners for items of which several may fit: as many pairs as there can be, or nearly so where there are very many items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["pair_up"]

_TRIED = 40_000
"""Combinations up to which the best pairing is looked for; beyond it each item takes the first that fits."""

Left = TypeVar("Left")
Right = TypeVar("Right")


def pair_up(
    left: Sequence[Left],
    right: Sequence[Right],
    fits: Callable[[Left, Right], bool],
    window: Callable[[Left], tuple[int, int]],
) -> list[tuple[Left, Right]]:
    """Pairs that fit, each item in one at most; `window` gives the positions on the right that are worth trying, end excluded."""
    if len(left) * len(right) <= _TRIED:
        return _most_pairs(left, right, fits)
    pairs = []
    after = list(range(len(right) + 1))
    for item in left:
        start, end = window(item)
        position = _next_free(after, start)
        while position < end and not fits(item, right[position]):
            position = _next_free(after, position + 1)
        if position < end:
            pairs.append((item, right[position]))
            after[position] = position + 1
    return pairs


def _next_free(after: list[int], position: int) -> int:
    """The first position from this one on that is not taken; what is passed over is not gone through again."""
    start = position
    while after[position] != position:
        position = after[position]
    while after[start] != position:
        after[start], start = position, after[start]
    return position


def _most_pairs(
    left: Sequence[Left], right: Sequence[Right], fits: Callable[[Left, Right], bool]
) -> list[tuple[Left, Right]]:
    """A maximum matching by augmenting paths (H. W. Kuhn, 1955)."""
    choices = [[place for place, other in enumerate(right) if fits(item, other)] for item in left]
    owner: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for choice in choices[number]:
            if choice not in tried:
                tried.add(choice)
                if choice not in owner or place(owner[choice], tried):
                    owner[choice] = number
                    return True
        return False

    for number in range(len(left)):
        place(number, set())
    return [(left[number], right[choice]) for choice, number in sorted(owner.items())]
