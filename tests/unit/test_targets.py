"""Targets from names, parts, URLs, files and the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    TargetConfig,
    create_custom_target,
    get_ci_target,
    get_development_target,
    get_integration_target,
    get_target_config,
)
from sqlmodel_framework.config.targets import list_targets, target_from_url

SECRET = "canary-secret-5520"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("DATAKIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def parts(target: TargetConfig) -> dict[str, object]:
    password = target.password.get_secret_value() if target.password else None
    shown = {
        "type": target.type,
        "conn_method": target.conn_method,
        "database": target.database,
        "host": target.host,
        "port": target.port,
        "user": target.user,
        "password": password,
        "socket": target.socket,
    }
    return {name: value for name, value in shown.items() if value is not None}


def test_the_predefined_targets() -> None:
    assert list(list_targets()) == [
        "sqlite_memory",
        "sqlite_file",
        "postgres_embedded",
        "postgres_local",
        "postgres_container",
        "mysql_local",
        "mysql_container",
    ]
    for name in list_targets():
        assert get_target_config(name).name == name
    assert get_ci_target().name == "sqlite_memory"
    assert get_development_target().name == "postgres_local"
    assert get_integration_target().name == "postgres_container"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"type": "sqlite"}, {"type": "sqlite", "conn_method": "memory"}),
        (
            {"type": "sqlite", "database": "a.db"},
            {"type": "sqlite", "conn_method": "file", "database": "a.db"},
        ),
        (
            {"type": "postgres", "database": "d", "host": "h", "port": 1, "user": "u", "password": "p"},
            {
                "type": "postgres",
                "conn_method": "tcp",
                "database": "d",
                "host": "h",
                "port": 1,
                "user": "u",
                "password": "p",
            },
        ),
        (
            {"type": "postgres", "host": "/run/postgresql"},
            {"type": "postgres", "conn_method": "socket", "socket": "/run/postgresql"},
        ),
        (
            {"type": "mysql", "database": "d", "socket": "/run/mysqld.sock"},
            {"type": "mysql", "conn_method": "socket", "database": "d", "socket": "/run/mysqld.sock"},
        ),
        (
            {"type": "postgres", "conn_method": "password", "password": "p"},
            {"type": "postgres", "conn_method": "password", "password": "p"},
        ),
    ],
)
def test_targets_from_parts(arguments: dict[str, object], expected: dict[str, object]) -> None:
    assert parts(create_custom_target(**arguments)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected", "options"),
    [
        ("sqlite://", {"type": "sqlite", "conn_method": "memory"}, {}),
        (
            "sqlite:////tmp/a.db?timeout=1",
            {"type": "sqlite", "conn_method": "file", "database": "/tmp/a.db"},
            {"timeout": "1"},
        ),
        (
            "postgresql+asyncpg://u:p%40ss@h:5433/d?sslmode=require",
            {
                "type": "postgres",
                "conn_method": "tcp",
                "database": "d",
                "host": "h",
                "port": 5433,
                "user": "u",
                "password": "p@ss",
            },
            {"sslmode": "require"},
        ),
        (
            "postgresql:///d?host=/run/postgresql&user=u&password=p",
            {
                "type": "postgres",
                "conn_method": "socket",
                "database": "d",
                "socket": "/run/postgresql",
                "user": "u",
                "password": "p",
            },
            {},
        ),
        (
            "mariadb://u@/d?unix_socket=/s",
            {"type": "mysql", "conn_method": "socket", "database": "d", "user": "u", "socket": "/s"},
            {},
        ),
    ],
)
def test_targets_from_urls(url: str, expected: dict[str, object], options: dict[str, str]) -> None:
    target = target_from_url(url)
    assert parts(target) == expected
    assert target.options == options


def test_a_file_above_the_working_folder_defines_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.datakit.targets.warehouse]\ntype = "postgres"\nhost = "db.example.com"\ndatabase = "dwh"\n'
        '[tool.datakit.targets.warehouse.options]\nsslmode = "verify-full"\n'
    )
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    target = get_target_config("warehouse")
    assert parts(target) == {
        "type": "postgres",
        "conn_method": "tcp",
        "database": "dwh",
        "host": "db.example.com",
    }
    assert target.options == {"sslmode": "verify-full"}
    assert list_targets()["warehouse"] == "defined in pyproject.toml"


def test_datakit_toml_goes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.datakit.targets.a]\ntype = "mysql"\n')
    (tmp_path / "datakit.toml").write_text('[targets.b]\nurl = "sqlite:///b.db"\n')
    assert get_target_config("b").database == "b.db"
    with pytest.raises(ConfigurationError, match="unknown target"):
        get_target_config("a")


def test_the_environment_overrides_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAKIT_POSTGRES_LOCAL_HOST", "elsewhere")
    monkeypatch.setenv("DATAKIT_POSTGRES_LOCAL_PORT", "5433")
    monkeypatch.setenv("DATAKIT_POSTGRES_LOCAL_PASSWORD", SECRET)
    target = get_target_config("postgres_local")
    assert (target.host, target.port) == ("elsewhere", 5433)
    assert SECRET not in repr(target)
    assert SECRET not in target.label
    assert get_target_config("postgres_local", {"host": "third"}).host == "third"


def test_an_url_in_the_environment_replaces_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAKIT_SQLITE_MEMORY_URL", "postgresql://u@h/d")
    assert get_target_config("sqlite_memory").type == "postgres"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATAKIT_POSTGRES_LOCAL_PASWORD", SECRET, "DATAKIT_POSTGRES_LOCAL_PASWORD"),
        ("DATAKIT_POSTGRES_LOCAL_PORT", "many", "a number from 1 to 65535"),
        ("DATAKIT_POSTGRES_LOCAL_CONN_METHOD", "pigeon", "one of tcp, password, socket, embedded, container"),
        ("DATAKIT_POSTGRES_LOCAL_URL", f"oracle://u:{SECRET}@h/d", "unknown database"),
        ("DATAKIT_POSTGRES_LOCAL_URL", f"no url {SECRET}", "cannot be read"),
        ("DATAKIT_POSTGRES_LOCAL_URL", f"postgresql://u:{SECRET}@h:port/d", "cannot be read"),
        ("DATAKIT_POSTGRES_LOCAL_URL", f"postgresql://u:half@{SECRET}@h/d", "%40"),
        ("DATAKIT_POSTGRES_LOCAL_URL", f"postgresql://u:half@{SECRET}/x@h/d", "%2F"),
    ],
)
def test_wrong_settings_say_what_is_right(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words) as caught:
        get_target_config("postgres_local")
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[targets.a\n", "cannot be read"),
        ('targets = "a"\n[other]\n', "unknown target"),
        ('[targets]\na = "postgres"\n', "not a table"),
        ('[targets.a]\ntype = "postgres"\nhots = "x"\n', "hots"),
        ('[targets.a]\nhost = "x"\n', "neither type nor url"),
        ('[targets.a]\ntype = "oracle"\n', "unknown target type"),
    ],
)
def test_a_wrong_file_says_where(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        get_target_config("a")


def test_the_message_for_an_unknown_target_in_full() -> None:
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("postgres")
    assert str(caught.value) == (
        "unknown target; seen: postgres; expected: one of mysql_container, mysql_local, postgres_container,"
        " postgres_embedded, postgres_local, sqlite_file, sqlite_memory; next: choose one of these or define it under"
        " [tool.datakit.targets] in pyproject.toml"
    )


def test_a_password_method_without_password() -> None:
    with pytest.raises(ConfigurationError, match="DATAKIT_CUSTOM_PASSWORD"):
        create_custom_target("postgres", "d", conn_method="password")


def test_closing_runs_every_closer_even_when_one_fails() -> None:
    target = create_custom_target("sqlite")
    ran: list[str] = []

    def failing() -> None:
        ran.append("failing")
        raise RuntimeError("no")

    target.on_close(lambda: ran.append("first"))
    target.on_close(failing)
    target.on_close(lambda: ran.append("last"))
    with pytest.raises(RuntimeError, match="no"):
        target.close()
    assert ran == ["last", "failing", "first"]
    target.close()
    assert len(ran) == 3
