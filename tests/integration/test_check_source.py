"""The command `datakit check-source`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sqlmodel_framework.tests.integration.secured_server import SecuredServer

pytestmark = pytest.mark.postgres

CANARY = "canary-password-77aa"


def check_source(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; it must not fail on its own account."""
    done = subprocess.run(
        [sys.executable, "-m", "sqlmodel_framework.scripts.check_source", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert CANARY not in done.stdout + done.stderr
    assert done.stderr == ""
    return done


def test_a_source_that_can_be_read(secured: SecuredServer) -> None:
    url = f"postgresql://localhost:{secured.port}/postgres"
    done = check_source(url, "--keytab", secured.file("alice.keytab"))
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["ok"] * 8
    assert "by GSSAPI, authenticated by the ticket of alice@DATAKIT.TEST" in done.stdout


def test_the_ticket_of_the_process(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"host=localhost port={secured.port} dbname=postgres"
    done = check_source(url, "--kerberos")
    assert done.returncode == 1
    assert "FAILED  hold a ticket" in done.stdout
    assert "next: get a ticket with kinit" in done.stdout
    cache = secured.kinit(tmp_path / "tickets", "alice")
    assert check_source(url, "--credential-cache", cache).returncode == 0
    monkeypatch.setenv("KRB5CCNAME", cache)
    assert check_source(url, "--kerberos").returncode == 0


def test_libpq_s_environment_names_the_source(
    secured: SecuredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"PGHOST": "localhost", "PGPORT": str(secured.port), "PGDATABASE": "postgres"}
    for name, value in {**variables, "PGUSER": "password_reader", "PGPASSWORD": secured.password}.items():
        monkeypatch.setenv(name, value)
    assert check_source().returncode == 0
    monkeypatch.setenv("PGPASSWORD", CANARY)
    done = check_source("--format", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["success"] is False
    (failed,) = [step for step in found["steps"] if step["ok"] is False]
    assert (failed["tried"], failed["cause"], failed["next_step"]) == (
        "log in",
        "wrong-password",
        "check the user and the password",
    )


def test_a_server_that_is_down_is_worth_another_try() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = check_source(f"postgresql://ann:{CANARY}@127.0.0.1:{port}/shop")
    assert done.returncode == 75
    assert f"FAILED  reach the server         127.0.0.1:{port}: Connection refused" in done.stdout


def test_a_url_that_cannot_be_read_is_a_document_too() -> None:
    done = check_source(f"postgresql://ann:{CANARY}@h:port/shop?sslmod=x", "--format", "json")
    assert done.returncode == 1
    (step,) = json.loads(done.stdout)["steps"]
    assert (step["tried"], step["cause"]) == ("read the settings", "settings-unreadable")


def test_a_schema_that_is_not_there(secured: SecuredServer) -> None:
    url = f"postgresql://password_reader:{secured.password}@localhost:{secured.port}/postgres"
    done = check_source(url, "--schema", "absent")
    assert done.returncode == 1
    assert "next: give a schema that is there" in done.stdout


def test_a_principal_that_the_keytab_lacks(secured: SecuredServer) -> None:
    url = f"postgresql://localhost:{secured.port}/postgres"
    done = check_source(url, "--keytab", secured.file("alice.keytab"), "--principal", "bob")
    assert done.returncode == 1
    assert f"no key for bob in {secured.file('alice.keytab')}" in done.stdout
