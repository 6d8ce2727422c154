"""Fresh databases by plain functions: targets that stay the caller's, servers that do not answer, roles, other runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection
from sqlalchemy import insert, inspect, text
from sqlmodel import select

from sqlmodel_framework.base.errors import DeploymentError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines import owner_watch
from sqlmodel_framework.engines.container_labels import checkout
from sqlmodel_framework.engines.fresh import SWEPT_NAME, Isolation, Names
from sqlmodel_framework.engines.live import create_engine_for_target
from sqlmodel_framework.tests.integration.inner_sessions import KIT, of_postgres
from sqlmodel_framework.utils.deployment import deploy_data_objects
from sqlmodel_framework.utils.discovery import load_datakit
from sqlmodel_framework.utils.testing.database import FreshDatabase
from sqlmodel_framework.utils.testing.databases import FreshDatabases
from sqlmodel_framework.utils.testing.servers import Servers

KEEP = """
class Keep(SQLModel, table=True):
    keep_id: int | None = Field(default=None, primary_key=True)
"""
REFUSED = """
from sqlalchemy import CheckConstraint

class Film(SQLModel, table=True):
    __table_args__ = (CheckConstraint("no such"),)
    film_id: int | None = Field(default=None, primary_key=True)
"""
ISOLATIONS: tuple[Isolation, ...] = ("database", "rows", "rollback")
WAITING = "SELECT query FROM pg_stat_activity WHERE query = '{}' AND wait_event_type = 'Lock'"
CREATES = """
import sys
import psycopg2

connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
connection.cursor().execute(sys.argv[2])
"""
MORE = "        more_{}: int = 1\n"
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
    role = f"tester_{worker_id}_{uuid4().hex[:8]}"
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


# templates


@pytest.fixture
def own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Names of databases that no other test gives."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datakit.toml").touch()
    return checkout()[:8]


@pytest.fixture
def templates(own_checkout: str, on_postgres: Callable[..., None]) -> Iterator[Callable[[], list[str]]]:
    """The templates that stay."""

    def named() -> list[str]:
        return [name for name in of_postgres() if name.startswith(f"datakit_template_{own_checkout}_")]

    yield named
    for name in named():
        on_postgres(f"ALTER DATABASE {name} IS_TEMPLATE false", f"DROP DATABASE {name}")


@pytest.fixture
def versions(write_kit: Callable[..., Path]) -> list[str]:
    """One kit as it was at three times: the tables have the same names, and one column more each time."""
    return [
        str(write_kit(f"v{number}", {"tables.py": KIT + "".join(MORE.format(one) for one in range(number))}))
        for number in range(3)
    ]


def take_and_count_columns(databases: FreshDatabases) -> int:
    with databases.fresh() as database, database.engine.connect() as connection:
        return len(inspect(connection).get_columns("copy"))


@pytest.mark.postgres
@pytest.mark.parametrize("reused", [False, True])
def test_two_kits_with_tables_of_the_same_names_take_turns(
    postgres_database: TargetConfig,
    templates: Callable[[], list[str]],
    versions: list[str],
    reused: bool,
) -> None:
    names = Names("0123abcd", reused=reused)
    with (
        FreshDatabases(versions[0], target=postgres_database, names=names) as one,
        FreshDatabases(versions[1], target=postgres_database, names=names) as other,
    ):
        counts = [take_and_count_columns(which) for which in (one, other, one, one, other, other)]
        assert counts == [2, 3, 2, 2, 3, 3]
        assert len(templates()) == 2 * reused


@pytest.mark.postgres
def test_templates_of_classes_as_they_were_go_once_nobody_uses_them(
    postgres_database: TargetConfig, templates: Callable[[], list[str]], versions: list[str]
) -> None:
    with FreshDatabases(
        versions[0], target=postgres_database, names=Names("0123abcd", reused=True)
    ) as databases:
        take_and_count_columns(databases)
        (first,) = templates()
        with FreshDatabases(
            versions[1], target=postgres_database, names=Names("4567abcd", reused=True)
        ) as other:
            take_and_count_columns(other)
        assert [take_and_count_columns(databases) for _ in range(3)] == [2, 2, 2]
        assert first in templates()
    with FreshDatabases(
        versions[2], target=postgres_database, names=Names("89ababcd", reused=True)
    ) as databases:
        assert take_and_count_columns(databases) == 4
    (last,) = templates()
    assert last != first


@pytest.mark.postgres
def test_a_template_that_stays_is_a_roles_own(
    postgres_database: TargetConfig, of_role: TargetConfig, templates: Callable[[], list[str]], kit: str
) -> None:
    names = Names("0123abcd", reused=True)
    for target in (postgres_database, of_role, postgres_database, of_role):
        with FreshDatabases(kit, target=target, names=names) as databases, databases.fresh() as database:
            assert database.session.exec(select(database["Film"])).all() == []
            database.session.add(database["Film"](title="Alien"))
            database.session.commit()
    assert len(templates()) == 2


# what others have left


def create_databases(target: TargetConfig, *names: str) -> None:
    with (
        create_engine_for_target(target)
        .connect()
        .execution_options(isolation_level="AUTOCOMMIT") as connection
    ):
        for name in names:
            connection.execute(text(f"CREATE DATABASE {name}"))


@pytest.mark.postgres
def test_a_run_drops_what_dead_runs_left_and_nothing_else(
    of_role: TargetConfig, postgres_server: TargetConfig, on_postgres: Callable[..., None], kit: str
) -> None:
    mark = uuid4().hex[:8]
    abandoned = [f"datakit_test_{mark}_00000001_mainn1_1", f"datakit_test_{mark}_00000001_gw0n12_34"]
    busy = f"datakit_test_{mark}_00000002_mainn1_1"
    replicated = f"datakit_test_{mark}_00000000_mainn1_1"
    of_another = f"datakit_test_{mark}_00000003_mainn1_1"
    foreign = [f"datakit_test_results{mark}", f"datakit_test_my_own_data_{mark}_1", f"datakit_test_{mark}_x"]
    create_databases(of_role, *abandoned, busy, replicated, *foreign)
    on_postgres(f"CREATE DATABASE {of_another} OWNER pg_monitor")
    on_postgres(f"ALTER ROLE {of_role.user} REPLICATION")
    staying = sorted([busy, replicated, of_another, *foreign])
    try:
        url = create_engine_for_target(of_role).url.set(drivername="postgresql")
        session = psycopg2.connect(url.set(database=busy).render_as_string(hide_password=False))
        # No session that one sees by its kind, and it hinders the database from being dropped.
        sender = psycopg2.connect(
            url.set(database=replicated).render_as_string(hide_password=False),
            connection_factory=LogicalReplicationConnection,
        )
        with FreshDatabases(kit, target=of_role) as databases:
            assert take_and_count_columns(databases) == 2
        session.close()
        sender.close()
        assert sorted(name for name in of_postgres() if mark in name) == staying
    finally:
        for name in of_postgres():
            if mark in name:
                on_postgres(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.postgres
@pytest.mark.parametrize("failed_stay", [False, True])
def test_a_later_run_knows_every_database_by_its_name(
    own_checkout: str, postgres_database: TargetConfig, kit: str, failed_stay: bool
) -> None:
    names = Names("0123abcd", failed_stay=failed_stay)
    with FreshDatabases(kit, target=postgres_database, names=names) as databases:
        for _ in range(3):
            databases.give_back(databases.take())
        with databases.fresh():
            made = [name for name in of_postgres() if own_checkout in name]
    assert len(made) > 1
    assert [name for name in made if not SWEPT_NAME.fullmatch(name)] == []


@pytest.mark.postgres
def test_a_process_that_ends_without_closing_leaves_nothing(
    own_checkout: str, postgres_server: TargetConfig, kit: str
) -> None:
    program = f"""
from sqlmodel_framework import FreshDatabases
databases = FreshDatabases({kit!r}, target="postgres_local")
first = databases.take()
databases.give_back(first)
print(databases.take().target.database)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert own_checkout in done.stdout
    wait_until_gone(own_checkout)


@pytest.mark.postgres
def test_a_database_that_was_being_created_when_its_owner_was_killed_is_not_there_later(
    postgres_server: TargetConfig, on_postgres: Callable[..., None]
) -> None:
    mark = uuid4().hex[:8]
    own, template = f"datakit_test_{mark}_00000001_mainn1_", f"template_{mark}"
    url = create_engine_for_target(postgres_server).url.set(drivername="postgresql")
    place = url.render_as_string(hide_password=False)
    on_postgres(f"CREATE DATABASE {template}", f"CREATE DATABASE {own}1")
    holder = psycopg2.connect(place)
    holder.cursor().execute(f"ALTER DATABASE {template} RENAME TO other_{mark}")
    try:
        creating = f"CREATE DATABASE {own}2 TEMPLATE {template}"
        with subprocess.Popen([sys.executable, "-c", CREATES, place, creating]) as owner:
            wait_until(WAITING.format(creating), [creating])
            owner.kill()
        order = {
            "key": "own",
            "do": "drop databases of postgres",
            "connect": {"dsn": place},
            "path": sys.path,
            "own": own,
            "but": [],
            "shared": own,
            "lock": int(mark, 16),
        }
        program = str(Path(owner_watch.__file__))
        subprocess.run([sys.executable, "-P", program], input=json.dumps(order), text=True, check=True)
        assert of_postgres(WAITING.format(creating)) == []
    finally:
        holder.close()
        on_postgres(f"DROP DATABASE {template} WITH (FORCE)")
    assert [name for name in of_postgres() if mark in name] == []


