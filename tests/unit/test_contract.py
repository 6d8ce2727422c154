"""A table class read as a contract: Arrow schema, limits, keys and rules."""

from __future__ import annotations

import enum
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional
from uuid import UUID, uuid4

import pyarrow as pa
import pytest
from annotated_types import Ge, MaxLen
from pydantic import PositiveInt, StringConstraints, conint
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import NullType
from sqlmodel import Field, SQLModel

from sqlmodel_framework import BronzeMetadata, ConfigurationError, contract_of
from sqlmodel_framework.base.models.contract import ForeignKeyRule
from sqlmodel_framework.base.models.limits import Limits
from sqlmodel_framework.base.models.utc import UTCDateTime


def model(annotation: Any, **options: Any) -> type[SQLModel]:
    """A table class of one column `v` beside its key."""
    namespace = {
        "__annotations__": {"id": int, "v": annotation},
        "__module__": __name__,
        "id": Field(primary_key=True),
        "v": Field(**options),
        "metadata": MetaData(),
    }
    make: Any = type(SQLModel)
    made: type[SQLModel] = make(f"T{uuid4().hex}", (SQLModel,), namespace, table=True)
    return made


class Mood(enum.Enum):
    """Stored by name."""

    sad = "very sad"


class Shouting(TypeDecorator[str]):
    """A type of a user's own."""

    impl = String
    cache_ok = True


UTC_TIME = pa.timestamp("us", "UTC")
TYPES: list[tuple[Any, dict[str, Any], pa.DataType]] = [
    (bool, {}, pa.bool_()),
    (int, {}, pa.int32()),
    (int, {"sa_type": BigInteger}, pa.int64()),
    (int, {"sa_type": SmallInteger}, pa.int16()),
    (float, {}, pa.float64()),
    (float, {"sa_type": Double}, pa.float64()),
    (Decimal, {"max_digits": 12, "decimal_places": 2}, pa.decimal128(12, 2)),
    (Decimal, {"sa_type": Numeric(38, 10)}, pa.decimal128(38, 10)),
    (Decimal, {"sa_type": Numeric(39, 10)}, pa.decimal256(39, 10)),
    (Decimal, {"sa_type": Numeric(5)}, pa.decimal128(5, 0)),
    (Decimal, {"sa_type": Numeric}, pa.string()),
    (str, {}, pa.string()),
    (str, {"max_length": 5}, pa.string()),
    (str, {"sa_type": Text}, pa.string()),
    (str, {"sa_type": Shouting}, pa.string()),
    (str, {"sa_type": Text().with_variant(String(5), "mysql")}, pa.string()),
    (bytes, {}, pa.binary()),
    (bytes, {"sa_type": LargeBinary(10)}, pa.binary()),
    (date, {}, pa.date32()),
    (time, {}, pa.time64("us")),
    (timedelta, {}, pa.duration("us")),
    (datetime, {"sa_type": UTCDateTime}, UTC_TIME),
    (datetime, {"sa_type": DateTime(timezone=True)}, UTC_TIME),
    (datetime, {"sa_type": DateTime}, pa.timestamp("us")),
    (UUID, {}, pa.string()),
    (Mood, {}, pa.string()),
    (dict, {"sa_type": JSON}, pa.string()),
    (dict, {"sa_type": postgresql.JSONB}, pa.string()),
    (list, {"sa_type": ARRAY(String)}, pa.string()),
]


@pytest.mark.parametrize(("annotation", "options", "expected"), TYPES, ids=[str(case[:2]) for case in TYPES])
def test_a_type_has_an_arrow_form(annotation: Any, options: dict[str, Any], expected: pa.DataType) -> None:
    assert contract_of(model(annotation, **options)).schema == pa.schema(
        [pa.field("id", pa.int32(), nullable=False), pa.field("v", expected, nullable=False)]
    )


def test_a_type_without_an_arrow_form_is_named() -> None:
    table_class = model(str, sa_type=NullType)
    table = table_class.__table__  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError) as caught:
        contract_of(table_class).schema  # noqa: B018
    assert str(caught.value) == (
        f"a column type has no Arrow form (table {table.fullname}, column v); seen: NullType()"
    )


@pytest.mark.parametrize(
    "sql_type",
    [mysql.SMALLINT(unsigned=True), mysql.INTEGER(unsigned=True), mysql.BIGINT(unsigned=True)],
    ids=str,
)
def test_a_number_without_a_sign_fits_its_arrow_form(sql_type: Any) -> None:
    column = contract_of(Table("t", MetaData(), Column("n", sql_type))).columns["n"]
    assert pa.array([column.minimum, column.maximum], column.arrow_type).to_pylist() == [0, column.maximum]


