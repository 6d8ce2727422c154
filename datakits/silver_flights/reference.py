"""Airlines, airports and planes, conformed."""

from sqlalchemy import Double
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import SilverMetadata

__all__ = ["Airline", "Airport", "Plane"]


class Airline(SilverMetadata, SQLModel, table=True):
    """One row per airline, by its IATA code; source: `bronze_airlines`."""

    __tablename__ = "airline"

    carrier_code: str = Field(primary_key=True, max_length=2)
    name: str = Field(max_length=100)


class Airport(SilverMetadata, SQLModel, table=True):
    """One row per airport, by its FAA code; source: `bronze_airports`.

    `daylight_saving` is A (as in the US), N (none) or U (unknown); `time_zone` is an IANA name, None where unknown.
    """

    __tablename__ = "airport"

    airport_code: str = Field(primary_key=True, max_length=3)
    name: str = Field(max_length=100)
    latitude: float = Field(sa_type=Double)
    longitude: float = Field(sa_type=Double)
    altitude_feet: int
    utc_offset_hours: int
    daylight_saving: str = Field(max_length=1)
    time_zone: str | None = Field(default=None, max_length=50)


class Plane(SilverMetadata, SQLModel, table=True):
    """One row per plane, by its FAA registration; source: `bronze_planes`."""

    __tablename__ = "plane"

    tail_number: str = Field(primary_key=True, max_length=6)
    year_built: int | None = None
    plane_type: str = Field(max_length=50)
    manufacturer: str = Field(max_length=50)
    model: str = Field(max_length=50)
    engine_count: int
    engine_type: str = Field(max_length=20)
    seat_count: int
    cruising_speed_mph: int | None = None
