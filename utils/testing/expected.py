"""The rows that a test expects, in any of the forms that people have them in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import inspect
from sqlalchemy.engine import Row

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.models.columns import metadata_column_names
from sqlmodel_framework.base.models.tables import is_table_class
from sqlmodel_framework.utils.testing.subjects import Subject, known_columns
from sqlmodel_framework.utils.testing.values import ColumnKind, plain_value
from sqlmodel_framework.utils.testing.written import from_json_value, from_text

__all__ = ["ExpectedRows", "expected_rows", "json_rows"]

_FORMS = "an iterable of dicts, model instances or tuples, a DataFrame, an Arrow table or batches, or the Path of a file"


@dataclass(frozen=True)
class ExpectedRows:
    """Rows with the values of Python that a test means; `columns` are those that it names, in the order of the subject."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def expected_rows(subject: Subject, expected: Any, ignored: Sequence[str] = ()) -> ExpectedRows:
    """Read what is expected of a subject. No row at all names all columns.

    Raises ConfigurationError for something that is no rows, for columns that are not there, for rows that do not name the
    same columns, and for values that the types of their columns do not have. What a generator raises stays as it is.
    """
    if isinstance(expected, Path):
        return _of_file(subject, expected)
    if hasattr(expected, "iloc") and hasattr(expected, "columns"):
        from sqlmodel_framework.base.lake.frames import table_of

        return _of_arrow(subject, table_of(expected))
    if hasattr(expected, "__arrow_c_stream__"):
        import pyarrow as pa

        return _of_arrow(subject, pa.table(expected))
    _refuse_what_is_no_rows(subject, expected)
    rows = list(expected)
    if rows and hasattr(rows[0], "__arrow_c_array__") and hasattr(rows[0], "schema"):
        import pyarrow as pa

        return _of_arrow(subject, pa.Table.from_batches(rows))
    return _of_mappings(subject, [_as_mapping(subject, row, n, ignored) for n, row in enumerate(rows, 1)])


def _refuse_what_is_no_rows(subject: Subject, expected: Any) -> None:
    one_row = isinstance(expected, Mapping | BaseModel) or is_dataclass(expected)
    if not one_row and isinstance(expected, Iterable) and not isinstance(expected, str | bytes | Row | type):
        return
    next_step = None
    if isinstance(expected, str):
        next_step = "pass pathlib.Path(...) where it names a file"
    elif one_row or isinstance(expected, Row):
        next_step = "pass a list of rows, also for one"
    raise ConfigurationError(
        "the expected rows are no rows",
        where=subject.name,
        seen=type(expected).__name__,
        expected=_FORMS,
        next_step=next_step,
    )


# rows of Python


def _as_mapping(subject: Subject, row: Any, number: int, ignored: Sequence[str]) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    if isinstance(row, BaseModel):
        return _fields_given(subject, row, number)
    if isinstance(row, Row):
        return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    if hasattr(row, "_asdict"):
        named: Mapping[str, Any] = row._asdict()
        return named
    if is_dataclass(row) and not isinstance(row, type):
        return {name: getattr(row, name) for name in row.__dataclass_fields__}
    if isinstance(row, tuple | list):
        return _in_column_order(subject, row, number, ignored)
    raise _bad_row(subject, number, f"a {type(row).__name__}", "a dict, a model instance or a tuple")


def _in_column_order(
    subject: Subject, row: Sequence[Any], number: int, ignored: Sequence[str]
) -> dict[str, Any]:
    columns = subject.columns
    left = tuple(name for name in columns if name not in ignored)
    names = columns if len(row) == len(columns) else left
    if len(row) != len(names):
        raise _bad_row(subject, number, f"{len(row)} values", f"{len(names)}: {', '.join(names)}")
    return dict(zip(names, row, strict=True))


def _bad_row(subject: Subject, number: int, seen: str, expected: str) -> ConfigurationError:
    return ConfigurationError(
        "an expected row cannot be compared",
        where=f"{subject.name}, expected row {number}",
        seen=seen,
        expected=expected,
    )


