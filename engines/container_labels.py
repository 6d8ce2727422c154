"""Labels of containers: whose they are, and whether their owner lives."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Literal

__all__ = [
    "CHECKOUT",
    "CREATED",
    "EXPIRES",
    "KIND",
    "PROJECT",
    "REUSED",
    "RUN",
    "checkout",
    "labels_of",
    "owner_of",
    "process_label",
]

PROJECT = "datakit.project"
CHECKOUT = "datakit.checkout"
RUN = "datakit.run"
CREATED = "datakit.created"
KIND = "datakit.type"
REUSED = "datakit.reused"
EXPIRES = "datakit.expires"
_MARKS = ("datakit.toml", "pyproject.toml", ".git")


def labels_of(kind: str) -> dict[str, str]:
    """The labels of a container that this process makes now, times in seconds since 1970."""
    return {
        PROJECT: _project().name,
        CHECKOUT: checkout(),
        RUN: process_label(),
        CREATED: str(int(time.time())),
        KIND: kind,
    }


def process_label() -> str:
    """How labels name this process, among all that run or ran on all machines."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid()) or ''}"


def checkout() -> str:
    """A short name for the project folder on this machine: two clones of one project are two."""
    return hashlib.sha256(f"{socket.gethostname()}:{_project()}".encode()).hexdigest()[:16]


def owner_of(run: str) -> Literal["alive", "dead", "unknown"]:
    """Whether the process of a run label lives.

    Unknown where it ran on another machine, or before a restart of this one, and where the system does not tell.
    """
    machine, _, process = run.partition("/")
    pid, _, started = process.partition("/")
    if machine != _machine() or not pid.isdigit() or not started:
        return "unknown"
    now = _started(int(pid))
    if now is None:
        return "unknown"
    return "alive" if now == started else "dead"


def _project() -> Path:
    """The nearest folder, from here upwards, that a project starts in; else the working folder."""
    here = Path.cwd().resolve()
    marked = (folder for folder in (here, *here.parents) if any((folder / mark).exists() for mark in _MARKS))
    return next(marked, here)


@cache
def _machine() -> str:
    """The name of this host since its start, with its process numbers: containers may share a host's name."""
    host = socket.gethostname()
    ids = (_text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid"))
    return f"{host}-{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:8]}"


def _started(pid: int) -> str | None:
    """When a process started, as the system prints it; empty for one that is gone; None where the system does not tell."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return "" if _is_gone(pid) else None
        ps = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    except OSError:
        return None
    # The name of the program stands in parentheses, and may hold blanks and parentheses.
    state, *others = words.rpartition(")")[2].split()
    return "" if state in "ZX" else others[18]


def _is_gone(pid: int) -> bool:
    """Whether there is no such process: /proc may hide those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
