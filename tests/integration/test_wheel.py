"""The wheel: what is in it, that it runs without extras, and that an older SQLModel gives the same tables."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("base", "config", "datakits", "engines", "scripts", "utils")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    copy.mkdir()
    for name in (
        *PACKAGES,
        "__init__.py",
        "_version.py",
        "py.typed",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    ):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, copy / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(copy)]
    subprocess.run(command, check=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    expected = {
        "sqlmodel_framework/__init__.py",
        "sqlmodel_framework/_version.py",
        "sqlmodel_framework/py.typed",
        "sqlmodel_framework/utils/reports/report.schema.json",
    }
    for package in PACKAGES:
        expected |= {
            f"sqlmodel_framework/{path.relative_to(ROOT)}" for path in (ROOT / package).rglob("*.py")
        }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_wheel_runs_without_extras(wheel: Path, tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin" / "python")
    subprocess.run([python, *PIP[1:], "install", str(wheel)], check=True)
    datakit = str(environment / "bin" / "datakit")
    kit = write_kit(
        "kit", {"one.py": "class One(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"}
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [datakit, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )

    for path in (str(kit), "sqlmodel_framework.datakits.silver_pagila"):
        deployed = run("deploy", path, "--target", "sqlite_memory", "--validate")
        assert deployed.returncode == 0, deployed.stderr
        assert "no difference" in deployed.stdout
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE one (id INTEGER PRIMARY KEY NOT NULL, extra TEXT)")
    assert run("validate", str(kit), "--url", "sqlite:///theirs.db").returncode == 0
    strict = run("validate", str(kit), "--url", "sqlite:///theirs.db", "--strict", "--format", "json")
    assert strict.returncode == 4
    (finding,) = json.loads(strict.stdout)["targets"][0]["validation"]["findings"]
    assert finding["ddl"] == ["ALTER TABLE one DROP COLUMN extra"]
    assert run("--help").returncode == 0
    embedded = run("deploy", str(kit), "--target", "postgres_embedded")
    assert embedded.returncode == 1
    assert 'pip install "data-platform-framework[embedded]"' in embedded.stdout
    demo = run("demo")
    assert demo.returncode == 1
    assert "needs the extra" in demo.stderr


OLD = """
import sys, warnings
warnings.simplefilter("error")
from datetime import datetime, timezone
import sqlmodel, sqlalchemy
from sqlmodel import Session, select
from sqlmodel_framework import (
    create_engine_for_target, deploy_data_objects, get_target_config, load_datakit, plan_deployment, validate_deployment,
)
assert sqlmodel.__version__ == sys.argv[1], sqlmodel.__version__
for name in ("bronze_pagila", "silver_pagila", "bronze_flights", "silver_flights"):
    kit = load_datakit(f"sqlmodel_framework.datakits.{name}")
    for target_name in ("sqlite_memory", "postgres_embedded"):
        with get_target_config(target_name) as target:
            deploy_data_objects(kit.tables, target)
            assert validate_deployment(kit.tables, target)["success"]
            for statement in plan_deployment(kit.tables, target):
                print(statement.text)
            if name == "silver_flights":
                airline = next(c for c in kit.tables if c.__name__ == "Airline")
                with Session(create_engine_for_target(target)) as session:
                    session.add(airline(carrier_code="ZZ", name="Zed"))
                    session.commit()
                    stamp = session.exec(select(airline)).one().silver_load_timestamp
                    assert stamp.utcoffset().total_seconds() == 0
                    assert abs((datetime.now(timezone.utc) - stamp).total_seconds()) < 60
"""


@pytest.mark.postgres
def test_an_older_sqlmodel_gives_the_same_tables_and_times(tmp_path: Path) -> None:
    import sqlmodel

    older = tmp_path / "older"
    command = [*PIP, "install", "--target", str(older), "sqlmodel==0.0.25", "sqlalchemy>=2.0.40,<2.1"]
    subprocess.run(command, check=True)
    printed = []
    for version, path in (("0.0.25", str(older)), (sqlmodel.__version__, "")):
        environment = {**os.environ, "PYTHONPATH": path}
        result = subprocess.run(
            [sys.executable, "-c", OLD, version],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert result.returncode == 0, result.stderr
        printed.append(result.stdout)
    assert printed[0] == printed[1] != ""
