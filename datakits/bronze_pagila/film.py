"""Films of Pagila with their languages, actors and categories, as landed."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import JSON, SmallInteger, Text
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import BronzeMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = [
    "ActorBronze",
    "CategoryBronze",
    "FilmActorBronze",
    "FilmBronze",
    "FilmCategoryBronze",
    "LanguageBronze",
]


class LanguageBronze(BronzeMetadata, SQLModel, table=True):
    """One row per language, its name padded with blanks to 20 characters; source: Pagila `public.language`."""

    __tablename__ = "bronze_language"

    language_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = Field(max_length=20)
    last_update: datetime = time_field()


class CategoryBronze(BronzeMetadata, SQLModel, table=True):
    """One row per film category; source: Pagila `public.category`."""

    __tablename__ = "bronze_category"

    category_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=Text)
    last_update: datetime = time_field()


class ActorBronze(BronzeMetadata, SQLModel, table=True):
    """One row per actor; source: Pagila `public.actor`."""

    __tablename__ = "bronze_actor"

    actor_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    first_name: str = Field(sa_type=Text)
    last_name: str = Field(sa_type=Text)
    last_update: datetime = time_field()


class FilmBronze(BronzeMetadata, SQLModel, table=True):
    """One row per film title, not per copy; source: Pagila `public.film`."""

    __tablename__ = "bronze_film"

    film_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    title: str = Field(sa_type=Text)
    description: str | None = Field(default=None, sa_type=Text)
    release_year: int | None = None
    language_id: int
    original_language_id: int | None = None
    rental_duration: int = Field(sa_type=SmallInteger)
    rental_rate: Decimal = Field(max_digits=4, decimal_places=2)
    length: int | None = Field(default=None, sa_type=SmallInteger)
    replacement_cost: Decimal = Field(max_digits=5, decimal_places=2)
    rating: str | None = Field(default=None, max_length=10)
    last_update: datetime = time_field()
    # Without none_as_null, SQLAlchemy writes None as the JSON value null, which is not SQL NULL.
    special_features: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    fulltext: str = Field(sa_type=Text)  # datakit: ignore[DL302] the source's name


class FilmActorBronze(BronzeMetadata, SQLModel, table=True):
    """One row per actor in a film; source: Pagila `public.film_actor`."""

    __tablename__ = "bronze_film_actor"

    actor_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    film_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    last_update: datetime = time_field()


class FilmCategoryBronze(BronzeMetadata, SQLModel, table=True):
    """One row per category of a film, of which a film has one to three; source: Pagila `public.film_category`."""

    __tablename__ = "bronze_film_category"

    film_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    category_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    last_update: datetime = time_field()
