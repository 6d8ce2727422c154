"""What one pytest process holds for tests of datakits: servers, templates, and what the command line and settings say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, MissingExtraError, TryAgainError
from sqlmodel_framework.config.containers import Run
from sqlmodel_framework.config.settings import environment_fields, read_configured_targets
from sqlmodel_framework.config.target_parts import TARGET_FIELDS
from sqlmodel_framework.config.targets import get_target_config, list_targets
from sqlmodel_framework.engines.base import engine_of
from sqlmodel_framework.engines.fresh import Isolation, Names
from sqlmodel_framework.utils.testing.databases import FreshDatabases, KitLike, unknown_isolation
from sqlmodel_framework.utils.testing.servers import Servers

__all__ = [
    "DatakitSession",
    "Wishes",
    "kits_of",
    "only_target_of",
    "read_marker",
    "targets_of",
    "wanted_targets",
    "ways_of",
]


class DatakitSession:
    """The servers and templates of one pytest process, opened when the first test needs them."""

    def __init__(self, config: pytest.Config, run: str, worker: str, owner: str | None = None) -> None:
        self._required = _flag(config, "datakit_require_targets")
        self._isolation = _isolation_of(config)
        reuse, keep = _flag(config, "datakit_reuse"), bool(config.getoption("datakit_keep_failed"))
        self._names = Names(run, worker, reused=reuse, failed_stay=keep)
        self._servers = Servers(reused=reuse or keep, shared_by=Run(run, owner) if owner else None)
        self._databases: dict[tuple[object, ...], FreshDatabases] = {}
        self.keeps_failed = keep

    def databases(
        self, kits: Sequence[KitLike], target: str, isolation: Isolation | None, number: int
    ) -> FreshDatabases:
        """The databases of these kits on a target; `number` tells apart those that one test uses at the same time.

        Skips the test where the target is not there and nobody has asked for it.
        """
        isolation = isolation or self._isolation
        self._skip_if_absent(target)
        key = (
            *(kit if isinstance(kit, str | os.PathLike) else tuple(kit) for kit in kits),
            target,
            isolation,
            number,
        )
        if key not in self._databases:
            self._databases[key] = FreshDatabases(
                *kits, target=target, isolation=isolation, names=self._names, servers=self._servers
            )
        return self._databases[key]

    def close(self) -> None:
        """Drop all databases, and end all servers. Raises what the first of them raised, after the others have ended."""
        failures: list[DatakitError] = []
        ending: list[FreshDatabases | Servers] = [*self._databases.values(), self._servers]
        for closing in ending:
            try:
                closing.close()
            except DatakitError as exc:
                failures.append(exc)
        self._databases.clear()
        if failures:
            raise failures[0]

    def _skip_if_absent(self, target: str) -> None:
        try:
            self._servers.open(target)
        except DatakitError as exc:
            if self._required or not _is_absent(target, exc):
                raise
            pytest.skip(f"{target}: {exc}")


def kits_of(kits: Iterable[KitLike], folder: Path) -> list[KitLike]:
    """Datakits as a marker names them: a folder counts from the test file's, unless it is an importable name."""
    return [_kit_of(kit, folder) for kit in kits]


def _kit_of(kit: KitLike, folder: Path) -> KitLike:
    if isinstance(kit, str | os.PathLike):
        beside = Path(os.path.normpath(folder / kit))
        if not beside.exists() and os.sep in str(kit):
            raise ConfigurationError(
                "a test's datakit is not there",
                seen=str(beside),
                expected="a folder, counted from the test file's, or an importable name",
            )
        return beside if beside.exists() else kit
    return kit


class Wishes(NamedTuple):
    """What a marker says beside its datakits; None leaves it to the settings."""

    targets: tuple[str, ...] | None = None
    isolation: Isolation | None = None


def read_marker(marker: pytest.Mark | None) -> Wishes:
    """What a marker `datakit` says. Raises ConfigurationError for a word that it does not know, and for no target."""
    given = dict(marker.kwargs) if marker else {}
    targets, isolation = given.pop("targets", None), given.pop("isolation", None)
    if given:
        raise ConfigurationError(
            f"the marker datakit knows no {next(iter(given))}",
            expected="one of " + ", ".join(Wishes._fields),
        )
    names = (targets,) if isinstance(targets, str) else None if targets is None else tuple(targets)
    if names == ():
        raise ConfigurationError(
            "the marker datakit names no target",
            seen="targets=[]",
            next_step="leave targets out for the usual ones",
        )
    return Wishes(names, _known_isolation(isolation))


def wanted_targets(config: pytest.Config) -> list[str] | None:
    """The targets that the command line names, None for all. Raises ConfigurationError for an unknown name."""
    option = config.getoption("datakit_targets")
    return _known(name.strip() for name in option.split(",") if name.strip()) if option else None


def targets_of(config: pytest.Config, named: Iterable[str] | None) -> list[str]:
    """The targets on which a test runs: those it names, else those of the settings, as far as the command line wants them.

    None is left where the command line wants others. Raises ConfigurationError for an unknown name.
    """
    wanted = wanted_targets(config)
    if named is None:
        return wanted or _known(config.getini("datakit_targets"))
    return [name for name in _known(named) if wanted is None or name in wanted]


def only_target_of(config: pytest.Config, marker: pytest.Mark | None) -> str:
    """The target of a test that pytest did not repeat for each one. Raises ConfigurationError where there are several.

    Skips the test where the command line wants other targets.
    """
    names = targets_of(config, read_marker(marker).targets)
    if not names:
        pytest.skip(f"--datakit-targets names {', '.join(wanted_targets(config) or ())}")
    if len(names) > 1:
        raise ConfigurationError(
            "this test runs once, and has several targets",
            seen=", ".join(names),
            expected="one target for methods of unittest.TestCase, and for fixtures that the test does not name itself",
            next_step='name it, @pytest.mark.datakit(…, targets=["sqlite_memory"]), or take the fixture as an argument',
        )
    return names[0]


def _known(names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    for name in found:
        get_target_config(name)  # says which names there are
    return found


def ways_of(names: Iterable[str], config: pytest.Config) -> dict[str, str]:
    """How databases for tests are made on these targets, in words."""
    isolation = _isolation_of(config)
    found = {}
    for name in names:
        databases = engine_of(get_target_config(name)).template_databases()
        found[name] = databases.ways[isolation or databases.usual]
    return found


def _isolation_of(config: pytest.Config) -> Isolation | None:
    return _known_isolation(config.getini("datakit_isolation") or None)


def _known_isolation(given: str | None) -> Isolation | None:
    isolation: Isolation
    for isolation in get_args(Isolation):
        if given == isolation:
            return isolation
    if given is None:
        return None
    raise unknown_isolation(given)


def _is_absent(target: str, exc: DatakitError) -> bool:
    """Whether a target is merely not here: nobody has configured it, or what it needs is not installed."""
    if isinstance(exc, MissingExtraError):
        return True
    configured = target in read_configured_targets() or environment_fields(
        target, TARGET_FIELDS, other_targets=list_targets()
    )
    if configured or target not in list_targets():
        return False
    # A container that was started and does not answer is a failure; a server that nobody has started is not.
    kinds = (ConfigurationError,) if target.endswith("_container") else (ConfigurationError, TryAgainError)
    return isinstance(exc, kinds)


def _flag(config: pytest.Config, name: str) -> bool:
    given = config.getoption(name)
    return bool(config.getini(name) if given is None else given)