def test_a_foreign_key_is_told_by_names_of_columns_and_of_the_other_table() -> None:
    metadata = MetaData(schema="shop")
    parent = Table("parent", metadata, Column("ident", Integer, key="k", primary_key=True))
    child = Table("child", metadata, Column("parent_ident", ForeignKey("parent.k"), key="p"))
    rule = ForeignKeyRule(("parent_ident",), contract_of(parent).table, ("ident",))
    assert contract_of(child).foreign_keys == (rule,)
    alone = Table("child", MetaData(), Column("parent_ident", Integer, ForeignKey("parent.ident")))
    assert contract_of(alone).foreign_keys == (ForeignKeyRule(("parent_ident",), "parent", ("ident",)),)


def test_a_contract_is_the_table() -> None:
    class Payment(BronzeMetadata, SQLModel, table=True):
        __tablename__ = "payment_of_contract"
        __table_args__ = (PrimaryKeyConstraint("paid_at", "payment_id"), {"schema": "shop"})

        payment_id: int = Field(primary_key=True)
        paid_at: datetime = Field(primary_key=True, sa_type=UTCDateTime)
        note: str | None = Field(default=None, sa_column=Column("the note", Text))

    contract = contract_of(Payment)
    assert contract.table == "shop.payment_of_contract"
    assert contract.primary_key == ("paid_at", "payment_id")
    assert contract.business_columns == ("payment_id", "paid_at", "the note")
    assert contract.schema.names[:3] == ["payment_id", "paid_at", "the note"]
    assert contract.schema.names[3:] == list(BronzeMetadata.model_fields)
    assert [field.name for field in contract.schema if field.nullable] == ["the note", "bronze_source_host"]


def test_a_class_without_a_table_has_no_contract() -> None:
    class Plain(SQLModel):
        id: int

    with pytest.raises(ConfigurationError) as caught:
        contract_of(Plain)
    assert str(caught.value) == (
        "something that is no table class was given; seen: Plain; expected: classes declared with table=True"
    )


def test_rows_of_the_class_fit_their_contract() -> None:
    """What Python holds goes into the schema without a cast."""
    moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
    values = {"at": moment, "much": Decimal("1.10"), "when": time(1, 2, 3, 4), "long": timedelta(seconds=-1)}
    columns: list[Column[Any]] = [
        Column("at", UTCDateTime),
        Column("much", Numeric(5, 2)),
        Column("when", model(time).__table__.c.v.type),  # type: ignore[attr-defined]
        Column("long", model(timedelta).__table__.c.v.type),  # type: ignore[attr-defined]
    ]

    class Holder(SQLModel):
        __table__ = Table("holder", MetaData(), *columns)

    batch = pa.RecordBatch.from_pylist([values], schema=contract_of(Holder).schema)
    assert batch.to_pylist() == [values]


LIMITS: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (str, {"max_length": 5, "min_length": 2}, {"max_length": 5, "min_length": 2}),
    (str, {"regex": "^a"}, {"pattern": "^a"}),
    (Annotated[str, StringConstraints(max_length=5, pattern="^a")], {}, {"max_length": 5, "pattern": "^a"}),
    (Annotated[str, StringConstraints(pattern=re.compile("^a"))], {}, {"pattern": "^a"}),
    (Annotated[str, Field(max_length=7)] | None, {"default": None}, {"max_length": 7}),
    (Optional[Annotated[int, Ge(3)]], {"default": None}, {"ge": 3}),  # noqa: UP045 - both spellings count
    (Annotated[int, Ge(3), Field(le=9)], {}, {"ge": 3, "le": 9}),
    (PositiveInt, {}, {"gt": 0}),
    (conint(ge=3, lt=5), {}, {"ge": 3, "lt": 5}),
    (int, {"gt": 1, "multiple_of": 3}, {"gt": 1, "multiple_of": 3}),
    (Decimal, {"max_digits": 4, "decimal_places": 2}, {"max_digits": 4, "decimal_places": 2}),
    (Literal["x", "y"], {"sa_type": Text}, {"choices": ("x", "y")}),
    (Literal["x"] | None, {"sa_type": Text, "default": None}, {"choices": ("x",)}),
    (str, {}, {}),
]


