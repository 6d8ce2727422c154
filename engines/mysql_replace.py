"""Replace tables on MySQL and MariaDB, where DDL cannot be rolled back.

The new tables are made beside the old ones, under names of a scratch place. One RENAME TABLE, which is atomic, puts the
old ones aside and the new ones in their place; then the old ones are dropped. What fails before the drop is put back.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql
from sqlalchemy import Connection, Table, bindparam, text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from sqlmodel_framework.base.errors import DeploymentError
from sqlmodel_framework.engines.ddl import SchemaMap, Statement, with_referred
from sqlmodel_framework.engines.mysql_catalogue import Physical
from sqlmodel_framework.engines.mysql_names import (
    HeldName,
    needed_constraints,
    needed_triggers,
    quoter,
    still_held,
)
from sqlmodel_framework.engines.mysql_shadow import (
    SHADOW_PREFIX,
    end_session,
    new_token,
    release_lock,
    take_lock,
)
from sqlmodel_framework.engines.reading import TableKey

if TYPE_CHECKING:
    from sqlmodel_framework.engines.live import LiveTarget

__all__ = ["KEPT_PREFIX", "refuse_if_referred", "replace_tables"]

_log = logging.getLogger(__name__)

KEPT_PREFIX = "datakit_before_"
"""Tables of such a name are old tables with their rows. Nothing but the replacement that made them drops them."""

_REFUSALS = (DBAPIError, pymysql.MySQLError)


@dataclass(frozen=True)
class _Exchange:
    """One new table: its place, where it is made, and where the old table of that place is kept, if there is one."""

    table: Table
    place: Physical
    new: Physical
    kept: Physical | None


@dataclass
class _Replacement:
    """What a replacement does, and how far it may have come."""

    live: LiveTarget
    session: int
    lock: str
    exchanges: Sequence[_Exchange]
    quote: Callable[[Iterable[str]], str]
    given_up: list[HeldName] = field(default_factory=list)
    swapping: bool = False

    @property
    def kept(self) -> dict[Physical, Physical]:
        """The kept tables with their places."""
        return {one.kept: one.place for one in self.exchanges if one.kept}

    def names(self, tables: Iterable[Physical]) -> str:
        return ", ".join(map(self.quote, tables))

    def swap(self) -> str:
        away = [(place, kept) for kept, place in self.kept.items()]
        return self._rename([*away, *((one.new, one.place) for one in self.exchanges)])

    def swap_back(self) -> str:
        return self._rename([*((one.place, one.new) for one in self.exchanges), *self.kept.items()])

    def run(self, connection: Connection, *statements: str) -> None:
        self.live.engine.execute(connection, [Statement("Replace", None, "", one) for one in statements])

    def give_up(self, connection: Connection, name: HeldName) -> None:
        self.given_up.append(name)
        self.run(connection, name.give_up)

    def _rename(self, steps: Iterable[tuple[Physical, Physical]]) -> str:
        return "RENAME TABLE " + ", ".join(f"{self.quote(old)} TO {self.quote(new)}" for old, new in steps)


def replace_tables(
    live: LiveTarget,
    connection: Connection,
    old: Sequence[Table],
    tables: Sequence[Table],
    schema_map: SchemaMap | None,
    *,
    existing: Collection[TableKey],
    done: Callable[[Statement], object],
) -> None:
    """Put these tables in the place of the old ones, and drop those; `done` is told of tables when all of it succeeded.

    Raises DeploymentError where a failure could not be put back; it names the old tables and the way back.
    """
    of = live.engine
    replacement = _plan(live, connection, old, tables, schema_map)
    refuse_if_referred(connection, {place: place[1] for place in replacement.kept.values()})
    made = of.render(tables, _with_scratch_names(connection.dialect, replacement), schema_map)
    custom = [one for one in of.render(tables, connection.dialect, schema_map) if one.custom]
    again = [one for one in of.render(old, connection.dialect, schema_map) if one.makes_again(existing)]
    with _put_back_after_a_failure(connection, replacement):
        _hand_over_constraints(connection, replacement)
        wanted = [one for one in made if one.is_wanted(existing, custom=False)]
        of.execute(connection, wanted, lambda one: done(one) if one.free_standing else None)
        replacement.swapping = True
        replacement.run(connection, replacement.swap())
        _run_custom(connection, replacement, custom)
        replacement.run(connection, *map(_or_replace, again))
        refuse_if_referred(connection, {kept: place[1] for kept, place in replacement.kept.items()})
    _drop_kept(connection, replacement)
    for statement in made:
        if statement.element == "CreateTable":
            done(statement)


def refuse_if_referred(connection: Connection, tables: Mapping[Physical, str]) -> None:
    """Raise DeploymentError where a key of a table that is not among these points at one of them; an error says its name."""
    for schema, name, referred_schema, referred in connection.execute(_REFERENCES).all():
        if (referred_schema, referred) in tables and (schema, name) not in tables:
            raise DeploymentError(
                "a table cannot be dropped: another one refers to it",
                where=f"table {tables[referred_schema, referred]}",
                seen=f"a foreign key of {schema}.{name}",
                next_step="drop that foreign key first",
            )


def _plan(
    live: LiveTarget,
    connection: Connection,
    old: Sequence[Table],
    tables: Sequence[Table],
    schema_map: SchemaMap | None,
) -> _Replacement:
    default = live.engine.default_schema(connection)
    token, _ = new_token(connection)
    exchanges = []
    for number, table in enumerate(tables):
        schema = str((schema_map or {}).get(table.schema) or table.schema or default)
        kept = (schema, f"{KEPT_PREFIX}{token}_{number}") if table in old else None
        new = (schema, f"{SHADOW_PREFIX}{token}_{number}")
        exchanges.append(_Exchange(table, (schema, table.name), new, kept))
    session = int(connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
    return _Replacement(live, session, SHADOW_PREFIX + token, exchanges, quoter(connection))


def _with_scratch_names(dialect: Dialect, replacement: _Replacement) -> Dialect:
    """A dialect that writes the scratch names of the new tables. Others, which they may refer to, keep their names."""
    base: Any = type(dialect.identifier_preparer)
    names = {(e.table.schema, e.table.name): replacement.quote(e.new) for e in replacement.exchanges}

    class ScratchPreparer(base):  # type: ignore[misc]
        def format_table(self, table: Table, use_schema: bool = True, name: str | None = None) -> str:
            made = names.get((table.schema, table.name))
            return made or str(super().format_table(table, use_schema, name))

    copied = copy.copy(dialect)
    copied.identifier_preparer = ScratchPreparer(copied)
    return copied


@contextmanager
def _put_back_after_a_failure(connection: Connection, replacement: _Replacement) -> Iterator[None]:
    take_lock(connection, replacement.lock)
    try:
        yield
    except BaseException as exc:
        connection.invalidate()
        _use_real_names(exc, replacement)
        _put_back(replacement, exc)
        raise


def _hand_over_constraints(connection: Connection, replacement: _Replacement) -> None:
    """Take from the old tables the constraints whose names the new ones need.

    The creation is rehearsed before, so that an old table gives up nothing for DDL that the server refuses.
    """
    tables = {one.place: one.table for one in replacement.exchanges}
    names = list(needed_constraints(connection, replacement.kept.values(), tables))
    if not names:
        return
    live = replacement.live
    with live.engine.shadow(live.sql, connection, with_referred(list(tables.values()))):
        pass
    for name in names:
        replacement.give_up(connection, name)


def _run_custom(connection: Connection, replacement: _Replacement, custom: Sequence[Statement]) -> None:
    """Run the kit's own DDL, which names the real tables; triggers of the old ones give up the names it needs."""
    if not custom:
        return
    for name in list(needed_triggers(connection, replacement.kept, custom)):
        replacement.give_up(connection, name)
    replacement.live.engine.execute(connection, custom)


