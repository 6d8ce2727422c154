"""How a PostgreSQL source is named: URLs, the environment, services, and what may be shown of them."""

from __future__ import annotations

import copy
from dataclasses import fields
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.extensions
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sqlmodel_framework import ConfigurationError, PostgresConfig, create_custom_target
from sqlmodel_framework.base.connectors.connection_causes import ALL_CAUSES, cause_of_code, cause_of_words
from sqlmodel_framework.base.connectors.libpq_parameters import ENVIRONMENT, password_file_complaint
from sqlmodel_framework.base.connectors.postgres_errors import connection_error

CANARY = "canary-password-0b8c"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [*ENVIRONMENT.values(), "PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL"]:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def plain(config: PostgresConfig) -> str | None:
    assert not isinstance(config.password, str)
    return config.password.get_secret_value() if config.password else None


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{CANARY}@db.example.com:5433/shop?sslmode=require&target_session_attrs=any",
        f"postgres://ann:{CANARY}@db.example.com:5433/shop?sslmode=require&target_session_attrs=any",
        f"postgresql+psycopg2://ann:{CANARY}@db.example.com:5433/shop?sslmode=require&target_session_attrs=any",
        f"host=db.example.com port=5433 dbname=shop user=ann password={CANARY} sslmode=require target_session_attrs=any",
    ],
)
def test_a_url_names_a_source(url: str) -> None:
    config = PostgresConfig.from_url(url)
    assert config == PostgresConfig(
        host="db.example.com",
        port=5433,
        database="shop",
        username="ann",
        password=CANARY,
        sslmode="require",
        parameters={"target_session_attrs": "any"},
    )
    assert config.address == "source postgresql://ann@db.example.com:5433/shop"
    assert CANARY not in f"{config} {config!r} {vars(config)}"


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(user=words, password=words, database=words)
def test_every_name_and_password_comes_back(user: str, password: str, database: str) -> None:
    parts = [quote(part, safe="") for part in (user, password, database)]
    config = PostgresConfig.from_url("postgresql://{}:{}@h/{}".format(*parts))
    assert (config.username, plain(config), config.database) == (user, password, database)


def test_fields_stand_above_a_url() -> None:
    config = PostgresConfig.from_url(
        "postgresql://ann@h/shop?sslmode=require", schema="sales", username="bob"
    )
    assert (config.username, config.schema, config.sslmode) == ("bob", "sales", "require")


def test_a_url_s_parameters_become_fields() -> None:
    config = PostgresConfig.from_url(
        "postgresql:///shop?host=/run/sockets&port=5433&connect_timeout=3&application_name=nightly"
    )
    assert (config.host, config.port, config.database) == ("/run/sockets", 5433, "shop")
    assert (config.connect_timeout, config.application_name) == (3, "nightly")
    two = PostgresConfig.from_url("postgresql://one:1,two:2/shop")
    assert (two.host, two.port) == ("one,two", "1,2")


UNREADABLE = (
    "the URL of a source cannot be read; seen: {}; expected: postgresql://user@host:5432/database?sslmode=require, or"
    " host=… dbname=…; next: write reserved characters of user, password and database as %40 and the like"
)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            f"mysql://ann:{CANARY}@h/shop",
            "the URL is not one of PostgreSQL; seen: mysql://; expected: postgresql://user@host:5432/database",
        ),
        (
            f"postgresql://ann:{CANARY}@h/shop?sslmod=require",
            UNREADABLE.format("invalid URI query parameter: sslmod"),
        ),
        (
            f"postgresql://ann:%zz{CANARY}@h/shop",
            UNREADABLE.format("invalid percent-encoded token"),
        ),
        (f"postgresql://ann:%{CANARY}@h/shop", UNREADABLE.format("a part that is no UTF-8")),
    ],
)
def test_a_url_that_cannot_be_read_shows_no_password(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresConfig.from_url(url)
    assert str(caught.value) == message
    assert caught.value.__cause__ is None


@given(st.text(max_size=30))
def test_no_text_is_too_odd_for_a_url(text: str) -> None:
    shown = ""
    try:
        shown = repr(PostgresConfig.from_url(f"postgresql://{text}:{CANARY}@{text}/{text}?{text}"))
    except ConfigurationError as exc:
        shown = str(exc)
    assert CANARY not in shown


def test_every_variable_of_libpq_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"connect_timeout": "7", "port": "5433"}
    choices = {"gssencmode": "disable"}
    for name, variable in ENVIRONMENT.items():
        monkeypatch.setenv(variable, {**numbers, **choices}.get(name, f"the-{name}"))
    config = PostgresConfig.from_env()
    assert config.libpq_parameters is not None
    named = {"dbname": config.database, "user": config.username, "port": str(config.port)}
    for name in ENVIRONMENT:
        if name in config.parameters:
            found: object = config.parameters[name]
        else:
            found = named.get(name, getattr(config, name, None))
        if isinstance(found, SecretStr):
            found = found.get_secret_value()
        assert str(found) == {**numbers, **choices}.get(name, f"the-{name}"), name


