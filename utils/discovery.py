"""Discovery: from a folder or a package to the table classes of a datakit.

Reading a kit runs its code, as importing any package does. Every failure of every module is reported together.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import InvalidRequestError

from sqlmodel_framework.base.errors import DiscoveryError
from sqlmodel_framework.utils.kit_import import Reading, import_lock, importing, metadata_of
from sqlmodel_framework.utils.kit_names import KitSource, as_written, homes_of
from sqlmodel_framework.utils.literal_fields import said_of_literals
from sqlmodel_framework.utils.tables import TableLike, TableScope, is_table_class, table_of, why_no_table

__all__ = [
    "Datakit",
    "ModuleFailure",
    "PartOfDatakit",
    "discover_datakit_modules",
    "discover_sqlmodel_classes",
    "load_datakit",
    "load_what_imports",
    "name_of_datakit",
]

_NOT_READ = frozenset({"__main__.py", "conftest.py", "noxfile.py", "setup.py"}) | frozenset(
    {"alembic", "build", "dist", "migrations", "test", "tests"}
)
_FOLDERS_OF_TOOLS = frozenset({"__pycache__", "node_modules", "site-packages"})
_TWICE = "two classes of the datakit define the same table"


@dataclass(frozen=True)
class Datakit:
    """A datakit as it was when it was first read.

    `tables` holds classes, and tables without a class such as link tables, in the order of their files. `skipped` says
    which classes are no tables, and which files and folders were not read, and why. `side_effects` names files that
    appeared in the kit or in the working folder while it was imported.
    """

    name: str
    folder: Path
    modules: tuple[ModuleType, ...]
    tables: tuple[TableLike, ...]
    skipped: tuple[str, ...] = ()
    side_effects: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ModuleFailure:
    """A module that cannot be imported: what it raised, and in which of its lines."""

    file: Path
    line: int | None
    error: BaseException


@dataclass
class PartOfDatakit:
    """What could be read of a datakit. `failures` and `refusal` are there where that is not all of it."""

    kit: Datakit | None = None
    failures: tuple[ModuleFailure, ...] = ()
    refusal: DiscoveryError | None = None


_kits: dict[Path, Datakit] = {}
_being_read: list[Path] = []


def load_datakit(kit: str | os.PathLike[str]) -> Datakit:
    """Read a datakit from a folder or an importable name; the same kit gives the same classes at every call.

    For that, a kit and its classes stay in memory until the process ends. While a kit is imported, SQLModel's MetaData
    is the kit's in every thread: let other threads import table classes before, or by this function as well.

    Raises DiscoveryError for a path that is none, for modules that fail (all of them, with file and line), and for a
    kit without tables (with every module seen and every class skipped).
    """
    return _load(kit, PartOfDatakit())


def load_what_imports(kit: str | os.PathLike[str]) -> PartOfDatakit:
    """Read a datakit as `load_datakit` does; where modules fail, give the others.

    The classes of a broken kit are good to look at, and no more: they are not in memory for the next reading. Raises
    DiscoveryError where it is not modules that fail.
    """
    part = PartOfDatakit()
    try:
        part.kit = _load(kit, part)
    except DiscoveryError as exc:
        if not part.failures:
            raise
        part.refusal = exc
    return part


def name_of_datakit(kit: str | os.PathLike[str]) -> str:
    """The name by which settings know a datakit: that of its folder. Raises DiscoveryError for a path that is none."""
    return _folder_of(kit)[0].name


def _load(kit: str | os.PathLike[str], part: PartOfDatakit) -> Datakit:
    folder, name = _folder_of(kit)
    with import_lock:
        if folder in _being_read:
            raise DiscoveryError(
                "the datakit reads itself while it is being imported",
                where=str(folder),
                next_step="call discovery below `if __name__ == '__main__':`, or from outside of the folder",
            )
        if folder not in _kits:
            _being_read.append(folder)
            try:
                _kits[folder] = _read(folder, name, part)
            finally:
                _being_read.pop()
        return _kits[folder]


def discover_datakit_modules(kit: str | os.PathLike[str]) -> list[ModuleType]:
    """The modules of a datakit, imported. Raises as `load_datakit` does."""
    return list(load_datakit(kit).modules)


def discover_sqlmodel_classes(modules: Iterable[ModuleType]) -> list[TableLike]:
    """The table classes that these modules define, each once, in the order of the files; then tables without a class.

    A package given here stands for its modules too. What the modules import from another kit is not theirs.
    """
    listed = list(modules)
    names = {module.__name__ for module in listed}
    packages = tuple(f"{module.__name__}." for module in listed if hasattr(module, "__path__"))
    values = [value for module in listed for value in vars(module).values()]
    of_kits = {metadata for module in listed if (metadata := metadata_of(module)) is not None}
    mapped = [value for value in values if is_table_class(value)]
    classes = [
        cls
        for cls in mapped
        if cls.__module__ in names or cls.__module__.startswith(packages) or table_of(cls).metadata in of_kits
    ]
    own = (
        of_kits | {table_of(cls).metadata for cls in classes} | {v for v in values if isinstance(v, MetaData)}
    )
    with_class = {table_of(cls) for cls in mapped}
    if any(metadata_of(module) is None for module in listed):
        with import_lock:
            shared = TableScope.in_use()
        own.add(shared.metadata)
        with_class |= {table_of(item) for item in shared.content() if is_table_class(item)}
    tables = [v for v in values if isinstance(v, Table) and v.metadata in own and v not in with_class]
    return list(dict.fromkeys([*classes, *tables]))


def _folder_of(kit: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The folder of a kit, and its importable name if that was given."""
    text, path = os.fspath(kit), Path(kit)
    if text and os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        return path.resolve(), None
    if text and os.path.exists(path):  # noqa: PTH110
        raise DiscoveryError("a datakit is a folder, not a file", seen=text, next_step=f"pass {path.parent}")
    if not text.strip():
        raise DiscoveryError(
            "no datakit is named",
            seen="an empty path",
            expected="a datakit's folder or an importable name",
            next_step="pass . for the working folder",
        )
    if not all(part.isidentifier() for part in text.split(".")):
        raise DiscoveryError(
            "no such folder", seen=text, next_step="pass a datakit's folder or an importable name"
        )
    homes = homes_of(text)
    if not homes:
        raise DiscoveryError(
            "no such folder, and no package of that name can be imported",
            seen=text,
            next_step="pass a datakit's folder, or install the package",
        )
    if len(homes) > 1:
        raise DiscoveryError(
            "the name stands for several folders",
            seen=", ".join(map(str, homes)),
            next_step="pass one of these folders",
        )
    if not homes[0].is_dir():
        raise DiscoveryError(
            "a datakit is a package, not a module",
            seen=f"{text}, which is {homes[0]}.py",
            next_step=f"pass {text.rpartition('.')[0] or homes[0].parent}",
        )
    return homes[0], text


