"""Databases for tests: each starts with the tables of a template and no row, on the server of one target.

An engine's file says how such a database is made, emptied, dropped and kept. Names say whose a database is:
`datakit_test_<checkout>_<run>_<worker>_<number>`, so workers, runs and checkouts never meet on a server.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sqlalchemy import CompoundSelect, Connection, Table, literal, select, union_all

from sqlmodel_framework._version import __version__
from sqlmodel_framework.base.errors import TryAgainError
from sqlmodel_framework.config.containers import ContainerSettings
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.container_labels import checkout
from sqlmodel_framework.engines.ddl import schemas_of

if TYPE_CHECKING:
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = [
    "SWEPT",
    "SWEPT_NAME",
    "Changes",
    "Cleaner",
    "Isolation",
    "Names",
    "Template",
    "TemplateDatabases",
    "connection_lost",
    "run_of",
    "worker_of",
]

SWEPT = "datakit_test_"
"""How the names of databases begin that a later run drops if their own has ended."""

SWEPT_NAME = re.compile(r"datakit_test_[0-9a-f]{8}_[^_]+_([^_]+n\d+_\d+|template_[0-9a-f]{6}_[0-9a-f]{12})")
"""Such a name as a whole: what begins alike and is called otherwise belongs to others."""

Isolation = Literal["database", "rows", "rollback"]
"""What keeps tests apart: a `database` for each; one database whose `rows` are deleted; one transaction that is rolled back."""

_TERMS = 400


@dataclass(frozen=True)
class Names:
    """What databases are called. `run` is the same for all workers of a run, `worker` is one process of it, without `_`.

    `reused` has templates stay for later runs. `failed_stay` gives names that no later run drops, where a database cannot
    get one only when it is kept.
    """

    run: str
    worker: str = "main"
    reused: bool = False
    failed_stay: bool = False
    checkout: str = field(default_factory=lambda: checkout()[:8])
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    @property
    def of_run(self) -> str:
        """The beginning of the names that the workers of this run share."""
        return f"{'datakit_failed_' if self.failed_stay else SWEPT}{self.checkout}_{self.run}_"

    @property
    def of_worker(self) -> str:
        """The beginning of the names that this process gives."""
        return f"{self.of_run}{self.worker}_"

    def next(self) -> str:
        """A name for one more database of this process."""
        return f"{self.of_worker}{next(self._numbers)}"

    @property
    def of_templates(self) -> str:
        """The beginning of the names of templates: of the run, or of all runs of this checkout."""
        return f"datakit_template_{self.checkout}_" if self.reused else f"{self.of_run}template_"

    def apart(self) -> Names:
        """Names for one more kind of databases of the same process."""
        return replace(self, worker=f"{self.worker}n{next(self._numbers)}", _numbers=count(1))


def connection_lost(where: str) -> TryAgainError:
    """What is raised where the connection is gone whose locks say that a worker lives."""
    return TryAgainError(
        "the connection that makes databases for tests was ended",
        where=where,
        next_step="try again: a new one is made",
    )


def run_of(name: str) -> str:
    """The beginning that the names of a run share, from one of them."""
    return "_".join(name.split("_")[:4]) + "_"


def worker_of(name: str) -> str:
    """The beginning that the names of a worker share, from one of them."""
    return "_".join(name.split("_")[:5]) + "_"


@dataclass(frozen=True)
class Template:
    """The tables that every database starts with; none for an empty one. `deploy` creates them on a target.

    `statements` gives the DDL: with it the template changes.
    """

    tables: tuple[Table, ...]
    deploy: Callable[[TargetConfig], object]
    statements: Callable[[], str]

    @cached_property
    def schemas(self) -> tuple[str, ...]:
        """The named schemas of the tables."""
        return tuple(sorted(schemas_of(self.tables)))

    @cached_property
    def tables_key(self) -> str:
        """Six characters from the names of the tables: versions of one template share it."""
        return _hash(*sorted(table.fullname for table in self.tables))[:6]

    def key(self, server_version: str) -> str:
        """`tables_key`, and twelve characters from the statements, the server's version and this package's."""
        return f"{self.tables_key}_{_hash(__version__, server_version, self.statements())[:12]}"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Changes:
    """What a database holds that a new one does not: tables with rows, counters that moved on, other structure."""

    filled: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    structure: bool = False

    def __str__(self) -> str:
        parts = [f"rows in {', '.join(self.filled)}"] if self.filled else []
        parts += [f"moved counters of {', '.join(self.counted)}"] if self.counted else []
        return " and ".join([*parts, *(["a changed structure"] if self.structure else [])]) or "nothing"


class Cleaner(ABC):
    """Brings one database, which tests use one after the other, back to how it was made.

    It looks through a connection of its own. Errors are the driver's.
    """

    def __init__(self, target: TargetConfig, template: Template) -> None:
        self.target, self.template = target, template

    @abstractmethod
    def changes(self) -> Changes:
        """What tests have left in the database. All other sessions there are ended first."""

    @abstractmethod
    def empty(self, changes: Changes) -> None:
        """Delete the rows and reset the counters; the structure is as it was made."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""

    def tables_with_rows(self, connection: Connection) -> tuple[str, ...]:
        """The template's tables that hold a row."""
        return tuple(name for query in self._any_row for name in connection.execute(query).scalars())

    @cached_property
    def _any_row(self) -> list[CompoundSelect[Any]]:
        """A few queries for the names of tables with rows: SQLite takes 500 terms in one."""
        one_each = [
            select(literal(table.fullname)).where(select(literal(1)).select_from(table).exists())
            for table in self.template.tables
        ]
        return [union_all(*one_each[start : start + _TERMS]) for start in range(0, len(one_each), _TERMS)]


