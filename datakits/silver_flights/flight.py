"""Departures, conformed."""

from datetime import date, datetime, time

from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import LocalTime, SilverMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["Flight"]


class Flight(SilverMetadata, SQLModel, table=True):
    """One row per scheduled departure, cancelled ones included; source: `bronze_flights`.

    `flight_date` is the local date of the scheduled departure. `departure_delay_minutes` is None for a cancelled
    flight, `arrival_delay_minutes` also for a diverted one; a negative delay is early.
    """

    __tablename__ = "flight"

    flight_date: date = Field(primary_key=True)
    carrier_code: str = Field(
        primary_key=True, max_length=2, foreign_key="airline.carrier_code", ondelete="RESTRICT", index=True
    )
    flight_number: int = Field(primary_key=True)
    origin_code: str = Field(
        primary_key=True, max_length=3, foreign_key="airport.airport_code", ondelete="RESTRICT", index=True
    )
    destination_code: str = Field(max_length=3, index=True)
    tail_number: str | None = Field(default=None, max_length=6, index=True)
    scheduled_departure: datetime = time_field()
    departure_delay_minutes: int | None = None
    scheduled_arrival_local: time = Field(sa_type=LocalTime)
    arrival_local: time | None = Field(default=None, sa_type=LocalTime)
    arrival_delay_minutes: int | None = None
    air_time_minutes: int | None = None
    distance_miles: int
