"""What discovery says about a kit that cannot be read: one message in the form of the house, and a clean process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from sqlmodel_framework import DiscoveryError, load_datakit
from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.utils.tables import TableScope

WriteKit = Callable[..., Path]

FILM = "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
LANGUAGE = "class Language(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"


def process() -> list[object]:
    """What a failure must leave as it is."""
    scope = TableScope.in_use()
    finders: list[object] = [*sys.meta_path, *sys.path_hooks]
    return [scope.metadata, scope.registry, scope.content(), list(sys.path), finders, set(sys.modules)]


def failure(kit: Path | str) -> str:
    """The message, with the kit's folder as `.`; nothing of the attempt may be left in the process."""
    before = process()
    with pytest.raises(DiscoveryError) as caught:
        load_datakit(kit)
    assert caught.value.__cause__ is None
    assert process() == before
    text = str(caught.value)
    assert "Traceback" not in text
    assert "datakit_" not in text
    return text.replace(str(kit), ".") if isinstance(kit, Path) else text


def reads(folder: Path) -> list[str]:
    tables: Sequence[Any] = load_datakit(folder).tables
    return [item.__name__ for item in tables]


def test_a_path_that_is_none(tmp_path: Path) -> None:
    assert (
        failure(str(tmp_path / "missing"))
        == f"no such folder; seen: {tmp_path}/missing; next: pass a datakit's folder or an importable name"
    )
    for empty in ("", "  "):
        assert failure(empty) == (
            "no datakit is named; seen: an empty path; expected: a datakit's folder or an importable name;"
            " next: pass . for the working folder"
        )
    assert failure("a..b").startswith("no such folder; seen: a..b")
    assert failure("x" * 500).startswith(
        "no such folder, and no package of that name can be imported; seen: xxx"
    )
    assert failure("a\0b").startswith("no such folder; seen: a")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert failure(str(tmp_path / "loop")).startswith("no such folder; seen: /")


def test_a_name_that_is_none(write_kit: WriteKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        failure("no_such_package.kit") == "no such folder, and no package of that name can be imported;"
        " seen: no_such_package.kit; next: pass a datakit's folder, or install the package"
    )
    assert failure("sqlmodel_framework.datakits.no_such_kit").startswith(
        "no such folder, and no package of that name"
    )
    assert failure("sys").startswith("no such folder, and no package of that name can be imported; seen: sys")
    home = Path(__file__).parents[2]
    assert (
        failure("sqlmodel_framework.datakits.bronze_pagila.film")
        == "a datakit is a package, not a module; seen:"
        f" sqlmodel_framework.datakits.bronze_pagila.film, which is {home}/datakits/bronze_pagila/film.py;"
        " next: pass sqlmodel_framework.datakits.bronze_pagila"
    )
    write_kit("", {"kit_of_one_file.py": FILM})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert failure("kit_of_one_file").endswith(f"next: pass {tmp_path}")


