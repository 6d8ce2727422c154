"""A private server for one target, from programs that are installed: own folder, own socket, thrown away at the end."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg2
import pymysql

from sqlmodel_framework.base.errors import ConfigurationError, DeploymentError, TryAgainError
from sqlmodel_framework.engines.libpq_isolation import without_environment
from sqlmodel_framework.engines.owned import disown, own
from sqlmodel_framework.engines.owner_watch import end_server
from sqlmodel_framework.engines.system_databases import OF_MYSQL, OF_POSTGRES, refuse_system_database

if TYPE_CHECKING:
    import pwd

    from sqlmodel_framework.config.targets import TargetConfig

__all__ = ["PrivateMySQL", "PrivatePostgres", "let_server_stay", "start_private"]

_staying: set[str] = set()

_DATABASE = "datakit"
_DEADLINE = 60
_LINES_OF_LOG = 8
# A socket's path holds about 100 characters, on all systems.
_LONGEST_FOLDER = 70
_FOLDERS = ("/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin")


class PrivateServer(ABC):
    """One kind of server in a folder of its own. Only users who may enter the folder can connect: there is no password."""

    name: ClassVar[str]
    user: ClassVar[str]
    port: ClassVar[int | None] = None
    """A part of the socket's name on PostgreSQL."""
    system_databases: ClassVar[frozenset[str]]
    existing_databases: ClassVar[frozenset[str]] = frozenset()
    """Those that are there from the start and can be a target's."""
    way_without: ClassVar[str]
    """What to use where this server does not start."""
    quote: ClassVar[str]
    """What stands around names in SQL."""
    system_users: ClassVar[tuple[str, ...]]
    """Who runs the server where we are root; the first that exists."""
    stop_signal: ClassVar[signal.Signals]
    driver_error: ClassVar[type[Exception]]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    @abstractmethod
    def preparation(self) -> Sequence[str]:
        """The command that makes the data folder. Raises ConfigurationError where a program is missing."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command that serves."""

    @abstractmethod
    def connect(self) -> Any:
        """A connection of the driver as the administrator, in autocommit. Raises the driver's errors."""

    @property
    @abstractmethod
    def socket(self) -> Path:
        """The target's field `socket`."""

    def answer(self) -> None:
        """Connect and ask. Raises the driver's errors."""
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")

    def create_database(self, name: str) -> None:
        """Create the target's database, if it is not there from the start. Raises the driver's errors."""
        if name in self.existing_databases:
            return
        quote = self.quote
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"CREATE DATABASE {quote}{name.replace(quote, 2 * quote)}{quote}")


class PrivatePostgres(PrivateServer):
    """PostgreSQL, the newest one that is installed."""

    name = "PostgreSQL"
    user = "postgres"
    port = 5432
    system_databases = OF_POSTGRES
    existing_databases = frozenset({"postgres"})
    way_without = "postgres_embedded"
    quote = '"'
    system_users = ("postgres", "nobody")
    stop_signal = signal.SIGQUIT
    driver_error = psycopg2.Error

    def preparation(self) -> Sequence[str]:
        words = "-A trust --no-sync --encoding=UTF8 --locale=C"
        return [_postgres_program("initdb"), "-D", str(self.data), "-U", self.user, *words.split()]

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "unix_socket_permissions": "0700",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_locks_per_transaction": "1024",
        }
        words = [word for setting in settings.items() for word in ("-c", "=".join(setting))]
        return [_postgres_program("postgres"), "-D", str(self.data), *words]

    def connect(self) -> Any:
        connection = psycopg2.connect(
            host=str(self.folder), port=self.port, user=self.user, dbname="postgres", **without_environment()
        )
        connection.autocommit = True
        return connection

    @property
    def socket(self) -> Path:
        return self.folder


