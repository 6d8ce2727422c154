"""`datakit lint` as a process, and lint in the plan of a deployment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sqlmodel_framework.utils.reports import report_schema

DATAKIT = [sys.executable, "-m", "sqlmodel_framework.scripts.datakit"]
KIT = {
    "shop.py": """
        from decimal import Decimal

        class Item(SQLModel, table=True):
            sku: str = Field(primary_key=True, max_length=20)
            price: Decimal
            note: str
    """
}


@pytest.fixture
def kit(write_kit: Callable[..., Path]) -> str:
    return str(write_kit("shop", KIT))


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DATAKIT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_errors_and_warnings_end_with_4_and_nothing_is_left_behind(kit: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run("lint", kit, cwd=tmp_path)
    assert result.returncode == 4
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "FAIL shop (mysql, postgres, sqlite): linted: 2 findings (1 error, 1 warning) in 1 table"
    )
    assert lines[1].startswith(
        "     shop/shop.py:7: DL101 decimal-without-digits: item.price: expected max_digits"
    )
    assert sorted(tmp_path.rglob("*")) == before
    assert run("lint", kit, "--ignore", "DL101", cwd=tmp_path).returncode == 4
    quiet = run("lint", kit, "--ignore", "DL1", "--quiet", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_the_corrected_line_stands_below_the_finding(kit: str, tmp_path: Path) -> None:
    result = run("lint", kit, "--fix-hint", "--select", "DL102", cwd=tmp_path)
    assert result.stdout.splitlines()[2:5] == [
        "       -     note: str",
        "       +     note: str = Field(sa_type=Text)",
        "       + from sqlalchemy import Text",
    ]


def test_a_wrong_option_and_a_missing_kit_end_with_1(kit: str, tmp_path: Path) -> None:
    for arguments, said in (
        ((kit, "--for", "oracle"), "no database of this type is known; seen: oracle; expected: one of mysql"),
        ((kit, "--select", "DL77"), "a rule names no kind of finding"),
        (("nowhere/kit",), "no such folder"),
        ((kit, "--no-such-option"), "No such option"),
    ):
        result = run("lint", *arguments, cwd=tmp_path)
        assert result.returncode == 1
        assert said in result.stderr


def test_a_kit_that_does_not_import_ends_with_1_and_the_rest_is_linted(
    write_kit: Callable[..., Path], tmp_path: Path
) -> None:
    kit = write_kit("shop", {**KIT, "broken.py": "import no_such_module\n"})
    result = run("lint", str(kit), "--format", "json", cwd=tmp_path)
    assert result.returncode == 1
    document = json.loads(result.stdout)
    Draft202012Validator(report_schema()).validate(document)
    assert document["success"] is False
    assert "no_such_module" in document["error"]["seen"]
    assert [finding["code"] for finding in document["lint"]["findings"]] == ["DL101", "DL102"]


def test_settings_beside_options(kit: str, tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text('[kits.shop.lint]\nignore = ["DL101"]\ndatabases = ["mysql"]\n')
    result = run("lint", kit, "--format", "json", "--output", "lint.json", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (4, "")
    document = json.loads((tmp_path / "lint.json").read_text())
    assert document["lint"]["databases"] == ["mysql"]
    assert [finding["code"] for finding in document["lint"]["findings"]] == ["DL102"]
    assert run("lint", kit, "--for", "postgres", cwd=tmp_path).returncode == 0
    (tmp_path / "datakit.toml").write_text('[kits.shop.lint]\nignore = ["DK201"]\n')
    wrong = run("lint", kit, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "datakit.toml, section [kits.shop.lint]" in wrong.stderr
    (tmp_path / "datakit.toml").write_text('[kits.shop.lint]\nignore = ["DL101"]\n')
    # What is said of lint alone is no setting of the validation.
    assert run("validate", kit, "--url", "sqlite:///none.db", cwd=tmp_path).stderr.startswith("reading")


def test_a_plan_shows_the_findings_for_the_types_of_its_targets(kit: str, tmp_path: Path) -> None:
    plan = run("deploy", kit, "--plan", "--target", "mysql_local", "--database", "shop", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    lines = plan.stdout.splitlines()
    assert lines[0] == "-- lint of shop for mysql:"
    assert lines[1].startswith("--     shop/shop.py:7: DL101 ")
    assert lines[2].startswith("--     shop/shop.py:8: warning: DL102 ")
    assert lines[4].startswith("-- shop on mysql_local: 1 statement")
    sqlite = run("deploy", kit, "--plan", "--format", "json", cwd=tmp_path)
    document = json.loads(sqlite.stdout)
    Draft202012Validator(report_schema()).validate(document)
    assert document["lint"]["databases"] == ["sqlite"]
    assert [finding["code"] for finding in document["lint"]["findings"]] == ["DL101"]
    assert run("deploy", kit, "--plan", "--target", "postgres_local", cwd=tmp_path).stdout.startswith(
        "-- shop on"
    )
