"""What the modules of a datakit are called, and where names lead to. Nothing is executed, but to see what a library offers."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

__all__ = [
    "STAND_IN",
    "KitFinder",
    "KitSource",
    "as_written",
    "found_elsewhere",
    "found_with_dots",
    "home_of",
    "homes_of",
    "module_path",
    "places_of",
]

STAND_IN = re.compile(r"\bdatakit_[0-9a-f]{8}\b\.?")
"""Names of packages that stand for a folder that no ordinary import finds."""

_DOT = "\u2024"  # in the name of a module, for a dot in the name of its file or folder
_NEVER_HIDDEN = sys.stdlib_module_names | {"pydantic", "sqlalchemy", "sqlmodel", "sqlmodel_framework"}
_INSTALLED = {Path(sysconfig.get_path(place)).resolve() for place in ("purelib", "platlib")}


class KitFinder(MetaPathFinder):
    """A finder of our own: what an ordinary import finds is asked of the others."""


@dataclass(frozen=True)
class KitSource:
    """Where the modules of a kit are and what they are called.

    `code` is the folder their names count from, such as `src`; `name` is the kit's importable name, if it was given.
    """

    folder: Path
    code: Path
    name: str | None = None
    _packages: dict[Path, str] = field(default_factory=dict, compare=False, repr=False)

    def name_of(self, path: Path) -> str:
        """The one name of a module file or package folder of this kit."""
        module = module_path(path)
        if self.name is not None:
            return ".".join([self.name, *_escaped(module.relative_to(self.folder))])
        if self.code in {self.folder, module} or not module.is_relative_to(self.code):
            return self._name_below(self.folder, module)
        return self._name_below(self.code / module.relative_to(self.code).parts[0], module)

    def _name_below(self, unit: Path, module: Path) -> str:
        top = _top(unit)
        if top not in self._packages:
            known = _loaded_as(top) or _ordinary_name(top)
            self._packages[top] = known or ".".join([_stand_in(top.parent), *_escaped(Path(top.name))])
        return ".".join([self._packages[top], *_escaped(module.relative_to(top))])

    def own_name(self, name: str, wanted: Sequence[str] = ()) -> str | None:
        """What an absolute import in this kit means: a module of the kit or a neighbour; None for any other."""
        head, *rest = name.split(".")
        place = next((place for place in self._lookups(head) if _is_there(place / head)), None)
        if place is not None:
            return (
                None if self._is_library(head) and _offers(name, wanted) else self._name_in(place, head, rest)
            )
        home = home_of(name)
        return self.name_of(home) if home is not None and home.is_relative_to(self.folder) else None

    def _lookups(self, head: str) -> list[Path]:
        around = [folder.parent for folder in self.folder.parents if folder.name == head]
        return [self.code, self.folder, _top(self.folder).parent, *around]

    def _is_library(self, head: str) -> bool:
        """In a package an installed library comes before a module, as ever; beside a loose file only the core ones."""
        home = home_of(head) if _is_package(self.folder) else None
        return head in _NEVER_HIDDEN or (home is not None and home.parent in _INSTALLED)

    def _name_in(self, place: Path, head: str, rest: Sequence[str]) -> str:
        module = place.joinpath(head, *rest)
        if module.is_relative_to(self.folder):
            return self.name_of(module)
        unit = place / head
        for part in rest:
            if not self.folder.is_relative_to(unit):
                break
            unit /= part
        return self._name_below(unit, module)


def as_written(text: str) -> str:
    """A text in which modules have the names that the kit's own code has for them."""
    return STAND_IN.sub("", text)


def homes_of(name: str) -> list[Path]:
    """Where an ordinary import of a name leads to: package folders, or the file of a module without its `.py`.

    Several for a package without `__init__.py` in several places. Nothing is executed.
    """
    head, *rest = name.split(".")
    loaded = sys.modules.get(head)
    spec = found_elsewhere(head, None) if loaded is None else getattr(loaded, "__spec__", None)
    if spec is None:
        return []
    if not rest and spec.loader is not None and (spec.origin or "").endswith(".py"):
        return [module_path(Path(str(spec.origin)).resolve())]
    homes = [Path(place, *rest).resolve() for place in spec.submodule_search_locations or ()]
    found = [home for home in homes if home.is_dir() or _file(home).is_file()]
    return found[:1] if found and _is_package(found[0]) else found


def home_of(name: str) -> Path | None:
    """The first of the homes of a name; None for a name that leads nowhere."""
    return next(iter(homes_of(name)), None)


def found_elsewhere(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What an ordinary import finds."""
    finders = [finder for finder in sys.meta_path if not isinstance(finder, KitFinder)]
    return next((spec for finder in finders if (spec := finder.find_spec(name, path)) is not None), None)


def found_with_dots(name: str, path: Sequence[str]) -> ModuleSpec | None:
    """A file or folder with a dot in its name, for which Python has no module name."""
    escaped = name.rpartition(".")[2]
    for place in path if _DOT in escaped else ():
        module = Path(place, escaped.replace(_DOT, "."))
        if _is_package(module):
            return spec_from_file_location(
                name, module / "__init__.py", submodule_search_locations=[str(module)]
            )
        if _file(module).is_file():
            return spec_from_file_location(name, _file(module))
        if module.is_dir():
            return _folder_spec(name, module)
    return None


def _folder_spec(name: str, folder: Path) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


def _stand_in(folder: Path) -> str:
    """The package that stands for a folder that no ordinary import finds."""
    name = f"datakit_{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"
    if name not in sys.modules:
        sys.modules[name] = module_from_spec(_folder_spec(name, folder))
    return name


def _loaded_as(folder: Path) -> str | None:
    modules = list(sys.modules.items())
    return next((name for name, module in modules if str(folder) in places_of(module)), None)


def places_of(module: object) -> list[str]:
    """The folders of a package, resolved; none for anything else."""
    try:
        return [os.path.realpath(place) for place in getattr(module, "__dict__", {}).get("__path__") or ()]
    except (KeyError, TypeError):  # a namespace package whose parent is gone, a library's own idea of a path
        return []


def _ordinary_name(top: Path) -> str | None:
    name = top.name
    for folder in top.parents:
        if not all(part.isidentifier() for part in name.split(".")):
            return None
        if home_of(name) == top:
            return name
        name = f"{folder.name}.{name}"
    return None


def _is_there(module: Path) -> bool:
    """Whether a module is found here. A folder without `__init__.py` yields, as ever, to a package from elsewhere."""
    if _is_package(module) or _file(module).is_file():
        return True
    home = home_of(module.name) if module.is_dir() else None
    return module.is_dir() and (home is None or not (_is_package(home) or _file(home).is_file()))


def _offers(library: str, wanted: Sequence[str]) -> bool:
    """Whether a library has the names that an import statement wants of it."""
    try:
        module = importlib.import_module(library)
    except ImportError:
        return False
    return all(hasattr(module, name) for name in wanted)


def module_path(file: Path) -> Path:
    """A file's path as a module's: without `.py`, and without `__init__`."""
    return (
        file.parent if file.name == "__init__.py" else file.with_suffix("") if file.suffix == ".py" else file
    )


def _file(module: Path) -> Path:
    return module.with_name(f"{module.name}.py")


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _top(module: Path) -> Path:
    """The outermost package around a module or folder; itself where there is none."""
    for folder in module.parents:
        if not _is_package(folder):
            break
        module = folder
    return module


def _escaped(path: Path) -> list[str]:
    return [part.replace(".", _DOT) for part in path.parts]
