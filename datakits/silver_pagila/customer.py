"""Customers of Pagila with their rentals and payments, conformed."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import SilverMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["Customer", "Payment", "Rental"]


class Customer(SilverMetadata, SQLModel, table=True):
    """One row per customer; source: `bronze_customer`."""

    __tablename__ = "customer"

    customer_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    store_id: int = Field(foreign_key="store.store_id", ondelete="RESTRICT", index=True)
    first_name: str = Field(max_length=50)
    last_name: str = Field(max_length=50, index=True)
    email: str | None = Field(default=None, max_length=254)
    address_id: int = Field(foreign_key="address.address_id", ondelete="RESTRICT", index=True)
    active: bool
    create_date: date
    last_update: datetime | None = time_field(default=None)


class Rental(SilverMetadata, SQLModel, table=True):
    """One row per rental of one copy; `return_date` is None while it is out; source: `bronze_rental`."""

    __tablename__ = "rental"
    __table_args__ = (
        UniqueConstraint(
            "rental_date", "inventory_id", "customer_id", name="uq_rental_date_inventory_customer"
        ),
    )

    rental_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    rental_date: datetime = time_field()
    inventory_id: int = Field(foreign_key="inventory.inventory_id", ondelete="RESTRICT", index=True)
    customer_id: int = Field(foreign_key="customer.customer_id", ondelete="RESTRICT", index=True)
    return_date: datetime | None = time_field(default=None)
    staff_id: int = Field(foreign_key="staff.staff_id", ondelete="RESTRICT", index=True)
    last_update: datetime = time_field()


class Payment(SilverMetadata, SQLModel, table=True):
    """One row per payment, of which a rental may have several; source: `bronze_payment`."""

    __tablename__ = "payment"

    payment_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    customer_id: int = Field(foreign_key="customer.customer_id", ondelete="RESTRICT", index=True)
    staff_id: int = Field(foreign_key="staff.staff_id", ondelete="RESTRICT", index=True)
    rental_id: int = Field(foreign_key="rental.rental_id", ondelete="RESTRICT", index=True)
    amount: Decimal = Field(max_digits=5, decimal_places=2)
    payment_date: datetime = time_field()
