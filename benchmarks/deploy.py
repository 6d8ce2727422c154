"""Deploy, read back and validate generated tables, beside SQLAlchemy alone; and how long the programs take.

What is compared takes turns in one run, in an order that turns round every time; medians and their ratios are printed.
`make bench` runs this with its defaults, docs/benchmarks.md says what the numbers mean.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as Grid
from sqlalchemy import Engine, create_engine, inspect
from sqlmodel import SQLModel

from sqlmodel_framework.benchmarks.drift.places import place_on
from sqlmodel_framework.benchmarks.generated import Classes, table_classes
from sqlmodel_framework.config.targets import TargetConfig, get_target_config
from sqlmodel_framework.engines.live import create_engine_for_target, open_target
from sqlmodel_framework.engines.reading import Places
from sqlmodel_framework.utils.deployment import deploy_data_objects, validate_deployment
from sqlmodel_framework.utils.tables import tables_of

Timed = Callable[[], float]
Samples = dict[str, list[float]]

KIT = Path(__file__).resolve().parent.parent / "datakits" / "bronze_pagila"
GOALS_ARE_FOR = 1000


@dataclass
class Row:
    """One line of the result. `at_least` is a ratio to the rival's median, `at_most` a number of seconds."""

    name: str
    rival: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    seconds: list[float] = field(default_factory=list)

    def ratio(self, rows: Mapping[str, Row]) -> float | None:
        """How many times as fast as the rival: medians."""
        return median(rows[self.rival].seconds) / median(self.seconds) if self.rival else None

    def goal(self, rows: Mapping[str, Row]) -> tuple[str, bool]:
        """The goal in words, none for an empty text, and whether it is reached."""
        if self.at_least is not None:
            return f"at least {self.at_least} x", (self.ratio(rows) or 0) >= self.at_least
        if self.at_most is not None:
            return f"at most {self.at_most} s", median(self.seconds) <= self.at_most
        return "", True


ROWS = (
    Row("deploy_data_objects", rival="metadata.create_all", at_least=1.5),
    Row("metadata.create_all"),
    Row("engine.read", rival="Inspector, table by table", at_most=0.4),
    Row("Inspector, table by table"),
    Row("validate_deployment"),
    Row("datakit --help", rival="python -c 'import sqlmodel'", at_most=0.3),
    Row("datakit deploy --validate", rival="python -c 'import sqlmodel'", at_most=1.5),
    Row("python -c 'import sqlmodel'"),
)


def seconds_of(action: Callable[[], object]) -> float:
    """Wall time of one call, garbage collected before."""
    gc.collect()
    started = perf_counter()
    action()
    return perf_counter() - started


def take_turns(rounds: int, actions: Mapping[str, Timed]) -> Samples:
    """Run every action once a round, forwards and backwards in turns; gives the seconds that they measured."""
    samples: Samples = {name: [] for name in actions}
    for number in range(rounds):
        for name in list(actions)[:: -1 if number % 2 else 1]:
            samples[name].append(actions[name]())
    return samples


def measure_deploys(classes: Classes, target: str, rounds: int, opened: ExitStack) -> Samples:
    """Create all tables in an empty database; connecting, looking and dropping stand outside the clock."""

    def ours() -> float:
        fresh = _empty_database(target, opened)
        engine = _connected(create_engine_for_target(fresh))
        seconds = seconds_of(lambda: deploy_data_objects(classes, fresh))
        _look_and_leave(engine, len(classes))
        return seconds

    def theirs() -> float:
        fresh = _empty_database(target, opened)
        engine = _connected(create_engine(create_engine_for_target(fresh).url))
        seconds = seconds_of(lambda: _create_all(engine))
        _look_and_leave(engine, len(classes))
        return seconds

    return take_turns(rounds, {"deploy_data_objects": ours, "metadata.create_all": theirs})


def _empty_database(name: str, opened: ExitStack) -> TargetConfig:
    """A database that stays until the end: ext4 looks for a new file's place beside all that were deleted in the last minute,
    which made creating tables take three times as long after a drop.
    """
    target = opened.enter_context(get_target_config(name))
    return target if target.ends_with_process else opened.enter_context(place_on(target)).target


def _create_all(engine: Engine) -> None:
    with engine.begin() as connection:
        SQLModel.metadata.create_all(connection)


def _connected(engine: Engine) -> Engine:
    # The first connection asks the server for its version and settings: not what is measured.
    with engine.connect():
        return engine


def _look_and_leave(engine: Engine, expected: int) -> None:
    found = len(inspect(engine).get_table_names())
    assert found == expected, f"{found} tables in the database, expected {expected}"
    engine.dispose()


