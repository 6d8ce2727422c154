"""psycopg2's errors in our words, without row values: the connector and the engine share them.

A server's DETAIL line, and the primary message of SQLSTATE classes 22 (data) and 23 (constraint), quote the rows that
failed, so neither is repeated. Source: PostgreSQL documentation, appendix A, "Error Codes".
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import psycopg2
from psycopg2 import errors

from sqlmodel_framework.base.connectors.connection_causes import Cause, cause_of_words
from sqlmodel_framework.base.errors import (
    ConfigurationError,
    DatakitError,
    PasswordNeededError,
    TryAgainError,
)

__all__ = [
    "connection_error",
    "describe",
    "driver_error_of",
    "is_retryable",
    "quotes_rows",
    "raise_refusal",
    "server_refusal",
]

# SQLSTATE classes about connections, rights, objects and resources; the words of any other may hold values of rows.
_SAFE_CLASSES = ("08", "0A", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58")
_TRY_AGAIN_STATES = ("08", "57P", "53300", "40001", "40P01", "55P03")
# What libpq itself refuses; a server's refusal says FATAL.
_REFUSED_WORDS = (
    "FATAL",
    "authentication",
    "no password",
    "invalid",
    "GSSAPI",
    "SSL",
    "certificate",
    "sslmode",
)
_NEXT_STEPS_BY_STATE = {
    "22021": "correct the bytes that are no text, or read the column as bytea",
    "42501": "ask for the right that the message names",
    "42P01": "check the name and the schema",
    "3F000": "check the name of the schema",
}


def connection_error(exc: psycopg2.Error, where: str, cause: Cause | None = None) -> DatakitError:
    """The error of a connection that did not come about; libpq gives no SQLSTATE here, only words.

    `cause` None means: told by the words alone.
    """
    words = " ".join(str(exc).split())
    signs = re.sub(r'"[^"]*"', '""', words)
    cause = cause or cause_of_words(words)
    answered = any(sign in signs for sign in _REFUSED_WORDS) or (cause is not None and not cause.passes)
    if not answered or (cause is not None and cause.passes):
        return TryAgainError(
            "PostgreSQL is not reachable",
            where=where,
            seen=words,
            next_step=cause.next_step if cause else "check host and port, then try again",
        )
    kind = PasswordNeededError if "no password supplied" in signs else ConfigurationError
    return kind(
        "PostgreSQL refused the connection",
        where=where,
        seen=words,
        next_step=cause.next_step if cause else None,
    )


def driver_error_of(exc: BaseException) -> psycopg2.Error | None:
    """The driver's error behind one that SQLAlchemy or pandas raised; None where there is none."""
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, psycopg2.Error):
        cause = getattr(cause, "orig", None) or cause.__cause__
    return cause


def is_retryable(exc: psycopg2.Error) -> bool:
    """True where the same call may work later: the server went away, or a lock or a slot was not to be had."""
    state = exc.pgcode
    if state is None:
        # A bare DatabaseError is what psycopg2 makes of a connection that breaks during COPY.
        return isinstance(exc, (psycopg2.OperationalError, psycopg2.InterfaceError)) or (
            type(exc) is psycopg2.DatabaseError and "no message from the libpq" in str(exc)
        )
    return state.startswith(_TRY_AGAIN_STATES)


def describe(exc: psycopg2.Error) -> str:
    """The error's name, SQLSTATE and objects; the server's sentence only where it cannot quote a row."""
    state = exc.pgcode
    if state is None:
        # libpq's and the driver's own words know no rows.
        return f"{type(exc).__name__}: {' '.join(str(exc).split())}"
    diagnostics = exc.diag
    objects: dict[str, Any] = {
        "table": diagnostics.table_name,
        "column": diagnostics.column_name,
        "constraint": diagnostics.constraint_name,
    }
    named = ", ".join(f"{kind} {name}" for kind, name in objects.items() if name)
    sentence = "" if quotes_rows(exc) else (diagnostics.message_primary or "")
    if state == "2BP01":
        # The detail of a refused DROP names the objects that depend on it, and no row.
        sentence = f"{sentence}: {' '.join((diagnostics.message_detail or '').split())}"
    parts = [f"{_name_of(exc, state)} (SQLSTATE {state})", sentence, named]
    return ": ".join(part for part in parts if part)


def server_refusal(exc: psycopg2.Error, where: str, kind: type[DatakitError], what: str) -> DatakitError:
    """The error of a statement: try again, or an error of `kind` that says `what` failed."""
    if is_retryable(exc):
        return TryAgainError(
            "PostgreSQL went away or was busy", where=where, seen=describe(exc), next_step="try again"
        )
    next_step = _NEXT_STEPS_BY_STATE.get(exc.pgcode or "")
    return kind(what, where=where, seen=describe(exc), next_step=next_step)


def raise_refusal(exc: psycopg2.Error, where: str, kind: type[DatakitError], what: str) -> NoReturn:
    """Raise the error of `server_refusal`; the driver's is its cause, unless it may quote a row."""
    raise server_refusal(exc, where, kind, what) from (None if quotes_rows(exc) else exc)


def quotes_rows(exc: psycopg2.Error) -> bool:
    """True where the server's words may hold values of rows."""
    if exc.pgcode is None:
        return False
    # The context of a COPY quotes the line.
    return not exc.pgcode.startswith(_SAFE_CLASSES) or (exc.diag.context or "").startswith("COPY")


def _name_of(exc: psycopg2.Error, state: str) -> str:
    try:
        return errors.lookup(state).__name__
    except KeyError:
        return type(exc).__name__
