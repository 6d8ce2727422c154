"""The documentation is true: its code runs, its generated page is fresh, its links lead somewhere, and nothing is left out."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import sqlmodel_framework
from sqlmodel_framework.base import errors
from sqlmodel_framework.base.errors import DatakitError
from sqlmodel_framework.config.targets import list_targets
from sqlmodel_framework.engines.base import installed_engines

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SITE = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
RUN_PAGE = DOCS / "run_page.py"


def program(name: str) -> ModuleType:
    """A program of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


# the code of the pages


def run(page: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(RUN_PAGE), str(page)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=relative)
def test_the_code_of_a_page_does_what_the_page_says(page: Path) -> None:
    done = run(page)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("```python\nprint(1)\n```\n\n```text output\n2\n```\n", "line 6: the page says"),
        ("```python\n\nundefined\n```\n", 'page.md", line 3'),
        ("```console\n$ echo one\ntwo\n```\n", "line 2: the page says"),
        ("```console\n$ false\n$ echo $?\n0\n```\n", "line 2: the page says"),
        ("```pyhton postgress\nprint(1)\n```\n", "unknown word postgress"),
        (
            "```toml file=a.toml\nx = 1\n```\n\n```console\n$ cat a.toml\nx = 2\n```\n",
            "line 6: the page says",
        ),
    ],
    ids=["output", "error", "console", "status", "word", "file"],
)
def test_a_page_that_is_not_true_is_found(tmp_path: Path, block: str, complaint: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(block, encoding="utf-8")
    done = run(page)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_dots_stand_for_anything_and_seconds_may_differ(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint('done in 0.37 s by me')\nprint('a\\nb\\nc')\n```\n\n"
        "```text output\ndone in 0.05 s by …\na\n…\nc\n```\n",
        encoding="utf-8",
    )
    done = run(page)
    assert done.returncode == 0, done.stderr


def test_the_site_shows_what_a_block_is() -> None:
    fences = program("fences")
    shown = fences.on_page_markdown(
        "```python\n```toml file=a/b.toml\n```text output\n```python postgres\n```python postgres file=a.py\n"
    )
    assert shown == (
        '```python\n```toml title="a/b.toml"\n```text title="output"\n```python\n```python title="a.py"\n'
    )


# the page that is made


def test_the_page_on_the_command_line_is_fresh() -> None:
    generate_cli = program("generate_cli")
    page = text_of("cli.md")
    (made_with,) = re.findall(r"with Typer (\S+):", page)
    if made_with != generate_cli.TYPER:
        pytest.skip(
            f"docs/cli.md shows the help texts of Typer {made_with}; installed is {generate_cli.TYPER}"
        )
    assert page == generate_cli.render(), "run: python docs/generate_cli.py"


# nothing is left out


def names_of_the_command_line() -> Iterator[str]:
    import typer.main

    from sqlmodel_framework.scripts.datakit import app

    group = typer.main.get_command(app)
    pending = [("datakit", group)]
    for name, command in pending:
        pending += [(f"{name} {below}", one) for below, one in getattr(command, "commands", {}).items()]
        if command is not group:
            yield name
        for parameter in command.params:
            yield from (name for name in parameter.opts if name.startswith("-"))


@pytest.mark.parametrize("name", sorted(set(names_of_the_command_line())))
def test_every_command_and_option_is_named(name: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", SITE)


def all_errors(kind: type[DatakitError] = DatakitError) -> Iterator[type[DatakitError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from all_errors(below)


@pytest.mark.parametrize("code", sorted({0, 130, *(kind.exit_code for kind in all_errors())}))
def test_every_exit_code_is_explained(code: int) -> None:
    assert re.search(rf"^\| {code} \| ", text_of("exit-codes.md"), re.MULTILINE)


def test_only_what_may_be_tried_again_is_called_so() -> None:
    retryable = {kind.exit_code for kind in all_errors() if kind.retryable}
    said = {
        int(code)
        for code in re.findall(r"^\| (\d+) \| .* \| \*\*yes\*\* \|$", text_of("exit-codes.md"), re.MULTILINE)
    }
    assert said == retryable


def test_the_tree_of_errors_is_the_one_in_the_code() -> None:
    drawn = [
        line.removeprefix("    ") for line in str(errors.__doc__).splitlines() if re.search(r"Error\b", line)
    ]
    tree = "\n".join(line for line in drawn if line.startswith(("DatakitError", "├", "│", "└", " ")))
    assert f"```text\n{tree}\n```" in text_of("exit-codes.md")


@pytest.mark.parametrize("name", sorted(list_targets()))
def test_every_predefined_target_is_described(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| .+ \|$", text_of("targets.md"), re.MULTILINE)


@pytest.mark.parametrize("kind", sorted(installed_engines()))
def test_what_an_engine_can_do_is_described(kind: str) -> None:
    engine = installed_engines()[kind]
    options = ", ".join(f"`{option}`" for option in sorted(engine.connection_options))
    assert f"| `{kind}` | {options} |" in text_of("targets.md")
    assert f"| {engine.capabilities.named_schema} |" in text_of("datakits.md").replace("`", "")


@pytest.mark.parametrize("name", sqlmodel_framework.__all__)
def test_every_public_name_is_named(name: str) -> None:
    assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", SITE)


def test_every_bundled_datakit_is_named() -> None:
    for folder in (ROOT / "datakits").iterdir():
        if (folder / "__init__.py").is_file():
            assert f"`sqlmodel_framework.datakits.{folder.name}`" in text_of("datakits.md")


# links and navigation


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[\s-]+", "-", heading) for heading in plain}


def links_of(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]


def broken_links(page: Path) -> Iterator[str]:
    for link in links_of(page):
        file, _, anchor = link.partition("#")
        path = (page.parent / file) if file else page
        if not path.is_file() or (anchor and anchor not in anchors_of(path)):
            yield link


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *PAGES], ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n[a](page.md#one) [b](#two) [c](nowhere.md) [d](https://example.com)\n", encoding="utf-8"
    )
    assert list(broken_links(page)) == ["#two", "nowhere.md"]


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages_in(navigation)) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def pages_in(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for below in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from pages_in(below)
