"""The place of a round-trip proof on SQLite: the tables themselves, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event

from sqlmodel_framework.base.errors import NoScratchPlaceError
from sqlmodel_framework.engines.base import Scratch
from sqlmodel_framework.engines.reading import Places

__all__ = ["make_rehearsal"]


@contextmanager
def make_rehearsal(connection: Connection, places: Places) -> Iterator[Scratch]:
    """The tables in the connection's own transaction; changed pages stay in memory, so the file keeps its bytes.

    Raises NoScratchPlaceError inside where a statement ends the transaction: what follows would stay.
    """
    if not connection.in_transaction():
        connection.begin()
    connection.exec_driver_sql("PRAGMA cache_spill = OFF")
    event.listen(connection, "rollback_savepoint", _refuse_ended_transaction)
    try:
        yield Scratch(connection, places)
    finally:
        event.remove(connection, "rollback_savepoint", _refuse_ended_transaction)
        connection.rollback()
        connection.exec_driver_sql("PRAGMA cache_spill = ON")


def _refuse_ended_transaction(connection: Connection, *_: object) -> None:
    """After ROLLBACK the next savepoint would be a transaction of its own, and its release a commit."""
    if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        raise NoScratchPlaceError(
            "rows cannot be tried in a transaction that is rolled back",
            seen="a trigger with RAISE(ROLLBACK), or a constraint with ON CONFLICT ROLLBACK, ended it",
            expected="ABORT or FAIL in place of ROLLBACK",
        )
