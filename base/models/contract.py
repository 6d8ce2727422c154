"""What a table class says about its rows, as an Arrow schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, types
from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.models.columns import metadata_column_names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Contract", "contract_of"]


@dataclass(frozen=True)
class Contract:
    """A table class read as a contract.

    `schema` has one non-nullable field for each NOT NULL column, in table order. `business_columns` are those without
    the framework's metadata columns.
    """

    table: str
    schema: pa.Schema
    primary_key: tuple[str, ...]
    business_columns: tuple[str, ...]


def contract_of(table_class: type[SQLModel]) -> Contract:
    """Read the contract of a table class. Raises ConfigurationError for a class without a table or a type without an Arrow form."""
    import pyarrow as pa

    table = getattr(table_class, "__table__", None)
    if table is None:
        raise ConfigurationError(
            f"{table_class.__name__} is not a table class", next_step="declare it with table=True"
        )
    fields = [
        pa.field(column.name, _arrow_type(column), nullable=bool(column.nullable)) for column in table.columns
    ]
    stamps = metadata_column_names(table_class)
    return Contract(
        table=str(table.fullname),
        schema=pa.schema(fields),
        primary_key=tuple(column.name for column in table.primary_key.columns),
        business_columns=tuple(column.name for column in table.columns if column.key not in stamps),
    )


def _arrow_type(column: Column[Any]) -> pa.DataType:
    sql_type = _plain_type(column.type)
    for kind, arrow_type in _ARROW_TYPES:
        if isinstance(sql_type, kind):
            return arrow_type(sql_type)
    raise ConfigurationError(
        "a column type has no Arrow form",
        where=f"table {column.table.fullname}, column {column.name}",
        seen=repr(column.type),
    )


def _plain_type(sql_type: types.TypeEngine[Any]) -> types.TypeEngine[Any]:
    # An Interval decorates the DateTime that databases without intervals store.
    while isinstance(sql_type, types.TypeDecorator) and not isinstance(sql_type, types.Interval):
        sql_type = sql_type.impl_instance
    return sql_type


def _pa(name: str, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    def build(_: Any) -> Any:
        import pyarrow as pa

        return getattr(pa, name)(*args, **kwargs)

    return build


def _numeric(sql_type: types.Numeric[Any]) -> Any:
    """Text for a number without digits: no decimal type can promise to hold it."""
    import pyarrow as pa

    if sql_type.precision is None:
        return pa.string()
    make = pa.decimal128 if sql_type.precision <= 38 else pa.decimal256
    return make(sql_type.precision, sql_type.scale or 0)


def _datetime(sql_type: types.DateTime) -> Any:
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC" if sql_type.timezone else None)


def _array(sql_type: Any) -> Any:
    """Arrays travel as JSON text, as the connectors deliver them."""
    import pyarrow as pa

    return pa.string()


# Most specific first: BigInteger and SmallInteger are Integers, Enum is a String, Double is a Float is a Numeric.
_ARROW_TYPES: list[tuple[type[Any], Callable[[Any], Any]]] = [
    (types.Boolean, _pa("bool_")),
    (types.BigInteger, _pa("int64")),
    (types.SmallInteger, _pa("int16")),
    (types.Integer, _pa("int32")),
    (types.Float, _pa("float64")),
    (types.Numeric, _numeric),
    (types.DateTime, _datetime),
    (types.Date, _pa("date32")),
    (types.Time, _pa("time64", "us")),
    (types.Interval, _pa("duration", "us")),
    (types.LargeBinary, _pa("binary")),
    (types.ARRAY, _array),
    (types.JSON, _pa("string")),
    (types.Uuid, _pa("string")),
    (types.String, _pa("string")),
]
