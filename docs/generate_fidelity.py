"""Write the table of docs/fidelity.md from the matrix that the tests of the PostgreSQL connector run."""

from __future__ import annotations

from pathlib import Path

from sqlmodel_framework.tests.integration.postgres_matrix import shown

__all__ = ["main"]

PAGE = Path(__file__).with_name("fidelity.md")


def main() -> None:
    """Replace everything from the table on."""
    table = shown()
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(table.splitlines()[0])
    PAGE.write_text(head + table, encoding="utf-8")


if __name__ == "__main__":
    main()
