"""Why a connection does not come about, told from libpq's words and the Kerberos library's numbers; and what to do then."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ALL_CAUSES", "Cause", "cause_named", "cause_of_code", "cause_of_words"]

SETTINGS = "read the settings"
HOST, SERVER, TICKET, SERVICE_TICKET = (
    "find the host",
    "reach the server",
    "hold a ticket",
    "get the server's ticket",
)
ENCRYPTION, LOGIN, DATABASE, READING = "encrypt", "log in", "open the database", "read"


@dataclass(frozen=True)
class Cause:
    """One reason: its stable name, the step at which it shows, what to do. `signs` are words of libpq, any of which tells it.

    `codes` are the Kerberos library's (krb5_err.et). `passes` is True where the same call may work later.
    """

    name: str
    step: str
    next_step: str
    signs: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    passes: bool = False


_KERBEROS = (
    Cause(
        "wrong-realm",
        SERVICE_TICKET,
        "get a ticket in the server's realm, or have the two realms trust each other; [domain_realm] in krb5.conf says"
        " which realm a host is in",
        ("krbtgt/",),
        (-1765328168,),
    ),
    Cause(
        "service-unknown",
        SERVICE_TICKET,
        "give the host by its full name, as in the server's keytab, never by its address; and check krbsrvname",
        ("not found in Kerberos database",),
        (-1765328377,),
    ),
    Cause(
        "client-unknown",
        TICKET,
        "check the principal and its realm: the KDC does not know it, or it is locked or expired",
        ("Client not found in Kerberos database", "credentials have been revoked"),
        (-1765328378, -1765328366, -1765328383),
    ),
    Cause(
        "kdc-unreachable",
        SERVICE_TICKET,
        "check the network and the realm's kdc in krb5.conf (KRB5_CONFIG), then try again",
        ("Cannot contact any KDC", "Cannot resolve network address for KDC"),
        (-1765328228, -1765328164),
        passes=True,
    ),
    Cause(
        "realm-unknown",
        SERVICE_TICKET,
        "name the realm and its kdc in krb5.conf (KRB5_CONFIG)",
        ("Cannot find KDC for realm", "Cannot determine realm", "does not specify default realm"),
        (-1765328230, -1765328160),
    ),
    Cause(
        "clock-skew",
        SERVICE_TICKET,
        "set this machine's clock by a time server: Kerberos allows 5 minutes between it, the KDC and the server",
        ("Clock skew too great", "Ticket not yet valid"),
        (-1765328347, -1765328351, -1765328237),
    ),
    Cause(
        "expired-ticket",
        TICKET,
        "get a new ticket with kinit, or give a keytab",
        ("Ticket expired",),
        (-1765328352,),
    ),
    Cause(
        "no-ticket",
        TICKET,
        "get a ticket with kinit, or give a keytab; KRB5CCNAME or credential_cache says where the ticket is",
        ("no credential cache", "No Kerberos credentials available", "No credentials cache found"),
        (-1765328189, -1765328243),
    ),
    Cause(
        "cache-unusable",
        TICKET,
        "set KRB5CCNAME or credential_cache to a file, such as FILE:/tmp/tickets: this library has no such kind of cache",
        ("Unknown credential cache type", "No KCM server found"),
        (-1765328244, -1750600181),
    ),
    Cause(
        "keytab-refused",
        TICKET,
        "export the keytab anew: its key is not the KDC's any more, or of a kind that is switched off",
        ("Preauthentication failed",),
        (-1765328360, -1765328353, -1765328370),
    ),
    Cause(
        "keytab-unusable",
        TICKET,
        "check the path of the keytab, who may read it, and its principals (klist -k)",
    ),
    Cause(
        "server-refuses-ticket",
        LOGIN,
        "ask the server's administrator: its log says why; often its keytab lacks the newest key of its principal",
    ),
    Cause(
        "not-mapped",
        LOGIN,
        "connect as the ticket's own user, or ask the administrator to map the principal to this role (pg_hba.conf:"
        " krb_realm, include_realm, map; pg_ident.conf)",
        ("GSSAPI authentication failed for user",),
    ),
    Cause(
        "gss-not-offered",
        LOGIN,
        "ask the server's administrator for a line with gss in pg_hba.conf, or log in without Kerberos",
        ('requirement "" failed',),
    ),
    Cause(
        "gss-over-socket",
        LOGIN,
        "give the host's name in place of a socket: Kerberos needs TCP",
        ("not supported over a local socket",),
    ),
)
_OTHERS = (
    Cause(
        "server-busy",
        LOGIN,
        "try again when the server has started, has room, or is there again",
        (
            "starting up",
            "shutting down",
            "recovery",
            "not yet accepting connections",
            "too many clients",
            "too many connections",
            "remaining connection slots",
            "due to timeout",
            "administrator command",
            "SSL SYSCALL error",
            "closed the connection unexpectedly",
        ),
        passes=True,
    ),
    Cause(
        "unknown-service",
        SETTINGS,
        "correct the name, or set PGSERVICEFILE to the file that defines it",
        ("definition of service", "service file"),
    ),
    Cause(
        "host-unknown",
        HOST,
        "check the host name, and that this machine's DNS knows it",
        ("could not translate host name",),
        passes=True,
    ),
    Cause(
        "server-down",
        SERVER,
        "check host and port, and that the server runs and no firewall is between",
        passes=True,
    ),
    Cause(
        "no-hba-entry",
        LOGIN,
        "ask the server's administrator to admit this user, host and encryption",
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
    ),
    Cause("wrong-password", LOGIN, "check the user and the password", ("password authentication failed",)),
    Cause(
        "password-missing",
        LOGIN,
        "give a password, a .pgpass entry or PGPASSWORD",
        ("no password supplied",),
    ),
    Cause(
        "other-system-user",
        LOGIN,
        "connect as the role of your own system user, or over TCP with a password",
        ("Peer authentication failed", "Ident authentication failed"),
    ),
    Cause(
        "client-certificate-missing",
        LOGIN,
        "give sslcert and sslkey",
        ("requires a valid client certificate",),
    ),
    Cause(
        "client-certificate-refused",
        LOGIN,
        "give a certificate whose common name is the user, made by an authority that the server trusts",
        (
            "certificate authentication failed",
            "alert unknown ca",
            "alert certificate",
            "alert bad certificate",
        ),
    ),
    Cause(
        "database-missing",
        DATABASE,
        "create the database or name one that exists",
        ('database "" does not exist',),
    ),
    Cause("role-missing", LOGIN, "create the role or name one that exists", ('role "" does not exist',)),
    Cause(
        "database-forbidden",
        DATABASE,
        "ask for the right to connect to this database",
        ("permission denied for database",),
    ),
    Cause("gss", LOGIN, "get a ticket with kinit, and check the host name and krbsrvname", ("GSSAPI",)),
    Cause("tls-not-offered", ENCRYPTION, "set sslmode to what the server offers", ("does not support SSL",)),
    Cause(
        "certificate-other-host",
        ENCRYPTION,
        "give the host by a name that the server's certificate has",
        ("does not match host name",),
    ),
    Cause(
        "certificate-expired",
        ENCRYPTION,
        "ask the server's administrator for a new certificate, and check this machine's clock",
        ("certificate has expired", "certificate is not yet valid"),
    ),
    Cause(
        "certificate-unknown",
        ENCRYPTION,
        "set sslrootcert to the certificate of the authority that made the server's",
        ("certificate verify failed",),
    ),
    Cause(
        "root-certificate-missing",
        ENCRYPTION,
        'set sslrootcert to a file that is there, or to "system"',
        ("root certificate file", "could not read root certificate"),
    ),
    Cause(
        "client-key-unusable",
        ENCRYPTION,
        "check sslcert, sslkey and sslpassword; only you may read the key (chmod 600)",
        ("private key file", "could not load private key", "certificate file"),
    ),
    Cause("tls", ENCRYPTION, "set sslmode to what the server offers", ("SSL",)),
    Cause("refused", LOGIN, "do what the server's words ask for; its log says more", ("FATAL",)),
    Cause("option-invalid", LOGIN, "correct the connection option that the message names", ("invalid",)),
)
ALL_CAUSES = (*_KERBEROS, *_OTHERS)
_BY_NAME = {cause.name: cause for cause in ALL_CAUSES}


def cause_named(name: str) -> Cause:
    """The cause of a name."""
    return _BY_NAME[name]


def cause_of_words(words: str) -> Cause | None:
    """The first cause of which libpq's words have a sign; names in quotes do not count."""
    signs = re.sub(r'"[^"]*"', '""', words)
    return next((cause for cause in ALL_CAUSES if any(sign in signs for sign in cause.signs)), None)


def cause_of_code(code: int, sentence: str) -> Cause | None:
    """The cause of a number of the Kerberos library, whose sentence tells an unknown realm from an unknown service."""
    if "krbtgt/" in sentence:
        return _BY_NAME["wrong-realm"]
    return next((cause for cause in _KERBEROS if code in cause.codes), None)
