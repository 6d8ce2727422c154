"""Pagila, the DVD rental sample database, as its source sends it: 15 tables, every row landed unchanged.

Source: https://github.com/devrimgunduz/pagila (commit e0e35a6), a PostgreSQL database; MIT licence, © Devrim Gündüz.
Grain: one row per row of the source table of the same name without the prefix `bronze_`.

Columns, order, nullability and primary keys are the source's; there are no foreign keys, so tables land in any order.
Keys never count up by themselves: the source has rows with key 0, which MySQL would replace in an AUTO_INCREMENT column.
Types that only PostgreSQL has are landed as text: the enum `mpaa_rating` and `tsvector` as their text, `text[]` as JSON.

Tables: `bronze_actor`, `bronze_address`, `bronze_category`, `bronze_city`, `bronze_country`, `bronze_customer`,
`bronze_film`, `bronze_film_actor`, `bronze_film_category`, `bronze_inventory`, `bronze_language`, `bronze_payment`,
`bronze_rental`, `bronze_staff`, `bronze_store`.
"""

from sqlmodel_framework.datakits.bronze_pagila.customer import CustomerBronze, PaymentBronze, RentalBronze
from sqlmodel_framework.datakits.bronze_pagila.film import (
    ActorBronze,
    CategoryBronze,
    FilmActorBronze,
    FilmBronze,
    FilmCategoryBronze,
    LanguageBronze,
)
from sqlmodel_framework.datakits.bronze_pagila.geography import AddressBronze, CityBronze, CountryBronze
from sqlmodel_framework.datakits.bronze_pagila.store import InventoryBronze, StaffBronze, StoreBronze

__all__ = [
    "ActorBronze",
    "AddressBronze",
    "CategoryBronze",
    "CityBronze",
    "CountryBronze",
    "CustomerBronze",
    "FilmActorBronze",
    "FilmBronze",
    "FilmCategoryBronze",
    "InventoryBronze",
    "LanguageBronze",
    "PaymentBronze",
    "RentalBronze",
    "StaffBronze",
    "StoreBronze",
]
