"""What tests do to their databases, and datakits that do not deploy: the next test gets a clean database all the same."""

from __future__ import annotations

import pytest

from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions

SQLITE = [pytest.param(name, marks=pytest.mark.sqlite) for name in ("sqlite_memory", "sqlite_file")]
SERVERS = [
    pytest.param("postgres_local", marks=pytest.mark.postgres),
    pytest.param("mysql_local", marks=pytest.mark.mysql),
]
EMBEDDED = pytest.param("postgres_embedded", marks=pytest.mark.postgres)
CONTAINERS = [
    pytest.param("postgres_container", marks=[pytest.mark.postgres, pytest.mark.container]),
    pytest.param("mysql_container", marks=[pytest.mark.mysql, pytest.mark.container]),
]
# Each test does something to its database; the one after it asks for a clean one.
MISHAPS = """
    import atexit

    LEFT = []

    def insert(datakit, connection, title="left"):
        connection.execute(sa.insert(datakit["Film"]).values(title=title))

    def in_a_child(work):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    class Mishaps:
        @pytest.fixture(autouse=True)
        def clean(self, datakit):
            assert sorted(sa.inspect(datakit.engine).get_table_names()) == ["copy", "film"]
            add(datakit)
            assert datakit.validate().success

        def test_leaves_a_transaction_open(self, datakit):
            LEFT.append(datakit.engine.connect())
            insert(datakit, LEFT[-1])

        def test_leaves_rows_of_a_session(self, datakit):
            datakit.session.add(film(datakit))
            datakit.session.flush()

        def test_breaks_its_session(self, datakit):
            datakit.session.add(datakit["Copy"](film_id=12))
            with pytest.raises(sa.exc.IntegrityError):
                datakit.session.flush()

        def test_drops_its_tables(self, datakit):
            with datakit.engine.begin() as connection:
                connection.execute(sa.text("DROP TABLE copy"))
                connection.execute(sa.text("DROP TABLE film"))

        def test_adds_a_column(self, datakit):
            with datakit.engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE film ADD COLUMN more INTEGER"))

        def test_makes_a_view(self, datakit):
            with datakit.engine.begin() as connection:
                connection.execute(sa.text("CREATE VIEW films AS SELECT title FROM film"))

        def test_forks_a_child_that_ends_as_programs_do(self, datakit):
            in_a_child(atexit._run_exitfuncs)
            assert count(datakit) == 1

        def test_forks_a_child_that_writes(self, datakit):
            def work():
                mine = sa.create_engine(datakit.engine.url, poolclass=sa.NullPool)
                with mine.begin() as connection:
                    insert(datakit, connection)

            if datakit.target.conn_method != "memory":
                in_a_child(work)
                assert count(datakit) == 2

        def test_after_all_of_them(self):
            pass

    for isolation in ISOLATIONS:
        marked = pytest.mark.datakit("../kit", targets=TARGETS, isolation=isolation)
        globals()[f"Test{isolation.title()}"] = marked(type("Test", (Mishaps,), {}))
"""
ENDINGS = """
    from pathlib import Path

    def of_embedded(datakit):
        backend = datakit.session.exec(sa.text("SELECT pg_backend_pid()")).scalar_one()
        server = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(server, signal.SIGKILL)

    def of_container(datakit):
        from sqlmodel_framework.engines.docker_engine import connect_docker
        from sqlmodel_framework.engines.our_containers import list_containers

        (one,) = list_containers()
        client = connect_docker("a test").client
        client.containers.get(one.name).kill()
        client.close()

    def of_sessions(datakit):
        "A server of others cannot be killed, but what is connected to it can."
        own = sa.create_engine(datakit.engine.url, poolclass=sa.NullPool)
        with own.connect() as connection:
            found = connection.execute(sa.text(OTHERS[datakit.target.type])).scalars().all()
            for session in found:
                connection.execute(sa.text(END[datakit.target.type].format(session)))
            connection.rollback()

    OTHERS = {
        "postgres": "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%datakit%'"
        " OR pid <> pg_backend_pid() AND datname LIKE 'datakit_test%'",
        "mysql": "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND db LIKE 'datakit_test%'",
    }
    END = {"postgres": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
    WAYS = {
        "postgres_embedded": of_embedded,
        "postgres_container": of_container,
        "mysql_container": of_container,
        "postgres_local": of_sessions,
        "mysql_local": of_sessions,
    }

    @pytest.mark.datakit("../kit", targets=[TARGET])
    class Test:
        def test_before(self, datakit):
            add(datakit)

        def test_ends_its_server(self, datakit):
            add(datakit)
            WAYS[TARGET](datakit)

        @pytest.mark.parametrize("number", range(3))
        def test_after(self, datakit, number):
            add(datakit)
"""
OTHER_ENGINE = """
    @pytest.mark.datakit("../kit", targets=TARGETS, isolation="rollback")
    class Test:
        def test_commits_by_another_way(self, datakit):
            mine = sa.create_engine(datakit.engine.url, poolclass=sa.NullPool)
            with mine.begin() as connection:
                connection.execute(sa.insert(datakit["Film"]).values(title="Alien"))

        def test_next(self, datakit):
            add(datakit)
"""
SAVEPOINTS = """
    @pytest.mark.datakit("../kit", targets=TARGETS, isolation="rollback")
    @pytest.mark.parametrize("number", range(2))
    class Test:
        def test_savepoints_of_the_session(self, datakit, number):
            add(datakit)
            with datakit.session.begin_nested():
                datakit.session.add(film(datakit, "Aliens"))
            with pytest.raises(ZeroDivisionError), datakit.session.begin_nested():
                datakit.session.add(film(datakit, "Prometheus"))
                datakit.session.flush()
                1 / 0
            assert count(datakit) == 2
            datakit.session.rollback()
            assert count(datakit) == 1

        def test_a_refused_row_undoes_its_savepoint_alone(self, datakit, number):
            add(datakit)
            with pytest.raises(sa.exc.IntegrityError), datakit.session.begin_nested():
                datakit.session.add(datakit["Copy"](film_id=12))
            datakit.session.commit()
            assert count(datakit) == 1

        def test_savepoints_of_the_connection(self, datakit, number):
            insert = sa.insert(datakit["Film"])
            with datakit.connection.begin_nested() as savepoint:
                datakit.connection.execute(insert.values(title="Alien"))
                savepoint.rollback()
            datakit.connection.execute(insert.values(title="Aliens"))
            datakit.assert_rows(datakit["Film"], [{"title": "Aliens"}])
"""
REFUSED = """
    from sqlalchemy import CheckConstraint
    from sqlmodel import Field, SQLModel

    class Film(SQLModel, table=True):
        __table_args__ = (CheckConstraint("no such"),)
        film_id: int | None = Field(default=None, primary_key=True)
"""
GOOD = """
    @pytest.mark.datakit("../kit", targets=TARGETS)
    def test_of_another_kit(datakit):
        add(datakit)
"""
BAD = GOOD.replace("../kit", "../bad").replace("another_kit", "the_bad_kit")


