"""Ways to log in but Kerberos: passwords and where they come from, sockets, TLS; and each reason why there is no connection."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sqlmodel_framework import (
    ConfigurationError,
    DatakitError,
    PostgresConfig,
    PostgresConnector,
    TargetConfig,
    TryAgainError,
    create_engine_for_target,
    get_target_config,
)
from sqlmodel_framework.base.connectors.connection_causes import cause_named
from sqlmodel_framework.base.errors import PasswordNeededError
from sqlmodel_framework.tests.integration.secured_server import SecuredServer, false_clock

pytestmark = pytest.mark.postgres

CANARY = "canary-password-5d1e"
TLS = "SELECT current_user::text, s.ssl, s.client_dn FROM pg_stat_ssl s WHERE pid = pg_backend_pid()"


def session(config: PostgresConfig) -> tuple[str, bool, str | None]:
    """The role, whether TLS is used, and the name in the client's certificate, as the server sees them."""
    with closing(PostgresConnector(config).get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(TLS)
        row: tuple[str, bool, str | None] | None = cursor.fetchone()
        assert row is not None
        return row


BY_PASSWORD = ("password_reader", True, None)


def password_file(secured: SecuredServer, folder: Path, password: str, mode: int = 0o600) -> str:
    file = folder / "passwords"
    file.write_text(f"localhost:{secured.port}:*:password_reader:{password}\n", encoding="utf-8")
    file.chmod(mode)
    return str(file)


def test_a_password(secured: SecuredServer) -> None:
    assert session(secured.config(username="password_reader", password=secured.password)) == BY_PASSWORD


def test_a_password_file(secured: SecuredServer, tmp_path: Path) -> None:
    passfile = password_file(secured, tmp_path, secured.password)
    assert session(secured.config(username="password_reader", passfile=passfile)) == BY_PASSWORD


def test_the_password_file_of_the_home_folder(secured: SecuredServer) -> None:
    home = Path(os.environ["HOME"])
    Path(password_file(secured, home, secured.password)).rename(home / ".pgpass")
    config = secured.config(username="password_reader")
    code = (
        "import json, sys; from sqlmodel_framework import PostgresConfig, PostgresConnector;"
        "connector = PostgresConnector(PostgresConfig(**json.loads(sys.argv[1])));"
        "connector.get_connection().close()"
    )
    fields = {"host": config.host, "port": config.port, "database": "postgres", "username": config.username}
    subprocess.run([sys.executable, "-c", code, json.dumps(fields)], check=True)


def service_file(secured: SecuredServer, folder: Path, **more: str) -> str:
    values = {
        "host": "localhost",
        "port": str(secured.port),
        "dbname": "postgres",
        "user": "password_reader",
        "password": secured.password,
        **more,
    }
    lines = "\n".join(f"{name}={value}" for name, value in values.items())
    file = folder / "services"
    file.write_text(f"# ours\n[other]\nhost=elsewhere\n\n[shop]\n{lines}\n", encoding="utf-8")
    return str(file)


def test_a_service(secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICEFILE", service_file(secured, tmp_path))
    assert session(PostgresConfig(service="shop")) == BY_PASSWORD
    check = PostgresConnector(PostgresConfig(service="shop")).check()
    assert check.success
    assert check.source == f"source postgresql://password_reader@localhost:{secured.port}/postgres"
    monkeypatch.setenv("PGSERVICE", "shop")
    assert session(PostgresConfig()) == BY_PASSWORD
    assert session(PostgresConfig.from_env()) == BY_PASSWORD


def test_a_ticket_of_a_service_s_user(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's role stands above the ticket's, and its password is not sent."""
    services = service_file(secured, tmp_path, user="in_the_clear", gssencmode="disable")
    monkeypatch.setenv("PGSERVICEFILE", services)
    config = PostgresConfig(
        service="shop", use_kerberos=True, keytab=secured.file("alice.keytab"), gssencmode="disable"
    )
    assert session(config) == ("in_the_clear", True, None)


def test_the_environment(secured: SecuredServer, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "PGHOST": "localhost",
        "PGPORT": str(secured.port),
        "PGDATABASE": "postgres",
        "PGUSER": "password_reader",
        "PGPASSWORD": secured.password,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": secured.file("ca.crt"),
        "PGAPPNAME": "from_the_environment",
        "PGOPTIONS": "-c statement_timeout=1234",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert session(PostgresConfig()) == BY_PASSWORD
    config = PostgresConfig.from_env()
    assert config.address == f"source postgresql://password_reader@localhost:{secured.port}/postgres"
    assert (config.sslmode, config.application_name) == ("verify-full", "from_the_environment")
    monkeypatch.delenv("PGOPTIONS")
    assert setting(config, "statement_timeout") == "1234ms"
    assert setting(config, "TimeZone") == "UTC"


def setting(config: PostgresConfig, name: str) -> str:
    with closing(PostgresConnector(config).get_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        (value,) = cursor.fetchone() or ("",)
        return str(value)


def test_a_session_is_in_utc_whatever_the_environment_says(
    secured: SecuredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "America/New_York")
    monkeypatch.setenv("PGOPTIONS", "-c TimeZone=Asia/Tokyo -c work_mem=1234kB")
    config = secured.config(username="password_reader", password=secured.password)
    assert setting(config, "TimeZone") == "UTC"
    assert setting(config, "work_mem") == "1234kB"


def test_a_url(secured: SecuredServer) -> None:
    config = PostgresConfig.from_url(
        f"postgresql://password_reader:{secured.password}@localhost:{secured.port}/postgres"
        f"?sslmode=verify-full&sslrootcert={secured.file('ca.crt')}&options=-c%20work_mem%3D2345kB"
    )
    assert session(config) == BY_PASSWORD
    assert setting(config, "work_mem") == "2345kB"


def test_hosts_are_tried_one_after_the_other(secured: SecuredServer) -> None:
    login = f"password_reader:{secured.password}"
    config = PostgresConfig.from_url(
        f"postgresql://{login}@localhost:1,localhost:{secured.port}/postgres?target_session_attrs=read-write"
    )
    assert config.port == f"1,{secured.port}"
    assert session(config) == BY_PASSWORD
    assert PostgresConnector(config).check().success


def test_a_socket(secured: SecuredServer) -> None:
    config = secured.config(host=secured.socket, username="alice")
    assert session(config) == ("alice", False, None)
    check = PostgresConnector(config).check()
    assert check.success
    assert check.steps[0].tried == "reach the server"


def test_a_target(postgres_server: TargetConfig) -> None:
    config = PostgresConfig.from_target(postgres_server)
    assert session(config)[0] == postgres_server.user
    assert PostgresConnector(config).check().success


def test_a_target_whose_server_is_started() -> None:
    with get_target_config("postgres_embedded") as target:
        with pytest.raises(ConfigurationError) as caught:
            PostgresConfig.from_target(target)
        assert str(caught.value) == (
            "the server of a target does not run yet (target postgres_embedded, postgres embedded); next: start it first:"
            " create_engine_for_target(target)"
        )
        create_engine_for_target(target)
        assert PostgresConnector(PostgresConfig.from_target(target)).check().success


def verified(secured: SecuredServer, **more: Any) -> PostgresConfig:
    fields = {
        "username": "password_reader",
        "password": secured.password,
        "sslmode": "verify-full",
        "sslrootcert": secured.file("ca.crt"),
    }
    return secured.config(**{**fields, **more})


def certified(secured: SecuredServer, **more: Any) -> PostgresConfig:
    fields = {
        "username": "cert_reader",
        "password": None,
        "sslcert": secured.file("cert_reader.crt"),
        "sslkey": secured.file("cert_reader.key"),
    }
    return verified(secured, **{**fields, **more})


def test_a_verified_server(secured: SecuredServer) -> None:
    assert session(verified(secured)) == BY_PASSWORD


def test_a_client_certificate(secured: SecuredServer) -> None:
    assert session(certified(secured)) == ("cert_reader", True, "/CN=cert_reader")


def test_a_client_key_with_a_password(secured: SecuredServer, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        [
            "openssl",
            "rsa",
            "-aes256",
            "-in",
            secured.file("cert_reader.key"),
            "-out",
            locked,
            "-passout",
            "stdin",
        ],
        input=CANARY.encode(),
        check=True,
        capture_output=True,
    )
    locked.chmod(0o600)
    config = certified(secured, sslkey=str(locked), sslpassword=CANARY)
    assert session(config) == ("cert_reader", True, "/CN=cert_reader")
    assert CANARY not in f"{config!r} {config} {vars(config)}"
    wrong = PostgresConnector(certified(secured, sslkey=str(locked), sslpassword="other")).check()
    assert wrong.failure is not None
    assert wrong.failure.cause == "client-key-unusable"


# Failures: each makes a source that is right but for one thing.

Broken = Callable[[SecuredServer, Path], PostgresConfig]


def wrong_password(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(username="password_reader", password=CANARY)


def wrong_password_file(server: SecuredServer, folder: Path) -> PostgresConfig:
    return server.config(username="password_reader", passfile=password_file(server, folder, CANARY))


def no_password(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(username="password_reader")


def no_database(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(username="password_reader", password=server.password, database="absent")


def no_role(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(host=server.socket, username="absent")


def not_admitted(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(username="absent", password=CANARY)


def other_system_user(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(host=server.socket, username="nobody_at_all")


def server_down(server: SecuredServer, _folder: Path) -> PostgresConfig:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return server.config(port=unused.getsockname()[1], username="password_reader", password=CANARY)


def no_socket(server: SecuredServer, folder: Path) -> PostgresConfig:
    return server.config(host=str(folder), username="alice")


def unknown_host(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(host="no-such-host.invalid", username="password_reader", password=CANARY)


def unknown_authority(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return verified(server, sslrootcert=server.file("cert_reader.crt"))


def no_root_certificate(server: SecuredServer, folder: Path) -> PostgresConfig:
    return verified(server, sslrootcert=str(folder / "absent.crt"))


def other_host(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return verified(server, host="db.example.test", parameters={"hostaddr": "127.0.0.1"})


def no_client_certificate(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return certified(server, sslcert=None, sslkey=None)


def certificate_of_another(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return certified(server, sslcert=server.file("localhost.crt"), sslkey=server.file("localhost.key"))


def key_that_others_read(server: SecuredServer, folder: Path) -> PostgresConfig:
    key = folder / "open.key"
    key.write_bytes(Path(server.file("cert_reader.key")).read_bytes())
    key.chmod(0o644)
    return certified(server, sslkey=str(key))


def key_of_another(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return certified(server, sslkey=server.file("localhost.key"))


def no_schema(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(username="password_reader", password=server.password, schema="absent")


def too_old_a_protocol(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return verified(
        server, parameters={"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1"}
    )


def unknown_sslmode(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return verified(server, sslmode="always")


def no_room(server: SecuredServer, _folder: Path) -> PostgresConfig:
    return server.config(username="no_room", password=server.password)


HOST, SERVER, ENCRYPT, LOGIN = "find the host", "reach the server", "encrypt", "log in"
DATABASE, READ = "open the database", "read"
FAILURES: list[tuple[Broken, type[DatakitError] | None, str, str, str]] = [
    (wrong_password, ConfigurationError, "wrong-password", LOGIN, "password authentication failed"),
    (wrong_password_file, ConfigurationError, "wrong-password", LOGIN, "password authentication failed"),
    (no_password, PasswordNeededError, "password-missing", LOGIN, "no password supplied"),
    (no_database, ConfigurationError, "database-missing", DATABASE, 'database "absent" does not exist'),
    (no_role, ConfigurationError, "role-missing", LOGIN, 'role "absent" does not exist'),
    (not_admitted, ConfigurationError, "no-hba-entry", LOGIN, "no pg_hba.conf entry"),
    (other_system_user, ConfigurationError, "other-system-user", LOGIN, "Peer authentication failed"),
    (server_down, TryAgainError, "server-down", SERVER, "Connection refused"),
    (no_socket, TryAgainError, "server-down", SERVER, "No such file or directory"),
    (unknown_host, TryAgainError, "host-unknown", HOST, "not known"),
    (unknown_authority, ConfigurationError, "certificate-unknown", ENCRYPT, "certificate"),
    (no_root_certificate, ConfigurationError, "root-certificate-missing", ENCRYPT, "does not exist"),
    (other_host, ConfigurationError, "certificate-other-host", ENCRYPT, 'host name "db.example.test"'),
    (
        no_client_certificate,
        ConfigurationError,
        "client-certificate-missing",
        LOGIN,
        "valid client certificate",
    ),
    (
        certificate_of_another,
        ConfigurationError,
        "client-certificate-refused",
        LOGIN,
        "certificate authentication",
    ),
    (key_that_others_read, ConfigurationError, "client-key-unusable", ENCRYPT, "group or world access"),
    (key_of_another, ConfigurationError, "client-key-unusable", ENCRYPT, "key values mismatch"),
    (too_old_a_protocol, ConfigurationError, "tls", ENCRYPT, "SSL error"),
    (unknown_sslmode, ConfigurationError, "option-invalid", LOGIN, "invalid sslmode value"),
    (no_room, TryAgainError, "server-busy", LOGIN, 'too many connections for role "no_room"'),
    (no_schema, None, "schema-missing", READ, "no schema absent"),
]


@pytest.mark.parametrize(
    ("break_it", "kind", "cause", "step", "seen"), FAILURES, ids=[case[0].__name__ for case in FAILURES]
)
def test_each_reason_is_told_apart(
    secured: SecuredServer,
    tmp_path: Path,
    break_it: Broken,
    kind: type[DatakitError] | None,
    cause: str,
    step: str,
    seen: str,
) -> None:
    connector = PostgresConnector(break_it(secured, tmp_path))
    check = connector.check()
    assert check.failure is not None
    assert (check.failure.cause, check.failure.tried) == (cause, step), str(check)
    assert seen in check.failure.why
    assert check.failure.next_step
    assert check.may_pass is (kind is TryAgainError)
    assert CANARY not in f"{check!r} {check}"
    if kind is None:
        connector.get_connection().close()
        return
    assert cause_named(cause).next_step in check.failure.next_step
    with pytest.raises(DatakitError) as caught:
        connector.get_connection()
    assert type(caught.value) is kind
    assert caught.value.next_step
    assert CANARY not in f"{caught.value!r}"


def test_a_schema_that_is_not_there_is_told_with_those_that_are(
    secured: SecuredServer, tmp_path: Path
) -> None:
    failure = PostgresConnector(no_schema(secured, tmp_path)).check().failure
    assert failure is not None
    assert failure.next_step == "give a schema that is there: information_schema, public"


@pytest.fixture
def forbidden(secured: SecuredServer, worker_id: str) -> Iterator[str]:
    """A database with a table that only the administrator may read, and that only some may enter."""
    name = f"forbidden_{worker_id}"
    secured.run(f"CREATE DATABASE {name}")
    secured.run("CREATE TABLE secrets (v text)", database=name)
    yield name
    secured.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_rights_that_are_missing_are_told(secured: SecuredServer, forbidden: str) -> None:
    config = secured.config(username="password_reader", password=secured.password, database=forbidden)
    failure = PostgresConnector(config).check().failure
    assert failure is not None
    assert (failure.cause, failure.why, failure.next_step) == (
        "reading-forbidden",
        "0 of 1 tables and views of schema public may be read",
        "ask for USAGE on schema public and SELECT on its tables",
    )
    secured.run(f"REVOKE CONNECT ON DATABASE {forbidden} FROM PUBLIC")
    failure = PostgresConnector(config).check().failure
    assert failure is not None
    assert (failure.cause, failure.tried) == ("database-forbidden", "open the database")


def test_a_password_file_that_others_read_is_told(secured: SecuredServer, tmp_path: Path) -> None:
    passfile = password_file(secured, tmp_path, CANARY, mode=0o644)
    failure = PostgresConnector(secured.config(username="password_reader", passfile=passfile)).check().failure
    assert failure is not None
    assert failure.cause == "password-missing"
    assert failure.next_step == (
        "give a password, a .pgpass entry or PGPASSWORD; others may read the password file"
        f" {passfile}, so libpq ignores it: chmod 600 it"
    )


@pytest.mark.parametrize(("clock_says", "why"), [("+40d", "has expired"), ("-40d", "is not yet valid")])
def test_a_certificate_out_of_its_time_is_told(secured: SecuredServer, clock_says: str, why: str) -> None:
    code = (
        "import json, sys; from sqlmodel_framework import PostgresConfig, PostgresConnector;"
        "failure = PostgresConnector(PostgresConfig(**json.loads(sys.argv[1]))).check().failure;"
        "print(json.dumps([failure.cause, failure.tried, failure.why, failure.next_step]))"
    )
    fields = {
        "host": "localhost",
        "port": secured.port,
        "database": "postgres",
        "username": "password_reader",
    }
    tls = {"password": CANARY, "sslmode": "verify-full", "sslrootcert": secured.file("ca.crt")}
    child = subprocess.run(
        [sys.executable, "-c", code, json.dumps({**fields, **tls})],
        env=false_clock(clock_says),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(child.stdout) == [
        "certificate-expired",
        ENCRYPT,
        f"certificate {why}",
        "ask the server's administrator for a new certificate, and check this machine's clock",
    ]


def test_a_server_without_tls_is_told(postgres_server: TargetConfig) -> None:
    config = PostgresConfig.from_target(postgres_server, sslmode="require", gssencmode="disable")
    failure = PostgresConnector(config).check().failure
    assert failure is not None
    assert (failure.cause, failure.tried) == ("tls-not-offered", ENCRYPT)
    assert failure.next_step == "set sslmode to what the server offers"


def test_a_service_that_no_file_defines_is_told(
    secured: SecuredServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = service_file(secured, tmp_path)
    monkeypatch.setenv("PGSERVICEFILE", services)
    check = PostgresConnector(PostgresConfig(service="shoop")).check()
    assert str(check) == (
        "source service shoop\n"
        '  FAILED  read the settings        definition of service "shoop" not found\n'
        "                                   next: correct the name, or set PGSERVICEFILE to the file that defines it;"
        " known are other, shop"
    )
    with pytest.raises(ConfigurationError) as caught:
        PostgresConnector(PostgresConfig(service="shoop")).get_connection()
    assert str(caught.value) == (
        'PostgreSQL refused the connection (source service shoop); seen: definition of service "shoop" not found; next:'
        " correct the name, or set PGSERVICEFILE to the file that defines it"
    )
