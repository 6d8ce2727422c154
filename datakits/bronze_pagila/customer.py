"""Customers of Pagila with their rentals and payments, as landed."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import PrimaryKeyConstraint, Text
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["CustomerBronze", "PaymentBronze", "RentalBronze"]


class CustomerBronze(BronzeMetadata, SQLModel, table=True):
    """One row per customer; source: Pagila `public.customer`."""

    __tablename__ = "bronze_customer"

    customer_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    store_id: int
    first_name: str = Field(sa_type=Text)
    last_name: str = Field(sa_type=Text)
    email: str | None = Field(default=None, sa_type=Text)
    address_id: int
    activebool: bool
    create_date: date
    last_update: datetime | None = time_field(default=None)
    active: int | None = None


class RentalBronze(BronzeMetadata, SQLModel, table=True):
    """One row per rental of one copy of a film; source: Pagila `public.rental`."""

    __tablename__ = "bronze_rental"

    rental_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    rental_date: datetime = time_field()
    inventory_id: int
    customer_id: int
    return_date: datetime | None = time_field(default=None)
    staff_id: int
    last_update: datetime = time_field()


class PaymentBronze(BronzeMetadata, SQLModel, table=True):
    """One row per payment; source: Pagila `public.payment`, all its monthly partitions together."""

    __tablename__ = "bronze_payment"
    # The source's order of key columns, which is not that of its columns.
    __table_args__ = (PrimaryKeyConstraint("payment_date", "payment_id"),)

    payment_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    customer_id: int
    staff_id: int
    rental_id: int
    amount: Decimal = Field(max_digits=5, decimal_places=2)
    payment_date: datetime = time_field(primary_key=True)
