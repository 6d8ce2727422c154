"""What happened, as text for a person and as documents for machines: one file a format."""

from __future__ import annotations

from sqlmodel_framework.utils.reports.document import (
    FORMAT_VERSION,
    TargetReport,
    as_json,
    error_as_json,
    exit_code_of,
    lint_document,
    report_schema,
)
from sqlmodel_framework.utils.reports.github import as_github
from sqlmodel_framework.utils.reports.junit import as_junit
from sqlmodel_framework.utils.reports.matrix import as_matrix
from sqlmodel_framework.utils.reports.output import write_output
from sqlmodel_framework.utils.reports.rendering import FORMATS, render, render_error
from sqlmodel_framework.utils.reports.sarif import as_sarif
from sqlmodel_framework.utils.reports.terminal import as_tables, terminal_width
from sqlmodel_framework.utils.reports.text import as_text

__all__ = [
    "FORMATS",
    "FORMAT_VERSION",
    "TargetReport",
    "as_github",
    "as_json",
    "as_junit",
    "as_matrix",
    "as_sarif",
    "as_tables",
    "as_text",
    "error_as_json",
    "exit_code_of",
    "lint_document",
    "render",
    "render_error",
    "report_schema",
    "terminal_width",
    "write_output",
]
