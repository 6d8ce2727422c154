"""Compare databases that are there with the classes of a datakit: `datakit validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sqlmodel_framework.scripts.console import (
    LogLevel,
    OutputFormat,
    ends_with_exit_code,
    progress,
    run,
    set_log_level,
)
from sqlmodel_framework.scripts.options import (
    DatabaseName,
    Format,
    Host,
    Ignore,
    KitPath,
    ListTargets,
    LogFrom,
    OutputFile,
    Password,
    Port,
    ProofSeed,
    Prove,
    Proving,
    Quiet,
    RequireProof,
    Select,
    TargetNames,
    TargetType,
    Url,
    User,
    chosen_targets,
    print_reports,
    rules_for,
    run_on_each,
)

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.utils.discovery import Datakit
    from sqlmodel_framework.utils.reports import TargetReport
    from sqlmodel_framework.utils.rules import Rules

__all__ = ["app", "main", "validate"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
@ends_with_exit_code
def validate(
    path: KitPath,
    target: TargetNames = None,
    target_type: TargetType = None,
    database: DatabaseName = None,
    host: Host = None,
    port: Port = None,
    user: User = None,
    password: Password = None,
    url: Url = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict", help="Tables and columns that only the database has are findings too."
        ),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    prove: Prove = False,
    require_proof: RequireProof = False,
    seed: ProofSeed = None,
    output_format: Format = OutputFormat.text,
    output: OutputFile = None,
    list_targets: ListTargets = False,
    log_level: LogFrom = LogLevel.WARNING,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Statements that would mend it, in the format github too.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Say how a database differs from the classes of a datakit, and which DDL would mend it. Nothing is changed in it.

    Exit codes: 0 no difference, 1 configuration or usage, 4 it differs or could not be compared, 5 it cannot be read, 75
    try again.
    """
    set_log_level(log_level)
    from sqlmodel_framework.utils.discovery import load_datakit
    from sqlmodel_framework.utils.reports import exit_code_of

    targets = chosen_targets(
        target,
        type=target_type,
        database=database,
        host=host,
        port=port,
        user=user,
        password=password,
        url=url,
    )
    silent = quiet or output_format is not OutputFormat.text
    with progress(f"reading {path}", quiet=silent):
        kit = load_datakit(path)
    rules = rules_for(kit, strict, select or [], ignore or [])
    proving = Proving.asked_for(rules, prove, require_proof, seed)
    for one in targets:
        if one.ends_with_process and not silent:
            typer.echo(
                f"note: {one.name} is a new, empty database in each run; datakit deploy --validate fills one and"
                " compares it",
                err=True,
            )
    with progress(
        f"validating {', '.join(chosen.name for chosen in targets)} against {kit.name}", quiet=silent
    ):
        reports = run_on_each(targets, lambda chosen: _validate_one(kit, chosen, rules, proving))
    shown = [report for report in reports if report.exit_code or not quiet]
    print_reports(shown, kit, output_format, output, verbose=verbose or output_format is OutputFormat.text)
    return exit_code_of(reports)


def _validate_one(kit: Datakit, target: TargetConfig, rules: Rules, proving: Proving | None) -> TargetReport:
    from sqlmodel_framework.base.errors import DatakitError
    from sqlmodel_framework.utils.reports import TargetReport
    from sqlmodel_framework.utils.validation import validate_deployment

    report = TargetReport(target.name, target.address, validating=True)
    try:
        report.validation = validate_deployment(
            kit.tables, target, strict=rules.strict, select=rules.select, ignore=rules.ignore
        )
        if proving is not None:
            proving.add_to(report, kit, target)
    except DatakitError as exc:
        report.error = exc
    finally:
        target.close()
    return report


def main() -> None:
    """Run this program alone."""
    run(app)


if __name__ == "__main__":
    main()
