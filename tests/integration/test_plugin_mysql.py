"""The plugin's databases on MySQL and MariaDB: whose they are, what tests leave in them, and how they end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex

import pytest
from sqlalchemy import NullPool, create_engine

from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.engines.mysql_cleaning import MySQLCleaner, end_sessions
from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions, of_mysql
from sqlmodel_framework.utils.testing.databases import FreshDatabases

pytestmark = pytest.mark.mysql

LEFT = f"datakit_test_{token_hex(4)}_{token_hex(4)}_gw0n1_"
"""The beginning of names of a worker that lives no more."""
ENDS_WITHOUT_CLOSE = """
    from sqlmodel_framework.utils.testing.databases import FreshDatabases

    databases = FreshDatabases("kit", target="mysql_local")
    database = databases.take()
    print(database.target.database)
    database.connection.exec_driver_sql("SELECT * FROM film")
"""
# The datakit's own DDL: what a deletion writes, what it forbids, rows from the start, and numbers that start at 1000.
OWN_DDL = """
    from sqlalchemy import DDL, event
    from sqlmodel import Field, SQLModel

    class Film(SQLModel, table=True):
        __table_args__ = {"mysql_auto_increment": "1000"}
        film_id: int | None = Field(default=None, primary_key=True)
        title: str = Field(max_length=100)

    class Audit(SQLModel, table=True):
        audit_id: int | None = Field(default=None, primary_key=True)

    for statement in (
        "CREATE TABLE log (log_id INTEGER AUTO_INCREMENT PRIMARY KEY, title VARCHAR(100))",
        "CREATE TABLE kind (kind_id INTEGER PRIMARY KEY)",
        "INSERT INTO kind VALUES (7)",
        "CREATE TRIGGER added AFTER INSERT ON film FOR EACH ROW INSERT INTO log (title) VALUES (NEW.title)",
        "CREATE TRIGGER deleted AFTER DELETE ON film FOR EACH ROW INSERT INTO log (title) VALUES (OLD.title)",
        "CREATE TRIGGER kept BEFORE DELETE ON log FOR EACH ROW SIGNAL SQLSTATE '45000'",
    ):
        event.listen(Film.__table__, "after_create", DDL(statement))
"""
WITH_OWN_DDL = """
    @pytest.mark.datakit("../audited", targets=["mysql_local"], isolation="rows")
    @pytest.mark.parametrize("work", [
        [],
        ["INSERT INTO kind VALUES (8)"],
        ["DELETE FROM kind"],
        ["INSERT INTO log VALUES (33, 'Alien')"],
        ["DELETE FROM film"],
        [],
    ])
    def test_work(datakit, work):
        names = []
        def rows(query):
            return [tuple(row) for row in datakit.connection.exec_driver_sql(query)]
        assert rows("SELECT * FROM log") == rows("SELECT * FROM film") == []
        assert rows("SELECT * FROM kind") == [(7,)]
        datakit.connection.exec_driver_sql("INSERT INTO film (title) VALUES ('Alien')")
        assert rows("SELECT * FROM film") == [(1000, "Alien")]
        assert rows("SELECT * FROM log") == [(1, "Alien")]
        for one in work:
            datakit.connection.exec_driver_sql(one)
        datakit.connection.commit()
        NAMES.append(datakit.target.database)

    NAMES = []

    def test_the_database_was_made_again_only_for_rows_of_the_beginning():
        assert NAMES[0] == NAMES[1] and NAMES[3] == NAMES[4] == NAMES[5]
        assert len(set(NAMES)) == 3