def _or_replace(statement: Statement) -> str:
    """A sequence that is there starts again, by one atomic statement."""
    return statement.text.replace("CREATE SEQUENCE", "CREATE OR REPLACE SEQUENCE", 1)


def _put_back(replacement: _Replacement, cause: BaseException) -> None:
    """Bring the old tables back as they were."""
    try:
        with _fresh_connection(replacement) as connection:
            if replacement.swapping and connection.execute(_KEPT, _names_of(replacement.kept)).scalar_one():
                replacement.run(connection, replacement.swap_back())
            replacement.swapping = False
            new = replacement.names(one.new for one in replacement.exchanges)
            replacement.run(connection, "SET SESSION foreign_key_checks = 0", f"DROP TABLE IF EXISTS {new}")
            held = still_held(connection, {one.place[0] for one in replacement.exchanges})
            for name in list(replacement.given_up):
                if name.key not in held:
                    replacement.run(connection, *name.bring_back)
                replacement.given_up.remove(name)
    except (*_REFUSALS, KeyboardInterrupt) as exc:
        _say_the_way_back(replacement, cause, exc)


@contextmanager
def _fresh_connection(replacement: _Replacement) -> Iterator[Connection]:
    """A connection outside the pool, after the end of the session that may still be at work."""
    engine = replacement.live.engine.connect(replacement.live.target)
    try:
        with engine.connect() as connection:
            end_session(connection, replacement.session, replacement.lock)
            yield connection
    finally:
        engine.dispose()