@dataclass
class _Files:
    """The modules in a kit's folder; files and folders that are not read; and folders that cannot be read."""

    modules: list[Path] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def _list_files(folder: Path, code: Path) -> _Files:
    found = _Files()
    known: set[Path] = set()

    def unreadable(error: OSError) -> None:
        found.unreadable.append(f"{_shown(error.filename, folder)}: {type(error).__name__}: {error.strerror}")

    for parent, folders, names in os.walk(code, onerror=unreadable):
        inside = [path for name in sorted(folders) if not _is_of_tools(path := Path(parent, name))]
        files = [Path(parent, name) for name in sorted(names, key=lambda name: (name != "__init__.py", name))]
        modules = [path for path in files if path.suffix == ".py" and not path.name.startswith(".")]
        reasons = {path: _why_not_read(path, known) for path in (*inside, *modules)}
        found.not_read += [f"{_shown(path, folder)}: {reason}" for path, reason in reasons.items() if reason]
        folders[:] = [path.name for path in inside if not reasons[path]]
        found.modules += [path for path in modules if not reasons[path]]
    return found


def _is_of_tools(folder: Path) -> bool:
    hidden = folder.name in _FOLDERS_OF_TOOLS or folder.name.startswith(".")
    return hidden or (folder / "pyvenv.cfg").is_file()


def _why_not_read(path: Path, known: set[Path]) -> str | None:
    if path.name in _NOT_READ or (path.suffix == ".py" and path.name.startswith("test_")):
        return "left out by its name"
    if path.is_dir():
        return "a link to a folder" if path.is_symlink() else None
    home = path.resolve()
    if home in known:
        return "a link to another module of the kit"
    known.add(home)
    return None


def _code_folder(folder: Path) -> Path:
    """The folder that module names count from: `src` where the layout has one and no module is beside it."""
    source = folder / "src"
    beside = {path.name for path in folder.glob("*.py")} - _NOT_READ
    return source if source.is_dir() and not beside and not (source / "__init__.py").is_file() else folder


