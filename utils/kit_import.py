"""Import the modules of a datakit: each file once, under one name, with a MetaData and mapper registry of its kit's own.

Two kinds of folders exist. One is part of an importable package: its modules get their ordinary names. Any other gets
a synthetic package, named after the folder and its path, so that two kits with equal module names live side by side.
The names that the kit's own code uses (`import film`, `from my_kit.film import …`) lead to the same module objects.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

__all__ = [
    "ImportRoot",
    "KitScope",
    "import_lock",
    "import_module_of_kit",
    "importing",
    "root_of",
    "scope_of",
]

import_lock = threading.RLock()
"""Held while kits are imported: the import state and SQLModel's MetaData are the process's."""


@dataclass
class KitScope:
    """The MetaData and registry of one kit."""

    metadata: MetaData
    registry: registry

    @classmethod
    def new(cls) -> KitScope:
        """An empty scope."""
        metadata = MetaData()
        return cls(metadata, registry(metadata=metadata))


@dataclass(frozen=True)
class ImportRoot:
    """A folder that module names count from. `package` is the package it is: ordinary or synthetic, "" for sys.path."""

    folder: Path
    package: str

    def name_of(self, path: Path) -> str:
        """The one name of a module file or package folder below this root."""
        parts = list(path.relative_to(self.folder).with_suffix("").parts)
        if parts and parts[-1] == "__init__":
            parts.pop()
        return ".".join([*([self.package] if self.package else []), *parts])


_scopes: dict[Path, KitScope] = {}
_failed: dict[str, BaseException] = {}


def scope_of(folder: Path) -> KitScope:
    """The scope of the kit in this folder: always the same one."""
    return _scopes.setdefault(folder.resolve(), KitScope.new())


def root_of(folder: Path) -> ImportRoot:
    """Where names count from for a kit's folder: an imported or importable package around it, else a synthetic one."""
    folder = folder.resolve()
    top = _top_package(folder)
    for package in (folder, *folder.parents):
        name = _imported_as(package)
        if name:
            return ImportRoot(package, name)
        if package == top.parent:
            break
    if top != folder.parent and (top / "__init__.py").is_file() and _importable(top):
        return ImportRoot(top.parent, "")
    base = top.parent if (top / "__init__.py").is_file() else folder
    return ImportRoot(base, _synthetic_name(base))


def _top_package(folder: Path) -> Path:
    top = folder
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return top


def _imported_as(folder: Path) -> str | None:
    """The shortest name under which a package with this folder has been imported."""
    names = [
        name
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").endswith("__init__.py")
        and any(Path(place).resolve() == folder for place in list(getattr(module, "__path__", None) or ()))
    ]
    return min(names, key=len) if names else None


def _importable(package: Path) -> bool:
    spec = PathFinder.find_spec(package.name)
    return (
        spec is not None
        and spec.origin is not None
        and Path(spec.origin).resolve() == package / "__init__.py"
    )


def _synthetic_name(folder: Path) -> str:
    words = re.sub(r"\W+", "_", folder.name).strip("_") or "kit"
    return f"datakit_{words}_{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


def import_module_of_kit(root: ImportRoot, path: Path) -> ModuleType:
    """Import one file of a kit, or give the module it is already."""
    return importlib.import_module(root.name_of(path))


@dataclass
class _KitFinder(MetaPathFinder):
    """Finds modules while kits are imported, so that each runs in the scope of its own kit."""

    root: ImportRoot
    kit: Path
    lookups: Sequence[Path]
    aliases: set[str] = field(default_factory=set)
    _busy: set[str] = field(default_factory=set)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self._busy:
            return None
        self._busy.add(fullname)
        try:
            canonical = self._canonical(fullname)
            if canonical is not None and canonical != fullname:
                self.aliases.add(fullname)
                return ModuleSpec(fullname, _AliasLoader(canonical), is_package=True)
            spec = _find(fullname, path, self)
        finally:
            self._busy.discard(fullname)
        if spec is None or spec.loader is None or not (spec.origin or "").endswith(".py"):
            return spec
        origin = Path(str(spec.origin)).resolve()
        folder = self.kit if origin.is_relative_to(self.kit) else _foreign_kit(origin, self.kit)
        spec.loader = _ScopedLoader(spec.loader, scope_of(folder))
        return spec

    def _canonical(self, fullname: str) -> str | None:
        """The name under which a file is imported that kit code asks for by another name."""
        relative = Path(*fullname.split("."))
        for base in self.lookups:
            for candidate in (
                base / relative / "__init__.py",
                (base / relative).with_suffix(".py"),
                base / relative,
            ):
                if candidate.exists() and (candidate.is_file() or _holds_modules(candidate)):
                    resolved = candidate.resolve()
                    root = self.root if resolved.is_relative_to(self.root.folder) else None
                    if root is None:
                        folder = resolved if resolved.is_dir() else resolved.parent
                        root = root_of(folder)
                        _ensure_package(root)
                    return root.name_of(resolved) or None
        return None