def _names_of(tables: Iterable[Physical]) -> dict[str, list[str]]:
    schemas, names = zip(*tables, strict=True)
    return {"schemas": sorted(set(schemas)), "names": sorted(names)}


def _say_the_way_back(replacement: _Replacement, cause: BaseException, exc: BaseException) -> None:
    """Raise DeploymentError with the way back. Empty new tables alone need none: a later shadow drops them."""
    way_back = [replacement.swap_back()] if replacement.swapping else []
    way_back += [statement for name in replacement.given_up for statement in name.bring_back]
    if not way_back:
        new = replacement.names(one.new for one in replacement.exchanges)
        _log.warning("new tables stay for now: %s (%s)", new, _short(exc))
        return
    seen = [f"{_short(cause)}, and {_short(exc)} when the old tables were to be put back"]
    if replacement.swapping:
        kept = ", ".join(f"{kept[1]} was {place[1]}" for kept, place in replacement.kept.items())
        seen.append(f"they are kept with their rows, {kept}, unless the names were not exchanged yet")
    if replacement.given_up:
        seen.append(f"they may lack {', '.join(map(str, replacement.given_up))}")
    error = DeploymentError(
        "the old tables could not be put back",
        where=replacement.live.target.label,
        seen="; ".join(seen),
        next_step="when the server answers, run: " + "; ".join(way_back),
    )
    # In the log too: a further error on the way out must not hide it.
    _log.error("%s", error)
    raise error from exc


def _drop_kept(connection: Connection, replacement: _Replacement) -> None:
    """Drop the old tables. From here on there is no way back: the new ones stand, whatever happens."""
    try:
        _drop(connection, replacement)
        release_lock(connection, replacement.lock)
    except BaseException as exc:
        connection.invalidate()
        connection.rollback()
        try:
            with _fresh_connection(replacement) as fresh:
                _drop(fresh, replacement)
        except _REFUSALS:
            kept = replacement.names(replacement.kept)
            _log.warning("the new tables stand; the old ones could not be dropped: %s", kept)
        if not isinstance(exc, Exception):
            raise


def _drop(connection: Connection, replacement: _Replacement) -> None:
    replacement.run(
        connection,
        "SET SESSION foreign_key_checks = 0",
        f"DROP TABLE IF EXISTS {replacement.names(replacement.kept)}",
        "SET SESSION foreign_key_checks = 1",
    )


def _use_real_names(exc: BaseException, replacement: _Replacement) -> None:
    """The server speaks of the scratch names; the reader knows the tables by their own."""
    if not isinstance(exc, pymysql.MySQLError) or len(exc.args) < 2:
        return
    sentence = str(exc.args[1])
    # The last first: a name that ends with 1 begins one that ends with 12.
    for one in reversed(replacement.exchanges):
        sentence = sentence.replace(one.new[1], one.place[1])
    exc.args = (exc.args[0], sentence, *exc.args[2:])


def _short(exc: BaseException) -> str:
    original = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
    number = original.args[0] if original.args else None
    return f"error {number}" if isinstance(number, int) else type(original).__name__


_REFERENCES = text(
    "SELECT constraint_schema, table_name, unique_constraint_schema, referenced_table_name"
    " FROM information_schema.referential_constraints"
)
_KEPT = text(
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN :schemas AND TABLE_NAME IN :names"
).bindparams(bindparam("schemas", expanding=True), bindparam("names", expanding=True))
