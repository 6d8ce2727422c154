"""Assertions on the rows and on the tables of a database, for pytest, unittest and libraries alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.sql.selectable import SelectBase

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.models.tables import TableLike
from sqlmodel_framework.config.targets import TargetConfig, create_custom_target
from sqlmodel_framework.engines.ddl import schemas_of
from sqlmodel_framework.engines.live import LiveTarget
from sqlmodel_framework.utils.reports.words import count
from sqlmodel_framework.utils.tables import tables_of
from sqlmodel_framework.utils.testing.differences import (
    Differences,
    Rows,
    approx_of,
    differences_of,
    rows_of,
)
from sqlmodel_framework.utils.testing.drawing import counts_text, difference_lines, row_lines, wrapped
from sqlmodel_framework.utils.testing.expected import expected_rows
from sqlmodel_framework.utils.testing.subjects import (
    AS_GIVEN,
    Readable,
    Subject,
    Where,
    known_columns,
    place_name,
    read_rows,
    sql_engine_of,
    subject_of,
    target_engine_of,
    target_of,
)
from sqlmodel_framework.utils.testing.values import sort_key

__all__ = ["assert_rows", "assert_schema", "ordered_positions", "picked"]


def assert_rows(
    where: Where,
    table: Readable,
    expected: Any,
    *,
    ignore: str | Iterable[str] = (),
    order: str | Sequence[str] | None = None,
    approx: float | tuple[float, float] | bool | None = None,
) -> None:
    """The rows of a table class, a table or a SELECT are exactly the expected ones; AssertionError says how they differ.

    `where` is an Engine, a Connection, a Session (flushed first), a TargetConfig, or anything with a session or an engine.
    `expected` holds dicts, model instances or tuples in column order, or is a DataFrame, an Arrow table or batches, or the
    Path of a CSV, JSON, JSON lines or Parquet file. Columns that no expected row names, and those of `ignore`, are not
    compared. Without `order` the sequence does not matter, and duplicates count; with the names of columns, `-` before one
    that falls, the rows are read in that order and stand in the sequence of the expected ones; `"as given"` takes the order
    that a SELECT has. `approx` is how far floats may be apart: a relative tolerance, or a pair with an absolute one.

    Raises ConfigurationError for bad input, TryAgainError and DeploymentError where the database cannot be read.
    """
    __tracebackhide__ = True
    whole = subject_of(table)
    ignored = known_columns(whole, ignore, "ignore")
    tolerance = approx_of(approx)
    ordering = _ordering(whole, order)
    wanted = expected_rows(whole, expected, ignored)
    subject = whole.of(name for name in wanted.columns if name not in ignored)
    found = read_rows(where, whole)
    expected_side = rows_of(subject.kinds, picked(wanted.columns, subject, wanted.rows))
    found_side = rows_of(subject.kinds, picked(whole.columns, subject, found))
    differences = differences_of(subject, expected_side, found_side, tolerance)
    text = _different_rows(place_name(where, whole), whole, differences, ignored) if differences else []
    if not differences and ordering is not None:
        blocks = _blocks(whole, found, ordering)
        text = _other_sequence(
            place_name(where, whole), subject, expected_side, found_side, blocks, tolerance
        )
    if text:
        raise AssertionError("\n".join(text))


def picked(
    columns: Sequence[str], subject: Subject, rows: Sequence[tuple[Any, ...]]
) -> Sequence[tuple[Any, ...]]:
    """Rows of these columns in the columns of the subject."""
    if tuple(columns) == subject.columns:
        return rows
    places = [columns.index(name) for name in subject.columns]
    return [tuple([row[place] for place in places]) for row in rows]


def _different_rows(
    place: str, whole: Subject, differences: Differences, ignored: Sequence[str]
) -> list[str]:
    if not differences.expected:
        title = f"{whole.name} on {place}: no row expected, {differences.found} found"
        return [title, *difference_lines(differences, ("", "", ""))]
    unnamed = [name for name in whole.columns if name not in (*differences.subject.columns, *ignored)]
    return [
        f"{whole.name} on {place}: {counts_text(differences)}",
        f"{count(differences.expected, 'row')} expected, {differences.found or 'none'} found",
        *difference_lines(differences),
        *wrapped("not compared, in no expected row: ", unnamed),
        *wrapped("not compared, ignored: ", ignored),
    ]


# order


def _ordering(subject: Subject, order: str | Sequence[str] | None) -> list[tuple[int, bool]] | None:
    """The places of the columns to sort by, and whether they fall; empty for the order of the SELECT itself."""
    if order is None:
        return None
    if order == AS_GIVEN and AS_GIVEN not in subject.names:
        if isinstance(subject.statement, SelectBase) and subject.table is None:
            return []
        raise ConfigurationError(
            "a table has no order of its own",
            where=subject.name,
            seen=f"order={order!r}",
            expected="names of columns",
            next_step='name the columns, or pass a SELECT with .order_by(...) and order="as given"',
        )
    names = (order,) if isinstance(order, str) else tuple(order)
    falls = [name.startswith("-") and name not in subject.names for name in names]
    columns = [name[1:] if falling else name for name, falling in zip(names, falls, strict=True)]
    places = [subject.columns.index(name) for name in known_columns(subject, columns, "order")]
    return list(zip(places, falls, strict=True))


def ordered_positions(
    subject: Subject, found: Sequence[tuple[Any, ...]], order: str | Sequence[str]
) -> list[int]:
    """The positions of rows in the order that `assert_rows` knows by these words; raises ConfigurationError as it does."""
    return [
        position for block in _blocks(subject, found, _ordering(subject, order) or []) for position in block
    ]


def _blocks(
    subject: Subject, found: Sequence[tuple[Any, ...]], ordering: Sequence[tuple[int, bool]]
) -> list[list[int]]:
    """The positions of rows in the order asked for; those in one block are equal in it."""
    positions = list(range(len(found)))
    if not ordering:
        return [[position] for position in positions]
    keys: list[list[Any]] = [[] for _ in found]
    for place, _ in ordering:
        column = rows_of([subject.kinds[place]], [(row[place],) for row in found])
        for key, (value,) in zip(keys, column.exact, strict=True):
            key.append(sort_key(value, subject.kinds[place]))
    for number, (_, falls) in reversed(list(enumerate(ordering))):
        positions.sort(key=lambda position: keys[position][number], reverse=falls)
    return [list(block) for _, block in groupby(positions, key=keys.__getitem__)]


def _other_sequence(
    place: str, subject: Subject, expected: Rows, found: Rows, blocks: Sequence[Sequence[int]], approx: Any
) -> list[str]:
    """Nothing where the blocks come in the sequence of the expected rows."""
    start = 0
    for block in blocks:
        end = start + len(block)
        wanted = Rows(expected.raw[start:end], expected.exact[start:end])
        got = Rows([found.raw[i] for i in block], [found.exact[i] for i in block])
        if wanted.exact != got.exact and differences_of(subject, wanted, got, approx):
            rest = [found.raw[i] for block in blocks for i in block][start:]
            return [
                f"{subject.name} on {place}: another sequence from row {start + 1} of {len(found.raw)} on",
                "expected:",
                *row_lines(subject.columns, (), expected.raw[start:]),
                "found:",
                *row_lines(subject.columns, (), rest),
            ]
        start = end
    return []


# tables


def assert_schema(where: Where, table: TableLike | Iterable[TableLike], *, strict: bool = False) -> None:
    """The tables in the database are what their classes say; AssertionError shows the findings as `datakit validate` does.

    `strict` also refuses tables and columns that only the database has. A Session or a Connection leads to its engine: what
    it has not committed is not seen. Raises what `validate_deployment` raises, and ConfigurationError for an engine of a
    driver that validation does not know.
    """
    __tracebackhide__ = True
    from sqlmodel_framework.utils.reports import TargetReport, as_text
    from sqlmodel_framework.utils.validation import validate_deployment

    tables: Iterable[TableLike] = [table] if isinstance(table, Table | type) else table
    classes = tables_of(tables)
    target = target_of(where) or _target_of_engine(sql_engine_of(where), classes)
    result = validate_deployment(classes, target, strict=strict)
    if not result.success:
        report = TargetReport(target.name, target.address, validating=True, validation=result)
        raise AssertionError("\n".join(as_text([report], verbose=True)))


def _target_of_engine(sql: Engine, tables: Sequence[Table]) -> TargetConfig:
    """A target that stands for an engine of the caller's, and ends nothing of it."""
    engine = target_engine_of(sql)
    if engine is None:
        raise ConfigurationError(
            "tables of this engine cannot be validated",
            seen=f"{sql.dialect.name} through {sql.dialect.driver}",
            expected="an engine of create_engine_for_target",
            next_step="pass the TargetConfig",
        )
    url = sql.url
    in_memory = engine.kind == "sqlite" and (url.database or ":memory:").startswith((":memory:", "file:"))
    target = create_custom_target(
        engine.kind,
        None if in_memory else url.database,
        host=url.host,
        port=url.port,
        user=url.username,
        name=sql.dialect.name,
    )
    live = LiveTarget(target, engine)
    live.sql = sql
    # Nothing is attached to connections that are not ours, and none of them is closed.
    live.attached_schemas = set(schemas_of(tables))
    target.live = live
    return target