"""
_KEY, _REFERENCES = "ALTER TABLE copy", "REFERENCES film (film_id) ON DELETE CASCADE"
CHANGED = [
    "ALTER TABLE copy ADD CONSTRAINT low CHECK (film_id > 0)",
    "ALTER TABLE film DROP CONSTRAINT short, ADD CONSTRAINT short CHECK (CHAR_LENGTH(title) < 60)",
    f"{_KEY} DROP FOREIGN KEY of_film; {_KEY} ADD CONSTRAINT of_film FOREIGN KEY (film_id) {_REFERENCES}",
    "ALTER TABLE film MODIFY size INTEGER GENERATED ALWAYS AS (CHAR_LENGTH(title) + 1) STORED",
    "ALTER TABLE film COMMENT 'other'",
    "ALTER TABLE film MODIFY title VARCHAR(100) NOT NULL COMMENT 'other'",
    "ALTER VIEW films AS SELECT film_id FROM film",
    "DROP FUNCTION twice",
    "CREATE OR REPLACE VIEW more AS SELECT 1 AS one",
    "ALTER DATABASE CHARACTER SET ascii",
    "ALTER TABLE film ADD INDEX titles (title) COMMENT 'other'",
]
STRUCTURED = """
    from sqlalchemy import CheckConstraint, Column, Computed, DDL, ForeignKey, Integer, event
    from sqlmodel import Field, SQLModel

    class Film(SQLModel, table=True):
        __table_args__ = (CheckConstraint("CHAR_LENGTH(title) < 50", name="short"),)
        film_id: int | None = Field(default=None, primary_key=True)
        title: str = Field(max_length=100)
        size: int = Field(sa_column=Column(Integer, Computed("CHAR_LENGTH(title)", persisted=True)))

    class Copy(SQLModel, table=True):
        copy_id: int | None = Field(default=None, primary_key=True)
        film_id: int = Field(sa_column=Column(Integer, ForeignKey("film.film_id", name="of_film")))

    for statement in (
        "CREATE VIEW films AS SELECT title FROM film",
        "CREATE FUNCTION twice(number INTEGER) RETURNS INTEGER DETERMINISTIC RETURN 2 * number",
    ):
        event.listen(Film.__table__, "after_create", DDL(statement))
"""
WITH_SEQUENCE = """
    from sqlalchemy import DDL, event
    from sqlmodel import Field, SQLModel

    class Film(SQLModel, table=True):
        film_id: int | None = Field(default=None, primary_key=True)

    event.listen(Film.__table__, "after_create", DDL("CREATE SEQUENCE numbers START WITH 50"))
"""
# A name of 59 characters: that of its lock would be too long.
SCHEMA = f"named_{token_hex(4)}_{'x' * 44}"
NAMED = """
    from sqlmodel import Field, SQLModel

    class Town(SQLModel, table=True):
        __table_args__ = {"schema": "SCHEMA"}
        town_id: int | None = Field(default=None, primary_key=True)

    class Film(SQLModel, table=True):
        film_id: int | None = Field(default=None, primary_key=True)
        town_id: int | None = Field(default=None, foreign_key="SCHEMA.town.town_id")
""".replace("SCHEMA", SCHEMA)
USES_NAMED = """
    from sqlmodel_framework.base.errors import ConfigurationError

    def use(datakit):
        datakit.session.add(datakit["Town"]())
        datakit.session.commit()
        assert datakit.session.exec(sa.select(datakit["Town"].town_id)).scalars().all() == [1]

    @pytest.mark.datakit("../named", targets=["mysql_local"])
    class Test:
        def test_use(self, datakit):
            use(datakit)

        def test_twice_at_the_same_time(self, datakit, datakit_factory):
            with pytest.raises(ConfigurationError, match="a test uses a named schema twice at the same time"):
                datakit_factory("../named")
            use(datakit)

        def test_fails(self, datakit):
            use(datakit)
            assert FAILS == "not"

        def test_again(self, datakit):
            use(datakit)

        def test_last(self, datakit):
            use(datakit)
            KILL()
