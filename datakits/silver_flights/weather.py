"""Hourly weather at the origin airports, conformed."""

from datetime import datetime

from sqlalchemy import Double
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import SilverMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["WeatherObservation"]


class WeatherObservation(SilverMetadata, SQLModel, table=True):
    """One row per origin airport and hour; source: `bronze_weather`."""

    __tablename__ = "weather_observation"

    airport_code: str = Field(
        primary_key=True, max_length=3, foreign_key="airport.airport_code", ondelete="RESTRICT"
    )
    observed_at: datetime = time_field(primary_key=True)
    temperature_fahrenheit: float | None = Field(default=None, sa_type=Double)
    dew_point_fahrenheit: float | None = Field(default=None, sa_type=Double)
    relative_humidity_percent: float | None = Field(default=None, sa_type=Double)
    wind_direction_degrees: int | None = None
    wind_speed_mph: float | None = Field(default=None, sa_type=Double)
    wind_gust_mph: float | None = Field(default=None, sa_type=Double)
    precipitation_inches: float = Field(sa_type=Double)
    pressure_millibars: float | None = Field(default=None, sa_type=Double)
    visibility_miles: float = Field(sa_type=Double)
