"""Metadata columns: declared once in a mixin, last in every table, in either order of bases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlmodel import Field, SQLModel
from sqlmodel.main import SQLModelMetaclass

from sqlmodel_framework.base.models.utc import CurrentTimestamp, UTCDateTime, utc_now

__all__ = ["MetadataColumns", "current_time_field", "metadata_column_names", "time_field"]


def time_field(**options: Any) -> Any:
    """A UTC time column; `options` are those of `sqlmodel.Field`."""
    return Field(sa_type=UTCDateTime, **options)


def current_time_field(*, index: bool = False, onupdate: bool = False) -> Any:
    """A required UTC time column filled by Python at creation, or by the server where a row is inserted without it.

    `onupdate` refreshes it when the ORM updates the row.
    """
    column_options: dict[str, Any] = {"server_default": CurrentTimestamp()}
    if onupdate:
        column_options["onupdate"] = utc_now
    return time_field(default_factory=utc_now, nullable=False, index=index, sa_column_kwargs=column_options)


class _EitherOrderOfBases(SQLModelMetaclass):
    """Lets `class T(SQLModel, Mixin, table=True)` mean `class T(Mixin, SQLModel, table=True)`.

    Python alone refuses the first form: a base may not come before its own subclass.
    """

    def __new__(
        cls, name: str, bases: tuple[type[Any], ...], class_dict: dict[str, Any], **kwargs: Any
    ) -> Any:
        if SQLModel in bases[:-1]:
            bases = (*(base for base in bases if base is not SQLModel), SQLModel)
        return super().__new__(cls, name, bases, class_dict, **kwargs)


class MetadataColumns(SQLModel, metaclass=_EitherOrderOfBases):
    """Base of mixins whose columns stand behind the business columns of a table."""

    @classmethod
    def __table_cls__(cls, name: str, metadata: MetaData, *args: Any, **kwargs: Any) -> Table:
        """Build the table with its metadata columns last (SQLAlchemy's declarative calls this)."""
        last = metadata_column_names(cls)
        columns = sorted(
            (arg for arg in args if isinstance(arg, Column)), key=lambda column: column.key in last
        )
        others = [arg for arg in args if not isinstance(arg, Column)]
        return Table(name, metadata, *columns, *others, **kwargs)


def metadata_column_names(table_class: type[SQLModel]) -> set[str]:
    """Fields that come from metadata mixins: classes derived from `MetadataColumns` directly, without a table."""
    bases = [base for base in table_class.__mro__ if issubclass(base, MetadataColumns)]
    mixins = [
        base for base in bases if MetadataColumns in base.__bases__ and not base.model_config.get("table")
    ]
    return {name for mixin in mixins for name in mixin.model_fields}
