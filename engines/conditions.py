"""How a database reads the conditions of a CHECK: what it spells in its own way, which functions it has, how it calculates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Arithmetic", "Conditions"]


@dataclass(frozen=True)
class Arithmetic:
    """What comes of numbers. Without `exact`, decimals are 64-bit floats.

    With `whole_division` a whole number by a whole number is a whole number. `division_digits` are those that a quotient
    has behind the point beside the dividend's own; None where it has as many as matter.
    """

    exact: bool = True
    whole_division: bool = True
    division_digits: int | None = None


@dataclass(frozen=True)
class Conditions:
    """How an engine differs from standard SQL in conditions; they are evaluated by a SQLite in memory.

    `spellings` turn what stands between the strings of a condition into SQLite's words. `functions` are those that neither
    standard SQL nor SQLite has, by name and number of arguments: each gives null for a null.
    """

    spellings: Sequence[tuple[re.Pattern[str], str]] = ()
    functions: Mapping[tuple[str, int], Callable[..., Any]] = field(default_factory=dict)
    arithmetic: Arithmetic = Arithmetic()
