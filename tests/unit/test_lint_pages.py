"""Every code of lint has a page: its wrong class has the finding, its right class has not, and its hint mends the wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmodel_framework.tests.lint_pages import PAGES, claims_of, files_of
from sqlmodel_framework.utils.findings import ALL_CODES, CODES, LINT_CODES, Finding, Severity
from sqlmodel_framework.utils.lint import RULES
from sqlmodel_framework.utils.linting import lint_datakit
from sqlmodel_framework.utils.reports.lint_explanations import LINT_EXPLANATIONS

Kits = Callable[[str, dict[str, str]], Path]
WITH_HINT = {
    "DL101", "DL102", "DL103", "DL104", "DL105", "DL106", "DL107", "DL108", "DL109", "DL201", "DL202", "DL203", "DL204",
    "DL403", "DL501", "DL502",
}  # fmt: skip


@pytest.fixture
def kit_of(tmp_path: Path) -> Kits:
    """Writes files to a folder of a name."""

    def write(name: str, files: dict[str, str]) -> Path:
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def codes_of(kit: Path) -> list[str]:
    result = lint_datakit(kit)
    assert result.error is None
    return [finding.code for finding in result.findings]


def test_every_code_has_a_page_a_rule_and_an_explanation() -> None:
    assert [page.stem for page in PAGES] == list(LINT_CODES) == sorted(LINT_CODES) == list(LINT_EXPLANATIONS)
    assert list(RULES) == [code for code in LINT_CODES if not code.startswith("DL0")]
    assert not set(CODES) & set(LINT_CODES)
    names = [name for name, _ in ALL_CODES.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_the_code_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    name, severity = LINT_CODES[page.stem]
    meaning, advice = LINT_EXPLANATIONS[page.stem]
    assert text.startswith(f"# {page.stem} {name}\n\n{meaning} Severity: {severity.value}.\n")
    assert f"## Right\n\n{advice}\n" in text
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Wrong", "What each database does", "Right", "When it is fine"]
    databases = {claim.database for claim in claims_of(page)}
    assert databases in ({"sqlite", "postgres", "mysql"}, set())
    assert databases or page.stem in {"DL001", "DL002", "DL501"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_wrong_class_has_the_finding_and_the_right_class_has_not(page: Path, kit_of: Kits) -> None:
    wrong = lint_datakit(kit_of("wrong", files_of(page, "wrong")))
    findings = [finding for finding in wrong.findings if finding.code == page.stem]
    assert findings
    for finding in findings:
        assert finding.file is not None
        assert finding.file.endswith("wrong/tables.py")
        assert finding.line is not None
    severe = LINT_CODES[page.stem][1] is not Severity.INFO
    assert not (severe and wrong.success)
    assert page.stem not in codes_of(kit_of("right", files_of(page, "right")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_class_with_its_hints_applied_has_the_finding_no_more(page: Path, kit_of: Kits) -> None:
    files = files_of(page, "wrong")
    found = lint_datakit(kit_of("wrong", files), select=[page.stem], fix_hints=True).findings
    hinted = [finding for finding in found if finding.fix is not None]
    assert len(hinted) == (len(found) if page.stem in WITH_HINT else 0)
    if hinted:
        mended = {"tables.py": with_hints(files["tables.py"], hinted)}
        assert page.stem not in codes_of(kit_of("mended", mended)), mended["tables.py"]


def with_hints(source: str, findings: list[Finding]) -> str:
    """The source with each finding's correction in its place."""
    lines = source.splitlines()
    imports: dict[str, None] = {}
    for finding in sorted(findings, key=lambda one: one.line or 0, reverse=True):
        fix = finding.fix
        assert fix is not None
        assert "\n".join(lines[fix.line - 1 : fix.end_line]) == fix.old
        lines[fix.line - 1 : fix.end_line] = fix.new.splitlines()
        imports |= dict.fromkeys(fix.imports)
    return "\n".join([*imports, *lines, ""])


def test_no_lint_finding_on_the_bundled_kits() -> None:
    folder = Path(__file__).parents[2] / "datakits"
    kits = [path.name for path in folder.iterdir() if (path / "__init__.py").is_file()]
    assert kits
    for kit in kits:
        result = lint_datakit(f"sqlmodel_framework.datakits.{kit}")
        assert (result.error, result.findings, result.notes) == (None, (), ())
