"""Settings of container targets: from parts, files and the environment; labels and owners."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sqlmodel_framework import ConfigurationError, create_custom_target, get_target_config
from sqlmodel_framework.config.containers import ContainerSettings
from sqlmodel_framework.engines.container_labels import RUN, checkout, labels_of, owner_of
from sqlmodel_framework.engines.container_refusals import refuse_what_is_ours
from sqlmodel_framework.engines.mysql_container import MySQLServer
from sqlmodel_framework.engines.postgres_container import PostgresServer
from sqlmodel_framework.engines.reused_containers import name_of

SECRET = "canary-secret-8841"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("DATAKIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_a_file_the_environment_and_overrides_set_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "datakit.toml").write_text(
        '[targets.shop]\ntype = "postgres"\nconn_method = "container"\nimage = "postgres:16"\nport = 5433\n'
        'environment = { TZ = "UTC", N = 5 }\nstart_options = ["-c", "work_mem=8MB"]\nreuse = true\ndeadline = 90\n'
    )
    target = get_target_config("shop")
    assert target.port == 5433
    assert target.container == ContainerSettings(
        "postgres:16", {"TZ": "UTC", "N": "5"}, ("-c", "work_mem=8MB"), reuse=True, deadline=90.0
    )
    assert target.ends_with_process is False
    monkeypatch.setenv("DATAKIT_SHOP_IMAGE", "postgres:17")
    monkeypatch.setenv("DATAKIT_SHOP_ENVIRONMENT", "A=1 B='two words'")
    monkeypatch.setenv("DATAKIT_SHOP_START_OPTIONS", "-c 'a=b c'")
    monkeypatch.setenv("DATAKIT_SHOP_REUSE", "false")
    monkeypatch.setenv("DATAKIT_SHOP_DEADLINE", "1.5")
    target = get_target_config("shop", {"port": 5434})
    assert target.port == 5434
    assert target.container == ContainerSettings(
        "postgres:17", {"A": "1", "B": "two words"}, ("-c", "a=b c"), reuse=False, deadline=1.5
    )
    assert target.ends_with_process is True


def test_a_server_of_somebody_else_stands_in_for_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "datakit.toml").write_text(
        '[targets.shop]\ntype = "mysql"\nconn_method = "container"\nimage = "mysql:9"\n'
    )
    target = get_target_config("shop", {"host": "127.0.0.1", "port": 3307, "user": "root", "database": "d"})
    assert target.label == "target shop, mysql://root@127.0.0.1:3307/d"
    assert target.conn_method == "tcp"
    monkeypatch.setenv("DATAKIT_POSTGRES_CONTAINER_HOST", "localhost")
    monkeypatch.setenv("DATAKIT_POSTGRES_CONTAINER_PORT", "5433")
    assert get_target_config("postgres_container").address == "postgres://localhost:5433/"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": ""}, "field image); seen: ''; expected: the name of an image, without blanks;"),
        ({"image": "postgres:16 "}, "field image); seen: 'postgres:16 '; expected: the name of an image,"),
        ({"image": [SECRET]}, "field image); expected: the name of an image, without blanks;"),
        ({"environment": f"A={SECRET}"}, "field environment); expected: names and values;"),
        ({"environment": [SECRET]}, "field environment); expected: names and values;"),
        ({"environment": {"A=B": "x"}}, "field environment); expected: names and values;"),
        ({"environment": {"A": [SECRET]}}, "field environment); expected: names and values;"),
        ({"start_options": [5]}, "field start_options); expected: a list of texts;"),
        ({"start_options": f"-c {SECRET}"}, "field start_options); expected: a list of texts;"),
        ({"reuse": "true"}, "field reuse); seen: 'true'; expected: true or false; next: write reuse = true"),
        ({"reuse": 1}, "field reuse); seen: 1; expected: true or false; next: write reuse = true"),
        ({"deadline": "60"}, "field deadline); seen: '60'; expected: a number of seconds above 0;"),
        ({"deadline": 0}, "field deadline); seen: 0; expected: a number of seconds above 0;"),
        ({"deadline": True}, "field deadline); seen: True; expected: a number of seconds above 0;"),
        ({"deadline": float("inf")}, "field deadline); seen: inf; expected: a number of seconds above 0;"),
    ],
)
def test_a_field_that_cannot_be_read(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_custom_target("postgres", conn_method="container", **fields)
    assert str(caught.value).startswith(
        f"a field of a container target cannot be read (target custom, {message}"
    )
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("REUSE", "1", "seen: '1'; expected: true or false; next: set {}=true"),
        ("DEADLINE", "soon", "seen: 'soon'; expected: a number of seconds above 0; next: set {}=60"),
        ("IMAGE", "postgres:16 ", "seen: 'postgres:16 '; expected: the name of an image, without blanks;"),
        (
            "ENVIRONMENT",
            f"A=1 {SECRET}",
            'expected: names and values; next: set {}="TZ=UTC LANG=C.UTF-8", with',
        ),
        ("ENVIRONMENT", f"A='{SECRET}", "expected: names and values;"),
        (
            "START_OPTIONS",
            f"'{SECRET}",
            'expected: a list of texts; next: set {}="-c work_mem=64MB", with quotes',
        ),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    field: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"DATAKIT_POSTGRES_CONTAINER_{field}"
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("postgres_container")
    start = f"a field of a container target cannot be read ({variable}); {message}".replace("{}", variable)
    assert str(caught.value).startswith(start)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "field", ['reuse = "true"', 'deadline = "60"', 'port = "5433"', 'start_options = "-c x=1"']
)
def test_a_text_in_a_file_is_not_taken_for_another_type(field: str, tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(f"[targets.postgres_container]\n{field}\n")
    with pytest.raises(
        ConfigurationError, match=f"section \\[targets.postgres_container\\], field {field.partition(' ')[0]}"
    ):
        get_target_config("postgres_container")


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ({"type": "postgres", "host": "h", "image": "postgres:16"}, "image"),
        ({"type": "sqlite", "reuse": True}, "reuse"),
        ({"type": "postgres", "conn_method": "embedded", "deadline": 5}, "deadline"),
        ({"type": "mysql", "conn_method": "container", "host": "h", "user": "u"}, "host, user"),
        ({"type": "postgres", "conn_method": "container", "password": SECRET}, "password"),
        ({"type": "postgres", "conn_method": "container", "reuse": True, "database": "d"}, "database"),
        ({"type": "postgres", "conn_method": "private", "image": "postgres:16"}, "image"),
    ],
)
def test_fields_that_would_be_ignored_are_refused(arguments: dict[str, Any], seen: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_custom_target(**arguments)
    assert "does not use these fields" in str(caught.value)
    assert f"seen: {seen};" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_environment_of_a_container_is_not_printed() -> None:
    target = create_custom_target("postgres", conn_method="container", environment={"KEY": SECRET})
    assert SECRET not in repr(target)
    assert SECRET not in repr(target.container)


def test_labels_say_whose_a_container_is() -> None:
    labels = labels_of("postgres")
    assert sorted(labels) == [
        "datakit.checkout",
        "datakit.created",
        "datakit.project",
        "datakit.run",
        "datakit.type",
    ]
    assert f"/{os.getpid()}/" in labels[RUN]
    assert owner_of(labels[RUN]) == "alive"
    machine, pid, started = labels[RUN].split("/")
    assert owner_of(f"{machine}/{pid}/{started}1") == "dead"
    assert owner_of(f"elsewhere/{pid}/{started}") == "unknown"
    assert owner_of("nonsense") == "unknown"
    assert owner_of("") == "unknown"


def test_a_process_that_ended_is_dead() -> None:
    code = "from sqlmodel_framework.engines.container_labels import *; print(labels_of('x')[RUN])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert owner_of(done.stdout.strip()) == "dead"


def test_two_folders_of_a_project_are_two_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for clone in ("one", "two"):
        below = tmp_path / clone / "src" / "deep"
        below.mkdir(parents=True)
        (tmp_path / clone / "pyproject.toml").write_text("")
        monkeypatch.chdir(tmp_path / clone)
        names.append(checkout())
        monkeypatch.chdir(below)
        assert checkout() == names[-1]
    assert names[0] != names[1]


def test_each_setting_that_changes_the_server_is_in_the_name_of_a_kept_container() -> None:
    variants: list[dict[str, Any]] = [
        {},
        {"image": "postgres:16"},
        {"environment": {"TZ": "UTC"}},
        {"start_options": ["-c", "work_mem=8MB"]},
        {"port": 5433},
    ]
    targets = [create_custom_target("postgres", conn_method="container", **fields) for fields in variants]
    names = [name_of(target, PostgresServer()) for target in targets]
    assert len(set(names)) == len(names)
    again = create_custom_target("postgres", conn_method="container", deadline=5, name="other")
    assert name_of(again, PostgresServer()) == names[0]
    assert name_of(again, MySQLServer()) not in names


@pytest.mark.parametrize(
    "command",
    [
        "create_engine_for_target(create_custom_target('mysql', conn_method='container'))",
        "clean_containers()",
    ],
)
def test_without_the_extra_the_message_names_it(command: str) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['testcontainers', 'docker']))\n"
        "from sqlmodel_framework import create_custom_target, create_engine_for_target\n"
        "from sqlmodel_framework.base.errors import MissingExtraError\n"
        "from sqlmodel_framework.engines.our_containers import clean_containers\n"
        f"try:\n    {command}\nexcept MissingExtraError as exc:\n    print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "a container target needs the extra 'testing', which is not installed; next: pip install"
    )


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("postgres", {"environment": {"POSTGRES_PASSWORD": "x", "PGPORT": "5555"}}, "variables.*seen: PGPORT, POSTGRES_PASSWORD;"),
        ("postgres", {"start_options": ["-p", "6000"]}, "settings.*seen: port;"),
        ("postgres", {"start_options": ["-c", "listen_addresses=localhost"]}, "settings.*seen: listen_addresses;"),
        ("postgres", {"start_options": ["-cport=6000", "--listen-addresses=*"]}, "seen: listen_addresses, port;"),
        ("postgres", {"start_options": ["-h", "localhost"]}, "settings.*seen: listen_addresses;"),
        ("mysql", {"environment": {"MYSQL_TCP_PORT": "5"}}, "variables.*seen: MYSQL_TCP_PORT;"),
        ("mysql", {"start_options": ["--port=5", "--bind-address", "::1"]}, "settings.*seen: bind_address, port;"),
        ("mysql", {"start_options": ["-P5"]}, "settings.*seen: port;"),
        ("mysql", {"database": "sys"}, "a database of the server's own cannot be a target's.*seen: sys;"),
        ("mysql", {"database": "MySQL"}, "a database of the server's own cannot be a target's.*seen: MySQL;"),
        ("postgres", {"database": "template1"}, "a database of the server's own.*seen: template1;"),
    ],
)  # fmt: skip
def test_what_is_the_targets_own_is_refused(kind: str, fields: dict[str, Any], words: str) -> None:
    server = {"postgres": PostgresServer(), "mysql": MySQLServer()}[kind]
    with pytest.raises(ConfigurationError, match=words):
        refuse_what_is_ours(server, create_custom_target(kind, conn_method="container", **fields))


def test_settings_that_only_look_like_the_targets_own_are_taken() -> None:
    options = [
        "-c",
        "work_mem=5MB",
        "--log-statement=all",
        "-c",
        "application_name=-p",
        "--",
        "port_of_mine=1",
    ]
    target = create_custom_target("postgres", "postgres", conn_method="container", start_options=options)
    refuse_what_is_ours(PostgresServer(), target)
