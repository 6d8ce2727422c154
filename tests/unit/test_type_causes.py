"""The likely causes of types that differ."""

from __future__ import annotations

import pytest

from sqlmodel_framework.utils.comparisons.types import _cause


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ("timestamp with time zone", "timestamp(0) with time zone", "length or precision"),
        ("timestamp(3) with time zone", "timestamp(0) with time zone", "narrower"),
        ("timestamp with time zone", "timestamp without time zone", "only one side has the time zone"),
        ("timestamp(0) with time zone", "timestamp without time zone", "only one side has the time zone"),
    ],
)
def test_the_cause_of_a_time_that_differs(expected: str, found: str, said: str) -> None:
    assert said in _cause(expected, found)
