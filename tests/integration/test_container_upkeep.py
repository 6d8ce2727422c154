"""The containers of a checkout: list them, stop kept ones, remove what crashed runs left."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sqlmodel_framework import (
    create_custom_target,
    create_engine_for_target,
)
from sqlmodel_framework.engines import our_containers
from sqlmodel_framework.engines.container_labels import CHECKOUT, CREATED, KIND, RUN, labels_of
from sqlmodel_framework.engines.live import open_target
from sqlmodel_framework.tests.integration.container_project import (
    LIFETIME,
    docker,
    identifier,
    kept,
    ours,
    targets,
)

pytestmark = [pytest.mark.container, pytest.mark.usefixtures("project")]


def made(**labels: str) -> str:
    words = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
    arguments = [word.replace("__", ".") for word in words]
    return docker("create", *arguments, "--env", "POSTGRES_PASSWORD=x", "postgres:15.8")


def test_clean_removes_what_nobody_owns_and_nothing_else(project: Path) -> None:
    labels = labels_of("postgres")
    machine, pid, started = labels[RUN].split("/")
    base = {CHECKOUT: labels[CHECKOUT], KIND: "postgres", CREATED: labels[CREATED]}
    old = {**base, CREATED: str(int(time.time()) - 7200)}
    entries = {
        "alive": {**old, RUN: labels[RUN]},
        "dead": {**base, RUN: f"{machine}/{pid}/1"},
        "elsewhere": {**base, RUN: f"other-machine/{pid}/{started}"},
        "elsewhere, old": {**old, RUN: f"other-machine/{pid}/{started}"},
        "other checkout": {**old, CHECKOUT: "0" * 16, RUN: f"{machine}/{pid}/1"},
    }
    identifiers = {name: made(**entry) for name, entry in entries.items()}

    def there() -> list[str]:
        found = docker("ps", "-aq", "--no-trunc").split()
        return [name for name, identifier in identifiers.items() if identifier in found]

    try:
        assert targets("list")[0] == 0
        code, lines = targets("clean")
        assert (code, len(lines)) == (0, 1), lines
        assert there() == ["alive", "elsewhere", "elsewhere, old", "other checkout"]
        assert targets("clean", "--older-than", "1h")[0] == 0
        assert there() == ["alive", "elsewhere", "other checkout"]
        assert targets("clean", "--older-than", "0s")[0] == 0
        assert there() == ["alive", "other checkout"]
        assert targets("clean") == (0, ["nothing to remove"])
    finally:
        docker("rm", "--force", "--volumes", *(identifiers[name] for name in there()))


def test_a_run_whose_watching_program_was_killed_too_is_cleaned(image_of_podman: str) -> None:
    code = (
        "import os\n"
        "from sqlmodel_framework import create_custom_target, create_engine_for_target\n"
        "from sqlmodel_framework.engines.owned import _owned\n"
        "create_engine_for_target(create_custom_target('postgres', conn_method='container'))\n"
        "os.kill(_owned.program.pid, 9)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    (name,) = ours()
    code_of_list, lines = targets("list")
    assert code_of_list == 0
    assert lines[0].startswith(name)
    assert lines[0].endswith("its run is dead")
    assert targets("stop", "--all") == (0, ["nothing to remove"])
    code_of_stop, lines = targets("stop", name)
    assert code_of_stop == 1
    assert lines[0] == (
        f"error: a container belongs to a run, and is not kept ({name}); seen: its run is dead;"
        " next: see datakit targets clean --help"
    )
    assert targets("clean") == (0, [f"removed {name} ({image_of_podman}postgres:15.8)"])
    assert ours() == []


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_clean_leaves_a_kept_container_past_its_time_to_those_who_use_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIFETIME, -1)
    with kept(kind) as target:
        open_target(target)
        assert targets("clean") == (0, ["nothing to remove"])
        with create_engine_for_target(target).connect() as connection:
            assert connection.exec_driver_sql("SELECT 7").scalar_one() == 7
        assert len(ours()) == 1
    code, (line,) = targets("clean")
    assert (code, line.startswith(f"removed datakit-{kind}-kept-")) == (0, True)
    assert ours() == []


def test_clean_does_not_take_a_container_for_the_one_that_had_its_name() -> None:
    with kept() as first:
        open_target(first)
    listed = our_containers.list_containers()
    docker("rm", "--force", "--volumes", *ours())
    with kept() as second:
        open_target(second)
        before = identifier()
        our_containers._remove(listed, lambda one: True)
        assert identifier() == before


def test_stopping_all_leaves_those_that_somebody_uses_and_a_run_keeps_its_own() -> None:
    with kept() as used, kept(start_options=["-c", "work_mem=5MB"]) as unused:
        open_target(used)
        (name_of_used,) = ours()
        open_target(unused)
        (name_of_unused,) = {*ours()} - {name_of_used}
        unused.close()
        code, lines = targets("stop", "--all")
        assert code == 0
        assert lines[0].startswith(f"removed {name_of_unused} (")
        assert lines[1:] == [
            f"left {name_of_used}: somebody uses it; datakit targets stop {name_of_used} removes it"
        ]
        assert ours() == [name_of_used]
    with create_custom_target("postgres", conn_method="container") as own:
        open_target(own)
        (name,) = {*ours()} - {name_of_used}
        code, lines = targets("stop", name)
        assert (code, "seen: its run is alive; next: end the run" in lines[0]) == (1, True), lines


def test_no_engine_is_said_without_a_way_for_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    for command in ("list", "clean"):
        code, (line,) = targets(command)
        assert code == 1
        assert line.endswith("No such file or directory; next: start one, or set DOCKER_HOST to its address")
    monkeypatch.undo()
