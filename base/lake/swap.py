"""Replace a folder by another in one step, so that no reader finds it missing."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

from sqlmodel_framework.base.lake.leftovers import discard, hold, replaced_name

__all__ = ["move_over"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}


def move_over(new: Path, place: Path) -> None:
    """Move the folder `new` to `place`; a folder that stands there is gone afterwards. Raises OSError, both then unchanged.

    Linux exchanges the two by one rename. Elsewhere, and on file systems that cannot, the old one is moved away first:
    between the two renames a reader finds none; where a process is killed there, `remove_leftovers` puts it back.
    """
    try:
        # A rename replaces an empty folder and refuses one that is not.
        new.rename(place)
    except OSError as exc:
        if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _exchange(new, place):
            shutil.rmtree(new, ignore_errors=True)
        else:
            _replace_in_two_steps(new, place)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders by renameat2(2), Linux 3.15; False where that is not to be had."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


def _replace_in_two_steps(new: Path, place: Path) -> None:
    old = replaced_name(place)
    with hold(place):
        place.rename(old)
        try:
            new.rename(place)
        except OSError:
            old.rename(place)
            raise
        discard(old)
