"""The ways of getting one PostgreSQL table into one Parquet file, each run as a process of its own.

`python extract_ways.py NAME` reads one line of JSON from standard input (url, table, file, cores) and prints one: seconds and
CPU seconds from before connecting to the finished file, and the Arrow type that a numeric(15,2) arrived as. What is imported
is imported before. Peers are used as their own documentation shows it for tables that do not fit into memory.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

Way = Callable[[], Callable[[dict[str, Any]], None]]


def ours(parallel: bool) -> Way:
    def imported() -> Callable[[dict[str, Any]], None]:
        import pyarrow.parquet  # noqa: F401 - outside the clock

        from sqlmodel_framework import PostgresConfig, PostgresConnector

        def run(task: dict[str, Any]) -> None:
            connector = PostgresConnector(PostgresConfig.from_url(task["url"]))
            write(connector.extract(task["table"], parallel=task["cores"] if parallel else 1), task["file"])

        return run

    return imported


def psql() -> Callable[[dict[str, Any]], None]:
    program = shutil.which("psql")
    assert program

    def run(task: dict[str, Any]) -> None:
        statement = f"COPY (SELECT * FROM {task['table']}) TO STDOUT (FORMAT csv)"
        subprocess.run([program, "-qXc", statement, task["url"]], stdout=subprocess.DEVNULL, check=True)

    return run


def connectorx(parallel: bool) -> Way:
    def imported() -> Callable[[dict[str, Any]], None]:
        import connectorx as cx
        import pyarrow.parquet  # noqa: F401 - outside the clock

        def run(task: dict[str, Any]) -> None:
            parts = {"partition_on": "l_orderkey", "partition_num": task["cores"]} if parallel else {}
            batches = cx.read_sql(
                task["url"],
                f"SELECT * FROM {task['table']}",
                return_type="arrow_stream",
                batch_size=65_536,
                **parts,
            )
            write(batches, task["file"])

        return run

    return imported


def adbc() -> Callable[[dict[str, Any]], None]:
    import adbc_driver_postgresql.dbapi as driver
    import pyarrow.parquet  # noqa: F401 - outside the clock

    def run(task: dict[str, Any]) -> None:
        with driver.connect(task["url"]) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {task['table']}")
            write(cursor.fetch_record_batch(), task["file"])

    return run


def pandas() -> Callable[[dict[str, Any]], None]:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet
    from sqlalchemy import create_engine

    def run(task: dict[str, Any]) -> None:
        engine = create_engine(task["url"].replace("postgresql://", "postgresql+psycopg2://"))
        with engine.connect().execution_options(stream_results=True) as connection:
            chunks = pd.read_sql(f"SELECT * FROM {task['table']}", connection, chunksize=65_536)
            tables = (pa.Table.from_pandas(chunk, preserve_index=False) for chunk in chunks)
            write((batch for table in tables for batch in table.to_batches()), task["file"])

    return run


def dlt(backend: str) -> Way:
    def imported() -> Callable[[dict[str, Any]], None]:
        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
        import dlt
        from dlt.sources.sql_database import sql_table

        def run(task: dict[str, Any]) -> None:
            with tempfile.TemporaryDirectory() as folder:
                pipeline = dlt.pipeline(
                    "extract",
                    pipelines_dir=folder,
                    destination=dlt.destinations.filesystem(Path(folder, "out").as_uri()),
                    dataset_name="tpch",
                )
                url = task["url"].replace("postgresql://", "postgresql+psycopg2://")
                table = sql_table(url, table=task["table"], backend=backend, chunk_size=65_536)
                pipeline.run(table, loader_file_format="parquet")
                (made,) = Path(folder, "out", "tpch", task["table"]).glob("*.parquet")
                made.rename(task["file"])

        return run

    return imported


def write(batches: Iterable[Any], file: str) -> None:
    """Into one Parquet file, with the writer's defaults."""
    import pyarrow.parquet as pq

    writer = None
    try:
        for batch in batches:
            if writer is None:
                writer = pq.ParquetWriter(file, batch.schema)
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()


WAYS: dict[str, Way] = {
    "ours": ours(parallel=False),
    "ours, parallel": ours(parallel=True),
    "psql COPY to /dev/null": psql,
    "connectorx": connectorx(parallel=False),
    "connectorx, parallel": connectorx(parallel=True),
    "ADBC": adbc,
    "dlt, connectorx": dlt("connectorx"),
    "dlt, pyarrow": dlt("pyarrow"),
    "pandas, chunks": pandas,
}


def main() -> None:
    """Run one way."""
    task = json.loads(sys.stdin.readline())
    run = WAYS[sys.argv[1]]()
    before, started = cpu(), perf_counter()
    run(task)
    seconds = perf_counter() - started
    spent = cpu() - before
    print(json.dumps({"seconds": seconds, "cpu": spent, **kept(task["file"])}))


def kept(file: str) -> dict[str, Any]:
    """Rows of the file, and what became of its decimals."""
    if not Path(file).exists():
        return {"rows": None, "numeric": ""}
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as read:
        return {"rows": read.metadata.num_rows, "numeric": str(read.schema_arrow.field("l_quantity").type)}


def cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
