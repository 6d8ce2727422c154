"""Deploy a datakit to one or more targets: `datakit deploy`, or `python scripts/deploy_datakit.py`, the same program."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
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
    lint_by_settings,
    print_or_write,
    print_reports,
    rules_for,
    run_on_each,
)

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.engines.ddl import Statement
    from sqlmodel_framework.utils.discovery import Datakit
    from sqlmodel_framework.utils.linting import LintResult
    from sqlmodel_framework.utils.reports import TargetReport
    from sqlmodel_framework.utils.rules import Rules

__all__ = ["app", "deploy", "main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

ExistingTables = Literal["fail", "skip", "replace"]


@app.command()
@ends_with_exit_code
def deploy(
    path: KitPath,
    target: TargetNames = None,
    target_type: TargetType = None,
    database: DatabaseName = None,
    host: Host = None,
    port: Port = None,
    user: User = None,
    password: Password = None,
    url: Url = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Compare the database with the classes.")
    ] = False,
    prove: Prove = False,
    require_proof: RequireProof = False,
    seed: ProofSeed = None,
    select: Select = None,
    ignore: Ignore = None,
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
    output_format: Format = OutputFormat.text,
    output: OutputFile = None,
    list_targets: ListTargets = False,
    log_level: LogFrom = LogLevel.WARNING,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every table.")] = False,
    quiet: Quiet = False,
) -> int:
    """Deploy the tables of a datakit to sqlite_memory or the targets named, and validate them.

    Exit codes: 0 done, 1 configuration or usage, 4 validation failed, 5 deployment failed, 75 try again.
    """
    set_log_level(log_level)
    from sqlmodel_framework.utils.discovery import load_datakit
    from sqlmodel_framework.utils.reports import exit_code_of

    targets = chosen_targets(
        target,
        "sqlite_memory",
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
    for side_effect in kit.side_effects:
        typer.echo(f"warning: importing the datakit made the file {side_effect}", err=True)
    if plan:
        return _print_plan(kit, targets, if_exists, output_format, output)
    rules = rules_for(kit, None, select or [], ignore or [])
    proving = Proving.asked_for(rules, prove, require_proof, seed)
    if (select or ignore) and not (validate or proving):
        _refuse_rules()
    with progress(f"deploying {kit.name} to {', '.join(one.name for one in targets)}", quiet=silent):
        reports = run_on_each(
            targets,
            lambda one: _deploy_one(
                kit, one, if_exists, rules if validate else None, proving, cleanup=cleanup
            ),
        )
    shown = [report for report in reports if report.exit_code or not quiet]
    print_reports(shown, kit, output_format, output, verbose=verbose)
    return exit_code_of(reports)


def _refuse_rules() -> None:
    from sqlmodel_framework.base.errors import ConfigurationError

    raise ConfigurationError(
        "--select and --ignore choose findings, and none are looked for",
        next_step="add --validate or --prove",
    )


def _print_plan(
    kit: Datakit,
    targets: list[TargetConfig],
    if_exists: ExistingTables,
    output_format: OutputFormat,
    output: Path | None,
) -> int:
    from sqlmodel_framework.base.errors import ConfigurationError
    from sqlmodel_framework.utils.deployment import plan_deployment

    plans = {target.name: plan_deployment(kit.tables, target) for target in targets}
    lint = lint_by_settings(kit, sorted({target.type for target in targets}))
    if output_format is OutputFormat.json:
        import json

        from sqlmodel_framework.utils.reports import lint_document

        texts = {name: [statement.text for statement in plan] for name, plan in plans.items()}
        document = {"format_version": 1, "datakit": kit.name, "plan": texts, "lint": lint_document(lint)}
        lines = [json.dumps(document, indent=2)]
    elif output_format is OutputFormat.text:
        heads = [_drops_first(kit)] if if_exists == "replace" else []
        lines = [*_lint_lines(lint)]
        lines += (line for name, plan in plans.items() for line in _plan_lines(kit.name, name, plan, heads))
    else:
        raise ConfigurationError(
            "a plan has no such format", seen=output_format.value, expected="text or json"
        )
    print_or_write(lines, output)
    return 0


def _lint_lines(lint: LintResult) -> Iterator[str]:
    """What lint finds for the types of the targets, as comments in SQL."""
    from sqlmodel_framework.utils.reports.text import finding_lines

    if lint.findings:
        yield f"-- lint of {lint.datakit} for {', '.join(lint.databases)}:"
        yield from (f"--{line}" for line in finding_lines(lint.findings, verbose=False))
        yield ""


def _plan_lines(
    kit: str, target: str, statements: Sequence[Statement], heads: Sequence[str]
) -> Iterator[str]:
    comments = [statement.text for statement in statements if statement.text.startswith("--")]
    texts = [statement.text for statement in statements if not statement.text.startswith("--")]
    yield f"-- {kit} on {target}: {len(texts)} statement{'s' if len(texts) != 1 else ''}"
    yield from (*heads, *comments)
    yield from (f"{text};\n" for text in texts)


def _drops_first(kit: Datakit) -> str:
    from sqlmodel_framework.utils.tables import tables_of

    names = ", ".join(table.fullname for table in tables_of(kit.tables))
    return f"-- tables of these names that are there are dropped first, with their rows: {names}"


def _deploy_one(
    kit: Datakit,
    target: TargetConfig,
    if_exists: Any,
    rules: Rules | None,
    proving: Proving | None,
    *,
    cleanup: bool,
) -> TargetReport:
    from sqlmodel_framework.base.errors import DatakitError, TryAgainError
    from sqlmodel_framework.engines.live import cleanup_test_target
    from sqlmodel_framework.utils.deployment import deploy_data_objects
    from sqlmodel_framework.utils.reports import TargetReport
    from sqlmodel_framework.utils.validation import validate_deployment

    report = TargetReport(target.name, target.address)
    try:
        try:
            report.deployment = deploy_data_objects(kit.tables, target, if_exists=if_exists)
            if rules is not None:
                report.validation = validate_deployment(
                    kit.tables, target, strict=rules.strict, select=rules.select, ignore=rules.ignore
                )
            if proving is not None:
                proving.add_to(report, kit, target)
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
