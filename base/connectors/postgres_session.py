"""Connections of the connector: settings under which PostgreSQL prints every value whole, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import psycopg2

from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
from sqlmodel_framework.base.connectors.postgres_errors import raise_refusal
from sqlmodel_framework.base.connectors.postgres_login import connect
from sqlmodel_framework.base.errors import ExtractionError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["DRIVER_SESSION", "REFUSED", "connect", "reading_session"]

REFUSED = "PostgreSQL refused to read"

# Text forms that keep every digit, whatever the server's or the role's settings are.
_SESSION = "-c TimeZone=UTC -c DateStyle=ISO -c bytea_output=hex -c extra_float_digits=3"
# The driver's own reading of intervals knows the style "postgres" alone.
DRIVER_SESSION = f"{_SESSION} -c IntervalStyle=postgres"
_COPY_SESSION = f"{_SESSION} -c IntervalStyle=iso_8601"


@contextmanager
def reading_session(config: PostgresConfig, where: str) -> Iterator[PsycopgConnection]:
    """A connection in one read-only transaction that sees one moment; closed at the end of the block.

    What the driver raises inside the block leaves it as ExtractionError or TryAgainError.
    """
    with closing(connect(config, _COPY_SESSION)) as connection:
        try:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield connection
        except psycopg2.Error as exc:
            raise_refusal(exc, where, ExtractionError, REFUSED)
