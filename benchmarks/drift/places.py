"""Empty databases for one pair after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Engine, MetaData, text

from sqlmodel_framework.config.targets import TargetConfig, create_custom_target, get_target_config
from sqlmodel_framework.engines.live import create_engine_for_target

Statements = Sequence[str]


@dataclass(frozen=True)
class Place:
    """An empty database, the name of its dialect as `pairs` has it, and the server's version."""

    target: TargetConfig
    engine: Engine
    dialect: str
    version: str

    @contextmanager
    def holding(self, metadata: MetaData, statements: Statements = ()) -> Iterator[None]:
        """Create the tables, by these statements where there are some; the database is empty again at the end."""
        try:
            with self.engine.begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)
                if not statements:
                    metadata.create_all(connection)
            yield
        finally:
            with self.engine.begin() as connection:
                metadata.drop_all(connection)


@contextmanager
def place_of(name: str) -> Iterator[Place]:
    """A place on a predefined target: the target itself where it ends with this process, else a database beside its own."""
    with get_target_config(name) as target:
        if target.ends_with_process:
            yield _place(target)
        else:
            with place_on(target) as place:
                yield place


@contextmanager
def place_on(server: TargetConfig, options: str = "") -> Iterator[Place]:
    """A new database on a server whose user may create one, with options of CREATE DATABASE; dropped at the end."""
    name = f"drift_{uuid4().hex[:8]}"
    _run(server, f"CREATE DATABASE {name} {options}")
    target = create_custom_target(
        server.type,
        name,
        host=server.host or server.socket,
        port=server.port,
        user=server.user,
        password=server.password.get_secret_value() if server.password else None,
        name=server.name,
    )
    try:
        yield _place(target)
    finally:
        target.close()
        _run(server, f"DROP DATABASE {name}")


def _run(server: TargetConfig, statement: str) -> None:
    engine = create_engine_for_target(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))


def _place(target: TargetConfig) -> Place:
    engine = create_engine_for_target(target)
    with engine.connect() as connection:
        dialect = connection.dialect
        name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
        version = ".".join(map(str, dialect.server_version_info or ()))
    return Place(target, engine, name, version)
