"""What all programs share: where output goes, how errors end a program, how much is logged."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, NoReturn, ParamSpec

import typer

if TYPE_CHECKING:
    from sqlmodel_framework.base.errors import DatakitError

__all__ = [
    "LogLevel",
    "OutputFormat",
    "ends_with_exit_code",
    "print_lines",
    "progress",
    "run",
    "set_log_level",
]

_USAGE = 1
_INTERRUPTED = 130
_P = ParamSpec("_P")


class OutputFormat(StrEnum):
    """How a result is printed on stdout."""

    text = "text"
    json = "json"
    junit = "junit"
    sarif = "sarif"
    github = "github"


class LogLevel(StrEnum):
    """How much is logged on stderr; DEBUG shows tracebacks too."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def set_log_level(level: LogLevel) -> None:
    """Log to stderr from this level on."""
    logging.basicConfig(
        level=level.value, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True
    )


def run(app: typer.Typer) -> NoReturn:
    """Run a program and end the process; wrong usage ends with the code of a configuration error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is printed as an escape, and ends no program.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except _Ended:
        # The result is told: Ctrl-C ends the process at once now, and the program beside it ends what it started.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise
    except Exception as exc:
        from sqlmodel_framework.base.errors import DatakitError

        # An option that acts before its command, such as --list-targets.
        if not isinstance(exc, DatakitError):
            raise
        _show_error(str(exc))
        sys.exit(exc.exit_code)
    except SystemExit as exc:
        # Typer itself ends with 2 on wrong usage, which means "extraction failed" here.
        sys.exit(_USAGE if exc.code == 2 else exc.code)
    sys.exit(0)


def ends_with_exit_code(command: Callable[_P, int]) -> Callable[_P, None]:
    """Turn what a command returns or raises into the documented exit code; an error is one line on stderr."""

    @wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        from sqlmodel_framework.base.errors import DatakitError

        try:
            code = command(*args, **kwargs)
        except DatakitError as exc:
            _show_error(str(exc))
            code = exc.exit_code
            print_lines(_document_of(exc, kwargs.get("output_format")))
        except (KeyboardInterrupt, typer.Abort):
            _show_error("interrupted")
            code = _INTERRUPTED
        except Exception as exc:  # noqa: BLE001 - the outermost boundary; the text may quote rows, so only the type is shown
            _show_error(
                f"{type(exc).__name__}: this is a bug in data-platform-framework; --log-level DEBUG shows where"
            )
            code = _USAGE
        _end(code)

    return wrapper


def _document_of(error: DatakitError, output_format: object) -> list[str]:
    """What a format says of a run that failed before any target was reached; a text says nothing on stdout."""
    if not isinstance(output_format, OutputFormat) or output_format is OutputFormat.text:
        return []
    from sqlmodel_framework.utils.reports import render_error

    return [render_error(error, output_format.value)]


def print_lines(lines: Iterable[str]) -> None:
    """Print on stdout. A reader that leaves early, as `| head` does, is no error and changes no exit code."""
    try:
        for line in lines:
            print(line)  # noqa: T201 - the result
        sys.stdout.flush()
    except OSError as exc:
        # Nothing more can be written: keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(exc, BrokenPipeError):
            from sqlmodel_framework.base.errors import StorageError

            raise StorageError("the result cannot be written to stdout", seen=exc.strerror) from exc


def _end(code: int) -> NoReturn:
    print_lines([])
    sys.stderr.flush()
    raise _Ended(code)


class _Ended(SystemExit):
    """A command's own end, told apart from Typer's."""


def _show_error(message: str) -> None:
    logging.getLogger("datakit").debug("traceback", exc_info=True)
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the error


@contextmanager
def progress(message: str, *, quiet: bool) -> Iterator[None]:
    """Say on stderr what is going on: a spinner on a terminal, a plain line elsewhere, nothing when quiet."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(message):
            yield
    else:
        print(f"{message} …", file=sys.stderr)  # noqa: T201 - progress
        yield