def measure_reading(classes: Classes, deployed: TargetConfig, rounds: int) -> Samples:
    """Read columns, types, primary and foreign keys of all tables: in bulk, and table by table."""
    tables = tables_of(classes)
    keys = [(table.schema, table.name) for table in tables]
    live = open_target(deployed)

    def bulk() -> None:
        with live.sql.connect() as connection:
            found = live.engine.read(connection, keys, Places(live.places(connection, tables)))
        assert len(found) == len(tables)

    def one_by_one() -> None:
        with live.sql.connect() as connection:
            inspector = inspect(connection)
            for table in tables:
                assert len(inspector.get_columns(table.name)) == len(table.columns)
                inspector.get_pk_constraint(table.name)
                inspector.get_foreign_keys(table.name)

    actions: dict[str, Timed] = {
        "engine.read": lambda: seconds_of(bulk),
        "Inspector, table by table": lambda: seconds_of(one_by_one),
    }
    return take_turns(rounds, actions)


def measure_validation(classes: Classes, deployed: TargetConfig, rounds: int) -> Samples:
    """Compare the deployed tables with their classes: read, create the shadow, read it, compare."""

    def validate() -> None:
        assert validate_deployment(classes, deployed).success

    return take_turns(rounds, {"validate_deployment": lambda: seconds_of(validate)})


def measure_processes(rounds: int) -> Samples:
    """Whole processes, Python's start included; `import sqlmodel` is what every program that deploys must pay."""
    datakit = str(Path(sys.executable).with_name("datakit"))
    commands = {
        "datakit --help": [datakit, "--help"],
        "datakit deploy --validate": [
            *(datakit, "deploy", str(KIT), "--target", "sqlite_memory", "--validate"),
        ],
        "python -c 'import sqlmodel'": [sys.executable, "-c", "import sqlmodel"],
    }

    def timed(command: list[str]) -> Timed:
        return lambda: seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))

    return take_turns(rounds, {name: timed(command) for name, command in commands.items()})


def facts_about(deployed: TargetConfig, count: int) -> dict[str, Any]:
    """What a number means nothing without: sizes, versions, date."""
    with create_engine_for_target(deployed).connect() as connection:
        dialect = connection.dialect
        server = f"{dialect.name} {'.'.join(map(str, dialect.server_version_info or ()))}"
    return {
        "tables": count,
        "server": f"{server} ({deployed.name})",
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("sqlalchemy", "sqlmodel", "psycopg2-binary")},
    }


def print_rows(rows: Mapping[str, Row], facts: Mapping[str, Any]) -> None:
    """Print one table; goals that are stated for 1,000 tables are judged at 1,000 tables only."""
    grid = Grid(title=f"{facts['tables']:,} tables of ten columns, {facts['server']}")
    for heading in ("", "runs", "median s", "min", "max", "compared", "goal"):
        grid.add_column(heading, justify="left" if heading in ("", "compared", "goal") else "right")
    for row in rows.values():
        numbers = [f"{value:.3f}" for value in (median(row.seconds), min(row.seconds), max(row.seconds))]
        ratio, (goal, reached) = row.ratio(rows), row.goal(rows)
        if goal and (facts["tables"] == GOALS_ARE_FOR or row.name.startswith("datakit")):
            goal += ": reached" if reached else ": MISSED"
        compared = f"{ratio:.2f} x as fast as {row.rival}" if ratio else ""
        grid.add_row(row.name, str(len(row.seconds)), *numbers, compared, goal)
    console = Console(width=150)
    console.print(grid)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)


def benchmark(
    tables: Annotated[int, typer.Option(help="How many tables to generate.", min=1)] = GOALS_ARE_FOR,
    rounds: Annotated[
        int, typer.Option(help="Rounds of deploying; half to read, twice to start.", min=1)
    ] = 7,
    target: Annotated[str, typer.Option(help="A target with an empty database.")] = "postgres_embedded",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every sample here.")] = None,
) -> None:
    """Measure side by side in one run; print medians, ratios and goals."""
    rows = {row.name: row for row in ROWS}
    classes = table_classes(tables)
    with ExitStack() as opened:
        samples = measure_deploys(classes, target, rounds, opened)
        deployed = _empty_database(target, opened)
        deploy_data_objects(classes, deployed)
        samples |= measure_reading(classes, deployed, max(3, rounds // 2))
        samples |= measure_validation(classes, deployed, rounds)
        samples |= measure_processes(rounds * 2)
        facts = facts_about(deployed, tables)
    for name, seconds in samples.items():
        rows[name].seconds = seconds
    print_rows(rows, facts)
    if json_file is not None:
        json_file.write_text(json.dumps({**facts, "seconds": samples}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(benchmark)
