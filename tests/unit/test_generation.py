"""Generated rows obey the contract of their class, look like what they are, and are the same everywhere."""

from __future__ import annotations

import enum
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pyarrow as pa
import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel

from sqlmodel_framework import (
    BronzeMetadata,
    ConfigurationError,
    SilverMetadata,
    TransactionalTable,
    contract_of,
    create_custom_target,
    deploy_data_objects,
    generate_rows,
    load_datakit,
    load_rows,
)
from sqlmodel_framework.base.errors import DatakitError, RowsNotGeneratedError
from sqlmodel_framework.utils.tables import TableScope

KITS = ["bronze_flights", "bronze_pagila", "silver_flights", "silver_pagila"]


def limited(**options: Any) -> Any:
    """A field whose limits are no numbers: pydantic takes them, SQLModel's annotations do not."""
    return Field(**options)


class Mood(enum.Enum):
    """Stored by name."""

    sad = 1
    very_happy = 2


with TableScope.new().entered():

    class Everything(SQLModel, table=True):
        """A column of each kind."""

        id: int = Field(primary_key=True)
        small: int = Field(sa_type=SmallInteger)
        big: int | None = Field(default=None, sa_type=BigInteger)
        plain: int
        positive: int = Field(gt=0, lt=5)
        even: int = Field(multiple_of=7, ge=1, le=1_000)
        price: Decimal = Field(max_digits=6, decimal_places=2, gt=0)
        fine: Decimal = Field(sa_type=Numeric(20, 6))
        no_digits: Decimal
        quarter: Decimal = limited(max_digits=6, decimal_places=2, multiple_of=Decimal("0.25"))
        ratio: float = Field(gt=0, lt=1)
        latitude: float = Field(sa_type=Double)
        flag: bool
        mood: Mood
        level: Literal["low", "high"] = Field(sa_type=String(9))
        first_name: str = Field(max_length=30)
        email: str = Field(max_length=60)
        tiny: str = Field(max_length=1)
        long: str = Field(min_length=300, max_length=400)
        exact: str = Field(min_length=6, max_length=6)
        sku: str = Field(max_length=12, regex="^[A-Z]{2}-[0-9]{3,5}$")
        note: str | None = None
        raw: bytes = Field(sa_type=LargeBinary(10))
        born: date
        day: date = limited(ge=date(1999, 1, 1), lt=date(1999, 1, 8))
        opens: time
        naive: datetime = Field(sa_type=DateTime)
        late: datetime = limited(sa_type=DateTime, ge=datetime(2030, 1, 1))  # noqa: DTZ001
        aware: datetime = Field(sa_type=DateTime(timezone=True))
        lasts: timedelta
        token: UUID
        document: dict[str, Any] = Field(sa_type=JSON)
        tags: list[str] = Field(sa_type=JSON)
        numbers: list[int] = Field(sa_type=ARRAY(Integer))

    class Stamped(BronzeMetadata, SQLModel, table=True):
        """A Bronze table."""

        id: int = Field(primary_key=True)
        full: int = Field(sa_column=Column(Integer, Computed("id * 2")))

    class Bought(TransactionalTable, SilverMetadata, table=True):
        """A Silver table with times."""

        id: int = Field(primary_key=True)


def all_of(item: Any, n: int, seed: int = 7, **options: Any) -> pa.Table:
    """The rows of one table together."""
    return pa.Table.from_batches(generate_rows(item, n, seed, **options))


def values(rows: pa.Table, name: str) -> list[Any]:
    found: list[Any] = rows.column(name).to_pylist()
    return found


@pytest.fixture(scope="module")
def everything() -> pa.Table:
    return all_of(Everything, 2_000)


def test_batches_have_the_contracts_schema(everything: pa.Table) -> None:
    assert everything.schema == contract_of(Everything).schema
    assert everything.num_rows == 2_000
    assert everything.validate(full=True) is None
    stamped = all_of(Stamped, 10)
    assert "full" not in stamped.schema.names
    assert stamped.schema.names == [name for name in contract_of(Stamped).schema.names if name != "full"]


def test_nulls_stand_where_they_may_and_never_everywhere(everything: pa.Table) -> None:
    contract = contract_of(Everything)
    for name in everything.schema.names:
        nulls = everything.column(name).null_count
        if contract.columns[name].nullable:
            assert 100 < nulls < 300
        else:
            assert nulls == 0
    assert all_of(Everything, 1).column("note").null_count == 0


