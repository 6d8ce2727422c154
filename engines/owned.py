"""What this process has started and has to end: at its own end, and by a small program beside it when it is killed."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sqlmodel_framework.base.errors import TryAgainError

__all__ = ["disown", "leave_to_the_program", "own"]

_PROGRAM = Path(__file__).with_name("owner_watch.py")


@dataclass
class _Owned:
    """Orders for the watching program, and how to end each thing without it."""

    orders: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ends: dict[str, Callable[[], object]] = field(default_factory=dict)
    program: subprocess.Popen[bytes] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def tell(self, order: Mapping[str, Any]) -> None:
        """Send one order. A program that somebody killed is started again, and told everything."""
        orders = [order]
        if self.program is None or self.program.poll() is not None:
            self.program = _start_program()
            orders = list(self.orders.values())
        pipe = _pipe_of(self.program)
        for one in orders:
            pipe.write(json.dumps(one).encode() + b"\n")

    def end_all(self) -> None:
        try:
            for key, end in reversed(list(self.ends.items())):
                # What cannot be ended here is left to the program.
                with suppress(Exception):
                    end()
                    disown(key)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self.program is not None:
            _pipe_of(self.program).close()
            with suppress(subprocess.TimeoutExpired):
                self.program.wait(0.0 if self.orders else 5.0)
            # Python complains of a child that is not waited for; this one may outlive us on purpose.
            self.program.returncode = self.program.returncode or 0


_owned = _Owned()


def own(key: str, order: Mapping[str, Any], end: Callable[[], object]) -> None:
    """Have `end` called at the end of this process, and `order` carried out if it is killed; see `owner_watch`.

    The same key again changes the order. Where the program cannot be started, only the end of the process counts.
    """
    with _owned.lock:
        _owned.ends[key] = end
        _owned.orders[key] = {"key": key, **order}
        with suppress(OSError):
            _owned.tell(_owned.orders[key])


def disown(key: str) -> None:
    """Forget a thing that was ended."""
    with _owned.lock:
        _owned.ends.pop(key, None)
        if _owned.orders.pop(key, None) is not None:
            with suppress(OSError):
                _owned.tell({"key": key, "do": "forget"})


def leave_to_the_program() -> None:
    """The `end` of a thing whose order the program carries out, after a normal end of this process too."""
    raise TryAgainError("the program beside this process ends it")


def _start_program() -> subprocess.Popen[bytes]:
    # -P: no module beside the program, and none in the working folder, may stand in for one of Python's own.
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
        cwd="/" if os.name == "posix" else None,
    )


def _pipe_of(program: subprocess.Popen[bytes]) -> IO[bytes]:
    assert program.stdin is not None
    return program.stdin


def _in_forked_child() -> None:
    """What the parent started is the parent's: the child lets go of the pipe, and starts with nothing."""
    global _owned
    if _owned.program is not None:
        _pipe_of(_owned.program).close()
        _owned.program.returncode = 0
    _owned = _Owned()


@atexit.register
def _at_exit() -> None:
    # After Ctrl-C the program beside us does what is left.
    with suppress(KeyboardInterrupt):
        _owned.end_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
