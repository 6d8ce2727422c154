"""Conditions as PostgreSQL writes them."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

from sqlmodel_framework.engines.conditions import Conditions

__all__ = ["CONDITIONS"]


@cache
def _like_pattern(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.IGNORECASE | re.DOTALL)


def _ilike(pattern: Any, value: Any) -> bool:
    return _like_pattern(str(pattern)).fullmatch(str(value)) is not None


CONDITIONS = Conditions(
    spellings=(
        (
            re.compile(
                r"::\s*(?:character varying|double precision|timestamp with(?:out)? time zone|\w+)(?:\s*\([\d, ]*\))?",
                re.IGNORECASE,
            ),
            "",
        ),
        (re.compile(r"!~\*"), " NOT REGEXP '(?i)' || "),
        (re.compile(r"~\*"), " REGEXP '(?i)' || "),
        (re.compile(r"!~"), " NOT REGEXP "),
        (re.compile(r"~"), " REGEXP "),
        # SQLite has no such operator, and MATCH is one that nothing else stands behind.
        (re.compile(r"\bILIKE\b", re.IGNORECASE), "MATCH"),
    ),
    functions={
        ("btrim", 1): lambda value: str(value).strip(" "),
        ("initcap", 1): lambda value: str(value).title(),
        ("match", 2): _ilike,
        ("starts_with", 2): lambda value, start: str(value).startswith(str(start)),
        ("strpos", 2): lambda value, part: str(value).find(str(part)) + 1,
        ("trunc", 1): math.trunc,
    },
)
