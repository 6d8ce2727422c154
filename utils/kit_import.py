"""Import the modules of a datakit: each file once, under one name, with a MetaData and mapper registry of its kit's own.

A kit that an ordinary import finds gets its ordinary names. Any other is named below a package that stands for the
folder around it (`datakit_1a2b3c4d.my-kit.film`), so that kits with equal names live side by side.

The import statements in a kit, and no others, find its modules and its neighbours as if their folders were on
`sys.path`: each module of a kit has an `__import__` of its own. So neither `sys.path` nor `sys.modules` is bent, a
library that imports its `utils` meanwhile gets its own, and an import inside a function works long after discovery.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import class_mapper

from sqlmodel_framework.utils.kit_names import (
    STAND_IN,
    KitFinder,
    KitSource,
    found_elsewhere,
    found_with_dots,
    home_of,
    module_path,
    places_of,
)
from sqlmodel_framework.utils.tables import TableScope, is_table_class, table_of

__all__ = ["Reading", "import_lock", "importing", "metadata_of"]

import_lock = threading.RLock()
"""Hold it while kits are imported: the import state and SQLModel's MetaData are the process's."""


def _import_in(
    kit: KitSource,
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 - `__import__` names them so
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """What an import statement in a kit does, in place of `__import__`."""
    own = None if level else kit.own_name(name, fromlist or ())
    if own is None or own == name:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    if fromlist:
        return builtins.__import__(own, globals, locals, fromlist)
    return _import_and_bind(kit, name.split("."))


def _import_and_bind(kit: KitSource, parts: Sequence[str]) -> ModuleType:
    """What `import a.b.c` does: it binds `a`, which leads to the others."""
    names = [".".join(parts[: count + 1]) for count in range(len(parts))]
    modules = [importlib.import_module(kit.own_name(name) or name) for name in names]
    for parent, part, child in zip(modules, parts[1:], modules[1:], strict=False):
        if not hasattr(parent, part):
            setattr(parent, part, child)
    return modules[0]


@dataclass(frozen=True)
class _Owner:
    """The kit or library that a module belongs to. `source` is None for one that only an ordinary import finds."""

    scope: TableScope
    source: KitSource | None


class _KitLoader(SourceFileLoader):
    """Runs a module in its owner's scope; one that failed is not run again while the same kit is being read."""

    def __init__(self, name: str, path: str, owner: _Owner, reading: Reading) -> None:
        super().__init__(name, path)
        self.owner = owner
        self._reading = reading

    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        """Write no bytecode: nothing is left in a kit."""

    def exec_module(self, module: ModuleType) -> None:
        failures = self._reading.failures
        path = Path(self.path)
        if path in failures:
            self._fail_again(module, failures[path])
            return
        self._reading.ran[module.__name__] = self.owner
        if self.owner.source is not None:
            vars(module)["__builtins__"] = {
                **vars(builtins),
                "__import__": partial(_import_in, self.owner.source),
            }
        try:
            with self.owner.scope.entered():
                super().exec_module(module)
        except (Exception, SystemExit) as exc:
            failures[path] = exc
            raise
        for value in vars(module).values():
            if is_table_class(value):
                type.__setattr__(
                    value, "metadata", table_of(value).metadata
                )  # it would be inherited from SQLModel

    def _fail_again(self, module: ModuleType, exc: BaseException) -> None:
        """Raise again. A package of the kit stays instead, empty, so that its other modules can be read."""
        if self.owner.source is not self._reading.kit or not hasattr(module, "__path__"):
            raise exc

        def refuse(name: str) -> object:
            raise AttributeError(name) if name.startswith("__") else exc

        vars(module)["__getattr__"] = refuse