def _fields_given(subject: Subject, row: BaseModel, number: int) -> dict[str, Any]:
    """The fields that an instance was given, and those with a plain default.

    Metadata, and what the database fills, count only where they were given.
    An instance that was read from a database has all that it holds.
    """
    kind = type(row)
    if is_table_class(kind):
        if subject.table is not None and not _same_table(kind, subject):
            raise _bad_row(subject, number, f"an instance of {kind.__name__}", f"one of {subject.name}")
        state: Any = inspect(row)
        if state.has_identity:
            return {key: getattr(row, key) for key in state.mapper.column_attrs.keys()}  # noqa: SIM118 - no dict
    left_out = metadata_column_names(kind) if is_table_class(kind) else set()
    return {
        name: getattr(row, name)
        for name, field in kind.model_fields.items()
        if name in row.model_fields_set
        or not (
            field.is_required()
            or field.default_factory
            or name in left_out
            or (getattr(row, name) is None and subject.names.get(name) in subject.filled)
        )
    }


def _same_table(kind: Any, subject: Subject) -> bool:
    return kind.__table__ is subject.table


def _of_mappings(subject: Subject, rows: Sequence[Mapping[str, Any]]) -> ExpectedRows:
    if not rows:
        return ExpectedRows(subject.columns, [])
    first = tuple(rows[0])
    by_name = dict(zip(_distinct(subject, first), first, strict=True))
    kinds = [kind for kind in subject.kinds if kind.name in by_name]
    keys = [by_name[kind.name] for kind in kinds]
    for number, row in enumerate(rows, 1):
        if row.keys() != rows[0].keys():
            _refuse_other_columns(subject, rows[0], row, number)
    columns = [
        _values(subject, kind, [row[key] for row in rows]) for kind, key in zip(kinds, keys, strict=True)
    ]
    return ExpectedRows(tuple(kind.name for kind in kinds), list(zip(*columns, strict=True)))


def _distinct(subject: Subject, names: Iterable[str]) -> tuple[str, ...]:
    """The columns that names mean, each named once: a column may have the name of its field, too."""
    columns = known_columns(subject, names, "an expected row")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ConfigurationError(
            "the expected rows name a column twice", where=subject.name, seen=", ".join(twice)
        )
    return columns


def _refuse_other_columns(
    subject: Subject, first: Mapping[str, Any], row: Mapping[str, Any], number: int
) -> None:
    known_columns(subject, row, "an expected row")
    lacks = [name for name in first if name not in row]
    has = [name for name in row if name not in first]
    parts = [f"no {', '.join(lacks)}" if lacks else "", f"also {', '.join(has)}" if has else ""]
    raise ConfigurationError(
        "the expected rows do not name the same columns",
        where=f"{subject.name}, expected row {number}",
        seen=" and ".join(part for part in parts if part),
        expected=f"the columns of row 1: {', '.join(first)}",
        next_step="name the same columns in every row, with None where there is no value",
    )


_PLAIN = {int, str, bool, bytes, date, time, timedelta, Decimal, UUID, dict, list, type(None)}


