"""How long comparing takes, beside Alembic, and what memory it needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from rich.console import Console
from sqlalchemy import inspect
from sqlmodel import SQLModel

from sqlmodel_framework.benchmarks.deploy import Samples, facts_about, seconds_of, take_turns
from sqlmodel_framework.benchmarks.generated import Classes, table_classes
from sqlmodel_framework.config.targets import TargetConfig, get_target_config
from sqlmodel_framework.engines.live import create_engine_for_target
from sqlmodel_framework.utils.deployment import deploy_data_objects, validate_deployment
from sqlmodel_framework.utils.expected import cache_folder

WARM, COLD, ALEMBIC, INSPECTOR = "ours, warm", "ours, cold", "Alembic", "Inspector, table by table"
GOAL = 6


@dataclass(frozen=True)
class Speed:
    """Seconds of each way, and megabytes that a cold validation adds at its peak, by number of tables."""

    server: str
    tables: int
    deploying: float
    samples: Samples
    megabytes: Mapping[int, float]

    @property
    def ratio(self) -> float:
        """How many times as fast as Alembic a warm validation is: medians."""
        return median(self.samples[ALEMBIC]) / median(self.samples[WARM])

    def lines(self) -> Iterator[str]:
        """What was measured, a line each."""
        yield f"{self.tables:,} tables of ten columns, {self.server}; deploying them took {self.deploying:.2f} s."
        for name, seconds in self.samples.items():
            spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
            yield f"{name}: {median(seconds):.2f} s, median of {len(seconds)} ({spread})"
        reached = "reached" if self.ratio >= GOAL else "MISSED"
        yield f"warm is {self.ratio:.1f} x as fast as Alembic (goal: {GOAL} x, {reached})"
        over = median(self.samples[COLD]) - self.deploying
        reached = "reached" if over <= 1 else "MISSED"
        yield f"cold takes {over:+.2f} s beside deploying (goal: at most +1 s, {reached})"
        for count, added in self.megabytes.items():
            yield f"memory at {count:,} tables: {added:.1f} MB more, {1000 * added / count:.1f} KB a table"

    def markdown(self) -> list[str]:
        """The lines as a list."""
        first, *others = self.lines()
        return [first, "", *(f"- {line}" for line in others)]

    def print(self) -> None:
        """Print the lines."""
        Console(width=150, highlight=False).print("\n".join(self.lines()))


def measure_speed(tables: int, rounds: int, target: str, sizes: list[int]) -> Speed:
    """Deploy generated tables once, then compare them with their classes in turns."""
    classes = table_classes(tables)
    with get_target_config(target) as deployed:
        deploying = seconds_of(lambda: deploy_data_objects(classes, deployed))
        samples = take_turns(rounds, _ways(classes, deployed))
        server = str(facts_about(deployed, tables)["server"])
    return Speed(server, tables, deploying, samples, {size: _megabytes(size, target) for size in sizes})


def _ways(classes: Classes, deployed: TargetConfig) -> dict[str, Callable[[], float]]:
    def validate() -> None:
        assert validate_deployment(classes, deployed).success

    def cold() -> float:
        forget()
        return seconds_of(validate)

    def warm() -> float:
        validate()
        return seconds_of(validate)

    def alembic() -> None:
        with create_engine_for_target(deployed).connect() as connection:
            assert not compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)

    def one_by_one() -> None:
        with create_engine_for_target(deployed).connect() as connection:
            inspector = inspect(connection)
            for name in inspector.get_table_names():
                inspector.get_columns(name)
                inspector.get_pk_constraint(name)
                inspector.get_foreign_keys(name)
                inspector.get_indexes(name)
                inspector.get_unique_constraints(name)
                inspector.get_check_constraints(name)
                inspector.get_table_comment(name)

    return {
        COLD: cold,
        WARM: warm,
        ALEMBIC: lambda: seconds_of(alembic),
        INSPECTOR: lambda: seconds_of(one_by_one),
    }


def forget() -> None:
    """Remove the cache of expected readings; it must be one of our own."""
    assert "DATAKIT_CACHE_DIR" in os.environ, "the user's own cache is left alone"
    shutil.rmtree(cache_folder(), ignore_errors=True)


def _megabytes(tables: int, target: str) -> float:
    """In a process of its own: what a first validation adds at its peak; needs Linux."""
    program = Path(__file__).resolve().parents[1] / "scaling.py"
    command = [sys.executable, str(program), str(tables), "--target", target, "--rounds", "1", "--json"]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    added: float = json.loads(finished.stdout)["validate adds MB"]
    return added
