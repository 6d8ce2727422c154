"""What goes wrong with targets: each time one message in the house form, the documented exit code, and no secret."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    TryAgainError,
    create_custom_target,
    deploy_data_objects,
    load_datakit,
    validate_deployment,
)
from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.config.targets import target_from_url
from sqlmodel_framework.utils.tables import TableLike

SECRET = "canary-secret-9481"


@pytest.fixture
def tables(write_kit: Callable[..., Path]) -> tuple[TableLike, ...]:
    source = "class One(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
    return load_datakit(write_kit("kit", {"one.py": source})).tables


def like(server: TargetConfig, **changes: object) -> TargetConfig:
    """A target on the same server with some parts changed."""
    assert server.password
    parts = {
        "database": server.database,
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password.get_secret_value(),
        **changes,
    }
    return create_custom_target(server.type, **parts)  # type: ignore[arg-type]


def assert_clean(error: DatakitError) -> None:
    """No password anywhere that a person may see it."""
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert SECRET not in str(error.args)


@pytest.fixture(params=["postgres_server", "mysql_server"])
def server(request: pytest.FixtureRequest) -> TargetConfig:
    found: TargetConfig = request.getfixturevalue(request.param)
    return found


def test_a_wrong_password_is_a_configuration_error(
    server: TargetConfig, tables: tuple[TableLike, ...]
) -> None:
    target = like(server, password=SECRET)
    with pytest.raises(ConfigurationError) as caught:
        deploy_data_objects(tables, target)
    assert "refused the connection" in str(caught.value)
    assert "password" in str(caught.value.next_step)
    assert target.address in str(caught.value)
    assert_clean(caught.value)


def test_a_missing_database_is_a_configuration_error(
    server: TargetConfig, tables: tuple[TableLike, ...]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        deploy_data_objects(tables, like(server, database="no_such_database"))
    assert "no_such_database" in str(caught.value)
    assert "create " in str(caught.value.next_step)


def test_a_server_that_is_down_is_worth_another_try(
    server: TargetConfig, tables: tuple[TableLike, ...]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(TryAgainError) as caught:
        validate_deployment(tables, like(server, port=port, password=SECRET))
    assert caught.value.exit_code == 75
    assert caught.value.retryable
    assert str(port) in str(caught.value)
    assert_clean(caught.value)


def test_an_unknown_host_is_worth_another_try(server: TargetConfig, tables: tuple[TableLike, ...]) -> None:
    with pytest.raises(TryAgainError, match="no-such-host"):
        deploy_data_objects(tables, like(server, host="no-such-host.invalid"))


def test_an_unknown_connection_option_is_refused(server: TargetConfig, tables: tuple[TableLike, ...]) -> None:
    target = target_from_url(
        f"{server.type}://u:{SECRET}@127.0.0.1/db?sslmod=require".replace("postgres:", "postgresql:")
    )
    with pytest.raises(ConfigurationError, match="sslmod") as caught:
        deploy_data_objects(tables, target)
    assert_clean(caught.value)


@pytest.mark.postgres
def test_no_right_to_create_on_postgres(
    postgres_database: TargetConfig, on_postgres: Callable[..., None], tables: tuple[TableLike, ...]
) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    on_postgres(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'")
    try:
        target = like(postgres_database, user=role, password=SECRET)
        with pytest.raises(DeploymentError) as caught:
            deploy_data_objects(tables, target)
        assert "permission denied for schema public" in str(caught.value)
        assert "ask for the right" in str(caught.value)
        assert_clean(caught.value)
        target.close()
    finally:
        on_postgres(f"DROP ROLE {role}")


@pytest.mark.mysql
def test_no_right_to_create_on_mysql(
    mysql_database: TargetConfig, on_mysql: Callable[..., None], tables: tuple[TableLike, ...]
) -> None:
    user = f"reader_{uuid4().hex[:8]}"
    on_mysql(
        f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{SECRET}'",
        f"GRANT SELECT ON {mysql_database.database}.* TO {user}@'127.0.0.1'",
    )
    try:
        target = like(mysql_database, user=user, password=SECRET)
        with pytest.raises(DeploymentError) as caught:
            deploy_data_objects(tables, target)
        assert "CREATE command denied" in str(caught.value)
        assert "ask for the right" in str(caught.value)
        assert_clean(caught.value)
        target.close()
    finally:
        on_mysql(f"DROP USER {user}@'127.0.0.1'")


@pytest.mark.postgres
def test_the_socket_of_postgres(postgres_database: TargetConfig, tables: tuple[TableLike, ...]) -> None:
    folder = os.environ.get("TEST_POSTGRES_SOCKET")
    if not folder:
        pytest.skip("TEST_POSTGRES_SOCKET names no socket")
    target = create_custom_target(
        "postgres",
        postgres_database.database,
        host=folder,
        port=postgres_database.port,
        user=postgres_database.user,
    )
    assert target.conn_method == "socket"
    with target:
        assert deploy_data_objects(tables, target)["success"]
        assert validate_deployment(tables, target)["success"]


@pytest.mark.postgres
def test_libpqs_environment_counts(
    postgres_database: TargetConfig, tables: tuple[TableLike, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert postgres_database.password
    for name, value in {
        "PGHOST": postgres_database.host,
        "PGPORT": str(postgres_database.port),
        "PGUSER": postgres_database.user,
        "PGPASSWORD": postgres_database.password.get_secret_value(),
        "PGDATABASE": postgres_database.database,
    }.items():
        monkeypatch.setenv(name, str(value))
    with create_custom_target("postgres") as target:
        deploy_data_objects(tables, target)
        assert validate_deployment(tables, postgres_database)["success"]


@pytest.mark.mysql
def test_the_socket_of_mysql(mysql_database: TargetConfig, tables: tuple[TableLike, ...]) -> None:
    path = os.environ.get("TEST_MYSQL_SOCKET")
    if not path:
        pytest.skip("TEST_MYSQL_SOCKET names no socket")
    assert mysql_database.password
    target = create_custom_target(
        "mysql",
        mysql_database.database,
        socket=path,
        user=mysql_database.user,
        password=mysql_database.password.get_secret_value(),
    )
    assert target.conn_method == "socket"
    with target:
        assert deploy_data_objects(tables, target)["success"]
        assert validate_deployment(tables, target)["success"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.sqlite
def test_a_full_disk_leaves_nothing(tiny_disk: Path) -> None:
    kit = load_datakit("sqlmodel_framework.datakits.silver_pagila")
    path = tiny_disk / "kit.db"
    target = create_custom_target("sqlite", str(path))
    with pytest.raises(DeploymentError) as caught:
        deploy_data_objects(kit.tables, target)
    assert "the disk is full" in str(caught.value)
    assert "free space" in str(caught.value)
    target.close()
    assert list(tiny_disk.iterdir()) == []


@pytest.mark.sqlite
def test_a_file_that_is_no_database(tmp_path: Path, tables: tuple[TableLike, ...]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(
        "this is no database, but it is longer than one hundred bytes, as SQLite's header is " * 5
    )
    with pytest.raises(ConfigurationError, match="cannot be opened as a database"):
        deploy_data_objects(tables, create_custom_target("sqlite", str(path)))
    assert path.read_text().startswith("this is no database")


@pytest.mark.sqlite
def test_a_folder_that_does_not_exist(tmp_path: Path, tables: tuple[TableLike, ...]) -> None:
    with pytest.raises(ConfigurationError, match="folder of a SQLite file does not exist"):
        deploy_data_objects(tables, create_custom_target("sqlite", str(tmp_path / "none" / "kit.db")))


@pytest.mark.sqlite
def test_a_locked_sqlite_file_is_worth_another_try(tmp_path: Path, tables: tuple[TableLike, ...]) -> None:
    import sqlite3

    path = tmp_path / "kit.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        target = target_from_url(f"sqlite:///{path}?timeout=0.1")
        with pytest.raises(TryAgainError, match="locked by another connection"):
            deploy_data_objects(tables, target)
    finally:
        holder.close()


def _kit_with_name(
    write_kit: Callable[..., Path], name: str, *, with_key: bool = True
) -> tuple[TableLike, ...]:
    key = f"foreign_key={name + '.id'!r}" if with_key else ""
    source = f"""
        class Odd(SQLModel, table=True):
            __tablename__ = {name!r}
            id: int = Field(primary_key=True)
            select_: str = Field(sa_column_kwargs={{"name": "select"}}, max_length=5)
            parent_id: int | None = Field(default=None, {key})
    """
    return load_datakit(write_kit("kit", {"odd.py": source})).tables


@pytest.mark.parametrize(
    "name", ["order", "Order Details", 'quo"te', "semi;colon", "per%cent", "Straße", "日本", "x" * 56]
)
def test_hostile_names_deploy_and_validate(
    name: str, target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    tables = _kit_with_name(write_kit, name)
    deploy_data_objects(tables, target)
    assert validate_deployment(tables, target).findings == ()
    assert target.live.drop_created() == [name]


def test_a_name_of_63_characters(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    tables = _kit_with_name(write_kit, "x" * 63, with_key=False)
    assert deploy_data_objects(tables, target)["success"]
    assert validate_deployment(tables, target).findings == ()


@pytest.mark.mysql
def test_a_long_name_with_an_unnamed_foreign_key(
    mysql_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    with pytest.raises(DeploymentError, match="give the foreign key a name"):
        deploy_data_objects(_kit_with_name(write_kit, "x" * 57), mysql_database)


def test_a_name_of_64_characters(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    tables = _kit_with_name(write_kit, "x" * 64, with_key=False)
    if target.type == "postgres":
        with pytest.raises(DeploymentError) as caught:
            deploy_data_objects(tables, target)
        assert "64 bytes; expected: at most 63" in str(caught.value)
        assert caught.value.exit_code == 5
    else:
        assert deploy_data_objects(tables, target)["success"]
        assert validate_deployment(tables, target)["success"]


def test_a_name_counts_in_bytes_on_postgres(
    write_kit: Callable[..., Path], embedded_database: TargetConfig
) -> None:
    with pytest.raises(DeploymentError, match="64 bytes"):
        deploy_data_objects(_kit_with_name(write_kit, "ü" * 32), embedded_database)


def test_a_foreign_key_to_nowhere(target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        class Lost(SQLModel, table=True):
            id: int = Field(primary_key=True)
            other_id: int = Field(foreign_key="other.id")
    """
    kit = load_datakit(write_kit("kit", {"lost.py": source}))
    with pytest.raises(DeploymentError) as caught:
        deploy_data_objects(kit.tables, target)
    assert "no class defines" in str(caught.value)
    assert "table lost, column other_id" in str(caught.value)
    assert "other.id" in str(caught.value)
