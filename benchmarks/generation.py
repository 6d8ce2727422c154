"""Rows a second of `generate_rows` for a table of ten columns, the time to the first batch, and the memory it takes."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from sqlmodel import Field, SQLModel

from sqlmodel_framework import generate_rows
from sqlmodel_framework.base.models.columns import time_field

__all__ = ["Customer", "Order", "State", "main", "measure"]


class State(StrEnum):
    """States of an order."""

    open = "open"
    paid = "paid"
    shipped = "shipped"


class Customer(SQLModel, table=True):
    """One row per customer."""

    id: int = Field(primary_key=True)


class Order(SQLModel, table=True):
    """One row per order: ten columns."""

    id: int = Field(primary_key=True)
    customer_id: int = Field(foreign_key="customer.id")
    customer_name: str = Field(max_length=80)
    email: str = Field(max_length=120)
    note: str | None = Field(default=None, max_length=200)
    amount: Decimal = Field(max_digits=10, decimal_places=2)
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
    express: bool
    state: State


def measure(rows: int) -> dict[str, float]:
    """One run in this process: seconds, seconds to the first batch, rows a second, peak memory in MB."""
    start = time.perf_counter()
    first = 0.0
    made = 0
    for batch in generate_rows(Order, rows, seed=7):
        first = first or time.perf_counter() - start
        made += batch.num_rows
    seconds = time.perf_counter() - start
    assert made == rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": rows,
        "seconds": seconds,
        "first_batch": first,
        "rows_a_second": rows / seconds,
        "peak_mb": peak,
    }


def main() -> int:
    """Measure each number of rows in a new process, three times; print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000, 5_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        sys.stdout.write(json.dumps(measure(arguments.one)))
        return 0
    for rows in arguments.rows:
        runs = sorted(
            (_in_new_process(rows) for _ in range(arguments.rounds)), key=lambda run: run["seconds"]
        )
        shown = ", ".join(f"{name} {value:,.2f}" for name, value in runs[len(runs) // 2].items())
        sys.stdout.write(f"{shown}\n")
    return 0


def _in_new_process(rows: int) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__)), "--one", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
