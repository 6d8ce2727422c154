"""A table class read as an Arrow schema."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    DateTime,
    Double,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import NullType
from sqlmodel import Field, SQLModel

from sqlmodel_framework import BronzeMetadata, ConfigurationError, contract_of
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
        contract_of(table_class)
    assert str(caught.value) == (
        f"a column type has no Arrow form (table {table.fullname}, column v); seen: NullType()"
    )


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
    assert str(caught.value) == "Plain is not a table class; next: declare it with table=True"


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
