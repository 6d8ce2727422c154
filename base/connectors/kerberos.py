"""Kerberos tickets, by the library that libpq itself has loaded: no program is started, so no secret is on a command line.

The calls are those of GSSAPI (RFC 2744, the credential stores of MIT krb5, `gss_krb5_ccache_name`), found through psycopg2's
own module. Nothing here reads or sets an environment variable: `KRB5CCNAME`, `KRB5_CONFIG` and `KRB5_CLIENT_KTNAME` belong
to the whole process, and another thread may connect at the same time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = [
    "TICKET_EXPIRED",
    "GssFailure",
    "Ticket",
    "default_cache",
    "fetch_anew",
    "find_ticket",
    "request_service_ticket",
    "supports_kerberos",
]

_INITIATE = 1
_INDEFINITE = 0xFFFFFFFF
_MECHANISM_CODE = 2
_CONTINUE_NEEDED = 1
# 1.2.840.113554.1.2.2 and 1.2.840.113554.1.2.1.4 (RFC 1964, RFC 2743), as their bytes in ASN.1.
_KERBEROS = bytes.fromhex("2a864886f712010202")
_HOST_BASED = bytes.fromhex("2a864886f71201020104")
# Calling and routine errors of a major status (RFC 2744, 3.9.1).
_ERRORS = 0xFFFF0000
_CREDENTIALS_EXPIRED = 11 << 16
_MUTUAL = 2
_OVERWRITE = 1
TICKET_EXPIRED = -1765328352
_numbers = count()


class _Buffer(ctypes.Structure):
    _fields_ = (("length", ctypes.c_size_t), ("value", ctypes.c_void_p))


class _Oid(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint32), ("elements", ctypes.c_char_p))


class _OidSet(ctypes.Structure):
    _fields_ = (("count", ctypes.c_size_t), ("elements", ctypes.POINTER(_Oid)))


class _StoreElement(ctypes.Structure):
    _fields_ = (("key", ctypes.c_char_p), ("value", ctypes.c_char_p))


class _Store(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint32), ("elements", ctypes.POINTER(_StoreElement)))


class GssFailure(Exception):  # noqa: N818 - raised and caught inside the connectors
    """A call that failed: the mechanism's number (krb5_err.et, or 0) and its sentence, which names principals at most."""

    def __init__(self, code: int, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True)
class Ticket:
    """A ticket-granting ticket. `principal` is `user@REALM`; `seconds_left` is 0 when expired, None without an end."""

    principal: str
    seconds_left: int | None

    @property
    def user(self) -> str:
        """The principal without its realm."""
        return self.principal.rpartition("@")[0] or self.principal

    @property
    def realm(self) -> str:
        """The realm alone."""
        return self.principal.rpartition("@")[2]


@cache
def _library() -> Any:
    """GSSAPI as libpq uses it; None where libpq was built without."""
    from psycopg2 import _psycopg

    library = ctypes.CDLL(_psycopg.__file__)
    try:
        for name in ("gss_acquire_cred_from", "gss_krb5_ccache_name", "gss_init_sec_context"):
            getattr(library, name)
    except AttributeError:
        return None
    return library


def supports_kerberos() -> bool:
    """True where psycopg2's libpq brings a GSSAPI that can be asked for tickets."""
    return _library() is not None


def _call(name: str, *arguments: Any) -> int:
    """A GSSAPI function, all of which take the minor status first. Raises GssFailure."""
    minor = ctypes.c_uint32()
    major = int(_required()[name](ctypes.byref(minor), *arguments)) & 0xFFFFFFFF
    if major & _ERRORS == _CREDENTIALS_EXPIRED:
        raise GssFailure(TICKET_EXPIRED, "Ticket expired")
    if major & _ERRORS:
        raise GssFailure(ctypes.c_int32(minor.value).value, _sentence(major, minor.value))
    return major


def _required() -> Any:
    library = _library()
    if library is None:
        raise ConfigurationError(
            "psycopg2's libpq was built without GSSAPI",
            next_step="install psycopg2-binary, or build psycopg2 against a libpq with GSSAPI",
        )
    return library


def _sentence(major: int, minor: int) -> str:
    library = _library()
    kind, code = (_MECHANISM_CODE, minor) if minor else (1, major)
    text, more, status = _Buffer(), ctypes.c_uint32(), ctypes.c_uint32()
    mechanism = _Oid(len(_KERBEROS), _KERBEROS)
    library.gss_display_status(
        ctypes.byref(status),
        ctypes.c_uint32(code),
        kind,
        ctypes.byref(mechanism),
        ctypes.byref(more),
        ctypes.byref(text),
    )
    return _taken(text)


def _taken(text: _Buffer) -> str:
    """The text of a buffer that the library gave, which is freed."""
    words = ctypes.string_at(text.value, text.length).decode(errors="replace") if text.value else ""
    _library().gss_release_buffer(ctypes.byref(ctypes.c_uint32()), ctypes.byref(text))
    return words


