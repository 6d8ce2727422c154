"""Write docs/cli.md from the help texts of the command `datakit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import typer.main
from typer.testing import CliRunner

from sqlmodel_framework.scripts.datakit import app

__all__ = ["command_names", "help_of", "main", "render"]

PAGE = Path(__file__).with_name("cli.md")
TYPER = version("typer")

_HEAD = f"""\
<!-- Made by docs/generate_cli.py with Typer {TYPER}: do not edit. -->
# Command line

`datakit` is one command with subcommands. This page shows their help texts. Results go to stdout, progress and errors to
stderr. [Exit codes](exit-codes.md) are the same for all of them.

From a clone, `python scripts/deploy_datakit.py` is the same program as `datakit deploy`.
"""


def command_names() -> list[str]:
    """The subcommands, in the order of the help text; those of a group stand below it, such as `targets list`."""
    commands = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    return [
        full
        for name, command in commands
        for full in (name, *(f"{name} {below}" for below in getattr(command, "commands", ())))
    ]


def help_of(*arguments: str) -> str:
    """The help text of `datakit` with these arguments, 80 characters wide."""
    result = CliRunner().invoke(app, [*arguments, "--help"], prog_name="datakit", env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def render() -> str:
    """The whole page."""
    return "\n".join(
        [_HEAD, *_section("datakit"), *(line for name in command_names() for line in _section(name))]
    )


def _section(name: str) -> Iterator[str]:
    arguments = [] if name == "datakit" else name.split()
    yield f"## {' '.join(['datakit', *arguments])}\n"
    yield f"```text\n{help_of(*arguments)}\n```\n"


def main() -> int:
    """Write the page; with `--check`, only say whether it is as it would be written."""
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text(encoding="utf-8") != render())
    PAGE.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
