"""What a table class says about its rows: the one reading of the class that lint, proof, generation and landing share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo
from sqlalchemy import CheckConstraint, Column, Index, Table, UniqueConstraint, types
from sqlalchemy.exc import InvalidRequestError, NoReferenceError
from sqlalchemy.sql.elements import ColumnElement, TextClause
from sqlalchemy.types import TypeEngine

from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.models.columns import metadata_column_names
from sqlmodel_framework.base.models.families import Family, arrow_type, family_of, plain_type
from sqlmodel_framework.base.models.limits import Limits, limits_of
from sqlmodel_framework.base.models.tables import TableLike, is_table_class, table_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CheckRule", "ColumnContract", "Contract", "ForeignKeyRule", "contract_of", "range_of"]

_NO_LIMITS = Limits()


@dataclass(frozen=True)
class ColumnContract:
    """What a class says about one column.

    `field` is the attribute of the class, None in a table without one. `family` is None for a type that the framework
    does not know. `max_length` counts characters of texts and bytes of binaries. `minimum` and `maximum` are inclusive;
    they hold the range of the type where it has one (whole numbers, decimals with digits) and the limits of the field.
    `choices` are the values that are allowed, as they are stored: names of enum members. `limits` are the field's own, as
    written; `declared_length` is the column's. A `computed` column is never written. `field_info` is the field as pydantic
    has it: its annotation, default and description.
    """

    name: str
    field: str | None
    column: Column[Any]
    family: Family | None
    nullable: bool
    is_metadata: bool
    limits: Limits
    declared_length: int | None
    min_length: int | None
    max_length: int | None
    precision: int | None
    scale: int | None
    minimum: Any
    maximum: Any
    choices: tuple[Any, ...] | None
    field_info: FieldInfo | None = None

    @property
    def sql_type(self) -> TypeEngine[Any]:
        """The type below decorators."""
        return plain_type(self.column.type)

    @property
    def computed(self) -> bool:
        """Whether the database works the value out."""
        return self.column.computed is not None

    @property
    def time_zone(self) -> bool:
        """Whether values are points in time, not wall-clock times."""
        return bool(getattr(self.sql_type, "timezone", False))

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow form of the values. Raises ConfigurationError for a type that has none."""
        if self.family is None:
            raise ConfigurationError(
                "a column type has no Arrow form",
                where=f"table {self.column.table.fullname}, column {self.name}",
                seen=repr(self.column.type),
            )
        return arrow_type(self.family, self.sql_type)


@dataclass(frozen=True)
class ForeignKeyRule:
    """Columns whose values must stand in the `referred` columns of another table (or of the same), or be null."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class CheckRule:
    """A CHECK constraint. `columns` are those that it names as expressions; none where it is plain text."""

    name: str | None
    condition: TextClause | ColumnElement[Any]
    columns: tuple[str, ...]

    @property
    def text(self) -> str:
        """The condition as it was written, or as SQLAlchemy writes it without a database."""
        return self.condition.text if isinstance(self.condition, TextClause) else str(self.condition)

    @property
    def label(self) -> str:
        """The name of the check; its condition where it has none."""
        return self.name or self.text


@dataclass(frozen=True)
class Contract:
    """A table class read as a contract: one row of the table is what it speaks of.

    `columns` stand in table order. `unique_keys` are those beside the primary key, from constraints and from unique
    indexes over whole columns and all rows. All rules are sorted.
    """

    table: str
    columns: Mapping[str, ColumnContract]
    primary_key: tuple[str, ...]
    unique_keys: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKeyRule, ...]
    checks: tuple[CheckRule, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """One field for each column, not nullable where the column is NOT NULL. Raises ConfigurationError for a type without an Arrow form."""
        import pyarrow as pa

        return pa.schema(
            pa.field(name, column.arrow_type, nullable=column.nullable)
            for name, column in self.columns.items()
        )

    @property
    def business_columns(self) -> tuple[str, ...]:
        """Names of the columns that do not come from a metadata mixin."""
        return tuple(name for name, column in self.columns.items() if not column.is_metadata)


def contract_of(table: TableLike) -> Contract:
    """Read the contract of a table class, or of a table without one. Raises ConfigurationError for anything else."""
    own = table_of(table)
    fields = dict(_fields(table)) if is_table_class(table) else {}
    return Contract(
        table=own.fullname,
        columns={column.name: _read(column, *fields.get(column, _NO_FIELD)) for column in own.columns},
        primary_key=tuple(column.name for column in own.primary_key.columns),
        unique_keys=tuple(sorted(_unique_keys(own))),
        foreign_keys=tuple(sorted(_foreign_keys(own), key=lambda key: (key.columns, key.table))),
        checks=tuple(sorted(_checks(own), key=lambda check: (check.name or "", check.text))),
    )


_NO_FIELD: tuple[None, bool, Limits, None] = (None, False, _NO_LIMITS, None)


def _fields(table_class: Any) -> Iterator[tuple[Column[Any], tuple[str, bool, Limits, FieldInfo]]]:
    """Column -> name of its field, whether a metadata mixin brings it, the field's limits, and the field."""
    metadata = metadata_column_names(table_class)
    mapper = getattr(table_class, "__mapper__", None)
    fields = table_class.model_fields
    for column in table_class.__table__.columns:
        name = mapper.get_property_by_column(column).key if mapper else column.key
        field = fields.get(name)
        if field is not None:
            yield column, (name, name in metadata, limits_of(field), field)


