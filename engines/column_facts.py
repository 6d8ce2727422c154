"""What a database makes of a column when its class says no more."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ColumnFacts"]


@dataclass(frozen=True)
class ColumnFacts:
    """Facts of an engine that lint reads; the defaults are those of standard SQL.

    `decimal_digits` are precision and scale of a DECIMAL without digits, None where it keeps any number of them. Without
    `exact_decimals`, decimals are stored as 64-bit floats. `integer_bits` is what INTEGER keeps. `single_floats` are the
    types that keep 24 bits when no precision is given; with `sized_floats`, FLOAT(p) does so for p up to 24.
    `fraction_digits` are those of a time without them. `name_case` says whether two columns may differ in case alone.
    `index_bytes` is the widest entry of an index, at `character_bytes` a character; with `sized_index_texts`, a text
    without a length cannot be in one. `foreign_key_suffix` is what the server adds to a table's name to name its keys. With
    `zero_numbers`, a 0 in a column that numbers itself asks for the next number. `moment_variant` and `counting_variant` are
    what `with_variant` takes in source: the types of a time with microseconds, and of a whole number that numbers itself,
    where they are no plain ones.
    """

    decimal_digits: tuple[int, int] | None = None
    exact_decimals: bool = True
    integer_bits: int = 32
    single_floats: frozenset[str] = frozenset({"REAL"})
    sized_floats: bool = True
    fraction_digits: int = 6
    comments: bool = True
    name_case: bool = True
    index_bytes: int | None = None
    character_bytes: int = 4
    sized_index_texts: bool = False
    indexes_foreign_keys: bool = False
    foreign_key_suffix: str = ""
    zero_numbers: bool = False
    moment_variant: str = ""
    counting_variant: str = ""
