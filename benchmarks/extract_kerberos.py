"""Reading under Kerberos with encryption, beside psql's own COPY over the same encrypted session.

Needs the servers of .ci/services (`start_kdc`, `start_kerberos_postgres`). All ways take turns; medians are printed. psql
throws its rows away; ours arrive as record batches, and as one Parquet file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg2

__all__ = ["main"]

# TPC-H's lineitem: its columns and types, made by the server.
_TABLE = """
CREATE TABLE lineitem AS
SELECT i / 4 AS l_orderkey, i % 200000 AS l_partkey, i % 10000 AS l_suppkey, i % 7 AS l_linenumber,
    (i % 50 + 1)::numeric(15, 2) AS l_quantity, (i % 9000000 / 100.0)::numeric(15, 2) AS l_extendedprice,
    (i % 11 / 100.0)::numeric(15, 2) AS l_discount, (i % 9 / 100.0)::numeric(15, 2) AS l_tax,
    substr('ANR', i % 3 + 1, 1)::char(1) AS l_returnflag, substr('OF', i % 2 + 1, 1)::char(1) AS l_linestatus,
    date '1992-01-01' + i % 2500 AS l_shipdate, date '1992-02-01' + i % 2500 AS l_commitdate,
    date '1992-03-01' + i % 2500 AS l_receiptdate, 'DELIVER IN PERSON'::char(25) AS l_shipinstruct,
    (ARRAY['TRUCK', 'MAIL', 'SHIP', 'AIR'])[i % 4 + 1]::char(10) AS l_shipmode,
    substr(md5(i::text), 1, 10 + i % 20)::varchar(44) AS l_comment
FROM generate_series(1, {rows}) i
"""

_READ = """
import json, resource, sys, time
import pyarrow.parquet as pq
from sqlmodel_framework import PostgresConfig, PostgresConnector
request = json.loads(sys.argv[1])
connector = PostgresConnector(PostgresConfig(**request["config"]))
began = time.perf_counter()
batches = connector.extract("lineitem", parallel=request["parallel"])
rows, writer = 0, None
for batch in batches:
    rows += batch.num_rows
    if request["file"]:
        writer = writer or pq.ParquetWriter(request["file"], batch.schema)
        writer.write_batch(batch)
if writer:
    writer.close()
took = time.perf_counter() - began
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"rows": rows, "wall": took, "cpu": sum(u.ru_utime + u.ru_stime for u in used), "mb": used[0].ru_maxrss // 1024}))
"""


def main() -> int:
    """Measure and print; 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    if "TEST_KERBEROS" not in os.environ:
        parser.error(
            "TEST_KERBEROS is not set: source .ci/services, then start_kdc and start_kerberos_postgres"
        )
    _as_administrator("CREATE DATABASE extract_kerberos")
    try:
        _as_administrator(
            _TABLE.format(rows=chosen.rows),
            "GRANT SELECT ON lineitem TO alice",
            "VACUUM ANALYZE lineitem",
            database="extract_kerberos",
        )
        medians = _measure(chosen.rows, chosen.rounds)
    finally:
        _as_administrator("DROP DATABASE extract_kerberos WITH (FORCE)")
    for name, (wall, cpu, mb) in medians.items():
        ratio = wall / medians["psql, encrypted"][0]
        print(f"{name:42} {wall:7.2f} s wall {cpu:7.2f} s CPU {mb:5.0f} MB  {ratio:5.2f} x psql, encrypted")
    best = min(medians[name][0] for name in medians if name.startswith("ours, encrypted"))
    return 0 if best <= 1.3 * medians["psql, encrypted"][0] else 1


def _measure(rows: int, rounds: int) -> dict[str, tuple[float, float, float]]:
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/lineitem.parquet"
        cache = f"FILE:{folder}/tickets"
        keytab = f"{os.environ['TEST_KERBEROS']}/alice.keytab"
        os.environ["KRB5_CONFIG"] = f"{os.environ['TEST_KERBEROS']}/krb5.conf"
        os.environ["KRB5CCNAME"] = cache
        subprocess.run([_program("kinit"), "-k", "-t", keytab, "alice"], check=True)
        ways = {
            "psql, encrypted": lambda: _psql("localhost", "alice"),
            "psql, by the socket": lambda: _psql(
                os.environ["TEST_KERBEROS_POSTGRES_SOCKET"], "datakit_admin"
            ),
            "ours, encrypted, batches": lambda: _ours(rows, 1, None),
            f"ours, encrypted, batches, parallel={cores}": lambda: _ours(rows, cores, None),
            "ours, encrypted, Parquet": lambda: _ours(rows, 1, file),
            f"ours, encrypted, Parquet, parallel={cores}": lambda: _ours(rows, cores, file),
        }
        taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for number in range(rounds):
            # Whoever comes first in a round finds other caches than the last.
            names = [*ways][number % len(ways) :] + [*ways][: number % len(ways)]
            for name in names:
                taken[name].append(ways[name]())
        return {
            name: (
                statistics.median(one[0] for one in results),
                statistics.median(one[1] for one in results),
                max(one[2] for one in results),
            )
            for name, results in taken.items()
        }


def _psql(host: str, user: str) -> tuple[float, float, float]:
    target = (
        f"host={host} port={os.environ['TEST_KERBEROS_POSTGRES_PORT']} user={user} dbname=extract_kerberos"
    )
    if host == "localhost":
        target += " gssencmode=require"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with Path(os.devnull).open("wb") as nowhere:
        subprocess.run(
            [_program("psql"), "-qX", target, "-c", "COPY (SELECT * FROM lineitem) TO STDOUT (FORMAT csv)"],
            stdout=nowhere,
            check=True,
        )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed"
    return found


def _ours(rows: int, parallel: int, file: str | None) -> tuple[float, float, float]:
    config = {
        "host": "localhost",
        "port": int(os.environ["TEST_KERBEROS_POSTGRES_PORT"]),
        "database": "extract_kerberos",
        "use_kerberos": True,
        "gssencmode": "require",
    }
    request = json.dumps({"config": config, "parallel": parallel, "file": file})
    child = subprocess.run([sys.executable, "-c", _READ, request], check=True, capture_output=True, text=True)
    found = json.loads(child.stdout)
    assert found["rows"] == rows
    return found["wall"], found["cpu"], found["mb"]


def _as_administrator(*statements: str, database: str = "postgres") -> None:
    with closing(
        psycopg2.connect(
            host=os.environ["TEST_KERBEROS_POSTGRES_SOCKET"],
            port=os.environ["TEST_KERBEROS_POSTGRES_PORT"],
            user="datakit_admin",
            dbname=database,
        )
    ) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


if __name__ == "__main__":
    sys.exit(main())
