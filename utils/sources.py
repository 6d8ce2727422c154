"""Where the classes of a datakit and their fields are written."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sqlmodel import SQLModel

from sqlmodel_framework.utils.discovery import Datakit
from sqlmodel_framework.utils.tables import TableLike, table_of

__all__ = ["Place", "SourceFile", "Sources", "head_of", "place_of_field", "sources_of"]


def sources_of(kit: Datakit) -> dict[str, tuple[str, int]]:
    """Full name of a table -> file, from the working folder where it is below it, and line of its class.

    Tables without a class, and classes made by a function, are left out.
    """
    sources = Sources(kit)
    places = {table_of(item).fullname: sources.class_place(item) for item in kit.tables}
    return {name: (place.file.shown, place.line) for name, place in places.items() if place is not None}


@dataclass(frozen=True)
class SourceFile:
    """One file of Python, read once. A file that is no Python, or not there, has no classes."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The whole of it, as Python reads it."""
        try:
            return self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            return ""

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return self.text.splitlines()

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self.text)
        except (SyntaxError, ValueError):
            return ast.Module([], [])

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Its classes by name."""
        return dict(_classes_in(self._tree))

    def fields_of(self, node: ast.ClassDef) -> dict[str, ast.AnnAssign]:
        """The fields that stand in one of its classes."""
        if node not in self._fields:
            self._fields[node] = {
                part.target.id: part
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            }
        return self._fields[node]

    @cached_property
    def _fields(self) -> dict[ast.ClassDef, dict[str, ast.AnnAssign]]:
        return {}

    @cached_property
    def imported_names(self) -> frozenset[str]:
        """The names that its import statements bind, at the top of it."""
        statements = [node for node in self._tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        return frozenset(alias.asname or alias.name for node in statements for alias in node.names)

    @cached_property
    def shown(self) -> str:
        """The path, from the working folder where it is below it."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)


@dataclass(frozen=True)
class Place:
    """Where a class or a field is written: lines count from 1; those of a class are those of its head alone."""

    file: SourceFile
    node: ast.ClassDef | ast.AnnAssign
    line: int
    end_line: int


@dataclass
class Sources:
    """The files in which the classes of a kit, and their bases, are written."""

    kit: Datakit
    _files: dict[str, SourceFile] = field(default_factory=dict)
    _places: dict[type, tuple[SourceFile, ast.ClassDef] | None] = field(default_factory=dict)

    @cached_property
    def _modules(self) -> dict[str, str | None]:
        return {module.__name__: module.__file__ for module in self.kit.modules}

    def file(self, path: str | Path) -> SourceFile:
        """The file of a path."""
        if str(path) not in self._files:
            self._files[str(path)] = SourceFile(Path(path))
        return self._files[str(path)]

    def files(self) -> list[SourceFile]:
        """The files of the kit's modules."""
        paths = [path for path in self._modules.values() if path is not None and path.endswith(".py")]
        return [self.file(path) for path in dict.fromkeys(paths)]

    def table_at(self, file: SourceFile, line: int) -> str:
        """The table whose class stands around a line of a file; the class's name, or the kit's, where there is none."""
        around = [
            node for node in file.classes.values() if node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        if not around:
            return self.kit.name
        name = max(around, key=lambda node: node.lineno).name
        for item in self.kit.tables:
            if isinstance(item, type) and item.__name__ == name and self._path_of(item) == str(file.path):
                return table_of(item).fullname
        return name

    def class_place(self, item: TableLike) -> Place | None:
        """Where the class is written; None for a table without one, and for a class made by a function."""
        found = self._written(item) if isinstance(item, type) else None
        return None if found is None else head_of(*found)

    def field_place(self, item: TableLike, name: str) -> Place | None:
        """Where the field is written: in the class, or in the nearest base that has it."""
        for base in item.__mro__ if isinstance(item, type) else ():
            if base is SQLModel:
                break
            found = self._written(base)
            place = None if found is None else place_of_field(*found, name)
            if place is not None:
                return place
        return None

    def _path_of(self, cls: type) -> str | None:
        name = cls.__module__
        return self._modules.get(name) or getattr(sys.modules.get(name), "__file__", None)

    def _written(self, cls: type) -> tuple[SourceFile, ast.ClassDef] | None:
        if cls not in self._places:
            self._places[cls] = self._look_for(cls)
        return self._places[cls]

    def _look_for(self, cls: type) -> tuple[SourceFile, ast.ClassDef] | None:
        path = self._path_of(cls)
        if path is None or not path.endswith(".py"):
            return None
        file = self.file(path)
        # A class that is not named in the file's text is made by a function, and the file need not be parsed for it.
        if f"class {cls.__name__}" not in file.text:
            return None
        node = file.classes.get(cls.__name__)
        return None if node is None else (file, node)


def _classes_in(node: ast.AST) -> Iterator[tuple[str, ast.ClassDef]]:
    """The classes below a node; what stands inside of expressions is not looked at."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.ClassDef):
            yield part.name, part
        if isinstance(part, ast.stmt):
            yield from _classes_in(part)


def head_of(file: SourceFile, node: ast.ClassDef) -> Place:
    """The head of a class: from `class` to the colon."""
    return Place(file, node, node.lineno, max(node.lineno, node.body[0].lineno - 1))


def place_of_field(file: SourceFile, node: ast.ClassDef, name: str) -> Place | None:
    """The field of a class by its name."""
    field = file.fields_of(node).get(name)
    return None if field is None else Place(file, field, field.lineno, field.end_lineno or field.lineno)
