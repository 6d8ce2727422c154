"""Private servers from installed programs: the road, and that nothing is left of a process that is killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    TryAgainError,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    get_target_config,
    load_datakit,
    prove_deployment,
    validate_deployment,
)
from sqlmodel_framework.engines import private_servers
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.engines.owner_watch import end_server

KINDS = [
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mysql", marks=pytest.mark.mysql),
]
KILLED = """
import os, sys
from sqlmodel_framework import create_custom_target, create_engine_for_target
target = create_custom_target(sys.argv[1], conn_method="private")
create_engine_for_target(target)
print(target.socket, flush=True)
os.kill(os.getpid(), int(sys.argv[2]))
input()
"""


@pytest.fixture(autouse=True)
def _programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("DATAKIT_POSTGRES_LOCAL", "DATAKIT_MYSQL_LOCAL")):
            monkeypatch.delenv(name)
    kind = request.node.callspec.params.get("kind") if hasattr(request.node, "callspec") else None
    installed = {
        "postgres": Path("/usr/lib/postgresql").exists() or shutil.which("initdb"),
        "mysql": shutil.which("mariadbd") or shutil.which("mysqld"),
        None: True,
    }
    if not installed[kind]:
        pytest.skip(f"no server of {kind} is installed")


def folder_of(target: TargetConfig) -> Path:
    socket = Path(str(target.socket))
    return socket if socket.is_dir() else socket.parent


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        words = entry.read_bytes().decode(errors="replace") if entry.exists() else ""
        if str(folder) in words:
            found.append(words.replace("\0", " "))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_deploy_and_validate_on_a_private_server(kind: str) -> None:
    tables = load_datakit("sqlmodel_framework.datakits.bronze_pagila").tables
    with get_target_config(f"{kind}_local", {"conn_method": "private"}) as target:
        deploy_data_objects(tables, target)
        assert validate_deployment(tables, target).findings == ()
        folder = folder_of(target)
        assert processes_of(folder)
        assert folder.stat().st_mode & 0o077 == 0
        assert target.label == f"target {kind}_local, {kind} private"
    assert not folder.exists()
    assert processes_of(folder) == []
    assert (target.socket, target.user, target.database) == (None, None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_two_targets_are_two_servers_and_the_database_has_the_name_given(kind: str) -> None:
    with (
        create_custom_target(kind, 'a "b`', conn_method="private") as first,
        create_custom_target(kind, conn_method="private") as second,
    ):
        names = []
        for target in (first, second):
            query = "SELECT current_database()" if kind == "postgres" else "SELECT database()"
            with create_engine_for_target(target).connect() as connection:
                names.append(connection.exec_driver_sql(query).scalar_one())
        assert names == ['a "b`', "datakit"]
        assert first.socket != second.socket


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_process_that_is_killed_leaves_no_server(kind: str, number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, kind, str(int(number))],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    folder = Path(done.stdout.strip())
    folder = folder.parent if kind == "mysql" else folder
    assert folder.name.startswith("datakit-own-"), done.stderr
    end = time.monotonic() + 20
    while (folder.exists() or processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not folder.exists()
    assert processes_of(folder) == []


def test_a_server_that_does_not_start_is_said_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(private_servers.PrivatePostgres):
        def command(self) -> Any:
            return [*super().command(), "-c", "no_such_setting=1"]

    target = create_custom_target("postgres", conn_method="private")
    with pytest.raises(DeploymentError) as caught:
        private_servers.start_private(target, Wrong)
    target.close()
    assert "a private PostgreSQL did not start (target custom, postgres private)" in str(caught.value)
    assert 'unrecognized configuration parameter "no_such_setting"' in str(caught.value)


KILLED_WHILE_STARTING = """
import os, sys, time
from sqlmodel_framework import create_custom_target
from sqlmodel_framework.engines import private_servers
run = private_servers._run

def is_up(server):
    try:
        server.answer()
    except server.driver_error:
        return False
    return True

def run_and_die(server, command, account):
    process = run(server, command, account)
    if command == server.command():
        while not is_up(server):
            time.sleep(0.05)
        print(server.folder, flush=True)
        os.kill(os.getpid(), 9)
    return process

private_servers._run = run_and_die
kind = {"postgres": private_servers.PrivatePostgres, "mysql": private_servers.PrivateMySQL}[sys.argv[1]]
private_servers.start_private(create_custom_target(sys.argv[1], conn_method="private"), kind)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_is_killed_as_soon_as_its_server_is_started_leaves_none(kind: str) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_STARTING, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("datakit-own-"), done.stderr
    end = time.monotonic() + 20
    while (folder.exists() or processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not folder.exists()
    assert processes_of(folder) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_servers, "_new_folder", lambda account: tmp_path / "absent")
    with (
        create_custom_target("postgres", conn_method="private") as target,
        pytest.raises(
            DeploymentError, match=r"a private PostgreSQL cannot be started .*absent/log: No such file"
        ),
    ):
        open_target(target)


def test_a_preparation_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(private_servers.PrivatePostgres):
        def preparation(self) -> list[str]:
            return ["sleep", "600"]

    monkeypatch.setattr(private_servers, "_DEADLINE", 0.2)
    with (
        create_custom_target("postgres", conn_method="private") as target,
        pytest.raises(TryAgainError, match="its data folder is not made"),
    ):
        private_servers.start_private(target, Endless)


