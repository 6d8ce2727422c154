"""Texts that match a pattern: made from the pattern by rstr, then held against it."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import cache
from itertools import count as counted
from random import Random
from typing import Any

from sqlmodel_framework.base.errors import MissingExtraError, RowsNotGeneratedError

__all__ = ["texts_matching"]

_VISIBLE = string.ascii_letters + string.digits + " !#$%&()*+,-./:;<=>?@[]^_{|}~"
_FILLING = string.ascii_lowercase
_FIRST_TRIES = 2_000
_TRIES_WITHOUT_NEWS = 500


def texts_matching(
    pattern: str,
    *,
    min_length: int | None = None,
    max_length: int | None = None,
    count: int,
    seed: int | str,
    where: str | None = None,
) -> list[str]:
    """Different texts in which the pattern is found, lengths in characters: at most `count`, at least one.

    The pattern may match anywhere, as pydantic takes it; anchors count. The same arguments give the same texts in every
    process. Visible ASCII is preferred. `where` names table and column in errors.

    Raises RowsNotGeneratedError for a pattern that Python cannot read or for which no text was found, MissingExtraError
    without the extra `testing`.
    """
    compiled = _compiled(pattern, where)
    least, most = min_length or 0, max_length
    found: dict[str, None] = {}
    tries_without_news = 0
    for text in _candidates(pattern, least, most, seed):
        fits = len(text) >= least and (most is None or len(text) <= most) and "\0" not in text
        if fits and text not in found and compiled.search(text):
            found[text] = None
            tries_without_news = 0
        else:
            tries_without_news += 1
        if len(found) >= count or tries_without_news >= (_TRIES_WITHOUT_NEWS if found else _FIRST_TRIES):
            break
    if not found:
        raise _without_match(pattern, least, most, where)
    return list(found)


def _compiled(pattern: str, where: str | None) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise RowsNotGeneratedError(
            "a pattern is none that Python can read",
            where=where,
            seen=f"{pattern}: {exc}",
            next_step="write it as Python's module re takes it",
        ) from None


def _without_match(pattern: str, least: int, most: int | None, where: str | None) -> RowsNotGeneratedError:
    lengths = f"{least} to {'any number of' if most is None else most} characters"
    return RowsNotGeneratedError(
        "no text was found that matches the pattern within the lengths",
        where=where,
        seen=pattern,
        expected=lengths,
        next_step="correct the pattern, min_length or max_length of the field",
    )


def _candidates(pattern: str, least: int, most: int | None, seed: int | str) -> Iterator[str]:
    """Texts made from the pattern, longer repetitions in turn with shorter ones; too short ones are filled up at either end."""
    random = Random(f"{seed}/{pattern}")  # noqa: S311 - test data
    writer = _writer_class()(random)
    longest = max(least, min(most, 100) if most is not None else 24)
    repeats = (2, 6, 12, longest)
    for number in counted():
        text = writer.text_for(pattern, repeats[number % len(repeats)])
        if text is None:
            return
        yield text
        if len(text) < least or not text:
            filling = "".join(
                random.choices(_FILLING, k=max(least - len(text), random.randint(1, longest or 1)))
            )
            yield text + filling
            yield filling + text


@cache
def _writer_class() -> Any:
    """The writer of texts, made here because rstr comes with the extra `testing`."""
    try:
        from rstr import Rstr
    except ImportError as exc:
        raise MissingExtraError("testing", needed_for="a text for a pattern") from exc
    from re import _parser

    class Writer(Rstr):
        """rstr with three differences: the order of its sets is fixed, repetitions have a limit that may be set, and what
        a look-around demands is left to the check afterwards.
        """

        def __init__(self, random: Random) -> None:
            super().__init__(random)
            self._most_repeats = 1
            self._cases = {
                **self._cases,
                "any": lambda _: self._random.choice(_VISIBLE),
                "not_literal": lambda code: self._random.choice(_VISIBLE.replace(chr(code), "")),
                "assert": lambda _: "",
                "possessive_repeat": lambda repeat: self._handle_repeat(*repeat),
                "atomic_group": self._build_string,
                "groupref": lambda group: self._cache.get(group, ""),
                "groupref_exists": lambda parts: self._build_string(
                    parts[1] if parts[0] in self._cache else parts[2] or []
                ),
            }

        def text_for(self, pattern: str, most_repeats: int) -> str | None:
            """One text; None for a pattern of which rstr can make none."""
            self._most_repeats = most_repeats
            self._cache.clear()
            try:
                return self._build_string(parsed(pattern))
            except (IndexError, KeyError, OverflowError, RecursionError, ValueError):
                return None

        def _handle_in(self, value: Any) -> Any:
            parts = [self._handle_state(part) for part in value]
            if parts[0] == [False]:
                refused = {character for part in parts[1:] for character in part}
                allowed = [c for c in _VISIBLE if c not in refused] or sorted(set(string.printable) - refused)
            else:
                allowed = sorted({character for part in parts for character in part})
            return self._random.choice([c for c in allowed if c in _VISIBLE] or allowed)

        def _handle_repeat(self, start_range: int, end_range: int, value: Any) -> str:
            most = min(int(end_range), int(start_range) + self._most_repeats)
            times = self._random.randint(int(start_range), most)
            return "".join(self._build_string(value) for _ in range(times))

    @cache
    def parsed(pattern: str) -> Any:
        return _parser.parse(pattern)

    return Writer