class TemplateDatabases(ABC):
    """Databases made from one template on the server of one target, which is open. All of them are dropped by `close`.

    One thread at a time. A forked child has no say in them.
    """

    ways: ClassVar[Mapping[Isolation, str]]
    """How each isolation is done here, in words."""
    usual: ClassVar[Isolation]

    def __init__(self, server: LiveTarget, template: Template, names: Names) -> None:
        self.server, self.template, self.names = server, template, names
        self._pid = os.getpid()

    def isolation(self, wanted: Isolation) -> Isolation:
        """The isolation that this template gets where another one is wanted and cannot be had."""
        return wanted

    @abstractmethod
    def make(self) -> TargetConfig:
        """A new target on a database with the tables and no row."""

    @abstractmethod
    def cleaner(self, target: TargetConfig) -> Cleaner:
        """What brings the target's database back to how it is now, which is how it was made."""

    @abstractmethod
    def drop(self, target: TargetConfig) -> None:
        """End a target and drop its database, whoever is connected to it; at the latest when all is closed."""

    @abstractmethod
    def keep(self, target: TargetConfig) -> str:
        """Let the database of a target outlive this process; gives the command to connect to it, without a password.

        A server of this process stays too; the command that ends it is told behind.
        """

    def let_go(self, target: TargetConfig) -> None:
        """End a target whose database is kept."""
        self.end(target)

    @abstractmethod
    def close(self) -> None:
        """Drop the databases that are left, and the template where nobody else uses it."""

    @property
    def is_ours(self) -> bool:
        """False in a forked child."""
        return os.getpid() == self._pid

    def target_on(self, database: str | None) -> TargetConfig:
        """A new target on a database of the server. The server is not that target's to end."""
        server = self.server.target
        method = server.conn_method
        if method in ("embedded", "container", "private"):
            method = "socket" if server.socket else "tcp"
        return replace(
            server,
            database=database,
            conn_method=method,
            container=ContainerSettings(),
            on_our_server=server.server_is_ours,
        )

    def told(self, *words: object) -> str:
        """A command line; behind it how to end the server, if that stays with the database."""
        command = shlex.join(str(word) for word in words)
        ending = self.server.engine.let_server_stay(self.server.target)
        return f"{command}\nend the server with: {ending}" if ending else command

    def end(self, target: TargetConfig) -> None:
        """End a target; what was created through it goes with its database."""
        from sqlmodel_framework.engines.base import Created

        if target.live is not None:
            target.live.created = Created()
        target.close()

    def deploy_template(self, database: str | None) -> None:
        """Create the template's tables in a database, which is dropped as a whole later."""
        target = self.target_on(database)
        try:
            self.template.deploy(target)
        finally:
            self.end(target)
