"""Times are UTC, aware in Python, with microseconds, on every database and every SQLModel.

SQLModel 0.0.25 maps `datetime` to a naive column and SQLModel 0.0.50 to a UTC-only one, so a class that leaves the
choice to the library drifts when the library is upgraded. `UTCDateTime` makes the choice itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import DateTime, Time
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator

__all__ = ["CurrentTimestamp", "LocalTime", "UTCDateTime", "utc_now"]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time: timestamp with time zone where there is one, else UTC without an offset.

    Values read back are aware and in UTC. Writing a naive datetime raises ValueError: its meaning is a guess.
    """

    impl = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC before writing."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(
                "a naive datetime was given; expected an aware one, such as datetime.now(timezone.utc)"
            )
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the value back aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class LocalTime(TypeDecorator[time]):
    """A time of day on somebody's wall clock, without a zone, with the microseconds that MySQL only keeps when asked to."""

    impl = Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
    cache_ok = True


class CurrentTimestamp(FunctionElement[datetime]):
    """CURRENT_TIMESTAMP as a server default, with the microseconds that MySQL only keeps when asked to."""

    inherit_cache = True
    type = DateTime(timezone=True)


@compiles(CurrentTimestamp)
def _current_timestamp(element: CurrentTimestamp, compiler: Any, **kw: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(CurrentTimestamp, "mysql", "mariadb")
def _current_timestamp_mysql(element: CurrentTimestamp, compiler: Any, **kw: Any) -> str:
    return "CURRENT_TIMESTAMP(6)"
