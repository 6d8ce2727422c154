"""The bundled datakits, and the type zoo of the tests, on every target, containers included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmodel_framework import (
    TargetConfig,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    prove_deployment,
    validate_deployment,
)
from sqlmodel_framework.tests.integration.test_type_zoo import STRUCTURES, TYPES

KITS = ["bronze_flights", "bronze_pagila", "silver_flights", "silver_pagila"]

# What these types lose by the databases' own rules, each the claim of a page of the lint; nothing else may be lost.
LOST = {
    "sqlite": set[str](),
    "postgres": {"fixed"},
    "mysql": {"address", "clock", "file", "fixed", "maybe", "moment", "naive", "raw", "real", "span", "text"},
}


def use_utf8(target: TargetConfig) -> None:
    """MariaDB's own default is latin1."""
    if target.type == "mysql":
        with create_engine_for_target(target).begin() as connection:
            connection.exec_driver_sql("ALTER DATABASE CHARACTER SET utf8mb4")


@pytest.mark.parametrize("kit", KITS)
def test_a_bundled_datakit_deploys_validates_and_is_proven(kit: str, every_target: TargetConfig) -> None:
    use_utf8(every_target)
    tables = load_datakit(f"sqlmodel_framework.datakits.{kit}").tables
    created = deploy_data_objects(tables, every_target).created
    assert len(created) == len(tables)
    result = validate_deployment(tables, every_target)
    assert result.success, result
    assert result.findings == ()
    proof = prove_deployment(tables, every_target)
    assert proof.findings == ()
    assert proof.not_proven == {}


def test_the_column_types_of_the_zoo_lose_what_is_known_and_nothing_else(
    every_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    use_utf8(every_target)
    tables = load_datakit(write_kit("zoo", {"types.py": TYPES})).tables
    assert len(deploy_data_objects(tables, every_target).created) == len(tables)
    assert validate_deployment(tables, every_target).findings == ()
    proof = prove_deployment(tables, every_target)
    assert {finding.column for finding in proof.findings} == LOST[every_target.type]
    # SQLite's numbers have no limit at which twice a number would not fit.
    left = {} if every_target.type == "sqlite" else {"plaintypes": "computed column"}
    assert proof.not_proven.keys() == left.keys()
    assert all(words in proof.not_proven[table] for table, words in left.items())


def test_the_structures_of_the_zoo_are_proven(
    every_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    use_utf8(every_target)
    tables = load_datakit(write_kit("zoo", {"shapes.py": STRUCTURES})).tables
    assert len(deploy_data_objects(tables, every_target).created) == len(tables)
    assert validate_deployment(tables, every_target).findings == ()
    proof = prove_deployment(tables, every_target)
    assert proof.findings == ()
    assert proof.not_proven == {}
