"""One door to all formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from sqlmodel_framework.base.errors import ConfigurationError, DatakitError
from sqlmodel_framework.utils.reports.document import TargetReport, as_json, error_as_json
from sqlmodel_framework.utils.reports.github import as_github
from sqlmodel_framework.utils.reports.junit import as_junit
from sqlmodel_framework.utils.reports.matrix import as_matrix
from sqlmodel_framework.utils.reports.sarif import as_sarif
from sqlmodel_framework.utils.reports.terminal import as_tables
from sqlmodel_framework.utils.reports.text import as_text
from sqlmodel_framework.utils.reports.words import Sources

__all__ = ["FORMATS", "Format", "render", "render_error"]

Format = Literal["text", "json", "junit", "sarif", "github"]
FORMATS: tuple[str, ...] = get_args(Format)


def render(
    reports: Sequence[TargetReport],
    fmt: str,
    *,
    kit: str,
    tables: Sequence[str],
    verbose: bool = False,
    sources: Sources | None = None,
    width: int | None = None,
) -> str:
    """The reports of a run in one of FORMATS, without a newline at the end; empty where there is nothing to say.

    `tables` are the kit's, by full name. `sources` says where their classes stand; sarif and github point there.
    `width` is that of the terminal (`terminal_width()`); None gives plain lines, for a pipe or a file. `verbose` adds
    every table and the statements that would mend a finding to text and github; the other formats always hold them.
    Raises ConfigurationError for an unknown format.
    """
    if fmt == "text":
        return _text(reports, tables, verbose=verbose, width=width)
    if fmt == "json":
        return as_json(kit, tables, reports)
    if fmt == "junit":
        return as_junit(kit, tables, reports)
    if fmt == "sarif":
        return as_sarif(kit, reports, sources)
    if fmt == "github":
        return "\n".join(as_github(reports, sources, verbose=verbose))
    raise ConfigurationError("unknown format", seen=fmt, expected=f"one of {', '.join(FORMATS)}")


def render_error(error: DatakitError, fmt: str, *, kit: str = "datakit") -> str:
    """A run that failed before any target was reached, in one of FORMATS; empty for text: people read stderr."""
    if fmt == "text":
        return ""
    if fmt == "json":
        return error_as_json(error)
    return render([TargetReport("datakit", "", error=error)], fmt, kit=kit, tables=())


def _text(reports: Sequence[TargetReport], tables: Sequence[str], *, verbose: bool, width: int | None) -> str:
    if width is None:
        text = "\n".join(as_text(reports, verbose=verbose))
    else:
        text = as_tables(reports, width=width, verbose=verbose)
    several = len(reports) > 1 and any(report.tables is not None for report in reports)
    return f"{text}\n\n{as_matrix(reports, tables, width=width)}" if several else text