@pytest.mark.parametrize(
    ("annotation", "options", "expected"), LIMITS, ids=[str(case[:2]) for case in LIMITS]
)
def test_limits_are_read_wherever_they_stand(
    annotation: Any, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert contract_of(model(annotation, **options)).columns["v"].limits == Limits(**expected)


RANGES: list[tuple[Any, dict[str, Any], tuple[Any, Any]]] = [
    (int, {}, (-(2**31), 2**31 - 1)),
    (int, {"sa_type": BigInteger}, (-(2**63), 2**63 - 1)),
    (int, {"sa_type": SmallInteger}, (-(2**15), 2**15 - 1)),
    (int, {"sa_type": mysql.TINYINT(unsigned=True)}, (0, 255)),
    (int, {"sa_type": mysql.MEDIUMINT}, (-(2**23), 2**23 - 1)),
    (int, {"gt": 0, "le": 10}, (1, 10)),
    (int, {"ge": -(10**12)}, (-(2**31), 2**31 - 1)),
    (Decimal, {"max_digits": 4, "decimal_places": 2}, (Decimal("-99.99"), Decimal("99.99"))),
    (Decimal, {"max_digits": 4, "decimal_places": 2, "gt": 0}, (Decimal("0.01"), Decimal("99.99"))),
    (Decimal, {"ge": 0}, (Decimal(0), None)),
    (date, {"gt": date(2020, 1, 1)}, (date(2020, 1, 2), None)),
    (float, {"ge": 0.5, "lt": 1}, (0.5, 1)),
    (str, {"max_length": 5}, (None, None)),
]


@pytest.mark.parametrize(
    ("annotation", "options", "expected"), RANGES, ids=[str(case[:2]) for case in RANGES]
)
def test_ranges_join_the_type_and_the_limits(
    annotation: Any, options: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    column = contract_of(model(annotation, **options)).columns["v"]
    assert (column.minimum, column.maximum) == expected


def test_the_narrower_of_two_lengths_counts() -> None:
    both = contract_of(model(Annotated[str, MaxLen(5)], sa_type=String(3))).columns["v"]
    assert (both.declared_length, both.limits.max_length, both.max_length) == (3, 5, 3)


def test_members_of_an_enum_are_choices_as_they_are_stored() -> None:
    assert contract_of(model(Mood)).columns["v"].choices == ("sad",)


def test_keys_and_checks() -> None:
    class Shop(SQLModel, table=True):
        __tablename__ = "shop_of_contract"

        id: int = Field(primary_key=True)

    class Sale(SQLModel, table=True):
        __tablename__ = "sale_of_contract"
        __table_args__ = (
            UniqueConstraint("shop_id", "number"),
            CheckConstraint("number > 0", name="ck_number"),
            Index("ux_code", "code", unique=True),
            Index("ux_some", "code", unique=True, postgresql_where=text("number > 5")),
            Index("ux_expression", func.lower(Column("code", String)), unique=True),
        )

        id: int = Field(primary_key=True)
        shop_id: int = Field(foreign_key="shop_of_contract.id")
        number: int
        code: str = Field(max_length=4, unique=True)
        before_id: int | None = Field(default=None, foreign_key="sale_of_contract.id")
        twice: int = Field(sa_column=Column(Integer, Computed("number * 2")))

    contract = contract_of(Sale)
    assert contract.primary_key == ("id",)
    assert contract.unique_keys == (("code",), ("shop_id", "number"))
    assert contract.foreign_keys == (
        ForeignKeyRule(("before_id",), "sale_of_contract", ("id",)),
        ForeignKeyRule(("shop_id",), "shop_of_contract", ("id",)),
    )
    assert [(check.name, str(check.condition)) for check in contract.checks] == [("ck_number", "number > 0")]
    assert [name for name, column in contract.columns.items() if column.computed] == ["twice"]


def test_a_check_of_a_single_column_is_a_check() -> None:
    table = Table(
        "t", MetaData(), Column("a", Integer, CheckConstraint("a > 0", name="ck_a"), primary_key=True)
    )
    (check,) = contract_of(table).checks
    assert (check.name, str(check.condition), check.columns) == ("ck_a", "a > 0", ("a",))


def test_a_table_without_a_class_has_a_contract() -> None:
    table = Table("link", MetaData(), Column("a", Integer, primary_key=True), Column("b", String(3)))
    columns = contract_of(table).columns
    assert {name: (column.field, column.max_length) for name, column in columns.items()} == {
        "a": (None, None),
        "b": (None, 3),
    }


def test_reading_a_contract_needs_no_arrow() -> None:
    code = (
        "import sys\nfrom sqlmodel import Field, SQLModel\nfrom sqlmodel_framework.base.models.contract import contract_of\n"
        "class One(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
        "contract_of(One)\nassert 'pyarrow' not in sys.modules, 'pyarrow was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
