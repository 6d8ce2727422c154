"""How a MySQL source is named: parts, URLs, variables, targets; and the driver's errors in our words."""

from __future__ import annotations

import ssl

import pymysql
import pytest
from pydantic import SecretStr

from sqlmodel_framework import (
    ConfigurationError,
    DatakitError,
    ExtractionError,
    MySQLConfig,
    MySQLConnector,
    TryAgainError,
    create_custom_target,
)
from sqlmodel_framework.base.connectors.mysql_errors import (
    connection_error,
    quotes_rows,
    raise_refusal,
    source_error,
)
from sqlmodel_framework.base.errors import PasswordNeededError

_SECRET = "pä55/word"


def test_a_url_has_every_part() -> None:
    config = MySQLConfig.from_url(
        "mariadb+pymysql://us%40er:p%C3%A455%2Fword@db:3307/shop?ssl_ca=/ca.pem&connect_timeout=3",
        username="me",
    )
    given = config.driver_parameters()
    assert (given["host"], given["port"], given["user"], given["database"]) == ("db", 3307, "me", "shop")
    assert given["password"] == _SECRET.encode()
    assert (given["connect_timeout"], given["ssl_ca"], given["ssl_verify_identity"]) == (3, "/ca.pem", True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nothing", "this is no URL"),
        ("postgresql://a:secret@b/c", "the URL is of no MySQL"),
        ("mysql://a:secret@b/c?colour=blue", "unknown option of a MySQL source"),
        ("mysql://a:secret@b/c?connect_timeout=soon", "wrong type"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        MySQLConfig.from_url(url)
    assert "secret" not in str(caught.value)


def test_the_variables_of_the_client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"MYSQL_HOST": "db", "MYSQL_TCP_PORT": "3307", "MYSQL_PWD": _SECRET}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = MySQLConfig.from_env(database="shop")
    assert (config.host, config.port, config.database) == ("db", 3307, "shop")
    assert isinstance(config.password, SecretStr)
    assert config.password.get_secret_value() == _SECRET


def test_a_target_is_a_source() -> None:
    target = create_custom_target("mysql", host="db", port=3307, database="shop", user="me", password=_SECRET)
    config = MySQLConfig.from_target(target)
    assert config.address == "source mysql://me@db:3307/shop"
    with pytest.raises(ConfigurationError, match="no MySQL"):
        MySQLConfig.from_target(create_custom_target("sqlite"))


def test_tls_is_what_was_asked_for() -> None:
    assert "ssl" not in MySQLConfig().driver_parameters()
    assert MySQLConfig(ssl=False).driver_parameters()["ssl_disabled"] is True
    assert MySQLConfig(ssl=True).driver_parameters()["ssl"]["verify_mode"] is False
    system = MySQLConfig(ssl_verify_identity=True).driver_parameters()
    assert (system["ssl_verify_cert"], system["ssl_verify_identity"]) == (True, True)
    unnamed = MySQLConfig(ssl_ca="/ca.pem", ssl_verify_identity=False).driver_parameters()
    assert (unnamed["ssl_verify_cert"], unnamed["ssl_verify_identity"]) == (True, False)
    with pytest.raises(ConfigurationError, match="switched off"):
        MySQLConfig(ssl=False, ssl_ca="/ca.pem")


def test_the_password_is_shown_nowhere() -> None:
    config = MySQLConfig(host="db", username="me", password=_SECRET)
    assert _SECRET not in f"{config!r} {config} {config.address} {vars(config)}"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1226, TryAgainError),
        (1412, TryAgainError),
        (2003, TryAgainError),
        (2013, TryAgainError),
        (1205, TryAgainError),
        (1146, ExtractionError),
        (1366, ExtractionError),
    ],
)
def test_errors_that_pass_are_told_from_those_that_stay(number: int, kind: type[DatakitError]) -> None:
    assert type(source_error(pymysql.OperationalError(number, "words"), "read")) is kind


@pytest.mark.parametrize("number", [1045, 1049, 1862, 3118, 4151])
def test_a_refused_connection_is_a_matter_of_settings_and_keeps_its_words(number: int) -> None:
    error = connection_error(pymysql.OperationalError(number, "these words"), "connect")
    assert type(error) is ConfigurationError
    assert "these words" in str(error)


def test_a_certificate_that_is_refused_is_not_tried_again() -> None:
    refusal = pymysql.OperationalError(2003, "Can't connect")
    refusal.original_exception = ssl.SSLError(1, "certificate verify failed")  # type: ignore[attr-defined]
    assert type(connection_error(refusal, "connect")) is ConfigurationError
    assert type(connection_error(pymysql.OperationalError(2003, "Can't connect"), "connect")) is TryAgainError


def test_a_missing_password_can_be_asked_for() -> None:
    refusal = pymysql.OperationalError(1045, "Access denied for user 'a'@'b' (using password: NO)")
    assert isinstance(connection_error(refusal, "connect"), PasswordNeededError)


@pytest.mark.parametrize("given", [{"ssl_ca": "/nowhere.pem"}, {"option_file": "/nowhere.cnf"}])
def test_files_that_are_not_there(given: dict[str, str]) -> None:
    connector = MySQLConnector(MySQLConfig(host="127.0.0.1", port=9, **given))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"nowhere|No such file"):
        connector.get_connection()
    assert connector.test_connection() is False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"connect_timeout": 0}, "wrong type"),
        ({"statement_timeout": 0.0004}, "wrong type"),
        ({"ssl": "perhaps"}, "wrong type"),
        ({"parameters": {"charset": "latin1"}}, "the connector's own"),
        ({"ssl_key": "/key.pem"}, "without its certificate"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        MySQLConfig(**given)  # type: ignore[arg-type]


def test_texts_of_a_url_are_what_they_say() -> None:
    config = MySQLConfig.from_url("mysql://db/shop?ssl=false&statement_timeout=5")
    assert (config.ssl, config.statement_timeout) == (False, 5.0)


def test_what_may_quote_a_row_is_not_repeated() -> None:
    refusal = pymysql.DataError(1366, "Incorrect string value: 'canary' for column v")
    assert quotes_rows(refusal)
    with pytest.raises(ExtractionError) as caught:
        raise_refusal(refusal, "read")
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"
    assert "error 1366" in str(caught.value)
