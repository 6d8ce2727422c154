"""What goes wrong with containers: no engine, wrong images and settings, ends in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TryAgainError,
    create_custom_target,
    create_engine_for_target,
    load_datakit,
)
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.container_project import (
    PAGILA,
    SLOW,
    assert_nothing_is_left,
    commit,
    deploy,
    docker,
    end_of,
    ours,
    sleeping,
    start,
    wait_for,
)
from sqlmodel_framework.tests.integration.docker_proxy import DockerProxy
from sqlmodel_framework.utils.deployment import deploy_data_objects

pytestmark = [pytest.mark.container, pytest.mark.usefixtures("project")]


# A server that says something and never answers.
SILENT = 'ENTRYPOINT ["sh", "-c", "echo all that it says; exec sleep 600"]'


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_no_engine_is_one_line_that_names_the_way_without(kind: str) -> None:
    code, output = end_of(
        deploy(PAGILA, "--target", f"{kind}_container", DOCKER_HOST="unix:///nowhere/docker.sock")
    )
    assert code == 1
    (line,) = [line for line in output.splitlines() if "error:" in line]
    assert line.strip() == (
        "error: this needs Docker or Podman, and no engine answers"
        f" (target {kind}_container, {kind} container); seen: unix:///nowhere/docker.sock:"
        " No such file or directory; next: start one, or set DOCKER_HOST to its address;"
        " postgres_embedded is a real PostgreSQL that needs neither"
    )


def test_an_image_that_is_nowhere() -> None:
    with pytest.raises(ConfigurationError) as caught:
        start(image="registry.invalid/postgres:none")
    text = str(caught.value)
    assert text.startswith(
        "an image is not present and cannot be downloaded (target custom, postgres container)"
    )
    assert "docker pull registry.invalid/postgres:none" in text
    assert "image=" in text
    assert "postgres_embedded" in text


def test_a_container_that_ends_is_said_with_its_log_and_without_secrets() -> None:
    with pytest.raises(DeploymentError) as caught:
        start(environment={"CANARY": "canary_value"}, start_options=["-c", "canary_value=1"])
    text = str(caught.value)
    assert text.startswith("the container of PostgreSQL ended before it was ready")
    assert "image postgres:15.8, exit code 1; its log ends with:" in text
    assert 'unrecognized configuration parameter "***"' in text
    assert "canary_value" not in text


def test_an_image_of_another_database() -> None:
    with pytest.raises(
        DeploymentError, match=r"mysql:8.0 is an image of MySQL: name one of PostgreSQL with image="
    ):
        start(image="mysql:8.0")
    with pytest.raises(DeploymentError, match=r"postgres:15.8 is an image of PostgreSQL: name one of MySQL"):
        open_target(create_custom_target("mysql", conn_method="container", image="postgres:15.8"))


def test_the_deadline_ends_with_the_log(image: str) -> None:
    commit(image, SILENT)
    with pytest.raises(TryAgainError) as caught:
        start(deadline=2, image=image)
    text = str(caught.value)
    assert text.startswith("the container of PostgreSQL did not get ready in time")
    assert "; its log ends with: all that it says; expected:" in text
    assert "expected: an answer of PostgreSQL within 2 s" in text


def test_what_the_engine_refuses() -> None:
    with pytest.raises(ConfigurationError, match="invalid reference format"):
        start(image="UPPER//case")


def test_a_container_that_is_killed_while_deploying(write_kit: Callable[..., Path]) -> None:
    process, name = sleeping(write_kit("slow", {"slow.py": SLOW}))
    docker("kill", name)
    code, output = end_of(process)
    assert code == 75, output
    assert "the server of a target has ended" in output
    assert (
        f"seen: the container {name} ended with 137; next: try again; in Python close() the target first"
        in output
    )
    assert ours() == []


def test_the_engine_goes_away_in_the_middle(write_kit: Callable[..., Path], proxy: DockerProxy) -> None:
    quick = SLOW.replace("pg_sleep(20)", "pg_sleep(2)")
    process, name = sleeping(write_kit("slow", {"slow.py": quick}), DOCKER_HOST=proxy.address)
    proxy.go_away()
    code, output = end_of(process)
    assert code == 75, output
    assert "the container engine went away" in output
    assert "datakit targets clean" in output
    assert ours() == [name]
    proxy.come_back()
    assert_nothing_is_left()


def test_the_engine_goes_away_while_the_server_starts(proxy: DockerProxy, image: str) -> None:
    commit(image, SILENT)
    process = deploy(
        PAGILA, "--target", "postgres_container",
        DOCKER_HOST=proxy.address, DATAKIT_POSTGRES_CONTAINER_IMAGE=image,
    )  # fmt: skip
    wait_for(ours)
    time.sleep(1)
    proxy.go_away()
    code, output = end_of(process)
    assert code == 75, output
    proxy.come_back()
    assert_nothing_is_left()


@pytest.mark.parametrize("command", ["kill", "rm"])
def test_a_target_whose_container_is_gone_says_so_and_starts_anew_after_close(
    command: str, write_kit: Callable[..., Path]
) -> None:
    tables = load_datakit(PAGILA).tables
    with create_custom_target("postgres", conn_method="container") as target:
        open_target(target)
        (name,) = ours()
        docker(*(["kill", name] if command == "kill" else ["rm", "--force", name]))
        end = "ended with 137" if command == "kill" else "was removed"
        for _ in range(2):
            with pytest.raises(TryAgainError) as caught:
                deploy_data_objects(tables, target)
            assert caught.value.seen == f"the container {name} {end}"
            assert caught.value.next_step == (
                "try again; in Python close() the target first, it then starts a new one"
            )
        target.close()
        assert len(deploy_data_objects(tables, target).created) == 15


LIBPQ = {
    "PGHOST": "elsewhere",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGDATABASE": "elsewhere",
    "PGPASSWORD": "wrong",
    "PGSSLMODE": "require",
    "PGSSLROOTCERT": "/nowhere",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGTARGETSESSIONATTRS": "standby",
    "PGREQUIREAUTH": "gss",
    "PGGSSENCMODE": "require",
    "PGCHANNELBINDING": "require",
    "PGCLIENTENCODING": "LATIN1",
    "PGTZ": "Asia/Tokyo",
}


def test_variables_of_libpq_are_about_servers_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in LIBPQ.items():
        monkeypatch.setenv(variable, value)
    with (
        create_custom_target("postgres", conn_method="container", deadline=30) as target,
        create_engine_for_target(target).connect() as connection,
    ):
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("timezone", "client_encoding")
        ]
    assert shown == ["UTC", "UTF8"]


def test_a_service_that_is_not_there_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "no_such_service")
    with pytest.raises(ConfigurationError, match=r'"no_such_service" not found; next: unset PGSERVICE'):
        start(deadline=600)


def test_a_host_that_nobody_knows_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTCONTAINERS_HOST_OVERRIDE", "nohost.invalid")
    with pytest.raises(
        ConfigurationError, match=r"\(TESTCONTAINERS_HOST_OVERRIDE\); seen: nohost.invalid: "
    ) as caught:
        start(deadline=600)
    assert caught.value.next_step == "correct TESTCONTAINERS_HOST_OVERRIDE, or unset it"
    assert ours() == []


def test_what_is_the_targets_own_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigurationError, match=r"sets these settings itself .*seen: port;"):
        start(start_options=["-p", "6000"])
    with pytest.raises(ConfigurationError, match=r"a database of the server's own cannot be a target's"):
        start(database="template1")
    assert ours() == []
