"""The programs as processes: output, exit codes, mistakes."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmodel_framework import TargetConfig, create_custom_target, create_engine_for_target

ROOT = Path(__file__).parents[2]
DATAKIT = [sys.executable, "-m", "sqlmodel_framework.scripts.datakit"]
SECRET = "canary-secret-7313"
ONE = {"one.py": "class One(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    name: str\n"}
TWIN = {"one.py": ONE["one.py"] + "    extra: int\n"}


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DATAKIT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.fixture
def kit(write_kit: Callable[..., Path]) -> str:
    return str(write_kit("kit", ONE))


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def assert_fails(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    output = result.stdout + result.stderr
    assert result.returncode == code, output
    for word in words:
        assert word in output
    assert "Traceback" not in output
    assert SECRET not in output


def test_deploy_and_validate_on_sqlite_memory(kit: str) -> None:
    result = run("deploy", kit, "--target", "sqlite_memory", "--validate", "--cleanup")
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith("ok   sqlite_memory (sqlite in memory): 1 table created in ")
    assert "; validated: no difference in 1 table, " in line
    assert line.endswith("cleaned up: 1 table dropped")


def test_the_script_is_the_same_program(kit: str) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "deploy_datakit.py")]
    result = subprocess.run(
        [*script, kit, "--target", "sqlite_memory", "--validate"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "ok   sqlite_memory" in result.stdout
    usages = [
        subprocess.run([*program, "--help"], capture_output=True, text=True, check=True).stdout.partition(
            "Options:"
        )[2]
        for program in (script, [*DATAKIT, "deploy"])
    ]
    assert usages[0] == usages[1] != ""


def test_the_script_without_the_package_says_what_to_do(kit: str, tmp_path: Path) -> None:
    script = str(ROOT / "scripts" / "deploy_datakit.py")
    bare = [sys.executable, "-S", script, kit]
    result = subprocess.run(bare, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "error: data-platform-framework is not installed; next: pip install -e . in its repository\n"
    )


def test_json_is_the_only_thing_on_stdout(kit: str, tmp_path: Path) -> None:
    file = tmp_path / "kit.db"
    result = run(
        "deploy", kit, "--target", "sqlite_file", "--database", str(file), "--validate", "--format", "json"
    )
    assert (result.returncode, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert document["format_version"] == 1
    assert document["success"] is True
    assert document["tables"] == ["one"]
    (target,) = document["targets"]
    assert target["deployment"]["created"] == ["one"]
    assert target["validation"]["findings"] == []
    assert file.exists()


def test_a_difference_ends_with_4(kit: str, write_kit: Callable[..., Path], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kit.db'}"
    assert run("deploy", kit, "--url", url).returncode == 0
    twin = str(write_kit("twin", TWIN))
    result = run("deploy", twin, "--url", url, "--if-exists", "skip", "--validate")
    assert_fails(result, 4, "FAIL", "DK201 column-missing: one.extra: expected INTEGER, found no such column")
    as_json = run("deploy", twin, "--url", url, "--if-exists", "skip", "--validate", "--format", "json")
    (finding,) = json.loads(as_json.stdout)["targets"][0]["validation"]["findings"]
    assert (as_json.returncode, finding["code"], finding["table"], finding["column"]) == (
        4,
        "DK201",
        "one",
        "extra",
    )


def test_a_target_that_is_not_empty_ends_with_5(kit: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kit.db'}"
    run("deploy", kit, "--url", url)
    assert_fails(run("deploy", kit, "--url", url), 5, "the target is not empty", "--if-exists skip")


def test_a_server_that_is_down_ends_with_75(kit: str, closed_port: int) -> None:
    for kind in ("postgres", "mysql"):
        result = run(
            *("deploy", kit, "--target-type", kind, "--database", "x", "--host", "127.0.0.1"),
            *("--port", str(closed_port), "--user", "me", "--password", SECRET),
        )
        assert_fails(result, 75, "not reachable", str(closed_port))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/such/folder"], "no such folder"),
        (["no_such_package"], "no package of that name"),
        (["{kit}", "--target", "postgrez"], "expected: one of mysql_container"),
        (["{kit}", "--target-type", "oracle"], "expected: one of mysql, postgres, sqlite"),
        (["{kit}", "--url", "nonsense"], "a URL cannot be read"),
        (["{kit}", "--url", "oracle://u:canary-secret-7313@h/d"], "unknown database"),
        (["{kit}", "--url", "sqlite://", "--host", "h"], "exclude each other"),
        (
            ["{kit}", "--target", "sqlite_memory", "--target", "postgres_local", "--host", "h"],
            "with one target",
        ),
        (["{kit}", "--target", "postgres_container", "--user", "u"], "does not use these fields"),
        (["{kit}", "--target", "sqlite_memory", "--database", "want.db"], "does not use these fields"),
        (["{kit}", "--no-such-option"], "--no-such-option"),
        (["{kit}", "--if-exists", "perhaps"], "perhaps"),
        (["{kit}", "--port", "abc"], "--port"),
        (["{kit}", "--target", "postgres_local", "--port", "99999"], "a number from 1 to 65535"),
        ([], "PATH"),
    ],
)
def test_wrong_use_ends_with_1(arguments: list[str], words: str, kit: str) -> None:
    assert_fails(run("deploy", *(argument.format(kit=kit) for argument in arguments)), 1, words)


def test_an_empty_folder_and_broken_modules_end_with_1(
    write_kit: Callable[..., Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_fails(run("deploy", str(empty)), 1, "defines no table", "no Python module")
    broken = write_kit("broken", {"a.py": "import sys\nsys.exit(3)\n", "b.py": "1 / 0\n", **ONE})
    result = run("deploy", str(broken))
    assert_fails(result, 1, "a.py", "sys.exit", "b.py", "ZeroDivisionError", "line 2")
    as_json = run("deploy", str(broken), "--format", "json")
    document = json.loads(as_json.stdout)
    assert (as_json.returncode, document["success"], document["error"]["exit_code"]) == (1, False, 1)


def test_debug_shows_the_traceback(kit: str) -> None:
    result = run("deploy", kit, "--target", "postgrez", "--log-level", "DEBUG")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_several_targets_in_one_call(kit: str, closed_port: int, tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(
        f'[targets.down]\ntype = "postgres"\nhost = "127.0.0.1"\nport = {closed_port}\n\n'
        f'[targets.here]\ntype = "sqlite"\ndatabase = "{tmp_path}/here.db"\n'
    )
    both = run(
        "deploy", kit, "--target", "down", "--target", "here", "--target", "sqlite_memory", cwd=tmp_path
    )
    assert_fails(both, 75, "FAIL down", "ok   here", "ok   sqlite_memory")
    worse = run("deploy", kit, "--target", "down", "--target", "here", cwd=tmp_path)
    assert_fails(worse, 5, "FAIL down", "FAIL here", "not empty")
    listed = run("deploy", "--list-targets", cwd=tmp_path)
    assert listed.returncode == 0
    for name in ("sqlite_memory", "postgres_embedded", "mysql_container", "down", "here"):
        assert f"{name} " in listed.stdout


def test_a_plan_changes_nothing(kit: str, tmp_path: Path) -> None:
    file = tmp_path / "kit.db"
    result = run(
        "deploy", kit, "--target", "sqlite_file", "--target", "postgres_local", "--target", "mysql_local", "--plan",
        cwd=tmp_path, DATAKIT_SQLITE_FILE_DATABASE=str(file),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("CREATE TABLE one") == 3
    assert "SERIAL" in result.stdout
    assert "AUTO_INCREMENT" in result.stdout
    assert not file.exists()
    assert "dropped" not in result.stdout
    as_json = json.loads(run("deploy", kit, "--plan", "--format", "json").stdout)
    assert as_json["plan"]["sqlite_memory"][0].startswith("CREATE TABLE one")
    replacing = run("deploy", kit, "--plan", "--if-exists", "replace").stdout.splitlines()
    assert replacing[:2] == [
        "-- kit on sqlite_memory: 1 statement",
        "-- tables of these names that are there are dropped first, with their rows: one",
    ]


def test_cleanup_leaves_no_file(kit: str, tmp_path: Path) -> None:
    file = tmp_path / "kit.db"
    result = run("deploy", kit, "--url", f"sqlite:///{file}", "--validate", "--cleanup")
    assert result.returncode == 0
    assert not file.exists()


def test_quiet_and_verbose(kit: str) -> None:
    quiet = run("deploy", kit, "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert "created one" in run("deploy", kit, "-v").stdout


@pytest.mark.postgres
def test_the_environment_gives_the_password(kit: str, postgres_database: TargetConfig) -> None:
    assert postgres_database.password
    result = run(
        "deploy", kit, "--target", "postgres_local", "--validate",
        DATAKIT_POSTGRES_LOCAL_DATABASE=str(postgres_database.database),
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert postgres_database.password.get_secret_value() not in result.stdout + result.stderr
    wrong = run("deploy", kit, "--target", "postgres_local", DATAKIT_POSTGRES_LOCAL_PASSWORD=SECRET)
    assert_fails(wrong, 1, "password authentication failed")


@pytest.mark.postgres
def test_the_password_is_asked_for_and_not_shown(kit: str, postgres_database: TargetConfig) -> None:
    assert postgres_database.password
    password = postgres_database.password.get_secret_value()
    arguments = [
        *("deploy", kit, "--target-type", "postgres", "--host", str(postgres_database.host)),
        *("--port", str(postgres_database.port), "--user", str(postgres_database.user)),
        *("--database", str(postgres_database.database), "--validate"),
    ]
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [*DATAKIT, *arguments],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
    ) as process:
        os.close(terminal)
        seen = b""
        while b"Password for" not in seen:
            seen += os.read(main, 1024)
        while termios.tcgetattr(main)[3] & termios.ECHO:
            time.sleep(0.01)  # the prompt is shown before the echo is off
        os.write(main, f"{password}\n".encode())
        output, _ = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0
    assert "ok   custom" in output
    assert password not in output
    assert password.encode() not in seen


def test_an_interrupted_program_says_so(write_kit: Callable[..., Path], tmp_path: Path) -> None:
    started = tmp_path / "started"
    source = f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(60)\n"
    kit = write_kit("slow", {"slow.py": source})
    with subprocess.Popen(
        [*DATAKIT, "deploy", str(kit)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not started.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors


def test_a_reader_that_leaves_early_is_no_error(kit: str) -> None:
    shell = f"{' '.join(DATAKIT)} deploy {kit} --plan --target sqlite_memory | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.replace(f"reading {kit} …\n", "")) == (0, "")
    failing = (
        f"{' '.join(DATAKIT)} deploy {kit} --target postgrez 2>/dev/null | true; exit ${{PIPESTATUS[0]}}"
    )
    assert subprocess.run(["bash", "-c", failing], check=False).returncode == 1


def test_a_result_that_cannot_be_written_ends_with_3(kit: str) -> None:
    full = f"{' '.join(DATAKIT)} deploy {kit} > /dev/full"
    result = subprocess.run(["bash", "-c", full], capture_output=True, text=True, check=False)
    assert_fails(result, 3, "the result cannot be written to stdout")


def test_a_wrong_settings_file_is_one_line_for_list_targets_too(tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text('[targets.wh]\ntype = "postgres"\nhots = "h"\n')
    assert_fails(
        run("deploy", "--list-targets", cwd=tmp_path), 1, "error: a target has an unknown field", "hots"
    )


def test_a_file_made_at_import_is_reported(write_kit: Callable[..., Path]) -> None:
    source = "import pathlib\npathlib.Path(__file__).with_name('made.txt').touch()\n" + ONE["one.py"]
    result = run("deploy", str(write_kit("writer", {"one.py": source})))
    assert result.returncode == 0
    assert "warning: importing the datakit made the file" in result.stderr
    assert "made.txt" in result.stderr


def test_help_and_version() -> None:
    assert "deploy" in run("--help").stdout
    assert run("--version").stdout.startswith("datakit ")
    assert run().returncode in (0, 1)


@pytest.mark.postgres
def test_the_demo_ends_with_equal_counts(tmp_path: Path, embedded_database: TargetConfig) -> None:
    result = run("demo", "--output", str(tmp_path / "out"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "All row counts match the source: 367,687 rows everywhere." in result.stdout
    target = create_custom_target("sqlite", str(tmp_path / "out" / "flights.db"))
    with create_engine_for_target(target).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM bronze_flights").scalar_one() == 336_776
    assert len(list((tmp_path / "out" / "bronze").rglob("_metadata.json"))) == 5
    again = run("demo", "--output", str(tmp_path / "out"))
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.postgres
def test_the_demos_failures(
    tmp_path: Path, postgres_database: TargetConfig, embedded_database: TargetConfig, closed_port: int
) -> None:
    assert postgres_database.password
    (tmp_path / "file").touch()
    assert_fails(run("demo", "--output", str(tmp_path / "file")), 3, "the output folder cannot be made")
    empty = (
        f"postgresql://{postgres_database.user}:{postgres_database.password.get_secret_value()}"
        f"@127.0.0.1:{postgres_database.port}/{postgres_database.database}"
    )
    assert_fails(
        run("demo", "--output", str(tmp_path / "a"), "--source-url", empty), 2, "flights", "does not exist"
    )
    down = f"postgresql://me:{SECRET}@127.0.0.1:{closed_port}/x"
    assert_fails(run("demo", "--output", str(tmp_path / "b"), "--source-url", down), 75, "not reachable")
    assert list((tmp_path / "a" / "bronze").rglob("*.parquet")) == []