def _read(
    column: Column[Any], field: str | None, is_metadata: bool, limits: Limits, field_info: FieldInfo | None
) -> ColumnContract:
    sql_type: Any = plain_type(column.type)
    family = family_of(sql_type)
    length = getattr(sql_type, "length", None) if family in ("text", "binary") else None
    precision, scale = _digits(sql_type, limits) if family == "decimal" else (None, None)
    minimum, maximum = _range(family, sql_type, precision, scale, limits)
    return ColumnContract(
        name=column.name,
        field=field,
        column=column,
        family=family,
        nullable=bool(column.nullable),
        is_metadata=is_metadata,
        limits=limits,
        declared_length=length,
        min_length=limits.min_length,
        max_length=_least(length, limits.max_length),
        precision=precision,
        scale=scale,
        minimum=minimum,
        maximum=maximum,
        choices=tuple(sql_type.enums) if family == "enum" else limits.choices,
        field_info=field_info,
    )


def _digits(sql_type: types.Numeric[Any], limits: Limits) -> tuple[int | None, int | None]:
    precision, scale = sql_type.precision, sql_type.scale
    if precision is not None:
        scale = scale or 0
    return _least(precision, limits.max_digits), _least(scale, limits.decimal_places)


def _least(*limits: Any) -> Any:
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None


def _greatest(*limits: Any) -> Any:
    given = [limit for limit in limits if limit is not None]
    return max(given) if given else None


# ranges


def range_of(sql_type: TypeEngine[Any]) -> tuple[Any, Any]:
    """The least and the greatest value of a plain type, as `plain_type` gives it; None for one without a range."""
    own: Any = sql_type
    return _range_of_type(family_of(own), own, getattr(own, "precision", None), getattr(own, "scale", None))


# Types of SQLAlchemy that a class may name, whichever databases have them: no target is asked.
_BITS = {"TINYINT": 8, "SMALLINT": 16, "small_integer": 16, "MEDIUMINT": 24, "BIGINT": 64, "big_integer": 64}


def _range(
    family: Family | None, sql_type: Any, precision: int | None, scale: int | None, limits: Limits
) -> tuple[Any, Any]:
    least, most = _range_of_type(family, sql_type, precision, scale)
    step = _step(family, scale)
    above = limits.gt + step if limits.gt is not None and step is not None else limits.gt
    below = limits.lt - step if limits.lt is not None and step is not None else limits.lt
    bounds = [_as_value(family, bound) for bound in (limits.ge, above, limits.le, below)]
    return _greatest(least, *bounds[:2]), _least(most, *bounds[2:])


def _range_of_type(
    family: Family | None, sql_type: Any, precision: int | None, scale: int | None
) -> tuple[Any, Any]:
    if family == "integer":
        bits = _BITS.get(sql_type.__visit_name__, 32)
        if getattr(sql_type, "unsigned", False):
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if family == "decimal" and precision is not None:
        most = (Decimal(10) ** precision - 1).scaleb(-(scale or 0))
        return -most, most
    return None, None


def _step(family: Family | None, scale: int | None) -> Any:
    """The distance between two neighbouring values; None where a bound that excludes itself is taken as it is."""
    if family == "integer":
        return 1
    if family == "decimal" and scale is not None:
        return Decimal(1).scaleb(-scale)
    if family == "date":
        return timedelta(days=1)
    if family in ("datetime", "interval"):
        return timedelta(microseconds=1)
    return None


def _as_value(family: Family | None, bound: Any) -> Any:
    """A limit as a value of the column: `ge=0` of a Decimal is written as a whole number."""
    if family == "decimal" and isinstance(bound, int | float):
        return Decimal(str(bound))
    if family == "date" and isinstance(bound, datetime):
        return bound.date()
    return bound


# keys and checks


def _unique_keys(table: Table) -> set[tuple[str, ...]]:
    constraints = [
        tuple(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    indexes = [
        tuple(column.name for column in index.columns)
        for index in table.indexes
        if index.unique and _of_whole_columns(index)
    ]
    return {key for key in (*constraints, *indexes) if key}


def _of_whole_columns(index: Index) -> bool:
    partial = any(option.endswith(("_where", "_length")) for option in index.dialect_kwargs)
    return not partial and all(isinstance(part, Column) for part in index.expressions)


def _foreign_keys(table: Table) -> Iterator[ForeignKeyRule]:
    for constraint in table.foreign_key_constraints:
        columns = tuple(column.name for column in constraint.columns)
        try:
            referred = [element.column for element in constraint.elements]
            rule = ForeignKeyRule(
                columns, constraint.referred_table.fullname, tuple(column.name for column in referred)
            )
        except (NoReferenceError, InvalidRequestError):
            # The other table is not imported: what the class writes is all there is.
            specs = [element.target_fullname.rpartition(".") for element in constraint.elements]
            rule = ForeignKeyRule(columns, specs[0][0], tuple(column for _, _, column in specs))
        yield rule


def _checks(table: Table) -> Iterator[CheckRule]:
    of_columns = [(check, (column.name,)) for column in table.columns for check in column.constraints]
    of_table = [(check, ()) for check in table.constraints]
    for constraint, own in (*of_columns, *of_table):
        if isinstance(constraint, CheckConstraint) and not _of_a_type(constraint):
            name = constraint.name if isinstance(constraint.name, str) else None
            columns = own or tuple(column.name for column in constraint.columns)
            yield CheckRule(name, constraint.sqltext, columns)


def _of_a_type(check: CheckConstraint) -> bool:
    """Booleans and enums may bring a CHECK of their own; the family says it already."""
    return bool(getattr(check, "_type_bound", False))
