"""TPC-H's lineitem from PostgreSQL into one Parquet file, beside the peers, and what a small table takes.

All ways take turns, the first of a turn changing every round; medians are printed. Memory is the largest sum of the proportional
set sizes (PSS) of a way's processes, children included, sampled fifty times a second: it needs Linux. The peers are the
dependency group `bench`; a way whose package is not installed is left out. docs/benchmarks.md says what the numbers mean.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import psycopg2
import typer
from psycopg2 import sql
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table as Grid

from sqlmodel_framework import PostgresConfig, PostgresConnector, create_engine_for_target, get_target_config
from sqlmodel_framework.benchmarks.extract_ways import WAYS

Sample = dict[str, Any]

_TABLE = """
CREATE UNLOGGED TABLE lineitem (
    l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber integer NOT NULL,
    l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
    l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
    l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL,
    l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL)
"""
_PACKAGES = {"connectorx": "connectorx", "ADBC": "adbc_driver_postgresql", "dlt": "dlt", "pandas": "pandas"}
_DISTRIBUTIONS = ("pyarrow", "psycopg2-binary", "connectorx", "adbc-driver-postgresql", "dlt", "pandas")


def main(
    scale: Annotated[float, typer.Option(help="TPC-H's scale factor; 1 is 6 million rows.")] = 1,
    rounds: Annotated[int, typer.Option(help="Runs of each way.")] = 5,
    target: Annotated[str, typer.Option(help="The PostgreSQL target that is read.")] = "postgres_local",
    ways: Annotated[str, typer.Option(help="Ways to run, with semicolons; all unless given.")] = "",
    cores: Annotated[int, typer.Option(help="Readers of the parallel ways; all cores unless given.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--json", help="Also write all samples to this file.")
    ] = None,
) -> None:
    """Measure."""
    chosen = [way for way in WAYS if not ways or way in ways.split(";")]
    chosen = [way for way in chosen if installed(way)]
    cores = cores or os.cpu_count() or 1
    with get_target_config(target) as server:
        create_engine_for_target(server)
        config = PostgresConfig.from_target(server)
        made = replace(config, database=f"bench_extract_{os.getpid()}")
        administer(config, f"CREATE DATABASE {made.database}")
        try:
            rows = fill(made, scale)
            samples = measured(made, chosen, rounds, cores)
            small = small_table(made)
            about = described(made, scale, rows, cores)
        finally:
            administer(config, f"DROP DATABASE {made.database} WITH (FORCE)")
    show(samples, small, about)
    if output:
        output.write_text(json.dumps({"about": about, "samples": samples, "small": small}, indent=2))


def installed(way: str) -> bool:
    """Whether what a way needs is there."""
    if way.startswith("psql"):
        return shutil.which("psql") is not None
    package = next((module for name, module in _PACKAGES.items() if way.startswith(name)), None)
    return package is None or importlib.util.find_spec(package) is not None


def administer(config: PostgresConfig, statement: str) -> None:
    with closing(PostgresConnector(config).get_connection()) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def fill(config: PostgresConfig, scale: float) -> int:
    """Make lineitem with the generator of the package tpchgen-cli, and a table of 100 rows; gives lineitem's rows."""
    generator = shutil.which(
        "tpchgen-cli", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert generator, "the package tpchgen-cli is not installed: pip install --group bench"
    with closing(PostgresConnector(config).get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(_TABLE)
        command = [
            generator,
            "csv",
            "--scale-factor",
            str(scale),
            "--tables",
            "lineitem",
            "--stdout",
            "--quiet",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            cursor.copy_expert("COPY lineitem FROM STDIN (FORMAT csv, HEADER, FREEZE)", process.stdout)
        cursor.execute("CREATE TABLE small AS SELECT * FROM lineitem LIMIT 100")
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM lineitem")
        ((rows,),) = cursor.fetchall()
    return int(rows)


def measured(config: PostgresConfig, ways: list[str], rounds: int, cores: int) -> dict[str, list[Sample]]:
    """The samples of all ways, which take turns. What a way cannot do is an error."""
    samples: dict[str, list[Sample]] = {way: [] for way in ways}
    task = {"url": url_of(config), "table": "lineitem", "cores": cores}
    for number in range(rounds):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            with tempfile.TemporaryDirectory() as folder:
                samples[way].append(one_run(way, {**task, "file": str(Path(folder, "lineitem.parquet"))}))
            print(f"{number + 1}/{rounds} {way}: {samples[way][-1]}", file=sys.stderr, flush=True)
    return samples


def one_run(way: str, task: dict[str, Any]) -> Sample:
    """One way in a process of its own, its memory watched."""
    command = [sys.executable, str(Path(__file__).with_name("extract_ways.py")), way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.close()
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(pss(pid) for pid in family(process.pid)))
            sleep(0.02)
        printed = process.stdout.read()
    assert process.returncode == 0, way
    found: Sample = json.loads(printed.splitlines()[-1])
    return {**found, "megabytes": peak / 1e6}


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def pss(pid: int) -> int:
    """Bytes of memory, those shared with others divided among them; 0 for a process that is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def small_table(config: PostgresConfig) -> dict[str, float]:
    """Milliseconds, medians of 50 in turns: connecting, and a table of 100 rows including it."""
    connector = PostgresConnector(config)

    def connect() -> None:
        connector.get_connection().close()

    def read() -> None:
        assert sum(batch.num_rows for batch in connector.extract("small")) == 100

    took: dict[str, list[float]] = {"connect": [], "connect and read": []}
    for _ in range(50):
        for name, call in (("connect", connect), ("connect and read", read)):
            started = perf_counter()
            call()
            took[name].append(1000 * (perf_counter() - started))
    return {name: median(times) for name, times in took.items()}


def url_of(config: PostgresConfig) -> str:
    """What all peers take; the password stands in it."""
    password = config.password.get_secret_value() if isinstance(config.password, SecretStr) else ""
    user = quote(config.username or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    host = config.host or ""
    if host.startswith("/"):
        return f"postgresql://{user}@/{config.database}?{urlencode({'host': host})}"
    return f"postgresql://{user}@{host}:{config.port}/{config.database}"


def described(config: PostgresConfig, scale: float, rows: int, cores: int) -> dict[str, Any]:
    with closing(PostgresConnector(config).get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("SHOW server_version"))
        ((server,),) = cursor.fetchall()
    versions = {}
    for name in _DISTRIBUTIONS:
        with suppress(ImportError):
            versions[name] = version(name)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": scale,
        "rows": rows,
        "readers": cores,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "postgresql": server,
        "libpq": psycopg2.extensions.libpq_version(),
        **versions,
    }


def show(samples: dict[str, list[Sample]], small: dict[str, float], about: dict[str, Any]) -> None:
    console = Console(width=120)
    grid = Grid("", "seconds", "CPU", "MB", "times psql", "numeric(15,2) as")
    middle = {
        way: {key: median(one[key] for one in runs) for key in ("seconds", "cpu", "megabytes")}
        for way, runs in samples.items()
    }
    psql = middle.get("psql COPY to /dev/null")
    for way, one in middle.items():
        ratio = f"{one['seconds'] / psql['seconds']:.2f}" if psql else ""
        row = [f"{one['seconds']:.2f}", f"{one['cpu']:.2f}", f"{one['megabytes']:.0f}", ratio]
        grid.add_row(way, *row, samples[way][0]["numeric"])
    console.print(", ".join(f"{key} {value}" for key, value in about.items()))
    console.print(grid)
    read = small["connect and read"] - small["connect"]
    console.print(f"100 rows: {read:.1f} ms after connecting, which takes {small['connect']:.1f} ms")


if __name__ == "__main__":
    typer.run(main)
