"""Why a server's certificate is refused: libpq says only that it is, so the same certificate is asked for once more.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", SSLRequest; OpenSSL's X509_STORE_CTX_get_error.
"""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path

__all__ = ["certificate_complaint"]

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_NOT_YET_VALID, _EXPIRED = 9, 10


def certificate_complaint(
    place: tuple[str, int], host: str, root_certificate: str | None, timeout: float
) -> tuple[str, str]:
    """The name of the cause and OpenSSL's sentence on it. `place` is host or address and port, `host` the name to compare."""
    try:
        context = _context(root_certificate)
        with socket.create_connection(place, timeout or None) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                with context.wrap_socket(plain, server_hostname=host):
                    pass
    except ssl.SSLCertVerificationError as exc:
        expired = exc.verify_code in (_NOT_YET_VALID, _EXPIRED)
        return "certificate-expired" if expired else "certificate-unknown", exc.verify_message
    except (OSError, ValueError):
        # Seen differently than by libpq: its own words stay.
        return "certificate-unknown", ""
    return "certificate-unknown", ""


def _context(root_certificate: str | None) -> ssl.SSLContext:
    """Verifies the chain against libpq's authorities, and not the name, of which libpq speaks itself."""
    file = Path(root_certificate or "~/.postgresql/root.crt").expanduser()
    system = root_certificate == "system"
    context = ssl.create_default_context(cafile=None if system else str(file))
    context.check_hostname = False
    return context
