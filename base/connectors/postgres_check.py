"""Why a source can or cannot be reached: every step on the way to it, tried one after the other."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2

from sqlmodel_framework.base.connectors.connection_causes import (
    DATABASE,
    ENCRYPTION,
    HOST,
    LOGIN,
    READING,
    SERVER,
    SERVICE_TICKET,
    SETTINGS,
    TICKET,
    Cause,
    cause_named,
    cause_of_code,
)
from sqlmodel_framework.base.connectors.kerberos import GssFailure, request_service_ticket, supports_kerberos
from sqlmodel_framework.base.connectors.libpq_parameters import password_file_complaint, service_names
from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
from sqlmodel_framework.base.connectors.postgres_login import (
    TicketProblem,
    cache_of,
    cause_of_refusal,
    logging_in,
    ticket_of,
)
from sqlmodel_framework.base.connectors.tls_probe import certificate_complaint
from sqlmodel_framework.base.errors import ConfigurationError
from sqlmodel_framework.base.results import Result

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["ConnectionCheck", "ConnectionStep", "check_connection", "unreadable_settings"]

_PORT = 5432
_PLACE = re.compile(r'connection to server (?:at|on socket) "[^"]*"(?: \([^)]*\))?(?:, port \d+)? failed:')


@dataclass(frozen=True)
class ConnectionStep(Result):
    """One step. `ok` None: not tried, because a step before it failed; `cause` is a stable name, None where nothing failed.

    `why` says what was seen, `next_step` what to do where it failed.
    """

    tried: str
    ok: bool | None
    why: str = ""
    next_step: str | None = None
    cause: str | None = None
    may_pass: bool = False


@dataclass(frozen=True)
class ConnectionCheck(Result):
    """All steps on the way to a source, in order. No part holds a password, a key or a row."""

    source: str
    steps: tuple[ConnectionStep, ...]

    @property
    def success(self) -> bool:
        """True when every step is done."""
        return self.failure is None

    @property
    def failure(self) -> ConnectionStep | None:
        """The step that failed; None where none did."""
        return next((step for step in self.steps if step.ok is False), None)

    @property
    def may_pass(self) -> bool:
        """True where the failure is one that the same call may not meet later: a server or a KDC that did not answer."""
        return self.failure is not None and self.failure.may_pass

    def __str__(self) -> str:
        marks = {True: "ok", False: "FAILED", None: "-"}
        lines = [self.source]
        for step in self.steps:
            lines.append(f"  {marks[step.ok]:6}  {step.tried:23}  {step.why}".rstrip())
            if step.next_step:
                lines.append(f"  {'':6}  {'':23}  next: {step.next_step}")
        return "\n".join(lines)


class _Failed(Exception):  # noqa: N818 - never leaves this module
    """A step failed."""

    def __init__(self, cause: Cause, why: str, next_step: str | None = None, step: str | None = None) -> None:
        self.row = ConnectionStep(
            step or cause.step, False, why, next_step or cause.next_step, cause.name, cause.passes
        )
        super().__init__(why)


def check_connection(config: PostgresConfig) -> ConnectionCheck:
    """Try every step on the way to a source; raises nothing for a step that fails.

    Reads the names of the schemas, and no row. With Kerberos a ticket for the server stays in the credential cache.
    """
    try:
        resolved = config.resolved()
    except ConfigurationError as exc:
        return unreadable_settings(config.address, exc)
    steps = _steps(config, resolved)
    done: list[ConnectionStep] = []
    walk = _walk(config, resolved)
    try:
        # One by one: what was done before a failure counts.
        while (step := next(walk, None)) is not None:
            done.append(step)
    except _Failed as exc:
        if exc.row.tried == SETTINGS:
            return ConnectionCheck(resolved.address, (exc.row,))
        open_steps = steps[len(done) : steps.index(exc.row.tried)]
        done += [*(ConnectionStep(name, True) for name in open_steps), exc.row]
    done += [ConnectionStep(name, None) for name in steps[len(done) :]]
    return ConnectionCheck(resolved.address, tuple(done))


def unreadable_settings(source: str, exc: ConfigurationError) -> ConnectionCheck:
    """The check of a source whose settings cannot be read, so that nothing else is tried."""
    why = ": ".join(part for part in (exc.what, exc.seen) if part)
    next_step = exc.next_step or (f"give {exc.expected}" if exc.expected else None)
    return ConnectionCheck(source, (ConnectionStep(SETTINGS, False, why, next_step, "settings-unreadable"),))


def _steps(config: PostgresConfig, resolved: PostgresConfig) -> list[str]:
    """The names of the steps of this way, in order."""
    tickets = [TICKET, SERVICE_TICKET] if config.use_kerberos and supports_kerberos() else []
    host = [] if _socket_folder(resolved) else [HOST]
    return [*host, SERVER, *tickets, ENCRYPTION, LOGIN, DATABASE, READING]


def _walk(config: PostgresConfig, resolved: PostgresConfig) -> Iterator[ConnectionStep]:
    """The steps that are done, in order. Raises _Failed at the first that is not."""
    places = _places(resolved)
    if places and not _socket_folder(resolved):
        yield ConnectionStep(HOST, True, _find(places))
    if places:
        yield ConnectionStep(SERVER, True, _reach(places, resolved.connect_timeout))
    if config.use_kerberos and supports_kerberos():
        if not places:
            raise _Failed(cause_named("gss-over-socket"), "no host is given", step=HOST)
        yield ConnectionStep(TICKET, True, _hold_ticket(config))
        yield ConnectionStep(SERVICE_TICKET, True, _get_service_ticket(config, resolved))
    with closing(_log_in(config, resolved)) as connection:
        if not places:
            yield ConnectionStep(HOST, True, "libpq's own default")
            yield ConnectionStep(SERVER, True, f"{connection.info.host} answers")
        yield from _look_around(connection, config)


def _socket_folder(resolved: PostgresConfig) -> bool:
    return bool(resolved.host and resolved.host.startswith(("/", "@")))


def _places(resolved: PostgresConfig) -> list[tuple[str, int]]:
    """Hosts or addresses with their ports; none where libpq's default counts."""
    hosts = (resolved.parameters.get("hostaddr") or resolved.host or "").split(",")
    ports = str(resolved.port or _PORT).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return [
        (host, int(port) if port.isdecimal() else _PORT)
        for host, port in zip(hosts, ports, strict=False)
        if host
    ]


