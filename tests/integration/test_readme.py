"""The commands of the README, run as a reader types them. Its Python blocks are run by test_docs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").partition("#")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


def test_the_first_screen_is_two_commands_and_ci_runs_them() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in ci if line in COMMANDS] == ["make demo", "make test"]


@pytest.mark.postgres
@pytest.mark.parametrize("command", COMMANDS[2:])
def test_a_command_of_the_readme(command: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "_container" in command:
        request.getfixturevalue("docker_engine")
    ((name, source),) = re.findall(r"```python file=(\S+)\n(.*?)```", README, re.DOTALL)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout
