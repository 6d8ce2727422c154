"""The tables that the benchmarks create."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from annotated_types import Ge
from pydantic import create_model
from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

Classes = Sequence[type[SQLModel]]


def table_classes(count: int, *, checks: bool = False) -> Classes:
    """Table classes of ten columns: a key, a foreign key to an earlier table, an indexed name, seven other types.

    With `checks`, six columns have limits, each with a CHECK of its own, and two have one together.
    """
    return [_table_class(number, checks) for number in range(count)]


def _table_class(number: int, checks: bool) -> type[SQLModel]:
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
    name, base = f"Bench{number}", SQLModel
    if checks:
        name = f"Checked{number}"
        fields |= _limited(number)
        parts = [CheckConstraint(text, name=f"ck_{number}_{place}") for place, text in enumerate(_CONDITIONS)]
        base = create_model("Limited", __base__=SQLModel, __module__=__name__)
        base.__table_args__ = tuple(parts)
    options = {"table": True}
    return create_model(name, __base__=base, __module__=__name__, __cls_kwargs__=options, **fields)


_CONDITIONS = [
    "length(name) >= 2",
    "note ~ '^[A-Z]'",
    "amount >= 0 AND amount < 100000",
    "ratio BETWEEN 0 AND 1",
    "stock % 5 = 0 AND stock >= 0",
    "day >= '2000-01-01'",
    "amount * stock <= 1000000",
]


def _limited(number: int) -> dict[str, Any]:
    return {
        "parent_id": (int | None, Field(default=None, foreign_key=f"checked{number // 2}.id")),
        "name": (str, Field(min_length=2, max_length=80, index=True)),
        "note": (str | None, Field(default=None, regex="^[A-Z]")),
        "amount": (Decimal, Field(ge=0, lt=100_000, max_digits=12, decimal_places=2)),
        "ratio": (float, Field(ge=0, le=1)),
        "stock": (int, Field(ge=0, multiple_of=5)),
        "day": (Annotated[date, Ge(date(2000, 1, 1))], ...),
    }
