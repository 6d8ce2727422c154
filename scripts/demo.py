"""The demo: deploy, validate, extract, land and load, on real data, in under a minute."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from sqlmodel_framework.scripts.console import LogLevel, ends_with_exit_code, progress, set_log_level

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.utils.demo import TableCounts
    from sqlmodel_framework.utils.discovery import Datakit

__all__ = ["demo"]

_SYSTEM = "nycflights13"


@ends_with_exit_code
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the Bronze files and the SQLite database.")] = Path(
        "demo_output"
    ),
    source_url: Annotated[
        str | None, typer.Option(help="Read this PostgreSQL instead of one that the demo starts and fills.")
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="Log on stderr; DEBUG shows tracebacks.")
    ] = LogLevel.WARNING,
) -> int:
    """Run the whole road: two datakits on SQLite and a real PostgreSQL, 336,776 flights from source to tables.

    Exit codes: 0 all row counts agree, 1 configuration or usage, 2 extraction failed, 3 storage failed, 4 validation
    failed or rows differ, 5 deployment failed, 75 try again.
    """
    set_log_level(log_level)
    started = perf_counter()
    from sqlmodel_framework.base.errors import StorageError
    from sqlmodel_framework.config.targets import create_custom_target, get_target_config
    from sqlmodel_framework.utils.discovery import load_datakit

    bronze, silver = (
        load_datakit(f"sqlmodel_framework.datakits.{name}_flights") for name in ("bronze", "silver")
    )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageError(
            "the output folder cannot be made", where=str(output), seen=str(exc.strerror)
        ) from exc
    targets = [
        create_custom_target("sqlite", str(output / "flights.db"), name="sqlite_file"),
        get_target_config("postgres_embedded"),
    ]
    source = get_target_config("postgres_embedded")
    try:
        counts = _road(bronze, silver, source, source_url, targets, output / "bronze")
    finally:
        source.close()
    _print_counts(counts, [target.name for target in targets])
    agree = all(count.agree for count in counts)
    typer.echo(f"\n{_verdict(counts, agree=agree)} The road took {perf_counter() - started:.1f} s.")
    typer.echo(
        f"Look around: {output / 'bronze'} (Parquet, JSON, receipts) and {output / 'flights.db'} (SQLite)."
    )
    return 0 if agree else 4


def _road(
    bronze: Datakit,
    silver: Datakit,
    source: TargetConfig,
    source_url: str | None,
    targets: list[TargetConfig],
    bronze_path: Path,
) -> list[TableCounts]:
    from sqlmodel_framework.base.connectors.postgres import PostgresConnector
    from sqlmodel_framework.base.loaders.bronze_ingestion import BronzeIngestionPipeline
    from sqlmodel_framework.config.targets import target_from_url
    from sqlmodel_framework.utils.demo import (
        count_rows,
        fill_source,
        source_config,
        source_table,
        table_classes,
    )
    from sqlmodel_framework.utils.loading import load_rows, read_parquet

    classes = table_classes(bronze.tables)
    _say("1. A PostgreSQL source")
    if source_url is None:
        with progress("starting PostgreSQL and filling it", quiet=False):
            rows = fill_source(source, classes)
        typer.echo(f"   {rows:,} rows of nycflights13 in {len(classes)} tables")
    else:
        source = target_from_url(source_url, name="source")
        typer.echo(f"   {source.address}")
    _deploy_and_validate([bronze, silver], targets)

    _say("3. Extract from PostgreSQL and land Bronze: Parquet and JSON, one commit a table")
    connector = PostgresConnector(source_config(source))
    pipeline = BronzeIngestionPipeline(connector, bronze_path)
    landed = {}
    for table_class in classes:
        table = source_table(table_class)
        began = perf_counter()
        batch = pipeline.ingest_table(table, source_system=_SYSTEM, formats=["parquet", "json"])
        landed[table_class] = batch
        size = sum(path.stat().st_size for path in batch.paths.values()) / 1e6
        typer.echo(f"   {table:10} {batch.rows:>8,} rows {size:>7.1f} MB {perf_counter() - began:>6.2f} s")

    _say("4. Load the landed rows into the deployed tables")
    for target in targets:
        began = perf_counter()
        loaded = sum(load_rows(read_parquet(b.paths["parquet"]), c, target) for c, b in landed.items())
        typer.echo(f"   {target.name:18} {loaded:>8,} rows {perf_counter() - began:>6.2f} s")

    _say("5. Count")
    return [count_rows(c, connector.count(source_table(c)), batch, targets) for c, batch in landed.items()]


def _deploy_and_validate(kits: list[Datakit], targets: list[TargetConfig]) -> None:
    from sqlmodel_framework.base.errors import ValidationFailedError
    from sqlmodel_framework.utils.deployment import deploy_data_objects
    from sqlmodel_framework.utils.validation import validate_deployment

    _say("2. Deploy two datakits and validate them against the databases")
    for target in targets:
        for kit in kits:
            deployed = deploy_data_objects(kit.tables, target, if_exists="replace")
            validated = validate_deployment(kit.tables, target)
            typer.echo(
                f"   {target.name:18} {kit.name:15} {len(deployed.created)} tables in {deployed.seconds:.2f} s,"
                f" {len(validated.findings)} differences in {validated.seconds:.2f} s"
            )
            if not validated.success:
                raise ValidationFailedError(
                    "the database differs from the classes",
                    where=target.label,
                    seen="; ".join(map(str, validated.findings)),
                )


def _print_counts(counts: list[TableCounts], targets: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 3))
    for heading in ("table", "source", "Parquet", "JSON", *targets, ""):
        shown.add_column(heading, justify="left" if heading in ("table", "") else "right")
    for count in counts:
        numbers = (count.source, count.parquet, count.json, *(count.loaded[name] for name in targets))
        shown.add_row(count.table, *(f"{number:,}" for number in numbers), "ok" if count.agree else "DIFFER")
    Console(width=110).print(shown)


def _verdict(counts: list[TableCounts], *, agree: bool) -> str:
    if agree:
        return f"All row counts match the source: {sum(count.source for count in counts):,} rows everywhere."
    return "Row counts differ from the source: " + ", ".join(c.table for c in counts if not c.agree) + "."


def _say(line: str) -> None:
    typer.echo(f"\n{line}")
