"""Films of Pagila with their languages, actors and categories, conformed."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, Enum, SmallInteger
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.models import SilverMetadata
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["Actor", "Category", "Film", "FilmActor", "FilmCategory", "Language", "MpaaRating"]


class MpaaRating(StrEnum):
    """Film ratings of the Motion Picture Association; the values are what is stored."""

    G = "G"
    PG = "PG"
    PG_13 = "PG-13"
    R = "R"
    NC_17 = "NC-17"


# Left to itself, SQLAlchemy stores the names: PG_13.
_RATING = Enum(
    MpaaRating,
    name="mpaa_rating",
    values_callable=lambda ratings: [rating.value for rating in ratings],
    create_constraint=True,
)


class Language(SilverMetadata, SQLModel, table=True):
    """One row per language; source: `bronze_language`."""

    __tablename__ = "language"

    language_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = Field(max_length=20)
    last_update: datetime = time_field()


class Category(SilverMetadata, SQLModel, table=True):
    """One row per film category; source: `bronze_category`."""

    __tablename__ = "category"

    category_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = Field(max_length=50)
    last_update: datetime = time_field()


class Actor(SilverMetadata, SQLModel, table=True):
    """One row per actor, two of whom share a name; source: `bronze_actor`."""

    __tablename__ = "actor"

    actor_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    first_name: str = Field(max_length=50)
    last_name: str = Field(max_length=50, index=True)
    last_update: datetime = time_field()


class Film(SilverMetadata, SQLModel, table=True):
    """One row per film title, not per copy; `rental_duration` in days, `length` in minutes; source: `bronze_film`."""

    __tablename__ = "film"
    __table_args__ = (CheckConstraint("release_year BETWEEN 1901 AND 2155", name="ck_film_release_year"),)

    film_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    title: str = Field(max_length=255, index=True)
    description: str | None = Field(default=None, max_length=500)
    release_year: int | None = Field(default=None, ge=1901, le=2155)
    language_id: int = Field(foreign_key="language.language_id", ondelete="RESTRICT", index=True)
    original_language_id: int | None = Field(
        default=None, foreign_key="language.language_id", ondelete="RESTRICT", index=True
    )
    rental_duration: int = Field(sa_type=SmallInteger)
    rental_rate: Decimal = Field(max_digits=4, decimal_places=2)
    length: int | None = Field(default=None, sa_type=SmallInteger)
    replacement_cost: Decimal = Field(max_digits=5, decimal_places=2)
    rating: MpaaRating | None = Field(default=None, sa_type=_RATING)
    special_features: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    last_update: datetime = time_field()


class FilmActor(SilverMetadata, SQLModel, table=True):
    """One row per actor in a film; source: `bronze_film_actor`."""

    __tablename__ = "film_actor"

    actor_id: int = Field(primary_key=True, foreign_key="actor.actor_id", ondelete="RESTRICT")
    film_id: int = Field(primary_key=True, foreign_key="film.film_id", ondelete="RESTRICT", index=True)
    last_update: datetime = time_field()


class FilmCategory(SilverMetadata, SQLModel, table=True):
    """One row per category of a film, of which a film has one to three; source: `bronze_film_category`."""

    __tablename__ = "film_category"

    film_id: int = Field(primary_key=True, foreign_key="film.film_id", ondelete="RESTRICT")
    category_id: int = Field(
        primary_key=True, foreign_key="category.category_id", ondelete="RESTRICT", index=True
    )
    last_update: datetime = time_field()
