"""The stamp of a Silver row: when and from which batch it was promoted."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from sqlmodel_framework.base.models.columns import MetadataColumns, current_time_field

__all__ = ["SilverMetadata"]


class SilverMetadata(MetadataColumns):
    """Two columns behind the business columns: `class Film(SilverMetadata, SQLModel, table=True)`.

    `silver_load_timestamp` is UTC and indexed. `silver_batch_id` names the Bronze batch; None for rows made by hand.
    """

    silver_load_timestamp: datetime = current_time_field(index=True)
    silver_batch_id: str | None = Field(default=None, max_length=100)
