"""Countries, cities and addresses of Pagila, as landed."""

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["AddressBronze", "CityBronze", "CountryBronze"]


class CountryBronze(BronzeMetadata, SQLModel, table=True):
    """One row per country; source: Pagila `public.country`."""

    __tablename__ = "bronze_country"

    country_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    country: str = Field(sa_type=Text)
    last_update: datetime = time_field()


class CityBronze(BronzeMetadata, SQLModel, table=True):
    """One row per city; source: Pagila `public.city`."""

    __tablename__ = "bronze_city"

    city_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    city: str = Field(sa_type=Text)
    country_id: int
    last_update: datetime = time_field()


class AddressBronze(BronzeMetadata, SQLModel, table=True):
    """One row per postal address of a customer, a staff member or a store; source: Pagila `public.address`."""

    __tablename__ = "bronze_address"

    address_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    address: str = Field(sa_type=Text)
    address2: str | None = Field(default=None, sa_type=Text)
    district: str = Field(sa_type=Text)
    city_id: int
    postal_code: str | None = Field(default=None, sa_type=Text)
    phone: str = Field(sa_type=Text)
    last_update: datetime = time_field()
