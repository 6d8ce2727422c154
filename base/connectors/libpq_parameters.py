"""What libpq is told and where it looks: its parameters, environment variables, connection strings and service files.

Source: PostgreSQL documentation, "libpq - C Library", sections 34.1.2, 34.15 and 34.17.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psycopg2
from psycopg2.extensions import parse_dsn

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = [
    "ENVIRONMENT",
    "environment_parameters",
    "parameters_of_url",
    "password_file_complaint",
    "service_names",
    "service_parameters",
]

ENVIRONMENT: Mapping[str, str] = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssdelegation": "PGGSSDELEGATION",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcompression": "PGSSLCOMPRESSION",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
"""libpq's connection parameters that have an environment variable.

Left out: `PGCLIENTENCODING`, `PGTZ`, `PGDATESTYLE`, which a connector sets itself, and `PGSERVICEFILE`, `PGSYSCONFDIR` and
`PGLOCALEDIR`, which libpq reads wherever the other parameters come from.
"""


def environment_parameters(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The parameters that libpq's variables set, by its own names; an empty variable counts as none, as for libpq."""
    variables = os.environ if environment is None else environment
    found = {name: variables[variable] for name, variable in ENVIRONMENT.items() if variables.get(variable)}
    if variables.get("PGREQUIRESSL", "0").startswith("1"):
        # The variable before PGSSLMODE, which libpq still reads.
        found.setdefault("sslmode", "require")
    return found


def parameters_of_url(url: str) -> dict[str, str]:
    """The parameters of a URL or of a connection string such as `host=db dbname=shop`, by libpq's names.

    A driver in the scheme, as SQLAlchemy writes it, is left out. Raises ConfigurationError, which shows no part of the
    text: a password may stand where nobody expects it.
    """
    scheme, colon, rest = url.partition("://")
    dialect = scheme.partition("+")[0]
    if colon and " " not in scheme and "=" not in scheme and dialect not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "the URL is not one of PostgreSQL",
            seen=f"{scheme}://",
            expected="postgresql://user@host:5432/database",
        )
    try:
        parsed: dict[str, str] = parse_dsn(
            f"{dialect}://{rest}" if colon and dialect.startswith("postgres") else url
        )
    except (psycopg2.ProgrammingError, UnicodeError) as exc:
        raise ConfigurationError(
            "the URL of a source cannot be read",
            seen="a part that is no UTF-8" if isinstance(exc, UnicodeError) else _safe_part(str(exc)),
            expected="postgresql://user@host:5432/database?sslmode=require, or host=… dbname=…",
            next_step="write reserved characters of user, password and database as %40 and the like",
        ) from None
    return parsed


def _safe_part(words: str) -> str:
    """What libpq says without what it quotes; the name of an unknown option may be shown."""
    sentence, _, quoted = words.strip().removeprefix("invalid dsn: ").partition('"')
    if sentence.startswith(("invalid URI query parameter", "invalid connection option")):
        return f"{sentence}{quoted.partition(chr(34))[0]}"
    return sentence.partition(":")[0] or "a text that libpq cannot read"


def service_parameters(service: str | None) -> dict[str, str]:
    """The parameters of a service in libpq's service files; `service` None means `PGSERVICE`, else there are none.

    None either for a service that is not found: libpq has one more file, whose folder was set when it was built.
    """
    name = service or os.environ.get("PGSERVICE")
    found = (sections[name] for sections in map(_sections, _service_files()) if name and name in sections)
    return next(found, {})


def service_names() -> list[str]:
    """The services that the files of the user and of `PGSYSCONFDIR` define, sorted."""
    return sorted({name for file in _service_files() for name in _sections(file)})


def _service_files() -> list[Path]:
    own = os.environ.get("PGSERVICEFILE")
    files = [Path(own)] if own else [Path("~/.pg_service.conf").expanduser()]
    common = os.environ.get("PGSYSCONFDIR")
    return [*files, *([Path(common) / "pg_service.conf"] if common else [])]


def _sections(file: Path) -> dict[str, dict[str, str]]:
    """Sections of a service file; a file that cannot be read, and what libpq refuses in one, is left for libpq to say."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in map(str.strip, lines):
        if line.startswith("[") and line.endswith("]"):
            # The first section of a name counts.
            current = {}
            sections.setdefault(line[1:-1], current)
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            current.setdefault(name, value)
    return sections


def password_file_complaint(passfile: str | None) -> str | None:
    """Why libpq ignores the password file, where it does; None otherwise."""
    path = Path(passfile or os.environ.get("PGPASSFILE") or "~/.pgpass").expanduser()
    if not path.is_file():
        return f"there is no password file {path}" if passfile or os.environ.get("PGPASSFILE") else None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        return f"others may read the password file {path}, so libpq ignores it: chmod 600 it"
    return f"the password file {path} has no line for this host, port, database and user"