def _read(folder: Path, name: str | None, part: PartOfDatakit) -> Datakit:
    before = _files_around(folder)
    code = _code_folder(folder)
    found = _list_files(folder, code)
    first: list[Path] = []
    while True:
        order = [*first, *(file for file in found.modules if file not in first)]
        with importing(KitSource(folder, code, name), order) as reading:
            raised = _import_all(reading, order)
            entry = _entry_to_circle(raised)
            if entry is None or entry in first:
                if raised:
                    _keep_what_imported(part, reading, raised)
                _refuse_failures(reading, found, raised)
                read = _datakit(folder, found, [reading.module(file) for file in found.modules])
                return replace(read, side_effects=tuple(sorted(_files_around(folder) - before)))
            reading.undo()
        first.insert(0, entry)


def _import_all(reading: Reading, files: Iterable[Path]) -> dict[Path, BaseException]:
    """Import each file; gives what those raised that failed."""
    raised: dict[Path, BaseException] = {}
    for file in files:
        try:
            if not file.is_file():
                raise OSError("neither a file nor a link to one")
            reading.module(file)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a kit's module may raise anything
            raised[file] = exc
    return raised


def _keep_what_imported(part: PartOfDatakit, reading: Reading, raised: Mapping[Path, BaseException]) -> None:
    """Remember the modules that did not fail, and where each failure comes from."""
    modules = tuple(reading.loaded())
    tables = tuple(discover_sqlmodel_classes(modules))
    part.kit = Datakit(reading.kit.folder.name, reading.kit.folder, modules, tables)
    origins = {id(exc): file for file, exc in reversed([*raised.items(), *reading.failures.items()])}
    failed = {id(exc): exc for exc in raised.values()}
    part.failures = tuple(
        ModuleFailure(origins[key], _line_in(origins[key], exc), exc) for key, exc in failed.items()
    )


def _entry_to_circle(raised: Mapping[Path, BaseException]) -> Path | None:
    """The file to import first, for modules that import one another and can do so in one order only."""
    for exc in raised.values():
        if isinstance(exc, ImportError | AttributeError) and "partially initialized module" in str(exc):
            files = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(exc.__traceback__)]
            return next((file for file in reversed(files) if file in raised), None)
    return None


def _datakit(folder: Path, found: _Files, modules: Sequence[ModuleType]) -> Datakit:
    tables = discover_sqlmodel_classes(modules)
    skipped = [*found.not_read, *_hidden_files(folder, found.modules, modules)]
    skipped += _skipped_classes(folder, modules)
    if not tables:
        seen = [*(f"module {_shown(file, folder)}" for file in found.modules), *skipped]
        raise DiscoveryError(
            "the datakit defines no table",
            where=str(folder),
            seen=_listed(seen, "entries") if seen else "no Python module",
            expected="classes declared with table=True",
        )
    _refuse_duplicates(folder, tables)
    return Datakit(folder.name, folder, tuple(dict.fromkeys(modules)), tuple(tables), tuple(skipped))


def _hidden_files(folder: Path, files: Iterable[Path], modules: Iterable[ModuleType]) -> Iterator[str]:
    for file, module in zip(files, modules, strict=True):
        if not file.samefile(str(module.__file__)):
            yield f"{_shown(file, folder)}: hidden by {_shown(module.__file__, folder)}"


def _skipped_classes(folder: Path, modules: Iterable[ModuleType]) -> Iterator[str]:
    for module in dict.fromkeys(modules):
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and not is_table_class(value):
                yield f"{_described(value, folder)}: {why_no_table(value)}"


def _refuse_duplicates(folder: Path, tables: Iterable[TableLike]) -> None:
    """Raise for two tables of one name; in a kit with a MetaData of its own, SQLAlchemy does not notice them.

    Names that differ only in case count as one: SQLite, and MySQL on some systems, take them for the same table.
    """
    homes: dict[tuple[str | None, str], TableLike] = {}
    for item in tables:
        table = table_of(item)
        first = homes.setdefault((table.schema, table.name.lower()), item)
        other = table_of(first)
        if other is table:
            continue
        by = (_described(first, folder), _described(item, folder))
        if other.name == table.name:
            raise DiscoveryError(
                _TWICE,
                where=str(folder),
                seen=f"{table.fullname} by {by[0]} and by {by[1]}",
                next_step="rename one of the tables",
            )
        raise DiscoveryError(
            "the names of two tables of the datakit differ only in case",
            where=str(folder),
            seen=f"{other.fullname} by {by[0]} and {table.fullname} by {by[1]}",
            expected="names that differ on every database",
            next_step="rename one of the tables",
        )


