"""What is compared and where: the columns of a class, a table or a SELECT, and the connection that its rows are read by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Table, inspect, select
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.sql.selectable import SelectBase

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, DeploymentError
from sqlmodel_framework.base.models.tables import TableLike, is_table_class, table_of
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import TargetEngine, engine_of, installed_engines
from sqlmodel_framework.engines.ddl import schemas_of
from sqlmodel_framework.engines.live import LiveTarget, open_target
from sqlmodel_framework.utils.testing.values import ColumnKind, kind_of

__all__ = [
    "AS_GIVEN",
    "HasEngine",
    "HasSession",
    "Readable",
    "Subject",
    "Where",
    "known_columns",
    "place_name",
    "read_rows",
    "sql_engine_of",
    "subject_of",
    "target_engine_of",
    "target_of",
]

AS_GIVEN = "as given"
"""The `order` of a SELECT that has one of its own."""


class HasEngine(Protocol):
    """Anything with an engine, such as a fixture."""

    @property
    def engine(self) -> Engine:
        """The engine of the database."""


class HasSession(Protocol):
    """Anything with a session, such as a fixture; rows are read by the session, so that they need not be committed."""

    @property
    def session(self) -> Session:
        """The session of the test."""


Where = Engine | Connection | Session | scoped_session[Any] | TargetConfig | HasSession | HasEngine
Readable = TableLike | SelectBase
Place = Engine | Connection | Session | TargetConfig


@dataclass(frozen=True)
class Subject:
    """What rows are of: `key` are the columns that tell one from another, none where there are no such.

    `names` leads from the names of columns and of fields to the names of columns.
    """

    name: str
    kinds: tuple[ColumnKind, ...]
    key: tuple[str, ...]
    statement: SelectBase
    names: Mapping[str, str]
    table: Table | None = None
    table_class: Any = None
    filled: frozenset[str] = field(default=frozenset())

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(kind.name for kind in self.kinds)

    def of(self, columns: Iterable[str]) -> Subject:
        """The same with these columns alone, in the order of the subject; a key that is not whole is none.

        Raises ConfigurationError where none is left.
        """
        wanted = set(columns)
        kinds = tuple(kind for kind in self.kinds if kind.name in wanted)
        if not kinds:
            raise ConfigurationError(
                "no column is left to compare",
                where=self.name,
                expected="some of " + ", ".join(self.columns),
                next_step="name columns in the expected rows, and ignore fewer",
            )
        return replace(self, kinds=kinds, key=self.key if wanted.issuperset(self.key) else ())


def subject_of(table: Readable) -> Subject:
    """The columns of a table class, a table or a SELECT. Raises ConfigurationError for anything else."""
    if isinstance(table, SelectBase):
        return _of_select(table)
    own = table_of(table)
    fields = _field_names(table) if is_table_class(table) else {}
    return Subject(
        f"table {own.fullname}",
        tuple(kind_of(column.name, column.type) for column in own.columns),
        tuple(column.name for column in own.primary_key.columns),
        select(*own.columns),
        {column.name: column.name for column in own.columns} | fields,
        own,
        table if is_table_class(table) else None,
        frozenset(column.name for column in own.columns if _is_filled_by_database(own, column)),
    )


def _field_names(table_class: Any) -> dict[str, str]:
    mapper = table_class.__mapper__
    return {
        mapper.get_property_by_column(column).key: column.name for column in table_class.__table__.columns
    }


def _is_filled_by_database(table: Table, column: Any) -> bool:
    return (
        column is table.autoincrement_column
        or column.server_default is not None
        or column.computed is not None
        or column.identity is not None
    )


def _of_select(statement: SelectBase) -> Subject:
    columns = list(statement.selected_columns)
    names = [str(column.key) for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise ConfigurationError(
            "the columns of a SELECT need names of their own",
            seen=f"{', '.join(twice)} more than once" if twice else "no column",
            next_step="give one a name with .label(...)" if twice else "select columns or a class",
        )
    kinds = tuple(kind_of(name, column.type) for name, column in zip(names, columns, strict=True))
    tables = {getattr(column, "table", None) for column in columns}
    one = next(iter(tables)) if len(tables) == 1 else None
    key = tuple(str(column.key) for column in getattr(one, "primary_key", ()))
    return Subject(
        "the SELECT",
        kinds,
        key if set(key) <= set(names) else (),
        statement,
        {name: name for name in names},
    )


def known_columns(subject: Subject, names: str | Iterable[str], what: str) -> tuple[str, ...]:
    """The columns that these names mean. Raises ConfigurationError for one that the subject does not have."""
    given = (names,) if isinstance(names, str) else tuple(names)
    for name in given:
        if name not in subject.names:
            near = get_close_matches(str(name), subject.names, n=1)
            raise ConfigurationError(
                f"{what} names a column that is not there",
                where=subject.name,
                seen=str(name),
                expected="one of " + ", ".join(subject.columns),
                next_step=f"did you mean {near[0]}?" if near else "name one of these",
            )
    return tuple(subject.names[name] for name in given)


# places


def target_of(where: Any) -> TargetConfig | None:
    """The target that `where` is or has; None where there is none."""
    found = where if isinstance(where, TargetConfig) else getattr(where, "target", None)
    return found if isinstance(found, TargetConfig) else None


def place_name(where: Any, subject: Subject) -> str:
    """How messages name the place: by its target, else by its kind of database."""
    target = target_of(where)
    if target is not None:
        return target.name
    return str(_bound(_own_place(where), subject).dialect.name)


def _bound(place: Place, subject: Subject | None = None) -> Engine | Connection:
    if isinstance(place, TargetConfig):
        return open_target(place).sql
    if isinstance(place, Session):
        return place.get_bind(clause=subject.statement if subject else None)
    return place


def _own_place(where: Any) -> Place:
    """What rows are read by. Raises ConfigurationError where that is nothing to read by."""
    for place in (where, getattr(where, "session", None), getattr(where, "engine", None)):
        if any(hasattr(place, name) for name in _OF_ASYNC):
            raise ConfigurationError(
                "rows are compared without asyncio",
                seen=type(place).__name__,
                next_step="await connection.run_sync(lambda sync: assert_rows(sync, ...)), or pass the target",
            )
        if isinstance(place, scoped_session):
            own: Session = place()
            return own
        if isinstance(place, Engine | Connection | Session | TargetConfig):
            return place
    target = target_of(where)
    if target is not None:
        return target
    raise ConfigurationError(
        "no database to read from was given",
        seen=type(where).__name__,
        expected="an Engine, a Connection, a Session, a TargetConfig, or something with an engine or a session",
        next_step="pass the database first, then the table class",
    )


def sql_engine_of(where: Where) -> Engine:
    """The engine that `where` is, has or uses."""
    return _bound(_own_place(where)).engine


_OF_ASYNC = ("sync_engine", "sync_connection", "sync_session")
"""What the classes of SQLAlchemy's asyncio have; they are not imported, as they need an extra."""


