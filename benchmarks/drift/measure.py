"""How blind a tool is, and how often it cries wolf: every change and every trap on every server.

A change that the server stores is missed when a tool reports nothing that names the right table. A false alarm is
anything reported for two equal databases: each `before` compared with itself, each trap, and each change of which the
server stores both sides alike. `make bench-drift` runs this; docs/drift.md shows the result.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid
from sqlalchemy import MetaData

from sqlmodel_framework.benchmarks.drift.changes import CHANGES, TRAPS
from sqlmodel_framework.benchmarks.drift.pairs import Change
from sqlmodel_framework.benchmarks.drift.places import Place, place_of
from sqlmodel_framework.benchmarks.drift.speed import Speed, measure_speed
from sqlmodel_framework.benchmarks.drift.tools import TOOLS, Seen, Tool

PAGE = Path(__file__).resolve().parents[2] / "docs" / "drift.md"
DEFAULT = ("sqlite_memory", "postgres_embedded")
BEGIN, END = "<!-- drift: begin -->", "<!-- drift: end -->"


@dataclass
class Score:
    """What one tool did on one server: how many pairs it was asked about, and the names of those it got wrong."""

    tool: str
    changes: int = 0
    missed: list[str] = field(default_factory=list)
    equal: int = 0
    alarms: dict[str, str] = field(default_factory=dict)

    def changed(self, name: str, table: str, seen: Sequence[Seen]) -> None:
        """Count a pair that differs in this table."""
        self.changes += 1
        if not any(one.table == table for one in seen):
            self.missed.append(name)

    def same(self, name: str, seen: Sequence[Seen]) -> None:
        """Count a pair that does not differ."""
        self.equal += 1
        if seen:
            self.alarms[name] = "; ".join(" ".join(one.words.split()) for one in seen)


@dataclass(frozen=True)
class Outcome:
    """One server: its name and version, the scores, and the changes that it does not store, with the reason."""

    server: str
    scores: tuple[Score, ...]
    unseen: dict[str, str]


def measure_server(place: Place) -> Outcome:
    """Ask every tool about every pair."""
    scores = {tool: Score(tool) for tool in TOOLS}
    declared = [change for change in CHANGES if place.dialect in change.on]
    for change in track(declared, f"changes on {place.dialect}", transient=True):
        for tool, seen, again in _both(place, change):
            if change.stored_by(place.dialect):
                scores[tool].changed(change.name, change.table, seen)
            else:
                scores[tool].same(f"{change.name} (not stored)", seen)
            scores[tool].same(f"{change.name}, unchanged", again)
    for trap in TRAPS:
        if place.dialect in trap.on:
            with place.holding(trap.classes(), trap.statements.get(place.dialect, ())):
                for tool, ask in TOOLS.items():
                    scores[tool].same(trap.name, _ask(ask, place, trap.classes()))
    unseen = {change.name: change.lost[place.dialect] for change in declared if place.dialect in change.lost}
    return Outcome(f"{place.dialect} {place.version}", tuple(scores.values()), unseen)


def _both(place: Place, change: Change) -> Iterator[tuple[str, list[Seen], list[Seen]]]:
    """Each tool's answers about the change and about nothing having changed."""
    with place.holding(change.before()):
        for tool, ask in TOOLS.items():
            yield tool, _ask(ask, place, change.after()), _ask(ask, place, change.before())


def _ask(tool: Tool, place: Place, metadata: MetaData) -> list[Seen]:
    """A tool that ends with an error has said something, and named no table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tool(place, metadata)
        except Exception as exc:  # noqa: BLE001 - whatever a tool raises is its answer
            return [Seen("", f"{type(exc).__name__}: {exc}".splitlines()[0])]


def facts() -> str:
    """What the numbers mean nothing without."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("alembic", "sqlalchemy", "sqlmodel"))
    day = datetime.now(UTC).date().isoformat()
    return f"{packages}, Python {platform.python_version()}, {os.cpu_count()} cores, {day}"


