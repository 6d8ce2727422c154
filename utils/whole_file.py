"""A file that readers see whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["replace_whole"]


def replace_whole(path: Path, content: bytes) -> None:
    """Put a new file in the place of one that may be there; permissions are those that the umask leaves.

    It is on the disk when this returns. Raises OSError; the old file is then untouched, and nothing else stays.
    """
    temporary = path.parent / f".datakit-{secrets.token_hex(8)}.tmp"
    # Not tempfile: its files are for the owner alone, whatever the umask.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
