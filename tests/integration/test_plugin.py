"""The plugin's fixtures, markers and isolations on real servers: every test finds its tables, no row, and numbers from 1."""

from __future__ import annotations

import pytest

from sqlmodel_framework.tests.integration.inner_sessions import InnerSessions

TARGETS = [
    pytest.param("sqlite_memory", marks=pytest.mark.sqlite),
    pytest.param("sqlite_file", marks=pytest.mark.sqlite),
    pytest.param("postgres_embedded", marks=pytest.mark.postgres),
    pytest.param("postgres_local", marks=pytest.mark.postgres),
    pytest.param("mysql_local", marks=pytest.mark.mysql),
]
FIXTURES = """
    import asyncio
    from sqlmodel import select
    from sqlmodel_framework import validate_deployment
    from sqlmodel_framework.base.errors import ConfigurationError

    class Fresh:
        @pytest.mark.parametrize("number", range(3))
        def test_every_database_is_fresh(self, datakit, number):
            add(datakit)
            copy = datakit["Copy"](film_id=1)
            datakit.session.add(copy)
            datakit.session.commit()
            assert copy.copy_id == 1

        def test_session(self, datakit_session, datakit):
            assert datakit_session is datakit.session
            datakit_session.add(film(datakit))
            datakit_session.flush()  # never committed

        def test_engine(self, datakit_engine, datakit):
            assert datakit_engine is datakit.engine
            with datakit_engine.connect() as connection:
                assert connection.execute(sa.select(sa.func.count()).select_from(datakit["Film"])).scalar() == 0

        def test_target(self, datakit_target, datakit):
            assert validate_deployment(datakit.tables, datakit_target).success
            assert datakit.validate().success

        def test_seed(self, datakit_seed, datakit):
            add(datakit)
            datakit.session.delete(datakit.session.get(datakit["Film"], 1))  # the seed commits it
            assert datakit_seed(rows=7, seed=1).success
            assert count(datakit) == 7

        def test_a_new_structure(self, datakit):
            add(datakit)
            if datakit.isolation != "rollback":
                with datakit.engine.begin() as connection:
                    connection.execute(sa.text("CREATE TABLE other (number INTEGER)"))
                    connection.execute(sa.text("DROP TABLE copy"))

        def test_nothing_is_left_of_that(self, datakit):
            assert sorted(sa.inspect(datakit.engine).get_table_names()) == ["copy", "film"]
            add(datakit)

        def test_two_kits_in_one_database(self, datakit_factory):
            both = datakit_factory("../kit", "../other")
            assert {one.__name__ for one in both.tables} == {"Film", "Copy", "Shop"}
            add(both)
            both.session.add(both["Shop"](town="Lund"))
            both.session.commit()
            second = datakit_factory("../kit")
            add(second)
            assert count(both) == 1

        def test_two_kits_again(self, datakit_factory):
            add(datakit_factory("../kit", "../other"))

        def test_async_session(self, datakit):
            if datakit.isolation == "rollback":
                with pytest.raises(ConfigurationError, match="an async session has a connection of its own"):
                    datakit.async_session
                return

            async def work():
                async with datakit.async_session as session:
                    session.add(film(datakit))
                    await session.commit()
                    return (await session.exec(select(datakit["Film"]))).one().film_id

            assert asyncio.run(work()) == 1

        def test_after_the_async_session(self, datakit):
            add(datakit)

    @pytest.mark.datakit("../kit", targets=TARGETS)
    class TestUsual(Fresh):
        def test_isolation(self, datakit):
            assert datakit.isolation == USUAL[datakit.target.type]

    @pytest.mark.datakit("../kit", targets=TARGETS, isolation="database")
    class TestDatabase(Fresh):
        def test_isolation(self, datakit):
            assert datakit.isolation == "database"

    @pytest.mark.datakit("../kit", targets=TARGETS, isolation="rows")
    class TestRows(Fresh):
        def test_isolation(self, datakit):
            assert datakit.isolation == ("database" if datakit.target.type == "sqlite" else "rows")

    @pytest.mark.datakit("../kit", targets=TARGETS, isolation="rollback")
    class TestRollback(Fresh):
        def test_isolation(self, datakit):
            assert datakit.isolation == "rollback"

        def test_a_session_rolls_its_own_part_back(self, datakit):
            add(datakit)
            datakit.session.add(film(datakit))
            datakit.session.rollback()
            assert count(datakit) == 1

    USUAL = {"sqlite": "database", "postgres": "database", "mysql": "rows"}
"""
OTHER = """
    from sqlmodel import Field, SQLModel

    class Shop(SQLModel, table=True):
        shop_id: int | None = Field(default=None, primary_key=True)
        town: str = Field(max_length=100)
"""

MARKERS = """
    from sqlmodel_framework import load_datakit

    def names(datakit):
        found = sorted(sa.inspect(datakit.engine).get_table_names())
        assert found == sorted(one.__tablename__ for one in datakit.tables)
        return found

    pytestmark = pytest.mark.datakit("../kit")

    def test_of_the_module(datakit):
        assert names(datakit) == ["copy", "film"]

    @pytest.mark.datakit("importable")
    def test_an_importable_name(datakit):
        assert names(datakit) == ["town"]

    @pytest.mark.datakit(load_datakit("kit").tables)
    def test_classes(datakit):
        assert names(datakit) == ["copy", "film"]

    @pytest.mark.datakit(load_datakit("kit").tables[:1], load_datakit("other").tables)
    def test_some_classes_of_several(datakit):
        assert names(datakit) == ["film", "shop"]

    @pytest.mark.datakit(os.path.abspath("other"))
    def test_a_whole_path(datakit):
        assert names(datakit) == ["shop"]

    @pytest.mark.datakit()
    def test_none_is_an_empty_database(datakit):
        assert names(datakit) == []
        with datakit.engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE other (number INTEGER)"))

    @pytest.mark.datakit
    def test_none_is_empty_again(datakit):
        assert names(datakit) == []

    @pytest.mark.datakit("../other")
    class TestClass:
        def test_of_the_class(self, datakit):
            assert names(datakit) == ["shop"]

        @pytest.mark.datakit("../kit", "importable")
        def test_of_the_function(self, datakit):
            assert names(datakit) == ["copy", "film", "town"]
"""


def passed(result: pytest.RunResult, number: int) -> None:
    outcomes = result.parseoutcomes()
    outcomes.pop("warnings", None)
    assert outcomes == {"passed": number}, "\n".join([*result.outlines, *result.errlines])


@pytest.mark.parametrize("target", TARGETS)
def test_every_fixture_with_every_isolation(inner: InnerSessions, target: str) -> None:
    inner.kit(OTHER, "other")
    passed(inner.run(FIXTURES.replace("TARGETS", repr([target]))), 57)


def test_markers_name_datakits_in_many_ways(inner: InnerSessions) -> None:
    inner.kit(OTHER, "other")
    inner.write("tests/importable/__init__.py", "")
    inner.write("tests/importable/tables.py", OTHER.replace("Shop", "Town"))
    passed(inner.run(MARKERS), 9)
