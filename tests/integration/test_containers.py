"""Container targets on a real engine: the road.

Each test has a project folder of its own, so it counts no container of another test.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    create_custom_target,
    create_engine_for_target,
)
from sqlmodel_framework.engines.container_labels import CHECKOUT, KIND, checkout
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.container_project import (
    PAGILA,
    deploy,
    docker,
    end_of,
    ours,
)

pytestmark = [pytest.mark.container, pytest.mark.usefixtures("project")]


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_deploy_validate_and_clean_up_by_the_program(kind: str) -> None:
    code, output = end_of(deploy(PAGILA, "--target", f"{kind}_container", "--validate", "--cleanup"))
    assert code == 0, output
    assert "15 tables created" in output
    assert "no difference in 15 tables" in output
    assert "15 tables dropped" in output
    assert ours() == []


def test_a_target_closed_and_used_again_starts_anew() -> None:
    with create_custom_target("postgres", "shop", conn_method="container") as target:
        for _ in range(2):
            with create_engine_for_target(target).connect() as connection:
                assert connection.exec_driver_sql("SELECT current_database()").scalar_one() == "shop"
            (name,) = ours()
            inspected = json.loads(docker("inspect", name))[0]
            assert target.password
            assert f"POSTGRES_PASSWORD={target.password.get_secret_value()}" in inspected["Config"]["Env"]
            target.close()
            assert [target.host, target.port, target.user, target.password, target.database] == [
                *[None] * 4,
                "shop",
            ]
            assert ours() == []


def test_settings_reach_the_container() -> None:
    target = create_custom_target(
        "postgres",
        conn_method="container",
        environment={"TZ": "Asia/Tokyo"},
        start_options=["-c", "work_mem=7MB", "-c", "fsync=on"],
        name="set",
    )
    with target, create_engine_for_target(target).connect() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("work_mem", "fsync", "synchronous_commit", "max_locks_per_transaction")
        ]
        assert shown == ["7MB", "on", "off", "1024"]
        (name,) = ours()
        (inspected,) = json.loads(docker("inspect", name))
        assert "TZ=Asia/Tokyo" in inspected["Config"]["Env"]
        assert {port["HostIp"] for port in inspected["NetworkSettings"]["Ports"]["5432/tcp"]} == {"127.0.0.1"}
        assert (
            inspected["Config"]["Labels"].items()
            >= {
                "datakit.project": Path.cwd().name,
                CHECKOUT: checkout(),
                KIND: "postgres",
            }.items()
        )


def test_several_containers_at_once() -> None:
    both = [create_custom_target("postgres", conn_method="container") for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(open_target, both))
    assert len({target.port for target in both}) == 3
    assert len(ours()) == 3
    for target in both:
        target.close()


def test_the_fixed_port_is_used_and_a_taken_one_is_said(project: Path) -> None:
    with create_custom_target("postgres", conn_method="container") as first:
        open_target(first)
        second = create_custom_target("postgres", conn_method="container", port=first.port)
        with pytest.raises(ConfigurationError) as caught:
            open_target(second)
        port = first.port
    assert "the port of a container target is taken" in str(caught.value)
    assert re.search(
        rf"127\.0\.0\.1:{port}( failed: port is already allocated|: bind: address already in use);",
        str(caught.value),
    )
    assert "leave port out for a free one; postgres_embedded is a real PostgreSQL" in str(caught.value)
    with second:
        assert open_target(second).target.port == port
