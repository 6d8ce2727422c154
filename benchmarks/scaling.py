"""How deploying, reading and validating grow with the number of tables, and what memory validation takes.

Every size is a process of its own, so that no size pays for or profits from another.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from sqlmodel_framework.benchmarks.deploy import facts_about, measure_reading, measure_validation, seconds_of
from sqlmodel_framework.benchmarks.generated import table_classes
from sqlmodel_framework.config.targets import get_target_config
from sqlmodel_framework.engines.live import cleanup_test_target
from sqlmodel_framework.utils.deployment import deploy_data_objects, validate_deployment

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def memory_of(name: str) -> float:
    """A size of this process in MB, as Linux names it: VmRSS now, VmHWM the highest since the last reset."""
    lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="utf-8").splitlines())
    return int(lines[name].split()[0]) / 1024


def measure(tables: int, target: str, rounds: int) -> dict[str, float]:
    """One size: seconds of each step, and the megabytes that the first validation adds at its peak."""
    classes = table_classes(tables)
    with get_target_config(target) as deployed:
        deploying = seconds_of(lambda: deploy_data_objects(classes, deployed))
        before = memory_of("VmRSS")
        _RESET.write_text("5", encoding="utf-8")
        validate_deployment(classes, deployed)
        added = memory_of("VmHWM") - before
        reading = measure_reading(classes, deployed, rounds)["engine.read"]
        validating = measure_validation(classes, deployed, rounds)["validate_deployment"]
        cleaning = seconds_of(lambda: cleanup_test_target(deployed))
    return {
        "deploy s": deploying,
        "read s": median(reading),
        "validate s": median(validating),
        "cleanup s": cleaning,
        "memory before MB": before,
        "validate adds MB": added,
    }


def scaling(
    tables: Annotated[list[int], typer.Argument(help="Numbers of tables.")],
    target: Annotated[str, typer.Option(help="A target with an empty database.")] = "postgres_embedded",
    rounds: Annotated[int, typer.Option(help="Rounds of reading and validating.", min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One size in this process, as JSON.")] = False,
) -> None:
    """Measure each number of tables in a process of its own; needs Linux for the memory."""
    if as_json:
        with get_target_config(target) as looked_at:
            facts = facts_about(looked_at, tables[0])
        print(json.dumps({"server": facts["server"], **measure(tables[0], target, rounds)}))
        return
    results = {count: _in_own_process(count, target, rounds) for count in tables}
    grid = Grid(title=" and ".join(sorted({str(result.pop("server")) for result in results.values()})))
    for heading in ("tables", *next(iter(results.values()))):
        grid.add_column(heading, justify="right")
    for count, result in results.items():
        grid.add_row(f"{count:,}", *(f"{value:.3f}" for value in result.values()))
    Console(width=120).print(grid)


def _in_own_process(count: int, target: str, rounds: int) -> dict[str, float | str]:
    command = [sys.executable, __file__, str(count), "--target", target, "--rounds", str(rounds), "--json"]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float | str] = json.loads(finished.stdout)
    return result


if __name__ == "__main__":
    typer.run(scaling)
