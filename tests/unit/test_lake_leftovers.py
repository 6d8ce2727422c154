"""Landings that were killed, and the fsync that fails when the batch is visible already."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sqlmodel_framework import StorageError
from sqlmodel_framework.base.lake import leftovers, swap
from sqlmodel_framework.base.lake.batch import PublishedBatch, publish_batch

DAY = date(2024, 2, 29)
NEXT_DAY = date(2024, 3, 1)

LANDING = """
import sys, time
from datetime import date
from pathlib import Path
import pyarrow as pa
from sqlmodel_framework.base.lake import swap
from sqlmodel_framework.base.lake.batch import publish_batch

batch = pa.RecordBatch.from_pydict({"id": pa.array([9], pa.int32())})
stop = sys.argv[2]

def pause():
    print("there", flush=True)
    time.sleep(600)

def batches():
    yield batch
    if stop == "while writing":
        pause()

if stop == "between two renames":
    swap._exchange = lambda one, other: False
    rename = Path.rename
    def pausing(self, target):
        if self.name.startswith(".staging") and not target.exists():
            pause()
        return rename(self, target)
    Path.rename = pausing

if stop == "after the exchange":
    swap.shutil.rmtree = lambda *_, **__: pause()

publish_batch(batches(), schema=batch.schema, root=Path(sys.argv[1]), system="s", table="t",
              formats=["json"], run_date=date(2024, 2, 29))
"""


def publish(root: Path, *values: int, **options: Any) -> PublishedBatch:
    batch = pa.RecordBatch.from_pydict({"id": pa.array(values, pa.int32())})
    given = {"system": "s", "table": "t", "formats": ["json"], "run_date": NEXT_DAY, **options}
    return publish_batch([batch], schema=batch.schema, root=root, **given)


@contextmanager
def landing(root: Path, stop: str) -> Iterator[None]:
    """A landing in another process, which stands still at `stop` inside the block and is killed at its end."""
    with subprocess.Popen(
        [sys.executable, "-c", LANDING, str(root), stop], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "there\n"
            yield
        finally:
            process.kill()


def names(root: Path) -> list[str]:
    """What stands beside the batches of the table; hidden folders by the start of their name."""
    found = (path.name for path in (root / "system=s" / "table=t").iterdir())
    return sorted(name.split("-")[0] if name.startswith(".") else name for name in found)


def json_of(root: Path, day: date = DAY) -> str:
    return (root / "system=s" / "table=t" / f"dt={day}" / "part-0001.json").read_text()


@pytest.mark.parametrize(
    ("stop", "left", "of_the_day"),
    [
        ("while writing", [".staging", "dt=2024-02-29"], '{"id":1}\n'),
        ("between two renames", [".replaced", ".staging"], '{"id":1}\n'),
        ("after the exchange", [".staging", "dt=2024-02-29"], '{"id":9}\n'),
    ],
)
def test_what_a_killed_landing_left_goes_with_the_next_and_a_living_one_stays(
    stop: str, left: list[str], of_the_day: str, tmp_path: Path
) -> None:
    publish(tmp_path, 1, run_date=DAY)
    if stop == "after the exchange" and not swap._exchange(*_two_folders(tmp_path)):
        pytest.skip("this file system cannot exchange folders")
    with landing(tmp_path, stop):
        assert names(tmp_path) == left
        if stop != "after the exchange":
            publish(tmp_path, 2)
            assert names(tmp_path) == sorted([*left, "dt=2024-03-01"])
    publish(tmp_path, 3)
    assert names(tmp_path) == ["dt=2024-02-29", "dt=2024-03-01"]
    assert (json_of(tmp_path), json_of(tmp_path, NEXT_DAY)) == (of_the_day, '{"id":3}\n')


def _two_folders(root: Path) -> tuple[Path, Path]:
    folders = (root / "one", root / "other")
    for folder in folders:
        folder.mkdir()
    return folders


def test_a_living_landing_is_not_disturbed_by_another(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        batch = pa.RecordBatch.from_pydict({"id": pa.array([1], pa.int32())})
        yield batch
        publish(tmp_path, 2, run_date=DAY)
        yield batch

    schema = pa.schema([("id", pa.int32())])
    publish_batch(
        batches(), schema=schema, root=tmp_path, system="s", table="t", formats=["json"], run_date=DAY
    )
    assert names(tmp_path) == ["dt=2024-02-29"]
    assert json_of(tmp_path) == '{"id":1}\n{"id":1}\n'


def test_the_leftovers_of_other_tables_and_other_folders_stay(tmp_path: Path) -> None:
    others = [
        tmp_path / "system=s" / "table=other" / ".staging-1",
        tmp_path / "system=s" / "table=t" / ".mine",
        tmp_path / "system=s" / "table=t" / ".replaced-1",
    ]
    for folder in others:
        folder.mkdir(parents=True)
    (tmp_path / "system=s" / "table=t" / ".staging-file").touch()
    publish(tmp_path, 1)
    assert [folder.is_dir() for folder in others] == [True, True, True]
    assert (tmp_path / "system=s" / "table=t" / ".staging-file").is_file()


def test_a_replaced_batch_whose_place_is_taken_is_removed(tmp_path: Path) -> None:
    place = publish(tmp_path, 1, run_date=DAY).folder
    old = leftovers.replaced_name(place)
    old.mkdir()
    (old / "part-0001.json").write_text("old")
    leftovers.remove_leftovers(place.parent)
    assert names(tmp_path) == ["dt=2024-02-29"]
    assert json_of(tmp_path) == '{"id":1}\n'


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = publish(tmp_path, 1).folder.parent / ".staging-left"
    left.mkdir()

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert publish(tmp_path, 2).rows == 1
    assert left.is_dir()
    monkeypatch.undo()
    publish(tmp_path, 3)
    assert not left.exists()


def test_a_folder_taken_for_left_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir
    taken: list[Path] = []

    def mkdir(self: Path, *args: Any, **options: Any) -> None:
        real(self, *args, **options)
        if not taken:
            taken.append(self)
            leftovers.remove_leftovers(self.parent)

    (tmp_path / "table").mkdir()
    monkeypatch.setattr(Path, "mkdir", mkdir)
    with leftovers.new_staging(tmp_path / "table") as staging:
        assert staging.is_dir()
        assert [path.exists() for path in taken] == [False]
    assert list((tmp_path / "table").iterdir()) == []


def test_an_fsync_that_fails_after_the_rename_says_that_the_batch_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "system=s" / "table=t" / "dt=2024-02-29"
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if folder.exists():
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError) as caught:
        publish(tmp_path, 1, run_date=DAY)
    assert str(caught.value) == (
        f"the batch is visible and complete, but the disk did not confirm its place ({folder});"
        " seen: OSError: Input/output error; expected: a folder that outlasts a power cut;"
        " next: check the disk, then run again: the new batch takes the place of this one"
    )
    assert names(tmp_path) == ["dt=2024-02-29"]
    assert json_of(tmp_path) == '{"id":1}\n'


def test_an_fsync_that_fails_before_the_rename_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match="nothing of this batch became visible"):
        publish(tmp_path, 1)
    assert names(tmp_path) == []
