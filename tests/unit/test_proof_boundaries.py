"""The edges of columns, and what is a loss, without a database."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BINARY,
    CHAR,
    JSON,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    Uuid,
)
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import UTCDateTime
from sqlmodel_framework.base.models.contract import ColumnContract, contract_of
from sqlmodel_framework.utils.proof.boundaries import LONGEST_TEXT, boundary_values, fits
from sqlmodel_framework.utils.proof.comparing import Unreadable, loss_of, shown, shown_pair
from sqlmodel_framework.utils.proof.plain import plain_values
from sqlmodel_framework.utils.proof.rows import loosely
from sqlmodel_framework.utils.tables import TableScope


class Size(enum.Enum):
    small = "S"
    large = "L"


def column(sql_type: Any) -> ColumnContract:
    return contract_of(Table("t", MetaData(), Column("c", sql_type))).columns["c"]


def field(annotation: Any, **options: Any) -> ColumnContract:
    """The column of a class with one field."""
    with TableScope.new().entered():
        made = type(
            "Made",
            (SQLModel,),
            {
                "__annotations__": {"id": int, "c": annotation},
                "id": Field(primary_key=True),
                "c": Field(**options),
                "__module__": __name__,
            },
            table=True,
        )
    return contract_of(made).columns["c"]


EVERY_TYPE = [
    String(1),
    String(20),
    String(),
    Text(),
    CHAR(3),
    LargeBinary(),
    BINARY(5),
    Integer(),
    SmallInteger(),
    BigInteger(),
    Numeric(10, 2),
    Numeric(4, 4),
    Numeric(),
    Numeric(8, 2, asdecimal=False),
    Double(),
    REAL(),
    Boolean(),
    Date(),
    Time(),
    Time(timezone=True),
    DateTime(),
    DateTime(timezone=True),
    UTCDateTime(),
    Interval(),
    Uuid(),
    Uuid(as_uuid=False),
    JSON(),
    Enum(Size),
    Enum("x", "y"),
]


@pytest.mark.parametrize("sql_type", EVERY_TYPE, ids=repr)
def test_edges_and_plain_values_fit_and_come_back(sql_type: Any) -> None:
    one = column(sql_type)
    edges = boundary_values(one)
    assert edges
    assert all(fits(one, edge) for edge in edges if one.choices is None)
    assert all(loss_of(one, edge, edge) is None for edge in edges)
    plain = plain_values(one, Random(1))  # noqa: S311 - no secrets
    values = [next(plain) for _ in range(50)]
    assert all(fits(one, value) for value in values if one.choices is None)
    assert all(loss_of(one, value, value) is None for value in values)


def test_texts_are_as_long_as_they_may_be() -> None:
    assert max(map(len, boundary_values(column(String(20))))) == 20
    assert max(map(len, boundary_values(column(String())))) == LONGEST_TEXT
    assert max(len(text.encode()) for text in boundary_values(column(Text()))) == 65_535
    assert max(map(len, boundary_values(column(String()), indexed=True))) == 600
    edges = boundary_values(column(String(20)))
    assert "" in edges
    assert any(text.endswith(" ") for text in edges)
    assert any(text.startswith(" ") for text in edges)
    assert any(ord(character) > 0xFFFF for text in edges for character in text)
    assert not any("\0" in text for text in edges)


def test_numbers_stand_at_the_ends_of_their_range() -> None:
    assert {2**15 - 1, -(2**15), 0, -1} <= set(boundary_values(column(SmallInteger())))
    assert {2**63 - 1, -(2**63)} <= set(boundary_values(column(BigInteger())))
    assert {Decimal("99999999.99"), Decimal("-99999999.99"), Decimal("0.01")} <= set(
        boundary_values(column(Numeric(10, 2)))
    )
    assert Decimal("12.75") in boundary_values(column(Numeric()))


def test_times_have_microseconds_zones_and_ends() -> None:
    naive = boundary_values(column(DateTime()))
    assert {datetime.max, datetime.min} <= set(naive)  # noqa: DTZ901 - the column is naive
    aware = boundary_values(column(UTCDateTime()))
    assert all(moment.tzinfo for moment in aware)
    assert any(moment.utcoffset() for moment in aware)
    assert {date.max, date.min} <= set(boundary_values(column(Date())))
    assert time(23, 59, 59, 999999) in boundary_values(column(Time()))
    assert any(span < timedelta(0) for span in boundary_values(column(Interval())))


@pytest.mark.parametrize(
    ("annotation", "options", "expected"),
    [
        (int, {"ge": 5, "le": 9}, {5, 9}),
        (int, {"gt": 5, "lt": 7}, {6}),
        (int, {"multiple_of": 5, "ge": 0, "le": 12}, {0, 5, 10}),
        (float, {"ge": 0.5, "le": 2.5}, {0.5, 2.5, 1.0, 0.1 + 0.2}),
    ],
)
def test_limits_of_fields_are_kept(annotation: Any, options: dict[str, Any], expected: set[Any]) -> None:
    found = set(boundary_values(field(annotation, **options)))
    assert found <= expected | {1 / 3, 1.5}
    assert found & expected


def test_lengths_of_fields_are_kept() -> None:
    texts = boundary_values(field(str, min_length=3, max_length=5))
    assert {len(text) for text in texts} <= {3, 4, 5}


def test_members_are_those_of_the_class() -> None:
    assert boundary_values(column(Enum(Size))) == [Size.small, Size.large]
    assert boundary_values(column(Enum("x", "y"))) == ["x", "y"]


NOON = datetime(2024, 2, 29, 12, 0, 0, 123456, UTC)


@pytest.mark.parametrize(
    ("sql_type", "sent", "read", "cause"),
    [
        (String(9), "abc", "ab", "the column keeps 2 characters"),
        (String(9), "ab  ", "ab", "the column drops trailing blanks"),
        (CHAR(4), "ab", "ab  ", "the column pads with blanks"),
        (String(9), "aB", "ab", "the case was changed"),
        (String(9), "e\u0301", "é", "the Unicode form was changed"),
        (String(9), "😀", "?", "the character set of the column lacks these characters"),
        (String(9), "a", "b", "the text was changed"),
        (String(9), "1", 1, "a int came back"),
        (String(9), "1", None, "the value became null"),
        (String(9), None, "", "null became a value"),
        (LargeBinary(), b"ab\0", b"ab", "the column pads or drops zero bytes"),
        (LargeBinary(), b"abc", b"a", "the column keeps 1 bytes"),
        (Numeric(9, 4), Decimal("1.2345"), Decimal("1.23"), "the column keeps 2 digits behind the point"),
        (
            Numeric(),
            Decimal("0.10000000000000000001"),
            Decimal("0.1"),
            "the column is a float, or is read as one",
        ),
        (Numeric(), Decimal("12.75"), Decimal(13), "the column keeps 0 digits behind the point"),
        (Double(), 0.1 + 0.2, 0.3, "the column keeps single precision"),
        (Double(), 1e300, 1.0000001e300, "the column keeps fewer digits"),
        (Integer(), 5, 4, "the number was changed"),
        (Boolean(), True, 1, "a int came back"),
        (UTCDateTime(), NOON, NOON.replace(microsecond=0), "the column keeps nothing of a second's fraction"),
        (
            UTCDateTime(),
            NOON,
            NOON.replace(microsecond=123000),
            "the column keeps 3 digits of a second's fraction",
        ),
        (UTCDateTime(), NOON, NOON.replace(tzinfo=None), "the time zone was lost"),
        (DateTime(), NOON.replace(tzinfo=None), NOON, "a time zone was added"),
        (
            UTCDateTime(),
            NOON,
            NOON + timedelta(hours=5),
            "the session or the column shifts times by its zone",
        ),
        (Time(), time(12, 0, 0, 5), time(12, 0), "the column keeps nothing of a second's fraction"),
        (
            Interval(),
            timedelta(microseconds=1),
            timedelta(0),
            "the column keeps nothing of a second's fraction",
        ),
        (Date(), date(1, 1, 1), date(2001, 1, 1), "the date was changed"),
        (Date(), date(2001, 1, 1), datetime(2001, 1, 1, tzinfo=UTC), "a datetime came back"),
        (Uuid(), UUID(int=1), UUID(int=2), "the value was changed"),
        (JSON(), {"a": [1]}, {"a": [True]}, "the structure or a value in it was changed"),
        (JSON(), {"a": [1]}, '{"a": [1]}', "a str came back"),
        (Enum(Size), Size.small, Size.large, "another member came back"),
        (Date(), date(1, 1, 1), Unreadable("0000-00-00", "ValueError"), "the value cannot be read"),
    ],
    ids=str,
)
def test_a_loss_is_named(sql_type: Any, sent: Any, read: Any, cause: str) -> None:
    assert str(loss_of(column(sql_type), sent, read)).startswith(cause)


def test_what_is_the_same_in_another_form_is_no_loss() -> None:
    shifted = NOON.astimezone(timezone(timedelta(hours=3)))
    assert loss_of(column(UTCDateTime()), NOON, shifted) is None
    assert loss_of(column(Numeric(9, 2)), Decimal("1.50"), Decimal("1.5")) is None
    assert loss_of(column(LargeBinary()), b"ab", memoryview(b"ab")) is None
    assert loss_of(column(REAL()), 0.30000001192092896, 0.3) is None
    assert loss_of(column(JSON()), {"a": 1.0, "b": None}, {"b": None, "a": 1}) is None


def test_long_values_are_shown_by_their_length_and_where_they_part() -> None:
    assert shown("short") == "'short'"
    assert shown("x" * 70_000) == "70000 characters 'xxxxxxxxxxxx'…"
    sent, read = shown_pair("a" * 70 + "b" * 30, "a" * 70)
    assert sent == "100 characters 'aaaaaaaaaaaa'…, at 70: 'bbbbbbbbbbbb'"
    assert read == "70 characters 'aaaaaaaaaaaa'…, at 70: ''"


@pytest.mark.parametrize(
    ("one", "other"), [("a", "A "), ("é", "e"), ("ß", "SS"), ("😀", "🚀"), ("e\u0301", "E")]
)
def test_keys_that_a_collation_takes_as_equal(one: str, other: str) -> None:
    assert loosely(one) == loosely(other)


def test_values_that_look_alike_are_shown_with_their_types() -> None:
    sent, read = shown_pair(Decimal("0.01"), 0.01)
    assert sent == "0.01 (Decimal)"
    assert read.startswith("0.01000000000000000020816681711721685")
    assert read.endswith("(float)")


def test_null_members_and_characters_are_shown_in_short() -> None:
    class Colour(enum.Enum):
        RED = "red"

    assert shown(None) == "NULL"
    assert shown(Colour.RED) == "Colour.RED"
    assert shown("😀" * 40) == f"40 characters {'😀' * 6!r}…"
