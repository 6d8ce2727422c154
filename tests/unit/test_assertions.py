"""assert_rows: what counts as the same rows, how a difference is told, and what is no expected row."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
import textwrap
import unittest
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import ANY
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlmodel import Field, Session, SQLModel, select

from sqlmodel_framework import (
    BronzeMetadata,
    ConfigurationError,
    DeploymentError,
    TargetConfig,
    assert_rows,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    get_target_config,
)
from sqlmodel_framework.base.models.columns import time_field
from sqlmodel_framework.utils.testing.drawing import shown_pair

MIDNIGHT = datetime(2024, 5, 1)  # noqa: DTZ001 - naive on purpose


class Rating(enum.Enum):
    general = "G"
    adult = "R"


class AssertedFilm(SQLModel, table=True):
    film_id: int | None = Field(default=None, primary_key=True)
    title: str = Field(sa_column_kwargs={"name": "film_title"})
    rate: Decimal = Field(default=Decimal("0.99"), max_digits=6, decimal_places=2)
    length: int | None = None


class AssertedReading(SQLModel, table=True):
    """A class of many types."""

    id: int = Field(primary_key=True)
    value: float | None = None
    at: datetime | None = time_field(default=None, nullable=True)
    day: date | None = None
    key: UUID | None = None
    rating: Rating | None = None
    raw: bytes | None = None
    flag: bool | None = None
    document: Any = Field(default=None, sa_type=sa.JSON, nullable=True)


class AssertedLanding(BronzeMetadata, SQLModel, table=True):
    id: int = Field(primary_key=True)
    name: str


class Keyless(NamedTuple):
    name: str
    number: int


keyless = sa.Table(
    "asserted_keyless", sa.MetaData(), sa.Column("name", sa.String(20)), sa.Column("number", sa.Integer)
)
FILMS: list[dict[str, Any]] = [
    {"film_id": 1, "title": "ACADEMY DINOSAUR", "rate": Decimal("0.99"), "length": 86},
    {"film_id": 2, "title": "ACE GOLDFINGER", "rate": Decimal("4.99"), "length": 48},
    {"film_id": 3, "title": "ADAPTATION HOLES", "rate": Decimal("2.99"), "length": None},
]


@pytest.fixture
def target() -> Iterator[TargetConfig]:
    with get_target_config("sqlite_memory") as made:
        deploy_data_objects([AssertedFilm, AssertedReading, AssertedLanding, keyless], made)
        yield made


@pytest.fixture
def films(target: TargetConfig) -> TargetConfig:
    insert(target, AssertedFilm, FILMS)
    return target


def insert(target: TargetConfig, table: Any, rows: list[dict[str, Any]]) -> None:
    with Session(create_engine_for_target(target)) as session:
        session.execute(sa.insert(table), rows)
        session.commit()


def failure(*arguments: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_rows(*arguments, **options)
    return str(caught.value)


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        assert_rows(*arguments, **options)
    return str(caught.value)


# forms of expected rows


@dataclass
class PlainFilm:
    film_id: int
    title: str
    rate: Decimal
    length: int | None


def frame() -> pd.DataFrame:
    return pd.DataFrame(FILMS)


FORMS: dict[str, Callable[[], Any]] = {
    "dicts": lambda: FILMS,
    "column names": lambda: [{("film_title" if k == "title" else k): v for k, v in f.items()} for f in FILMS],
    "generator": lambda: (film for film in FILMS),
    "instances": lambda: [AssertedFilm(**film) for film in FILMS],
    "dataclasses": lambda: [PlainFilm(**film) for film in FILMS],
    "tuples": lambda: [tuple(film.values()) for film in FILMS],
    "set": lambda: {tuple(film.values()) for film in FILMS},
    "lists": lambda: [list(film.values()) for film in FILMS],
    "frame": frame,
    "records of a frame": lambda: frame().to_dict("records"),
    "arrow": lambda: pa.Table.from_pylist(FILMS),
    "batches": lambda: pa.Table.from_pylist(FILMS).to_batches(max_chunksize=2),
    "reader": lambda: pa.Table.from_pylist(FILMS).to_reader(max_chunksize=1),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_rows(films: TargetConfig, form: str) -> None:
    assert_rows(films, AssertedFilm, FORMS[form]())
    insert(films, AssertedFilm, [{"film_id": 4, "title": "FOURTH"}])
    assert "1 unexpected" in failure(films, AssertedFilm, FORMS[form]())


def test_files(films: TargetConfig, tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    frame().astype({"rate": str}).to_json(tmp_path / "a.json", orient="records")
    frame().astype({"rate": float}).to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    pq.write_table(pa.Table.from_pylist(FILMS), tmp_path / "a.parquet")
    for path in sorted(tmp_path.iterdir()):
        assert_rows(films, AssertedFilm, path)
    insert(films, AssertedFilm, [{"film_id": 4, "title": "FOURTH"}])
    for path in sorted(tmp_path.iterdir()):
        assert "1 unexpected" in failure(films, AssertedFilm, path)


def test_the_empty_text_of_a_csv_is_no_null(target: TargetConfig, tmp_path: Path) -> None:
    insert(target, keyless, [{"name": None, "number": 1}, {"name": "", "number": 2}])
    (tmp_path / "k.csv").write_text('name,number\n,1\n"",2\n')
    assert_rows(target, keyless, tmp_path / "k.csv")
    (tmp_path / "k.csv").write_text('name,number\n"",1\n"",2\n')
    assert "'' -> None" in failure(target, keyless, tmp_path / "k.csv")


def test_values_of_files(target: TargetConfig, tmp_path: Path) -> None:
    row = {
        "id": 1,
        "value": 1.5,
        "at": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "day": date(2024, 5, 1),
        "key": UUID(int=7),
        "rating": Rating.adult,
        "raw": b"\x00\xff",
        "flag": True,
        "document": {"a": [1, 2.5, None]},
    }
    insert(target, AssertedReading, [row])
    (tmp_path / "r.json").write_text(
        '[{"id": 1, "value": 1.5, "at": "2024-05-01T14:00:00+02:00", "day": "2024-05-01", "flag": true,'
        ' "key": "00000000-0000-0000-0000-000000000007", "rating": "adult", "raw": "AP8=",'
        ' "document": {"a": [1, 2.5, null]}}]'
    )
    (tmp_path / "r.csv").write_text(
        "id,value,at,day,flag,key,rating,raw,document\n"
        '1,1.5,2024-05-01T12:00:00Z,2024-05-01,true,00000000000000000000000000000007,adult,AP8=,"{""a"": [1, 2.5, null]}"\n'
    )
    for path in tmp_path.iterdir():
        assert_rows(target, AssertedReading, path)
    assert_rows(target, AssertedReading, pd.DataFrame([row | {"key": str(row["key"]), "rating": "adult"}]))


# which rows are the same


def test_missing_columns_are_not_compared(films: TargetConfig) -> None:
    assert_rows(films, AssertedFilm, [{"length": length} for length in (48, None, 86)])
    assert_rows(films, AssertedFilm, FILMS, ignore=("film_id", "film_title"))
    assert_rows(films, AssertedFilm, [tuple(film.values())[1:] for film in FILMS], ignore="film_id")


def test_what_an_instance_was_not_given_counts_only_where_it_has_a_plain_default(
    target: TargetConfig,
) -> None:
    insert(target, AssertedFilm, [{"title": "A"}])
    assert_rows(target, AssertedFilm, [AssertedFilm(title="A")])
    text = failure(target, AssertedFilm, [AssertedFilm(title="A", rate=Decimal(1))])
    assert "1 -> 0.99" in text
    assert "not compared, in no expected row: film_id" in text
    with Session(create_engine_for_target(target)) as session:
        read = session.exec(select(AssertedFilm)).all()
        assert_rows(session, AssertedFilm, read)
        assert_rows(
            session, AssertedFilm, session.execute(sa.select(sa.inspect(AssertedFilm).local_table)).all()
        )


def test_metadata_of_an_instance_is_left_out(target: TargetConfig) -> None:
    metadata = {
        f"bronze_{name}": "x"
        for name in ("source_system", "source_table", "source_host", "extraction_method")
    }
    insert(target, AssertedLanding, [{"id": 1, "name": "A", **metadata}])
    assert_rows(target, AssertedLanding, [AssertedLanding(id=1, name="A")])
    text = failure(target, AssertedLanding, [AssertedLanding(id=1, name="A", bronze_source_system="y")])
    assert "'y' -> 'x'" in text


def test_duplicates_count(target: TargetConfig) -> None:
    insert(target, keyless, [{"name": "a", "number": 1}, {"name": "a", "number": 1}])
    assert_rows(target, keyless, [Keyless("a", 1), Keyless("a", 1)])
    assert "1 unexpected" in failure(target, keyless, [Keyless("a", 1)])
    assert "1 missing" in failure(target, keyless, [("a", 1)] * 3)


@pytest.mark.parametrize(
    ("column", "stored", "same", "other"),
    [
        ("value", 0.5, [0.5, Decimal("0.5"), np.float64(0.5)], [0.25, "0.5", None, math.nan]),
        ("value", math.inf, [math.inf], [-math.inf, 1e308]),
        (
            "at",
            datetime(2024, 5, 1, 12, tzinfo=UTC),
            [
                datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))),
                pd.Timestamp("2024-05-01T12:00Z"),
            ],
            [datetime(2024, 5, 1, 12, 0, 0, 1, tzinfo=UTC), date(2024, 5, 1)],
        ),
        ("day", date(2024, 5, 1), [date(2024, 5, 1)], [MIDNIGHT, "2024-05-01"]),
        ("key", UUID(int=7), [UUID(int=7), str(UUID(int=7)), f"{7:032x}"], [UUID(int=8), "seven", 7]),
        ("rating", Rating.adult, [Rating.adult, "adult", "R"], [Rating.general, "G", "nobody", None]),
        ("raw", b"\0a", [b"\0a", bytearray(b"\0a"), memoryview(b"\0a")], [b"a", "a"]),
        ("flag", True, [True, np.bool_(True)], [False, None, "true"]),
        (
            "document",
            {"a": [1, True, None], "b": {}},
            [{"b": {}, "a": [1.0, True, None]}, {"b": {}, "a": (1, True, None)}],
            [{"a": [1, 1, None], "b": {}}, {"a": [True, 1, None], "b": {}}, {"a": []}, "{}", []],
        ),
        ("document", [1, 2], [[1, 2]], [[2, 1], [1], {"0": 1}]),
        ("document", True, [True], [1, "true"]),
        ("value", None, [None, pd.NA, pd.NaT], [0.0, math.nan]),
        ("day", None, [None, math.nan, pd.NaT], [date(1, 1, 1)]),
    ],
)
def test_values_are_compared_by_the_type_of_the_column(
    target: TargetConfig, column: str, stored: Any, same: list[Any], other: list[Any]
) -> None:
    insert(target, AssertedReading, [{"id": 1, column: stored}])
    for value in same:
        assert_rows(target, AssertedReading, [{"id": 1, column: value}])
    for value in other:
        assert "1 changed" in failure(target, AssertedReading, [{"id": 1, column: value}])


def test_decimals_are_equal_by_number(films: TargetConfig) -> None:
    assert_rows(
        films,
        AssertedFilm,
        [{"film_id": 1, "rate": "ignored"}, *({"film_id": n, "rate": 0} for n in (2, 3))],
        ignore="rate",
    )
    rates: list[list[Any]] = [[Decimal("0.990"), Decimal("4.99"), Decimal("2.9900")], [0.99, 4.99, 2.99]]
    for given in rates:
        assert_rows(films, AssertedFilm, [{"rate": rate} for rate in given])
    assert "'0.99' -> 0.99" in failure(
        films, AssertedFilm, [{"film_id": n, "rate": r} for n, r in ((1, "0.99"), (2, 4.99), (3, 2.99))]
    )


def test_values_that_say_what_they_equal(films: TargetConfig) -> None:
    numbers = [{"title": ANY, "length": length} for length in (86, 48, None)]
    assert_rows(films, AssertedFilm, numbers)
    assert_rows(
        films,
        AssertedFilm,
        [{"film_id": n, "rate": pytest.approx(Decimal(r))} for n, r in ((1, 0.99), (2, 4.99), (3, 2.99))],
    )
    assert_rows(films, AssertedFilm, [{"length": ANY}, {"length": pytest.approx(86)}, {"length": ANY}])
    assert "pytest" not in failure(films, AssertedFilm, [{"film_id": 1, "length": ANY}] * 3)
    text = failure(films, AssertedFilm, [*numbers[:-1], {"title": ANY, "length": 7}])
    assert text.splitlines()[0] == "table assertedfilm on sqlite_memory: 1 missing, 1 unexpected"


def test_approximate_floats(target: TargetConfig) -> None:
    insert(target, AssertedReading, [{"id": n, "value": n / 3} for n in range(1, 300)])
    near = [{"id": n, "value": n / 3 * (1 + 1e-9)} for n in range(1, 300)]
    assert "299 changed" in failure(target, AssertedReading, near)
    assert_rows(target, AssertedReading, near, approx=True)
    assert_rows(target, AssertedReading, near, approx=1e-6, ignore="id")
    assert_rows(target, AssertedReading, near, approx=(0, 1e-4))
    assert "changed" in failure(target, AssertedReading, near, approx=1e-12)
    far = [*near[:-1], {"id": 299, "value": 299.0}]
    assert "1 changed" in failure(target, AssertedReading, far, approx=True)
    assert "1 missing, 1 unexpected" in failure(target, AssertedReading, far, approx=True, ignore="id")
    assert "not" not in failure(target, AssertedReading, near[1:], approx=True).splitlines()[0]


@pytest.mark.parametrize("approx", ["1e-6", -1, (1, 2, 3), (1, None)])
def test_what_is_no_tolerance(films: TargetConfig, approx: Any) -> None:
    assert refusal(films, AssertedFilm, FILMS, approx=approx).startswith("approx is no tolerance; seen: ")


# order


def test_order_by_columns_that_need_not_be_expected(films: TargetConfig) -> None:
    titles = [{"title": film["title"]} for film in FILMS]
    assert_rows(films, AssertedFilm, titles, order="film_id")
    assert_rows(films, AssertedFilm, titles[::-1], order="-film_id")
    assert_rows(films, AssertedFilm, [titles[2], titles[1], titles[0]], order=("length",))
    assert failure(films, AssertedFilm, [titles[0], titles[2], titles[1]], order="film_id") == (
        "table assertedfilm on sqlite_memory: another sequence from row 2 of 3 on\n"
        "expected:\n"
        "  film_title\n"
        "  'ADAPTATION HOLES'\n"
        "  'ACE GOLDFINGER'\n"
        "found:\n"
        "  film_title\n"
        "  'ACE GOLDFINGER'\n"
        "  'ADAPTATION HOLES'"
    )


def test_rows_that_are_equal_in_the_order_may_stand_in_any(target: TargetConfig) -> None:
    insert(target, keyless, [{"name": name, "number": n} for n, name in ((1, "a"), (2, "b"), (1, "c"))])
    for names in ("acb", "cab"):
        assert_rows(target, keyless, [{"name": name} for name in names], order="number")
    for names in ("abc", "bac"):
        assert "another sequence" in failure(
            target, keyless, [{"name": name} for name in names], order="number"
        )
    assert_rows(target, keyless, [{"name": name} for name in "bca"], order=["-number", "-name"])


def test_the_order_of_a_select(films: TargetConfig) -> None:
    query = select(AssertedFilm.title, AssertedFilm.length).order_by(sa.desc("film_id"))
    rows = [(film["title"], film["length"]) for film in FILMS]
    assert_rows(films, query, rows)
    assert_rows(films, query, rows[::-1], order="as given")
    assert "another sequence from row 1 of 3" in failure(films, query, rows, order="as given")
    assert refusal(films, AssertedFilm, FILMS, order="as given") == (
        "a table has no order of its own (table assertedfilm); seen: order='as given'; expected: names of columns;"
        ' next: name the columns, or pass a SELECT with .order_by(...) and order="as given"'
    )


# what is compared


def test_selects(films: TargetConfig) -> None:
    assert_rows(films, select(AssertedFilm), FILMS_BY_COLUMN)
    assert_rows(
        films,
        select(sa.func.count().label("n"), sa.func.max(AssertedFilm.rate).label("most")),
        [(3, Decimal("4.99"))],
    )
    text = failure(
        films, select(AssertedFilm).where(AssertedFilm.film_id == 1), [FILMS_BY_COLUMN[0] | {"length": 1}]
    )
    assert text.startswith("the SELECT on sqlite_memory: 1 changed\n")
    assert "  1        length  1 -> 86" in text
    title: Any = AssertedFilm.title
    twice = select(title, sa.literal(1).label("film_title"))
    assert "need names of their own" in refusal(films, twice, [])


FILMS_BY_COLUMN = [{("film_title" if k == "title" else k): v for k, v in film.items()} for film in FILMS]


def test_places(films: TargetConfig) -> None:
    engine = create_engine_for_target(films)
    assert_rows(engine, AssertedFilm, FILMS)
    assert_rows(SimpleNamespace(engine=engine), AssertedFilm, FILMS)
    with engine.connect() as connection:
        connection.execute(sa.delete(AssertedFilm))
        assert_rows(connection, AssertedFilm, [])
        connection.rollback()
        assert_rows(connection, AssertedFilm, FILMS)
        assert not connection.in_transaction()
    scoped = scoped_session(sessionmaker(engine))
    assert_rows(scoped, AssertedFilm, FILMS)
    scoped.remove()
    with Session(binds={AssertedFilm: engine}) as session:
        assert_rows(session, AssertedFilm, FILMS)
    with Session(engine) as session:
        session.add(AssertedFilm(film_id=9, title="UNFLUSHED"))
        more = [*FILMS, {"film_id": 9, "title": "UNFLUSHED", "rate": Decimal("0.99"), "length": None}]
        assert_rows(session, AssertedFilm, more)
        assert_rows(SimpleNamespace(session=session, engine=engine), AssertedFilm, more)
        session.rollback()
    assert_rows(engine, AssertedFilm, FILMS)


def test_no_place(films: TargetConfig) -> None:
    assert refusal(AssertedFilm, films, []) == (
        "something that is no table class was given; seen: TargetConfig; expected: classes declared with table=True"
    )
    assert refusal("sqlite://", AssertedFilm, []) == (
        "no database to read from was given; seen: str; expected: an Engine, a Connection, a Session, a TargetConfig, or"
        " something with an engine or a session; next: pass the database first, then the table class"
    )
    sleeping = create_async_engine("sqlite+aiosqlite://")
    assert "compared without asyncio; seen: AsyncEngine" in refusal(sleeping, AssertedFilm, [])


def test_a_database_file_that_is_not_there(tmp_path: Path) -> None:
    with create_custom_target("sqlite", str(tmp_path / "no.db")) as absent, pytest.raises(ConfigurationError):
        assert_rows(absent, AssertedFilm, [])
    assert list(tmp_path.iterdir()) == []


def test_no_table(films: TargetConfig) -> None:
    class OfAnotherKit(SQLModel, table=True):
        id: int = Field(primary_key=True)

    assert refusal(films, OfAnotherKit, []) == (
        "the table is not there (table ofanotherkit, sqlite_memory); seen: asserted_keyless, assertedfilm,"
        " assertedlanding, assertedreading; next: deploy its class first"
    )
    near = sa.Table("assertedfilms", sa.MetaData(), sa.Column("id", sa.Integer))
    assert "did you mean the class of assertedfilm?" in refusal(films, near, [])
    other = sa.Table("assertedfilm", sa.MetaData(), sa.Column("id", sa.Integer))
    with pytest.raises(DeploymentError, match=r"no such column: assertedfilm\.id"):
        assert_rows(films, other, [])
    for nothing in (SQLModel, int, "film", None):
        assert "no table class was given" in refusal(films, nothing, [])


def test_a_value_that_cannot_be_read(target: TargetConfig) -> None:
    with create_engine_for_target(target).begin() as connection:
        connection.exec_driver_sql("INSERT INTO assertedreading (id, rating) VALUES (1, 'nobody')")
    with pytest.raises(DeploymentError) as caught:
        assert_rows(target, AssertedReading, [])
    assert str(caught.value) == (
        "a value cannot be read as the type of its column (table assertedreading, sqlite_memory, column rating);"
        " seen: LookupError; next: look at it with SQL, or validate the deployment"
    )


# bad input


@pytest.mark.parametrize(
    ("expected", "seen", "next_step"),
    [
        ("films.csv", "str", "; next: pass pathlib.Path(...) where it names a file"),
        (FILMS[0], "dict", "; next: pass a list of rows, also for one"),
        (AssertedFilm(title="A"), "AssertedFilm", "; next: pass a list of rows, also for one"),
        (AssertedFilm, "SQLModelMetaclass", ""),
        (None, "NoneType", ""),
        (3, "int", ""),
        (b"x", "bytes", ""),
    ],
)
def test_what_are_no_rows(films: TargetConfig, expected: Any, seen: str, next_step: str) -> None:
    assert refusal(films, AssertedFilm, expected) == (
        f"the expected rows are no rows (table assertedfilm); seen: {seen}; expected: an iterable of dicts, model instances"
        f" or tuples, a DataFrame, an Arrow table or batches, or the Path of a file{next_step}"
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"titel": "A"}],
            (
                "an expected row names a column that is not there (table assertedfilm); seen: titel; expected: one of film_id,"
                " film_title, rate, length; next: did you mean title?"
            ),
        ),
        (
            [{"title": "A"}, {"title": "A", "length": 1}],
            (
                "the expected rows do not name the same columns (table assertedfilm, expected row 2); seen: also length;"
                " expected: the columns of row 1: title; next: name the same columns in every row, with None where there is"
                " no value"
            ),
        ),
        (
            [(1, "A")],
            (
                "an expected row cannot be compared (table assertedfilm, expected row 1); seen: 2 values; expected: 4: film_id,"
                " film_title, rate, length"
            ),
        ),
        (
            [{"title": "A"}, 3],
            (
                "an expected row cannot be compared (table assertedfilm, expected row 2); seen: a int; expected: a dict, a"
                " model instance or a tuple"
            ),
        ),
        (
            [AssertedLanding(id=1, name="A")],
            (
                "an expected row cannot be compared (table assertedfilm, expected row 1); seen: an instance of AssertedLanding;"
                " expected: one of table assertedfilm"
            ),
        ),
        (
            pd.DataFrame({"length": [1.5]}),
            (
                "expected values do not fit the column without a change (table assertedfilm, column length); seen: double;"
                " expected: integer; next: correct the values, or give them the column's type"
            ),
        ),
    ],
)
def test_rows_that_cannot_be_compared(films: TargetConfig, rows: Any, message: str) -> None:
    assert refusal(films, AssertedFilm, rows) == message


@pytest.mark.parametrize(
    "nothing", [[], (), pd.DataFrame(), pa.table({"length": pa.array([], pa.int32())}), iter(())]
)
def test_nothing_expected_has_all_columns(films: TargetConfig, nothing: Any) -> None:
    assert "film_id  film_title" in failure(films, AssertedFilm, nothing)
    assert_rows(films, AssertedReading, pd.DataFrame())


def test_no_column_is_left(films: TargetConfig) -> None:
    columns = ["film_id", "title", "rate", "length"]
    for rows, ignore in (([{}], ()), (FILMS, columns), ([{"length": 1}], "length")):
        assert refusal(films, AssertedFilm, rows, ignore=ignore) == (
            "no column is left to compare (table assertedfilm); expected: some of film_id, film_title, rate, length;"
            " next: name columns in the expected rows, and ignore fewer"
        )


def test_both_names_of_a_column_are_one_too_many(films: TargetConfig) -> None:
    assert "name a column twice" in refusal(films, AssertedFilm, [{"title": "A", "film_title": "A"}])


def test_an_expected_time_needs_a_zone_where_the_column_has_one(target: TargetConfig) -> None:
    assert refusal(target, AssertedReading, [{"at": MIDNIGHT}]) == (
        "an expected time has no time zone (table assertedreading, expected row 1, column at); seen: a naive datetime;"
        " expected: an aware one; next: write datetime(..., tzinfo=UTC)"
    )


def test_unknown_columns_of_options(films: TargetConfig) -> None:
    for option in ("ignore", "order"):
        assert f"{option} names a column that is not there" in refusal(
            films, AssertedFilm, FILMS, **{option: "lenght"}
        )


def test_a_generator_that_fails_fails_as_it_does(films: TargetConfig) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield FILMS[0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        assert_rows(films, AssertedFilm, rows())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "a file of expected rows has an unknown form (table assertedfilm); seen: a.txt"),
        ("a.json", "{", "no JSON at line 1"),
        ("a.json", '{"film_id": 1}', "no rows: an array of objects is needed"),
        ("a.json", '[{"length": 1.5}]', "(table assertedfilm, a.json, row 1, column length); seen: Decimal"),
        ("a.json", '[{"lenght": 1}]', "did you mean length?"),
        ("a.csv", "", "no CSV with a header"),
        ("a.csv", "film_id,length\n1\n", "no CSV with a header"),
        (
            "a.csv",
            "film_id,length\n1,2\n2,long\n",
            "(table assertedfilm, a.csv, row 2, column length); seen: str",
        ),
        ("a.csv", "film_id,lenght\n1,2\n", "did you mean length?"),
        ("a.parquet", "PAR", "no Parquet"),
    ],
)
def test_files_that_are_no_rows(
    films: TargetConfig, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    assert message in refusal(films, AssertedFilm, tmp_path / name)


def test_a_file_that_is_not_there(films: TargetConfig, tmp_path: Path) -> None:
    assert "seen: No such file or directory" in refusal(films, AssertedFilm, tmp_path / "a.csv")


# the text


def test_the_whole_text(films: TargetConfig) -> None:
    expected = [
        {"film_id": 1, "title": "ACADEMY DINOSAUR", "rate": Decimal("1.99"), "length": None},
        {"film_id": 2, "title": "ACE GOLDFINGER", "rate": Decimal("4.99"), "length": 48},
        {"film_id": 7, "title": "AIRPLANE SIERRA", "rate": Decimal("4.99"), "length": 62},
    ]
    assert failure(films, AssertedFilm, expected) == (
        "table assertedfilm on sqlite_memory: 1 missing, 1 unexpected, 1 changed\n"
        "3 rows expected, 3 found\n"
        "missing:\n"
        "  film_id  film_title         rate  length\n"
        "  7        'AIRPLANE SIERRA'  4.99  62\n"
        "unexpected:\n"
        "  film_id  film_title          rate  length\n"
        "  3        'ADAPTATION HOLES'  2.99  None\n"
        "changed:\n"
        "  film_id  column  expected -> found\n"
        "  1        rate    1.99 -> 0.99\n"
        "           length  None -> 86"
    )


def test_no_row_expected_shows_what_is_there(films: TargetConfig) -> None:
    assert failure(films, AssertedFilm, []) == (
        "table assertedfilm on sqlite_memory: no row expected, 3 found\n"
        "  film_id  film_title          rate  length\n"
        "  1        'ACADEMY DINOSAUR'  0.99  86\n"
        "  2        'ACE GOLDFINGER'    4.99  48\n"
        "  3        'ADAPTATION HOLES'  2.99  None"
    )
    assert_rows(films, AssertedReading, [])


def test_long_and_wide_differences_fit_into_a_terminal(target: TargetConfig) -> None:
    title = "größe 商品 \x1b[31m" + "x" * 300
    insert(target, AssertedFilm, [{"film_id": n, "title": title + "END", "length": n} for n in range(1, 60)])
    text = failure(target, AssertedFilm, [{"film_id": n, "title": title + "end"} for n in range(1, 50)])
    assert max(map(len, text.splitlines())) <= 74
    assert "1 missing" not in text
    assert "10 unexpected, 49 changed" in text
    assert "end' -> …" in text
    assert "  and 39 more" in text
    assert "\x1b" not in failure(target, AssertedFilm, [])
    metadata = {
        f"bronze_{name}": "x" * 30
        for name in ("source_system", "source_table", "source_host", "extraction_method")
    }
    insert(target, AssertedLanding, [{"id": 1, "name": "A", **metadata}])
    assert "not shown: bronze_source_host, bronze_extraction_method" in failure(target, AssertedLanding, [])


def test_rows_with_one_key_are_matched_by_what_they_have_in_common(target: TargetConfig) -> None:
    insert(target, AssertedFilm, [{"film_id": 1, "title": "A"}, {"film_id": 2, "title": "B"}])
    expected = [
        {"film_id": 1, "title": "A", "length": 5},
        {"film_id": 2, "title": "B", "length": 5},
        {"film_id": 2, "title": "X", "length": 6},
    ]
    assert failure(target, AssertedFilm, expected) == (
        "table assertedfilm on sqlite_memory: 1 missing, 2 changed\n"
        "3 rows expected, 2 found\n"
        "missing:\n"
        "  film_id  film_title  length\n"
        "  2        'X'         6\n"
        "changed:\n"
        "  row                        column  expected -> found\n"
        "  film_id 1                  length  5 -> None\n"
        "  film_id 2, film_title 'B'  length  5 -> None\n"
        "not compared, in no expected row: rate"
    )


def test_values_that_look_alike_are_told_apart(target: TargetConfig) -> None:
    insert(target, AssertedReading, [{"id": 1, "document": {"a": 1}}])
    assert "{'a': True} -> {'a': 1}" in failure(target, AssertedReading, [{"id": 1, "document": {"a": True}}])
    insert(target, keyless, [{"name": "o\u0308", "number": 1}])
    assert "'\\xf6' -> 'o\\u0308'" in failure(target, keyless, [("\u00f6", 1)])
    assert shown_pair(Decimal(1), 1, 30) == ("1 (Decimal)", "1 (int)")
    assert shown_pair("a" * 100 + "b" * 100, "a" * 100 + "c" * 100, 20) == (
        "…aaaaabbbbbb…bbbbbb'",
        "…aaaaacccccc…cccccc'",
    )


def test_the_caller_is_where_pytest_points(tmp_path: Path) -> None:
    source = """
        import sqlalchemy as sa
        from sqlmodel_framework import assert_rows

        def test_it():
            engine = sa.create_engine("sqlite://")
            table = sa.Table("film", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
            table.create(engine)
            assert_rows(engine, table, [(1,)])
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(source))
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", str(tmp_path)]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert ">       assert_rows(engine, table, [(1,)])" in shown
    assert "E       AssertionError: table film on sqlite: 1 missing" in shown
    assert "assertions.py" not in shown


def test_comparing_dicts_needs_no_pandas_and_no_arrow() -> None:
    code = """
        import sys, sqlalchemy as sa
        from sqlmodel_framework import assert_rows, snapshot
        engine = sa.create_engine("sqlite://")
        table = sa.Table("film", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
        table.create(engine)
        assert_rows(engine, table, [])
        snapshot(engine, table)
        print([m for m in ("pandas", "pyarrow", "pytest", "psycopg2", "sqlalchemy.ext.asyncio") if m in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


class WithUnittest(unittest.TestCase):
    def runTest(self) -> None:
        with get_target_config("sqlite_memory") as made:
            deploy_data_objects([AssertedFilm], made)
            with self.assertRaisesRegex(self.failureException, "1 missing"):  # noqa: PT027 - that is the point
                assert_rows(made, AssertedFilm, FILMS[:1])