def test_a_private_mysql_opens_no_socket_outside_its_folder(tmp_path: Path) -> None:
    """MySQL's second protocol would take /tmp/mysqlx.sock, once for all servers of the machine."""
    command = private_servers.PrivateMySQL(tmp_path).command()
    assert "--loose-mysqlx=OFF" in command
    assert [word for word in command if word.startswith("--socket=")] == [f"--socket={tmp_path / 'socket'}"]


def test_programs_that_are_not_installed_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no no-such-program on PATH.*postgres_embedded"):
        private_servers._postgres_program("no-such-program")


def test_a_process_of_somebody_else_is_not_ended(tmp_path: Path) -> None:
    """Who reads a file of the folder does not serve it."""
    folder = tmp_path / "datakit-own-x"
    folder.mkdir()
    with subprocess.Popen(
        ["tail", "-f", "/dev/null", str(folder / "log")], stderr=subprocess.DEVNULL
    ) as other:
        end_server(folder, signal.SIGQUIT)
        assert other.poll() is None
        other.kill()
    assert not folder.exists()


@pytest.mark.parametrize("field", ["host", "port", "user", "password", "socket", "image"])
def test_fields_that_would_be_ignored_are_refused(field: str) -> None:
    given: dict[str, Any] = {field: 5 if field == "port" else "x"}
    with pytest.raises(ConfigurationError, match=f"does not use these fields.*seen: {field};"):
        create_custom_target("postgres", conn_method="private", **given)


def test_a_private_server_is_closed_twice() -> None:
    target = create_custom_target("postgres", conn_method="private")
    if not Path("/usr/lib/postgresql").exists() and not shutil.which("initdb"):
        pytest.skip("no server of postgres is installed")
    open_target(target)
    target.close()
    target.close()


@pytest.mark.mysql
def test_a_private_mysql_takes_any_character() -> None:
    """MariaDB before 11.6 starts with latin1."""
    kit = load_datakit("sqlmodel_framework.datakits.silver_pagila")
    with get_target_config("mysql_local", {"conn_method": "private"}) as target:
        deploy_data_objects(kit.tables, target)
        assert prove_deployment(kit.tables, target).findings == ()
        with create_engine_for_target(target).begin() as connection:
            connection.exec_driver_sql("CREATE DATABASE named")
            charset = "SELECT DISTINCT default_character_set_name FROM information_schema.schemata WHERE schema_name IN ('named', 'datakit')"
            assert connection.exec_driver_sql(charset).scalars().all() == ["utf8mb4"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("postgres", "template1", marks=pytest.mark.postgres),
        pytest.param("mysql", "mysql", marks=pytest.mark.mysql),
        pytest.param("mysql", "SYS", marks=pytest.mark.mysql),
    ],
)
def test_a_database_of_the_servers_own_is_refused(kind: str, name: str) -> None:
    with (
        pytest.raises(
            ConfigurationError, match=f"a database of the server's own cannot be a target's.*{name};"
        ),
        create_custom_target(kind, name, conn_method="private") as target,
    ):
        open_target(target)


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_the_server_refuses_is_said(kind: str) -> None:
    with (
        pytest.raises(
            ConfigurationError, match=r"refused its database.*next: name another one with database="
        ),
        create_custom_target(
            kind, "a\0b" if kind == "postgres" else "a" * 65, conn_method="private"
        ) as target,
    ):
        open_target(target)


@pytest.mark.postgres
def test_the_database_postgres_is_there_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    with (
        create_custom_target("postgres", "postgres", conn_method="private") as target,
        create_engine_for_target(target).connect() as connection,
    ):
        assert connection.exec_driver_sql("SELECT current_database()").scalar_one() == "postgres"
        assert (folder_of(target) / ".s.PGSQL.5432").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_temporary_folder_of_the_users_choice_is_taken_where_the_server_reaches_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="chosen-", dir="/tmp") as name:
        chosen = Path(name)
        chosen.chmod(0o755)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", None)
        with create_custom_target(kind, conn_method="private") as target:
            open_target(target)
            assert folder_of(target).parent == chosen
        if os.geteuid() == 0:
            chosen.chmod(0o700)
            with create_custom_target(kind, conn_method="private") as target:
                open_target(target)
                assert folder_of(target).parent == Path("/tmp")


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_somebody_killed_is_said(kind: str) -> None:
    tables = load_datakit("sqlmodel_framework.datakits.bronze_flights").tables
    with create_custom_target(kind, conn_method="private") as target:
        open_target(target)
        assert target.server_ended is not None
        assert target.server_ended() is None
        subprocess.run(["pkill", "-9", "-f", str(folder_of(target) / "data")], check=True)
        ended = str(target.server_ended())
        assert re.fullmatch(r"the private (PostgreSQL|MySQL) ended with -?\d+", ended)
        # PyMySQL leaves a socket open that nobody answers, which is a warning of its own.
        if kind == "postgres":
            with pytest.raises(TryAgainError, match=r"close\(\) the target first") as caught:
                deploy_data_objects(tables, target)
            assert caught.value.seen == ended
        target.close()
        assert deploy_data_objects(tables, target).created
