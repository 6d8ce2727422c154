"""`datakit validate` as a process, on databases that it did not create."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sqlmodel_framework import TargetConfig, create_engine_for_target

DATAKIT = [sys.executable, "-m", "sqlmodel_framework.scripts.datakit", "validate"]
KIT = {
    "shop.py": """
        class Shop(SQLModel, table=True):
            id: int = Field(primary_key=True)
            name: str = Field(max_length=20)

        class Item(SQLModel, table=True):
            id: int = Field(primary_key=True)
            shop_id: int = Field(foreign_key="shop.id")
    """
}
SAME = """
    CREATE TABLE shop (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20) NOT NULL);
    CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, shop_id INTEGER NOT NULL REFERENCES shop (id));
"""


@pytest.fixture
def kit(write_kit: Callable[..., Path]) -> str:
    return str(write_kit("shop", KIT))


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., str]:
    """Makes a SQLite file by hand and gives its URL."""

    def make(name: str, statements: str = SAME) -> str:
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(statements)
        return f"sqlite:///{tmp_path / name}"

    return make


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DATAKIT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_an_equal_database_ends_with_0_and_is_not_touched(
    kit: str, database: Callable[..., str], tmp_path: Path
) -> None:
    url = database("same.db")
    before = (tmp_path / "same.db").read_bytes()
    result = run(kit, "--url", url, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "no difference in 2 tables" in result.stdout
    assert (tmp_path / "same.db").read_bytes() == before


def test_a_difference_ends_with_4_and_says_how_to_mend_it(
    kit: str, database: Callable[..., str], tmp_path: Path
) -> None:
    url = database("old.db", SAME.replace("VARCHAR(20)", "VARCHAR(10)"))
    result = run(kit, "--url", url, cwd=tmp_path)
    assert result.returncode == 4
    assert "DK211 column-type: shop.name: expected VARCHAR(20), found VARCHAR(10)" in result.stdout
    assert "shop__before" in result.stdout


def test_a_server_that_others_filled(kit: str, postgres_database: TargetConfig, tmp_path: Path) -> None:
    with create_engine_for_target(postgres_database).begin() as connection:
        connection.exec_driver_sql(SAME.replace("INTEGER NOT NULL PRIMARY KEY", "SERIAL PRIMARY KEY"))
    assert postgres_database.password
    arguments = ["--target-type", "postgres", "--database", str(postgres_database.database)]
    arguments += ["--host", str(postgres_database.host), "--port", str(postgres_database.port)]
    result = run(
        *(kit, *arguments, "--user", str(postgres_database.user)),
        cwd=tmp_path,
        PGPASSWORD=postgres_database.password.get_secret_value(),
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_format_is_one_whole_document(kit: str, database: Callable[..., str], tmp_path: Path) -> None:
    url = database("empty.db", "")
    outputs = {
        name: run(kit, "--url", url, "--format", name, cwd=tmp_path)
        for name in ("json", "junit", "sarif", "github")
    }
    assert {result.returncode for result in outputs.values()} == {4}
    assert {result.stderr for result in outputs.values()} == {""}
    assert json.loads(outputs["json"].stdout)["targets"][0]["validation"]["counts"]["error"] == 2
    assert ElementTree.fromstring(outputs["junit"].stdout).find("testsuite") is not None  # noqa: S314 - our own
    location = json.loads(outputs["sarif"].stdout)["runs"][0]["results"][0]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"].endswith("shop.py")
    assert outputs["github"].stdout.count("::error file=") == 2


def test_an_output_file_is_whole_or_not_there(kit: str, database: Callable[..., str], tmp_path: Path) -> None:
    url = database("empty.db", "")
    result = run(kit, "--url", url, "--format", "json", "--output", "report.json", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (4, "")
    assert json.loads((tmp_path / "report.json").read_text())["success"] is False
    refused = run(kit, "--url", url, "--output", "nowhere/report.json", cwd=tmp_path)
    assert refused.returncode == 3
    assert "the report could not be written" in refused.stderr


def test_several_targets_end_in_one_table(kit: str, database: Callable[..., str], tmp_path: Path) -> None:
    database("same.db")
    database("empty.db", "")
    (tmp_path / "datakit.toml").write_text(
        "".join(
            f'[targets.{name}]\ntype = "sqlite"\ndatabase = "{file}"\n'
            for name, file in (("good", "same.db"), ("bad", "empty.db"), ("gone", "none.db"))
        )
    )
    result = run(kit, *("--target", "good", "--target", "bad", "--target", "gone"), cwd=tmp_path)
    assert result.returncode == 4
    rows = [
        line.split() for line in result.stdout.splitlines() if line.startswith(("table ", "item ", "shop "))
    ]
    assert rows == [
        ["table", "good", "bad", "gone"],
        ["shop", "ok", "missing", "not", "reached"],
        ["item", "ok", "missing", "not", "reached"],
    ]


def test_settings_say_what_counts_for_this_datakit(
    kit: str, database: Callable[..., str], tmp_path: Path
) -> None:
    url = database("more.db", SAME + "CREATE TABLE theirs (a INTEGER); CREATE INDEX by_hand ON shop (name);")
    settings = tmp_path / "datakit.toml"
    settings.write_text('[validation]\nstrict = true\n[kits.shop]\nignore = ["DK602:shop.*"]\n')
    assert "DK103" in run(kit, "--url", url, cwd=tmp_path).stdout
    quiet = run(kit, "--url", url, "--no-strict", cwd=tmp_path)
    assert quiet.returncode == 0
    assert "1 finding left out by select and ignore" in quiet.stdout
    for wrong, words in (
        ('[kits.shop]\nignore = "DK6"\n', "ignore"),
        ("[kits.shop]\nfoo = 1\n", "unknown field"),
        ('[validation]\nselect = ["DK999"]\n', f"{settings}, section [validation]"),
        ('[kits.shop]\nignore = ["DK999"]\n', f"{settings}, section [kits.shop]"),
    ):
        settings.write_text(wrong)
        result = run(kit, "--url", url, cwd=tmp_path)
        assert result.returncode == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 1, "no target is named"),
        (["--url", "sqlite:///none.db"], 1, "the database file does not exist"),
        (["--url", "sqlite:///same.db", "--select", "DK999"], 1, "names no kind of finding"),
        (["--url", "sqlite:///same.db", "--format", "xml"], 1, "xml"),
        (["--url", "postgresql://nobody@127.0.0.1:1/none"], 75, "not reach"),
        (["--target", "sqlite_memry"], 1, "did you mean sqlite_memory?"),
    ],
)
def test_mistakes_end_in_one_message(
    arguments: list[str], code: int, words: str, kit: str, database: Callable[..., str], tmp_path: Path
) -> None:
    database("same.db")
    result = run(kit, *arguments, cwd=tmp_path)
    assert result.returncode == code, result.stdout + result.stderr
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "none.db").exists()
