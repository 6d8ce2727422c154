"""Findings of lint at a terminal: blocks of lines, then the summary."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmodel_framework import lint_datakit
from sqlmodel_framework.utils.findings import Finding, Fix
from sqlmodel_framework.utils.linting import LintResult
from sqlmodel_framework.utils.reports import TargetReport, as_tables

ANSI = re.compile(r"\x1b\[[0-9;]*m")
DIGITS = Finding(
    "item", "DL101", "price", "max_digits", "none", "mysql: a long sentence about digits; sqlite: a float",
    file="shop/tables.py", line=8, fix=Fix(8, 8, "    price: Decimal", "    price: Decimal = Field(max_digits=18)"),
)  # fmt: skip
WITHOUT_FILE = Finding("item", "DL403", None, "index=True", "no index", "postgres: makes none")


def shown(*findings: Finding, width: int = 120, notes: tuple[str, ...] = ()) -> list[str]:
    lint = LintResult("shop", ("mysql", "sqlite"), ("item",), findings, 0.012, notes)
    text = ANSI.sub("", as_tables([TargetReport("shop", "mysql, sqlite", lint=lint)], width=width))
    return [line.rstrip() for line in text.splitlines()]


def test_blocks_then_the_summary() -> None:
    assert shown(DIGITS, WITHOUT_FILE, notes=("1 finding left out by select and ignore",)) == [
        "shop/tables.py:8: DL101 error decimal-without-digits: item.price",
        "    expected max_digits, found none",
        "    mysql: a long sentence about digits",
        "    sqlite: a float",
        "    -     price: Decimal",
        "    +     price: Decimal = Field(max_digits=18)",
        "",
        "DL403 warning foreign-key-without-index: item",
        "    expected index=True, found no index",
        "    postgres: makes none",
        "",
        "     note: 1 finding left out by select and ignore",
        "FAIL shop (mysql, sqlite): linted: 2 findings (1 error, 1 warning) in 1 table, 0.01 s",
    ]


def test_sentences_are_wrapped_and_lines_of_code_are_not() -> None:
    lines = shown(DIGITS, width=34)
    assert lines[0] == "shop/tables.py:8: DL101 error decimal-without-digits: item.price"
    assert lines[3:5] == ["    mysql: a long sentence about", "      digits"]
    assert "    +     price: Decimal = Field(max_digits=18)" in lines


def test_no_line_is_longer_than_one_can_read() -> None:
    long = Finding("item", "DL102", "note", "x " * 200, "none", "mysql: " + "word " * 100)
    lines = shown(long, width=400)
    assert max(map(len, lines)) <= 120


def test_nothing_of_a_kit_acts_on_the_terminal() -> None:
    hostile = Finding("a\x1b[2J", "DL102", "[bold]b", "\x1b]0;", "\x07", "[red]c", file="\x1b[1m.py", line=1)
    text = "\n".join(shown(hostile))
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    assert "[bold]b" in text
    assert "[red]c" in text


def test_a_kit_without_a_finding_is_one_line(write_kit: Callable[..., Path]) -> None:
    source = """
        class Item(SQLModel, table=True):
            id: int = Field(primary_key=True)
    """
    result = lint_datakit(write_kit("plain", {"plain.py": source}), ignore=["DL106"])
    text = as_tables([TargetReport("plain", "all", lint=result)], width=100)
    assert [line for line in ANSI.sub("", text).splitlines() if "note:" not in line] == [
        f"ok   plain (all): linted: no finding in 1 table, {result.seconds:.2f} s"
    ]


@pytest.mark.parametrize(("severity", "colour"), [("DL101", "1;31m"), ("DL102", "1;33m"), ("DL302", "1;36m")])
def test_severities_have_colours(monkeypatch: pytest.MonkeyPatch, severity: str, colour: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    finding = Finding("item", severity, "id", "a", "b", "c")
    lint = LintResult("shop", ("sqlite",), ("item",), (finding,), 0.0)
    text = as_tables([TargetReport("shop", "sqlite", lint=lint)], width=80)
    assert f"\x1b[{colour}{severity}" in text
