"""Fresh databases by plain functions: targets that stay the caller's, servers that do not answer, roles, other runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect

from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.live import create_engine_for_target
from sqlmodel_framework.tests.integration.inner_sessions import KIT
from sqlmodel_framework.utils.deployment import deploy_data_objects
from sqlmodel_framework.utils.discovery import load_datakit
from sqlmodel_framework.utils.testing.databases import FreshDatabases
from sqlmodel_framework.utils.testing.servers import Servers

KEEP = """
class Keep(SQLModel, table=True):
    keep_id: int | None = Field(default=None, primary_key=True)
"""
END_SESSIONS = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = '{role}'"
    " AND pid <> pg_backend_pid()"
)


@pytest.fixture
def kit(write_kit: Callable[..., Path]) -> str:
    return str(write_kit("kit", {"tables.py": KIT}))


@pytest.fixture
def of_role(
    postgres_database: TargetConfig, on_postgres: Callable[..., None], worker_id: str
) -> Iterator[TargetConfig]:
    """A target of a role of its own, which may create databases and is no superuser."""
    role = f"tester_{worker_id}_{os.getpid()}"
    password = postgres_database.password
    assert password
    on_postgres(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{password.get_secret_value()}'")
    on_postgres(f"GRANT ALL ON SCHEMA public TO {role}", database=postgres_database.database)
    with replace(postgres_database, user=role) as target:
        yield target
    on_postgres(f"DROP OWNED BY {role}", database=postgres_database.database)
    on_postgres(f"DROP ROLE {role}")


def tables_in(target: TargetConfig) -> list[str]:
    engine = create_engine_for_target(target)
    with engine.connect() as connection:
        return sorted(inspect(connection).get_table_names())


@pytest.mark.postgres
def test_the_callers_target_keeps_its_tables_when_sessions_are_ended(
    of_role: TargetConfig, on_postgres: Callable[..., None], write_kit: Callable[..., Path], kit: str
) -> None:
    deploy_data_objects(load_datakit(str(write_kit("keep", {"keep.py": KEEP}))).tables, of_role)
    with FreshDatabases(kit, target=of_role) as databases:
        with databases.fresh() as database:
            assert tables_in(database.target) == ["copy", "film"]
        live = of_role.live
        on_postgres(END_SESSIONS.format(role=of_role.user))
        with databases.fresh() as database:
            assert tables_in(database.target) == ["copy", "film"]
        create_engine_for_target(of_role).dispose()
        assert of_role.live is live
        assert tables_in(of_role) == ["keep"]


@pytest.mark.postgres
def test_two_that_share_a_named_target_get_on_when_sessions_are_ended(
    of_role: TargetConfig,
    on_postgres: Callable[..., None],
    write_kit: Callable[..., Path],
    kit: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATAKIT_POSTGRES_LOCAL_USER", str(of_role.user))
    keep = str(write_kit("keep", {"keep.py": KEEP}))
    servers = Servers()
    with (
        FreshDatabases(kit, target="postgres_local", servers=servers) as one,
        FreshDatabases(keep, target="postgres_local", servers=servers) as other,
    ):
        one.give_back(one.take())
        other.give_back(other.take())
        live = servers.open("postgres_local")
        on_postgres(END_SESSIONS.format(role=of_role.user))
        with one.fresh() as first, other.fresh() as second:
            assert tables_in(first.target) == ["copy", "film"]
            assert tables_in(second.target) == ["keep"]
        assert servers.open("postgres_local") is live
    servers.close()
