"""The bundled datakits on every target, containers included."""

from __future__ import annotations

import pytest

from sqlmodel_framework import (
    TargetConfig,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    prove_deployment,
    validate_deployment,
)

KITS = ["bronze_flights", "bronze_pagila", "silver_flights", "silver_pagila"]


@pytest.mark.parametrize("kit", KITS)
def test_a_bundled_datakit_deploys_validates_and_is_proven(kit: str, every_target: TargetConfig) -> None:
    if every_target.type == "mysql":
        # MariaDB's own default is latin1.
        with create_engine_for_target(every_target).begin() as connection:
            connection.exec_driver_sql("ALTER DATABASE CHARACTER SET utf8mb4")
    tables = load_datakit(f"sqlmodel_framework.datakits.{kit}").tables
    created = deploy_data_objects(tables, every_target).created
    assert len(created) == len(tables)
    result = validate_deployment(tables, every_target)
    assert result.success, result
    assert result.findings == ()
    proof = prove_deployment(tables, every_target)
    assert proof.findings == ()
    assert proof.not_proven == {}
