"""Embedded servers whose process was killed: who owns a folder, and the end of what nobody owns any more.

The owner of a folder holds the operating system's lock on a file in it. The lock ends with the owner, however it ends,
and with its forked children. So it says who lives where process ids, which are used again, cannot.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["end_abandoned", "new_home"]

_PREFIX = "datakit-pg-"
_LOCK = "owner"
_SECONDS = 5


def new_home() -> Path:
    """A new folder for a server; it is this process's own until the process ends. On Windows it is nobody's."""
    home = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # Locked before it has its name: another process that finds it must not find it free.
    unnamed = home / f"{_LOCK}.new"
    # Never closed: closing gives the lock up.
    if _lock(os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)):
        unnamed.rename(home / _LOCK)
    return home


def end_abandoned() -> None:
    """Stop the servers of this user whose processes were killed, and remove their folders. Never raises."""
    with suppress(OSError):
        for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError, ValueError):
                _end_if_abandoned(home)


def _end_if_abandoned(home: Path) -> None:
    if sys.platform == "win32" or home.is_symlink() or home.stat().st_uid != os.getuid():
        return
    lock = os.open(home / _LOCK, os.O_RDWR)
    try:
        if _lock(lock) and _has_stopped(home / "data"):
            shutil.rmtree(home, ignore_errors=True)
    finally:
        os.close(lock)


def _lock(file: int) -> bool:
    """Take the lock of an open file, if nobody has it."""
    if sys.platform == "win32":
        return False
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        flock(file, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    return True


def _has_stopped(data: Path) -> bool:
    """Stop the server of a data folder; True where none is running afterwards."""
    import psutil  # type: ignore[import-untyped]

    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0]))
        # After a restart of the machine, or in another container, the number may be another process's.
        if str(data) in process.cmdline():
            process.send_signal(signal.SIGQUIT)
            process.wait(_SECONDS)
    except (FileNotFoundError, psutil.NoSuchProcess):
        return True
    except psutil.Error:
        return False
    return True