def within(found: Iterable[Any], least: Any, most: Any) -> bool:
    return all(least <= value <= most for value in found)


def test_numbers_keep_their_limits(everything: pa.Table) -> None:
    assert values(everything, "id") == list(range(1, 2_001))
    assert set(values(everything, "positive")) == {1, 2, 3, 4}
    assert all(value % 7 == 0 for value in values(everything, "even"))
    assert within(values(everything, "even"), 7, 994)
    assert within(values(everything, "price"), Decimal("0.01"), Decimal("9999.99"))
    assert all(value % Decimal("0.25") == 0 for value in values(everything, "quarter"))
    assert all(0 < value < 1 for value in values(everything, "ratio"))
    assert within(values(everything, "latitude"), -90, 90)
    assert all(Decimal(value) is not None for value in values(everything, "no_digits"))


def test_texts_keep_their_limits(everything: pa.Table) -> None:
    assert set(values(everything, "mood")) == {"sad", "very_happy"}
    assert set(values(everything, "level")) == {"low", "high"}
    for name, least, most in [
        ("tiny", 0, 1),
        ("long", 300, 400),
        ("exact", 6, 6),
        ("raw", 0, 10),
        ("email", 6, 60),
    ]:
        assert within(map(len, values(everything, name)), least, most), name
    assert all(re.search("^[A-Z]{2}-[0-9]{3,5}$", value) for value in values(everything, "sku"))
    assert all("@example." in value for value in values(everything, "email"))
    assert len({UUID(value) for value in values(everything, "token")}) == 2_000


def test_times_lie_in_the_era_or_within_their_limits(everything: pa.Table) -> None:
    assert within(values(everything, "born"), date(1940, 1, 1), date(2005, 12, 31))
    assert within(values(everything, "day"), date(1999, 1, 1), date(1999, 1, 7))
    assert within(values(everything, "naive"), datetime(2020, 1, 1), datetime(2024, 12, 31, 23, 59, 59))  # noqa: DTZ001
    assert within(values(everything, "late"), datetime(2030, 1, 1), datetime(2040, 1, 1))  # noqa: DTZ001
    assert within(
        values(everything, "aware"), datetime(2020, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    )
    assert within(values(everything, "lasts"), timedelta(0), timedelta(days=31))
    for name in ("naive", "late", "aware", "opens"):
        assert all(value.microsecond == 0 for value in values(everything, name))


def test_documents_are_what_the_field_says(everything: pa.Table) -> None:
    assert all(isinstance(json.loads(text), dict) for text in values(everything, "document"))
    assert all(isinstance(json.loads(text), list) for text in values(everything, "tags"))
    assert {type(item) for text in values(everything, "numbers") for item in json.loads(text)} == {int}


def test_rows_of_every_kind_can_be_loaded() -> None:
    with TableScope.new().entered():

        class Loaded(SQLModel, table=True):
            id: int = Field(primary_key=True)
            mood: Mood
            price: Decimal = Field(max_digits=6, decimal_places=2)
            token: UUID
            lasts: timedelta
            opens: time
            document: dict[str, Any] = Field(sa_type=JSON)
            aware: datetime = Field(sa_type=DateTime(timezone=True))

    with create_custom_target("sqlite") as target:
        deploy_data_objects([Loaded], target)
        assert load_rows(generate_rows(Loaded, 500), Loaded, target) == 500


def test_what_is_updated_was_created_before() -> None:
    rows = all_of(Bought, 1_000)
    assert all(
        created < updated
        for created, updated in zip(values(rows, "created_at"), values(rows, "updated_at"), strict=True)
    )


def test_names_say_what_texts_are() -> None:
    table = Table(
        "customer",
        MetaData(),
        Column("id", Integer, primary_key=True),
        *(
            Column(name, Text, nullable=False)
            for name in ("name", "country", "currency", "homepage", "phoneNumber", "zip")
        ),
        Column("country_code", String(2), nullable=False),
        Column("ip", String(15), nullable=False),
    )
    rows = all_of(table, 300)
    for name, pattern in {
        "name": r"^[\w'.-]+( [\w'.-]+)+$",
        "currency": "^[A-Z]{3}$",
        "homepage": "^https?://",
        "phoneNumber": r"^\(\d{3}\) 555-01\d\d$",
        "zip": r"^\d{5}$",
        "country_code": "^[A-Z]{2}$",
        "ip": r"^\d+\.\d+\.\d+\.\d+$",
    }.items():
        assert all(re.search(pattern, value) for value in values(rows, name)), name
        assert len(set(values(rows, name))) > 50


def test_bronze_metadata_makes_sense() -> None:
    row = all_of(Stamped, 1).to_pylist()[0]
    assert row["bronze_extraction_method"] in ("full_snapshot", "incremental", "query")
    assert re.search(r"^\w+\.\w+$", row["bronze_source_table"])


# the same everywhere

_PROGRAM = """
import hashlib
from sqlmodel_framework import generate_rows, load_datakit
digest = hashlib.sha256()
for table, batch in generate_rows(load_datakit("sqlmodel_framework.datakits.silver_pagila"), 200, seed=5):
    digest.update(repr(batch.to_pylist()).encode())
print(digest.hexdigest())
"""


def test_the_same_rows_in_every_process() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": number},
        ).stdout
        for number in ("1", "2")
    }
    assert len(runs) == 1


