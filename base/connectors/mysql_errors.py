"""pymysql's errors in our words, without row values.

The server's sentence is repeated only where it cannot hold the value of a row. Source: MySQL 8.4 error reference and
MariaDB's error codes; numbers from 2000 to 2999 are the client's own.
"""

from __future__ import annotations

from typing import NoReturn

import pymysql

from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    ExtractionError,
    PasswordNeededError,
    TryAgainError,
)

__all__ = ["driver_error_of", "number_of", "quotes_rows", "raise_refusal", "source_error"]

_TRY_AGAIN = {1040, 1053, 1203, 1205, 1213, 1317, 1927, 2002, 2003, 2006, 2013, 2055}
_CONNECTION = {1044, 1045, 1049, 1129, 1130, 1698, 2005, 2026, 2054, 2059, 2061}
# About objects, rights, syntax and resources.
_SAFE = {
    *(
        1040,
        1044,
        1045,
        1046,
        1049,
        1051,
        1053,
        1054,
        1056,
        1060,
        1064,
        1066,
        1103,
        1109,
        1129,
        1130,
        1142,
        1143,
        1146,
    ),
    *(
        1148,
        1203,
        1205,
        1213,
        1221,
        1222,
        1227,
        1235,
        1241,
        1248,
        1267,
        1271,
        1290,
        1305,
        1317,
        1356,
        1370,
        1419,
        1427,
    ),
    *(1698, 1792, 1927, 1969, 3024, 3159),
    *range(2000, 3000),
}
_NEXT_STEPS = {
    1044: "check the name of the database, and ask for the right to read it",
    1045: "check user and password",
    1049: "check the name of the database",
    1054: "check the names of the columns",
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


def source_error(exc: pymysql.MySQLError, where: str) -> DatakitError:
    """The error of a connection or a statement: try again, correct the settings, or the server refuses to read."""
    number = number_of(exc)
    words = "" if quotes_rows(exc) else " ".join(str(part) for part in exc.args[1:])
    seen = f"error {number} {words}".strip() if number else type(exc).__name__
    if number in _TRY_AGAIN or (
        number == 0 and isinstance(exc, (pymysql.InterfaceError, pymysql.OperationalError))
    ):
        what = "MySQL is not reachable" if number in (2002, 2003) else "MySQL went away or was busy"
        return TryAgainError(what, where=where, seen=seen, next_step="check host and port, then try again")
    next_step = _NEXT_STEPS.get(number)
    if number in _CONNECTION:
        kind = PasswordNeededError if "using password: NO" in words else ConfigurationError
        return kind("MySQL refused the connection", where=where, seen=seen, next_step=next_step)
    return ExtractionError("MySQL refused to read", where=where, seen=seen, next_step=next_step)


def raise_refusal(exc: pymysql.MySQLError, where: str) -> NoReturn:
    """Raise the error of `source_error`; the driver's is its cause, unless it may quote a row."""
    raise source_error(exc, where) from (None if quotes_rows(exc) else exc)
