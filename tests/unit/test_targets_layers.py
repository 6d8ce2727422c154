"""What a target is made of where predefined fields, a file, the environment and overrides meet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sqlmodel_framework import ConfigurationError, create_custom_target, get_target_config
from sqlmodel_framework.config import variables
from sqlmodel_framework.config.containers import ContainerSettings

SECRET = "canary-secret-9117"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("DATAKIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(folder: Path, text: str) -> None:
    (folder / "datakit.toml").write_text(text)


@pytest.mark.parametrize("target", ["postgres_container", "mysql_container", "postgres_local", "mysql_local"])
@pytest.mark.parametrize(
    "field", ["HOST", "SOCKET", "URL", "USER", "CONN_METHOD", "DATABASE", "IMAGE", "PORT", "TYPE"]
)
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_variable_is_not_taken_for_none_given(
    target: str, field: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an empty host, libpq would go to PGHOST and PyMySQL to 127.0.0.1."""
    variable = f"DATAKIT_{target.upper()}_{field}"
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        get_target_config(target)
    assert str(caught.value) == (
        f"an environment variable of a target is empty; seen: {variable}; next: give it a value, or unset {variable}"
    )


def test_an_empty_password_and_empty_lists_are_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in ("ENVIRONMENT", "START_OPTIONS", "OPTIONS"):
        monkeypatch.setenv(f"DATAKIT_POSTGRES_CONTAINER_{field}", "")
    assert get_target_config("postgres_container").container == ContainerSettings()
    monkeypatch.setenv("DATAKIT_MYSQL_LOCAL_PASSWORD", "")
    password = get_target_config("mysql_local").password
    assert password is not None
    assert password.get_secret_value() == ""


@pytest.mark.parametrize("field", ["host", "socket", "user", "database"])
def test_an_empty_field_is_refused_from_everywhere_else_too(field: str, tmp_path: Path) -> None:
    message = f"a field of a target is empty \\(target .*\\); seen: {field};"
    with pytest.raises(ConfigurationError, match=message):
        create_custom_target("mysql", **{field: ""})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=message):
        get_target_config("mysql_container", {field: ""})
    write(tmp_path, f'[targets.postgres_container]\n{field} = ""\n')
    with pytest.raises(ConfigurationError, match=message):
        get_target_config("postgres_container")


def test_a_section_with_a_predefined_name_changes_the_predefined_target(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[targets.postgres_container]\nimage = "postgres:17"\n[targets.mysql_container]\ntype = "mysql"\n'
        '[targets.sqlite_file]\ndatabase = "other.db"\n[targets.postgres_local]\ndatabase = "shop"\n',
    )
    container = get_target_config("postgres_container")
    assert (container.type, container.conn_method, container.container.image) == (
        "postgres",
        "container",
        "postgres:17",
    )
    assert get_target_config("mysql_container").conn_method == "container"
    assert get_target_config("sqlite_file").database == "other.db"
    assert get_target_config("postgres_local").address == "postgres://default host/shop"


@pytest.mark.parametrize("line", ['type = "mysql"', 'url = "mysql://u@h/d"', 'url = "sqlite:///x.db"'])
def test_a_section_with_a_predefined_name_and_another_type_is_refused(line: str, tmp_path: Path) -> None:
    write(tmp_path, f"[targets.postgres_container]\n{line}\n")
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("postgres_container")
    kind = "sqlite" if "sqlite" in line else "mysql"
    assert str(caught.value) == (
        "a target has the name of a predefined one, and another type (target postgres_container);"
        f" seen: {kind}; expected: postgres; next: give it a name of its own"
    )


SERVER = {"HOST": "db", "PORT": "5433", "USER": "u", "PASSWORD": SECRET}