class Reading(KitFinder):
    """One reading of a kit: each module, also of other kits and libraries, is run in the scope of its owner.

    `failures` maps files to what they raised, in the order in which it happened: the first file of an exception is
    where it comes from, the others import that one.
    """

    def __init__(self, kit: KitSource, files: Iterable[Path]) -> None:
        self.kit = kit
        self.failures: dict[Path, BaseException] = {}
        self.ran: dict[str, _Owner] = {}
        self._modules_before = set(sys.modules)
        self._content_before: dict[Path, set[Table | type]] = {}
        self._owners: dict[Path, _Owner] = {}
        self._names = {file: kit.name_of(file) for file in files}
        self.aliases = self._loaded_otherwise()
        loaded = [self.aliases.get(name) or sys.modules.get(name) for name in self._names.values()]
        self._add_owner(kit.folder, loaded, kit)
        self._thread = threading.get_ident()

    @property
    def metadata(self) -> MetaData:
        """The kit's."""
        return self._owners[self.kit.folder].scope.metadata

    def loaded(self) -> list[ModuleType]:
        """The modules of the kit that are imported."""
        return [sys.modules[name] for name in self._names.values() if name in sys.modules]

    def module(self, file: Path) -> ModuleType:
        """The module of a file of the kit, imported now if it was not."""
        return importlib.import_module(self._names[file])

    def _loaded_otherwise(self) -> dict[str, ModuleType]:
        """Modules of the kit that are loaded by another name, such as `__main__`, by their name in the kit."""
        names = {file.resolve(): name for file, name in self._names.items() if name not in sys.modules}
        basenames = {file.name for file in names}
        found = {}
        for module in list(sys.modules.values()):
            file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
            path = Path(file) if isinstance(file, str) else Path()
            if path.name in basenames and path.resolve() in names:
                found[names[path.resolve()]] = module
        return found

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where an ordinary import finds the module, with a loader that runs it in the scope of its owner."""
        if (
            threading.get_ident() != self._thread
            or fullname.split(".", maxsplit=1)[0] in sys.stdlib_module_names
        ):
            return None
        spec = found_elsewhere(fullname, path) or found_with_dots(fullname, path or ())
        if spec is not None and type(spec.loader) is SourceFileLoader:
            owner = self._owner_of(fullname, Path(spec.loader.path))
            spec.loader = _KitLoader(fullname, spec.loader.path, owner, self)
        return spec

    def _owner_of(self, name: str, file: Path) -> _Owner:
        """The kit; for any other module, its outermost package that does not hold the kit as well."""
        kit = self.kit.folder
        if file.is_relative_to(kit) or file.resolve().is_relative_to(kit):
            return self._owners[kit]
        parts, module = name.split("."), module_path(file)
        loose = STAND_IN.match(name) is not None
        packages = [module, *module.parents][len(parts) - 1 :: -1]
        outside = [
            depth
            for depth, folder in enumerate(packages)
            if depth >= loose and not kit.is_relative_to(folder)
        ]
        depth = outside[0] if outside else len(parts) - 1
        unit, prefix = packages[depth], ".".join(parts[: depth + 1])
        if unit not in self._owners:
            loaded = [
                module for name, module in list(sys.modules.items()) if f"{name}.".startswith(f"{prefix}.")
            ]
            self._add_owner(unit, loaded, KitSource(unit, unit) if loose else None)
        return self._owners[unit]

    def _add_owner(self, unit: Path, loaded: Iterable[ModuleType | None], source: KitSource | None) -> None:
        """Its scope is that of its modules which are loaded already; else a new one."""
        scopes = (
            scope for module in loaded if module is not None and (scope := _scope_of(module)) is not None
        )
        self._owners[unit] = _Owner(next(scopes, None) or TableScope.new(), source)
        self._content_before[unit] = self._owners[unit].scope.content()

    def share_bare_names(self) -> None:
        """Where `sys.path` leads into the kit, an `import film` from elsewhere must not run its modules again."""
        code = self.kit.code
        if str(code) not in map(os.path.realpath, sys.path):
            return
        prefix = f"{self.kit.name_of(code)}."
        for name, module in list(sys.modules.items()):
            bare = name.removeprefix(prefix)
            head = bare.split(".")[0]
            if bare != name and home_of(head) == code / head:
                sys.modules.setdefault(bare, module)

    def undo(self) -> None:
        """Take out of the process again what was run, so that a corrected kit can be read."""
        new = {
            unit: owner.scope.content() - self._content_before[unit] for unit, owner in self._owners.items()
        }
        with_tables = [owner for unit, owner in self._owners.items() if new[unit] or owner.source is not None]
        for name in set(sys.modules) - self._modules_before:
            if self.ran[name] in with_tables if name in self.ran else self._is_folder_of_kit(name):
                _drop(name)
        for unit, owner in self._owners.items():
            owner.scope.remove(new[unit])

    def close(self) -> None:
        """Let go of what the loaders, which stay, would keep alive."""
        self.failures.clear()
        self.ran.clear()
        self._content_before.clear()

    def _is_folder_of_kit(self, name: str) -> bool:
        places = places_of(sys.modules[name])
        return bool(STAND_IN.match(name)) or any(
            Path(place).is_relative_to(self.kit.folder) for place in places
        )


@contextmanager
def importing(kit: KitSource, files: Iterable[Path]) -> Iterator[Reading]:
    """Import modules of a kit inside this block. If it raises, they are taken out of the process again.

    No finder, no second name of a module and no entry of `sys.path` is left. Hold `import_lock`.
    """
    reading = Reading(kit, files)
    outside, path = TableScope.in_use(), list(sys.path)
    importlib.invalidate_caches()
    sys.modules.update(reading.aliases)
    sys.meta_path.insert(0, reading)
    try:
        yield reading
    except BaseException:
        reading.undo()
        raise
    finally:
        sys.meta_path.remove(reading)
        for name in reading.aliases:
            sys.modules.pop(name, None)
        outside.use()
        sys.path[:] = path
        reading.close()
    reading.share_bare_names()


def metadata_of(module: ModuleType) -> MetaData | None:
    """The MetaData of the kit that a module was imported with; None for a module that was imported otherwise."""
    loader = getattr(module.__spec__, "loader", None)
    return loader.owner.scope.metadata if isinstance(loader, _KitLoader) else None


def _scope_of(module: ModuleType) -> TableScope | None:
    loader = getattr(module.__spec__, "loader", None)
    if isinstance(loader, _KitLoader):
        return loader.owner.scope
    for value in vars(module).values():
        if is_table_class(value) and value.__module__ == module.__name__:
            return TableScope(table_of(value).metadata, class_mapper(value, configure=False).registry)
    return None


def _drop(name: str) -> None:
    module = sys.modules.pop(name)
    parent, _, child = name.rpartition(".")
    around = vars(sys.modules[parent]) if parent in sys.modules else {}
    if around.get(child) is module:
        del around[child]
