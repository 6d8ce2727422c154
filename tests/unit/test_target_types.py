"""The table of target types agrees with the engines that are installed."""

from __future__ import annotations

import pytest

from sqlmodel_framework import ConfigurationError, create_custom_target
from sqlmodel_framework.config.target_types import TARGET_TYPES, known_url_names, type_of_url
from sqlmodel_framework.config.targets import target_from_url
from sqlmodel_framework.engines.base import installed_engines


def test_each_type_has_an_engine_and_each_of_our_engines_a_type() -> None:
    ours = {kind for kind, engine in installed_engines().items() if "sqlmodel_framework" in str(type(engine))}
    assert ours == set(TARGET_TYPES)


@pytest.mark.parametrize("kind", TARGET_TYPES)
def test_the_urls_that_an_engine_makes_name_its_type(kind: str) -> None:
    target = create_custom_target(kind, "d", conn_method="file" if kind == "sqlite" else "tcp")
    url = installed_engines()[kind].url(target)
    assert type_of_url(url.get_backend_name()) == kind
    assert target_from_url(f"{url.get_backend_name()}:///d").type == kind


def test_an_engine_of_another_package_is_reached_by_a_url_of_its_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="unknown database"):
        target_from_url("duckdb:///d")
    monkeypatch.setattr(
        "sqlmodel_framework.config.target_types._installed", lambda: {*TARGET_TYPES, "duckdb"}
    )
    assert target_from_url("duckdb:///d").type == "duckdb"
    assert known_url_names()[-1] == "duckdb"