def test_the_variables_are_libpq_s_own() -> None:
    """What psycopg2's libpq takes as a parameter is named here, and nothing else."""
    for name in ENVIRONMENT:
        value = "1" if name in ("port", "connect_timeout", "sslsni", "sslcompression") else "x"
        assert psycopg2.extensions.parse_dsn(f"{name}={value}") == {name: value}


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "")
    monkeypatch.setenv("PGREQUIRESSL", "1")
    assert PostgresConfig.from_env() == PostgresConfig(sslmode="require")


def test_a_variable_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "soon")
    with pytest.raises(ConfigurationError) as caught:
        PostgresConfig.from_env()
    assert str(caught.value) == (
        "a connection parameter has the wrong type (connect_timeout); seen: a text; expected: a whole number"
    )


def test_what_is_given_stands_above_the_service_and_that_above_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".pg_service.conf").write_text(
        "[shop]\n# a comment\nhost=of-the-service\ndbname = no\nuser=of-the-service\noptions=-c work_mem=1MB\nuser=later\n",
        encoding="utf-8",
    )
    for name in ("PGHOST", "PGUSER", "PGSSLMODE"):
        monkeypatch.setenv(name, "of-the-environment")
    resolved = PostgresConfig(service="shop", username="given").resolved()
    assert (resolved.username, resolved.host, resolved.sslmode) == (
        "given",
        "of-the-service",
        "of-the-environment",
    )
    assert PostgresConfig(service="shop").resolved().username == "of-the-service"
    parameters = PostgresConfig(service="shop").libpq_parameters("-c TimeZone=UTC")
    assert parameters["options"] == "-c work_mem=1MB -c TimeZone=UTC"


def test_a_target_gives_all_it_has() -> None:
    target = create_custom_target(
        "postgres",
        "shop",
        host="h",
        port=5433,
        user="ann",
        password=CANARY,
        options={"sslmode": "require", "connect_timeout": "3", "keepalives_idle": "30"},
    )
    assert PostgresConfig.from_target(target, schema="sales") == PostgresConfig(
        host="h",
        port=5433,
        database="shop",
        username="ann",
        password=CANARY,
        sslmode="require",
        connect_timeout=3,
        schema="sales",
        parameters={"keepalives_idle": "30"},
    )
    with pytest.raises(ConfigurationError, match="no PostgreSQL"):
        PostgresConfig.from_target(create_custom_target("sqlite"))