def test_the_same_rows_in_any_batches() -> None:
    whole = all_of(Everything, 1_000)
    assert all_of(Everything, 1_000, batch_size=7).equals(whole)
    sizes = [batch.num_rows for batch in generate_rows(Everything, 1_000, batch_size=300)]
    assert sizes == [300, 300, 300, 100]
    assert max(batch.num_rows for batch in generate_rows(Stamped, 70_000)) == 65_536


def test_another_seed_gives_other_rows(everything: pa.Table) -> None:
    other = all_of(Everything, 2_000, seed=8)
    for name in everything.schema.names:
        if name != "id":
            assert not everything.column(name).equals(other.column(name)), name


def test_the_same_rows_whether_alone_or_among_others() -> None:
    kit = load_datakit("sqlmodel_framework.datakits.silver_pagila")
    together = {table.__name__: batch for table, batch in generate_rows(kit, 300, seed=3)}  # type: ignore[union-attr]
    for table in kit.tables:
        (alone,) = generate_rows(table, 300, seed=3)
        assert alone.equals(together[table.__name__]), table  # type: ignore[union-attr]


# whole kits


@pytest.mark.parametrize("name", KITS)
def test_the_bundled_kits_get_all_their_rows(name: str) -> None:
    kit = load_datakit(f"sqlmodel_framework.datakits.{name}")
    counts = {table: batch.num_rows for table, batch in generate_rows(kit, 250)}
    assert set(counts) == set(kit.tables)
    assert set(counts.values()) == {250}


# what cannot be


def test_no_rows() -> None:
    assert list(generate_rows(Everything, 0)) == []
    assert list(generate_rows([Stamped], 0)) == []


@pytest.mark.parametrize(("n", "size"), [(-1, 1), (1.5, 1), ("7", 1), (True, 1), (1, 0)])
def test_numbers_of_rows_are_checked(n: Any, size: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no number of rows"):
        generate_rows(Everything, n, batch_size=size)


def test_something_that_is_no_table() -> None:
    with pytest.raises(ConfigurationError, match="table classes are needed"):
        generate_rows(5, 1)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="no table class was given"):
        next(iter(generate_rows([int], 1)))  # type: ignore[list-item]


class Odd(UserDefinedType[str]):
    """A type that nobody knows."""


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("v", Odd()), "a column type has no Arrow form"),
    ],
)
def test_a_column_that_has_no_values(column: Column[Any], message: str) -> None:
    with pytest.raises(RowsNotGeneratedError, match=message):
        generate_rows(Table("t", MetaData(), Column("id", Integer, primary_key=True), column), 5)


@pytest.mark.parametrize(
    "kind",
    [
        Annotated[int, Field(ge=5, le=4)],
        Annotated[int, Field(ge=1, le=6, multiple_of=7)],
        Annotated[str, Field(min_length=5, max_length=4)],
        Annotated[str, Field(max_length=2, regex="^abc$")],
        Annotated[float, Field(gt=1, lt=1)],
        Annotated[date, limited(ge=date(2020, 1, 2), le=date(2020, 1, 1))],
        Annotated[Decimal, Field(max_digits=3, decimal_places=1, ge=100)],
    ],
    ids=lambda kind: "-".join(str(mark) for mark in kind.__metadata__[0].metadata[:2]),
)
def test_limits_that_leave_no_value_name_table_and_column(kind: Any) -> None:
    default = kind.__metadata__[0]
    make: Any = type(SQLModel)
    made = make(
        f"Impossible{uuid4().hex}",
        (SQLModel,),
        {
            "__annotations__": {"id": int, "v": kind.__origin__},
            "__module__": __name__,
            "id": Field(primary_key=True),
            "v": default,
            "metadata": MetaData(),
        },
        table=True,
    )
    with pytest.raises(RowsNotGeneratedError, match=r"table impossible\w+, column v"):
        generate_rows(made, 5)


