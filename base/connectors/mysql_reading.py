"""How rows leave MySQL: as lines of CSV that the server writes, many of them in one value where a table has a key.

pymysql takes about 4 µs for each value that it reads, so one value for thousands of rows is what makes it fast.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection as PyMySQLConnection
from pymysql.cursors import SSCursor

from sqlmodel_framework.base.connectors.mysql_types import line_of
from sqlmodel_framework.base.connectors.source_columns import SourceColumn
from sqlmodel_framework.base.errors import ExtractionError

__all__ = ["KeyedTable", "groups_of_lines", "lines"]

_ROWS_AT_FIRST = 2_000
_MOST_ROWS = 50_000
_GROUP_BYTES = 4_000_000
_MOST_BYTES = 32_000_000


@dataclass(frozen=True)
class KeyedTable:
    """A table that is read by ranges of its key: a column of whole numbers without NULLs and without repeats."""

    source: str
    key: str


def lines(
    connection: PyMySQLConnection[Any], columns: list[SourceColumn], source: str, condition: str, where: str
) -> Generator[bytes, None, None]:
    """Blocks of lines of all rows, by one statement, as the server sends them.

    Raises ExtractionError for a row that is longer than the server can print.
    """
    filtered = f" WHERE ({condition}\n)" if condition else ""
    cursor = connection.cursor(SSCursor)
    try:
        cursor.execute(f"SELECT {line_of(columns)} FROM {source}{filtered}")  # noqa: S608 - quoted, or as asked for
        found: list[str] = []
        length = 0
        while row := cursor.fetchone():
            if row[0] is None:
                raise _too_long(where)
            found.append(row[0])
            length += len(row[0])
            if length > _GROUP_BYTES:
                yield _block(found)
                found, length = [], 0
        if found:
            yield _block(found)
    finally:
        _end(connection, cursor)


def groups_of_lines(
    connection: PyMySQLConnection[Any],
    columns: list[SourceColumn],
    table: KeyedTable,
    where: str,
) -> Generator[bytes, None, None]:
    """Blocks of lines, each one value of the server; the next is fetched while the caller works on one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        (packet,) = cursor.fetchone()
        most = min(int(packet), _MOST_BYTES)
        cursor.execute(f"SET SESSION group_concat_max_len = {most}")
    groups = _Groups(connection, line_of(columns), table, most, where)
    with ThreadPoolExecutor(1, thread_name_prefix="datakit-reading") as beside:
        ahead: Future[list[bytes]] | None = beside.submit(groups.next)
        while ahead is not None:
            found = ahead.result()
            ahead = None if groups.ended else beside.submit(groups.next)
            yield from found


class _Groups:
    """Walks through a table by its key."""

    def __init__(
        self,
        connection: PyMySQLConnection[Any],
        line: str,
        table: KeyedTable,
        most: int,
        where: str,
    ) -> None:
        self.ended = False
        self._connection = connection
        self._line = line
        self._table = table
        self._most = most
        self._where = where
        self._rows = _ROWS_AT_FIRST
        self._last: int | None = None

    def next(self) -> list[bytes]:
        """The lines of the next rows of the table; none where they are too long for one value, and are asked for again."""
        key, table = self._table.key, self._table.source
        beyond = f" WHERE {key} > {self._last}" if self._last is not None else ""
        at = f"LIMIT 1 OFFSET {self._rows - 1}"
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {key} FROM {table}{beyond} ORDER BY {key} {at}")  # noqa: S608 - quoted, and numbers
            row = cursor.fetchone()
        upto = int(row[0]) if row else None
        block = self._between(self._last, upto)
        if block is None:
            self._rows = max(1, self._rows // 4)
            return []
        self.ended, self._last = upto is None, upto
        if block:
            self._rows = int(min(_MOST_ROWS, max(1, self._rows * _GROUP_BYTES / len(block))))
        return [block] if block else []

    def _between(self, low: int | None, high: int | None) -> bytes | None:
        """The lines of a range; None where they are too long for one value."""
        key, line = self._table.key, self._line
        limits = [f"{key} > {low}"] * (low is not None) + [f"{key} <= {high}"] * (high is not None)
        within = f" FROM {self._table.source} WHERE {' AND '.join(limits) or '1'}"
        group = f"SELECT COUNT(*), SUM(LENGTH({line})), GROUP_CONCAT({line} SEPARATOR '\\n'){within}"
        with self._connection.cursor() as cursor:
            cursor.execute(group)
            rows, length, text = cursor.fetchone() or (0, None, None)
        if not rows:
            return b""
        block = _block([text or ""])
        if length is not None and len(block) == length + rows:
            return block
        # The server has cut the group, without an error: it is too long, or longer than the type that it takes a line for.
        if rows > 1 and (length or 0) + rows > self._most:
            return None
        return self._one_by_one(within)

    def _one_by_one(self, within: str) -> bytes:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {self._line}{within}")
            found = [row[0] for row in cursor.fetchall()]
        if None in found:
            raise _too_long(self._where)
        return _block(found)


def _block(found: Sequence[str]) -> bytes:
    # A last line that is empty, the NULL of an only column, needs its end to be one.
    return ("\n".join(found) + "\n").encode()


def _end(connection: PyMySQLConnection[Any], cursor: Any) -> None:
    """Leave a statement whose rows are not all read: the driver has no way but to read them all."""
    result = cursor._result  # noqa: SLF001
    if result is not None and result.unbuffered_active:
        connection.close()
        result.unbuffered_active = False
        cursor.connection = None
    with suppress(pymysql.MySQLError):
        cursor.close()


def _too_long(where: str) -> ExtractionError:
    return ExtractionError(
        "a row is longer than the server can send",
        where=where,
        next_step="raise max_allowed_packet of the server, or leave the longest columns out",
    )
