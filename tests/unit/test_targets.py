"""Targets from names, parts, URLs, files and the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    TryAgainError,
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
        ("", "unknown target"),
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
        " postgres_embedded, postgres_local, sqlite_file, sqlite_memory; next: did you mean postgres_local?"
        " targets of your own come from pyproject.toml ([tool.datakit.targets]) or datakit.toml ([targets])"
    )
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("warehouse")
    assert caught.value.next_step == (
        "choose one of these; targets of your own come from pyproject.toml ([tool.datakit.targets])"
        " or datakit.toml ([targets])"
    )


def test_a_password_method_without_password() -> None:
    with pytest.raises(ConfigurationError, match="DATAKIT_CUSTOM_PASSWORD"):
        create_custom_target("postgres", "d", conn_method="password")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '[targets.a]\ntype = "postgres"\nhost = 5\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field host); seen: a whole number;"
                ' expected: a string; next: write host = "…"'
            ),
        ),
        (
            f'[targets.a]\ntype = "postgres"\npassword = ["{SECRET}"]\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field password); seen: a list;"
                ' expected: a string; next: write password = "…"'
            ),
        ),
        (
            f'[targets.a]\ntype = "postgres"\nuser = {{ name = "{SECRET}" }}\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field user); seen: a table;"
                ' expected: a string; next: write user = "…"'
            ),
        ),
        (
            "[targets.a]\ntype = 2024-02-29\n",
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field type); seen: a date or time;"
                ' expected: a string; next: write type = "…"'
            ),
        ),
        (
            '[targets.a]\ntype = "postgres"\nport = "x"\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field port); seen: a string;"
                " expected: a whole number; next: write port = 5432"
            ),
        ),
        (
            '[targets.a]\ntype = "postgres"\nport = true\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field port); seen: a boolean;"
                " expected: a whole number; next: write port = 5432"
            ),
        ),
        (
            '[targets.a]\ntype = "postgres"\noptions = "sslmode=require"\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field options); seen: a string;"
                ' expected: a table; next: write options = { sslmode = "require" }'
            ),
        ),
        (
            '[targets.a]\ntype = "postgres"\noptions = { connect_timeout = 1.5 }\n',
            (
                "a field of a target has the wrong type (FILE, section [targets.a], field options.connect_timeout);"
                " seen: a number with a fraction; expected: a string or a whole number;"
                ' next: write connect_timeout = "…"'
            ),
        ),
        (
            '[targets]\na = "postgres"\n',
            (
                "a section of a settings file has the wrong type (FILE, section [targets.a]); seen: a string;"
                " expected: a table; next: write [targets.a] and the fields below it"
            ),
        ),
        (
            "targets = 5\n",
            (
                "a section of a settings file has the wrong type (FILE, section [targets]); seen: a whole number;"
                " expected: a table; next: write [targets] and the fields below it"
            ),
        ),
        (
            '[target.a]\ntype = "postgres"\n[other]\n',
            (
                "a settings file has an unknown section (FILE); seen: [other], [target]; expected: one of [kits], [lint], [targets],"
                " [validation];"
                " next: correct the name or take the section out"
            ),
        ),
    ],
)
def test_wrong_types_in_a_file_name_the_field(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "datakit.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("a")
    assert str(caught.value) == message.replace("FILE", str(file))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            '[tool.datakit.targets.a]\ntype = "postgres"\nhost = 5\n',
            "section [tool.datakit.targets.a], field host",
        ),
        ("[tool.datakit]\ntargets = []\n", "section [tool.datakit.targets]); seen: a list"),
        ("[tool]\ndatakit = 1\n", "section [tool.datakit]); seen: a whole number"),
        (
            '[tool.datakit.target.a]\ntype = "postgres"\n',
            "seen: [tool.datakit.target]; expected: one of [tool.datakit.kits]",
        ),
    ],
)
def test_wrong_types_in_pyproject_name_the_section(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("sqlite_memory")
    assert words in str(caught.value)


def test_sections_of_other_tools_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.ruff]\nline-length = 5\n")
    assert get_target_config("sqlite_memory").type == "sqlite"


def test_whole_numbers_in_a_file_are_taken(tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(
        '[targets.a]\ntype = "postgres"\nport = 6432\noptions = { connect_timeout = 5 }\n'
    )
    target = get_target_config("a")
    assert (target.port, target.options) == (6432, {"connect_timeout": "5"})


# Options from the environment.


def test_the_environment_sets_options_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(
        '[targets.a]\ntype = "postgres"\noptions = { sslmode = "verify-full", connect_timeout = 5 }\n'
    )
    monkeypatch.setenv("DATAKIT_A_OPTIONS", "connect_timeout=9 options='-c search_path=dwh'")
    expected = {"sslmode": "verify-full", "connect_timeout": "9", "options": "-c search_path=dwh"}
    assert get_target_config("a").options == expected
    assert get_target_config("a", {"options": {"connect_timeout": "1"}}).options["connect_timeout"] == "1"
    monkeypatch.setenv("DATAKIT_A_URL", "postgresql://u@h/d?sslmode=require&connect_timeout=2")
    assert get_target_config("a").options == {**expected, "sslmode": "require"}
    monkeypatch.setenv("DATAKIT_A_OPTIONS", "")
    assert get_target_config("a").options == {"sslmode": "require", "connect_timeout": "2"}


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (f"sslmode=require {SECRET}", "option 2 of 2"),
        (f"={SECRET}", "option 1 of 1"),
        (f"sslmode require{SECRET}", "option 1 of 2"),
        (f"a='{SECRET}", "option 1 of 1"),
    ],
)
def test_options_that_cannot_be_read(value: str, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAKIT_POSTGRES_LOCAL_OPTIONS", value)
    with pytest.raises(ConfigurationError) as caught:
        get_target_config("postgres_local")
    assert str(caught.value) == (
        "an environment variable with options cannot be read (DATAKIT_POSTGRES_LOCAL_OPTIONS);"
        f" seen: {seen} is not written as name=value; expected: options such as sslmode=require connect_timeout=5;"
        " next: put a value with blanks in quotes: options='-c search_path=dwh'"
    )


# The end of a target.


class Closers:
    """Three closers that note their runs; those named in `failing` raise what stands there."""

    def __init__(self, target: TargetConfig) -> None:
        self.ran: list[str] = []
        self.failing: dict[str, BaseException] = {}
        for name in ("first", "second", "third"):
            target.on_close(lambda name=name: self._run(name))  # type: ignore[misc]

    def _run(self, name: str) -> None:
        self.ran.append(name)
        if name in self.failing:
            raise self.failing[name]

    def runs(self) -> list[str]:
        ran, self.ran = self.ran, []
        return ran


def test_a_closer_that_fails_keeps_no_other_from_running_and_is_repeated() -> None:
    target = create_custom_target("sqlite")
    closers = Closers(target)
    closers.failing = {"second": RuntimeError("no")}
    with pytest.raises(RuntimeError, match="no"):
        target.close()
    assert closers.runs() == ["third", "second", "first"]
    with pytest.raises(RuntimeError, match="no"):
        target.close()
    assert closers.runs() == ["second"]
    closers.failing = {}
    target.close()
    target.close()
    assert closers.runs() == ["second"]


def test_several_closers_that_fail_are_all_reported() -> None:
    target = create_custom_target("sqlite")
    closers = Closers(target)
    closers.failing = {"first": TryAgainError("it is down"), "third": ValueError(f"row {SECRET}")}
    with pytest.raises(DeploymentError) as caught:
        target.close()
    assert str(caught.value) == (
        "a target could not be ended (target custom, sqlite in memory); seen: 2 failures: ValueError; it is down;"
        " next: close it again: only what failed is repeated"
    )
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert caught.value.__cause__.exceptions == (closers.failing["third"], closers.failing["first"])
    closers.failing = dict.fromkeys(["first", "third"], TryAgainError("it is down"))
    with pytest.raises(TryAgainError, match="2 failures: it is down; it is down"):
        target.close()
    assert closers.runs() == ["third", "second", "first", "third", "first"]


def test_an_interrupt_between_closers_loses_none() -> None:
    target = create_custom_target("sqlite")
    closers = Closers(target)
    closers.failing = {"third": RuntimeError("no"), "second": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        target.close()
    assert closers.runs() == ["third", "second"]
    closers.failing = {}
    target.close()
    assert closers.runs() == ["third", "second", "first"]
