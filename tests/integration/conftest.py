"""Fixtures of the tests that use real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sqlmodel_framework.benchmarks.drift.places import Place, place_of, place_on

_SERVERS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("postgres_server", marks=pytest.mark.postgres),
    pytest.param("mysql_server", marks=pytest.mark.mysql),
]


@pytest.fixture(scope="session", params=_SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """One database of a server for all tests; each test leaves it empty."""
    with ExitStack() as opened:
        if request.param == "sqlite_memory":
            yield opened.enter_context(place_of(request.param))
        else:
            yield opened.enter_context(place_on(request.getfixturevalue(request.param)))
