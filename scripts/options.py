"""Options that several programs share, and the targets that they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sqlmodel_framework.scripts.console import LogLevel, OutputFormat, print_lines

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig
    from sqlmodel_framework.utils.discovery import Datakit
    from sqlmodel_framework.utils.linting import LintResult
    from sqlmodel_framework.utils.reports import TargetReport
    from sqlmodel_framework.utils.rules import Rules

__all__ = [
    "DatabaseName",
    "Format",
    "Host",
    "Ignore",
    "KitPath",
    "ListTargets",
    "LogFrom",
    "OutputFile",
    "Password",
    "Port",
    "ProofSeed",
    "Prove",
    "Proving",
    "Quiet",
    "RequireProof",
    "Select",
    "TargetNames",
    "TargetType",
    "Url",
    "User",
    "chosen_targets",
    "lint_by_settings",
    "print_or_write",
    "print_reports",
    "rules_for",
    "run_on_each",
]


def _list_targets(value: bool) -> None:
    if not value:
        return
    from sqlmodel_framework.config.targets import list_targets

    for name, line in list_targets().items():
        typer.echo(f"{name:20} {line}")
    raise typer.Exit


KitPath = Annotated[
    str, typer.Argument(metavar="PATH", help="The datakit: a folder, or the name of an importable package.")
]
TargetNames = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="A target by name; repeat it for several. See --list-targets.",
    ),
]
TargetType = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE", help="A target from parts: sqlite, postgres or mysql, with the options below."
    ),
]
DatabaseName = Annotated[str | None, typer.Option(metavar="NAME", help="Database name, or SQLite file.")]
Host = Annotated[str | None, typer.Option(metavar="HOST", help="Host, or the folder of PostgreSQL's socket.")]
Port = Annotated[int | None, typer.Option(metavar="PORT", help="Port.")]
User = Annotated[str | None, typer.Option(metavar="USER", help="User.")]
Password = Annotated[
    str | None,
    typer.Option(
        metavar="SECRET",
        help="Password. Other programs can see it here: rather set DATAKIT_<TARGET>_PASSWORD or PGPASSWORD, use"
        " .pgpass, or leave it out; at a terminal you are asked for it when the server wants one.",
    ),
]
Url = Annotated[str | None, typer.Option(metavar="URL", help="A target as SQLAlchemy URL.")]
ListTargets = Annotated[
    bool,
    typer.Option("--list-targets", callback=_list_targets, is_eager=True, help="List the targets and end."),
]

Format = Annotated[OutputFormat, typer.Option("--format", help="Result on stdout.")]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write the result to a file, whole or not at all."),
]
LogFrom = Annotated[LogLevel, typer.Option("--log-level", help="Log on stderr; DEBUG shows tracebacks.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")]


def chosen_targets(
    names: Sequence[str] | None, default: str | None = None, **parts: str | int | None
) -> list[TargetConfig]:
    """The targets that the options name: by name, by URL, or one from parts. Raises ConfigurationError for a mixture."""
    from sqlmodel_framework.base.errors import ConfigurationError
    from sqlmodel_framework.config.targets import create_custom_target, get_target_config, target_from_url

    given: dict[str, Any] = {name: value for name, value in parts.items() if value is not None}
    if "url" in given:
        _refuse_beside_url(names, given)
        return [target_from_url(given["url"], password=given.get("password"))]
    if "type" in given:
        if names:
            raise ConfigurationError(
                "--target and --target-type exclude each other", next_step="give one of them"
            )
        return [create_custom_target(**given)]
    if names and len(names) > 1 and given:
        raise ConfigurationError(
            "connection options go with one target",
            seen=f"{len(names)} targets and --{', --'.join(given)}",
            next_step="set the fields in the environment: DATAKIT_<TARGET>_<FIELD>",
        )
    if not names and default is None:
        raise ConfigurationError(
            "no target is named", expected="--target, --url or --target-type", next_step="see --list-targets"
        )
    return [get_target_config(name, given) for name in dict.fromkeys(names or [default or ""])]


def _refuse_beside_url(names: Sequence[str] | None, given: dict[str, Any]) -> None:
    from sqlmodel_framework.base.errors import ConfigurationError

    others = [f"--{name}" for name in given if name not in ("url", "password")]
    others += ["--target"] if names else []
    if others:
        raise ConfigurationError(
            "--url and other ways to name a target exclude each other", seen=", ".join(others)
        )


def run_on_each(
    targets: Sequence[TargetConfig], action: Callable[[TargetConfig], TargetReport]
) -> list[TargetReport]:
    """Run on all targets side by side; a server that asks for a password gets it from the terminal, one after another."""
    import sys
    from concurrent.futures import ThreadPoolExecutor

    from sqlmodel_framework.base.errors import PasswordNeededError

    if len(targets) == 1:
        reports = [action(targets[0])]
    else:
        with ThreadPoolExecutor(max_workers=min(8, len(targets))) as pool:
            reports = list(pool.map(action, targets))
    for number, (target, report) in enumerate(zip(targets, reports, strict=True)):
        if isinstance(report.error, PasswordNeededError) and sys.stdin.isatty():
            _ask_for_password(target)
            reports[number] = action(target)
    return reports


def _ask_for_password(target: TargetConfig) -> None:
    from pydantic import SecretStr

    target.close()
    target.password = SecretStr(typer.prompt(f"Password for {target.label}", hide_input=True, err=True))


def rules_for(
    kit: Datakit, strict: bool | None = None, select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> Rules:
    """Which findings count: what the options say, beside what the settings say for this datakit."""
    from sqlmodel_framework.config.settings import read_validation_settings
    from sqlmodel_framework.utils.rules import Rules, refuse_unknown

    settings = read_validation_settings(kit.name)
    for entry, where in settings.sections.items():
        refuse_unknown(entry, where)
    return Rules(
        strict=settings.strict if strict is None else strict,
        select=tuple(select) or settings.select,
        ignore=(*settings.ignore, *ignore),
    )


def lint_by_settings(
    kit: str | Datakit,
    databases: Sequence[str] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    *,
    fix_hints: bool = False,
) -> LintResult:
    """Lint a datakit as the options say, beside what the settings say for it."""
    from sqlmodel_framework.config.settings import read_lint_settings
    from sqlmodel_framework.utils.discovery import Datakit, name_of_datakit
    from sqlmodel_framework.utils.linting import lint_datakit
    from sqlmodel_framework.utils.rules import refuse_unknown

    settings = read_lint_settings(kit.name if isinstance(kit, Datakit) else name_of_datakit(kit))
    for entry, where in settings.sections.items():
        refuse_unknown(entry, where, lint=True)
    return lint_datakit(
        kit,
        databases=databases or settings.databases,
        select=tuple(select) or settings.select,
        ignore=(*settings.ignore, *ignore),
        fix_hints=fix_hints,
    )


Prove = Annotated[
    bool,
    typer.Option(
        "--prove",
        help="Write rows at the limits of the classes, compare what is read, and undo it; see the page on proof.",
    ),
]
RequireProof = Annotated[
    bool, typer.Option("--require-proof", help="Prove, and fail where a table cannot be proven.")
]


ProofSeed = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", help="Of the proof: the same number writes the same rows; 0 if not given."
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODE", help="Only these findings: DK213, DK2, column-default, DK602:audit_*; repeat it."
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option(metavar="CODE", help="Not these findings; written like --select.")
]


@dataclass(frozen=True)
class Proving:
    """A proof that was asked for: `rules` say which findings count, `required` that no table may stay without one.

    `seed` decides which rows are written.
    """

    rules: Rules
    required: bool
    seed: int = 0

    @classmethod
    def asked_for(cls, rules: Rules, prove: bool, require_proof: bool, seed: int | None) -> Proving | None:
        """What the options ask for. Raises ConfigurationError for a seed without a proof."""
        from sqlmodel_framework.base.errors import ConfigurationError

        if prove or require_proof:
            return cls(rules, require_proof, seed or 0)
        if seed is not None:
            raise ConfigurationError("--seed goes with a proof", next_step="add --prove, or leave --seed out")
        return None

    def add_to(self, report: TargetReport, kit: Datakit, target: TargetConfig) -> None:
        """Prove the tables of a datakit on a target, and report it."""
        from sqlmodel_framework.utils.proof.prove import prove_deployment

        proof = prove_deployment(kit.tables, target, seed=self.seed)
        counted = tuple(self.rules.apply(proof.findings))
        left_out = len(proof.findings) - len(counted)
        notes = proof.notes
        if left_out:
            plural = "s" if left_out > 1 else ""
            notes = (*notes, f"{left_out} finding{plural} of the proof left out by select and ignore")
        report.proof = replace(proof, findings=counted, notes=notes)
        report.proof_required = self.required


def print_reports(
    reports: Sequence[TargetReport],
    kit: Datakit,
    output_format: OutputFormat,
    output: Path | None,
    *,
    verbose: bool,
) -> None:
    """Print what happened, or write it to a file. On a terminal a text has columns and colours."""
    import sys

    from sqlmodel_framework.utils.reports import render, terminal_width
    from sqlmodel_framework.utils.sources import sources_of
    from sqlmodel_framework.utils.tables import tables_of

    on_terminal = output is None and sys.stdout.isatty()
    text = render(
        reports,
        output_format.value,
        kit=kit.name,
        tables=[table.fullname for table in tables_of(kit.tables)],
        verbose=verbose,
        sources=sources_of(kit) if output_format in _WITH_SOURCES else None,
        width=terminal_width() if on_terminal else None,
    )
    print_or_write([text] if text or output else [], output)


def print_or_write(lines: Sequence[str], output: Path | None) -> None:
    """Print on stdout, or write a file whole or not at all."""
    from sqlmodel_framework.utils.reports import write_output

    if output is None:
        print_lines(lines)
    else:
        write_output(output, "\n".join(lines))


_WITH_SOURCES = {OutputFormat.sarif, OutputFormat.github}
