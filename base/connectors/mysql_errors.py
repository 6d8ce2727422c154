"""pymysql's errors in our words, without row values.

The server's sentence is repeated only where it cannot hold the value of a row. Source: MySQL 8.4 error reference and
MariaDB's error codes; numbers from 2000 to 2999 are the client's own.
"""

from __future__ import annotations

import configparser
import ssl
from typing import NoReturn

import pymysql

from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    ExtractionError,
    PasswordNeededError,
    TryAgainError,
)

__all__ = ["connection_error", "driver_error_of", "number_of", "quotes_rows", "raise_refusal", "source_error"]

_TRY_AGAIN = {1040, 1053, 1203, 1205, 1213, 1226, 1317, 1412, 1927, 2002, 2003, 2006, 2013, 2055, 3032, 4031}
# Sentences about connections and rights, objects, and what the server was asked to do; any other may hold the value of a row.
_SAFE = {
    *(
        1040,
        1044,
        1045,
        1049,
        1053,
        1129,
        1130,
        1142,
        1143,
        1203,
        1226,
        1227,
        1370,
        1698,
        1862,
        3118,
        3159,
        4031,
        4151,
    ),
    *(1046, 1051, 1054, 1056, 1060, 1066, 1103, 1109, 1146, 1148, 1305, 1356, 1412, 1419, 3032),
    *(1205, 1213, 1221, 1222, 1235, 1241, 1248, 1267, 1271, 1290, 1317, 1427, 1792, 1927, 1969, 3024),
    *range(2000, 3000),
}
# The server shows the statement from there on, with the values of its parameters.
_SYNTAX = 1064
_OWN_WORDS = {_SYNTAX: "a mistake in the SQL"}
_NEXT_STEPS = {
    1044: "check the name of the database, and ask for the right to read it",
    1045: "check user and password",
    1049: "check the name of the database",
    1054: "check the names of the columns",
    _SYNTAX: "correct the query or the condition",
    1142: "ask for the right to SELECT from the table",
    1146: "check the name of the table and the database",
    1698: "use another user, or the socket that this one is tied to",
    1969: "raise statement_timeout, or read in smaller parts",
    3024: "raise statement_timeout, or read in smaller parts",
    3159: "give ssl_ca, or ssl=True",
}


def number_of(exc: BaseException) -> int:
    """The error's number; 0 for one of the driver alone."""
    return exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0


def quotes_rows(exc: BaseException) -> bool:
    """True where the server's words may hold values of rows."""
    return number_of(exc) not in _SAFE


def driver_error_of(exc: BaseException) -> pymysql.MySQLError | None:
    """The driver's error behind one that SQLAlchemy or pandas raised; None where there is none."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, pymysql.MySQLError):
        cause = getattr(cause, "orig", None) or cause.__cause__
    return cause


def connection_error(exc: Exception, where: str) -> DatakitError:
    """The error of a connection that did not come about: it may pass, or the settings are to be corrected.

    Besides the driver's own errors these are those of files, of an option file that cannot be read, and of values.
    """
    if isinstance(exc, configparser.Error):
        # Its words quote the line, which may hold a password.
        return _refused(
            where, "the option file cannot be read", "correct its lines: groups in brackets first"
        )
    if not isinstance(exc, pymysql.MySQLError):
        return _refused(
            where, f"{type(exc).__name__}: {exc}", "correct the settings, such as the paths of certificates"
        )
    inner = getattr(exc, "original_exception", None)
    if isinstance(inner, ssl.SSLError):
        return _refused(where, str(inner), "check ssl_ca, and that the host has the name of the certificate")
    if _may_pass(exc):
        return source_error(exc, where)
    words = " ".join(str(part) for part in exc.args[1:])
    seen, next_step = f"error {number_of(exc)} {words}".strip(), _NEXT_STEPS.get(number_of(exc))
    if "using password: NO" in words:
        return PasswordNeededError(
            "MySQL refused the connection", where=where, seen=seen, next_step=next_step
        )
    return _refused(where, seen, next_step)


def source_error(exc: pymysql.MySQLError, where: str) -> DatakitError:
    """The error of a statement: try again, or the server refuses to read."""
    number = number_of(exc)
    words = _OWN_WORDS.get(number, "") if quotes_rows(exc) else " ".join(str(part) for part in exc.args[1:])
    seen = f"error {number} {words}".strip() if number else type(exc).__name__
    if _may_pass(exc):
        what = "MySQL is not reachable" if number in (2002, 2003) else "MySQL went away or was busy"
        return TryAgainError(what, where=where, seen=seen, next_step="check host and port, then try again")
    return ExtractionError("MySQL refused to read", where=where, seen=seen, next_step=_NEXT_STEPS.get(number))


def raise_refusal(exc: pymysql.MySQLError, where: str) -> NoReturn:
    """Raise the error of `source_error`; the driver's is its cause, unless it may quote a row."""
    raise source_error(exc, where) from (None if quotes_rows(exc) else exc)


def _may_pass(exc: pymysql.MySQLError) -> bool:
    number = number_of(exc)
    return number in _TRY_AGAIN or (
        number == 0 and isinstance(exc, (pymysql.InterfaceError, pymysql.OperationalError))
    )


def _refused(where: str, seen: str, next_step: str | None) -> ConfigurationError:
    return ConfigurationError("MySQL refused the connection", where=where, seen=seen, next_step=next_step)