@contextmanager
def _name(text: str, kind: bytes | None) -> Iterator[ctypes.c_void_p]:
    encoded = text.encode()
    name = ctypes.c_void_p()
    given = _Buffer(len(encoded), ctypes.cast(ctypes.c_char_p(encoded), ctypes.c_void_p))
    oid = ctypes.byref(_Oid(len(kind), kind)) if kind else None
    _call("gss_import_name", ctypes.byref(given), oid, ctypes.byref(name))
    try:
        yield name
    finally:
        _library().gss_release_name(ctypes.byref(ctypes.c_uint32()), ctypes.byref(name))


@contextmanager
def _credential(cache: str | None, keytab: str | None, principal: str | None) -> Iterator[ctypes.c_void_p]:
    """The credential of a cache; with a keytab the library fills the cache, and renews it at half of the ticket's life."""
    places = {b"ccache": cache, b"client_keytab": keytab}
    elements = [_StoreElement(key, value.encode()) for key, value in places.items() if value]
    store = _Store(len(elements), (_StoreElement * len(elements))(*elements))
    mechanism = _Oid(len(_KERBEROS), _KERBEROS)
    mechanisms = _OidSet(1, ctypes.pointer(mechanism))
    credential = ctypes.c_void_p()

    def acquire(name: ctypes.c_void_p | None) -> None:
        _call(
            "gss_acquire_cred_from",
            name,
            ctypes.c_uint32(_INDEFINITE),
            ctypes.byref(mechanisms),
            _INITIATE,
            ctypes.byref(store) if elements else None,
            ctypes.byref(credential),
            None,
            None,
        )

    if principal is None:
        acquire(None)
    else:
        with _name(principal, None) as name:
            acquire(name)
    try:
        yield credential
    finally:
        _library().gss_release_cred(ctypes.byref(ctypes.c_uint32()), ctypes.byref(credential))


def find_ticket(cache: str | None = None, keytab: str | None = None, principal: str | None = None) -> Ticket:
    """The ticket of a credential cache (None: the process's own), fetched by the keytab first where one is given.

    `principal` None means the cache's, else the keytab's first. Raises GssFailure.
    """
    with _credential(cache, keytab, principal) as credential:
        name, life = ctypes.c_void_p(), ctypes.c_uint32()
        _call("gss_inquire_cred", credential, ctypes.byref(name), ctypes.byref(life), None, None)
        try:
            text = _Buffer()
            _call("gss_display_name", name, ctypes.byref(text), None)
            return Ticket(_taken(text), None if life.value == _INDEFINITE else life.value)
        finally:
            _library().gss_release_name(ctypes.byref(ctypes.c_uint32()), ctypes.byref(name))


def fetch_anew(cache: str, keytab: str, principal: str | None = None) -> None:
    """Fill a cache by the keytab, whatever is in it. Raises GssFailure.

    After a renewal that failed, the library lets half a minute pass before it asks the KDC again, also where the ticket
    has expired meanwhile. It asks at once for a cache that is empty.
    """
    empty = f"MEMORY:datakit-new-{next(_numbers)}"
    element = _StoreElement(b"ccache", cache.encode())
    with _credential(empty, keytab, principal) as credential:
        _call(
            "gss_store_cred_into",
            credential,
            _INITIATE,
            None,
            _OVERWRITE,
            0,
            ctypes.byref(_Store(1, ctypes.pointer(element))),
            None,
            None,
        )


def request_service_ticket(service: str, host: str, cache: str | None = None) -> None:
    """Have the KDC give a ticket for `service/host`, as connecting does; it stays in the cache. Raises GssFailure."""
    context, token = ctypes.c_void_p(), _Buffer()
    mechanism = _Oid(len(_KERBEROS), _KERBEROS)
    with _credential(cache, None, None) as credential, _name(f"{service}@{host}", _HOST_BASED) as target:
        try:
            major = _call(
                "gss_init_sec_context",
                credential,
                ctypes.byref(context),
                target,
                ctypes.byref(mechanism),
                ctypes.c_uint32(_MUTUAL),
                ctypes.c_uint32(0),
                None,
                None,
                None,
                ctypes.byref(token),
                None,
                None,
            )
            assert major in (0, _CONTINUE_NEEDED)
        finally:
            status = ctypes.byref(ctypes.c_uint32())
            _library().gss_release_buffer(status, ctypes.byref(token))
            _library().gss_delete_sec_context(status, ctypes.byref(context), None)


@contextmanager
def default_cache(cache: str | None) -> Iterator[None]:
    """Within the block this thread, and no other, connects with this credential cache; None changes nothing."""
    if cache is None:
        yield
        return
    _call("gss_krb5_ccache_name", cache.encode(), None)
    try:
        yield
    finally:
        # No name: the environment's counts again, also one that is set later.
        _call("gss_krb5_ccache_name", None, None)
