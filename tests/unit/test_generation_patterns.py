"""Texts for patterns: they match, keep the lengths, and are the same everywhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from sqlmodel_framework.base.errors import ConfigurationError, RowsNotGeneratedError
from sqlmodel_framework.utils.generation.patterns import texts_matching

PATTERNS = [
    ("^[A-Z]{3}-[0-9]{4}$", None, None),
    (r"^\d+$", 3, 5),
    ("^[^a-z]{4}$", None, None),
    ("[0-9]{2}", 10, 12),
    ("a|b", None, 5),
    ("^x*$", 40, 60),
    ("^.{1,300}$", 150, 300),
    ("^[ab]{150}$", None, None),
    (r"^(?=.*\d)(?=.*[A-Z])[A-Za-z\d]{8,12}$", None, 12),
    (r"^(a)(?:b|c)\1$", None, None),
    ("^(?:a++)b$", None, 9),
    ("(?i)^hello$", None, None),
    (r"^\S+@\S+\.\S+$", None, 40),
    ("^$", None, None),
    ("", 5, 9),
]


@pytest.mark.parametrize(("pattern", "least", "most"), PATTERNS, ids=[repr(p[0]) for p in PATTERNS])
def test_texts_match_and_keep_the_lengths(pattern: str, least: int | None, most: int | None) -> None:
    texts = texts_matching(pattern, min_length=least, max_length=most, count=50, seed=7)
    assert 1 <= len(texts) <= 50
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert re.search(pattern, text)
        assert (least or 0) <= len(text)
        assert most is None or len(text) <= most


def test_as_many_as_there_are() -> None:
    assert sorted(texts_matching("^[abc]$", count=100, seed=1)) == ["a", "b", "c"]
    assert len(texts_matching("^[a-z]{6}$", count=1_000, seed=1)) == 1_000


def test_texts_are_visible_where_the_pattern_lets_them() -> None:
    assert all(text.isprintable() for text in texts_matching(r"^[^,]{5}.{5}\S$", count=200, seed=3))


def test_the_same_texts_in_every_process() -> None:
    code = (
        "from sqlmodel_framework.utils.generation.patterns import texts_matching;"
        r"print(texts_matching(r'^[^a-f]\w{3}.$', count=20, seed=5))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.strip() == repr(texts_matching(r"^[^a-f]\w{3}.$", count=20, seed=5))
    assert texts_matching(r"^\w{9}$", count=5, seed=1) != texts_matching(r"^\w{9}$", count=5, seed=2)


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("^abc$", 5, None),
        ("^[a-z]{10}$", None, 5),
        ("a^", None, None),
        (r"(?!)", None, 10),
        ("[^\\s\\S]", None, 3),
    ],
)
def test_a_pattern_without_a_match(pattern: str, least: int | None, most: int | None) -> None:
    with pytest.raises(RowsNotGeneratedError, match="no text was found"):
        texts_matching(pattern, min_length=least, max_length=most, count=5, seed=1)


def test_what_the_error_says() -> None:
    with pytest.raises(ConfigurationError) as caught:
        texts_matching("^abc$", max_length=2, count=1, seed=0, where="table t, column c")
    assert str(caught.value) == (
        "no text was found that matches the pattern within the lengths (table t, column c); seen: ^abc$;"
        " expected: 0 to 2 characters; next: correct the pattern, min_length or max_length of the field"
    )


def test_a_pattern_that_python_cannot_read() -> None:
    with pytest.raises(RowsNotGeneratedError, match=r"none that Python can read \(table t\); seen: \[a"):
        texts_matching("[a", count=1, seed=0, where="table t")
