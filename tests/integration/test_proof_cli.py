"""`--prove` and `--require-proof` as a process: lines, exit codes and formats."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from sqlmodel_framework.utils.reports import report_schema

pytestmark = pytest.mark.sqlite

KIT = {
    "shop.py": """
        class Shop(SQLModel, table=True):
            id: int = Field(primary_key=True)
            name: str = Field(max_length=20)
    """
}
LOSSY = {
    "shop.py": """
        from decimal import Decimal

        class Price(SQLModel, table=True):
            id: int = Field(primary_key=True)
            amount: Decimal = Field(max_digits=30, decimal_places=2)
    """
}
CIRCLE = {
    "farm.py": """
        class Hen(SQLModel, table=True):
            id: int = Field(primary_key=True)
            egg_id: int = Field(foreign_key="egg.id")

        class Egg(SQLModel, table=True):
            id: int = Field(primary_key=True)
            hen_id: int = Field(foreign_key="hen.id")
    """
}


def datakit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sqlmodel_framework.scripts.datakit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def kit(write_kit: Callable[..., Path]) -> Callable[[dict[str, str]], str]:
    return lambda files: str(write_kit("kit", files))


def test_a_deployment_that_is_proven(kit: Callable[[dict[str, str]], str], tmp_path: Path) -> None:
    done = datakit("deploy", kit(KIT), "--prove", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, note, *_ = done.stdout.splitlines()
    assert "; proven: 1 table, " in first
    assert note == "     note: sqlite enforces no lengths: 1 column not tried"


def test_a_database_is_validated_and_proven(kit: Callable[[dict[str, str]], str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    folder = kit(KIT)
    assert datakit("deploy", folder, "--url", url, cwd=tmp_path).returncode == 0
    before = (tmp_path / "shop.db").read_bytes()
    done = datakit("validate", folder, "--url", url, "--require-proof", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validated: no difference in 1 table" in done.stdout
    assert "proven: 1 table" in done.stdout
    assert (tmp_path / "shop.db").read_bytes() == before


@pytest.mark.parametrize(("option", "code"), [("--prove", 0), ("--require-proof", 4)])
def test_what_is_not_proven_fails_only_where_it_is_required(
    kit: Callable[[dict[str, str]], str], tmp_path: Path, option: str, code: int
) -> None:
    folder = kit(CIRCLE)
    text = datakit("deploy", folder, option, cwd=tmp_path)
    assert text.returncode == code, text.stderr
    word = "unverified" if code else "note"
    assert (
        f"     {word}: not proven: all 2 tables (a circle of foreign keys that cannot be null: "
        in text.stdout
    )
    document = json.loads(datakit("deploy", folder, option, "--format", "json", cwd=tmp_path).stdout)
    jsonschema.validate(document, report_schema())
    (target,) = document["targets"]
    assert target["exit_code"] == code
    assert {one["table"] for one in target["proof"]["not_proven"]} == {"hen", "egg"}
    assert target["proof"]["success"] is (code == 0)
    suite = ElementTree.fromstring(  # noqa: S314 - our own output
        datakit("deploy", folder, option, "--format", "junit", cwd=tmp_path).stdout
    )
    assert {case.get("name") for case in suite.iter("testcase") if case.find("skipped") is not None} == {
        "hen",
        "egg",
    }


@pytest.mark.parametrize("output", ["text", "json", "junit", "sarif", "github"])
def test_a_loss_is_shown_in_every_format(
    kit: Callable[[dict[str, str]], str], tmp_path: Path, output: str
) -> None:
    done = datakit("deploy", kit(LOSSY), "--prove", "--format", output, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "DK901" in done.stdout
    assert "amount" in done.stdout
    if output == "json":
        jsonschema.validate(json.loads(done.stdout), report_schema())


def test_findings_of_a_proof_can_be_ignored(kit: Callable[[dict[str, str]], str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    folder = kit(LOSSY)
    assert datakit("deploy", folder, "--url", url, cwd=tmp_path).returncode == 0
    assert datakit("validate", folder, "--url", url, "--prove", cwd=tmp_path).returncode == 4
    done = datakit(
        "validate", folder, "--url", url, "--prove", "--ignore", "DK901:price.amount", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout
    assert "note: 1 finding of the proof left out by select and ignore" in done.stdout
    selected = datakit("validate", folder, "--url", url, "--prove", "--select", "DK911", cwd=tmp_path)
    assert selected.returncode == 0, selected.stdout
    assert "note: 1 finding of the proof left out by select and ignore" in selected.stdout


def test_a_deployment_takes_rules_for_its_findings(
    kit: Callable[[dict[str, str]], str], tmp_path: Path
) -> None:
    folder = kit(LOSSY)
    assert datakit("deploy", folder, "--prove", cwd=tmp_path).returncode == 4
    for rule in (("--ignore", "DK901:price.amount"), ("--select", "DK2")):
        done = datakit("deploy", folder, "--validate", "--prove", *rule, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        assert "note: 1 finding of the proof left out by select and ignore" in done.stdout
    alone = datakit("deploy", folder, "--ignore", "DK901", cwd=tmp_path)
    assert alone.returncode == 1
    assert alone.stderr.splitlines()[-1] == (
        "error: --select and --ignore choose findings, and none are looked for; next: add --validate or --prove"
    )


def test_a_proof_takes_a_seed(kit: Callable[[dict[str, str]], str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    folder = kit(KIT)
    assert datakit("deploy", folder, "--url", url, "--prove", "--seed", "3", cwd=tmp_path).returncode == 0
    sent = []
    for seed in ("3", "3", "4"):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
            database.execute("DROP TABLE shop")
            database.execute(
                "CREATE TABLE shop (id INTEGER PRIMARY KEY, name VARCHAR(20) CHECK (id < 3 OR id > 9))"
            )
            database.execute("CREATE TRIGGER t BEFORE INSERT ON shop BEGIN SELECT RAISE(IGNORE); END")
        done = datakit(
            "validate", folder, "--url", url, "--prove", "--seed", seed, "--select", "DK9", cwd=tmp_path
        )
        assert done.returncode == 4
        sent.append(done.stdout.partition("DK9")[2])
    assert sent[0] == sent[1]
    refused = datakit("validate", folder, "--url", url, "--seed", "3", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "error: --seed goes with a proof; next: add --prove, or leave --seed out"
    )
