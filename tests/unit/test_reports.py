"""Reports: every format says the same, whatever a database calls its tables, and a file is written whole or not at all."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from sqlmodel_framework.base.errors import ConfigurationError, DeploymentError, StorageError, TryAgainError
from sqlmodel_framework.engines.live import CleanupResult
from sqlmodel_framework.utils.deployment import DeploymentResult
from sqlmodel_framework.utils.findings import CODES, Finding, Severity
from sqlmodel_framework.utils.reports import (
    FORMATS,
    TargetReport,
    as_github,
    as_json,
    as_junit,
    as_matrix,
    as_sarif,
    as_tables,
    as_text,
    error_as_json,
    exit_code_of,
    render,
    render_error,
    report_schema,
    terminal_width,
    write_output,
)
from sqlmodel_framework.utils.reports.explanations import EXPLANATIONS
from sqlmodel_framework.utils.validation import ValidationResult

ROOT = Path(__file__).parents[2]
TABLES = ("customer", "line")
MISSING = Finding(
    "customer", "DK201", "email", "VARCHAR(254)", "no such column", "the class gained it",
    ddl=("ALTER TABLE customer ADD COLUMN email VARCHAR(254)",),
)  # fmt: skip
ORDER = Finding("customer", "DK204", "name", "column 2", "column 3", "another order")
NAME = Finding("line", "DK801", None, "uq_a", "uq_b", "the names differ", part="uq_a")
GONE = Finding(
    "line",
    "DK101",
    None,
    "a table",
    "no such table",
    "dropped",
    ddl=("CREATE TABLE line (\n\tid INTEGER\n)",),
)
HOSTILE = "\x1b[31m[bold]x[/bold] <&\"'>\n\r::error::,%\x00\x07\u202e\u2028\udc80\uffff]]>"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def report(
    *findings: Finding,
    target: str = "warehouse",
    unverified: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> TargetReport:
    validation = ValidationResult(
        target=target, tables=TABLES, findings=findings, seconds=0.05, unverified=unverified, notes=notes
    )
    return TargetReport(target, f"{target}.example/shop", validation=validation)


def deployed() -> TargetReport:
    deployment = DeploymentResult("here", ("customer",), ("line",), ("old",), ("FLOAT is REAL",), 0.2)
    return TargetReport("here", "sqlite", deployment=deployment, cleanup=CleanupResult("here", ("customer",)))


def down(error: Any = None) -> TargetReport:
    return TargetReport(
        "down", "db:1", error=error or TryAgainError("not reachable", where="db", seen="refused")
    )


def hostile_report(text: str = HOSTILE) -> TargetReport:
    finding = Finding(text, "DK211", text, text, text, text, ddl=(text,))
    part = Finding(text, "DK603", None, text, text, text, part=text)
    validation = ValidationResult(
        target=text, tables=(text,), findings=(finding, part), seconds=0.1, unverified=(text,), notes=(text,)
    )
    deployment = DeploymentResult(text, (text,), (text,), (), (text,), 0.1)
    return TargetReport(
        text, text, deployment, validation, error=DeploymentError(text, where=text, seen=text)
    )


# plain text


def test_plain_lines() -> None:
    lines = list(as_text([report(MISSING, ORDER, NAME, notes=("a note",))]))
    assert lines == [
        "FAIL warehouse (warehouse.example/shop): validated: 3 findings (1 error, 1 warning, 1 info) in 2 tables, 0.05 s",
        "     DK201 column-missing: customer.email: expected VARCHAR(254), found no such column (the class gained it)",
        "     warning: DK204 column-order: customer.name: expected column 2, found column 3 (another order)",
        "     info: DK801 name-differs: line.uq_a: expected uq_a, found uq_b (the names differ)",
        "     note: a note",
    ]


def test_plain_lines_without_a_difference() -> None:
    assert list(as_text([report()])) == [
        "ok   warehouse (warehouse.example/shop): validated: no difference in 2 tables, 0.05 s"
    ]
    assert list(as_text([TargetReport("t", "a")])) == ["ok   t (a): nothing was done"]


def test_the_statements_stand_below_the_finding_when_asked_for() -> None:
    assert list(as_text([report(MISSING, GONE)], verbose=True))[2:] == [
        "       would mend it:",
        "         ALTER TABLE customer ADD COLUMN email VARCHAR(254);",
        "     DK101 table-missing: line: expected a table, found no such table (dropped)",
        "       would mend it:",
        "         CREATE TABLE line (",
        "             id INTEGER",
        "         );",
    ]


def test_statements_that_mend_several_findings_stand_once() -> None:
    twin = replace(MISSING, code="DK212", column="name")
    lines = list(as_text([report(MISSING, twin)], verbose=True))
    assert lines[-1] == "       would mend it: the same as for DK201 customer.email"
    assert "\n".join(lines).count("ALTER TABLE") == 1
    assert shown(report(MISSING, twin), width=140, verbose=True)[-4:] == [
        "     DK201 customer.email",
        "     DK212 customer.name",
        "     would mend it:",
        "       ALTER TABLE customer ADD COLUMN email VARCHAR(254);",
    ]


def test_what_is_unverified_has_not_passed() -> None:
    unverified = report(unverified=("the CHECK constraints: no right",))
    assert exit_code_of([unverified]) == 4
    assert list(as_text([unverified])) == [
        "FAIL warehouse (warehouse.example/shop): validated: no difference seen, 1 thing unverified in 2 tables, 0.05 s",
        "     unverified: the CHECK constraints: no right",
    ]
    assert as_matrix([unverified], TABLES).count("unverified") == 2


def test_deployments_and_errors_in_lines() -> None:
    assert list(as_text([deployed(), down(), down(DeploymentError("refused"))], verbose=True)) == [
        "ok   here (sqlite): 1 table created, 1 there already, 1 replaced in 0.20 s; cleaned up: 1 table dropped",
        "     note: FLOAT is REAL",
        "     created customer",
        "     there already line",
        "FAIL down (db:1): nothing was done",
        "     error: not reachable (db); seen: refused",
        "FAIL down (db:1): not deployed",
        "     error: refused",
    ]


# the terminal


def shown(*reports: TargetReport, width: int, verbose: bool = False) -> list[str]:
    return [
        line.rstrip() for line in ANSI.sub("", as_tables(reports, width=width, verbose=verbose)).split("\n")
    ]


def test_a_narrow_terminal() -> None:
    assert shown(report(MISSING, ORDER), width=80)[1:] == [
        " Code      Place            Difference",
        "─" * 55,
        " DK201     customer.email   expected: VARCHAR(254)",
        " error     column-missing   found: no such column",
        "                            cause: the class gained it",
        " DK204     customer.name    expected: column 2",
        " warning   column-order     found: column 3",
        "                            cause: another order",
    ]


def test_a_wide_terminal_with_the_statements() -> None:
    assert shown(report(MISSING), width=140, verbose=True)[1:] == [
        " Code                   Severity   Place            Expected       Found            Likely cause",
        "─" * 104,
        " DK201 column-missing   error      customer.email   VARCHAR(254)   no such column   the class gained it",
        "     DK201 customer.email",
        "     would mend it:",
        "       ALTER TABLE customer ADD COLUMN email VARCHAR(254);",
    ]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_table_fits_the_terminal_and_keeps_every_letter(width: int) -> None:
    long = replace(MISSING, expected="q" * 300, table="z" * 150)
    lines = shown(report(long), width=width)[1:]
    assert max(map(len, lines)) <= width
    assert ("".join(lines).count("q"), "".join(lines).count("z")) == (300, 150)


def test_thousands_of_findings_are_lines() -> None:
    many = [replace(MISSING, column=f"c{number}", ddl=(f"c{number}",)) for number in range(501)]
    lines = shown(report(*many), width=80, verbose=True)
    assert lines == [*as_text([report(*many)], verbose=True)]
    assert shown(report(*many[:-1]), width=140)[1].startswith(" Code ")


def test_severities_have_colours_unless_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31mDK201" in as_tables([report(MISSING)], width=80)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in as_tables([report(MISSING)], width=80)


def test_a_terminal_without_unicode_gets_no_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii:
        encoding = "ascii"

    monkeypatch.setattr(sys, "stdout", Ascii())
    assert as_tables([report(MISSING)], width=80).isascii()
    assert as_matrix([report(MISSING)], TABLES, width=80).isascii()


def test_only_a_terminal_has_a_width() -> None:
    code = "from sqlmodel_framework.utils.reports import terminal_width; print(terminal_width())"
    environment = {**os.environ, "COLUMNS": "93", "TERM": "xterm"}
    piped = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert piped.stdout == "None\n"
    for term, expected in (("xterm", b"93\r\n"), ("dumb", b"None\r\n")):
        main, terminal = pty.openpty()
        subprocess.run(
            [sys.executable, "-c", code], stdout=terminal, check=True, env={**environment, "TERM": term}
        )
        assert os.read(main, 100) == expected
        os.close(main)
        os.close(terminal)
    assert terminal_width() is None or sys.stdout.isatty()


# hostile names


def texts_of(reports: list[TargetReport]) -> Iterator[str]:
    for width in (None, 80, 140):
        for fmt in FORMATS:
            yield render(reports, fmt, kit=HOSTILE, tables=(HOSTILE,), verbose=True, width=width)
    yield as_matrix(reports, width=100)


def test_nothing_from_a_database_acts_on_the_terminal() -> None:
    for text in texts_of([hostile_report(), hostile_report()]):
        assert CONTROL.search(ANSI.sub("", text)) is None
        assert "\x1b[31m[bold]" not in text
        text.encode()
    assert r"\x1b[31m[bold]x[/bold]" in "\n".join(as_text([hostile_report()]))
    assert r"[bold]x[/bold]" in ANSI.sub("", as_tables([hostile_report()], width=300))


@settings(deadline=None)
@given(st.text(st.characters(), min_size=1))
def test_any_name_gives_well_formed_documents(name: str) -> None:
    reports = [hostile_report(name)]
    cases = suites(as_junit(name, [name], reports)).findall("testsuite/testcase")
    assert len(cases) == 3
    assert valid(as_json(name, [name], reports))["targets"][0]["validation"]["findings"][0]["table"] == name
    (run,) = json.loads(as_sarif(name, reports))["runs"]
    assert len(run["results"]) == 2
    commands = list(as_github(reports, {name: (name, 1)}, verbose=True))
    assert all(len(command.splitlines()) == 1 and command.startswith("::error ") for command in commands)
    for line in as_text(reports):
        assert line.isprintable()


# json


def strict(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    own = {key: strict(value) for key, value in schema.items() if key not in ("if", "then", "else")}
    if schema.get("type") == "object" and "properties" in schema and "$schema" not in schema:
        own["additionalProperties"] = False
    return own


def valid(text: str) -> Any:
    document = json.loads(text)
    schema = report_schema()
    Draft202012Validator(schema).validate(document)
    Draft202012Validator(strict(schema)).validate(document)
    return document


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(report_schema())


def test_documents_follow_the_schema() -> None:
    reports = [report(MISSING, ORDER, NAME, unverified=("x",), notes=("y",)), report(), deployed(), down()]
    document = valid(as_json("shop", TABLES, reports))
    assert document["success"] is False
    validation = document["targets"][0]["validation"]
    assert validation["counts"] == {"error": 1, "warning": 1, "info": 1}
    assert (validation["unverified"], validation["notes"]) == (["x"], ["y"])
    assert validation["findings"][0] == {
        "code": "DK201",
        "name": "column-missing",
        "severity": "error",
        "table": "customer",
        "column": "email",
        "part": None,
        "expected": "VARCHAR(254)",
        "found": "no such column",
        "cause": "the class gained it",
        "ddl": ["ALTER TABLE customer ADD COLUMN email VARCHAR(254)"],
        "file": None,
        "line": None,
        "fix": None,
    }
    assert {field.name for field in fields(Finding)} < set(validation["findings"][0])
    error = valid(error_as_json(ConfigurationError("unknown target", seen="x")))
    assert error["error"]["message"] == "unknown target"


def test_a_plan_follows_the_schema() -> None:
    plan = {"format_version": 1, "datakit": "shop", "plan": {"here": ["CREATE TABLE a (id INT)"]}}
    assert valid(json.dumps(plan)) == plan
    with pytest.raises(ValidationError):
        valid(json.dumps({**plan, "plan": {"here": "CREATE TABLE a (id INT)"}}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(format_version=2),
        lambda d: d.pop("targets"),
        lambda d: d["targets"][0].pop("error"),
        lambda d: d["targets"][0]["validation"].update(success=True),
        lambda d: d["targets"][0]["validation"]["findings"][0].update(severity="bad"),
        lambda d: d["targets"][0]["validation"]["findings"][0].update(ddl="DROP"),
        lambda d: d["targets"][0]["validation"]["findings"][0].update(code="X1"),
        lambda d: d["targets"][1]["validation"].update(success=False),
        lambda d: d["targets"][1]["validation"].update(unverified=["x"]),
    ],
)
def test_the_schema_refuses_other_documents(spoil: Callable[[Any], Any]) -> None:
    document = json.loads(as_json("shop", TABLES, [report(MISSING), report()]))
    spoil(document)
    with pytest.raises(ValidationError):
        Draft202012Validator(report_schema()).validate(document)


def test_the_schema_is_in_the_package_data() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"sqlmodel_framework.utils.reports" = ["report.schema.json"]' in text


# junit


def suites(document: str) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 - our own


def test_junit_has_a_suite_a_target_and_a_case_a_table() -> None:
    reports = [
        report(MISSING, ORDER, NAME),
        report(target="quiet", unverified=("no right",), notes=("a note",)),
        down(),
        deployed(),
    ]
    root = suites(as_junit("shop", TABLES, reports))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "10",
        "failures": "1",
        "errors": "2",
        "skipped": "6",
    }
    outcomes = {
        (str(suite.get("name")), str(case.get("name"))): [child.tag for child in case]
        for suite in root
        for case in suite.findall("testcase")
    }
    assert outcomes == {
        ("warehouse", "customer"): ["failure", "system-out"],
        ("warehouse", "line"): ["system-out"],
        ("quiet", "customer"): ["skipped"],
        ("quiet", "line"): ["skipped"],
        ("quiet", "(unverified)"): ["error"],
        ("down", "customer"): ["skipped"],
        ("down", "line"): ["skipped"],
        ("down", "(target)"): ["error"],
        ("here", "customer"): ["skipped"],
        ("here", "line"): ["skipped"],
    }
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "1 difference: DK201 column-missing"
    assert "would mend it:\n  ALTER TABLE customer" in str(failure.text)
    assert [child.text for child in root.iter("error")] == ["no right", "not reachable (db); seen: refused"]
    assert root.findtext("testsuite[@name='quiet']/system-out") == "a note"


def test_junit_shows_tables_of_others() -> None:
    unexpected = Finding("old", "DK103", None, "no such table", "a table", "no class defines it")
    (suite,) = suites(as_junit("shop", TABLES, [report(unexpected)]))
    assert [(case.get("name"), len(case)) for case in suite] == [("customer", 0), ("line", 0), ("old", 1)]


def test_junit_passes_no_table_that_was_not_compared() -> None:
    (suite,) = suites(as_junit("shop", [*TABLES, "forgotten"], [report()]))
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == ["forgotten"]


# sarif


def test_sarif_has_what_the_standard_asks_for() -> None:
    reports = [report(MISSING, ORDER, NAME, GONE), report(unverified=("no right",), notes=("n",)), down()]
    sources = {"customer": ("my kit/a.py", 7), "line": ("/elsewhere/b.py", 0)}
    document = json.loads(as_sarif("shop", reports, sources))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "datakit"
    assert [rule["id"] for rule in rules] == list(CODES)
    for rule in rules:
        assert re.fullmatch(r"([A-Z][a-z]*)+", rule["name"])
        assert all(rule[key]["text"].endswith(".") for key in ("fullDescription", "help"))
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "error"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
    first, _, third, _ = (result["locations"][0] for result in run["results"])
    assert [(at["kind"], at["fullyQualifiedName"]) for at in first["logicalLocations"]] == [
        ("column", "warehouse/customer/email"),
        ("table", "warehouse/customer"),
        ("target", "warehouse"),
    ]
    assert third["logicalLocations"][0] == {
        "name": "uq_a",
        "kind": "part",
        "fullyQualifiedName": "warehouse/line/uq_a",
    }
    assert first["physicalLocation"] == {
        "artifactLocation": {"uri": "my%20kit/a.py"},
        "region": {"startLine": 7},
    }
    assert third["physicalLocation"]["artifactLocation"]["uri"] == "file:///elsewhere/b.py"
    assert third["physicalLocation"]["region"]["startLine"] == 1
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [note["level"] for note in invocation["toolExecutionNotifications"]] == ["error", "note", "error"]
    prints = [result["partialFingerprints"]["datakit/v1"] for result in run["results"]]
    assert len(set(prints)) == 4


def test_sarif_without_sources_points_to_no_file() -> None:
    (run,) = json.loads(as_sarif("shop", [report(MISSING)]))["runs"]
    assert "physicalLocation" not in run["results"][0]["locations"][0]
    assert run["invocations"] == [
        {"executionSuccessful": True, "exitCode": 4, "toolExecutionNotifications": []}
    ]


# github


def test_github_commands() -> None:
    reports = [report(MISSING, ORDER, NAME, unverified=("50 % of it",)), down()]
    place = "file=kit/a%2Cb%3Ac.py,line=7"
    told = "warehouse: customer.email: expected VARCHAR(254), found no such column (the class gained it)"
    assert list(as_github(reports, {"customer": ("kit/a,b:c.py", 7)})) == [
        f"::error {place},title=DK201 column-missing::{told}",
        f"::warning {place},title=DK204 column-order::warehouse: customer.name: expected column 2, found column 3 (another order)",
        "::notice title=DK801 name-differs::warehouse: line.uq_a: expected uq_a, found uq_b (the names differ)",
        "::error title=unverified::warehouse: 50 %25 of it",
        "::error title=TryAgainError::down: not reachable (db); seen: refused",
    ]
    assert list(as_github([report(), deployed()])) == []


def test_github_shows_the_statements_when_asked_for() -> None:
    (command,) = as_github([report(GONE)], verbose=True)
    assert command.endswith("(dropped)%0Awould mend it:%0ACREATE TABLE line (%0A    id INTEGER%0A);")


# the matrix


def test_the_matrix() -> None:
    reports = [
        report(MISSING, replace(MISSING, column="x"), ORDER, GONE),
        report(ORDER, NAME, target="staging"),
        report(MISSING, target="mysql", unverified=("no right",)),
        deployed(),
        down(),
    ]
    assert as_matrix(reports, TABLES) == (
        "table     warehouse  staging    mysql       here           down\n"
        "customer  2 errors   1 warning  1 error     not validated  not reached\n"
        "line      missing    ok         unverified  not validated  not reached"
    )


def test_the_matrix_on_a_terminal_and_with_wide_letters() -> None:
    unexpected = Finding("表", "DK103", None, "no such table", "a table", "no class defines it")
    reports = [report(unexpected), report(target="staging")]
    assert as_matrix(reports, TABLES).split("\n")[-1] == "表        1 error    -"
    grid = ANSI.sub("", as_matrix(reports, TABLES, width=80)).split("\n")
    assert grid[:4] == [
        "┌──────────┬───────────┬─────────┐",
        "│ table    │ warehouse │ staging │",
        "├──────────┼───────────┼─────────┤",
        "│ customer │ ok        │ ok      │",
    ]
    assert as_matrix(reports * 9, TABLES, width=80).startswith("table     warehouse  staging")


def test_a_report_without_tables_has_a_matrix() -> None:
    assert as_matrix([]) == "table"
    assert as_matrix([down()]) == "table  down"


# one door


@pytest.mark.parametrize("fmt", FORMATS)
def test_render_gives_every_format(fmt: str) -> None:
    text = render([report(MISSING)], fmt, kit="shop", tables=TABLES)
    assert "DK201" in text
    assert not text.endswith("\n")


def test_render_adds_the_matrix_for_several_targets() -> None:
    several = render([report(), report(target="b")], "text", kit="shop", tables=TABLES)
    assert several.endswith("\n\ntable     warehouse  b\ncustomer  ok         ok\nline      ok         ok")
    assert "table " not in render([report()], "text", kit="shop", tables=TABLES)
    assert "not validated" not in render([deployed(), deployed()], "text", kit="shop", tables=TABLES)
    assert "│ customer │" in render([report(), report()], "text", kit="shop", tables=TABLES, width=80)


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        render([], "yaml", kit="shop", tables=())
    assert (
        str(caught.value) == "unknown format; seen: yaml; expected: one of text, json, junit, sarif, github"
    )


def test_an_error_before_any_target() -> None:
    error = ConfigurationError("unknown target", seen="x")
    assert render_error(error, "text") == ""
    assert valid(render_error(error, "json"))["error"]["type"] == "ConfigurationError"
    assert suites(render_error(error, "junit")).get("errors") == "1"
    (run,) = json.loads(render_error(error, "sarif"))["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert render_error(error, "github") == (
        "::error title=ConfigurationError::datakit: unknown target; seen: x"
    )


def test_the_same_reports_give_the_same_text() -> None:
    assert list(texts_of([hostile_report()])) == list(texts_of([hostile_report()]))


# files


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    umask = os.umask(0o027)
    try:
        write_output(file, "one")
        assert file.read_bytes() == b"one\n"
        with file.open() as reader:
            write_output(str(file), "zwei é \udc80\n")
            assert reader.read() == "one\n"
    finally:
        os.umask(umask)
    assert file.read_bytes() == "zwei é \\udc80\n".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    write_output(file, "")
    assert file.read_bytes() == b""
    assert entries(tmp_path) == ["out.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real/out")
    for text in ("new", "again"):
        write_output(link, text)
        assert link.is_symlink()
        assert (tmp_path / "real" / "out").read_text() == f"{text}\n"
    assert entries(tmp_path / "real") == ["out"]


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        write_output(tmp_path / "no" / "out", "x")
    assert str(caught.value) == (
        f"the report could not be written ({tmp_path}/no/out); seen: FileNotFoundError: No such file or directory;"
        " next: make the folder, free space or correct the path, then run again; a file that was there is unchanged"
    )
    for path, seen in (
        (tmp_path, "IsADirectoryError"),
        (tmp_path / ("x" * 300), "name too long"),
        (tmp_path / "a\0b", "null"),
        ("", "Is a directory|No such file"),
    ):
        with pytest.raises(StorageError, match=seen):
            write_output(path, "x")
    assert entries(tmp_path) == []


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    code = (
        "import resource, sys; from sqlmodel_framework.utils.reports import write_output;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "write_output(sys.argv[1], 'x' * 100_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False
    )
    assert "StorageError: the report could not be written" in done.stderr
    assert "File too large" in done.stderr
    assert file.read_text() == "old"
    assert entries(tmp_path) == ["out"]
    with pytest.raises(StorageError, match="No space left"):
        write_output("/dev/full", "x")


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        assert len(entries(tmp_path)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_output(tmp_path / "out", "x")
    assert entries(tmp_path) == []


def test_pipes_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_output(pipe, "through")
    reader.join(10)
    assert read == ["through\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_stdout_is_written_to_where_it_leads(tmp_path: Path) -> None:
    code = (
        "from sqlmodel_framework.utils.reports import write_output; print('first');"
        "write_output('/dev/stdout', 'second'); print('third')"
    )
    file = tmp_path / "out"
    with file.open("w") as stdout:
        subprocess.run([sys.executable, "-c", code], stdout=stdout, check=True)
    assert file.read_text() == "first\nsecond\nthird\n"
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert piped.stdout == "first\nsecond\nthird\n"


# the page


PAGE = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_section(code: str) -> None:
    name, severity = CODES[code]
    (section,) = re.findall(rf"^### {code} {name}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    meaning, advice = EXPLANATIONS[code]
    assert f"{meaning} Severity: {severity.value}." in section
    assert re.search(rf"```text\n{code} {name}: \S+: expected .+, found .+ \(.+\)\n```", section)
    assert re.search(r"^- \*\*Usual cause:\*\* .+\.$", section, re.MULTILINE)
    assert f"- **What to do:** {advice}\n" in section


def test_the_page_explains_no_code_that_is_gone() -> None:
    assert re.findall(r"^### (DK\d+)", PAGE, re.MULTILINE) == list(CODES) == list(EXPLANATIONS)


@pytest.mark.parametrize("word", [*FORMATS, *(severity.value for severity in Severity)])
def test_every_format_and_severity_is_on_the_page(word: str) -> None:
    assert re.search(rf"^\| `{word}` \| .+ \|$", PAGE, re.MULTILINE)
