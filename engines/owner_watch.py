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
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["end_server", "main"]

_CREATING = 30
_SETTLED = 2
_ENGINE_AWAY = 60
_NAMED = "SELECT datname, datistemplate FROM pg_catalog.pg_database WHERE starts_with(datname, %s)"
_END_CREATIONS = (
    "SELECT count(pg_catalog.pg_terminate_backend(pid, 5000)) FROM pg_catalog.pg_stat_activity,"
    " unnest(%s::text[]) AS start WHERE state = 'active' AND starts_with(query, start)"
    " AND pid <> pg_catalog.pg_backend_pid()"
)


def main() -> None:
    """Read orders until the owner is gone, then carry out those that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)
    orders: dict[str, dict[str, Any]] = {}
    for line in sys.stdin:
        # The owner may have been killed in the middle of a line.
        with suppress(ValueError):
            order = json.loads(line)
            orders.pop(order["key"], None)
            if order["do"] != "forget":
                orders[order["key"]] = order
    for order in orders.values():
        with suppress(Exception):
            _DO[order["do"]](order)


def _remove_container(order: dict[str, Any]) -> None:
    """Remove a container by its name; one that is just being created is waited for."""
    # The owner may have found the library of Docker in a place that only it knows.
    sys.path.extend(order["path"])
    while "after" in order and _lives(order["after"]):
        time.sleep(0.2)
    seconds = _CREATING if order["creating"] else _SETTLED
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        removed = _try_to_remove(order["name"], order["environment"])
        if removed:
            return
        if removed is None:
            seconds = _ENGINE_AWAY
        time.sleep(0.2)


def _lives(owner: str) -> bool:
    """Whether the process of a run label lives, as far as the system tells."""
    _, pid, started = owner.split("/")
    try:
        os.kill(int(pid), 0)
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return False
    except OSError:
        return True
    state, *others = words.rpartition(")")[2].split()
    return state not in "ZX" and others[18] == started


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
    end_server(Path(order["folder"]), order["signal"])


def end_server(folder: Path, number: int) -> None:
    """Stop the servers of a folder, by SIGKILL if the signal does not do it in five seconds, and remove the folder.

    They are known by their command line: one that was just being started when its owner ended is found, too.
    """
    for one in (number, signal.SIGKILL):
        running = _signal_servers(folder, one)
        end = time.monotonic() + 5.0
        while time.monotonic() < end and any(_is_server_of(pid, folder) for pid in running):
            time.sleep(0.02)
    _remove_folder(folder, lambda: _signal_servers(folder, signal.SIGKILL))


def _remove_folder(folder: Path, before_the_next: Callable[[], object] = lambda: None) -> None:
    """Remove a folder; processes may still be writing there when their first one is gone."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
        before_the_next()


def _signal_servers(folder: Path, number: int) -> list[int]:
    found = [pid for pid in _processes() if _is_server_of(pid, folder)]
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return found


def _processes() -> list[int]:
    names = [path.name for path in Path("/proc").glob("[0-9]*")] or _of_ps("-axo", "pid=").split()
    return [int(name) for name in names]


def _is_server_of(pid: int, folder: Path) -> bool:
    """Whether this process serves the folder's data. A dead one has no words."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        words = "" if Path("/proc/self").exists() else _of_ps("-o", "command=", "-p", str(pid))
    return str(folder / "data") in words


def _of_ps(*words: str) -> str:
    import subprocess

    return subprocess.run(["ps", *words], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607


def _drop_databases_of_postgres(order: dict[str, Any]) -> None:
    """Drop the owner's databases; those that it shared too, if nobody else of its run is left."""
    sys.path.extend(order["path"])
    import psycopg2

    connection = psycopg2.connect(**order["connect"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        _drop_postgres(cursor, order["own"], order["but"])
        end = time.monotonic() + _SETTLED
        while time.monotonic() < end:
            cursor.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", [order["lock"]])
            if cursor.fetchone()[0]:
                _drop_postgres(cursor, order["shared"], order["but"])
                break
            time.sleep(0.2)
    connection.close()


def _drop_postgres(cursor: Any, start: str, but: list[str]) -> None:
    """Drop databases until nothing is new; first ends the creation of one that was under way when the owner ended."""
    import psycopg2

    tried = set(but)
    while True:
        cursor.execute(_END_CREATIONS, [[f"CREATE DATABASE {start}", f'CREATE DATABASE "{start}']])
        cursor.execute(_NAMED, [start])
        found = [(name, is_template) for name, is_template in cursor.fetchall() if name not in tried]
        if not found:
            return
        for name, is_template in found:
            tried.add(name)
            quoted = '"' + name.replace('"', '""') + '"'
            with suppress(psycopg2.Error):  # the others are dropped all the same
                if is_template:
                    cursor.execute(f"ALTER DATABASE {quoted} IS_TEMPLATE false")
                cursor.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")


def _drop_databases_of_mysql(order: dict[str, Any]) -> None:
    """Drop the owner's databases, and end the sessions in them; what cannot be dropped is left to a later run."""
    sys.path.extend(order["path"])
    import pymysql

    with pymysql.connect(**order["connect"]) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION lock_wait_timeout = 20")
        cursor.execute("SET SESSION foreign_key_checks = 0")
        cursor.execute("SELECT schema_name FROM information_schema.schemata")
        found = [str(row[0]) for row in cursor.fetchall()]
        own = [name for name in found if name.startswith(order["own"]) and name not in order["but"]]
        for name in [*(one for one in order["schemas"] if one in found), *own]:
            with suppress(pymysql.err.Error):
                _end_mysql_sessions(cursor, name)
                cursor.execute("DROP DATABASE IF EXISTS `{}`".format(name.replace("`", "``")))


def _end_mysql_sessions(cursor: Any, database: str) -> None:
    import pymysql

    cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [database])
    for (session,) in cursor.fetchall():
        with suppress(pymysql.err.Error):  # it has ended by itself
            cursor.execute(f"KILL {int(session)}")


_DO = {
    "remove container": _remove_container,
    "end server": _end_server,
    "remove folder": lambda order: _remove_folder(Path(order["folder"])),
    "drop databases of postgres": _drop_databases_of_postgres,
    "drop databases of mysql": _drop_databases_of_mysql,
}

if __name__ == "__main__":
    main()