def test_a_name_of_several_folders(
    write_kit: WriteKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, source in (("one", FILM), ("other", LANGUAGE)):
        write_kit(f"{place}/kits_of_two_places/kit", {f"{place}.py": source})
        monkeypatch.syspath_prepend(str(tmp_path / place))
    assert failure("kits_of_two_places.kit") == (
        f"the name stands for several folders; seen: {tmp_path}/other/kits_of_two_places/kit,"
        f" {tmp_path}/one/kits_of_two_places/kit; next: pass one of these folders"
    )
    assert reads(tmp_path / "one/kits_of_two_places/kit") == ["Film"]


def test_a_name_in_a_package_that_fails(
    write_kit: WriteKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    write_kit(
        "failing_top",
        {"__init__.py": "\nraise RuntimeError('no luck')\n", "kit/film.py": FILM, "kit/b.py": LANGUAGE},
    )
    assert failure("failing_top.kit") == (
        f"2 of 2 modules of the datakit cannot be imported ({tmp_path}/failing_top/kit); seen: "
        f"{tmp_path}/failing_top/__init__.py, line 2: RuntimeError: no luck (imported by b.py, film.py);"
        " next: correct what is listed, then read the datakit again"
    )


def test_a_literal_without_a_column_type(write_kit: WriteKit) -> None:
    source = """
        from typing import Literal

        from sqlmodel import Field, SQLModel

        class Order(SQLModel, table=True):
            id: int = Field(primary_key=True)
            state: Literal["open", "paid"] = "open"
            grade: Literal[1, 2] | None = Field(default=None, index=True)
            kind: Literal["a"] = Field(sa_type=String(1))
    """
    folder = write_kit("kit", {"order.py": "from sqlalchemy import String\n" + dedent(source)})
    with pytest.raises(DiscoveryError):
        load_datakit(folder)  # imports what corrects lines
    line = (folder / "order.py").read_text().splitlines().index("class Order(SQLModel, table=True):") + 1
    assert failure(str(folder)) == (
        f"1 of 1 modules of the datakit cannot be imported ({folder}); seen: order.py, line {line}: class Order has a"
        f" Literal without a column type: state in line {line + 2}, write"
        " state: Literal['open', 'paid'] = Field(default='open', sa_type=String(4));"
        f" grade in line {line + 3}, write"
        " grade: Literal[1, 2] | None = Field(default=None, index=True, sa_type=Integer) (from sqlalchemy import Integer);"
        " next: correct what is listed, then read the datakit again"
    )


@pytest.mark.parametrize(
    ("members", "sql_type"),
    [
        ("True, False", "Boolean"),
        ("-1, 1", "Integer"),
        ("'', None", "String(1)"),
        ("'it', None, 'longer'", "String(6)"),
        ("1, 'a'", None),
        ("b'a'", None),
        ("None", None),
        ("Kind.a", None),
    ],
)
def test_the_column_type_of_a_literal(write_kit: WriteKit, members: str, sql_type: str | None) -> None:
    source = f"""
        from enum import Enum
        from typing import Literal

        from sqlmodel import Field, SQLModel

        class Kind(Enum):
            a = 1

        class Order(SQLModel, table=True):
            id: int = Field(primary_key=True)
            one: Literal[{members}]
    """
    with pytest.raises(DiscoveryError) as caught:
        load_datakit(write_kit("kit", {"order.py": dedent(source)}))
    said = str(caught.value)
    if sql_type is None:
        assert "without a column type" not in said
    else:
        assert f"Field(sa_type={sql_type}) (from sqlalchemy import {sql_type.partition('(')[0]});" in said


def test_a_file(write_kit: WriteKit, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_kit("kit", {"film.py": FILM})
    file = str(folder / "film.py")
    assert failure(file) == f"a datakit is a folder, not a file; seen: {file}; next: pass {folder}"
    monkeypatch.chdir(folder)
    assert failure("film.py") == "a datakit is a folder, not a file; seen: film.py; next: pass ."


def test_an_empty_folder(write_kit: WriteKit) -> None:
    folder = write_kit("kit", {})
    assert (
        failure(folder)
        == "the datakit defines no table (.); seen: no Python module; expected: classes declared with table=True"
    )
    write_kit("kit", {"film.py": FILM})
    assert reads(folder) == ["Film"]


def test_no_table_lists_every_module_and_every_class(write_kit: WriteKit) -> None:
    folder = write_kit(
        "my-kit",
        {
            "base.py": "class Base(SQLModel):\n    id: int = Field(primary_key=True)\n",
            "geo/city.py": "from base import Base\nfrom pydantic import BaseModel\nclass City(Base):\n    pass\nclass Dto(BaseModel):\n    pass\n",
            "test_x.py": "",
        },
    )
    assert failure(folder) == (
        "the datakit defines no table (.); seen: 6 entries\n"
        "  module base.py\n"
        "  module geo/city.py\n"
        "  test_x.py: left out by its name\n"
        "  class Base (base.py): no table=True\n"
        "  class City (geo/city.py): no table=True\n"
        "  class Dto (geo/city.py): no SQLModel class;"
        " expected: classes declared with table=True"
    )


def test_all_failures_are_reported_together_and_a_corrected_kit_is_read(write_kit: WriteKit) -> None:
    broken = {
        "__init__.py": "from .film import Film\n",
        "film.py": FILM + "x = 1 / 0\n",
        "cast.py": "from .film import Film\n" + LANGUAGE,
        "city.py": "class City(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n",
        "country.py": "def broken(:\n",
        "crew.py": "import sys\n\nsys.exit('stop')\n",
        "deep/__init__.py": "import no_such_module\n",
        "deep/down.py": "from . import value\n",
        "deep/own.py": "raise ValueError\n",
        "missing.py": "from .city import Town\n",
        "neighbour.py": "import my_kit.nothing\n",
        "out.py": "import json\njson.loads('{')\n",
        "twice.py": "from my_kit import Film\nfrom . import film\n",
        "words.py": "raise RuntimeError('two\\n    lines')\n",
    }
    folder = write_kit("my_kit", broken)
    assert failure(folder) == (
        "13 of 14 modules of the datakit cannot be imported (.); seen: 9 failures\n"
        "  film.py, line 4: ZeroDivisionError: division by zero (imported by __init__.py, cast.py, twice.py)\n"
        "  country.py, line 2: SyntaxError: invalid syntax\n"
        "  crew.py, line 4: calls sys.exit\n"
        "  missing.py, line 2: ImportError: cannot import name 'Town' from 'my_kit.city' (./city.py)\n"
        "  neighbour.py, line 2: ModuleNotFoundError: No module named 'my_kit.nothing'\n"
        "  out.py, line 3: JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
        "  words.py, line 2: RuntimeError: two lines\n"
        "  deep/__init__.py, line 1: ModuleNotFoundError: No module named 'no_such_module' (imported by deep/down.py)\n"
        "  deep/own.py, line 2: ValueError;"
        " next: correct what is listed, then read the datakit again"
    )
    for name in set(broken) - {"__init__.py", "film.py", "city.py"}:
        (folder / name).unlink()
    write_kit(
        "my_kit",
        {
            "film.py": FILM,
            "city.py": "class Town(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n",
        },
    )
    assert reads(folder) == ["Film", "Town"]


def test_a_failure_that_a_module_bears_is_none_of_that_module(write_kit: WriteKit) -> None:
    bearing = """
        try:
            from .film import Film
        except ZeroDivisionError:
            Film = None
    """
    folder = write_kit("kit", {"cast.py": LANGUAGE + textwrap.dedent(bearing), "film.py": FILM + "1 / 0\n"})
    assert failure(folder).count("imported by") == 0
    assert "1 of 2 modules" in failure(folder)


@pytest.mark.parametrize("kind", ["folders", "package"])
def test_a_failure_in_a_neighbour_is_named_with_its_file(
    write_kit: WriteKit, tmp_path: Path, kind: str
) -> None:
    init = (
        {"__init__.py": "", "bronze/__init__.py": "", "silver/__init__.py": ""} if kind == "package" else {}
    )
    statement = "from ..bronze.film import Film\n" if kind == "package" else "from bronze.film import Film\n"
    broken = {
        "bronze/film.py": FILM + "1 / 0\n",
        "bronze/language.py": LANGUAGE.replace("Language", "Tongue"),
    }
    silver = {
        "silver/a.py": statement,
        "silver/b.py": statement,
        "silver/c.py": statement.replace("film import Film", "language import Language") + FILM,
    }
    project = write_kit("project", {**init, **broken, **silver})
    assert failure(project / "silver") == (
        "3 of 3 modules of the datakit cannot be imported (.); seen: 2 failures\n"
        f"  {tmp_path}/project/bronze/film.py, line 4: ZeroDivisionError: division by zero (imported by a.py, b.py)\n"
        f"  c.py, line 2: ImportError: cannot import name 'Language' from 'project.bronze.language' ({tmp_path}/project/bronze/language.py);"
        " next: correct what is listed, then read the datakit again"
    ).replace("3 of 3", "3 of 4" if init else "3 of 3").replace(
        "'project.bronze", "'project.bronze" if init else "'bronze"
    )
    write_kit("project", {"bronze/film.py": FILM, "bronze/language.py": LANGUAGE})
    assert reads(project / "silver") == ["Film"]
    assert reads(project / "bronze") == ["Film", "Language"]


def test_a_failure_does_not_touch_what_another_kit_uses(write_kit: WriteKit) -> None:
    project = write_kit(
        "project",
        {
            "bronze/film.py": FILM,
            "silver/a.py": "from bronze.film import Film\nclass Silver(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n",
        },
    )
    silver = load_datakit(project / "silver")
    write_kit("project", {"bronze/language.py": LANGUAGE + "1 / 0\n"})
    assert "1 of 2 modules" in failure(project / "bronze")
    write_kit("project", {"bronze/language.py": LANGUAGE})
    bronze = load_datakit(project / "bronze")
    film, language = bronze.tables
    assert film is silver.modules[0].Film
    assert film.metadata is language.metadata


def test_a_module_that_imports_a_broken_one_does_not_define_its_tables_twice(write_kit: WriteKit) -> None:
    folder = write_kit(
        "kit",
        {
            "a.py": "import film\n",
            "b.py": "import film\n",
            "film.py": FILM + "1 / 0\n",
            "z.py": "import film\n" + LANGUAGE,
        },
    )
    assert failure(folder) == (
        "4 of 4 modules of the datakit cannot be imported (.); seen: "
        "film.py, line 4: ZeroDivisionError: division by zero (imported by a.py, b.py, z.py);"
        " next: correct what is listed, then read the datakit again"
    )


def test_two_classes_with_one_table(write_kit: WriteKit) -> None:
    other = (
        LANGUAGE
        + "\nclass OldFilm(SQLModel, table=True):\n    __tablename__ = 'film'\n    id: int = Field(primary_key=True)\n"
    )
    folder = write_kit("kit", {"film.py": FILM, "old/film.py": other})
    assert failure(folder) == (
        "two classes of the datakit define the same table (.); seen: "
        "old/film.py, line 5: class OldFilm defines the table film, and so does class Film (film.py);"
        " next: rename one of the tables"
    )
    same = write_kit("same", {"film.py": other.replace("Language", "Film")})
    assert (
        "film.py, line 5: class OldFilm defines the table film, and so does class Film (film.py);"
        in failure(same)
    )
    link = "from sqlalchemy import Column, Integer, Table\nTable('film', SQLModel.metadata, Column('id', Integer))\n"
    plain = write_kit("plain", {"film.py": FILM, "link.py": link})
    assert (
        "link.py, line 3: a Table without a class defines the table film, and so does class Film"
        in failure(plain)
    )
    reverse = write_kit("reverse", {"a.py": link, "film.py": FILM})
    assert "film.py, line 2: class Film defines the table film again;" in failure(reverse)
    mixed = write_kit("mixed", {"film.py": FILM, "film2.py": FILM, "other.py": "1 / 0\n"})
    assert failure(mixed) == (
        "2 of 3 modules of the datakit cannot be imported (.); seen: 2 failures\n"
        "  film2.py, line 2: class Film defines the table film, and so does class Film (film.py)\n"
        "  other.py, line 2: ZeroDivisionError: division by zero;"
        " next: correct what is listed, then read the datakit again"
    )


def test_two_classes_with_one_table_in_two_metadata(write_kit: WriteKit) -> None:
    own = "from sqlalchemy.orm import registry\nclass Base(SQLModel, registry=registry()):\n    pass\n"
    folder = write_kit("kit", {"film.py": FILM, "own.py": own + FILM.replace("(SQLModel", "(Base")})
    assert failure(folder) == (
        "two classes of the datakit define the same table (.);"
        " seen: film by class Film (film.py) and by class Film (own.py); next: rename one of the tables"
    )


def test_two_tables_whose_names_differ_only_in_case(write_kit: WriteKit) -> None:
    upper = LANGUAGE + "    __tablename__ = 'Film'\n"
    folder = write_kit("kit", {"film.py": FILM, "language.py": upper})
    assert failure(folder) == (
        "the names of two tables of the datakit differ only in case (.);"
        " seen: film by class Film (film.py) and Film by class Language (language.py);"
        " expected: names that differ on every database; next: rename one of the tables"
    )
    other = upper + "    __table_args__ = {'schema': 'other'}\n"
    assert reads(write_kit("two_schemas", {"film.py": FILM, "language.py": other})) == ["Film", "Language"]


def test_two_classes_may_share_a_table_on_purpose(write_kit: WriteKit) -> None:
    both = "    __table_args__ = {'extend_existing': True}\n"
    source = FILM + FILM.replace("Film(", "FilmView(").replace(
        ":\n", ":\n    __tablename__ = 'film'\n" + both, 1
    )
    assert reads(write_kit("kit", {"film.py": source})) == ["Film", "FilmView"]


def test_modules_that_need_each_other_to_start(write_kit: WriteKit) -> None:
    folder = write_kit(
        "kit", {"a.py": "from b import Language\n" + FILM, "b.py": "from a import Film\n" + LANGUAGE}
    )
    assert failure(folder).startswith(
        "2 of 2 modules of the datakit cannot be imported (.); seen: "
        "b.py, line 2: ImportError: cannot import name 'Film' from partially initialized module 'kit.a'"
        " (most likely due to a circular import) (./a.py) (imported by a.py)"
    )


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, GeneratorExit])
def test_an_interrupt_passes_and_the_kit_can_be_read_again(
    write_kit: WriteKit, interrupt: type[BaseException]
) -> None:
    name = interrupt.__name__
    folder = write_kit("kit", {"a.py": LANGUAGE, "film.py": "import a\n" + FILM + f"raise {name}\n"})
    before = process()
    for _ in range(2):
        with pytest.raises(interrupt):
            load_datakit(folder)
        assert process() == before
    write_kit("kit", {"film.py": FILM})
    assert reads(folder) == ["Language", "Film"]


def test_files_that_are_no_source(write_kit: WriteKit) -> None:
    folder = write_kit("kit", {"film.py": FILM})
    (folder / "bytes.py").write_bytes(b"x = 'caf\xe9'\n")
    (folder / "nul.py").write_bytes(b"x = 1\0\n")
    (folder / "coding.py").write_bytes(b"# coding: latin99\n")
    (folder / "dangling.py").symlink_to(folder / "nowhere.py")
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    assert failure(folder) == (
        "5 of 6 modules of the datakit cannot be imported (.); seen: 5 failures\n"
        "  bytes.py, line 1: SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xe9 in position 3: unexpected end of data\n"
        "  coding.py: SyntaxError: unknown encoding: latin99\n"
        "  dangling.py: OSError: neither a file nor a link to one\n"
        "  nul.py: SyntaxError: source code string cannot contain null bytes\n"
        "  pipe.py: OSError: neither a file nor a link to one;"
        " next: correct what is listed, then read the datakit again"
    )


def test_files_and_folders_that_may_not_be_read(write_kit: WriteKit, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_kit(
        "kit", {"film.py": FILM, "secret.py": LANGUAGE, "deep/a.py": LANGUAGE.replace("Language", "Deep")}
    )
    scandir, get_data = os.scandir, SourceFileLoader.get_data

    def refuse(path: str) -> None:  # root, as whom tests may run, may read everything
        if str(path).endswith(("secret.py", "deep")):
            raise PermissionError(13, "Permission denied", path)

    def refusing_scandir(path: str) -> object:
        refuse(path)
        return scandir(path)

    def refusing_get_data(self: SourceFileLoader, path: str) -> bytes:
        refuse(path)
        return get_data(self, path)

    monkeypatch.setattr(os, "scandir", refusing_scandir)
    monkeypatch.setattr(SourceFileLoader, "get_data", refusing_get_data)
    assert failure(folder) == (
        "2 modules and folders of the datakit cannot be read (.); seen: 2 failures\n"
        "  deep: PermissionError: Permission denied\n"
        "  secret.py: PermissionError: [Errno 13] Permission denied: './secret.py';"
        " next: correct what is listed, then read the datakit again"
    )
    monkeypatch.undo()
    assert reads(folder) == ["Film", "Language", "Deep"]


def test_a_message_is_an_error_of_the_house(write_kit: WriteKit) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_datakit(write_kit("kit", {"film.py": "1 / 0"}))
    assert caught.value.exit_code == 1
    assert caught.value.what == "1 of 1 modules of the datakit cannot be imported"


def deploy(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sqlmodel_framework.scripts.datakit", "deploy", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_failure_is_one_line_in_a_terminal(write_kit: WriteKit) -> None:
    folder = write_kit("kit", {"film.py": "1 / 0"})
    result = deploy(folder, "--format", "json")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: 1 of 1 modules of the datakit cannot be imported ({folder});"
        " seen: film.py, line 2: ZeroDivisionError: division by zero;"
        " next: correct what is listed, then read the datakit again\n"
    )
    assert (
        json.loads(result.stdout)["error"]["seen"] == "film.py, line 2: ZeroDivisionError: division by zero"
    )


def test_several_failures_have_a_line_each_in_a_terminal(write_kit: WriteKit) -> None:
    folder = write_kit("kit", {"cast.py": "import nothing_of_this_name\n", "film.py": "1 / 0"})
    result = deploy(folder, "--format", "json")
    listed = (
        "2 failures\n"
        "  cast.py, line 2: ModuleNotFoundError: No module named 'nothing_of_this_name'\n"
        "  film.py, line 2: ZeroDivisionError: division by zero"
    )
    assert result.stderr == (
        f"error: 2 of 2 modules of the datakit cannot be imported ({folder}); seen: {listed};"
        " next: correct what is listed, then read the datakit again\n"
    )
    assert json.loads(result.stdout)["error"]["seen"] == listed


def test_an_empty_path_is_wrong_usage() -> None:
    result = deploy("")
    assert result.returncode == 1
    assert "error: no datakit is named; seen: an empty path" in result.stderr