# a light import


def test_importing_needs_no_faker_and_no_arrow() -> None:
    code = (
        "import sys; from sqlmodel_framework import generate_rows;"
        "print([m for m in ('faker', 'rstr') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_named() -> None:
    code = """
import sys
sys.modules["faker"] = sys.modules["rstr"] = None
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlmodel_framework import generate_rows
numbers = Table("numbers", MetaData(), Column("id", Integer, primary_key=True))
print(next(generate_rows(numbers, 3)).num_rows)
texts = Table("texts", MetaData(), Column("id", Integer, primary_key=True), Column("city", Text))
try:
    generate_rows(texts, 3)
except Exception as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "3",
        (
            "generating rows with texts needs the extra 'testing', which is not installed;"
            ' next: pip install "data-platform-framework[testing]"'
        ),
    ]


def test_what_comes_later_does_so_across_dates_and_times() -> None:
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("create_date", Date, nullable=False),
        Column("last_update", DateTime, nullable=False),
        Column("ordered_at", DateTime, nullable=False),
        Column("shipped_on", Date, nullable=False),
        Column("paid_at", DateTime, nullable=False),
        Column("delivered_on", Date, nullable=False),
        Column("bronze_load_timestamp", DateTime, nullable=False),
        Column("silver_load_timestamp", DateTime, nullable=False),
        Column("systime", DateTime, nullable=False),
    )
    for row in all_of(table, 2_000).to_pylist():
        assert row["last_update"] > datetime.combine(row["create_date"], time())
        assert row["paid_at"] > row["ordered_at"]
        assert row["shipped_on"] > row["ordered_at"].date()
        assert row["delivered_on"] > row["ordered_at"].date()
        loads = [row[name] for name in ("bronze_load_timestamp", "silver_load_timestamp", "systime")]
        happened = [row["last_update"], row["paid_at"], datetime.combine(row["delivered_on"], time())]
        assert min(loads) > max(happened)


def test_numbers_lie_where_their_names_say() -> None:
    expected: dict[str, tuple[Any, float, float]] = {
        "utc_offset_hours": (Integer(), -12, 14),
        "wind_speed_mph": (Double(), 0, 120),
        "speed": (Integer(), 0, 120),
        "precipitation_inches": (Double(), 0, 5),
        "discount": (Numeric(3, 2), 0, 0.4),
        "discount_percent": (Integer(), 0, 40),
        "humidity": (Integer(), 0, 100),
        "vat_rate": (Numeric(3, 2), 0, 0.19),
        "tax_rate": (Double(), 0, 0.19),
        "tax_percent": (Integer(), 0, 19),
        "tax_amount": (Numeric(10, 2), 1, 2_000),
        "vat": (Numeric(10, 2), 1, 400),
    }
    made = [Column(name, kind, nullable=False) for name, (kind, _, _) in expected.items()]
    rows = all_of(Table("t", MetaData(), Column("id", Integer, primary_key=True), *made), 1_000)
    for name, (_, least, most) in expected.items():
        found = [float(value) for value in values(rows, name)]
        assert within(found, least, most), name
    assert set(values(rows, "vat_rate")) == {Decimal(0), Decimal("0.07"), Decimal("0.19")}
    assert len(set(values(rows, "vat"))) > 100


def test_a_seed_is_a_number_and_a_kit_may_be_a_path() -> None:
    with pytest.raises(ConfigurationError, match="seed is no whole number"):
        generate_rows(Everything, 5, seed="x")  # type: ignore[call-overload]
    name = "sqlmodel_framework.datakits.bronze_pagila"
    by_name = [(table, batch.num_rows) for table, batch in generate_rows(name, 5)]
    assert by_name == [(table, batch.num_rows) for table, batch in generate_rows(load_datakit(name), 5)]
    with pytest.raises(DatakitError):
        generate_rows("no_such_folder", 5)
