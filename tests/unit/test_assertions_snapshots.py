"""Snapshots of tables: as values that are compared, and as files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Field, Session, SQLModel, select

from sqlmodel_framework import (
    ConfigurationError,
    StorageError,
    TargetConfig,
    assert_snapshot,
    create_engine_for_target,
    deploy_data_objects,
    get_target_config,
    snapshot,
)
from sqlmodel_framework.utils.testing.snapshots import Snapshot, explain


class SnapshotFilm(SQLModel, table=True):
    film_id: int = Field(primary_key=True)
    title: str
    rate: Decimal | None = Field(default=None, max_digits=6, decimal_places=2)


keyless = sa.Table("snapshot_keyless", sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "DATAKIT_UPDATE_SNAPSHOTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def target() -> Iterator[TargetConfig]:
    with get_target_config("sqlite_memory") as made:
        deploy_data_objects([SnapshotFilm, keyless], made)
        with Session(create_engine_for_target(made)) as session:
            for number, title in ((2, "B"), (1, "A"), (3, "C")):
                session.add(SnapshotFilm(film_id=number, title=title, rate=Decimal(number)))
            session.commit()
        yield made


def run(target: TargetConfig, *statements: str) -> None:
    with create_engine_for_target(target).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


CHANGES = (
    "DELETE FROM snapshotfilm WHERE film_id = 1",
    "INSERT INTO snapshotfilm VALUES (4, 'D', NULL)",
    "UPDATE snapshotfilm SET title = 'X', rate = 9 WHERE film_id = 2",
)

# values


def test_a_snapshot_is_a_value(target: TargetConfig) -> None:
    before = snapshot(target, SnapshotFilm)
    assert before.columns == ("film_id", "title", "rate")
    assert before.rows == ((1, "A", 1), (2, "B", 2), (3, "C", 3))
    assert repr(before) == "<snapshot of table snapshotfilm: 3 rows>"
    again = snapshot(target, SnapshotFilm)
    assert (again == before, hash(again) == hash(before), len(again)) == (True, True, 3)
    assert not again.changes_since(before)
    run(target, "UPDATE snapshotfilm SET rate = 2.0 WHERE film_id = 2")
    assert snapshot(target, SnapshotFilm) == before
    run(target, *CHANGES)
    assert snapshot(target, SnapshotFilm) != before
    assert before.rows[0] == (1, "A", 1)
    with pytest.raises(AttributeError):
        before.rows = ()  # type: ignore[misc]


def test_changes(target: TargetConfig) -> None:
    before = snapshot(target, SnapshotFilm)
    run(target, *CHANGES)
    changes = snapshot(target, SnapshotFilm).changes_since(before)
    assert changes.added == ({"film_id": 4, "title": "D", "rate": None},)
    assert changes.removed == ({"film_id": 1, "title": "A", "rate": Decimal(1)},)
    (changed,) = changes.changed
    assert changed.key == {"film_id": 2}
    assert changed.before == {"title": "B", "rate": Decimal(2)}
    assert changed.after == {"title": "X", "rate": Decimal(9)}
    assert changes


def test_without_a_key(target: TargetConfig) -> None:
    run(target, "INSERT INTO snapshot_keyless VALUES (1, 1), (1, 1), (7, 8)")
    before = snapshot(target, keyless)
    assert before.rows == ((1, 1), (1, 1), (7, 8))
    run(target, "UPDATE snapshot_keyless SET b = 9 WHERE a = 7", "INSERT INTO snapshot_keyless VALUES (1, 1)")
    changes = snapshot(target, keyless).changes_since(before)
    assert (changes.added, changes.removed) == (({"a": 1, "b": 1},), ())
    assert (changes.changed[0].before, changes.changed[0].after) == ({"b": 8}, {"b": 9})


def test_columns_and_order(target: TargetConfig) -> None:
    falling = snapshot(target, SnapshotFilm, ignore="rate", order="-title")
    assert falling.rows == ((3, "C"), (2, "B"), (1, "A"))
    rising = snapshot(target, SnapshotFilm, ignore="rate")
    assert falling != rising
    assert explain(falling, rising) == ["table snapshotfilm: the same rows in another sequence"]
    query = select(SnapshotFilm.title).order_by(sa.desc(SnapshotFilm.title))
    assert snapshot(target, query, order="as given").rows == (("C",), ("B",), ("A",))
    with pytest.raises(ConfigurationError, match="did you mean title"):
        snapshot(target, SnapshotFilm, ignore="titel")


def test_snapshots_that_cannot_be_compared(target: TargetConfig) -> None:
    films = snapshot(target, SnapshotFilm)
    others: list[Any] = [snapshot(target, keyless), snapshot(target, SnapshotFilm, ignore="rate"), "films"]
    for other in others:
        assert films != other
        with pytest.raises(ConfigurationError, match="only snapshots of the same table and columns"):
            films.changes_since(other)
    assert explain(films, others[1]) == [
        "snapshots of different tables or columns",
        "  table snapshotfilm: film_id, title, rate",
        "  table snapshotfilm: film_id, title",
    ]
    assert explain(films, "films") == []


@pytest.mark.parametrize("turned", [False, True])
def test_the_explanation(target: TargetConfig, turned: bool) -> None:
    before = snapshot(target, SnapshotFilm)
    run(target, *CHANGES)
    sides: list[Snapshot] = [snapshot(target, SnapshotFilm), before]
    assert explain(*(sides[::-1] if turned else sides)) == [
        "table snapshotfilm: 1 removed, 1 added, 1 changed",
        "3 rows before, 3 after",
        "removed:",
        "  film_id  title  rate",
        "  1        'A'    1.00",
        "added:",
        "  film_id  title  rate",
        "  4        'D'    None",
        "changed:",
        "  film_id  column  before -> after",
        "  2        title   'B' -> 'X'",
        "           rate    2.00 -> 9.00",
    ]


# files


def test_a_file_is_written_once_and_compared(target: TargetConfig, tmp_path: Path) -> None:
    file = tmp_path / "new" / "films.jsonl"
    assert_snapshot(target, SnapshotFilm, file)
    assert file.read_text() == (
        '{"film_id": 1, "title": "A", "rate": "1.00"}\n'
        '{"film_id": 2, "title": "B", "rate": "2.00"}\n'
        '{"film_id": 3, "title": "C", "rate": "3.00"}\n'
    )
    assert [path.name for path in file.parent.iterdir()] == ["films.jsonl"]
    assert_snapshot(target, SnapshotFilm, file)
    run(target, *CHANGES)
    with pytest.raises(AssertionError) as caught:
        assert_snapshot(target, SnapshotFilm, str(file))
    assert str(caught.value) == (
        "table snapshotfilm on sqlite_memory: snapshot films.jsonl: 1 missing, 1 unexpected, 1 changed\n"
        "3 rows stored, 3 found\n"
        "missing:\n"
        "  film_id  title  rate\n"
        "  1        'A'    1.00\n"
        "unexpected:\n"
        "  film_id  title  rate\n"
        "  4        'D'    None\n"
        "changed:\n"
        "  film_id  column  stored -> found\n"
        "  2        title   'B' -> 'X'\n"
        "           rate    2.00 -> 9.00\n"
        "to accept what is there, pass update=True or set DATAKIT_UPDATE_SNAPSHOTS=1"
    )
    assert '"B"' in file.read_text()


def test_a_file_that_was_edited_means_what_it_says(target: TargetConfig, tmp_path: Path) -> None:
    file = tmp_path / "films.jsonl"
    file.write_text(
        '{"title": "C", "rate": "3", "film_id": 3}\n\n{"film_id": 1, "title": "A", "rate": 1}\n'
        '{"film_id": 2, "title": "B", "rate": 2.0}\n'
    )
    assert_snapshot(target, SnapshotFilm, file)
    file.write_text(file.read_text() + '{"film_id": 4}\n')
    with pytest.raises(ConfigurationError, match="do not name the same columns"):
        assert_snapshot(target, SnapshotFilm, file)


@pytest.mark.parametrize("by_environment", [False, True])
def test_updating(
    target: TargetConfig, tmp_path: Path, by_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "films.jsonl"
    file.write_text("{}\n")
    monkeypatch.setenv("CI", "true")
    if by_environment:
        monkeypatch.setenv("DATAKIT_UPDATE_SNAPSHOTS", "1")
    assert_snapshot(target, SnapshotFilm, file, update=not by_environment)
    assert len(file.read_text().splitlines()) == 3


def test_ci_writes_nothing(target: TargetConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "films.jsonl"
    monkeypatch.setenv("CI", "1")
    with pytest.raises(AssertionError) as caught:
        assert_snapshot(target, SnapshotFilm, file)
    assert str(caught.value) == (
        "table snapshotfilm on sqlite_memory: snapshot films.jsonl is not there, and CI is set: nothing is written\n"
        "run the test once outside CI, and commit the file"
    )
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("CI", "false")
    assert_snapshot(target, SnapshotFilm, file)
    assert file.exists()


def test_other_columns_and_no_rows(target: TargetConfig, tmp_path: Path) -> None:
    file = tmp_path / "films.jsonl"
    assert_snapshot(target, SnapshotFilm, file, ignore="rate")
    assert_snapshot(target, SnapshotFilm, file, ignore=["rate"])
    with pytest.raises(AssertionError, match="has other columns: it lacks rate"):
        assert_snapshot(target, SnapshotFilm, file)
    with pytest.raises(AssertionError, match="has other columns: it also has title"):
        assert_snapshot(target, SnapshotFilm, file, ignore=["rate", "title"])
    run(target, "DELETE FROM snapshotfilm")
    with pytest.raises(AssertionError, match="3 rows stored, none found"):
        assert_snapshot(target, SnapshotFilm, file, ignore="rate")
    assert_snapshot(target, SnapshotFilm, file, update=True)
    assert file.read_bytes() == b""
    assert_snapshot(target, SnapshotFilm, file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n{", "no JSON at line 2"),
        (b"\xff", "a snapshot cannot be read"),
        (b"[1]\n", "no rows"),
        (b'{"film": 1}\n', "names a column that is not there"),
    ],
)
def test_files_that_are_no_snapshot(
    target: TargetConfig, tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "films.jsonl"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        assert_snapshot(target, SnapshotFilm, file)
    assert file.read_bytes() == content


def test_a_place_that_cannot_be_written(target: TargetConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a snapshot cannot be written"):
        assert_snapshot(target, SnapshotFilm, tmp_path / "file" / "films.jsonl", update=True)
    with pytest.raises(ConfigurationError, match="a snapshot cannot be read"):
        assert_snapshot(target, SnapshotFilm, tmp_path)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - names alone
