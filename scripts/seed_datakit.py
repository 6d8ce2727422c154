"""Fill the deployed tables of a datakit with generated rows: `datakit seed`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

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
    Host,
    KitPath,
    ListTargets,
    LogFrom,
    OutputFile,
    Password,
    Port,
    Quiet,
    TargetNames,
    TargetType,
    Url,
    User,
    chosen_targets,
    print_or_write,
)

if TYPE_CHECKING:
    from sqlmodel_framework.base.errors import DatakitError
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.utils.discovery import Datakit
    from sqlmodel_framework.utils.seeding import SeedResult

__all__ = ["app", "main", "seed"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
@ends_with_exit_code
def seed(
    path: KitPath,
    target: TargetNames = None,
    target_type: TargetType = None,
    database: DatabaseName = None,
    host: Host = None,
    port: Port = None,
    user: User = None,
    password: Password = None,
    url: Url = None,
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", help="Rows of each table, as far as its keys allow.")
    ] = 100,
    seed_number: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same number gives the same rows.")
    ] = 0,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", metavar="[text|json]", help="Result on stdout.")
    ] = OutputFormat.text,
    output: OutputFile = None,
    list_targets: ListTargets = False,
    log_level: LogFrom = LogLevel.WARNING,
    quiet: Quiet = False,
) -> int:
    """Load generated rows into the tables of a datakit, which must be deployed and empty: all of them or none.

    A table for which no rows can be made is named, and the others have theirs.

    Exit codes: 0 done, 1 configuration or usage, or a table without rows, 5 the database refused rows, 75 try again.
    """
    set_log_level(log_level)
    from sqlmodel_framework.utils.discovery import load_datakit
    from sqlmodel_framework.utils.reports import TargetReport, exit_code_of

    _check(rows, output_format)
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
    with progress(f"seeding {', '.join(chosen.name for chosen in targets)} with {kit.name}", quiet=silent):
        seedings = [_seed_one(kit, str(path), chosen, rows, seed_number) for chosen in targets]
    shown = [seeding for seeding in seedings if seeding.exit_code or not quiet]
    if output_format is OutputFormat.json:
        print_or_write([json.dumps(_document(kit, shown), indent=2)], output)
    else:
        print_or_write([line for seeding in shown for line in _lines(seeding)], output)
    return exit_code_of([TargetReport(s.target.name, s.target.address, error=s.error) for s in seedings])


@dataclass
class _Seeding:
    target: TargetConfig
    result: SeedResult | None = None
    error: DatakitError | None = None

    @property
    def exit_code(self) -> int:
        return 0 if self.error is None else self.error.exit_code


def _check(rows: int, output_format: OutputFormat) -> None:
    from sqlmodel_framework.base.errors import ConfigurationError

    if rows < 0:
        raise ConfigurationError(
            "--rows is no number of rows", seen=str(rows), expected="a whole number from 0 on"
        )
    if output_format not in (OutputFormat.text, OutputFormat.json):
        raise ConfigurationError("unknown format", seen=output_format.value, expected="text or json")


def _seed_one(kit: Datakit, path: str, target: TargetConfig, rows: int, seed_number: int) -> _Seeding:
    from sqlmodel_framework.base.errors import DatakitError
    from sqlmodel_framework.utils.seeding import seed_tables

    seeding = _Seeding(target)
    try:
        seeding.result = seed_tables(kit.tables, target, rows, seed_number, kit=path)
        seeding.error = seeding.result.error()
    except DatakitError as exc:
        seeding.error = exc
    finally:
        target.close()
    return seeding


def _lines(seeding: _Seeding) -> Iterator[str]:
    result = seeding.result
    place = f"{seeding.target.name} ({seeding.target.address})"
    if result is None:
        yield f"FAIL {place}: nothing was loaded"
        yield f"     error: {seeding.error}"
        return
    total = sum(result.tables.values())
    verdict = "ok  " if result.success else "FAIL"
    yield f"{verdict} {place}: {total:,} rows in {len(result.tables)} tables, {result.seconds:.2f} s"
    width = max(map(len, result.tables), default=0)
    for table, count in result.tables.items():
        yield f"     {table:{width}}  {count:>9,}"
    for note in result.notes:
        yield f"     note: {note}"
    for table, why in result.failures.items():
        yield f"     no rows for {table}: {why}"


def _document(kit: Datakit, seedings: Sequence[_Seeding]) -> dict[str, Any]:
    from sqlmodel_framework.utils.reports import FORMAT_VERSION, error_as_json

    return {
        "format_version": FORMAT_VERSION,
        "datakit": kit.name,
        "success": not any(seeding.exit_code for seeding in seedings),
        "targets": [
            {
                "target": seeding.target.name,
                "address": seeding.target.address,
                "success": not seeding.exit_code,
                "exit_code": seeding.exit_code,
                "seeding": _result_document(seeding.result),
                "error": json.loads(error_as_json(seeding.error))["error"] if seeding.error else None,
            }
            for seeding in seedings
        ],
    }


def _result_document(result: SeedResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "tables": result.tables,
        "notes": list(result.notes),
        "failures": result.failures,
        "seconds": result.seconds,
    }


def main() -> None:
    """Run this program alone."""
    run(app)


if __name__ == "__main__":
    main()
