"""Random classes: what is deployed as it is described is proven, but for what a database cannot keep by nature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import MetaData, func, select

from sqlmodel_framework import ProofResult, prove_deployment
from sqlmodel_framework.benchmarks.drift.places import Place, place_of, place_on
from sqlmodel_framework.tests.integration.schemas import Schema, build, schemas

SERVERS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("postgres_embedded", marks=pytest.mark.postgres),
    pytest.param("mysql_server", marks=pytest.mark.mysql),
]
EXAMPLES = {"sqlite": 60, "postgresql": 25, "mariadb": 6, "mysql": 6}
WITHOUT_EXPRESSION_INDEXES = {"mariadb"}
TIMES = {"time", "datetime", "datetime with zone", "interval"}
BY_NATURE: Mapping[str, set[str]] = {
    # Values come back without a time zone.
    "sqlite": {"datetime with zone"},
    # Padded with blanks.
    "postgresql": {"char(12)"},
    # Blanks cut, digits of seconds cut, FLOAT in single precision, BLOB ends at 65,535 bytes.
    "mariadb": {"char(12)", "float", "real", "bytes", *TIMES},
}
BY_NATURE = {**BY_NATURE, "mysql": BY_NATURE["mariadb"]}
# What a check or a key leaves is not always enough for a row that breaks it alone; the largest integer + 1 is none;
# and each collation has its own order of texts.
REASONS = (
    "no row was found",
    "no value of",
    "no second row",
    "no rows of",
    "keys are taken",
    "a check cannot",
    "a computed column does not take",
    "the database evaluates a CHECK in another way",
)


@pytest.fixture(scope="module", params=SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """One database of a server for all examples; each leaves it empty."""
    with ExitStack() as opened:
        if request.param == "mysql_server":
            server = request.getfixturevalue("mysql_server")
            yield opened.enter_context(place_on(server, "CHARACTER SET utf8mb4"))
        else:
            yield opened.enter_context(place_of(request.param))


def kinds_of(schema: Schema) -> dict[tuple[str, str | None], str]:
    return {(table.name, column.name): column.kind for table in schema for column in table.columns}


def check_result(schema: Schema, result: ProofResult, place: Place) -> None:
    kinds = kinds_of(schema)
    unexpected = [
        str(finding)
        for finding in result.findings
        if finding.code not in ("DK901", "DK902")
        or kinds.get((finding.table, finding.column)) not in BY_NATURE[place.dialect]
    ]
    assert unexpected == []
    assert set(result.proven) | set(result.not_proven) == set(result.tables)
    for reason in result.not_proven.values():
        assert reason.startswith(REASONS), reason


def is_empty(metadata: MetaData, place: Place) -> bool:
    with place.engine.connect() as connection:
        return not any(
            connection.execute(select(func.count()).select_from(table)).scalar()
            for table in metadata.sorted_tables
        )


def test_random_classes_are_proven(place: Place) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @settings(
        max_examples=EXAMPLES[place.dialect], deadline=None, derandomize=True, suppress_health_check=slow
    )
    @given(schemas())
    def check(schema: Schema) -> None:
        metadata = build(schema, expression_indexes=place.dialect not in WITHOUT_EXPRESSION_INDEXES)
        with place.holding(metadata):
            result = prove_deployment(list(metadata.tables.values()), place.target)
            assert is_empty(metadata, place)
        check_result(schema, result, place)

    check()
