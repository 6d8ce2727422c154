"""The files of a lake: places, formats, one commit."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmodel_framework import ConfigurationError, StorageError
from sqlmodel_framework.base.lake import formats as formats_module
from sqlmodel_framework.base.lake import swap
from sqlmodel_framework.base.lake.batch import PublishedBatch, publish_batch
from sqlmodel_framework.base.lake.formats import FORMATS, check_formats
from sqlmodel_framework.base.lake.layout import batch_folder

DAY = date(2024, 2, 29)
NAMES = [
    "film",
    "a/b",
    "../../etc",
    "..",
    ".",
    "a=b",
    "漢字 ü",
    "per%cent",
    "line\nbreak",
    " ",
    "~",
    "x\\y",
    "C:",
    "\x00",
]


def rows(*values: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"id": pa.array(values, pa.int32())})


def publish(root: Path, *batches: pa.RecordBatch, **options: Any) -> PublishedBatch:
    given = {"system": "s", "table": "t", "formats": ["parquet", "json"], "run_date": DAY, **options}
    return publish_batch(batches, schema=rows().schema, root=root, **given)


def everything_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_below_the_root_and_comes_back(name: str, tmp_path: Path) -> None:
    published = publish(tmp_path / "root", rows(1), system=name, table=name)
    assert everything_below(tmp_path)[0] == "root"
    system, table, day = published.folder.relative_to(tmp_path / "root").parts
    assert (unquote(system), unquote(table), day) == (f"system={name}", f"table={name}", "dt=2024-02-29")
    assert pq.read_table(published.paths["parquet"], partitioning=None).to_pylist() == [{"id": 1}]


@given(system=st.text(min_size=1), table=st.text(min_size=1))
@settings(database=None, deadline=None)
def test_no_two_names_share_a_folder_and_none_leaves_the_root(system: str, table: str) -> None:
    folder = batch_folder(Path("/root"), system=system, table=table, run_date=DAY)
    assert len(folder.parts) == 5
    assert Path(os.path.normpath(folder)) == folder
    assert [unquote(part, errors="surrogatepass") for part in folder.parts[2:4]] == [
        f"system={system}",
        f"table={table}",
    ]


@pytest.mark.parametrize(("system", "table", "key"), [("", "t", "system"), ("s", "", "table")])
def test_an_empty_name_is_refused(system: str, table: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        publish(tmp_path / "root", rows(1), system=system, table=table)
    assert str(caught.value) == f"a Bronze batch needs a {key}; seen: an empty one"
    assert everything_below(tmp_path) == []


def test_a_batch_has_its_files_and_a_receipt_that_describes_them(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    published = publish(tmp_path, rows(1, 2), rows(3), receipt={"source_host": "h"})
    assert everything_below(published.folder) == ["_metadata.json", "part-0001.json", "part-0001.parquet"]
    receipt = json.loads((published.folder / "_metadata.json").read_text())
    assert before <= datetime.fromisoformat(receipt.pop("batch_timestamp")) <= datetime.now(UTC)
    assert receipt == {
        "format_version": 1,
        "system": "s",
        "table": "t",
        "run_date": "2024-02-29",
        "total_records": 3,
        "source_host": "h",
        "files": [
            {
                "name": path.name,
                "rows": 3,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in (published.paths["parquet"], published.paths["json"])
        ],
    }
    assert published.rows == 3
    assert published.paths["json"].read_text() == '{"id":1}\n{"id":2}\n{"id":3}\n'
    assert pq.read_table(published.paths["parquet"])["id"].to_pylist() == [1, 2, 3]


def test_a_batch_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    published = publish(tmp_path)
    assert pq.read_table(published.paths["parquet"]).schema == rows().schema
    assert published.paths["json"].read_bytes() == b""
    assert published.rows == 0


def test_a_second_run_of_the_day_replaces_the_first(tmp_path: Path) -> None:
    publish(tmp_path, rows(1, 2), formats=["parquet", "json"])
    again = publish(tmp_path, rows(3), formats=["json"])
    other_day = publish(tmp_path, rows(4), run_date=date(2024, 3, 1))
    assert everything_below(again.folder) == ["_metadata.json", "part-0001.json"]
    assert again.paths["json"].read_text() == '{"id":3}\n'
    assert sorted(path.name for path in again.folder.parent.iterdir()) == [
        again.folder.name,
        other_day.folder.name,
    ]


def test_a_day_is_a_day_of_utc(tmp_path: Path) -> None:
    first = datetime.now(UTC).date()
    published = publish(tmp_path, rows(1), run_date=None)
    assert published.folder.name in {f"dt={day.isoformat()}" for day in (first, datetime.now(UTC).date())}


@pytest.mark.parametrize(
    "error", [RuntimeError("source"), ConnectionResetError("source"), KeyboardInterrupt()]
)
def test_an_error_of_the_source_leaves_the_earlier_batch(error: BaseException, tmp_path: Path) -> None:
    publish(tmp_path, rows(1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def failing() -> Iterator[pa.RecordBatch]:
        yield rows(2)
        raise error

    with pytest.raises(type(error)) as caught:
        publish_batch(
            failing(),
            schema=rows().schema,
            root=tmp_path,
            system="s",
            table="t",
            formats=["parquet", "json"],
            run_date=DAY,
        )
    assert caught.value is error
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not list(tmp_path.rglob(".staging-*"))


WRONG_FORMATS: list[tuple[Any, str]] = [
    (["parquet", "cvs", "xls"], "unknown file format; seen: 'cvs', 'xls'; expected: a list of parquet, json"),
    ([], "no list of file formats is given; seen: []; expected: a list of parquet, json"),
    ("json", "no list of file formats is given; seen: 'json'; expected: a list of parquet, json"),
]


@pytest.mark.parametrize(("formats", "message"), WRONG_FORMATS)
def test_a_wrong_format_is_refused_before_anything_happens(
    formats: Any, message: str, tmp_path: Path
) -> None:
    unread = iter([rows(1)])
    with pytest.raises(ConfigurationError) as caught:
        publish_batch(
            unread, schema=rows().schema, root=tmp_path / "root", system="s", table="t", formats=formats
        )
    assert str(caught.value) == message
    assert next(unread) == rows(1)
    assert everything_below(tmp_path) == []


def test_a_format_given_twice_is_written_once(tmp_path: Path) -> None:
    assert check_formats(["json", "parquet", "json"]) == ("json", "parquet")
    published = publish(tmp_path, rows(1), formats=["json", "json"])
    assert published.paths["json"].read_text() == '{"id":1}\n'


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(ConfigurationError) as caught:
        publish_batch([twice], schema=twice.schema, root=tmp_path, system="s", table="t", formats=["json"])
    assert str(caught.value) == (
        "the rows have columns of the same name (system s, table t); seen: a; next: give each column a name of its own"
    )
    assert everything_below(tmp_path) == []


def test_columns_that_change_on_the_way_are_refused(tmp_path: Path) -> None:
    other = pa.RecordBatch.from_pydict({"id": ["text"]})
    with pytest.raises(ConfigurationError) as caught:
        publish(tmp_path, rows(1), other, formats=["json"])
    assert str(caught.value) == (
        "a record batch has other columns than were announced"
        f" ({tmp_path / 'system=s' / 'table=t' / 'dt=2024-02-29'}); seen: id string; expected: id int32"
    )
    assert not list(tmp_path.rglob("*.json"))


def test_a_type_that_parquet_cannot_hold_is_named_with_its_column(tmp_path: Path) -> None:
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1]), pa.array([None], pa.month_day_nano_interval())], names=["id", "how long"]
    )
    with pytest.raises(ConfigurationError) as caught:
        publish_batch([batch], schema=batch.schema, root=tmp_path, system="s", table="t", formats=["parquet"])
    assert str(caught.value) == (
        "parquet cannot hold a column's type (column how long); seen: month_day_nano_interval;"
        " next: leave the column out or give it another type"
    )
    assert not list(tmp_path.rglob("*.parquet"))


def test_row_groups_are_large_where_batches_are_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats_module, "_ROW_GROUP_BYTES", 4 * 250)
    published = publish(tmp_path, *(rows(*range(100)) for _ in range(10)))
    file = pq.read_metadata(published.paths["parquet"])
    assert [file.row_group(number).num_rows for number in range(file.num_row_groups)] == [300, 300, 300, 100]


# Storage that fails.


def refused(root: Path) -> StorageError:
    with pytest.raises(StorageError) as caught:
        publish(root, rows(*range(200_000)))
    assert caught.value.exit_code == 3
    return caught.value


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.write_text("mine")
    error = refused(root)
    assert str(error) == (
        f"the batch could not be written ({root / 'system=s' / 'table=t' / 'dt=2024-02-29'});"
        " seen: NotADirectoryError: Not a directory; next: free space or correct the path, then run again;"
        " nothing of this batch became visible"
    )
    assert root.read_text() == "mine"


def test_a_root_that_may_not_be_written(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir(mode=0o500)
    if os.access(root, os.W_OK):
        pytest.skip("this user may write everywhere; see the test of a read-only file system")
    assert "Permission denied" in str(refused(root))
    assert everything_below(root) == []


def test_a_name_too_long_for_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        publish(tmp_path, rows(1), table="漢" * 100)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("formats", [["json"], ["parquet"], ["parquet", "json"]])
def test_a_disk_that_gets_full(small_disk: Path, formats: list[str]) -> None:
    publish(small_disk, rows(1), formats=formats)
    before = everything_below(small_disk)
    batches = (rows(*range(start, start + 100_000)) for start in range(0, 2_000_000, 100_000))
    with pytest.raises(StorageError) as caught:
        publish(small_disk, *batches, formats=formats)
    assert caught.value.seen == "OSError: No space left on device"
    assert everything_below(small_disk) == before
    # While the error lives, too: a file that is open keeps its space.
    still_open = [descriptor.resolve() for descriptor in Path("/proc/self/fd").iterdir()]
    assert [path for path in still_open if small_disk in path.parents] == []
    assert publish(small_disk, rows(2), formats=formats).rows == 1


def test_a_file_system_that_is_read_only(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert refused(small_disk / "root").seen == "OSError: Read-only file system"
    assert everything_below(small_disk) == []


# The commit.


def test_everything_is_on_disk_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    real_sync, real_move = os.fsync, swap.move_over

    def fsync(descriptor: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name[:8]}")
        real_sync(descriptor)

    def move_over(new: Path, place: Path) -> None:
        events.append("move")
        real_move(new, place)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("sqlmodel_framework.base.lake.batch.move_over", move_over)
    publish(tmp_path / "root", rows(1))
    assert events == [
        "sync part-000",
        "sync part-000",
        "sync _metadat",
        "sync .staging",
        "sync table=t",
        "sync system=s",
        "sync root",
        "move",
        "sync table=t",
    ]


@pytest.fixture(params=["exchange", "two steps"])
def way_to_replace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "two steps":
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    return str(request.param)


def test_a_folder_takes_the_place_of_another(way_to_replace: str, tmp_path: Path) -> None:
    for name in ("new", "place"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    swap.move_over(tmp_path / "new", tmp_path / "place")
    assert everything_below(tmp_path) == ["place", "place/new"]


def test_a_folder_that_cannot_be_moved_changes_nothing(
    way_to_replace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").touch()
    with pytest.raises(FileNotFoundError):
        swap.move_over(tmp_path / "new", tmp_path / "place")
    assert everything_below(tmp_path) == ["place", "place/old"]


def test_a_reader_never_finds_the_batch_missing(tmp_path: Path) -> None:
    """On Linux: the folder is there in every state that a reader can see while batches replace one another."""
    place = publish(tmp_path, rows(0)).folder
    if not swap._exchange(*_two_folders(tmp_path)):
        pytest.skip("this file system cannot exchange folders")
    watch = "while :; do cat $0/_metadata.json >/dev/null 2>&1 || ls -d $0 >/dev/null || echo missing; done"
    with subprocess.Popen(
        ["sh", "-c", watch, str(place)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as reader:
        for number in range(50):
            publish(tmp_path, rows(number))
        reader.kill()
        assert reader.communicate()[0] == b""


def _two_folders(root: Path) -> tuple[Path, Path]:
    folders = (root / "one", root / "other")
    for folder in folders:
        folder.mkdir()
    return folders


def test_a_replacement_that_fails_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    earlier = publish(tmp_path, rows(1))
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.startswith(".staging") and not target.exists():
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(StorageError, match="Input/output error"):
        publish(tmp_path, rows(2))
    assert earlier.paths["json"].read_text() == '{"id":1}\n'
    assert [path.name for path in earlier.folder.parent.iterdir()] == [earlier.folder.name]


def test_every_format_has_a_writer_of_the_same_methods(tmp_path: Path) -> None:
    for name, make in FORMATS.items():
        writer = make(tmp_path / name, rows().schema)
        writer.write(rows(1))
        writer.close()
        writer.close()
        assert (tmp_path / name).stat().st_size > 0
