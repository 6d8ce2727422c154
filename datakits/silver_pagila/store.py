"""Stores of Pagila with their staff and copies of films, conformed."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import SilverMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["Inventory", "Staff", "Store"]


class Store(SilverMetadata, SQLModel, table=True):
    """One row per store; `manager_staff_id` is None while its manager is not in `staff`; source: `bronze_store`."""

    __tablename__ = "store"
    # store -> staff -> store is a cycle: use_alter adds this key after both tables, and must know its name.
    __table_args__ = (
        ForeignKeyConstraint(
            ["manager_staff_id"],
            ["staff.staff_id"],
            name="fk_store_manager_staff_id",
            ondelete="SET NULL",
            use_alter=True,
        ),
    )

    store_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    manager_staff_id: int | None = Field(default=None, unique=True)
    address_id: int = Field(foreign_key="address.address_id", ondelete="RESTRICT", index=True)
    last_update: datetime = time_field()


class Staff(SilverMetadata, SQLModel, table=True):
    """One row per staff member, whose username need not be unique; source: `bronze_staff`."""

    __tablename__ = "staff"

    staff_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    first_name: str = Field(max_length=50)
    last_name: str = Field(max_length=50)
    address_id: int = Field(foreign_key="address.address_id", ondelete="RESTRICT", index=True)
    email: str | None = Field(default=None, max_length=254)
    store_id: int = Field(foreign_key="store.store_id", ondelete="RESTRICT", index=True)
    active: bool
    username: str = Field(max_length=50)
    last_update: datetime = time_field()


class Inventory(SilverMetadata, SQLModel, table=True):
    """One row per copy of a film that a store owns; source: `bronze_inventory`."""

    __tablename__ = "inventory"
    __table_args__ = (Index("ix_inventory_store_id_film_id", "store_id", "film_id"),)

    inventory_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    film_id: int = Field(foreign_key="film.film_id", ondelete="RESTRICT", index=True)
    store_id: int = Field(foreign_key="store.store_id", ondelete="RESTRICT")
    last_update: datetime = time_field()