def on(source: str, *targets: str, isolations: list[str] | None = None) -> str:
    words = source.replace("TARGETS", repr(list(targets))).replace("TARGET", repr(targets[0]))
    return words.replace("ISOLATIONS", repr(isolations))


def outcomes(result: pytest.RunResult, **wanted: int) -> None:
    found = result.parseoutcomes()
    found.pop("warnings", None)
    assert found == wanted, "\n".join([*result.outlines, *result.errlines])


@pytest.mark.parametrize("target", SQLITE)
def test_the_next_test_gets_a_clean_copy(inner: InnerSessions, target: str) -> None:
    outcomes(inner.run(on(MISHAPS, target, isolations=["database"])), passed=9)


@pytest.mark.parametrize("target", SERVERS)
@pytest.mark.parametrize("isolation", ["database", "rows"])
def test_the_next_test_gets_a_clean_database(inner: InnerSessions, target: str, isolation: str) -> None:
    outcomes(inner.run(on(MISHAPS, target, isolations=[isolation])), passed=9)


@pytest.mark.parametrize("target", SERVERS)
def test_the_next_test_gets_a_clean_transaction(inner: InnerSessions, target: str) -> None:
    # The others would wait for the test's own transaction, or commit.
    words = "not drops and not adds and not makes and not writes"
    result = inner.run(on(MISHAPS, target, isolations=["rollback"]), "-k", words)
    outcomes(result, passed=5, deselected=4)


@pytest.mark.parametrize("target", [EMBEDDED, *SERVERS])
def test_a_server_that_was_killed_is_back_for_the_next_test(inner: InnerSessions, target: str) -> None:
    outcomes(inner.run(on(ENDINGS, target)), passed=5)


@pytest.mark.parametrize("target", CONTAINERS)
@pytest.mark.usefixtures("docker_engine")
def test_a_container_that_was_killed_is_made_again_for_the_next_test(
    inner: InnerSessions, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setenv(f"DATAKIT_{target}_DEADLINE".upper(), "180")
    outcomes(inner.run(on(ENDINGS, target), "-o", "timeout=280", seconds=290), passed=5)


@pytest.mark.parametrize("target", [*SQLITE, *SERVERS])
def test_a_commit_by_another_engine_is_no_silent_loss_of_isolation(inner: InnerSessions, target: str) -> None:
    result = inner.run(on(OTHER_ENGINE, target))
    outcomes(result, passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*a test in a transaction has committed by another way, so that its rows could not be rolled back*",
            "ERROR *::test_commits_by_another_way*",
        ]
    )


@pytest.mark.parametrize("target", [*SQLITE, *SERVERS])
def test_savepoints_within_the_rolled_back_transaction(inner: InnerSessions, target: str) -> None:
    outcomes(inner.run(on(SAVEPOINTS, target)), passed=6)


# datakits that do not deploy


@pytest.mark.parametrize(
    ("kit", "reason"),
    [
        ("raise RuntimeError('no such luck')", "*RuntimeError*no such luck*"),
        ("class Film(", "*SyntaxError*"),
        (REFUSED, "*syntax error*"),
    ],
    ids=["raises", "is no Python", "is refused by the database"],
)
def test_each_test_of_a_bad_kit_errs_once_with_the_reason_and_others_go_on(
    inner: InnerSessions, kit: str, reason: str
) -> None:
    inner.kit(kit, "bad")
    result = inner.run(on(BAD + GOOD + BAD.replace("bad_kit", "same_kit"), "sqlite_memory"), "-rE")
    outcomes(result, passed=1, errors=2)
    told = [line for line in result.outlines if line.startswith("ERROR tests/")]
    assert len(told) == 2
    result.stdout.fnmatch_lines([reason])


@pytest.mark.parametrize("target", SERVERS)
def test_a_kit_that_a_server_refuses_leaves_no_template(inner: InnerSessions, target: str) -> None:
    inner.kit(REFUSED, "bad")
    outcomes(inner.run(on(BAD + GOOD, target)), passed=1, errors=1)
