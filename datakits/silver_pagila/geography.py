"""Countries, cities and addresses of Pagila, conformed."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import SilverMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["Address", "City", "Country"]


class Country(SilverMetadata, SQLModel, table=True):
    """One row per country; source: `bronze_country`."""

    __tablename__ = "country"

    country_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    country: str = Field(max_length=100)
    last_update: datetime = time_field()


class City(SilverMetadata, SQLModel, table=True):
    """One row per city, whose name need not be unique; source: `bronze_city`."""

    __tablename__ = "city"

    city_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    city: str = Field(max_length=100)
    country_id: int = Field(foreign_key="country.country_id", ondelete="RESTRICT", index=True)
    last_update: datetime = time_field()


class Address(SilverMetadata, SQLModel, table=True):
    """One row per postal address of a customer, a staff member or a store; source: `bronze_address`."""

    __tablename__ = "address"

    address_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    address: str = Field(max_length=100)
    address2: str | None = Field(default=None, max_length=100)
    district: str | None = Field(default=None, max_length=50)
    city_id: int = Field(foreign_key="city.city_id", ondelete="RESTRICT", index=True)
    postal_code: str | None = Field(default=None, max_length=10)
    phone: str | None = Field(default=None, max_length=20)
    last_update: datetime = time_field()
