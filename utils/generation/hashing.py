"""Random numbers that are worked out, not drawn: each is a function of a key and the number of its row.

The function is the finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Index", "Key", "Permutation"]

Index = NDArray[np.int64]
"""Numbers of rows, from 0."""
Floats = NDArray[np.float64]

_ALL = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Key:
    """Where random numbers come from: equal names give equal numbers, in every process."""

    number: int

    @classmethod
    def of(cls, *names: object) -> Key:
        """The key of a seed and the names of what is to be random."""
        text = "\0".join(map(str, names)).encode()
        return cls(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))

    def bits(self, index: Index, attempt: int = 0) -> NDArray[np.uint64]:
        """64 random bits for each row; different for every row of one attempt."""
        start = np.uint64((self.number + attempt * 0xD1342543DE82EF95) & _ALL)
        mixed = (index.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP) + np.full(1, start)
        mixed ^= mixed >> np.uint64(30)
        mixed *= _FIRST
        mixed ^= mixed >> np.uint64(27)
        mixed *= _SECOND
        mixed ^= mixed >> np.uint64(31)
        return mixed

    def below(self, most: int | Index, index: Index, attempt: int = 0) -> Index:
        """Whole numbers from 0 to `most` - 1, one limit for all or one for each row."""
        bits = self.bits(index, attempt)
        limit: Any = np.uint64(most) if isinstance(most, int) else most.astype(np.uint64)
        if isinstance(most, int) and most < 2**31:
            # The high half, as multiplication is quicker than division.
            bits = (bits >> np.uint64(32)) * limit >> np.uint64(32)
        else:
            bits %= limit
        return bits.astype(np.int64)

    def shares(self, index: Index, attempt: int = 0) -> Floats:
        """Fractions, at least 0 and below 1."""
        return (self.bits(index, attempt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Permutation:
    """Gives each of the numbers below `size` another one below `size`, in an order that looks random.

    Numbers of as many bits are multiplied by odd ones and folded, both of which can be undone; what comes out too great
    goes through again.
    """

    size: int
    key: Key

    def at(self, index: Index) -> Index:
        """What these numbers, all below `size`, become."""
        mixed = self._mixed(index.astype(np.uint64))
        over = np.flatnonzero(mixed >= np.uint64(self.size))
        while len(over):
            mixed[over] = self._mixed(mixed[over])
            over = over[mixed[over] >= np.uint64(self.size)]
        return mixed.astype(np.int64)

    def _mixed(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        bits = max(1, (self.size - 1).bit_length())
        mask, fold = np.uint64(2**bits - 1), np.uint64(max(1, bits // 2))
        for turn in range(3):
            factor = (self.key.number >> turn | 1) * 0x9E3779B97F4A7C15 & _ALL | 1
            numbers = (numbers + np.uint64(self.key.number >> 2 * turn)) * np.uint64(factor) & mask
            numbers ^= numbers >> fold
        return numbers
