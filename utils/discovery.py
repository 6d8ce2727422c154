"""Discovery: from a folder or a package to the table classes of a datakit.

Reading a kit runs its code, as importing any package does. Every failure of every module is reported together.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from sqlalchemy import Table
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from sqlmodel_framework.base.errors import DiscoveryError
from sqlmodel_framework.utils.kit_import import (
    ImportRoot,
    import_lock,
    import_module_of_kit,
    importing,
    root_of,
    scope_of,
)
from sqlmodel_framework.utils.tables import TableLike

__all__ = ["Datakit", "discover_datakit_modules", "discover_sqlmodel_classes", "load_datakit"]

_SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__",
        "alembic",
        "build",
        "dist",
        "migrations",
        "node_modules",
        "site-packages",
        "test",
        "tests",
        "venv",
    }
)
_SKIPPED_FILES = frozenset({"__main__.py", "conftest.py", "noxfile.py", "setup.py"})


@dataclass(frozen=True)
class Datakit:
    """A datakit as read from its folder.

    `tables` holds classes, and tables without a class such as link tables, in the order of their files. `side_effects`
    names files that a module made while it was imported. `skipped` says which classes are no tables and why.
    """

    name: str
    folder: Path
    modules: tuple[ModuleType, ...]
    tables: tuple[TableLike, ...]
    skipped: tuple[str, ...] = ()
    side_effects: tuple[Path, ...] = field(default=())


_kits: dict[Path, Datakit] = {}


def load_datakit(kit: str | os.PathLike[str]) -> Datakit:
    """Read a datakit from a folder or an importable name; the same kit gives the same classes at every call.

    Raises DiscoveryError for a path that is none, for modules that fail (all of them, with file and line), and for a
    kit without tables (with every module seen and every class skipped).
    """
    folder = _folder_of(kit)
    with import_lock:
        if folder not in _kits:
            _kits[folder] = _read(folder)
        return _kits[folder]


def discover_datakit_modules(kit: str | os.PathLike[str]) -> list[ModuleType]:
    """The modules of a datakit, imported. Raises as `load_datakit` does."""
    return list(load_datakit(kit).modules)


def discover_sqlmodel_classes(modules: Iterable[ModuleType]) -> list[TableLike]:
    """The table classes that these modules define, each once, in the order of the files, with link tables that have no class."""
    listed = list(modules)
    names = {module.__name__ for module in listed}
    classes = [cls for module in listed for cls in _classes_of(module) if _is_table(cls)]
    covered = {cls.__table__ for cls in classes}  # type: ignore[attr-defined]
    tables = [
        value
        for module in listed
        for value in vars(module).values()
        if isinstance(value, Table) and value not in covered
    ]
    own = [cls for cls in classes if cls.__module__ in names]
    return list(dict.fromkeys([*own, *tables]))


def _folder_of(kit: str | os.PathLike[str]) -> Path:
    path = Path(kit)
    if path.is_dir():
        return path.resolve()
    text = os.fspath(kit)
    if path.exists():
        raise DiscoveryError(
            "a datakit is a folder, not a file", seen=text, next_step=f"pass {path.parent or '.'}"
        )
    if not text or not all(part.isidentifier() for part in text.split(".")):
        raise DiscoveryError(
            "no such folder", seen=text, next_step="pass a datakit's folder or an importable name"
        )
    try:
        spec = importlib.util.find_spec(text)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise DiscoveryError(
            "no such folder, and no package of that name can be imported",
            seen=text,
            next_step="pass a datakit's folder, or install the package",
        )
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _read(folder: Path) -> Datakit:
    files = list(_module_files(folder))
    root = root_of(_source_folder(folder))
    before = _snapshot(folder)
    known = set(sys.modules)
    modules, failures = _import_all(root, folder, files)
    side_effects = sorted(_snapshot(folder) - before)
    if failures:
        _forget(folder, known)
        raise DiscoveryError(
            f"{len(failures)} of {len(files)} modules of the datakit cannot be imported",
            where=str(folder),
            seen="\n  " + "\n  ".join(failures),
        )
    tables = discover_sqlmodel_classes(modules)
    skipped = tuple(_skipped_classes(modules))
    if not tables:
        _forget(folder, known)
        raise _no_tables(folder, files, skipped)
    _refuse_duplicates(folder, tables)
    return Datakit(folder.name, folder, tuple(modules), tuple(tables), skipped, tuple(side_effects))


def _source_folder(folder: Path) -> Path:
    """The folder that module names count from: src/ where the layout has one and the folder itself is no package."""
    source = folder / "src"
    return source if source.is_dir() and not (folder / "__init__.py").is_file() else folder


def _module_files(folder: Path) -> Iterator[Path]:
    source = _source_folder(folder)
    for parent, folders, names in os.walk(source):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED_FOLDERS and "." not in name and not _is_environment(Path(parent, name))
        )
        for name in sorted(names, key=lambda name: (name != "__init__.py", name)):
            if name.endswith(".py") and name not in _SKIPPED_FILES and not name.startswith(("test_", ".")):
                yield Path(parent, name)


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file()


def _import_all(root: ImportRoot, folder: Path, files: list[Path]) -> tuple[list[ModuleType], list[str]]:
    modules: list[ModuleType] = []
    failures: list[str] = []
    with importing(root, folder):
        for path in files:
            try:
                modules.append(import_module_of_kit(root, path))
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - a kit's module may raise anything
                failures.append(_failure(path, folder, exc))
    return modules, failures


def _failure(path: Path, folder: Path, exc: BaseException) -> str:
    what = "calls sys.exit" if isinstance(exc, SystemExit) else f"{type(exc).__name__}: {exc}"
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{path.relative_to(folder)}: {exc.filename}, line {exc.lineno}: {what}"
    frames = [f for f in traceback.extract_tb(exc.__traceback__) if Path(f.filename).is_relative_to(folder)]
    line = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    return f"{path.relative_to(folder)}: {line}{what}"


def _forget(folder: Path, known: set[str]) -> None:
    """Take a kit that failed out of the process again, so that a corrected one can be read."""
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]
    scope = scope_of(folder)
    scope.metadata.clear()
    scope.registry = registry(metadata=scope.metadata)


def _snapshot(folder: Path) -> set[Path]:
    """Files in the kit and the working folder, to see what an import made."""
    ignored = _SKIPPED_FOLDERS - {"test", "tests"}
    found = {path for path in Path.cwd().iterdir() if path.is_file()}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ignored and not name.startswith(".")]
        found.update(Path(parent, name) for name in names)
    return found


def _classes_of(module: ModuleType) -> list[type[SQLModel]]:
    return [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, SQLModel)
    ]


def _is_table(cls: type[SQLModel]) -> bool:
    return isinstance(getattr(cls, "__table__", None), Table) and "__table__" in vars(cls)


def _skipped_classes(modules: Iterable[ModuleType]) -> Iterator[str]:
    for module in modules:
        for cls in _classes_of(module):
            if cls.__module__ == module.__name__ and not _is_table(cls):
                yield f"{module.__name__}.{cls.__name__}: no table=True"


def _no_tables(folder: Path, files: list[Path], skipped: Iterable[str]) -> DiscoveryError:
    seen = [f"module {path.relative_to(folder)}" for path in files]
    classes = [f"class {line}" for line in skipped]
    return DiscoveryError(
        "the datakit defines no table",
        where=str(folder),
        seen="\n  " + "\n  ".join([*seen, *classes]) if seen else "no Python module",
        expected="classes declared with table=True",
    )


def _refuse_duplicates(folder: Path, tables: Iterable[TableLike]) -> None:
    homes: dict[str, TableLike] = {}
    for item in tables:
        table = item if isinstance(item, Table) else item.__table__  # type: ignore[attr-defined]
        other = homes.setdefault(table.fullname, item)
        if other is not item:
            raise DiscoveryError(
                "two classes of the datakit define a table of the same name",
                where=str(folder),
                seen=table.fullname,
            )
