"""Pagila, the DVD rental sample database, conformed: 15 tables with types, limits, keys and foreign keys.

Source: the datakit `bronze_pagila` (https://github.com/devrimgunduz/pagila, MIT licence, © Devrim Gündüz).
Grain: one row per row of the Bronze table with the prefix `bronze_`. Times are UTC.

What differs from Bronze:

- Text has limits, trailing blanks are gone (`language.name`), and an empty text in `address` is None.
- `film.rating` is an enum, `film.release_year` is checked to be 1901 to 2155.
- `film.fulltext` is left out: PostgreSQL's search index over title and description, rebuilt from them where needed.
- `staff.password` and `staff.picture` are left out: a credential has no use here, and no picture is filled.
- `customer.activebool` is left out: it is true in every row, also in those whose `active` is 0. `active` is a boolean.
- `payment` has the key `payment_id`, which is unique; the source adds `payment_date` only because it partitions by it.
- `store.manager_staff_id` refers to `staff` (every row of the source satisfies it, the source does not declare it), and
  `staff.store_id` to `store`: a cycle. It may be None, so that stores load first, then staff, then the managers.

Tables: `actor`, `address`, `category`, `city`, `country`, `customer`, `film`, `film_actor`, `film_category`,
`inventory`, `language`, `payment`, `rental`, `staff`, `store`.
"""

from sqlmodel_framework.datakits.silver_pagila.customer import Customer, Payment, Rental
from sqlmodel_framework.datakits.silver_pagila.film import (
    Actor,
    Category,
    Film,
    FilmActor,
    FilmCategory,
    Language,
)
from sqlmodel_framework.datakits.silver_pagila.geography import Address, City, Country
from sqlmodel_framework.datakits.silver_pagila.store import Inventory, Staff, Store

__all__ = [
    "Actor",
    "Address",
    "Category",
    "City",
    "Country",
    "Customer",
    "Film",
    "FilmActor",
    "FilmCategory",
    "Inventory",
    "Language",
    "Payment",
    "Rental",
    "Staff",
    "Store",
]