def _described(item: type | Table, folder: Path, file: str | None = None) -> str:
    if isinstance(item, Table):
        return "a Table without a class"
    file = file or getattr(sys.modules.get(item.__module__), "__file__", None)
    return f"class {item.__name__}" + (f" ({_shown(file, folder)})" if file else "")


def _refuse_failures(reading: Reading, found: _Files, raised: Mapping[Path, BaseException]) -> None:
    failures = list({id(exc): exc for exc in raised.values()}.values())
    lines = [*found.unreadable, *(_failure(reading, raised, exc) for exc in failures)]
    if not lines:
        return
    what = f"{len(raised)} of {len(found.modules)} modules of the datakit cannot be imported"
    next_step = "correct what is listed, then read the datakit again"
    if found.unreadable:
        what = f"{len(raised) + len(found.unreadable)} modules and folders of the datakit cannot be read"
    elif all(map(_table_defined_twice, failures)):
        what, next_step = _TWICE, "rename one of the tables"
    raise DiscoveryError(
        what, where=str(reading.kit.folder), seen=_listed(lines, "failures"), next_step=next_step
    )


def _failure(reading: Reading, raised: Mapping[Path, BaseException], exc: BaseException) -> str:
    """Where a failure comes from, what it is, and which modules fail because they import that one."""
    folder = reading.kit.folder
    files = [file for file, known in raised.items() if known is exc]
    origin = next((file for file, known in reading.failures.items() if known is exc), files[0])
    line = _line_in(origin, exc)
    where = _shown(origin, folder) + (f", line {line}" if line else "")
    importers = ", ".join(_shown(file, folder) for file in files if file != origin)
    return f"{where}: {_reason(reading, exc, origin, line)}" + (
        f" (imported by {importers})" if importers else ""
    )


def _line_in(file: Path, exc: BaseException) -> int | None:
    if isinstance(exc, SyntaxError) and exc.filename == str(file):
        return exc.lineno
    lines = [
        line for frame, line in traceback.walk_tb(exc.__traceback__) if frame.f_code.co_filename == str(file)
    ]
    return lines[-1] if lines else None


def _reason(reading: Reading, exc: BaseException, file: Path, line: int | None) -> str:
    if isinstance(exc, SystemExit):
        return "calls sys.exit"
    table = _table_defined_twice(exc)
    if table is not None:
        first = _definition_of(table, reading, exc)
        return f"{_class_at(file, line)} defines the table {table}" + (
            f", and so does {first}" if first else " again"
        )
    literals = said_of_literals(exc, file, line)
    if literals is not None:
        return literals
    text = " ".join(as_written(exc.msg if isinstance(exc, SyntaxError) else str(exc)).split())
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _table_defined_twice(exc: BaseException) -> str | None:
    found = re.match("Table '(.+)' is already defined", str(exc))
    return found[1] if found and isinstance(exc, InvalidRequestError) else None


def _definition_of(table: str, reading: Reading, exc: BaseException) -> str | None:
    """The class that defined a table first: in a module that was read, or in the one that failed."""
    modules = [vars(module) for module in reading.loaded()]
    modules += [frame.f_globals for frame, _ in traceback.walk_tb(exc.__traceback__)]
    for module in modules:
        for value in module.values():
            if is_table_class(value) and table_of(value) is reading.metadata.tables.get(table):
                return _described(value, reading.kit.folder, module.get("__file__"))
    return None


def _class_at(file: Path, line: int | None) -> str:
    classes = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.ClassDef)]
    around = [node.name for node in classes if line and node.lineno <= line <= (node.end_lineno or line)]
    return f"class {around[-1]}" if around else "a Table without a class"


def _shown(file: str | Path | None, folder: Path) -> str:
    path = Path(str(file))
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _listed(lines: Sequence[str], word: str) -> str:
    """One by itself; several each on a line of its own, indented, below their number."""
    return lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} {word}", *lines])


def _files_around(folder: Path) -> set[Path]:
    """The files of a kit, and those directly in the working folder."""
    found = set()
    with suppress(OSError):
        found = {path for path in Path.cwd().iterdir() if path.is_file()}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_of_tools(Path(parent, name))]
        found.update(Path(parent, name) for name in names)
    return found