"""
KILL = "import os, signal; FAILS, KILL = 'not', lambda: os.kill(os.getpid(), signal.SIGKILL)"


@contextmanager
def made(run: Callable[..., None], *names: str, then: Sequence[str] = ()) -> Iterator[None]:
    """Databases of these names, with a table. No other run drops them while they are made."""
    try:
        creating = [f"CREATE DATABASE `{name}`" for name in names]
        tables = [f"CREATE TABLE `{name}`.film (film_id INTEGER PRIMARY KEY)" for name in names]
        run(f"SELECT GET_LOCK('{LEFT}', 10)", *creating, *tables, *then)
        yield
    finally:
        for name in reversed(names):
            run(f"DROP DATABASE IF EXISTS `{name}`")


def test_databases_of_others_that_are_called_alike_stay(
    mysql_server: TargetConfig, on_mysql: Callable[..., None]
) -> None:
    others = ["datakit_test_results", "datakit_test_my_own_data", f"{LEFT}1_copy", f"{LEFT}x"]
    with made(on_mysql, *others, f"{LEFT}7"):
        with FreshDatabases(target=mysql_server) as databases, databases.fresh():
            found = of_mysql()
        assert set(others) <= set(found)
        assert f"{LEFT}7" not in found


def test_what_cannot_be_dropped_hinders_neither_the_run_nor_other_drops(
    mysql_server: TargetConfig, on_mysql: Callable[..., None]
) -> None:
    refusing, other, child = f"{LEFT}11", f"{LEFT}12", f"of_{LEFT}"
    refers = f"CREATE TABLE `{child}`.copy (film_id INTEGER, FOREIGN KEY (film_id) REFERENCES `{refusing}`.film (film_id))"
    with made(on_mysql, refusing, other, child, then=[refers]):
        with FreshDatabases(target=mysql_server) as databases, databases.fresh():
            found = of_mysql()
        on_mysql(f"DROP DATABASE `{child}`")
        assert refusing in found
        assert other not in found
        with FreshDatabases(target=mysql_server) as databases, databases.fresh():
            assert refusing not in of_mysql(), "its lock was not given back"


def test_a_process_that_ends_without_close_leaves_nothing(
    inner: InnerSessions, mysql_server: TargetConfig
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ENDS_WITHOUT_CLOSE)],
        cwd=inner.project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert inner.ours([done.stdout.strip()])
    inner.assert_nothing_is_left()


@pytest.mark.usefixtures("mysql_server")
def test_tables_and_triggers_of_the_datakits_own_ddl_are_as_they_were_made(inner: InnerSessions) -> None:
    inner.kit(OWN_DDL, "audited")
    inner.run(WITH_OWN_DDL).assert_outcomes(passed=7)


@pytest.mark.container
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("docker_engine")
def test_the_same_on_mysql_itself(inner: InnerSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAKIT_MYSQL_CONTAINER_DEADLINE", "180")
    inner.kit(OWN_DDL, "audited")
    inner.kit(NAMED, "named")
    both = textwrap.dedent(WITH_OWN_DDL) + "\nFAILS, KILL = 'not', int\n" + textwrap.dedent(USES_NAMED)
    tests = both.replace("mysql_local", "mysql_container")
    inner.run(tests, "-o", "timeout=250", seconds=290).assert_outcomes(passed=12)


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_structure_is_seen(inner: InnerSessions, mysql_server: TargetConfig, change: str) -> None:
    inner.kit(STRUCTURED)
    with FreshDatabases(inner.project / "kit", target=mysql_server) as databases:
        names = []
        for number in range(3):
            with databases.fresh() as database:
                names.append(database.target.database)
                if number == 1:
                    for one in change.split("; "):
                        database.connection.exec_driver_sql(one)
    assert names[0] == names[1] != names[2]


def test_sequences_of_mariadb_start_again(inner: InnerSessions, mysql_server: TargetConfig) -> None:
    if "MariaDB" not in of_mysql("SELECT version()")[0]:
        pytest.skip("MySQL has no sequences")
    inner.kit(WITH_SEQUENCE)
    with FreshDatabases(inner.project / "kit", target=mysql_server) as databases:
        names = set()
        for _ in range(3):
            with databases.fresh() as database:
                names.add(database.target.database)
                numbers = [
                    database.connection.exec_driver_sql("SELECT NEXTVAL(numbers)").scalar() for _ in "12"
                ]
                assert numbers == [50, 51]
    assert len(names) == 1


def test_a_session_that_is_ended_is_waited_for(mysql_server: TargetConfig, inner: InnerSessions) -> None:
    with (
        FreshDatabases(inner.project / "kit", target=mysql_server) as databases,
        databases.fresh() as database,
    ):
        others = [create_engine(database.engine.url, poolclass=NullPool).connect() for _ in range(20)]
        for one in others:
            one.exec_driver_sql("SELECT * FROM film FOR UPDATE")
        query = f"SELECT id FROM information_schema.processlist WHERE db = '{database.target.database}'"
        assert len(of_mysql(query)) >= 20
        with open_target(mysql_server).sql.connect() as connection:
            end_sessions(connection, str(database.target.database))
        assert of_mysql(query) == []
        for one in others:
            one.invalidate()
            one.close()


@pytest.mark.usefixtures("mysql_server")
def test_named_schemas_are_used_by_one_test_after_the_other_and_failed_ones_do_not_stay(
    inner: InnerSessions,
) -> None:
    inner.kit(NAMED, "named")
    result = inner.run("FAILS, KILL = 'yes', int\n" + textwrap.dedent(USES_NAMED), "--datakit-keep-failed")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*a database with named schemas cannot stay*"])
    assert SCHEMA not in of_mysql()


@pytest.mark.usefixtures("mysql_server")
def test_a_killed_run_leaves_no_named_schema(inner: InnerSessions) -> None:
    inner.kit(NAMED, "named")
    inner.tests(KILL + "\n" + textwrap.dedent(USES_NAMED))
    assert inner.start().wait(60) < 0
    inner.assert_nothing_is_left()
    assert SCHEMA not in of_mysql()


def test_named_schemas_of_a_run_that_was_killed_with_its_watch_are_dropped(
    mysql_server: TargetConfig, on_mysql: Callable[..., None]
) -> None:
    record, mine = f"{LEFT}0", "named_by_somebody"
    listed = (
        f"CREATE TABLE `{record}`.named AS SELECT '{SCHEMA}' AS name",
        f"CREATE TABLE `{SCHEMA}`.copy (film_id INTEGER, FOREIGN KEY (film_id) REFERENCES `{record}`.film (film_id))",
    )
    with made(on_mysql, record, mine, SCHEMA, then=listed):
        with FreshDatabases(target=mysql_server) as databases, databases.fresh():
            found = of_mysql()
        assert mine in found
        assert record not in found
        assert SCHEMA not in found


def test_a_datakit_that_is_refused_leaves_neither_its_databases_nor_their_locks(
    inner: InnerSessions, mysql_server: TargetConfig
) -> None:
    refused = NAMED.replace(
        "town_id: int | None = Field(default=None, f", "town_id: str = Field(max_length=7, f"
    )
    inner.kit(refused, "refused")
    inner.kit(NAMED, "named")
    with (
        FreshDatabases(inner.project / "refused", target=mysql_server) as bad,
        FreshDatabases(inner.project / "named", target=mysql_server) as good,
    ):
        for _ in range(2):
            with pytest.raises(DatakitError, match="key"):
                bad.take()
            assert SCHEMA not in of_mysql()
            assert inner.left() == []
            with good.fresh() as database:
                assert database.validate().success


def test_a_database_that_cannot_be_emptied_is_not_used_again(
    inner: InnerSessions, mysql_server: TargetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MySQLCleaner, "empty", lambda *_: None)
    names = []
    with FreshDatabases(inner.project / "kit", target=mysql_server) as databases:
        for _ in range(2):
            with databases.fresh() as database:
                names.append(database.target.database)
                assert database.seed(rows=1).success
    assert names[0] != names[1]