def _values(subject: Subject, kind: ColumnKind, values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= _PLAIN:
        return values
    return [_value(subject, kind, value, number) for number, value in enumerate(values, 1)]


def _value(subject: Subject, kind: ColumnKind, value: Any, number: int) -> Any:
    value = plain_value(kind, value)
    if kind.time_zone and isinstance(value, datetime) and value.utcoffset() is None:
        raise ConfigurationError(
            "an expected time has no time zone",
            where=f"{subject.name}, expected row {number}, column {kind.name}",
            seen="a naive datetime",
            expected="an aware one",
            next_step="write datetime(..., tzinfo=UTC)",
        )
    return value


# Arrow


def _of_arrow(subject: Subject, table: Any) -> ExpectedRows:
    names = _distinct(subject, table.schema.names)
    columns = {
        name: _of_column(subject, kind, table.column(position))
        for position, name in enumerate(names)
        for kind in subject.kinds
        if kind.name == name
    }
    if not table.num_rows:
        return ExpectedRows(subject.columns, [])
    wanted = tuple(name for name in subject.columns if name in columns)
    return ExpectedRows(wanted, list(zip(*(columns[name] for name in wanted), strict=True)))


def _of_column(subject: Subject, kind: ColumnKind, column: Any) -> list[Any]:
    """The values, cast without a change to the type of the column where it has an Arrow form."""
    import pyarrow as pa

    from sqlmodel_framework.base.lake.casts import lossless_cast

    wanted = kind.arrow_type
    try:
        cast = column.combine_chunks() if wanted is None else lossless_cast(_one_chunk(column), wanted)
        values = cast.to_pylist()
        return [from_text(kind, v) if isinstance(v, str) else from_json_value(kind, v) for v in values]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
        raise _no_values_of(subject, kind, str(column.type)) from None


def _one_chunk(column: Any) -> Any:
    import pyarrow as pa

    chunk = column.combine_chunks()
    return pa.concat_arrays(chunk.chunks) if isinstance(chunk, pa.ChunkedArray) else chunk


def _no_values_of(
    subject: Subject, kind: ColumnKind, seen: str, number: int | None = None, file: Path | None = None
) -> ConfigurationError:
    places = [subject.name, f"{file.name}, row {number}" if file else "", f"column {kind.name}"]
    return ConfigurationError(
        "expected values do not fit the column without a change",
        where=", ".join(place for place in places if place),
        seen=seen,
        expected=f"{kind.family}{' with a time zone' if kind.time_zone else ''}",
        next_step="correct the values, or give them the column's type",
    )


# files


def _of_file(subject: Subject, path: Path) -> ExpectedRows:
    read = _FILES.get(path.suffix.lower())
    if read is None:
        raise ConfigurationError(
            "a file of expected rows has an unknown form",
            where=subject.name,
            seen=path.name,
            expected="one of " + ", ".join(sorted(_FILES)),
        )
    try:
        return read(subject, path)
    except OSError as exc:
        raise ConfigurationError(
            "a file of expected rows cannot be read",
            where=f"{subject.name}, file {path}",
            seen=exc.strerror or type(exc).__name__,
        ) from None


def _of_parquet(subject: Subject, path: Path) -> ExpectedRows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        raise _no_such_file(subject, path, "no Parquet") from None
    return _of_arrow(subject, table)


def _of_csv(subject: Subject, path: Path) -> ExpectedRows:
    """A header, then rows. A field without quotes and without a character is null; "" is an empty text."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        with path.open("rb") as file:
            names = csv.open_csv(file).schema.names
        options = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        table = csv.read_csv(
            path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options
        )
    except pa.ArrowInvalid:
        raise _no_such_file(subject, path, "no CSV with a header and rows of one length") from None
    known_columns(subject, table.schema.names, f"file {path.name}")
    return _converted(subject, table.to_pylist(), path, from_text)


def _of_json(subject: Subject, path: Path) -> ExpectedRows:
    return json_rows(subject, path, path.read_text(encoding="utf-8"), lines=False)


def _of_json_lines(subject: Subject, path: Path) -> ExpectedRows:
    return json_rows(subject, path, path.read_text(encoding="utf-8"), lines=True)


def json_rows(subject: Subject, path: Path, text: str, *, lines: bool) -> ExpectedRows:
    """The rows of a text of JSON: an array of objects, or an object a line. Raises ConfigurationError for any other."""
    rows: Any = []
    parts = text.split("\n") if lines else [text]
    for number, part in enumerate(parts):
        try:
            rows.append(json.loads(part, parse_float=Decimal)) if part.strip() or not lines else None
        except json.JSONDecodeError as exc:
            raise _no_such_file(subject, path, f"no JSON at line {number + exc.lineno}") from None
    rows = rows if lines else rows[0]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _no_such_file(subject, path, "no rows: an array of objects is needed, or an object a line")
    return _converted(subject, rows, path, from_json_value)


def _no_such_file(subject: Subject, path: Path, seen: str) -> ConfigurationError:
    return ConfigurationError(
        "a file of expected rows cannot be read", where=f"{subject.name}, file {path}", seen=seen
    )


def _converted(
    subject: Subject, rows: list[dict[str, Any]], path: Path, convert: Callable[[ColumnKind, Any], Any]
) -> ExpectedRows:
    kinds = {
        other: kind for other, name in subject.names.items() for kind in subject.kinds if kind.name == name
    }

    def values(row: dict[str, Any], number: int) -> Iterator[tuple[str, Any]]:
        for name, value in row.items():
            try:
                yield name, convert(kinds[name], value) if name in kinds else value
            except ValueError:
                raise _no_values_of(subject, kinds[name], type(value).__name__, number, path) from None

    return _of_mappings(subject, [dict(values(row, number)) for number, row in enumerate(rows, 1)])


_FILES: dict[str, Callable[[Subject, Path], ExpectedRows]] = {
    ".csv": _of_csv,
    ".json": _of_json,
    ".jsonl": _of_json_lines,
    ".ndjson": _of_json_lines,
    ".parquet": _of_parquet,
}
