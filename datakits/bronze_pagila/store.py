"""Stores of Pagila with their staff and copies of films, as landed."""

from datetime import datetime

from sqlalchemy import LargeBinary, Text, TypeDecorator
from sqlalchemy.dialects.mysql import MEDIUMBLOB
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["InventoryBronze", "StaffBronze", "StoreBronze"]


class Picture(TypeDecorator[bytes]):
    """An image of any size: MySQL's BLOB alone ends at 65,535 bytes."""

    impl = LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")
    cache_ok = True


class StoreBronze(BronzeMetadata, SQLModel, table=True):
    """One row per store; source: Pagila `public.store`."""

    __tablename__ = "bronze_store"

    store_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    manager_staff_id: int
    address_id: int
    last_update: datetime = time_field()


class StaffBronze(BronzeMetadata, SQLModel, table=True):
    """One row per staff member; source: Pagila `public.staff`."""

    __tablename__ = "bronze_staff"

    staff_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    first_name: str = Field(sa_type=Text)
    last_name: str = Field(sa_type=Text)
    address_id: int
    email: str | None = Field(default=None, sa_type=Text)
    store_id: int
    active: bool
    username: str = Field(sa_type=Text)
    password: str | None = Field(default=None, sa_type=Text)
    last_update: datetime = time_field()
    picture: bytes | None = Field(default=None, sa_type=Picture)


class InventoryBronze(BronzeMetadata, SQLModel, table=True):
    """One row per copy of a film that a store owns; source: Pagila `public.inventory`."""

    __tablename__ = "bronze_inventory"

    inventory_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    film_id: int
    store_id: int
    last_update: datetime = time_field()
