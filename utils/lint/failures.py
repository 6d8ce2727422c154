"""Modules that cannot be imported, where the reason is what lint looks for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy.exc import ArgumentError

from sqlmodel_framework.base.errors import DiscoveryError
from sqlmodel_framework.utils.discovery import ModuleFailure, PartOfDatakit
from sqlmodel_framework.utils.findings import Finding, Fix
from sqlmodel_framework.utils.lint.edits import Edit, corrected_field
from sqlmodel_framework.utils.lint.fixes import JSON_EDIT
from sqlmodel_framework.utils.lint.mixins import SHARED_CAUSE
from sqlmodel_framework.utils.sources import Place, SourceFile, Sources, place_of_field

__all__ = ["explained"]

_NO_TYPE = re.compile(r"<class '(?P<kind>dict|list|set|tuple|frozenset)'> has no matching SQLAlchemy type")
_SHARED = re.compile(r"Column object '(?P<column>[^']+)' already assigned to Table '(?P<table>[^']+)'")
_DOCUMENT = re.compile(r"\b(dict|Dict|list|List|set|Set|tuple|Tuple|frozenset|Mapping|Sequence)\b")


def explained(
    part: PartOfDatakit, sources: Sources, *, fix_hints: bool = False
) -> tuple[list[Finding], tuple[tuple[str, int | None], ...], DiscoveryError | None]:
    """Findings for the failures that have one; file and line of the others; and the kit's refusal where there are such."""
    findings: list[Finding] = []
    places: list[tuple[str, int | None]] = []
    error = None
    for failure in part.failures:
        own = [*_without_type(failure, sources), *_shared(failure, sources)]
        findings += own
        if not own:
            error = part.refusal
            places.append((sources.file(failure.file).shown, failure.line))
    if not fix_hints:
        findings = [replace(finding, fix=None) for finding in findings]
    return findings, tuple(places), error


def _without_type(failure: ModuleFailure, sources: Sources) -> Iterator[Finding]:
    """DL108 for every dict and list of the class that SQLModel refused."""
    said = _NO_TYPE.search(str(failure.error))
    if said is None or not isinstance(failure.error, ValueError):
        return
    file = sources.file(failure.file)
    node = _class_around(file, failure.line)
    if node is None:
        return
    cause = "SQLModel has no type for it: the module cannot be imported"
    fields = list(_documents(node))
    for field in fields:
        place = Place(file, field, field.lineno, field.end_lineno or field.lineno)
        fix = corrected_field(place, JSON_EDIT)
        found = f"{ast.unparse(field.annotation)} without one"
        yield _finding("DL108", _table_of(node), place, "a JSON type", found, cause, fix)
    if not fields:
        found = f"a {said['kind']} without one, in a base class"
        yield Finding(
            _table_of(node), "DL108", None, "a JSON type", found, cause, file=file.shown, line=node.lineno
        )


def _documents(node: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and _DOCUMENT.search(ast.unparse(part.annotation)):
            value = "" if part.value is None else ast.unparse(part.value)
            if not re.search(r"\bRelationship\(|\bsa_type=|\bsa_column=", value):
                yield part


def _shared(failure: ModuleFailure, sources: Sources) -> Iterator[Finding]:
    """DL501 for the Column object that two classes would share."""
    said = _SHARED.search(str(failure.error))
    if said is None or not isinstance(failure.error, ArgumentError):
        return
    file = sources.file(failure.file)
    node = _class_around(file, failure.line)
    name = said["column"]
    for known in (file, *sources.files()):
        for other in known.classes.values():
            place = place_of_field(known, other, name)
            if place is not None and "Column(" in ast.unparse(place.node):
                table = _table_of(node) if node else said["table"]
                found = f"sa_column in the mixin, which {said['table']} has taken"
                fix = corrected_field(place, Edit({}, without_column=True))
                yield _finding("DL501", table, place, "sa_type in the mixin", found, SHARED_CAUSE, fix)
                return


def _finding(
    code: str, table: str, place: Place, expected: str, found: str, cause: str, fix: Fix | None
) -> Finding:
    assert isinstance(place.node, ast.AnnAssign)
    name = ast.unparse(place.node.target)
    return Finding(table, code, name, expected, found, cause, file=place.file.shown, line=place.line, fix=fix)


def _table_of(node: ast.ClassDef) -> str:
    """The table's name as the class has it, or as SQLModel makes it."""
    for part in node.body:
        if isinstance(part, ast.Assign) and "__tablename__" in map(ast.unparse, part.targets):
            return str(part.value.value) if isinstance(part.value, ast.Constant) else node.name.lower()
    return node.name.lower()


def _class_around(file: SourceFile, line: int | None) -> ast.ClassDef | None:
    classes = [
        node for node in file.classes.values() if line and node.lineno <= line <= (node.end_lineno or line)
    ]
    return max(classes, key=lambda node: node.lineno, default=None)
