"""What tables take from mixins: columns that cannot be shared, and the metadata of Bronze."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column

from sqlmodel_framework.base.models.bronze import BronzeMetadata
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.lint.subject import Subject

__all__ = ["SHARED_CAUSE", "bronze_without_metadata", "shared_column"]

SHARED_CAUSE = "SQLAlchemy takes a Column object into one table: the second class cannot be imported"


def shared_column(subject: Subject) -> Iterator[Finding]:
    """DL501: a Column object in a base class, which only one table class can take."""
    bases = subject.item.__mro__[1:] if isinstance(subject.item, type) else ()
    inherited = [field for base in bases for field in getattr(base, "__pydantic_fields__", {}).values()]
    columns = [getattr(field, "sa_column", None) for field in inherited]
    for column in subject.columns:
        given = getattr(column.field_info, "sa_column", None)
        if isinstance(given, Column) and any(given is other for other in columns):
            yield subject.finding(
                "DL501", column, "sa_type in the mixin", "sa_column in the mixin", SHARED_CAUSE
            )


def bronze_without_metadata(subject: Subject) -> Iterator[Finding]:
    """DL502: a Bronze table that does not say when and from where its rows were landed."""
    if not (subject.kit.startswith("bronze") or subject.table.name.startswith("bronze_")):
        return
    missing = [name for name in BronzeMetadata.model_fields if name not in subject.contract.columns]
    if missing:
        cause = subject.everywhere("no row says when, from where and how it was landed")
        yield subject.finding("DL502", None, "BronzeMetadata", f"no column {missing[0]}", cause)
