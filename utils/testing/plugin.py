"""The pytest plugin: fresh databases with a datakit's tables, on every target that a test names.

pytest imports this module in every session of an environment where the package is installed. So it imports nothing but
pytest; what a test uses is imported when the first test uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlmodel import Session
    from sqlmodel.ext.asyncio.session import AsyncSession

    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.engines.fresh import Isolation
    from sqlmodel_framework.utils.seeding import SeedResult
    from sqlmodel_framework.utils.testing.database import FreshDatabase
    from sqlmodel_framework.utils.testing.databases import FreshDatabases, KitLike
    from sqlmodel_framework.utils.testing.session import DatakitSession

_Made = TypeVar("_Made")
_MARKER = (
    "datakit(*kits, targets=None, isolation=None): a fresh database with the tables of these datakits, folders beside the"
    " test file or importable names, once for each target"
)
_ISOLATIONS = "database (one for each test), rows (one for each worker, emptied) or rollback (a transaction)"
_TARGET = "_datakit_target_name"
_RUN = pytest.StashKey[str]()
_SESSION = pytest.StashKey["DatakitSession"]()
_WAYS = pytest.StashKey[dict[str, str]]()
_LEFT = pytest.StashKey[list[str]]()
_IN_USE = pytest.StashKey[list[tuple["FreshDatabases", "FreshDatabase"]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("datakit", "fresh databases for tests of datakits")
    group.addoption(
        "--datakit-targets",
        metavar="NAMES",
        help="run the tests on these targets only, such as sqlite_memory,postgres_embedded; tests that name no target run on all of them",
    )
    group.addoption(
        "--datakit-keep-failed",
        action="store_true",
        help="keep the database of each failed test, and print how to connect to it",
    )
    group.addoption(
        "--datakit-reuse",
        action="store_true",
        default=None,
        help="keep containers and templates for the next run",
    )
    group.addoption(
        "--datakit-require-targets",
        action="store_true",
        default=None,
        help="fail where a target is missing, instead of skipping its tests",
    )
    parser.addini(
        "datakit_targets", "targets of tests that name none", type="args", default=["sqlite_memory"]
    )
    parser.addini(
        "datakit_isolation", f"what keeps tests apart: {_ISOLATIONS}; default: what suits the database"
    )
    parser.addini(
        "datakit_reuse", "keep containers and templates for the next run", type="bool", default=False
    )
    parser.addini("datakit_require_targets", "fail where a target is missing", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    config.stash[_WAYS], config.stash[_LEFT] = {}, []
    config.stash[_RUN] = getattr(config, "workerinput", {}).get("datakit_run") or token_hex(4)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse unknown names on the command line before anything is collected."""
    if session.config.getoption("datakit_targets"):
        from sqlmodel_framework.base.errors import ConfigurationError
        from sqlmodel_framework.utils.testing.session import wanted_targets

        try:
            wanted_targets(session.config)
        except ConfigurationError as exc:
            raise pytest.UsageError(f"--datakit-targets: {exc}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs once on each of its targets."""
    if _TARGET not in metafunc.fixturenames:
        return
    from sqlmodel_framework.base.errors import ConfigurationError
    from sqlmodel_framework.utils.testing.session import read_marker, targets_of, wanted_targets, ways_of

    config, definition = metafunc.config, metafunc.definition
    try:
        wishes = read_marker(definition.get_closest_marker("datakit"))
        names = targets_of(config, wishes.targets)
        config.stash[_WAYS].update(ways_of(names, config))
    except ConfigurationError as exc:
        raise pytest.Collector.CollectError(f"{definition.nodeid}: {exc}") from None
    left_out = f"not on {', '.join(wishes.targets or ())}: --datakit-targets names {', '.join(wanted_targets(config) or ())}"
    none = pytest.param("none", marks=pytest.mark.skip(reason=left_out))
    metafunc.parametrize(_TARGET, names or [none], ids=names or ["no-target"], indirect=True)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """How databases are made, on each target in use."""
    return _lines(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which run it belongs to."""
    from sqlmodel_framework.engines.container_labels import process_label

    node.workerinput["datakit_run"] = node.config.stash[_RUN]
    node.workerinput["datakit_owner"] = process_label()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a worker which targets it used, and what it could not remove."""
    told = getattr(node, "workeroutput", {})
    node.config.stash[_WAYS].update(told.get("datakit_ways", {}))
    node.config.stash[_LEFT].extend(told.get("datakit_left", []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Workers of pytest-xdist collect, so only now is known what they used."""
    if getattr(config.option, "numprocesses", None):
        for line in _lines(config):
            terminalreporter.write_line(line)
    for line in config.stash[_LEFT]:
        terminalreporter.write_line(f"datakit: not everything could be removed: {line}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Drop the databases, and end the servers."""
    config = session.config
    if _SESSION in config.stash:
        try:
            config.stash[_SESSION].close()
        except Exception as exc:  # noqa: BLE001 - a driver may raise anything; the report of the tests is to be printed
            config.stash[_LEFT].append(str(exc))
    if hasattr(config, "workeroutput"):
        config.workeroutput["datakit_ways"] = config.stash[_WAYS]
        config.workeroutput["datakit_left"] = config.stash[_LEFT]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the databases of a failed test, where that is wanted."""
    report = yield
    in_use = item.stash.get(_IN_USE, [])
    if report.failed and in_use and item.config.stash[_SESSION].keeps_failed:
        told = [_kept(databases, one) for databases, one in in_use if not one.kept]
        lines = "\n".join(line for line in told if line)
        if lines:
            report.sections.append(("the test's database is kept, connect with", lines))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """The difference of two snapshots, row by row."""
    if op != "==" or type(left).__module__ != "sqlmodel_framework.utils.testing.snapshots":
        return None
    from sqlmodel_framework.utils.testing.snapshots import explain

    return explain(left, right) or None


@pytest.fixture
def _datakit_target_name(request: pytest.FixtureRequest) -> str:
    """The target of this run of the test; pytest makes one run alone of a method of `unittest.TestCase`."""
    if hasattr(request, "param"):
        return str(request.param)
    from sqlmodel_framework.utils.testing.session import only_target_of

    return only_target_of(request.config, request.node.get_closest_marker("datakit"))


@pytest.fixture
def datakit_factory(
    request: pytest.FixtureRequest, _datakit_target_name: str
) -> Iterator[Callable[..., FreshDatabase]]:
    """Makes fresh databases on the test's target: `datakit_factory("../bronze", "../silver")` gives one with both kits."""
    from sqlmodel_framework.utils.testing.session import kits_of, read_marker

    session = _session_of(request.config)
    usual = read_marker(request.node.get_closest_marker("datakit")).isolation
    in_use: list[tuple[FreshDatabases, FreshDatabase]] = []
    request.node.stash[_IN_USE] = in_use

    def make(*kits: KitLike, isolation: Isolation | None = None) -> FreshDatabase:
        found = kits_of(kits, request.path.parent)
        databases = session.databases(found, _datakit_target_name, isolation or usual, len(in_use))
        in_use.append((databases, databases.take()))
        return in_use[-1][1]

    yield make
    failures = []
    for databases, database in reversed(in_use):
        try:
            databases.give_back(database)
        except Exception as exc:  # noqa: BLE001 - the others are given back first
            failures.append(exc)
    if failures:
        raise failures[0]


@pytest.fixture
def datakit(request: pytest.FixtureRequest, datakit_factory: Callable[..., FreshDatabase]) -> FreshDatabase:
    """The test's database, with the tables of the datakits that its marker names."""
    marker = request.node.get_closest_marker("datakit")
    if marker is None:
        pytest.fail('no marker says which datakit: @pytest.mark.datakit("../my-datakit")', pytrace=False)
    return _or_fail(lambda: datakit_factory(*marker.args))


@pytest.fixture
def datakit_target(datakit: FreshDatabase) -> TargetConfig:
    """The test's database as a target, for `validate_deployment` and the like."""
    return datakit.target


@pytest.fixture
def datakit_engine(datakit: FreshDatabase) -> Engine:
    """The SQLAlchemy engine of the test's database."""
    return datakit.engine


@pytest.fixture
def datakit_session(datakit: FreshDatabase) -> Session:
    """A SQLModel session on the test's database; what it does not commit is rolled back at the end."""
    return datakit.session


@pytest.fixture
def datakit_async_session(datakit: FreshDatabase) -> AsyncSession:
    """An async session on the test's database, to be ended by the test: `async with datakit_async_session as session`."""
    return _or_fail(lambda: datakit.async_session)


@pytest.fixture
def datakit_seed(datakit: FreshDatabase) -> Callable[..., SeedResult]:
    """Loads generated rows into all tables, parents first: `datakit_seed(rows=100, seed=0)`."""
    return datakit.seed


def _kept(databases: FreshDatabases, database: FreshDatabase) -> str | None:
    """The command to connect to a database that stays; if it cannot stay, why."""
    try:
        return databases.keep(database)
    except Exception as exc:  # noqa: BLE001 - a driver may raise anything; the report of the test is to be printed
        return f"nothing, as it could not be kept: {type(exc).__name__}: {exc}"


def _or_fail(make: Callable[[], _Made]) -> _Made:
    """What a fixture gives; of our errors the words are shown, and not the way through the plugin."""
    from sqlmodel_framework.base.errors import DatakitError

    try:
        return make()
    except DatakitError as exc:
        told = f"{type(exc).__name__}: {exc}"
    pytest.fail(told, pytrace=False)


def _session_of(config: pytest.Config) -> DatakitSession:
    if _SESSION not in config.stash:
        from sqlmodel_framework.utils.testing.session import DatakitSession

        given = getattr(config, "workerinput", {})
        config.stash[_SESSION] = DatakitSession(
            config, config.stash[_RUN], given.get("workerid", "main"), given.get("datakit_owner")
        )
    return config.stash[_SESSION]


def _lines(config: pytest.Config) -> list[str]:
    return [f"datakit: {name}: {way}" for name, way in sorted(config.stash[_WAYS].items())]
