"""Seconds of lint for 1,000 generated tables, without and with limits and CHECKs in all of them, and of the proof of Silver Pagila on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer

from sqlmodel_framework import (
    deploy_data_objects,
    get_target_config,
    lint_datakit,
    load_datakit,
    prove_deployment,
)
from sqlmodel_framework.benchmarks.deploy import seconds_of
from sqlmodel_framework.benchmarks.generated import table_classes
from sqlmodel_framework.utils.discovery import Datakit

__all__ = ["main"]

GOALS = {
    "lint": 1.0,
    "lint with checks": 1.0,
    "sqlite_memory": 2.0,
    "postgres_embedded": 5.0,
    "postgres_local": 5.0,
}


def lint_seconds(kit: Datakit) -> float:
    """One lint of generated tables of ten columns; the classes are there already."""
    return seconds_of(lambda: lint_datakit(kit))


def proof_seconds(target_name: str) -> float:
    """One proof of the 15 tables, deployed before."""
    kit = load_datakit("sqlmodel_framework.datakits.silver_pagila")
    with get_target_config(target_name) as target:
        deploy_data_objects(kit.tables, target)
        started = perf_counter()
        result = prove_deployment(kit.tables, target)
        seconds = perf_counter() - started
    assert len(result.proven) == len(kit.tables)
    return seconds


def main(
    tables: Annotated[int, typer.Option(min=1)] = 1000,
    rounds: Annotated[int, typer.Option(min=1)] = 7,
    target: Annotated[list[str] | None, typer.Option(help="Targets of the proof.")] = None,
) -> None:
    """Print the median, the least and the most of each, beside its goal."""
    ways: dict[str, Callable[[], float]] = {}
    for name, checks in (("lint", False), ("lint with checks", True)):
        classes = tuple(table_classes(tables, checks=checks))
        ways[name] = partial(
            lint_seconds, Datakit(name="generated", folder=Path(), modules=(), tables=classes)
        )
    for name in target or ["sqlite_memory", "postgres_embedded"]:
        ways[name] = partial(proof_seconds, name)
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(way())
    for name, seconds in samples.items():
        goal = GOALS.get(name)
        said = f", goal {goal} s: {'reached' if median(seconds) <= goal else 'MISSED'}" if goal else ""
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        typer.echo(f"{name}: {median(seconds):.2f} s, median of {rounds} ({spread}){said}")


if __name__ == "__main__":
    typer.run(main)