def target_engine_of(sql: Engine) -> TargetEngine | None:
    """The engine of ours that knows this database through this driver; None where none does."""
    for engine in installed_engines().values():
        known = engine.offline_dialect()
        if isinstance(sql.dialect, type(known)):
            return engine
    return None


@contextmanager
def _connecting(place: Place, subject: Subject, label: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as exc:
        raise _translated(_bound(place, subject).engine, label, exc) from exc


@contextmanager
def _connected(place: Place, subject: Subject) -> Iterator[Connection]:
    if isinstance(place, Session):
        yield place.connection(bind_arguments={"clause": subject.statement})
    elif isinstance(place, Connection):
        own = not place.in_transaction()
        try:
            yield place
        finally:
            if own and place.in_transaction():
                place.rollback()
    elif isinstance(place, Engine):
        with place.connect() as connection:
            yield connection
    else:
        with _opened(place, subject).sql.connect() as connection:
            yield connection


def _opened(target: TargetConfig, subject: Subject) -> LiveTarget:
    engine_of(target).refuse_if_absent(target)
    live = open_target(target)
    if subject.table is not None:
        live.engine.attach_schemas(live, schemas_of([subject.table]), create=False)
    return live


# reading


def read_rows(where: Where, subject: Subject) -> list[tuple[Any, ...]]:
    """All rows, with the values of Python that the columns' types give.

    A session is flushed first, unless it does not flush by itself, and stays in its transaction. Raises ConfigurationError
    where the table is not there, TryAgainError where the database is not reachable, DeploymentError where it refuses or
    where a value cannot be read.
    """
    place = _own_place(where)
    if isinstance(place, Session) and place.autoflush:
        # What a flush raises is about the test's own rows: it stays as it is.
        place.flush()
    label = f"{subject.name}, {place_name(where, subject)}"
    with _connecting(place, subject, label), _connected(place, subject) as connection:
        try:
            return _fetched(connection, subject.statement)
        except DBAPIError as exc:
            raise _refusal(connection, subject, label, exc) from exc
        except _UNREADABLE as exc:
            raise _unreadable(connection, subject, label, exc) from None


_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, StatementError)
"""What types and drivers raise about a value that they cannot read."""


def _fetched(connection: Connection, statement: Any) -> list[tuple[Any, ...]]:
    return list(map(tuple, connection.execute(statement)))


def _refusal(connection: Connection, subject: Subject, label: str, exc: DBAPIError) -> DatakitError:
    there = None if subject.table is None else _tables_beside(connection, subject.table)
    if subject.table is not None and there is not None and subject.table.name not in there:
        near = get_close_matches(subject.table.name, there, n=1)
        return ConfigurationError(
            "the table is not there",
            where=label,
            seen=_listed(there) or "no table",
            next_step=f"did you mean the class of {near[0]}?" if near else "deploy its class first",
        )
    return _translated(connection.engine, label, exc)


def _translated(sql: Engine, label: str, exc: DBAPIError) -> DatakitError:
    engine = target_engine_of(sql)
    if engine is not None and isinstance(exc.orig, engine.driver_error):
        return engine.translate(exc.orig, label)
    return DeploymentError("the rows cannot be read", where=label, seen=type(exc.orig or exc).__name__)


def _tables_beside(connection: Connection, table: Table) -> list[str] | None:
    """The tables of the same schema; None where nobody answers. A transaction that the failure ended answers nothing."""
    for again in (connection, connection.engine):
        try:
            return sorted(inspect(again).get_table_names(table.schema))
        except DBAPIError:
            continue
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _unreadable(connection: Connection, subject: Subject, label: str, exc: Exception) -> DeploymentError:
    """Column by column: which one it is."""
    columns = list(subject.table.columns) if subject.table is not None else []
    for column in columns:
        try:
            _fetched(connection, select(column))
        except _UNREADABLE:
            label += f", column {column.name}"
            break
    return DeploymentError(
        "a value cannot be read as the type of its column",
        where=label,
        seen=type(exc).__name__,
        next_step="look at it with SQL, or validate the deployment",
    )