def _find(places: list[tuple[str, int]]) -> str:
    found: list[str] = []
    unknown: list[str] = []
    for host, port in places:
        try:
            addresses = {
                str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            }
        except OSError as exc:
            unknown.append(f"{host}: {exc.strerror or exc}")
        else:
            found += sorted(addresses)
    if not found:
        raise _Failed(cause_named("host-unknown"), ", ".join(unknown))
    return ", ".join([*found, *unknown])


def _reach(places: list[tuple[str, int]], timeout: float) -> str:
    silent: list[str] = []
    for host, port in places:
        name = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
        try:
            with closing(_dial(host, port, timeout or None)):
                return f"{name} answers"
        except OSError as exc:
            silent.append(f"{name}: {exc.strerror or exc}")
    raise _Failed(cause_named("server-down"), ", ".join(silent))


def _dial(host: str, port: int, timeout: float | None) -> socket.socket:
    if not host.startswith(("/", "@")):
        return socket.create_connection((host, port), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        # A name that begins with @ is one of Linux's abstract sockets.
        connection.connect(f"{host}/.s.PGSQL.{port}".replace("@", "\0", 1))
    except OSError:
        connection.close()
        raise
    return connection


def _hold_ticket(config: PostgresConfig) -> str:
    try:
        ticket = ticket_of(config)
    except TicketProblem as exc:
        raise _Failed(exc.cause, exc.seen, step=TICKET) from None
    if ticket.seconds_left is None:
        return ticket.principal
    hours, minutes = divmod(ticket.seconds_left // 60, 60)
    return f"{ticket.principal}, {hours} h {minutes} min left"


def _get_service_ticket(config: PostgresConfig, resolved: PostgresConfig) -> str:
    if _socket_folder(resolved):
        raise _Failed(cause_named("gss-over-socket"), "the source is a socket", step=SERVICE_TICKET)
    service = resolved.krbsrvname or "postgres"
    host = (resolved.host or "localhost").split(",")[0]
    try:
        request_service_ticket(service, host, cache_of(config))
    except GssFailure as exc:
        cause = cause_of_code(exc.code, exc.sentence) or cause_named("gss")
        raise _Failed(cause, exc.sentence, step=SERVICE_TICKET) from None
    return f"{service}/{host}"


def _log_in(config: PostgresConfig, resolved: PostgresConfig) -> PsycopgConnection:
    try:
        with logging_in(config) as complete:
            opened: PsycopgConnection = psycopg2.connect(**complete.libpq_parameters(""))
    except TicketProblem as exc:
        raise _Failed(exc.cause, exc.seen, step=TICKET) from None
    except psycopg2.Error as exc:
        raise _refused(" ".join(str(exc).split()), config, resolved) from None
    return opened


def _refused(words: str, config: PostgresConfig, resolved: PostgresConfig) -> _Failed:
    cause = cause_of_refusal(words, config)
    seen = _shortened(words)
    if cause is None:
        return _Failed(cause_named("server-down"), seen, step=LOGIN if _places(resolved) else SERVER)
    if cause.name == "certificate-unknown":
        place = _places(resolved)[0]
        name, why = certificate_complaint(
            place, resolved.host or place[0], resolved.sslrootcert, resolved.connect_timeout
        )
        return _Failed(cause_named(name), why or seen)
    step = LOGIN if cause.step in (HOST, SERVER, TICKET, SERVICE_TICKET) else cause.step
    return _Failed(cause, seen, _better_step(cause, config, resolved), step)


def _shortened(words: str) -> str:
    """What libpq says without the place, which it repeats for each way that it tries."""
    parts = (part.strip() for part in _PLACE.split(words))
    return (
        "; ".join(dict.fromkeys(part for part in parts if part))
        or "the server ended the connection without a word"
    )


def _better_step(cause: Cause, config: PostgresConfig, resolved: PostgresConfig) -> str | None:
    """A next step that knows more than the cause alone; None where there is none."""
    if cause.name == "password-missing":
        complaint = password_file_complaint(resolved.passfile)
        return f"{cause.next_step}; {complaint}" if complaint else None
    if cause.name == "no-hba-entry" and config.use_kerberos and config.gssencmode == "disable":
        return f"leave out gssencmode='disable', as the server may want it encrypted by GSSAPI; or {cause.next_step}"
    if cause.name == "unknown-service" and service_names():
        return f"{cause.next_step}; known are {', '.join(service_names())}"
    return None


def _look_around(connection: PsycopgConnection, config: PostgresConfig) -> Iterator[ConnectionStep]:
    """What a session that came about is like."""
    try:
        connection.set_session(readonly=True, autocommit=True)
        with connection.cursor() as cursor:
            yield ConnectionStep(ENCRYPTION, True, _encryption(cursor, connection))
            cursor.execute("SELECT current_user, current_database()")
            user, database = cursor.fetchone() or ("", "")
            yield ConnectionStep(LOGIN, True, f"as {user}")
            yield ConnectionStep(DATABASE, True, str(database))
            yield ConnectionStep(READING, True, _readable(cursor, config.schema))
    except psycopg2.Error as exc:
        raise _Failed(cause_named("server-down"), type(exc).__name__, step=READING) from None


def _encryption(cursor: Any, connection: PsycopgConnection) -> str:
    cursor.execute(
        "SELECT principal, encrypted FROM pg_catalog.pg_stat_gssapi"
        " WHERE pid = pg_catalog.pg_backend_pid() AND gss_authenticated"
    )
    principal, encrypted = cursor.fetchone() or (None, False)
    ticket = f"authenticated by the ticket of {principal}" if principal else ""
    ways = ["by GSSAPI" if encrypted else "", f"by {_tls(connection)}" if connection.info.ssl_in_use else ""]
    way = next((way for way in ways if way), "not encrypted")
    return ", ".join(part for part in (way, ticket) if part)


def _tls(connection: PsycopgConnection) -> str:
    return f"{connection.info.ssl_attribute('protocol')} {connection.info.ssl_attribute('cipher')}"


def _readable(cursor: Any, schema: str) -> str:
    cursor.execute(
        "SELECT nspname, pg_catalog.has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace"
        " WHERE nspname !~ '^pg_' OR nspname = %s ORDER BY nspname",
        (schema,),
    )
    schemas = dict(cursor.fetchall())
    if schema not in schemas:
        raise _Failed(
            Cause("schema-missing", READING, "give a schema that is there: " + ", ".join(schemas)),
            f"no schema {schema}",
        )
    cursor.execute(
        "SELECT count(*), count(*) FILTER (WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT'))"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition",
        (schema,),
    )
    tables, readable = cursor.fetchone() or (0, 0)
    if not schemas[schema] or (tables and not readable):
        raise _Failed(
            Cause("reading-forbidden", READING, f"ask for USAGE on schema {schema} and SELECT on its tables"),
            f"{readable} of {tables} tables and views of schema {schema} may be read",
        )
    return f"{readable} of {tables} tables and views of schema {schema}"
