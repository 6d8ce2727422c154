"""How the modules of a kit are imported: what their imports mean, under which names, next to which other kits."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlmodel import SQLModel

from sqlmodel_framework import Datakit, DiscoveryError, load_datakit

WriteKit = Callable[..., Path]
ROOT = Path(__file__).parents[2]

FILM = "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
LANGUAGE = "class Language(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
COUNTED = "import times_run\ntimes_run.names.append(__name__)\n"


@pytest.fixture
def times_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names under which modules that start with COUNTED are run."""
    names: list[str] = []
    counter: Any = ModuleType("times_run")
    counter.names = names
    monkeypatch.setitem(sys.modules, "times_run", counter)
    return names


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that ordinary imports look into; its modules are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield tmp_path
    new = {name: sys.modules[name] for name in set(sys.modules) - before}
    places = {
        name: [getattr(new[name], "__file__", None), *getattr(new[name], "__path__", ())] for name in new
    }
    for name in new:
        if any(Path(place).is_relative_to(tmp_path) for place in places[name] if place):
            del sys.modules[name]


def classes(kit: Datakit) -> list[Any]:
    return list(kit.tables)


def one(kit: Datakit, name: str) -> Any:
    (found,) = [item for item in classes(kit) if item.__name__ == name]
    return found


def module(kit: Datakit, file: str) -> ModuleType:
    (found,) = [module for module in kit.modules if str(module.__file__).endswith(f"/{file}")]
    return found


IMPORTS = {
    "of the module": "from film import Film",
    "of the module itself": "import film\nFilm = film.Film",
    "by a name": "import film as f\nFilm = f.Film",
    "of all": "from film import *",
    "relative": "from .film import Film",
    "relative, of the module": "from . import film\nFilm = film.Film",
    "by the folder's name": "from my_kit.film import Film",
    "by the folder's name, of the module": "from my_kit import film\nFilm = film.Film",
    "by the folder's name, bound": "import my_kit.film\nFilm = my_kit.film.Film",
    "by the folder's name, renamed": "import my_kit.film as f\nFilm = f.Film",
    "by the folder around it": "from kits.my_kit.film import Film",
    "by the folder around it, bound": "import kits.my_kit.film\nFilm = kits.my_kit.film.Film",
    "by the folder around it, renamed": "import kits.my_kit.film as f\nFilm = f.Film",
    "by __import__": "Film = __import__('film', fromlist=['Film']).Film",
    "by import_module": "import importlib\nFilm = importlib.import_module('.film', __package__).Film",
}


@pytest.mark.parametrize("package", [False, True], ids=["folder", "package"])
@pytest.mark.parametrize("statement", IMPORTS.values(), ids=IMPORTS)
def test_modules_of_a_kit_import_one_another(
    write_kit: WriteKit,
    times_run: list[str],
    statement: str,
    package: bool,
) -> None:
    files = {
        "film.py": COUNTED + FILM,
        "cast.py": statement,
        "zz/deep.py": statement.replace("from .", "from ..").replace("'.", "'.."),
    }
    kit = load_datakit(write_kit("kits/my_kit", files | ({"__init__.py": ""} if package else {})))
    assert len(kit.tables) == len(times_run) == 1
    assert module(kit, "cast.py").Film is module(kit, "film.py").Film is kit.tables[0]


def test_an_import_inside_a_function_works_after_discovery(write_kit: WriteKit) -> None:
    late = """
        def late():
            import film
            from language import Language
            from my_kit.language import Language as again
            from .film import Film
            assert Language is again and film.Film is Film
            return Film
    """
    kit = load_datakit(write_kit("my_kit", {"film.py": FILM, "language.py": LANGUAGE, "late.py": late}))
    assert module(kit, "late.py").late() is one(kit, "Film")