def print_outcomes(outcomes: Iterable[Outcome], *, names: bool) -> None:
    """Print one table, and with `names` what was wrong below it."""
    console = Console(width=150, highlight=False)
    grid = Grid(title=f"{len(CHANGES)} single changes, {len(TRAPS)} traps")
    for heading in ("server", "tool", "missed", "of changes", "false alarms", "of equal pairs"):
        grid.add_column(heading, justify="left" if heading in ("server", "tool") else "right")
    for outcome in outcomes:
        for score in outcome.scores:
            grid.add_row(outcome.server, *_cells(score))
    console.print(grid)
    console.print(facts())
    for outcome in outcomes if names else ():
        for score in outcome.scores:
            for name in score.missed:
                console.print(f"{outcome.server}, {score.tool}: missed: {name}", markup=False)
            for name, words in score.alarms.items():
                console.print(f"{outcome.server}, {score.tool}: false alarm: {name}: {words}", markup=False)


def _cells(score: Score) -> tuple[str, ...]:
    return (score.tool, str(len(score.missed)), str(score.changes), str(len(score.alarms)), str(score.equal))


def markdown_of(outcomes: Sequence[Outcome], speed: Speed | None) -> str:
    """The measured part of docs/drift.md."""
    lines = [f"Measured with {facts()}: {len(CHANGES)} single changes, {len(TRAPS)} traps.", ""]
    lines += [
        "| Server | Tool | Missed | of changes | False alarms | of equal pairs |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {o.server} | {' | '.join(_cells(score))} |" for o in outcomes for score in o.scores]
    lines += ["", "### What nobody can see", "", "The server stores both sides alike.", ""]
    lines += ["| Change | Server | Why |", "|---|---|---|"]
    lines += [f"| {name} | {o.server} | {why} |" for o in outcomes for name, why in o.unseen.items()]
    lines += ["", "### What each tool missed", ""]
    lines += _named(outcomes, "missed")
    lines += ["", "### False alarms", ""]
    lines += _named(outcomes, "alarms")
    if speed is not None:
        lines += ["", "### Speed", "", *speed.markdown()]
    return "\n".join(lines) + "\n"


def _named(outcomes: Sequence[Outcome], wrong: str) -> Iterator[str]:
    for outcome in outcomes:
        for score in outcome.scores:
            names = ", ".join(getattr(score, wrong)) or "nothing"
            yield f"- {outcome.server}, {score.tool}: {names}"


def write_page(text: str) -> None:
    """Put the text between the two markers of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def benchmark(
    target: Annotated[list[str] | None, typer.Option(help="Servers, by the name of a target.")] = None,
    tables: Annotated[int, typer.Option(help="Tables for the speed; 0 leaves it out.", min=0)] = 0,
    rounds: Annotated[int, typer.Option(help="Rounds of the speed.", min=1)] = 5,
    sizes: Annotated[
        list[int] | None, typer.Option("--size", help="Tables for the memory; repeat it.")
    ] = None,
    speed_target: Annotated[str, typer.Option(help="The server for the speed.")] = "postgres_embedded",
    names: Annotated[bool, typer.Option(help="List what each tool got wrong.")] = False,
    markdown: Annotated[bool, typer.Option(help="Write the result into docs/drift.md.")] = False,
) -> None:
    """Measure what the tools miss and what they report without reason; with --tables also how long they take."""
    with ExitStack() as opened:
        os.environ["DATAKIT_CACHE_DIR"] = opened.enter_context(TemporaryDirectory())
        places = [opened.enter_context(place_of(name)) for name in target or DEFAULT]
        outcomes = [measure_server(place) for place in places]
        print_outcomes(outcomes, names=names)
        speed = measure_speed(tables, rounds, speed_target, sizes or []) if tables else None
    if speed is not None:
        speed.print()
    if markdown:
        write_page(markdown_of(outcomes, speed))


if __name__ == "__main__":
    typer.run(benchmark)
