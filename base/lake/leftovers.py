"""Hidden folders beside the batches of a table: who works in one holds a lock on it, so that what was left is told apart.

The lock is flock(2) on the folder itself: it moves with the folder, leaves no file in a batch, and ends with the process
whatever ends that. Where it is not to be had, such as on Windows and on most network file systems, nothing is taken for
left. A network file system mounted with locks of each host's own (`local_lock`, `nolock`) must be written by one host only.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

if sys.platform != "win32":
    import fcntl

__all__ = ["discard", "hold", "new_staging", "remove_leftovers", "replaced_name"]

_STAGING = ".staging-"
_REPLACED = ".replaced-"


@contextmanager
def new_staging(parent: Path) -> Iterator[Path]:
    """Make a hidden folder and hold it; what is still in it at the end is removed."""
    while True:
        staging = parent / f"{_STAGING}{uuid4().hex}"
        staging.mkdir(parents=True)
        with hold(staging):
            if not staging.is_dir():
                continue  # taken for left between the two calls above
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            return


def replaced_name(place: Path) -> Path:
    """Where a folder goes while another takes its place; the name says which place it had."""
    return place.with_name(f"{_REPLACED}{uuid4().hex}-{place.name}")


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the folder, wherever it is moved, until the block ends; wait for another that holds it. Without locks, do nothing."""
    descriptor = _open(folder)
    try:
        if descriptor is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _let_go(descriptor)


def remove_leftovers(parent: Path) -> None:
    """Remove the hidden folders in `parent` that nobody holds. A batch that was moved away and not replaced goes back.

    What cannot be removed stays, without an error.
    """
    with suppress(OSError):
        for folder in sorted(parent.iterdir()):
            if folder.name.startswith((_STAGING, _REPLACED)):
                _remove_if_left(folder)


def discard(folder: Path) -> None:
    """Remove a folder, as far as that is possible; what stays of it is never taken for a batch that was moved away."""
    with suppress(OSError):
        shutil.rmtree(folder.rename(folder.with_name(f"{_STAGING}{uuid4().hex}")), ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    descriptor = _open(folder)
    if descriptor is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear(folder)
    except OSError:
        return  # held, or a file system without such locks
    finally:
        _let_go(descriptor)


def _clear(folder: Path) -> None:
    """Where a killed replacement left the place empty, the folder is the only copy of the earlier batch."""
    _, _, name = folder.name.removeprefix(_REPLACED).partition("-")
    if folder.name.startswith(_STAGING):
        shutil.rmtree(folder, ignore_errors=True)
    elif name and folder.with_name(name).exists():
        discard(folder)
    elif name:
        folder.rename(folder.with_name(name))


def _open(folder: Path) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None


def _let_go(descriptor: int | None) -> None:
    """Unlock, not only close: a forked process may have the descriptor too."""
    if descriptor is None:
        return
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