@pytest.mark.parametrize("image_in", ["file", "environment"])
def test_a_host_stands_in_for_a_container_wherever_its_settings_are(
    image_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field, value in SERVER.items():
        monkeypatch.setenv(f"DATAKIT_POSTGRES_CONTAINER_{field}", value)
    write(tmp_path, '[targets.postgres_container]\ndatabase = "shop"\noptions = { connect_timeout = 5 }\n')
    if image_in == "file":
        write(tmp_path, (tmp_path / "datakit.toml").read_text() + 'image = "postgres:17"\nreuse = true\n')
    else:
        monkeypatch.setenv("DATAKIT_POSTGRES_CONTAINER_IMAGE", "postgres:17")
        monkeypatch.setenv("DATAKIT_POSTGRES_CONTAINER_REUSE", "true")
    target = get_target_config("postgres_container")
    assert (target.conn_method, target.address) == ("tcp", "postgres://u@db:5433/shop")
    assert target.container == ContainerSettings()
    assert target.options == {"connect_timeout": "5"}


def test_a_socket_and_a_url_stand_in_for_a_container_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path, '[targets.mysql_container]\nimage = "mysql:9"\n[targets.postgres_container]\nhost = "db"\n'
    )
    assert get_target_config("postgres_container").address == "postgres://db/"
    monkeypatch.setenv("DATAKIT_MYSQL_CONTAINER_IMAGE", "mysql:8.4")
    monkeypatch.setenv("DATAKIT_MYSQL_CONTAINER_SOCKET", "/run/mysqld.sock")
    assert get_target_config("mysql_container").conn_method == "socket"
    monkeypatch.setenv("DATAKIT_MYSQL_CONTAINER_URL", "mysql://u@h/d")
    monkeypatch.delenv("DATAKIT_MYSQL_CONTAINER_SOCKET")
    assert get_target_config("mysql_container").address == "mysql://u@h/d"


def test_a_container_with_a_host_at_one_place_is_a_contradiction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, '[targets.shop]\ntype = "postgres"\nconn_method = "container"\nhost = "db"\n')
    with pytest.raises(ConfigurationError, match=r"does not use these fields .*seen: host;.*name its host"):
        get_target_config("shop")
    monkeypatch.setenv("DATAKIT_POSTGRES_CONTAINER_USER", "u")
    with pytest.raises(
        ConfigurationError, match=r"seen: user;.*for a server that runs already, name its host"
    ):
        get_target_config("postgres_container")


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    variables._warn.cache_clear()
    return caplog


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("DATAKIT_POSTGRESCONTAINER_IMAGE", "; did you mean DATAKIT_POSTGRES_CONTAINER_IMAGE?"),
        ("DATAKIT_POSTGRES_CONTANIER_IMAGE", "; did you mean DATAKIT_POSTGRES_CONTAINER_IMAGE?"),
        ("DATAKIT_MYSQL_LOCALPASSWORD", "; did you mean DATAKIT_MYSQL_LOCAL_PASSWORD?"),
        ("DATAKIT_WAREHOUS_HOST", "; did you mean DATAKIT_WAREHOUSE_HOST?"),
        ("DATAKIT_CACHEDIR", "; did you mean DATAKIT_CACHE_DIR?"),
        ("DATAKIT_ELSEWHERE_PASSWORD", ""),
    ],
)
def test_a_misspelt_variable_is_named_once(
    variable: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warned: pytest.LogCaptureFixture,
) -> None:
    write(tmp_path, '[targets.warehouse]\ntype = "postgres"\n')
    monkeypatch.setenv(variable, SECRET)
    for _ in range(2):
        get_target_config("sqlite_memory")
    (record,) = warned.records
    assert record.getMessage() == f"{variable} is set, and no target or setting has such a variable{words}"


@pytest.mark.parametrize(
    "variable",
    ["DATAKIT_CACHE_DIR", "DATAKIT_UPDATE_SNAPSHOTS", "DATAKIT_WAREHOUSE_HOST", "DATAKIT_OF_OTHERS"],
)
def test_variables_of_targets_and_settings_and_others_are_not_named(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, '[targets.warehouse]\ntype = "postgres"\n')
    monkeypatch.setenv(variable, "x")
    get_target_config("sqlite_memory")
    assert warned.records == []
