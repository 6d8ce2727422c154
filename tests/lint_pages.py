"""The pages of docs/lint/, read as data: the wrong class, the right class, and what is claimed of each database.

A claim is a row of a table below "What each database does":

    | Database | `price` sent | Read back |     a row is stored with that value and read again
    | Database | `price` in the DDL |          the type of the column
    | Database | CREATE TABLE |                `works` or `refused`
    | Database | SQL | Answer |                statements, and the rows that the last one gives, or `refused`

Claims are about the kit in `stored/` where the page has one, else about the one in `wrong/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "Claim", "claims_of", "files_of"]

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "lint").glob("DL*.md"))
DATABASES = {
    "SQLite": ("sqlite", None),
    "PostgreSQL": ("postgres", None),
    "MySQL": ("mysql", None),
    "MariaDB": ("mysql", True),
    "MySQL 9": ("mysql", False),
}
"""Type of the target, and whether it has to be MariaDB, or has to be MySQL itself. MySQL alone stands for both."""

_BLOCK = re.compile(r"^```python file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """One row of a table. `kind` is sent, type, create or sql; `column` is the one in the heading.

    `mariadb` is None where MySQL and MariaDB do the same.
    """

    database: str
    mariadb: bool | None
    kind: str
    column: str
    cells: tuple[str, ...]


def files_of(page: Path, kit: str) -> dict[str, str]:
    """The files of one of the page's kits, by their path in it."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return {path.removeprefix(f"{kit}/"): text for path, text in blocks if path.startswith(f"{kit}/")}


def claims_of(page: Path) -> Iterator[Claim]:
    """The claims of a page, in order."""
    _, _, section = page.read_text(encoding="utf-8").partition("## What each database does\n")
    heading: list[str] = []
    for line in section.partition("\n## ")[0].splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            heading = []
        elif not heading:
            heading = cells
        elif not set(cells[0]) <= set("-"):
            kind, column = _kind(heading)
            for name in cells[0].split(", "):
                yield Claim(*DATABASES[name], kind, column, tuple(cell.strip("`") for cell in cells[1:]))


def _kind(heading: list[str]) -> tuple[str, str]:
    first = heading[1]
    if first == "SQL":
        return "sql", ""
    if first == "CREATE TABLE":
        return "create", ""
    found = re.fullmatch(r"`(\w+)` (sent|in the DDL)", first)
    assert found, heading
    return ("sent" if found[2] == "sent" else "type"), found[1]