class _AliasLoader(Loader):
    """Gives the module of another name instead of running its file again."""

    def __init__(self, canonical: str) -> None:
        self.canonical = canonical
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.canonical)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _ScopedLoader(Loader):
    """Runs a module with its kit's MetaData and registry in SQLModel's place; remembers a failure instead of repeating it."""

    def __init__(self, inner: Any, scope: KitScope) -> None:
        self.inner = inner
        self.scope = scope

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self.inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.inner
        module.__loader__ = self.inner
        if module.__name__ in _failed:
            raise _failed[module.__name__]
        try:
            with _swapped(self.scope):
                self.inner.exec_module(module)
        except (Exception, SystemExit) as exc:
            _failed[module.__name__] = exc
            raise


@contextmanager
def _swapped(scope: KitScope) -> Iterator[None]:
    before: tuple[Any, Any] = (SQLModel.metadata, SQLModel._sa_registry)  # noqa: SLF001
    _set_scope(scope.metadata, scope.registry)
    try:
        yield
    finally:
        _set_scope(*before)


def _set_scope(metadata: MetaData, mappers: registry) -> None:
    SQLModel.metadata = metadata
    SQLModel._sa_registry = mappers  # noqa: SLF001


def _find(fullname: str, path: Sequence[str] | None, asking: MetaPathFinder) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is not asking:
            spec = finder.find_spec(fullname, path)
            if spec is not None:
                return spec
    return None


def _foreign_kit(origin: Path, kit: Path) -> Path:
    """The folder of another kit: the highest package around a file that does not also hold the kit being imported."""
    folder = origin.parent
    while (folder.parent / "__init__.py").is_file() and not kit.is_relative_to(folder.parent):
        folder = folder.parent
    return folder


def _holds_modules(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.py"))


def _ensure_package(root: ImportRoot) -> None:
    """Register the synthetic package of a root; an ordinary one is there by itself."""
    if root.package.startswith("datakit_") and root.package not in sys.modules:
        package = ModuleType(root.package, f"Datakit modules of {root.folder}.")
        package.__path__ = [str(root.folder)]
        package.__spec__ = ModuleSpec(root.package, None, is_package=True)
        package.__spec__.submodule_search_locations = [str(root.folder)]
        sys.modules[root.package] = package


@contextmanager
def importing(root: ImportRoot, kit: Path) -> Iterator[None]:
    """Import modules of a kit inside this block; afterwards no alias, no bytecode file and no finder is left."""
    with import_lock:
        _ensure_package(root)
        synthetic = root.package.startswith("datakit_")
        lookups = (root.folder, kit, kit / "src", kit.parent) if synthetic else ()
        finder = _KitFinder(root, kit, lookups)
        hidden = _hide_namesakes(lookups[:-1])
        wrote_bytecode = sys.dont_write_bytecode
        sys.dont_write_bytecode = wrote_bytecode or synthetic
        _failed.clear()
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            sys.dont_write_bytecode = wrote_bytecode
            for name in finder.aliases:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)
            _failed.clear()


def _hide_namesakes(folders: Sequence[Path]) -> dict[str, ModuleType]:
    """Take modules of other projects out of the way that are named like a module of the kit, such as `utils`."""
    own = {
        path.stem
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }
    own -= set(sys.stdlib_module_names)
    names = [name for name in sys.modules if name.split(".")[0] in own and not _is_ours(name)]
    return {name: sys.modules.pop(name) for name in names}


def _is_ours(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in {__name__.split(".")[0], "sqlmodel", "sqlalchemy", "pydantic"}
