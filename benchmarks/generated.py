"""The tables that the benchmarks create."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import create_model
from sqlmodel import Field, SQLModel

Classes = Sequence[type[SQLModel]]


def table_classes(count: int) -> Classes:
    """Table classes of ten columns: a key, a foreign key to an earlier table, an indexed name, seven other types."""
    return [_table_class(number) for number in range(count)]


def _table_class(number: int) -> type[SQLModel]:
    fields: dict[str, Any] = {
        "id": (int | None, Field(default=None, primary_key=True)),
        "parent_id": (int | None, Field(default=None, foreign_key=f"bench{number // 2}.id")),
        "name": (str, Field(max_length=80, index=True)),
        "note": (str | None, None),
        "amount": (Decimal, Field(max_digits=12, decimal_places=2)),
        "ratio": (float, ...),
        "active": (bool, ...),
        "day": (date, ...),
        "seen_at": (datetime, ...),
        "token": (UUID, ...),
    }
    options = {"table": True}
    return create_model(
        f"Bench{number}", __base__=SQLModel, __module__=__name__, __cls_kwargs__=options, **fields
    )
