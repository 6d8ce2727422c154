"""The stamp of a Bronze row: when, from where and how it was landed."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from sqlmodel_framework.base.models.columns import MetadataColumns, current_time_field

__all__ = ["BronzeMetadata"]


class BronzeMetadata(MetadataColumns):
    """Five columns behind the source's own: `class FilmBronze(BronzeMetadata, SQLModel, table=True)`.

    `bronze_load_timestamp` is UTC and indexed. `bronze_source_host` is None where the source has no host (a file).
    `bronze_extraction_method` names how the rows were chosen, such as `full_snapshot`.
    """

    bronze_load_timestamp: datetime = current_time_field(index=True)
    bronze_source_system: str = Field(max_length=100)
    bronze_source_table: str = Field(max_length=255)
    bronze_source_host: str | None = Field(default=None, max_length=255)
    bronze_extraction_method: str = Field(max_length=50)
