"""The plugin's databases on MySQL and MariaDB: whose they are, what tests leave in them, and how they end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex

import pytest

from sqlmodel_framework.config.targets import TargetConfig
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


@contextmanager
def made(run: Callable[..., None], *names: str) -> Iterator[None]:
    """Databases of these names, with a table."""
    try:
        for name in names:
            run(f"CREATE DATABASE `{name}`", f"CREATE TABLE `{name}`.film (film_id INTEGER)")
        yield
    finally:
        for name in names:
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
    refusing, other = f"{LEFT}11", f"{LEFT}12"
    with made(on_mysql, refusing, other):
        on_mysql(f"CREATE TABLE `{refusing}`.parent (film_id INTEGER PRIMARY KEY)")
        on_mysql("CREATE DATABASE IF NOT EXISTS datakit_child")
        try:
            # A key of another database refers to it.
            on_mysql(
                f"CREATE TABLE datakit_child.copy (film_id INTEGER, FOREIGN KEY (film_id)"
                f" REFERENCES `{refusing}`.parent (film_id))"
            )
            with FreshDatabases(target=mysql_server) as databases, databases.fresh():
                found = of_mysql()
        finally:
            on_mysql("DROP DATABASE datakit_child")
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
