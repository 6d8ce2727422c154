"""What discovery finds in a kit, and that it leaves nothing behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, create_engine, inspect
from sqlmodel import Session, SQLModel, select

from sqlmodel_framework import (
    Datakit,
    discover_datakit_modules,
    discover_sqlmodel_classes,
    load_datakit,
)
from sqlmodel_framework.utils.tables import TableScope, tables_of

WriteKit = Callable[..., Path]

FILM = "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"


def a_class(name: str) -> str:
    return FILM.replace("Film", name)


def classes(kit: Datakit) -> list[Any]:
    return list(kit.tables)


def names(kit: Datakit) -> list[str]:
    return [item.fullname if isinstance(item, Table) else item.__name__ for item in kit.tables]


def table(kit: Datakit, name: str) -> Table:
    (found,) = [table for table in tables_of(kit.tables) if table.fullname == name]
    return found


def process() -> list[object]:
    """What discovery must leave as it is."""
    scope = TableScope.in_use()
    finders: list[object] = [*sys.meta_path, *sys.path_hooks]
    return [scope.metadata, scope.registry, scope.content(), list(sys.path), finders, Path.cwd()]


def test_a_folder_gives_the_tables_of_all_its_files(write_kit: WriteKit) -> None:
    folder = write_kit(
        "my-kit",
        {
            "film.py": FILM,
            "01_language.py": a_class("Language"),
            "geo/city.py": a_class("City"),
            "geo/asia/my-model.v2.py": a_class("Port"),
            "v1.5/ships.py": a_class("Ship"),
            "v1.5/deep/dock.py": a_class("Dock"),
            "p.kg/__init__.py": "NAME = 'p.kg'\n",
            "p.kg/crew.py": "from . import NAME\n" + a_class("Crew"),
            "_secret.py": a_class("Secret"),
            "größe.py": a_class("Größe"),
            "データ/表.py": a_class("表"),
        },
    )
    kit = load_datakit(folder)
    assert kit.name == "my-kit"
    assert kit.folder == folder.resolve()
    expected = ["Language", "Secret", "Film", "Größe", "City", "Port", "Crew", "Ship", "Dock", "表"]
    assert names(kit) == expected
    assert load_datakit(str(folder)) is kit
    assert discover_datakit_modules(folder) == list(kit.modules)
    assert discover_sqlmodel_classes(kit.modules) == list(kit.tables)
    assert {Path(str(module.__file__)) for module in kit.modules} == set(folder.resolve().rglob("*.py"))


@pytest.mark.parametrize(
    "folder", ["kit-1.0", "kit.v2", "kit with blanks", "donn\u00e9es", "class", "1", "types"]
)
@pytest.mark.parametrize("package", [False, True])
def test_a_folder_may_have_any_name(write_kit: WriteKit, folder: str, package: bool) -> None:
    files = {"film.py": FILM, "cast.py": "from .film import Film\n"}
    kit = load_datakit(write_kit(folder, files | ({"__init__.py": ""} if package else {})))
    assert names(kit) == ["Film"]
    assert kit.name == folder


def test_a_foreign_key_leads_to_a_table_in_another_file(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "film.py": """
                    class Film(SQLModel, table=True):
                        id: int = Field(primary_key=True)
                        language_id: int = Field(foreign_key="language.id")
                        sequel_id: int | None = Field(default=None, foreign_key="film.id")
                        best_actor_id: int | None = Field(default=None, foreign_key="actor.id")
                """,
                "people/actor.py": """
                    class Actor(SQLModel, table=True):
                        id: int = Field(primary_key=True)
                        first_film_id: int | None = Field(default=None, foreign_key="film.id")
                """,
                "zz_language.py": a_class("Language"),
            },
        )
    )
    leads_to = {
        key.parent.name: key.column.table for item in tables_of(kit.tables) for key in item.foreign_keys
    }
    assert leads_to == {
        "language_id": table(kit, "language"),
        "sequel_id": table(kit, "film"),
        "best_actor_id": table(kit, "actor"),
        "first_film_id": table(kit, "film"),
    }


def test_every_way_to_declare_a_table_is_found(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "all.py": """
                    import enum
                    from sqlalchemy import JSON, Column, ForeignKey, Integer, String, Table

                    class Stamped(SQLModel):
                        stamp: str = "now"

                    class Rating(enum.Enum):
                        good = "g"

                    class Named(SQLModel):
                        id: int = Field(primary_key=True)
                        name: str = Field(sa_column=Column("the_name", String(7), nullable=False))

                    class FilmActor(SQLModel, table=True):
                        film_id: int = Field(primary_key=True, foreign_key="film.id")
                        actor_id: int = Field(primary_key=True, foreign_key="actor.id")

                    class Film(Stamped, table=True):
                        id: int = Field(primary_key=True)
                        rating: Rating
                        tags: list[str] = Field(sa_type=JSON)
                        actors: list["Actor"] = Relationship(back_populates="films", link_model=FilmActor)

                    class Actor(SQLModel, table=True):
                        id: int = Field(primary_key=True)
                        films: list[Film] = Relationship(back_populates="actors", link_model=FilmActor)

                    class Sale(Named, table=True):
                        __tablename__ = "the_sales"
                        __table_args__ = {"schema": "shop"}

                    film_shop = Table(
                        "film_shop",
                        SQLModel.metadata,
                        Column("film_id", Integer, ForeignKey("film.id"), primary_key=True),
                        Column("sale_id", Integer, ForeignKey("shop.the_sales.id"), primary_key=True),
                    )
                    the_same_table = film_shop
                    films = Film.__table__
                """
            },
        )
    )
    assert names(kit) == ["FilmActor", "Film", "Actor", "Sale", "film_shop"]
    assert [column.name for column in table(kit, "filmactor").primary_key] == ["film_id", "actor_id"]
    assert table(kit, "shop.the_sales").c.the_name.type.length == 7  # type: ignore[attr-defined]
    assert {key.column.table.fullname for key in table(kit, "film_shop").foreign_keys} == {
        "film",
        "shop.the_sales",
    }
    assert list(kit.skipped) == [
        "class Stamped (all.py): no table=True",
        "class Rating (all.py): no SQLModel class",
        "class Named (all.py): no table=True",
    ]


def test_a_kit_may_consist_of_tables_without_a_class(write_kit: WriteKit) -> None:
    source = "from sqlalchemy import Column, Integer, Table\nlink = Table('link', SQLModel.metadata, Column('id', Integer))\n"
    assert names(load_datakit(write_kit("kit", {"links.py": source}))) == ["link"]


def test_a_table_class_that_derives_from_a_table_class_is_named_as_skipped(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "film.py": FILM,
                "sequel.py": """
                    from film import Film
                    class Sequel(Film, table=True):
                        __tablename__ = "sequel"
                        number: int
                """,
            },
        )
    )
    assert names(kit) == ["Film"]
    assert [column.name for column in table(kit, "film").columns] == ["id"]
    assert list(kit.skipped) == [
        "class Sequel (sequel.py): derives from the table class Film, and SQLModel makes no second table for that"
    ]


def test_tables_made_by_a_function_belong_to_the_kit_that_calls_it(write_kit: WriteKit) -> None:
    write_kit(
        "factory",
        {
            "make.py": """
                def history_of(name):
                    class History(SQLModel, table=True):
                        __tablename__ = name
                        id: int = Field(primary_key=True)
                    return History
            """
        },
    )
    kit = load_datakit(
        write_kit(
            "kit",
            {"film.py": "from factory.make import history_of\nFilmHistory = history_of('film_history')\n"},
        )
    )
    assert [item.__tablename__ for item in classes(kit)] == ["film_history"]


def test_a_class_that_is_exported_again_counts_once_and_files_give_the_order(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "b.py": "from .a import *\n" + a_class("B"),
                "a.py": a_class("A"),
                "c.py": "from .b import A, B\nfrom . import a, b\n" + a_class("C"),
            },
        )
    )
    assert names(kit) == ["A", "B", "C"]


def test_tables_of_another_kit_are_not_taken(write_kit: WriteKit) -> None:
    link = "from sqlalchemy import Column, Integer, Table\nlink = Table('link', SQLModel.metadata, Column('id', Integer))\n"
    write_kit(
        "bronze",
        {"film.py": link + FILM},
    )
    silver = write_kit(
        "silver",
        {
            "film.py": """
                from bronze.film import Film, link
                bronze_table = Film.__table__
                class FilmSilver(Film):
                    pass
                class SilverFilm(SQLModel, table=True):
                    __tablename__ = "film"
                    id: int = Field(primary_key=True)
            """
        },
    )
    assert names(load_datakit(silver)) == ["SilverFilm"]
    assert names(load_datakit(silver.with_name("bronze"))) == ["Film", "link"]


def test_a_package_stands_for_its_modules(write_kit: WriteKit) -> None:
    folder = write_kit("kit", {"__init__.py": "from .film import Film\n", "film.py": FILM})
    package, film = discover_datakit_modules(folder)
    assert discover_sqlmodel_classes([package]) == discover_sqlmodel_classes([film]) == [film.Film]
    assert discover_sqlmodel_classes([]) == []


def test_a_src_layout_counts_names_from_src(write_kit: WriteKit) -> None:
    folder = write_kit(
        "project",
        {
            "src/acme/__init__.py": "",
            "src/acme/bronze/__init__.py": "from acme.bronze.film import Film\n",
            "src/acme/bronze/film.py": FILM,
            "src/acme/silver/film.py": """
                from acme.bronze.film import Film
                from acme import bronze
                import acme.bronze.film
                class FilmSilver(SQLModel, table=True):
                    id: int = Field(primary_key=True)
                assert bronze.Film is Film is acme.bronze.film.Film
            """,
            "src/loose.py": a_class("Loose"),
            "setup.py": "raise RuntimeError('setup.py was run')",
            "docs/conf.py": "raise RuntimeError('docs/conf.py was run')",
        },
    )
    kit = load_datakit(folder)
    assert names(kit) == ["Loose", "Film", "FilmSilver"]
    assert [module.__name__.partition(".")[2] for module in kit.modules] == [
        "loose",
        "acme",
        "acme.bronze",
        "acme.bronze.film",
        "acme.silver.film",
    ]


def test_a_folder_named_src_beside_modules_is_a_folder_as_any_other(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "film.py": FILM,
                "src/geo.py": a_class("Geo"),
            },
        )
    )
    assert names(kit) == ["Film", "Geo"]


def test_what_is_not_read_is_said(write_kit: WriteKit) -> None:
    broken = "raise RuntimeError('this was run')"
    folder = write_kit(
        "kit",
        {
            "film.py": FILM,
            "film_copy.txt": broken,
            "test_film.py": broken,
            "conftest.py": broken,
            "__main__.py": broken,
            "setup.py": broken,
            ".hidden.py": broken,
            "tests/a.py": broken,
            "geo/tests/a.py": broken,
            "migrations/versions/a.py": broken,
            "node_modules/x/a.py": broken,
            ".git/a.py": broken,
            "my_env/pyvenv.cfg": "",
            "my_env/lib/python3/site-packages/x.py": broken,
            "hidden.py": broken,
            "hidden/__init__.py": "",
        },
    )
    (folder / "other.py").symlink_to(folder / "film.py")
    (folder / "linked").symlink_to(folder / "geo")
    kit = load_datakit(folder)
    assert names(kit) == ["Film"]
    assert sorted(kit.skipped) == [
        "__main__.py: left out by its name",
        "conftest.py: left out by its name",
        "geo/tests: left out by its name",
        "hidden.py: hidden by hidden/__init__.py",
        "linked: a link to a folder",
        "migrations: left out by its name",
        "other.py: a link to another module of the kit",
        "setup.py: left out by its name",
        "test_film.py: left out by its name",
        "tests: left out by its name",
    ]


def test_a_huge_tree_that_is_no_python_is_passed_by(
    write_kit: WriteKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_kit(
        "kit", {"film.py": FILM, "node_modules/a/b/c.js": "", ".venv/lib/a.py": "", "env/pyvenv.cfg": ""}
    )
    visited = []
    scandir = os.scandir

    def recording(path: str) -> Any:
        visited.append(Path(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recording)
    load_datakit(folder)
    assert set(visited) == {folder}


def test_discovery_leaves_nothing_behind(
    write_kit: WriteKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = write_kit(
        "film-kit",
        {
            "film.py": "from language import Language\n" + FILM,
            "language.py": a_class("Language"),
            "pathless.py": """
                import os, sys
                sys.path.insert(0, os.path.dirname(__file__))
                sys.path.append(os.getcwd())
                import film
            """,
        },
    )
    before, modules = process(), set(sys.modules)
    load_datakit(folder)
    assert process() == before
    assert not sys.dont_write_bytecode
    new = sorted(name.partition(".")[2] for name in set(sys.modules) - modules)
    assert new == ["", "film-kit", "film-kit.film", "film-kit.language", "film-kit.pathless"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "film-kit",
        "film.py",
        "language.py",
        "pathless.py",
    ]


def test_files_that_a_module_makes_are_named(
    write_kit: WriteKit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = write_kit(
        "kit",
        {
            "film.py": FILM,
            "make.py": """
                from pathlib import Path
                Path(__file__).with_name("made.db").touch()
                Path("log.txt").touch()
                Path(__file__).with_name("data").mkdir()
                (Path(__file__).with_name("data") / "more.csv").touch()
            """,
        },
    )
    monkeypatch.chdir(tmp_path)
    kit = load_datakit(folder)
    assert set(kit.side_effects) == {folder / "made.db", folder / "data" / "more.csv", tmp_path / "log.txt"}
    assert load_datakit(write_kit("quiet", {"film.py": FILM})).side_effects == ()


def test_an_engine_that_a_module_makes_is_not_connected(write_kit: WriteKit, tmp_path: Path) -> None:
    file = tmp_path / "never.db"
    source = f"""
        from sqlalchemy import create_engine, event
        connected = []
        engine = create_engine("sqlite:///{file}")
        event.listen(engine, "do_connect", lambda *args: connected.append(args))
    """
    kit = load_datakit(write_kit("kit", {"film.py": FILM, "engine.py": source}))
    (module,) = [module for module in kit.modules if module.__name__.endswith("engine")]
    assert module.connected == []
    assert not file.exists()


def test_the_metadata_of_a_class_is_that_of_its_kit(write_kit: WriteKit) -> None:
    source = """
        class Film(SQLModel, table=True):
            id: int = Field(primary_key=True)
            language_id: int = Field(foreign_key="language.id")
            language: "Language" = Relationship(back_populates="films")

        class Language(SQLModel, table=True):
            id: int = Field(primary_key=True)
            films: list[Film] = Relationship(back_populates="language")
    """
    film, language = classes(load_datakit(write_kit("kit", {"film.py": source})))
    assert film.metadata is language.metadata
    assert film.metadata is not SQLModel.metadata
    engine = create_engine("sqlite://")
    film.metadata.create_all(engine)
    assert inspect(engine).get_table_names() == ["film", "language"]
    with Session(engine) as session:
        session.add(film(id=1, language=language(id=2)))
        session.commit()
        assert [found.language.id for found in session.exec(select(film))] == [2]
    engine.dispose()


def test_a_metadata_that_a_kit_gives_sqlmodel_serves_all_its_modules(write_kit: WriteKit) -> None:
    before = SQLModel.metadata
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "a_film.py": "from .settings import convention\n" + FILM,
                "settings.py": """
                    from sqlalchemy import MetaData
                    convention = {"pk": "pk_%(table_name)s"}
                    SQLModel.metadata = MetaData(naming_convention=convention)
                """,
                "z_language.py": a_class("Language"),
            },
        )
    )
    assert [item.__table__.primary_key.name for item in classes(kit)] == ["pk_film", "pk_language"]
    assert SQLModel.metadata is before


def test_a_kit_may_have_a_registry_of_its_own(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "film.py": """
                    from sqlalchemy import Column, Integer, MetaData, Table
                    from sqlalchemy.orm import registry
                    class Base(SQLModel, registry=registry()):
                        pass
                    class Film(Base, table=True):
                        id: int = Field(primary_key=True)
                    metadata = MetaData()
                    link = Table("link", metadata, Column("id", Integer))
                """
            },
        )
    )
    assert names(kit) == ["Film", "link"]


def test_annotations_may_be_text(write_kit: WriteKit) -> None:
    folder = write_kit(
        "kit",
        {
            "film.py": """
                from __future__ import annotations
                from typing import TYPE_CHECKING, Optional
                from datetime import date as day
                from sqlmodel import Field, Relationship, SQLModel
                if TYPE_CHECKING:
                    from language import Language

                class Film(SQLModel, table=True):
                    id: Optional[int] = Field(default=None, primary_key=True)
                    released: day
                    language_id: int = Field(foreign_key="language.id")
            """,
            "language.py": """
                from typing import TYPE_CHECKING
                from sqlmodel import Field, Relationship, SQLModel
                if TYPE_CHECKING:
                    from .film import Film

                class Language(SQLModel, table=True):
                    id: int = Field(primary_key=True)
            """,
        },
        imports=False,
    )
    kit = load_datakit(folder)
    assert names(kit) == ["Film", "Language"]
    assert str(table(kit, "film").c.released.type) == "DATE"
