"""Kerberos against a real KDC: whose ticket is used, how it is renewed, and each reason why there is no connection."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time as clock
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sqlmodel_framework import (
    BronzeIngestionPipeline,
    ConfigurationError,
    DatakitError,
    PostgresConfig,
    PostgresConnector,
    TryAgainError,
)
from sqlmodel_framework.base.connectors.connection_causes import cause_named
from sqlmodel_framework.base.connectors.postgres_login import ticket_of
from sqlmodel_framework.tests.integration.secured_server import SecuredServer, false_clock

pytestmark = pytest.mark.postgres

PAGILA = Path(__file__).parents[3] / "shared" / "data" / "pagila" / "pagila.sql.gz"
WHO = (
    "SELECT current_user::text, principal, encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"
    " AND gss_authenticated"
)


def who(config: PostgresConfig) -> tuple[str, str, bool] | None:
    """The role, the principal and whether the session is encrypted, as the server sees it; None without a ticket."""
    with closing(PostgresConnector(config).get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(WHO)
        row: tuple[str, str, bool] | None = cursor.fetchone()
        return row


ALICE = ("alice", "alice@DATAKIT.TEST", True)


@pytest.mark.parametrize("gssencmode", [None, "prefer", "require"])
def test_the_session_is_the_ticket_owner_s_and_encrypted(
    secured: SecuredServer, gssencmode: str | None
) -> None:
    assert who(secured.with_keytab(gssencmode=gssencmode)) == ALICE


def test_without_encryption_the_ticket_still_authenticates(secured: SecuredServer) -> None:
    config = secured.with_keytab(username="in_the_clear", gssencmode="disable")
    assert who(config) == ("in_the_clear", "alice@DATAKIT.TEST", False)


def test_the_ticket_of_the_process_is_used(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", secured.kinit(tmp_path / "own", "alice"))
    assert who(secured.config(use_kerberos=True)) == ALICE


def test_a_named_cache_stands_above_the_process_s(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", secured.kinit(tmp_path / "own", "eve@OTHER.TEST"))
    named = secured.kinit(tmp_path / "named", "alice")
    assert who(secured.config(use_kerberos=True, credential_cache=named)) == ALICE
    assert os.environ["KRB5CCNAME"] == f"FILE:{tmp_path / 'own'}"


def test_a_role_that_is_named_stands_above_the_ticket_s(
    secured: SecuredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", "in_the_clear")
    config = secured.with_keytab(gssencmode="disable")
    assert who(config) == ("in_the_clear", "alice@DATAKIT.TEST", False)
    assert who(secured.with_keytab(username="alice")) == ALICE


def test_the_server_s_service_has_a_name(secured: SecuredServer) -> None:
    assert who(secured.with_keytab(krbsrvname="postgres")) == ALICE
    check = PostgresConnector(secured.with_keytab(krbsrvname="pg")).check()
    assert check.failure is not None
    assert check.failure.why == "Server pg/localhost@DATAKIT.TEST not found in Kerberos database"


def test_a_keytab_needs_no_program_no_home_and_no_file(secured: SecuredServer, tmp_path: Path) -> None:
    """As in a container that holds Python and nothing else."""
    code = (
        "import json, sys; from sqlmodel_framework import PostgresConfig, PostgresConnector;"
        "connector = PostgresConnector(PostgresConfig(**json.loads(sys.argv[1])));"
        f"print(connector.read_dataframe({WHO!r}, query=True).values.tolist())"
    )
    fields = {
        "host": "localhost",
        "port": secured.port,
        "database": "postgres",
        "use_kerberos": True,
        "keytab": secured.file("alice.keytab"),
    }
    child = subprocess.run(
        [sys.executable, "-c", code, json.dumps(fields)],
        env={
            "KRB5_CONFIG": secured.file("krb5.conf"),
            "PATH": "",
            "HOME": "/nonexistent",
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout == "[['alice', 'alice@DATAKIT.TEST', True]]\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_ticket_of_a_keytab_is_renewed(secured: SecuredServer, tmp_path: Path, in_memory: bool) -> None:
    cache = None if in_memory else f"FILE:{tmp_path / 'tickets'}"
    config = secured.with_keytab("short_lived", credential_cache=cache)
    expected = ("short_lived", "short_lived@DATAKIT.TEST", True)
    assert who(config) == expected
    first = ticket_of(config).seconds_left
    assert first is not None
    assert first <= 8
    clock.sleep(first + 1)
    assert who(config) == expected
    assert (tmp_path / "tickets").exists() is not in_memory


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_ticket_is_renewed_as_soon_as_the_kdc_is_back(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    """The library waits half a minute after a renewal that failed, also with an expired ticket."""
    cache = None if in_memory else f"FILE:{tmp_path / 'tickets'}"
    config = secured.with_keytab("short_lived", credential_cache=cache, gssencmode="require")
    assert who(config) is not None
    with monkeypatch.context() as silent:
        silent_kdc(secured, tmp_path, silent)
        left = ticket_of(config).seconds_left
        clock.sleep(5)
        # A renewal is due and fails; the ticket still serves.
        assert ticket_of(config).seconds_left
        clock.sleep(left or 0)
        with pytest.raises(TryAgainError, match="Cannot contact any KDC"):
            who(config)
    assert who(config) == ("short_lived", "short_lived@DATAKIT.TEST", True)


def test_threads_renew_one_ticket_together(secured: SecuredServer) -> None:
    config = secured.with_keytab("short_lived", gssencmode="require")
    for _ in range(2):
        with ThreadPoolExecutor(8) as threads:
            left = [one.seconds_left for one in threads.map(ticket_of, [config] * 32)]
        assert all(left)
        clock.sleep(9)


def test_sources_with_tickets_of_their_own_do_not_mix_in_threads(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", secured.kinit(tmp_path / "own", "alice"))
    environment = dict(os.environ)
    sources = [
        (secured.with_keytab("bob"), ("bob", "bob@DATAKIT.TEST", True)),
        (secured.with_keytab("alice"), ALICE),
        (secured.config(use_kerberos=True), ALICE),
        (
            secured.with_keytab("alice", username="in_the_clear", gssencmode="disable"),
            ("in_the_clear", "alice@DATAKIT.TEST", False),
        ),
        (secured.config(username="password_reader", password=secured.password, gssencmode="disable"), None),
    ]

    def connect(number: int) -> bool:
        config, expected = sources[number % len(sources)]
        return who(config) == expected

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(connect, range(60))) == [True] * 60
    assert dict(os.environ) == environment


def test_a_password_of_the_environment_is_not_sent(
    secured: SecuredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", secured.password)
    config = secured.with_keytab(username="password_reader")
    with pytest.raises(ConfigurationError, match="requirement"):
        who(config)


def test_a_check_of_what_works_shows_the_way(secured: SecuredServer) -> None:
    check = PostgresConnector(secured.with_keytab()).check()
    assert check.success
    assert check["success"]
    assert re.sub(r"\d+ h \d+ min", "… min", str(check)) == (
        f"source postgresql://localhost:{secured.port}/postgres\n"
        "  ok      find the host            127.0.0.1\n"
        f"  ok      reach the server         localhost:{secured.port} answers\n"
        "  ok      hold a ticket            alice@DATAKIT.TEST, … min left\n"
        "  ok      get the server's ticket  postgres/localhost\n"
        "  ok      encrypt                  by GSSAPI, authenticated by the ticket of alice@DATAKIT.TEST\n"
        "  ok      log in                   as alice\n"
        "  ok      open the database        postgres\n"
        "  ok      read                     0 of 0 tables and views of schema public"
    )


# Failures: each makes a source that is right but for one thing.

Broken = Callable[[SecuredServer, Path, pytest.MonkeyPatch], PostgresConfig]


def no_ticket(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.config(use_kerberos=True)


def no_ticket_and_a_role(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.config(use_kerberos=True, username="alice", gssencmode="require")


def no_such_cache(server: SecuredServer, folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.config(use_kerberos=True, credential_cache=f"FILE:{folder / 'absent'}")


def unknown_kind_of_cache(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.config(use_kerberos=True, credential_cache="SHOEBOX:tickets")


def expired(server: SecuredServer, folder: Path, environment: pytest.MonkeyPatch) -> PostgresConfig:
    environment.setenv("KRB5CCNAME", server.kinit(folder / "old", "alice", "-l", "1s"))
    clock.sleep(2)
    return server.config(use_kerberos=True)


def other_realm(server: SecuredServer, folder: Path, environment: pytest.MonkeyPatch) -> PostgresConfig:
    environment.setenv("KRB5CCNAME", server.kinit(folder / "other", "eve@OTHER.TEST"))
    return server.config(use_kerberos=True, username="alice")


def unknown_realm(server: SecuredServer, folder: Path, environment: pytest.MonkeyPatch) -> PostgresConfig:
    cache = server.kinit(folder / "own", "alice")
    rewritten(server, folder, environment, "DATAKIT.TEST = {", "ELSEWHERE.TEST = {")
    return server.config(use_kerberos=True, credential_cache=cache)


def rewritten(
    server: SecuredServer, folder: Path, environment: pytest.MonkeyPatch, pattern: str, replacement: str
) -> None:
    settings = Path(server.file("krb5.conf")).read_text(encoding="utf-8")
    (folder / "krb5.conf").write_text(re.sub(pattern, replacement, settings), encoding="utf-8")
    environment.setenv("KRB5_CONFIG", str(folder / "krb5.conf"))


def silent_kdc(server: SecuredServer, folder: Path, environment: pytest.MonkeyPatch) -> PostgresConfig:
    cache = server.kinit(folder / "own", "alice")
    rewritten(server, folder, environment, r"kdc = \S+", "kdc = 127.0.0.1:9")
    return server.config(use_kerberos=True, credential_cache=cache)


def silent_kdc_for_a_keytab(
    server: SecuredServer, folder: Path, environment: pytest.MonkeyPatch
) -> PostgresConfig:
    rewritten(server, folder, environment, r"kdc = \S+", "kdc = 127.0.0.1:9")
    return server.with_keytab(credential_cache=f"FILE:{folder / 'tickets'}")


def host_by_address(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.with_keytab(host="127.0.0.1")


def other_service(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.with_keytab(krbsrvname="pg", gssencmode="require")


def server_without_the_key(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab(krbsrvname="not_in_the_keytab")


def server_without_the_key_strictly(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab(krbsrvname="not_in_the_keytab", gssencmode="require")


def server_that_wants_a_password(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab(username="password_reader")


def server_that_lets_everybody_in(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab(host=server.socket)


def encryption_switched_off(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab(gssencmode="disable")


def other_role(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.with_keytab(username="not_mapped")


def no_role(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.with_keytab("no_role")


def no_keytab(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.with_keytab("absent")


def other_principal(server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    return server.with_keytab(principal="bob")


def broken_keytab(server: SecuredServer, folder: Path, _environment: pytest.MonkeyPatch) -> PostgresConfig:
    (folder / "broken").write_bytes(b"\x05\x02canary-key-material")
    return server.with_keytab(keytab=str(folder / "broken"))


def key_of_yesterday(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab("new_key")


def unknown_principal(
    server: SecuredServer, _folder: Path, _environment: pytest.MonkeyPatch
) -> PostgresConfig:
    return server.with_keytab("gone")


TICKET, SERVICE_TICKET, LOGIN = "hold a ticket", "get the server's ticket", "log in"
FAILURES: list[tuple[Broken, str, str, str]] = [
    (no_ticket, "no-ticket", TICKET, "No Kerberos credentials available"),
    (no_ticket_and_a_role, "no-ticket", TICKET, "No Kerberos credentials available"),
    (no_such_cache, "no-ticket", TICKET, "No credentials cache found"),
    (unknown_kind_of_cache, "cache-unusable", TICKET, "Unknown credential cache type"),
    (expired, "expired-ticket", TICKET, "expired"),
    (other_realm, "wrong-realm", SERVICE_TICKET, "krbtgt/DATAKIT.TEST@OTHER.TEST"),
    (unknown_realm, "realm-unknown", SERVICE_TICKET, "Cannot find KDC for realm"),
    (silent_kdc, "kdc-unreachable", SERVICE_TICKET, "Cannot contact any KDC"),
    (silent_kdc_for_a_keytab, "kdc-unreachable", TICKET, "Cannot contact any KDC"),
    (host_by_address, "service-unknown", SERVICE_TICKET, "postgres/127.0.0.1@DATAKIT.TEST not found"),
    (other_service, "service-unknown", SERVICE_TICKET, "pg/localhost@DATAKIT.TEST not found"),
    (server_without_the_key, "server-refuses-ticket", LOGIN, ""),
    (server_without_the_key_strictly, "server-refuses-ticket", LOGIN, "failed:"),
    (server_that_wants_a_password, "gss-not-offered", LOGIN, "server requested SASL authentication"),
    (server_that_lets_everybody_in, "gss-over-socket", SERVICE_TICKET, "socket"),
    (encryption_switched_off, "no-hba-entry", LOGIN, "no pg_hba.conf entry"),
    (other_role, "not-mapped", LOGIN, 'GSSAPI authentication failed for user "not_mapped"'),
    (no_role, "role-missing", LOGIN, 'role "no_role" does not exist'),
    (no_keytab, "keytab-unusable", TICKET, "No such file or directory"),
    (other_principal, "keytab-unusable", TICKET, "no key for bob"),
    (broken_keytab, "keytab-unusable", TICKET, ""),
    (unknown_principal, "client-unknown", TICKET, "not found in Kerberos database"),
    (key_of_yesterday, "keytab-refused", TICKET, "Decrypt integrity check failed"),
]


@pytest.mark.parametrize(
    ("break_it", "cause", "step", "seen"), FAILURES, ids=[case[0].__name__ for case in FAILURES]
)
def test_each_reason_is_told_apart(
    secured: SecuredServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Broken,
    cause: str,
    step: str,
    seen: str,
) -> None:
    connector = PostgresConnector(break_it(secured, tmp_path, monkeypatch))
    check = connector.check()
    assert check.failure is not None
    assert (check.failure.cause, check.failure.tried) == (cause, step), str(check)
    assert seen.removesuffix("failed:") in check.failure.why
    assert cause_named(cause).next_step in str(check.failure.next_step)
    # What comes before is done, what comes after was not tried.
    order = [row.ok for row in check.steps]
    assert order == [True] * order.index(False) + [False] + [None] * (len(order) - order.index(False) - 1)

    with pytest.raises(DatakitError) as caught:
        connector.get_connection()
    error = caught.value
    assert type(error) is (TryAgainError if cause == "kdc-unreachable" else ConfigurationError)
    assert check.may_pass is (cause == "kdc-unreachable")
    assert seen in str(error.seen)
    assert error.next_step == cause_named(cause).next_step
    assert "canary" not in f"{error!r} {check!r} {check}"


CHECK = """
import json, sys
from sqlmodel_framework import DatakitError, PostgresConfig, PostgresConnector
connector = PostgresConnector(PostgresConfig(**json.loads(sys.argv[1])))
failure = connector.check().failure
try:
    connector.get_connection()
