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
        RUN: f"{_machine()}/{os.getpid()}/{_started(os.getpid())}",
        CREATED: str(int(time.time())),
        KIND: kind,
    }


def checkout() -> str:
    """A short name for the project folder on this machine: two clones of one project are two."""
    return hashlib.sha256(f"{socket.gethostname()}:{_project()}".encode()).hexdigest()[:16]


def owner_of(run: str) -> Literal["alive", "dead", "unknown"]:
    """Whether the process of a run label lives; unknown where it ran on another machine, or before a restart of this one."""
    machine, _, process = run.partition("/")
    pid, _, started = process.partition("/")
    if machine != _machine() or not pid.isdigit():
        return "unknown"
    return "alive" if _started(int(pid)) == started else "dead"


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


def _started(pid: int) -> str:
    """When a process started, as the system prints it; empty for one that is gone."""
    words = _text(f"/proc/{pid}/stat")
    if words:
        # The name of the program stands in parentheses, and may hold blanks and parentheses.
        state, *others = words.rpartition(")")[2].split()
        return "" if state in "ZX" else others[18]
    if Path("/proc/self/stat").exists():
        return ""
    ps = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


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
