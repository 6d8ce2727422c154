"""The bundled datakits on every target, containers included."""

from __future__ import annotations

import pytest

from sqlmodel_framework import TargetConfig, deploy_data_objects, load_datakit, validate_deployment

KITS = ["bronze_flights", "bronze_pagila", "silver_flights", "silver_pagila"]


@pytest.mark.parametrize("kit", KITS)
def test_a_bundled_datakit_deploys_and_validates(kit: str, every_target: TargetConfig) -> None:
    tables = load_datakit(f"sqlmodel_framework.datakits.{kit}").tables
    created = deploy_data_objects(tables, every_target).created
    assert len(created) == len(tables)
    result = validate_deployment(tables, every_target)
    assert result.success, result
    assert result.findings == ()
