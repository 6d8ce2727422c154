"""Random schemas: what was deployed gives no finding, and any single change of it is found and named, both ways round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Table

from sqlmodel_framework import deploy_data_objects, validate_deployment
from sqlmodel_framework.benchmarks.drift.places import Place, place_of, place_on
from sqlmodel_framework.tests.integration.schema_changes import Change, changed
from sqlmodel_framework.tests.integration.schemas import Schema, build, schemas
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.validation import ValidationResult

SERVERS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("postgres_embedded", marks=pytest.mark.postgres),
    pytest.param("mysql_server", marks=pytest.mark.mysql),
]
SAME = {"sqlite": 60, "postgresql": 30, "mariadb": 15, "mysql": 15}
CHANGED = {"sqlite": 60, "postgresql": 30, "mariadb": 10, "mysql": 10}
WITHOUT_EXPRESSION_INDEXES = {"mariadb"}


@dataclass(frozen=True)
class Alike:
    """Changes of this kind are none on these dialects; with `details` only those between two of them."""

    kind: str
    dialects: tuple[str, ...]
    reason: str
    details: frozenset[str | None] = frozenset()

    def covers(self, change: Change, dialect: str) -> bool:
        """Whether the database stores both sides of the change alike."""
        alike = not self.details or change.details <= self.details
        return change.kind == self.kind and dialect in self.dialects and alike


MYSQL = ("mariadb", "mysql")
MOMENTS = frozenset({"datetime", "datetime with zone", "interval"})
ALIKE = (
    Alike("table comment", ("sqlite",), "no comments"),
    Alike("column comment", ("sqlite",), "no comments"),
    Alike("type", ("sqlite", *MYSQL), "no time zones, and intervals are points in time", MOMENTS),
    Alike("type", ("postgresql",), "FLOAT is a word for DOUBLE PRECISION", frozenset({"float", "double"})),
    Alike("members", ("sqlite",), "no enum type", frozenset({"enum", "enum reordered"})),
    Alike("ondelete", MYSQL, "RESTRICT is what nothing does", frozenset({None, "RESTRICT"})),
    Alike("onupdate", MYSQL, "RESTRICT is what nothing does", frozenset({None, "RESTRICT"})),
)


@pytest.fixture(scope="module", params=SERVERS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """One database of a server for all examples; each leaves it empty."""
    with ExitStack() as opened:
        if request.param == "mysql_server":
            yield opened.enter_context(place_on(request.getfixturevalue("mysql_server")))
        else:
            yield opened.enter_context(place_of(request.param))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of readings that no other test has written."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("readings")
        patch.setenv("DATAKIT_CACHE_DIR", str(folder))
        yield folder


def settings_of(place: Place, examples: Mapping[str, int]) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=examples[place.dialect], deadline=None, derandomize=True, suppress_health_check=slow
    )


def tables_of(schema: Schema, place: Place) -> list[Table]:
    metadata = build(schema, expression_indexes=place.dialect not in WITHOUT_EXPRESSION_INDEXES)
    return list(metadata.tables.values())


@contextmanager
def holding(schema: Schema, place: Place) -> Iterator[None]:
    """The schema stands on the target, and the target is empty at the end."""
    tables = tables_of(schema, place)
    try:
        assert deploy_data_objects(tables, place.target).success
        yield
    finally:
        tables[0].metadata.drop_all(place.engine)


def validated(schema: Schema, place: Place) -> ValidationResult:
    return validate_deployment(tables_of(schema, place), place.target, strict=True)


def says(finding: Finding, change: Change, place: Place) -> bool:
    """Whether the finding is about the change, and names what changed."""
    if finding.code not in change.codes or finding.table not in change.tables:
        return False
    quote = place.engine.dialect.identifier_preparer.quote
    text = f"{finding.expected} {finding.found}"
    return not change.names or any(
        name in {finding.column, finding.part} or name in text or quote(name) in text for name in change.names
    )


def check_found(wanted: Schema, change: Change, place: Place) -> None:
    """What stands on the target differs from what is wanted by the change."""
    result = validated(wanted, place)
    assert result.unverified == ()
    found = result.findings
    listed = [str(finding) for finding in found]
    assert any(says(finding, change, place) for finding in found), (change, listed)
    assert {finding.table for finding in found} <= change.touched, (change, listed)


def test_what_was_deployed_has_no_finding(place: Place) -> None:
    @settings_of(place, SAME)
    @given(schemas())
    def check(schema: Schema) -> None:
        with holding(schema, place):
            results = [validated(schema, place) for _ in range(2)]
            # What others do on a MySQL server may change the key of the cache: then it is asked once more.
            from_cache = results[1].from_cache or validated(schema, place).from_cache
        for result in results:
            assert [str(finding) for finding in result.findings] == []
            assert result.success
        assert from_cache

    check()


def test_one_change_is_found_and_named_both_ways_round(place: Place) -> None:
    def stored(change: Change) -> bool:
        return not any(alike.covers(change, place.dialect) for alike in ALIKE)

    @settings_of(place, CHANGED)
    @given(changed(stored, most=6))
    def check(drawn: tuple[Schema, list[Change]]) -> None:
        schema, changes = drawn
        with holding(schema, place):
            for change in changes:
                check_found(change.after, change, place)
        for change in changes:
            with holding(change.after, place):
                check_found(schema, change, place)

    check()