except DatakitError as exc:
    print(json.dumps([failure.cause, failure.tried, failure.next_step, type(exc).__name__, exc.next_step]))
"""


@pytest.mark.parametrize("clock_says", ["-1h", "+1h"])
def test_a_wrong_clock_is_told(secured: SecuredServer, tmp_path: Path, clock_says: str) -> None:
    cache = secured.kinit(tmp_path / "own", "alice")
    fields: dict[str, Any] = {"host": "localhost", "port": secured.port, "database": "postgres"}
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            CHECK,
            json.dumps({**fields, "use_kerberos": True, "credential_cache": cache}),
        ],
        env=false_clock(clock_says),
        capture_output=True,
        text=True,
        check=True,
    )
    next_step = cause_named("clock-skew").next_step
    assert "time server" in next_step
    assert json.loads(child.stdout) == [
        "clock-skew",
        SERVICE_TICKET,
        next_step,
        "ConfigurationError",
        next_step,
    ]


# Reading

ROWS = {"actor": 200, "film": 1000, "payment": 16049, "rental": 16044}


class PagilaBronzeLoader(BronzeIngestionPipeline):
    """The loader of the user's guide."""

    def extract_table(self, table_name: str) -> pd.DataFrame:
        with self.connector.connection_context() as conn:  # type: ignore[attr-defined]
            return pd.read_sql(f"SELECT * FROM {table_name}", conn)