class PrivateMySQL(PrivateServer):
    """MariaDB or MySQL, whichever is installed; MariaDB where both are."""

    name = "MySQL"
    user = "root"
    system_databases = OF_MYSQL
    way_without = "mysql_container"
    quote = "`"
    system_users = ("mysql", "nobody")
    stop_signal = signal.SIGKILL
    driver_error = pymysql.MySQLError

    def preparation(self) -> Sequence[str]:
        maker = _program("mariadb-install-db")
        if maker and _program("mariadbd"):
            words = "--auth-root-authentication-method=normal --skip-test-db --skip-name-resolve"
            return [maker, "--no-defaults", f"--datadir={self.data}", *words.split()]
        return [*self._server(), "--initialize-insecure"]

    def command(self) -> Sequence[str]:
        words = "--skip-networking --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=OFF --skip-log-bin"
        files = [f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}"]
        # MySQL's second protocol would put a socket of its own into /tmp; MariaDB does not know it.
        return [*self._server(), *files, *words.split(), "--loose-mysqlx=OFF"]

    def _server(self) -> list[str]:
        program = _program("mariadbd") or _program("mysqld")
        if program is None:
            raise _not_installed(self, "mariadbd or mysqld")
        # MariaDB before 11.6 starts with latin1, which has no place for most texts.
        words = "--secure-file-priv= --character-set-server=utf8mb4"
        return [program, "--no-defaults", f"--datadir={self.data}", *words.split()]

    def connect(self) -> Any:
        if not self.socket.exists():
            # PyMySQL would leave a socket open.
            raise pymysql.OperationalError(2002, "there is no socket yet")
        return pymysql.connect(unix_socket=str(self.socket), user=self.user, autocommit=True, read_timeout=30)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"


def start_private(target: TargetConfig, kind: type[PrivateServer]) -> None:
    """Start a server for the target and point the target at a database in it; it ends with the target or the process.

    Raises ConfigurationError where the programs are missing, DeploymentError where they fail.
    """
    if os.name != "posix":
        raise ConfigurationError("a private server needs a Unix system", where=target.label)
    refuse_system_database(target, kind.system_databases)
    account = _account(kind)
    with _system_errors(kind, target.label):
        server = kind(_new_folder(account))
        process: list[subprocess.Popen[bytes]] = []
        ending = _ending(server, process)
        order = {"do": "end server", "folder": str(server.folder), "signal": int(server.stop_signal)}
        own(str(server.folder), order, ending)
        target.on_close(ending)
        _finish(server, _run(server, server.preparation(), account), target.label)
        process.append(_run(server, server.command(), account))
    _wait(server, process[0], target.label)
    database = target.database or _DATABASE
    _create_database(server, database, target.label)
    target.point_at(
        socket=str(server.socket),
        port=server.port,
        user=server.user,
        database=database,
        server_ended=lambda: _end_of(server, process[0]),
    )


def _create_database(server: PrivateServer, name: str, where: str) -> None:
    try:
        server.create_database(name)
    except server.driver_error as exc:
        raise ConfigurationError(
            f"a private {server.name} refused its database",
            where=where,
            seen=" ".join(str(exc).split())[:300],
            next_step="name another one with database=",
        ) from exc


def _end_of(server: PrivateServer, process: subprocess.Popen[bytes]) -> str | None:
    """What became of the server; None while it runs."""
    with suppress(subprocess.TimeoutExpired):
        return f"the private {server.name} ended with {process.wait(0.5)}"
    return None


