"""The program beside a process that owns containers or servers: it ends them when the process is killed.

It is run as a file, with the owner's pipe as standard input, and imports nothing of the package. Each line is an order in
JSON: `key` and `do`, with what the doing needs; "forget" takes an order back. The end of the pipe is the end of the
owner. What is still ordered then is carried out, and the program ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["end_server", "main"]

_CREATING = 30
_SETTLED = 2
_ENGINE_AWAY = 60


def main() -> None:
    """Read orders until the owner is gone, then carry out those that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)
    orders: dict[str, dict[str, Any]] = {}
    for line in sys.stdin:
        order = json.loads(line)
        orders.pop(order["key"], None)
        if order["do"] != "forget":
            orders[order["key"]] = order
    for order in orders.values():
        with suppress(Exception):
            _DO[order["do"]](order)


def _remove_container(order: dict[str, Any]) -> None:
    """Remove a container by its name; one that is just being created is waited for."""
    seconds = _CREATING if order["creating"] else _SETTLED
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        removed = _try_to_remove(order["name"], order["environment"])
        if removed:
            return
        if removed is None:
            seconds = _ENGINE_AWAY
        time.sleep(0.2)


def _try_to_remove(name: str, environment: dict[str, str]) -> bool | None:
    """True: it is gone by this. False: there is none. None: the engine does not answer."""
    import docker

    try:
        client = docker.from_env(
            environment=environment, use_ssh_client=environment.get("DOCKER_HOST", "").startswith("ssh://")
        )
        try:
            client.api.remove_container(name, force=True, v=True)
        finally:
            client.close()
    except docker.errors.NotFound:
        return False
    except (docker.errors.DockerException, OSError):
        return None
    return True


def _end_server(order: dict[str, Any]) -> None:
    end_server(order["pid"], Path(order["folder"]), order["signal"])


def end_server(pid: int | None, folder: Path, number: int) -> None:
    """Stop the server of a folder, by SIGKILL if the signal does not do it in five seconds, and remove the folder."""
    for one, seconds in ((number, 5.0), (signal.SIGKILL, 5.0)):
        if pid is None or not _is_server_of(pid, folder):
            break
        with suppress(ProcessLookupError):
            os.kill(pid, one)
        end = time.monotonic() + seconds
        while time.monotonic() < end and _is_server_of(pid, folder):
            time.sleep(0.02)
    for _ in range(20):
        # Processes of the server may still be writing when the first one is gone.
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _is_server_of(pid: int, folder: Path) -> bool:
    """Whether this process runs and is the server of the folder: a number may be used again. A dead one has no words."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        import subprocess

        ps = ["ps", "-o", "command=", "-p", str(pid)]
        words = subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603
    return str(folder) in words


_DO = {"remove container": _remove_container, "end server": _end_server}

if __name__ == "__main__":
    main()