@pytest.fixture
def database(secured: SecuredServer, worker_id: str) -> Any:
    """A database of its own on the secured server, which alice may read."""
    name = f"kerberos_{worker_id}_{uuid4().hex[:8]}"
    secured.run(f"CREATE DATABASE {name}")
    yield name
    secured.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_processes_read_with_the_ticket_too(secured: SecuredServer, database: str) -> None:
    secured.run(
        "CREATE TABLE numbers AS SELECT i, repeat('x', 200) AS v FROM generate_series(1, 60000) i",
        "GRANT SELECT ON numbers TO alice",
        "VACUUM ANALYZE numbers",
        database=database,
    )
    connector = PostgresConnector(secured.with_keytab(database=database))
    read = pa.Table.from_batches(connector.extract("numbers", parallel=2))
    assert sorted(read["i"].to_pylist()) == list(range(1, 60001))


def test_pagila_lands_in_bronze_by_a_ticket(secured: SecuredServer, database: str, tmp_path: Path) -> None:
    if not PAGILA.is_file():
        pytest.skip(f"Pagila's dump is not at {PAGILA}")
    secured.run(gzip.decompress(PAGILA.read_bytes()).decode(), database=database)
    secured.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO alice", database=database)
    connector = PostgresConnector(secured.with_keytab(database=database, gssencmode="require"))
    assert connector.check().success
    loader = PagilaBronzeLoader(connector, bronze_path=tmp_path / "bronze")
    for table in connector.get_tables("public"):
        df = loader.add_bronze_metadata(
            loader.extract_table(table),
            source_system="pagila_kerberos",
            source_table=table,
            source_host="pgserver.example.com",
            extraction_method="full_snapshot",
        )
        paths = loader.write_bronze(
            df, source_system="pagila_kerberos", table_name=table, formats=["parquet", "json"]
        )
        rows = pq.read_table(paths["parquet"])
        assert rows.num_rows == connector.count(table) == ROWS.get(table, rows.num_rows)
        assert set(rows["bronze_source_system"].to_pylist()) == {"pagila_kerberos"}
        assert len(paths["json"].read_bytes().splitlines()) == rows.num_rows
