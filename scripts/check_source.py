"""Say why a source can or cannot be reached: `datakit check-source`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sqlmodel_framework.scripts.console import ends_with_exit_code, print_lines, run

if TYPE_CHECKING:
    from sqlmodel_framework.base.connectors.postgres_check import ConnectionCheck

__all__ = ["CheckFormat", "app", "check_source", "main"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class CheckFormat(StrEnum):
    """How a check is printed on stdout."""

    text = "text"
    json = "json"


@app.command()
@ends_with_exit_code
def check_source(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            show_default=False,
            help="postgresql://user@host:5432/database?sslmode=require, or host=… dbname=…. What it leaves out, and all of"
            " it when it is not given, comes from libpq's environment. Other programs can see a password in it: rather"
            " set PGPASSWORD or use .pgpass.",
        ),
    ] = None,
    kerberos: Annotated[bool, typer.Option("--kerberos", help="Log in by a Kerberos ticket.")] = False,
    keytab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Fetch the ticket with this keytab.")
    ] = None,
    principal: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose key of the keytab; its first if not given.")
    ] = None,
    credential_cache: Annotated[
        str | None,
        typer.Option(
            metavar="CACHE", help="Where the ticket is, such as FILE:/run/tickets; KRB5CCNAME counts."
        ),
    ] = None,
    schema: Annotated[str, typer.Option(metavar="NAME", help="Where tables are looked up.")] = "public",
    output_format: Annotated[
        CheckFormat, typer.Option("--format", help="Result on stdout.")
    ] = CheckFormat.text,
) -> int:
    """Try every step on the way to a PostgreSQL source, and say at the first that fails why, and what to do. No row is read.

    Exit codes: 0 it can be read, 1 something is to be mended, 75 try again.
    """
    fields: dict[str, Any] = {
        "use_kerberos": kerberos or bool(keytab or principal or credential_cache),
        "keytab": str(keytab) if keytab else None,
        "principal": principal,
        "credential_cache": credential_cache,
        "schema": schema,
    }
    check = _check(url, fields)
    print_lines([_json(check) if output_format is CheckFormat.json else str(check)])
    if check.success:
        return 0
    return 75 if check.may_pass else 1


def _check(url: str | None, fields: dict[str, Any]) -> ConnectionCheck:
    from sqlmodel_framework.base.connectors.postgres_check import check_connection, unreadable_settings
    from sqlmodel_framework.base.connectors.postgres_config import PostgresConfig
    from sqlmodel_framework.base.errors import ConfigurationError

    try:
        config = PostgresConfig.from_url(url, **fields) if url else PostgresConfig.from_env(**fields)
    except ConfigurationError as exc:
        return unreadable_settings("source", exc)
    return check_connection(config)


def _json(check: ConnectionCheck) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({"success": check.success, **asdict(check)}, ensure_ascii=False, indent=2)


def main() -> None:
    """Run this program alone."""
    run(app)


if __name__ == "__main__":
    main()
