"""The containers of targets: `datakit targets list`, `stop` and `clean`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from sqlmodel_framework.scripts.console import ends_with_exit_code, print_lines

if TYPE_CHECKING:
    from sqlmodel_framework.engines.our_containers import OurContainer

__all__ = ["app", "clean", "list_", "stop"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The containers of this checkout's targets: list them, stop kept ones, remove what crashed runs left.",
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

OlderThan = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Also remove containers older than this whose owner cannot be asked after: 90s, 30m, 1h, 2d.",
    ),
]


@app.command("list")
@ends_with_exit_code
def list_() -> int:
    """List the containers of this checkout: those of runs, and those kept by reuse = true."""
    from sqlmodel_framework.engines.our_containers import list_containers

    print_lines([_line(one) for one in list_containers()] or ["no containers"])
    return 0


@app.command()
@ends_with_exit_code
def stop(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Names of containers.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All kept containers of this checkout that nobody uses.")
    ] = False,
) -> int:
    """Stop and remove containers kept by reuse = true: by name, or all that nobody uses."""
    from sqlmodel_framework.base.errors import ConfigurationError
    from sqlmodel_framework.engines.our_containers import stop_containers, stop_unused_containers

    if bool(names) == everything:
        raise ConfigurationError(
            "it is not said what to stop", expected="names, or --all", next_step="see datakit targets list"
        )
    if names:
        print_lines(_removed(stop_containers(names)))
        return 0
    removed, used = stop_unused_containers()
    left = [f"left {one.name}: somebody uses it; datakit targets stop {one.name} removes it" for one in used]
    print_lines([*(_removed(removed) if removed or not used else []), *left])
    return 0


@app.command()
@ends_with_exit_code
def clean(older_than: OlderThan = None) -> int:
    """Remove containers that runs left which are dead, and kept ones past their time; no others, and none of other checkouts."""
    from sqlmodel_framework.engines.our_containers import clean_containers

    print_lines(_removed(clean_containers(None if older_than is None else _seconds(older_than))))
    return 0


def _removed(containers: list[OurContainer]) -> list[str]:
    return [f"removed {one.name} ({one.image})" for one in containers] or ["nothing to remove"]


def _line(one: OurContainer) -> str:
    port = f"port {one.port}" if one.port else "no port"
    return f"{one.name:44} {one.state:10} {one.image:20} {port:12} {_whose(one)}"


def _whose(one: OurContainer) -> str:
    if one.owner is not None:
        return f"its run is {one.owner}" if one.owner != "unknown" else "its run is unknown"
    from datetime import UTC, datetime

    return f"kept until {datetime.fromtimestamp(one.expires or 0, UTC):%Y-%m-%d %H:%M} UTC"


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        from sqlmodel_framework.base.errors import ConfigurationError

        raise ConfigurationError("a time cannot be read", seen=text, expected="such as 90s, 30m, 1h or 2d")
    return int(found[1]) * float(_UNITS[found[2]])
