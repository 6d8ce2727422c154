"""psycopg2's errors in our words, without row values: the connector and the engine share them.

A server's DETAIL line, and the primary message of SQLSTATE classes 22 (data) and 23 (constraint), quote the rows that
failed, so neither is repeated. Source: PostgreSQL documentation, appendix A, "Error Codes".
"""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import errors

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, TryAgainError

__all__ = ["connection_error", "describe", "is_retryable", "server_refusal"]

_TRY_AGAIN_STATES = ("08", "57P", "53300", "40001", "40P01", "55P03")
_TRY_AGAIN_WORDS = (
    "starting up",
    "shutting down",
    "recovery",
    "too many clients",
    "remaining connection slots",
)
_NEXT_STEPS = (
    ("password authentication failed", "check the user and the password"),
    ("no password supplied", "give a password, a .pgpass entry or PGPASSWORD"),
    ("database", "create the database or name one that exists"),
    ("role", "create the role or name one that exists"),
    (
        "Peer authentication failed",
        "connect as the role of your own system user, or over TCP with a password",
    ),
    ("no pg_hba.conf entry", "ask the server's administrator to admit this user, host and encryption"),
    ("SSL", "set sslmode to what the server offers"),
    ("invalid", "correct the connection option that the message names"),
)


def connection_error(exc: psycopg2.Error, where: str) -> DatakitError:
    """The error of a connection that did not come about; libpq gives no SQLSTATE here, only words."""
    words = " ".join(str(exc).split())
    answered = "FATAL" in words or "authentication" in words or "invalid" in words or "no password" in words
    if not answered or any(sign in words for sign in _TRY_AGAIN_WORDS):
        return TryAgainError(
            "PostgreSQL is not reachable",
            where=where,
            seen=words,
            next_step="check host and port, then try again",
        )
    next_step = next((step for sign, step in _NEXT_STEPS if sign in words), None)
    return ConfigurationError(
        "PostgreSQL refused the connection", where=where, seen=words, next_step=next_step
    )


def is_retryable(exc: psycopg2.Error) -> bool:
    """True where the same call may work later: the server went away, or a lock or a slot was not to be had."""
    state = exc.pgcode
    if state is None:
        return isinstance(exc, (psycopg2.OperationalError, psycopg2.InterfaceError))
    return state.startswith(_TRY_AGAIN_STATES)


def describe(exc: psycopg2.Error) -> str:
    """The error's name, SQLSTATE and objects; the server's sentence only where it cannot quote a row."""
    state = exc.pgcode or ""
    diagnostics = exc.diag
    objects: dict[str, Any] = {
        "table": diagnostics.table_name,
        "column": diagnostics.column_name,
        "constraint": diagnostics.constraint_name,
    }
    named = ", ".join(f"{kind} {name}" for kind, name in objects.items() if name)
    sentence = "" if state[:2] in ("22", "23") else (diagnostics.message_primary or "")
    parts = [f"{_name_of(exc, state)} (SQLSTATE {state})" if state else type(exc).__name__, sentence, named]
    return ": ".join(part for part in parts if part)


def server_refusal(exc: psycopg2.Error, where: str, kind: type[DatakitError], what: str) -> DatakitError:
    """The error of a statement: try again, or an error of `kind` that says `what` failed."""
    if is_retryable(exc):
        return TryAgainError("PostgreSQL went away or was busy", where=where, seen=describe(exc))
    next_step = "ask for the right that the message names" if exc.pgcode == "42501" else None
    return kind(what, where=where, seen=describe(exc), next_step=next_step)


def _name_of(exc: psycopg2.Error, state: str) -> str:
    try:
        return errors.lookup(state).__name__
    except KeyError:
        return type(exc).__name__
