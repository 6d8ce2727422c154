"""Say what the classes of a datakit leave to each database, before any DDL: `datakit lint`."""

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
    Format,
    KitPath,
    LogFrom,
    OutputFile,
    Quiet,
    lint_by_settings,
    print_or_write,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlmodel_framework.utils.linting import LintResult

__all__ = ["app", "lint", "main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
@ends_with_exit_code
def lint(
    path: KitPath,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--for", metavar="TYPE", help="Only this type of database: sqlite, postgres or mysql; repeat it."
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="Only these findings: DL101, DL1, text-without-length, DL302:audit_*; repeat it.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Not these findings; written like --select.")
    ] = None,
    fix_hint: Annotated[
        bool, typer.Option("--fix-hint", help="Print the corrected line below each finding.")
    ] = False,
    output_format: Format = OutputFormat.text,
    output: OutputFile = None,
    log_level: LogFrom = LogLevel.WARNING,
    quiet: Quiet = False,
) -> int:
    """Say what the classes of a datakit leave to each database. Nothing is connected, and nothing is changed.

    Exit codes: 0 no finding but of severity info, 1 configuration or usage, or a module that cannot be imported, 4
    errors or warnings.
    """
    set_log_level(log_level)
    with progress(f"linting {path}", quiet=quiet or output_format is not OutputFormat.text):
        result = lint_by_settings(path, kinds or [], select or [], ignore or [], fix_hints=fix_hint)
    return _print(result, output_format, output, quiet=quiet)


def _print(result: LintResult, output_format: OutputFormat, output: Path | None, *, quiet: bool) -> int:
    import sys

    from sqlmodel_framework.utils.reports import TargetReport, render, terminal_width

    report = TargetReport(result.datakit, ", ".join(result.databases), lint=result, error=result.error)
    shown = report.exit_code or not quiet
    text = render(
        [report] if shown else [],
        output_format.value,
        kit=result.datakit,
        tables=result.tables,
        width=terminal_width() if output is None and sys.stdout.isatty() else None,
    )
    print_or_write([text] if text or output else [], output)
    return report.exit_code


def main() -> None:
    """Run this program alone."""
    run(app)


if __name__ == "__main__":
    main()
