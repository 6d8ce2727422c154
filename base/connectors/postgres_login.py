"""Connecting: the ticket first where Kerberos is asked for, then libpq, and its refusals in our words."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import psycopg2

from sqlmodel_framework.base.connectors.connection_causes import (
    Cause,
    cause_named,
    cause_of_code,
    cause_of_words,
)
from sqlmodel_framework.base.connectors.kerberos import (
    TICKET_EXPIRED,
    GssFailure,
    Ticket,
    default_cache,
    fetch_anew,
    find_ticket,
    supports_kerberos,
)
from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
from sqlmodel_framework.base.connectors.postgres_errors import connection_error
from sqlmodel_framework.base.errors import ConfigurationError, DatakitError, TryAgainError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["TicketProblem", "cache_of", "cause_of_refusal", "connect", "logging_in", "ticket_of"]

# A server that ends a GSSAPI session says nothing to the client; libpq goes on to the next way, or ends there.
_SILENT = re.compile(r"failed:\s*($|connection to server)")

_renewing: defaultdict[str, Lock] = defaultdict(Lock)


class TicketProblem(Exception):  # noqa: N818 - raised and caught inside the connectors
    """There is no usable ticket: the cause, and what was seen, without keys."""

    def __init__(self, cause: Cause, seen: str) -> None:
        self.cause = cause
        self.seen = seen
        super().__init__(seen)

    def as_error(self, where: str) -> DatakitError:
        """The error that a call ends with."""
        kind = TryAgainError if self.cause.passes else ConfigurationError
        return kind("no Kerberos ticket", where=where, seen=self.seen, next_step=self.cause.next_step)


def connect(config: PostgresConfig, options: str) -> PsycopgConnection:
    """A new connection, whose session has the settings `options` (`-c name=value …`) and UTC.

    Safe in threads; see `PostgresConfig` for what Kerberos shares between them. A ticket of a keytab is fetched and
    renewed here. Raises ConfigurationError, PasswordNeededError or TryAgainError.
    """
    try:
        with logging_in(config) as complete:
            try:
                opened: PsycopgConnection = psycopg2.connect(**complete.libpq_parameters(options))
            except psycopg2.Error as exc:
                raise _refusal(exc, config) from exc
    except TicketProblem as exc:
        raise exc.as_error(config.address) from None
    if os.environ.get("PGTZ"):
        # libpq sends the variable beside the options, and it would win.
        _set_utc(opened)
    return opened


def _set_utc(connection: PsycopgConnection) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone TO 'UTC'")
    connection.autocommit = False


@contextmanager
def logging_in(config: PostgresConfig) -> Iterator[PostgresConfig]:
    """Within the block this thread connects with the source's ticket; gives the configuration with the ticket's user.

    Without Kerberos the configuration as it is. Raises TicketProblem.
    """
    if not config.use_kerberos or not supports_kerberos():
        yield config
        return
    ticket = ticket_of(config)
    user = config.resolved().username or ticket.user
    with default_cache(cache_of(config)):
        yield replace(config, username=user)


def cache_of(config: PostgresConfig) -> str | None:
    """The credential cache of a source: the one it names, or one in memory for each keytab and principal; None: the process's."""
    if config.credential_cache or not config.keytab:
        return config.credential_cache
    digest = sha256(f"{config.keytab}\0{config.principal or ''}".encode()).hexdigest()
    return f"MEMORY:datakit-{digest[:16]}"


def ticket_of(config: PostgresConfig) -> Ticket:
    """The ticket that a source connects with, fetched or renewed by its keytab where it has one. Raises TicketProblem."""
    if config.keytab:
        _refuse_unreadable(config.keytab)
    cache = cache_of(config)
    try:
        # Two threads that renew at the same time would hinder one another: one of them would see the old ticket.
        with _renewing[cache or ""]:
            ticket = _found_or_fetched(cache, config)
    except GssFailure as exc:
        cause = cause_of_code(exc.code, exc.sentence)
        if config.keytab and cause is cause_named("no-ticket"):
            whose = config.principal or "any principal"
            raise TicketProblem(
                cause_named("keytab-unusable"), f"no key for {whose} in {config.keytab}"
            ) from None
        raise TicketProblem(cause or cause_named("gss"), exc.sentence) from None
    return ticket


def _found_or_fetched(cache: str | None, config: PostgresConfig) -> Ticket:
    try:
        return find_ticket(cache, config.keytab, config.principal)
    except GssFailure as exc:
        if exc.code != TICKET_EXPIRED or not config.keytab or not cache:
            raise
    fetch_anew(cache, config.keytab, config.principal)
    return find_ticket(cache, config.keytab, config.principal)


def _refuse_unreadable(keytab: str) -> None:
    path = Path(keytab.removeprefix("FILE:"))
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        raise TicketProblem(cause_named("keytab-unusable"), f"{path}: {exc.strerror}") from None


def cause_of_refusal(words: str, config: PostgresConfig) -> Cause | None:
    """Why libpq gave up, from its words and from what was asked for."""
    cause = cause_of_words(words)
    if not config.use_kerberos:
        return cause
    if cause is cause_named("gss-not-offered") and "on socket" in words:
        return cause_named("gss-over-socket")
    specific = cause is not None and cause.name not in ("no-hba-entry", "gss")
    return cause_named("server-refuses-ticket") if not specific and _SILENT.search(words) else cause


def _refusal(exc: psycopg2.Error, config: PostgresConfig) -> DatakitError:
    words = " ".join(str(exc).split())
    return connection_error(exc, config.address, cause_of_refusal(words, config))
