"""The command `datakit`: every program of this folder as a subcommand."""

from __future__ import annotations

from typing import Annotated

import typer

from sqlmodel_framework._version import __version__
from sqlmodel_framework.scripts import (
    check_source,
    demo,
    deploy_datakit,
    lint_datakit,
    seed_datakit,
    targets_datakit,
    validate_datakit,
)
from sqlmodel_framework.scripts.console import run

__all__ = ["app", "main"]

app = typer.Typer(
    name="datakit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("deploy")(deploy_datakit.deploy)
app.command("lint")(lint_datakit.lint)
app.command("validate")(validate_datakit.validate)
app.command("seed")(seed_datakit.seed)
app.command("check-source")(check_source.check_source)
app.add_typer(targets_datakit.app, name="targets")
app.command("demo")(demo.demo)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"datakit {__version__}")
        raise typer.Exit


@app.callback()
def datakit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Lint and deploy datakits, validate databases against their classes, seed, land and load rows."""


def main() -> None:
    """The console script."""
    run(app)


if __name__ == "__main__":
    main()