def test_kits_with_the_same_names_live_side_by_side(write_kit: WriteKit) -> None:
    source = """
        class Film(SQLModel, table=True):
            id: int = Field(primary_key=True)
            {0}: int = Field(foreign_key="language.id")
            language: "Language" = Relationship(back_populates="films")

        class Language(SQLModel, table=True):
            id: int = Field(primary_key=True)
            films: list["Film"] = Relationship(back_populates="language")
    """
    one_kit, other = (
        load_datakit(write_kit(f"{name}/kit", {"film.py": source.format(name)})) for name in ("one", "other")
    )
    assert one(one_kit, "Film") is not one(other, "Film")
    for kit, column in ((one_kit, "one"), (other, "other")):
        film, language = one(kit, "Film"), one(kit, "Language")
        assert column in film.__table__.c
        assert film(id=1, language=language(id=2)).language.films[0].id == 1
        assert film.__mapper__.relationships.language.mapper.class_ is language


def test_a_kit_by_two_paths_is_one_kit(
    write_kit: WriteKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_kit("kit", {"film.py": FILM})
    (tmp_path / "link").symlink_to(folder)
    kit = load_datakit(tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    assert load_datakit(folder) is kit
    assert load_datakit("kit") is kit
    assert load_datakit("./kit/../link/") is kit


BRONZE = {"film.py": "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"}
SILVER = """
    {0}
    class FilmSilver(SQLModel, table=True):
        __tablename__ = "film"
        id: int = Field(primary_key=True)
    source = Film
"""
NEIGHBOURS = {
    "folders": ({"bronze/film.py": FILM}, "from bronze.film import Film"),
    "packages": ({"bronze/__init__.py": "from .film import Film", "bronze/film.py": FILM, "silver/__init__.py": ""}, "from bronze import Film"),
    "one package": ({"__init__.py": "", "bronze/__init__.py": "", "bronze/film.py": FILM, "silver/__init__.py": ""}, "from ..bronze.film import Film"),
    "one package, absolute": ({"__init__.py": "", "bronze/__init__.py": "", "bronze/film.py": FILM, "silver/__init__.py": ""}, "from project.bronze.film import Film"),
    "folders, relative": ({"bronze/film.py": FILM}, "from ..bronze.film import Film"),
    "folders, from above": ({"bronze/film.py": FILM}, "from project.bronze.film import Film"),
    "deep": ({"bronze/pagila/film.py": "from .language import Language\n" + FILM, "bronze/pagila/language.py": "from bronze.pagila import film\n" + LANGUAGE}, "from bronze.pagila.film import Film"),
    "a module": ({"bronze.py": FILM}, "from bronze import Film"),
}  # fmt: skip


@pytest.mark.parametrize("bronze_first", [False, True], ids=["silver first", "bronze first"])
@pytest.mark.parametrize(("files", "statement"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_a_silver_kit_imports_its_bronze_kit(
    write_kit: WriteKit,
    tmp_path: Path,
    files: dict[str, str],
    statement: str,
    bronze_first: bool,
) -> None:
    project = write_kit("project", {"silver/film.py": SILVER.format(statement), **files})
    other = write_kit("other/project", {"silver/film.py": SILVER.format(statement), **files})
    bronze = [
        load_datakit(p / "bronze") for p in (project, other) if bronze_first and (p / "bronze").is_dir()
    ]
    silver = [load_datakit(p / "silver") for p in (project, other)]
    if (project / "bronze").is_dir():
        bronze = bronze or [load_datakit(p / "bronze") for p in (project, other)]
        assert [module(kit, "film.py").source for kit in silver] == [one(kit, "Film") for kit in bronze]
    for kit in silver:
        assert kit.tables == (module(kit, "film.py").FilmSilver,)
        assert module(kit, "film.py").source.metadata is not kit.tables[0].metadata
    assert silver[0].tables != silver[1].tables
    assert not {"film", "bronze", "silver", "project"} & set(sys.modules)
    assert "film" not in SQLModel.metadata.tables
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_silver_kit_imports_an_installed_bronze_kit(write_kit: WriteKit, on_path: Path) -> None:
    write_kit("acme_bronze", {"__init__.py": "", "film.py": FILM, "language.py": LANGUAGE})
    silver = load_datakit(
        write_kit("elsewhere/silver", {"film.py": SILVER.format("from acme_bronze.film import Film")})
    )
    bronze = load_datakit("acme_bronze")
    assert module(silver, "film.py").source is one(bronze, "Film")
    assert [item.__name__ for item in classes(bronze)] == ["Film", "Language"]
    assert one(bronze, "Language").metadata is one(bronze, "Film").metadata is not SQLModel.metadata
    assert importlib.import_module("acme_bronze.language").Language is one(bronze, "Language")


def test_kits_may_import_each_other(write_kit: WriteKit) -> None:
    write_kit("one", {"film.py": "import other.language\n" + FILM})
    write_kit("other", {"language.py": "import one.film\n" + LANGUAGE})
    folder = write_kit("one", {})
    first, second = load_datakit(folder), load_datakit(folder.with_name("other"))
    assert module(first, "film.py").other.language.Language is second.tables[0]
    assert module(second, "language.py").one.film.Film is first.tables[0]


def test_a_kit_and_the_folder_around_it_share_their_modules(write_kit: WriteKit) -> None:
    project = write_kit("project", {"bronze/film.py": FILM, "bronze/geo/city.py": LANGUAGE, "gold/a.py": "class Gold(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"})  # fmt: skip
    inner, middle, outer = (load_datakit(project / part) for part in ("bronze/geo", "bronze", "."))
    assert [item.__name__ for item in classes(outer)] == ["Film", "Language", "Gold"]
    assert set(inner.tables) < set(middle.tables) < set(outer.tables)


@pytest.mark.parametrize("by_name", [False, True], ids=["path", "name"])
def test_an_ordinary_import_afterwards_gives_the_same_module(
    write_kit: WriteKit,
    on_path: Path,
    times_run: list[str],
    by_name: bool,
) -> None:
    write_kit("kit_after", {"__init__.py": "from kit_after.film import Film", "film.py": COUNTED + FILM})
    kit = load_datakit("kit_after" if by_name else on_path / "kit_after")
    assert importlib.import_module("kit_after.film").Film is kit.tables[0]
    assert importlib.import_module("kit_after").Film is kit.tables[0]
    assert times_run == ["kit_after.film"]
    assert not list(on_path.rglob("__pycache__"))


@pytest.mark.parametrize("package", [False, True], ids=["folder", "package"])
def test_modules_that_were_imported_before_are_not_run_again(
    write_kit: WriteKit,
    on_path: Path,
    times_run: list[str],
    package: bool,
) -> None:
    name = "PackageBefore" if package else "FolderBefore"  # its classes are in the MetaData of the process
    film = f"""
        class Film{name}(SQLModel, table=True):
            id: int = Field(primary_key=True)
    """
    language = f"""
        class Language{name}(SQLModel, table=True):
            id: int = Field(primary_key=True)
            film_id: int = Field(foreign_key="film{name.lower()}.id")
            film: "Film{name}" = Relationship()
    """
    files = {"film.py": COUNTED + textwrap.dedent(film), "language.py": language}
    write_kit(name, files | ({"__init__.py": ""} if package else {}))
    before = getattr(importlib.import_module(f"{name}.film"), f"Film{name}")
    kit = load_datakit(on_path / name)
    after = one(kit, f"Language{name}")
    try:
        assert one(kit, f"Film{name}") is before
        assert times_run == [f"{name}.film"]
        assert {key.column.table for key in after.__table__.foreign_keys} == {before.__table__}
        assert after.__mapper__.relationships.film.mapper.class_ is before
        assert getattr(importlib.import_module(f"{name}.language"), f"Language{name}") is after
    finally:
        for item in classes(kit):
            SQLModel.metadata.remove(item.__table__)


def test_a_module_that_was_imported_from_within_its_folder_is_not_run_again(
    write_kit: WriteKit, on_path: Path, times_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = 'class Film(SQLModel, table=True):\n    __tablename__ = "film_within"\n    id: int = Field(primary_key=True)\n'
    folder = write_kit(
        "kit",
        {
            "film_within.py": COUNTED + film,
            "cast.py": "from film_within import Film\nfrom .film_within import Film as again\nassert Film is again\n",
        },
    )
    monkeypatch.syspath_prepend(str(folder))
    before = importlib.import_module("film_within")
    try:
        kit = load_datakit(folder)
        assert times_run == ["film_within"]
        assert kit.tables == (before.Film,)
        assert set(kit.modules) > {before}
    finally:
        SQLModel.metadata.remove(before.Film.__table__)


def test_a_script_within_the_kit_is_not_run_again(write_kit: WriteKit) -> None:
    deploy = """
        print("run as", __name__)
        from pathlib import Path
        from sqlmodel_framework import load_datakit
        class Film(SQLModel, table=True):
            id: int = Field(primary_key=True)
        kit = load_datakit(Path(__file__).parent)
        assert set(kit.tables) == {Film, __import__("language").Language}, kit.tables
    """
    folder = write_kit("kit", {"deploy.py": deploy, "language.py": "from deploy import Film\n" + LANGUAGE})
    result = subprocess.run(
        [sys.executable, folder / "deploy.py"], capture_output=True, text=True, check=False
    )
    assert (result.stderr, result.stdout) == ("", "run as __main__\n")


def test_a_kit_that_reads_itself_is_told_so(write_kit: WriteKit) -> None:
    source = FILM + "from sqlmodel_framework import load_datakit\nload_datakit({0!r})\n"
    folder = write_kit("kit", {})
    write_kit("kit", {"film.py": source.format(str(folder))})
    with pytest.raises(DiscoveryError) as caught:
        load_datakit(folder)
    assert "film.py, line 5: DiscoveryError: the datakit reads itself while it is being imported" in str(
        caught.value
    )
    write_kit("kit", {"film.py": FILM})
    assert len(load_datakit(folder).tables) == 1


def test_a_kit_may_read_another_kit(write_kit: WriteKit) -> None:
    other = write_kit("other", {"film.py": FILM})
    source = f"from sqlmodel_framework import load_datakit\nother = load_datakit({str(other)!r})\n" + FILM
    kit = load_datakit(
        write_kit("kit", {"film.py": source, "language.py": "from film import other\n" + LANGUAGE})
    )
    assert module(kit, "film.py").other is load_datakit(other)
    assert len(kit.tables) == 2
    assert len({item.metadata for item in kit.tables}) == 1


NAMESAKES = [
    "utils",
    "base",
    "config",
    "models",
    "types",
    "calendar",
    "email",
    "typing",
    "sqlmodel",
    "pandas",
]


@pytest.mark.parametrize("package", [False, True], ids=["folder", "package"])
@pytest.mark.parametrize("name", NAMESAKES)
def test_a_module_may_be_named_as_one_of_another_project(
    write_kit: WriteKit,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    package: bool,
) -> None:
    known = (
        importlib.import_module(name)
        if name not in {"utils", "base", "config", "models"}
        else ModuleType(name)
    )
    monkeypatch.setitem(sys.modules, name, known)
    files = {
        f"{name}.py": FILM,
        "cast.py": f"from {name} import Film\n",
        "crew.py": f"from .{name} import Film\n",
    }
    kit = load_datakit(write_kit("kit", files | ({"__init__.py": ""} if package else {})))
    assert module(kit, "cast.py").Film is module(kit, "crew.py").Film is one(kit, "Film")
    assert sys.modules[name] is known
    assert not hasattr(known, "Film")


def test_the_standard_library_stays_what_it_is(write_kit: WriteKit) -> None:
    kit = load_datakit(
        write_kit(
            "kit",
            {
                "calendar.py": "from calendar import monthrange\nimport calendar\nMARK = 1\n" + FILM,
                "use.py": """
                    import calendar, email.message
                    from calendar import monthrange
                    from types import ModuleType
                    from kit import calendar as own
                    assert not hasattr(calendar, "MARK") and own.MARK == 1
                """,
                "types.py": LANGUAGE,
                "email.py": "MARK = 2\n",
            },
        )
    )
    assert len(kit.tables) == 2


def test_in_a_package_an_installed_library_comes_before_a_module_of_its_name(write_kit: WriteKit) -> None:
    files = {"pytest.py": "MARK = 1\n" + FILM, "use.py": "import pytest\nfound = pytest\n"}
    package = load_datakit(write_kit("package", {**files, "__init__.py": ""}))
    folder = load_datakit(write_kit("folder", files))
    assert module(package, "use.py").found is pytest
    assert module(folder, "use.py").found is module(folder, "pytest.py")


def test_a_folder_beside_a_kit_does_not_hide_a_library(write_kit: WriteKit, tmp_path: Path) -> None:
    (tmp_path / "pandas").mkdir()
    (tmp_path / "kit" / "sqlalchemy").mkdir(parents=True)
    kit = load_datakit(write_kit("kit", {"film.py": "import sqlalchemy, pytest, pandas\n" + FILM}))
    import pandas
    import sqlalchemy

    assert module(kit, "film.py").pandas is pandas
    assert module(kit, "film.py").sqlalchemy is sqlalchemy


def test_a_library_that_a_kit_imports_gets_its_own_modules(write_kit: WriteKit, on_path: Path) -> None:
    write_kit(
        "library_of_ours",
        {"__init__.py": "import settings_of_all\nimport bisect_of_ours\nfound = settings_of_all\n"},
    )
    write_kit("", {"settings_of_all.py": "MARK = 'the library'\n", "bisect_of_ours.py": ""})
    source = "import library_of_ours\nimport settings_of_all\n" + FILM
    kit = load_datakit(
        write_kit("elsewhere/kit", {"film.py": source, "settings_of_all.py": "MARK = 'the kit'\n"})
    )
    film = module(kit, "film.py")
    assert film.library_of_ours.found.MARK == "the library"
    assert film.settings_of_all.MARK == "the kit"
    assert sys.modules["settings_of_all"].MARK == "the library"


def test_another_thread_imports_its_own_modules_meanwhile(
    write_kit: WriteKit, on_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    gate: Any = ModuleType("gate")
    gate.reached, gate.go_on = reached, go_on
    monkeypatch.setitem(sys.modules, "gate", gate)
    write_kit("", {"thread_settings.py": "MARK = 'the thread'\n"})
    folder = write_kit("elsewhere/kit", {"film.py": "import thread_settings, gate\ngate.reached.set()\ngate.go_on.wait(30)\n" + FILM, "thread_settings.py": "MARK = 'the kit'\n"})  # fmt: skip
    reader = threading.Thread(target=load_datakit, args=[folder])
    reader.start()
    assert reached.wait(30)
    assert importlib.import_module("thread_settings").MARK == "the thread"
    go_on.set()
    reader.join(30)
    assert module(load_datakit(folder), "thread_settings.py").MARK == "the kit"


CIRCLES = {
    "either order": {"actor.py": "import film\n" + LANGUAGE, "film.py": "import actor\n" + FILM},
    "one order": {"actor.py": "import film\n" + LANGUAGE, "film.py": "from actor import Language\n" + FILM},
    "the other order": {"actor.py": "from film import Film\n" + LANGUAGE, "film.py": "import actor\n" + FILM},
    "use in one order": {
        "actor.py": "import film\n" + LANGUAGE,
        "film.py": "import actor\nactor.Language\n" + FILM,
    },
    "below": {
        "actor.py": LANGUAGE + "from film import Film\n",
        "film.py": FILM + "from actor import Language\n",
    },
    "package": {"actor.py": "from . import film\n" + LANGUAGE, "film.py": "from . import actor\n" + FILM},
    "of three": {
        "a.py": "import c\n" + LANGUAGE,
        "b.py": "from a import Language\n",
        "c.py": "from b import Language\n" + FILM,
    },
}


@pytest.mark.parametrize("files", CIRCLES.values(), ids=CIRCLES)
def test_modules_may_import_each_other(write_kit: WriteKit, files: dict[str, str]) -> None:
    kit = load_datakit(write_kit("kit", files))
    assert {item.__name__ for item in classes(kit)} == {"Film", "Language"}
    assert len({item.metadata for item in kit.tables}) == 1
    assert [Path(str(module.__file__)).name for module in kit.modules] == sorted(files)


def test_eight_threads_read_kits_of_the_same_names(write_kit: WriteKit) -> None:
    source = """
        import time
        from language import Language
        time.sleep(0.001)
        class Film(SQLModel, table=True):
            id: int = Field(primary_key=True)
            language_id: int = Field(foreign_key="language.id")
            in_{0}: int
    """
    metadata = SQLModel.metadata
    for attempt in range(12):
        folders = [
            write_kit(f"{attempt}/{n}/kit", {"film.py": source.format(n), "language.py": LANGUAGE})
            for n in "ab"
        ]
        found: list[Datakit | BaseException] = []
        start = threading.Barrier(8)

        def read(
            folder: Path, start: threading.Barrier = start, found: list[Datakit | BaseException] = found
        ) -> None:
            start.wait()
            try:
                found.append(load_datakit(folder))
            except BaseException as exc:
                found.append(exc)

        threads = [threading.Thread(target=read, args=[folders[number % 2]]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        kits = [kit for kit in found if isinstance(kit, Datakit)]
        assert len(kits) == 8, found
        assert len(set(map(id, kits))) == 2
        for kit in kits:
            film = one(kit, "Film").__table__
            assert [c.name for c in film.c] == ["id", "language_id", f"in_{kit.folder.parent.name}"]
            assert {key.column.table for key in film.foreign_keys} == {one(kit, "Language").__table__}
    assert SQLModel.metadata is metadata
    assert "film" not in metadata.tables


def test_the_first_lines_of_the_readme_run_from_the_root(write_kit: WriteKit) -> None:
    folder = write_kit(
        "kit", {"film.py": FILM, "utils.py": "MARK = 1\n", "use.py": "from utils import MARK\n"}
    )
    script = f"""
        from utils.deployment import discover_datakit_modules, discover_sqlmodel_classes, deploy_data_objects, validate_deployment
        from sqlmodel_framework import get_target_config
        for kit, count in (({str(folder)!r}, 1), ("datakits/bronze_pagila", 15), ("datakits/silver_pagila", 15)):
            classes = discover_sqlmodel_classes(discover_datakit_modules(kit))
            with get_target_config("sqlite_memory") as target:
                assert deploy_data_objects(classes, target)["success"]
                assert validate_deployment(classes, target)["success"]
            assert len(classes) == count, classes
        import datakits.bronze_pagila.film, sys
        assert discover_datakit_modules("datakits/bronze_pagila")
        from utils.tables import tables_of
        print(sorted(name for name in sys.modules if name.startswith("datakits.bronze_pagila.f")))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_bundled_kit_by_its_second_name_is_not_run_again(times_run: list[str]) -> None:
    script = """
        import datakits.bronze_pagila
        from sqlmodel_framework import load_datakit
        kit = load_datakit("datakits/bronze_pagila")
        assert datakits.bronze_pagila.FilmBronze in kit.tables
        assert len(kit.tables) == 15
        assert load_datakit("sqlmodel_framework.datakits.bronze_pagila") is kit
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
