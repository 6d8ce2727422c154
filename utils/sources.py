"""Where the classes of a datakit are written."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from sqlmodel_framework.utils.discovery import Datakit
from sqlmodel_framework.utils.tables import table_of

__all__ = ["sources_of"]


def sources_of(kit: Datakit) -> dict[str, tuple[str, int]]:
    """Full name of a table -> file, from the working folder where it is below it, and line of its class.

    Tables without a class, and classes made by a function, are left out.
    """
    files = {module.__name__: module.__file__ for module in kit.modules}
    found = {}
    for item in kit.tables:
        file = files.get(item.__module__) if isinstance(item, type) else None
        if isinstance(item, type) and file is not None:
            line = _class_lines(file).get(item.__name__)
            if line is not None:
                found[table_of(item).fullname] = (_below_here(Path(file)), line)
    return found


@cache
def _class_lines(file: str) -> dict[str, int]:
    tree = ast.parse(Path(file).read_bytes())
    return {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _below_here(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