def wait_until(query: str, told: list[str]) -> None:
    end = time.monotonic() + 20
    while (found := of_postgres(query)) != told and time.monotonic() < end:
        time.sleep(0.1)
    assert found == told


def wait_until_gone(mark: str) -> None:
    end = time.monotonic() + 20
    while (left := [name for name in of_postgres() if mark in name]) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


# roles, and what tests leave


def add_film(database: FreshDatabase) -> None:
    film = database["Film"](title="Alien")
    database.session.add(film)
    database.session.commit()
    assert film.film_id == 1


@pytest.mark.postgres
@pytest.mark.parametrize("isolation", ["rows", "rollback"])
def test_a_role_that_is_no_superuser_gets_clean_databases(
    of_role: TargetConfig, kit: str, isolation: Isolation
) -> None:
    with FreshDatabases(kit, target=of_role, isolation=isolation) as databases:
        names = set()
        for _ in range(3):
            with databases.fresh() as database:
                add_film(database)
                names.add(database.target.database)
        assert len(names) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("called", [True, False])
def test_counters_that_were_set_count_from_the_start_again(
    postgres_database: TargetConfig, kit: str, called: bool
) -> None:
    with FreshDatabases(kit, target=postgres_database, isolation="rows") as databases:
        with databases.fresh() as database:
            name = database.target.database
            with database.engine.begin() as connection:
                connection.execute(text("SELECT setval('film_film_id_seq', 50, :called)"), {"called": called})
        with databases.fresh() as database:
            assert database.target.database == name
            add_film(database)


@pytest.mark.postgres
def test_a_database_whose_commits_could_not_be_looked_for_is_not_used_again(
    of_role: TargetConfig, on_postgres: Callable[..., None], kit: str
) -> None:
    with FreshDatabases(kit, target=of_role, isolation="rollback") as databases:
        with databases.fresh() as database:
            name = database.target.database
            film = database["Film"]
            with database.engine.begin() as connection:
                connection.execute(insert(film).values(title="Alien"))
            on_postgres(f"{END_SESSIONS.format(role=of_role.user)} AND datname = '{name}'")
        with databases.fresh() as database:
            assert database.target.database != name
            add_film(database)


@pytest.mark.postgres
def test_a_kept_database_outlives_later_runs(
    of_role: TargetConfig, on_postgres: Callable[..., None], kit: str
) -> None:
    with FreshDatabases(kit, target=of_role) as databases:
        database = databases.take()
        add_film(database)
        command = databases.keep(database)
        assert command is not None
        kept = command.split()[-1]
        assert database.session.get(database["Film"], 1) is not None
        databases.give_back(database)
        databases.give_back(databases.take())
    with FreshDatabases(kit, target=of_role) as databases:
        databases.give_back(databases.take())
    with replace(of_role, database=kept) as target, create_engine_for_target(target).connect() as connection:
        assert connection.execute(text("SELECT title FROM film")).scalar_one() == "Alien"
    on_postgres(f"DROP DATABASE {kept} WITH (FORCE)")


@pytest.mark.postgres
def test_variables_about_servers_of_the_user_do_not_reach_our_own(
    monkeypatch: pytest.MonkeyPatch, kit: str
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGOPTIONS", "-c no.such=1 -c work_mem=nothing")
    for isolation in ISOLATIONS:
        with FreshDatabases(kit, target="postgres_embedded", isolation=isolation) as databases:
            for _ in range(2):
                with databases.fresh() as database:
                    add_film(database)


@pytest.mark.mysql
def test_kits_that_the_server_refuses_are_not_deployed_again(
    mysql_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    refused = str(write_kit("refused", {"tables.py": REFUSED}))
    with FreshDatabases(refused, target=mysql_database) as databases:
        told = []
        for _ in range(2):
            with pytest.raises(DeploymentError) as caught:
                databases.take()
            told.append(caught.value)
        assert told[0] is told[1]
