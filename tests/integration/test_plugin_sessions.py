"""The plugin beside others: sessions that do not use it, workers of pytest-xdist, unittest, async code, forgotten ends."""

from __future__ import annotations

import re

import pytest

from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions

SERVERS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("sqlite_file", marks=pytest.mark.sqlite),
    pytest.param("postgres_local", marks=pytest.mark.postgres),
    pytest.param("mysql_local", marks=pytest.mark.mysql),
]
# The last of the plugin's own hooks comes before this one.
MODULES = """
    import sys
    import pytest

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(config):
        found = [name for name in sys.modules if name.startswith("sqlmodel_framework")]
        heavy = {"sqlalchemy", "sqlmodel", "pandas", "pyarrow", "psycopg2", "pymysql", "docker", "faker"} & set(sys.modules)
        with open(f"modules-{getattr(config, 'workerinput', {}).get('workerid', 'main')}", "w") as file:
            file.write(" ".join(sorted([*found, *heavy])))
"""
# What the packages above the plugin's module bring: none of them imports anything.
LIGHT = {
    "sqlmodel_framework",
    "sqlmodel_framework._version",
    "sqlmodel_framework.utils",
    "sqlmodel_framework.utils.testing",
    "sqlmodel_framework.utils.testing.plugin",
}
# The main process tells its workers who it is; this module needs Python's own library alone.
LABELS = {"sqlmodel_framework.engines", "sqlmodel_framework.engines.container_labels"}
NAMES = """
    @pytest.mark.parametrize("number", range(8))
    @pytest.mark.datakit("../kit", targets=TARGETS)
    def test_names(datakit, number):
        with open("names", "a") as file:
            file.write(f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')} {datakit.target.database}\\n")
        add(datakit)
        time.sleep(0.2)
"""
UNITTEST = """
    import unittest

    class FilmTest(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def database(self, datakit):
            self.datakit = datakit

    @pytest.mark.datakit("../kit")
    class TestOnTheUsualTarget(FilmTest):
        def test_one(self):
            add(self.datakit)

        def test_two(self):
            add(self.datakit)

    @pytest.mark.datakit("../kit", targets="sqlite_file")
    class TestOnAnother(FilmTest):
        def test_one(self):
            self.assertEqual(self.datakit.target.conn_method, "file")
            add(self.datakit)

    @pytest.mark.datakit("../kit", targets=["sqlite_memory", "sqlite_file"])
    class TestOnSeveral(FilmTest):
        def test_one(self):
            add(self.datakit)

    @pytest.mark.datakit("../kit")
    def test_a_fixture_that_is_asked_for(request):
        add(request.getfixturevalue("datakit"))
"""
ASYNC = """
    import asyncio
    from sqlmodel import select

    @pytest.mark.datakit("../kit", targets=TARGETS, isolation=ISOLATION)
    class Test:
        @pytest.mark.parametrize("number", range(3))
        def test_session(self, datakit, datakit_async_session, number):
            async def work():
                async with datakit_async_session as session:
                    session.add(film(datakit))
                    await session.commit()
                    return (await session.exec(select(datakit["Film"]))).one().film_id

            assert asyncio.run(work()) == 1

        def test_an_error_inside(self, datakit, datakit_async_session):
            async def work():
                async with datakit_async_session as session:
                    session.add(datakit["Copy"](film_id=12))
                    await session.commit()

            with pytest.raises(sa.exc.IntegrityError):
                asyncio.run(work())

        def test_rows_of_the_engine(self, datakit):
            async def work():
                async with datakit.async_engine.begin() as connection:
                    await connection.execute(sa.insert(datakit["Film"]).values(title="Alien"))
                await datakit.async_engine.dispose()

            asyncio.run(work())
            datakit.assert_rows(datakit["Film"], [{"film_id": 1, "title": "Alien"}])

        def test_after(self, datakit):
            add(datakit)
"""


def on(source: str, target: str, isolation: str | None = None) -> str:
    return source.replace("TARGETS", repr([target])).replace("ISOLATION", repr(isolation))


def outcomes(result: pytest.RunResult, **wanted: int) -> None:
    found = result.parseoutcomes()
    found.pop("warnings", None)
    assert found == wanted, "\n".join([*result.outlines, *result.errlines])


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_a_session_that_does_not_use_the_plugin_imports_nothing_of_it(
    inner: InnerSessions, workers: list[str]
) -> None:
    inner.write("tests/conftest.py", MODULES)
    inner.write("tests/test_inner.py", "def test_nothing(): pass")
    result = inner.again(*workers)
    outcomes(result, passed=1)
    assert "datakit:" not in result.stdout.str()
    names = ["modules-main", *(["modules-gw0"] if workers else [])]
    for name in names:
        assert set((inner.project / name).read_text().split()) <= LIGHT | (LABELS if workers else set())


@pytest.mark.parametrize("target", SERVERS[2:])
def test_databases_of_workers_have_names_of_their_own(inner: InnerSessions, target: str) -> None:
    result = inner.run(on(NAMES, target), "-n", "2")
    outcomes(result, passed=8)
    result.stdout.fnmatch_lines([f"datakit: {target}: *"])
    lines = [line.split() for line in (inner.project / "names").read_text().splitlines()]
    assert {worker for worker, _ in lines} == {"gw0", "gw1"}
    matches = [
        re.fullmatch(rf"(datakit_test_[0-9a-f]{{8}}_[0-9a-f]{{8}})_{worker}n\d+_\d+", name)
        for worker, name in lines
    ]
    assert all(matches), lines
    assert len({match[1] for match in matches if match}) == 1
    assert inner.ours(name for _, name in lines) == [name for _, name in lines]


def test_test_cases_of_unittest(inner: InnerSessions) -> None:
    result = inner.run(UNITTEST, "-rE")
    outcomes(result, passed=4, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*this test runs once, and has several targets; seen: sqlite_memory, sqlite_file; expected: one target*"
        ]
    )


@pytest.mark.parametrize("isolation", ["database", "rows"])
@pytest.mark.parametrize("target", SERVERS)
def test_async_sessions_end_without_a_warning(inner: InnerSessions, target: str, isolation: str) -> None:
    outcomes(inner.run(on(ASYNC, target, isolation)), passed=6)


def test_what_cannot_be_removed_is_told_below_the_report(inner: InnerSessions) -> None:
    result = inner.run(
        """
        from pathlib import Path

        @pytest.mark.datakit("../kit", targets=["postgres_embedded"])
        def test_the_last_one_ends_the_server(datakit):
            add(datakit)
            backend = datakit.session.exec(sa.text("SELECT pg_backend_pid()")).scalar_one()
            server = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(server, signal.SIGKILL)
        """
    )
    outcomes(result, passed=1)
    assert "Traceback" not in "\n".join([*result.outlines, *result.errlines])
    result.stdout.fnmatch_lines(["datakit: not everything could be removed: *"])
