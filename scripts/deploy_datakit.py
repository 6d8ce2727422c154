"""Deploy a datakit to one or more targets: `datakit deploy`, or `python scripts/deploy_datakit.py`, the same program."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

if __name__ == "__main__":
    # Python puts this folder first, where its files would hide modules of the same name, such as `demo`.
    sys.path[:] = [
        entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent
    ]
    if find_spec("sqlmodel_framework") is None:
        sys.exit("error: data-platform-framework is not installed; next: pip install -e . in its repository")

import typer

from sqlmodel_framework.scripts.console import (
    LogLevel,
    OutputFormat,
    ends_with_exit_code,
    print_lines,
    progress,
    run,
    set_log_level,
)

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.utils.discovery import Datakit
    from sqlmodel_framework.utils.reporting import TargetReport

__all__ = ["app", "deploy", "main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


ExistingTables = Literal["fail", "skip", "replace"]


def _list_targets(value: bool) -> None:
    if not value:
        return
    from sqlmodel_framework.config.targets import list_targets

    for name, line in list_targets().items():
        typer.echo(f"{name:20} {line}")
    raise typer.Exit


@app.command()
@ends_with_exit_code
def deploy(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="The datakit: a folder, or the name of an importable package."),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A target by name; repeat it for several. Default: sqlite_memory. See --list-targets.",
        ),
    ] = None,
    target_type: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE", help="A target from parts: sqlite, postgres or mysql, with the options below."
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="NAME", help="Database name, or SQLite file.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Host, or the folder of PostgreSQL's socket.")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="User.")] = None,
    password: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            help="Password. Other programs can see it here: rather set DATAKIT_<TARGET>_PASSWORD or PGPASSWORD, use"
            " .pgpass, or leave it out; at a terminal you are asked for it when the server wants one.",
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="A target as SQLAlchemy URL.")] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Compare the database with the classes.")
    ] = False,
    cleanup: Annotated[
        bool, typer.Option("--cleanup", help="Drop afterwards exactly what was created.")
    ] = False,
    if_exists: Annotated[
        ExistingTables,
        typer.Option(
            help="On a target that holds tables: fail, skip those that are there, or replace the datakit's own."
        ),
    ] = "fail",
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the DDL for each target and change nothing.")
    ] = False,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="Result on stdout.")
    ] = OutputFormat.text,
    list_targets: Annotated[
        bool,
        typer.Option(
            "--list-targets", callback=_list_targets, is_eager=True, help="List the targets and end."
        ),
    ] = False,
    log_level: Annotated[
        LogLevel, typer.Option(help="Log on stderr; DEBUG shows tracebacks.")
    ] = LogLevel.WARNING,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")] = False,
) -> int:
    """Deploy the tables of a datakit, and validate them.

    Exit codes: 0 done, 1 configuration or usage, 4 validation failed, 5 deployment failed, 75 try again.
    """
    set_log_level(log_level)
    from sqlmodel_framework.utils.discovery import load_datakit
    from sqlmodel_framework.utils.tables import tables_of

    parts = {
        "type": target_type,
        "database": database,
        "host": host,
        "port": port,
        "user": user,
        "password": password,
        "url": url,
    }
    targets = _targets(target or [], {name: value for name, value in parts.items() if value is not None})
    quiet_progress = quiet or output_format is OutputFormat.json
    with progress(f"reading {path}", quiet=quiet_progress):
        kit = load_datakit(path)
    for side_effect in kit.side_effects:
        typer.echo(f"warning: importing the datakit made the file {side_effect}", err=True)
    if plan:
        return _print_plan(kit, targets, output_format)

    from pydantic import SecretStr

    from sqlmodel_framework.base.errors import PasswordNeededError
    from sqlmodel_framework.utils.reporting import as_json, as_text, exit_code_of

    reports = []
    for chosen in targets:
        with progress(f"deploying {kit.name} to {chosen.name}", quiet=quiet_progress):
            report = _deploy_one(kit, chosen, if_exists, validate=validate, cleanup=cleanup)
        if isinstance(report.error, PasswordNeededError) and sys.stdin.isatty():
            chosen.close()
            chosen.password = SecretStr(
                typer.prompt(f"Password for {chosen.label}", hide_input=True, err=True)
            )
            report = _deploy_one(kit, chosen, if_exists, validate=validate, cleanup=cleanup)
        reports.append(report)
    if output_format is OutputFormat.json:
        print_lines([as_json(kit.name, [table.fullname for table in tables_of(kit.tables)], reports)])
    else:
        print_lines(as_text([r for r in reports if r.exit_code or not quiet], verbose=verbose))
    return exit_code_of(reports)


def _targets(names: list[str], parts: dict[str, Any]) -> list[TargetConfig]:
    from sqlmodel_framework.base.errors import ConfigurationError
    from sqlmodel_framework.config.targets import create_custom_target, get_target_config, target_from_url

    if "url" in parts:
        others = [
            *(f"--{name}" for name in parts if name not in ("url", "password")),
            *(["--target"] if names else []),
        ]
        if others:
            raise ConfigurationError(
                "--url and other ways to name a target exclude each other", seen=", ".join(others)
            )
        return [target_from_url(parts["url"], password=parts.get("password"))]
    if "type" in parts:
        if names:
            raise ConfigurationError(
                "--target and --target-type exclude each other", next_step="give one of them"
            )
        return [create_custom_target(**parts)]
    if len(names) > 1 and parts:
        raise ConfigurationError(
            "connection options go with one target",
            seen=f"{len(names)} targets and --{', --'.join(parts)}",
            next_step="set the fields in the environment: DATAKIT_<TARGET>_<FIELD>",
        )
    return [get_target_config(name, parts) for name in dict.fromkeys(names or ["sqlite_memory"])]


def _print_plan(kit: Datakit, targets: list[TargetConfig], output_format: OutputFormat) -> int:
    from sqlmodel_framework.utils.deployment import plan_deployment

    plans = {target.name: plan_deployment(kit.tables, target) for target in targets}
    if output_format is OutputFormat.json:
        import json

        texts = {name: [statement.text for statement in plan] for name, plan in plans.items()}
        print_lines([json.dumps({"format_version": 1, "datakit": kit.name, "plan": texts}, indent=2)])
        return 0
    for name, statements in plans.items():
        heading = f"-- {kit.name} on {name}: {len(statements)} statement{'s' if len(statements) != 1 else ''}"
        print_lines([heading, *(f"{statement.text};\n" for statement in statements)])
    return 0


def _deploy_one(
    kit: Datakit, target: TargetConfig, if_exists: Any, *, validate: bool, cleanup: bool
) -> TargetReport:
    from sqlmodel_framework.base.errors import DatakitError, TryAgainError
    from sqlmodel_framework.engines.live import cleanup_test_target
    from sqlmodel_framework.utils.deployment import deploy_data_objects
    from sqlmodel_framework.utils.reporting import TargetReport
    from sqlmodel_framework.utils.validation import validate_deployment

    report = TargetReport(target.name, target.address)
    try:
        try:
            report.deployment = deploy_data_objects(kit.tables, target, if_exists=if_exists)
            if validate:
                report.validation = validate_deployment(kit.tables, target)
        finally:
            if cleanup:
                report.cleanup = cleanup_test_target(target)
    except DatakitError as exc:
        report.error = exc
        if report.deployment is None and not isinstance(exc, TryAgainError):
            # Nothing was deployed: a file that was made for it goes too.
            target.close()
    return report


def main() -> None:
    """Run this program alone."""
    run(app)


if __name__ == "__main__":
    main()
