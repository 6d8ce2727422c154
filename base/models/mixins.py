"""Kinds of tables: reference data, transactions, effective-dated rows. Each mixin has an abstract base to derive from."""

from __future__ import annotations

from datetime import datetime

from sqlmodel_framework.base.models.columns import MetadataColumns, current_time_field, time_field

__all__ = [
    "ReferenceTable",
    "ReferenceTableMixin",
    "TemporalTable",
    "TemporalTableMixin",
    "TransactionalTable",
    "TransactionalTableMixin",
]


class ReferenceTableMixin(MetadataColumns):
    """Slowly changing reference data: `inactivated_date` (UTC, None = active) and `systime` (UTC, when written)."""

    inactivated_date: datetime | None = time_field(default=None, nullable=True)
    systime: datetime = current_time_field()


class TransactionalTableMixin(MetadataColumns):
    """Business transactions: `systime`, `created_at`, `updated_at`, all UTC; the ORM refreshes `updated_at`."""

    systime: datetime = current_time_field()
    created_at: datetime = current_time_field()
    updated_at: datetime = current_time_field(onupdate=True)


class TemporalTableMixin(MetadataColumns):
    """Effective-dated rows: `effective_time` (UTC, required, from the business) and `systime` (UTC, when written)."""

    effective_time: datetime = time_field(nullable=False)
    systime: datetime = current_time_field()


class ReferenceTable(ReferenceTableMixin):
    """Abstract base: `class Country(ReferenceTable, table=True)`."""


class TransactionalTable(TransactionalTableMixin):
    """Abstract base: `class Payment(TransactionalTable, table=True)`."""


class TemporalTable(TemporalTableMixin):
    """Abstract base: `class Price(TemporalTable, table=True)`."""
