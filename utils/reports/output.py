"""A report in a file: the whole of it, or the file that was there before."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlmodel_framework.base.errors import StorageError
from sqlmodel_framework.utils.whole_file import replace_whole

__all__ = ["write_output"]

_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def write_output(path: Path | str, text: str) -> None:
    """Write the text, in UTF-8 and with a newline at its end, to a file that readers see whole or not at all.

    A symlink stays, and the file that it points to is replaced; permissions are those of a new file. A pipe or a
    device, such as /dev/stdout, is written to as it is. Raises StorageError; the old file is then untouched and no
    temporary file stays.
    """
    content = (text if text.endswith("\n") or not text else f"{text}\n").encode("utf-8", "backslashreplace")
    with _storage_errors(path):
        if str(path) in _STREAMS:
            sys.stdout.flush()
            _write(os.dup(_STREAMS[str(path)]), content)
        elif _is_stream(path):
            _write(os.open(path, os.O_WRONLY), content)
        else:
            _replace(Path(os.path.realpath(path)), content)


def _is_stream(path: Path | str) -> bool:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(path: Path, content: bytes) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    replace_whole(path, content)


def _write(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


@contextmanager
def _storage_errors(path: Path | str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        return  # a reader that leaves early is no error
    except (OSError, ValueError) as exc:
        seen = os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else str(exc)
        raise StorageError(
            "the report could not be written",
            where=str(path),
            seen=f"{type(exc).__name__}: {seen}",
            next_step="make the folder, free space or correct the path, then run again; a file that was there is unchanged",
        ) from exc