AT = "source postgresql://h/"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"use_kerberos": True, "password": CANARY},
            "a password and Kerberos are both given (source postgresql://h/); next: leave the password out",
        ),
        (
            {"keytab": "/k"},
            f"a setting for Kerberos is given and Kerberos is not asked for ({AT}); seen: keytab; next: give use_kerberos=True",
        ),
        (
            {"gssencmode": "always"},
            "invalid gssencmode (source postgresql://h/); seen: always; expected: one of disable, prefer, require",
        ),
        (
            {"statement_timeout": -1},
            f"statement_timeout is no time in seconds ({AT}); seen: -1; expected: 0 or more, and less than 2147483",
        ),
        (
            {"lock_timeout": float("nan")},
            f"lock_timeout is no time in seconds ({AT}); seen: nan; expected: 0 or more, and less than 2147483",
        ),
        (
            {"parameters": {"user": "ann"}},
            "a parameter has a field of its own (source postgresql://h/); seen: username; next: give it by the field",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresConfig(host="h", **given)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_kerberos_is_asked_of_libpq_and_no_password() -> None:
    assert PostgresConfig(use_kerberos=True).libpq_parameters("") == {
        "application_name": "datakit",
        "client_encoding": "UTF8",
        "connect_timeout": 10,
        "gssencmode": "prefer",
        "keepalives_count": "6",
        "keepalives_idle": "60",
        "keepalives_interval": "10",
        "options": "",
        "require_auth": "gss",
    }
    config = PostgresConfig.from_url(f"postgresql://ann:{CANARY}@h/shop", use_kerberos=True)
    assert config.password is None


def test_timeouts_go_to_the_server_in_milliseconds_above_the_user_s_options() -> None:
    config = PostgresConfig(
        statement_timeout=90, lock_timeout=0.25, parameters={"options": "-c lock_timeout=1h"}
    )
    assert config.libpq_parameters("-c TimeZone=UTC")["options"] == (
        "-c lock_timeout=1h -c statement_timeout=90000 -c lock_timeout=250 -c TimeZone=UTC"
    )
    assert PostgresConfig(lock_timeout=0).libpq_parameters("")["options"] == "-c lock_timeout=0"


def test_keepalives_of_the_service_and_the_user_count(tmp_path: Path) -> None:
    (tmp_path / ".pg_service.conf").write_text("[shop]\nkeepalives_count=9\n", encoding="utf-8")
    given = PostgresConfig(service="shop", parameters={"keepalives_idle": "30"}).libpq_parameters("")
    # libpq itself takes the service's.
    assert "keepalives_count" not in given
    assert (given["keepalives_idle"], given["keepalives_interval"]) == ("30", "10")


def test_a_configuration_can_be_copied_and_be_a_key() -> None:
    config = PostgresConfig(host="h", password=CANARY, parameters={"keepalives_idle": "30"})
    assert copy.deepcopy(config) == config
    assert len({config, PostgresConfig(host="h", password=CANARY, parameters={"keepalives_idle": "30"})}) == 1


def test_a_cause_is_not_read_from_names() -> None:
    missing = cause_of_words('FATAL:  database "krbtgt/GSSAPI SSL" does not exist')
    assert missing is not None
    assert missing.name == "database-missing"
    assert cause_of_words("something else entirely") is None
    assert cause_of_code(0, "") is None


def test_a_server_that_speaks_another_language_still_refuses() -> None:
    words = "Verbindung fehlgeschlagen: FATAL:  Passwort-Authentifizierung für Benutzer »ann« fehlgeschlagen"
    error = connection_error(psycopg2.OperationalError(words), "source postgresql://ann@h/shop")
    assert type(error) is ConfigurationError
    assert str(error) == (
        f"PostgreSQL refused the connection (source postgresql://ann@h/shop); seen: {' '.join(words.split())}; next: do what"
        " the server's words ask for; its log says more"
    )


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_password_file_is_judged_as_libpq_does(tmp_path: Path, mode: int) -> None:
    file = tmp_path / ".pgpass"
    assert password_file_complaint(None) is None
    assert (
        password_file_complaint(str(tmp_path / "absent"))
        == f"there is no password file {tmp_path / 'absent'}"
    )
    file.write_text(f"*:*:*:*:{CANARY}\n", encoding="utf-8")
    file.chmod(mode)
    complaint = str(password_file_complaint(None))
    assert ("chmod 600" in complaint) is (mode != 0o600)
    assert CANARY not in complaint


def test_every_cause_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs" / "connecting.md").read_text(encoding="utf-8")
    assert [cause.name for cause in ALL_CAUSES if f"`{cause.name}`" not in page] == []
    assert all(cause.next_step for cause in ALL_CAUSES)


def test_every_field_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs" / "connecting.md").read_text(encoding="utf-8")
    assert [one.name for one in fields(PostgresConfig) if f"`{one.name}`" not in page] == []