@contextmanager
def _system_errors(kind: type[PrivateServer], where: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise DeploymentError(
            f"a private {kind.name} cannot be started",
            where=where,
            seen=": ".join(str(part) for part in (exc.filename, exc.strerror) if part),
            next_step=f"free space, or let TMPDIR name a folder that can be written, or use {kind.way_without}",
        ) from exc


def _ending(server: PrivateServer, process: list[subprocess.Popen[bytes]]) -> Any:
    owner = os.getpid()

    def end() -> None:
        """Stop the server and remove its folder; a forked child has no say in it."""
        if os.getpid() != owner or str(server.socket) in _staying:
            return
        end_server(server.folder, server.stop_signal)
        if process:
            process[0].wait()
        disown(str(server.folder))

    return end


def let_server_stay(target: TargetConfig) -> str:
    """Have the target's private server outlive this process; gives the command that ends it."""
    socket = str(target.socket)
    _staying.add(socket)
    folder = Path(socket) if Path(socket).is_dir() else Path(socket).parent
    disown(str(folder))
    return shlex.join(["pkill", "-f", str(folder)]) + " && " + shlex.join(["rm", "-r", str(folder)])


def _account(kind: type[PrivateServer]) -> pwd.struct_passwd | None:
    """Who runs the server; None: ourselves. These servers refuse to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    existing = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in kind.system_users:
        if name in existing:
            return existing[name]
    raise ConfigurationError(
        f"{kind.name} does not run as root, and no user is there to run it",
        expected="one of " + ", ".join(kind.system_users),
        next_step="run as an ordinary user",
    )


def _new_folder(account: pwd.struct_passwd | None) -> Path:
    usual = Path(tempfile.gettempdir()).resolve()
    fits = len(str(usual)) <= _LONGEST_FOLDER and (account is None or _is_open_to_all(usual))
    parent = usual if fits else "/tmp"  # noqa: S108 - made by mkdtemp
    folder = Path(tempfile.mkdtemp(prefix="datakit-own-", dir=parent))
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def _is_open_to_all(folder: Path) -> bool:
    """Whether every user can reach what is in the folder: the server runs as another one than root."""
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))


def _run(
    server: PrivateServer, command: Sequence[str], account: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    with (server.folder / "log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=server.folder,
            # The programs write into it, and who runs them may not write into ours.
            env={**os.environ, "TMPDIR": str(server.folder)},
            # Ctrl-C at the terminal is for us; the server ends when we say so.
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def _finish(server: PrivateServer, process: subprocess.Popen[bytes], where: str) -> None:
    try:
        process.wait(_DEADLINE)
    except subprocess.TimeoutExpired:
        raise _too_late(server, where, "its data folder is not made") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise _failed(server, where, f"making its data folder ended with {process.returncode}")


def _wait(server: PrivateServer, process: subprocess.Popen[bytes], where: str) -> None:
    end, answers, seen = time.monotonic() + _DEADLINE, 0, ""
    while answers < 2:
        if process.poll() is not None:
            raise _failed(server, where, f"it ended with {process.returncode}")
        if time.monotonic() > end:
            raise _too_late(server, where, seen)
        try:
            server.answer()
            answers += 1
        except server.driver_error as exc:
            answers, seen = 0, " ".join(str(exc).split())[:300]
            time.sleep(0.05)


def _too_late(server: PrivateServer, where: str, seen: str) -> TryAgainError:
    return TryAgainError(
        f"a private {server.name} did not get ready in time",
        where=where,
        seen=f"{seen}; its log ends with: {_log(server)}",
        expected=f"an answer within {_DEADLINE} s",
        next_step="try again",
    )


def _failed(server: PrivateServer, where: str, seen: str) -> DeploymentError:
    return DeploymentError(
        f"a private {server.name} did not start",
        where=where,
        seen=f"{seen}; its log ends with: {_log(server)}",
        next_step=f"mend what the log says, or use {server.way_without}",
    )


def _log(server: PrivateServer) -> str:
    text = (server.folder / "log").read_text(encoding="utf-8", errors="replace")
    return " | ".join(" ".join(line.split())[:200] for line in text.splitlines()[-_LINES_OF_LOG:] if line)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_FOLDERS))


def _postgres_program(name: str) -> str:
    """A program of PostgreSQL: on PATH, or of the newest version where Debian, Red Hat and Homebrew put it."""
    found = [
        path
        for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")
        for path in Path("/").glob(f"{pattern}/{name}")
    ]
    newest = max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()], default=None)
    program = shutil.which(name) or (str(newest) if newest else None)
    if program is None:
        raise _not_installed(PrivatePostgres, name)
    return program


def _not_installed(server: PrivateServer | type[PrivateServer], names: str) -> ConfigurationError:
    return ConfigurationError(
        f"a private {server.name} needs its server's programs, which are not installed",
        seen=f"no {names} on PATH",
        next_step=f"install the server's package, or use {server.way_without}, which needs none",
    )
