"""Bronze ingestion from a real source: streams and DataFrames, stamps, one commit, nothing after a failure."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time as clock
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow.parquet as pq
import pytest

from sqlmodel_framework import (
    BronzeIngestionPipeline,
    BronzeMetadata,
    ConfigurationError,
    DatakitError,
    ExtractionError,
    PostgresConnector,
    StorageError,
    TargetConfig,
    TryAgainError,
)
from sqlmodel_framework.utils.demo import source_config

pytestmark = pytest.mark.postgres

STAMP = list(BronzeMetadata.model_fields)


@pytest.fixture
def source(postgres_database: TargetConfig) -> PostgresConnector:
    """A connector to a database with one table, `film`."""
    connector = PostgresConnector(
        replace(source_config(postgres_database), application_name=f"reader_{uuid4().hex[:8]}")
    )
    run(
        connector,
        "CREATE TABLE film (id integer, price numeric(5,2), at timestamptz, tags text[], picture bytea, nothing text)",
        """INSERT INTO film VALUES (1, 0.99, '2024-02-29 12:00+02', '{a,NULL}', '\\x00ff', NULL),
           (2, NULL, NULL, NULL, '', '')""",
    )
    return connector


@pytest.fixture
def pipeline(source: PostgresConnector, tmp_path: Path) -> BronzeIngestionPipeline:
    return BronzeIngestionPipeline(source, tmp_path / "bronze")


def run(source: PostgresConnector, *statements: str) -> None:
    with closing(source.get_connection()) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


def json_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files_below(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def left_behind(source: PostgresConnector) -> list[str]:
    """Threads and sessions of the source that are still there after a moment."""
    name = source.config.application_name
    query = f"SELECT query FROM pg_stat_activity WHERE application_name = '{name}'"
    observer = PostgresConnector(replace(source.config, application_name="observer"))
    deadline = clock.monotonic() + 10
    while True:
        with closing(observer.get_connection()) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            left = [str(found) for (found,) in cursor.fetchall()]
        left += [thread.name for thread in threading.enumerate() if thread.name == "datakit-copy"]
        if not left or clock.monotonic() > deadline:
            return left
        clock.sleep(0.02)


def test_a_table_lands_with_its_stamp_and_a_receipt(
    pipeline: BronzeIngestionPipeline, source: PostgresConnector
) -> None:
    before = datetime.now(UTC)
    batch = pipeline.ingest_table("film", source_system="shop", formats=["parquet", "json"])
    after = datetime.now(UTC)
    landed = pq.read_table(batch.paths["parquet"])
    first, second = landed.to_pylist()
    assert landed.column_names == ["id", "price", "at", "tags", "picture", "nothing", *STAMP]
    assert before <= first["bronze_load_timestamp"] <= after
    assert first["bronze_load_timestamp"] == second["bronze_load_timestamp"]
    stamp = {name: first[name] for name in STAMP}
    assert list(stamp.values())[1:] == ["shop", "film", source.host, "full_snapshot"]
    moment = datetime(2024, 2, 29, 10, tzinfo=UTC)
    assert first == {
        "id": 1,
        "price": Decimal("0.99"),
        "at": moment,
        "tags": '["a",null]',
        "picture": b"\x00\xff",
        "nothing": None,
        **stamp,
    }
    assert second == {
        "id": 2,
        "price": None,
        "at": None,
        "tags": None,
        "picture": b"",
        "nothing": "",
        **stamp,
    }
    loaded_at = first["bronze_load_timestamp"].isoformat(timespec="microseconds").replace("+00:00", "Z")
    in_json = {**stamp, "bronze_load_timestamp": loaded_at}
    assert json_rows(batch.paths["json"]) == [
        {
            "id": 1,
            "price": "0.99",
            "at": "2024-02-29T10:00:00.000000Z",
            "tags": '["a",null]',
            "picture": "AP8=",
            "nothing": None,
            **in_json,
        },
        {"id": 2, "price": None, "at": None, "tags": None, "picture": "", "nothing": "", **in_json},
    ]
    receipt = json.loads((batch.folder / "_metadata.json").read_text())
    assert receipt["source_host"] == source.host
    assert receipt["extraction_method"] == "full_snapshot"
    assert receipt["run_date"] == first["bronze_load_timestamp"].date().isoformat()
    assert receipt["total_records"] == batch.rows == 2
    for entry, path in zip(receipt["files"], batch.paths.values(), strict=True):
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["name"] == path.name
        assert entry["rows"] == 2
    assert left_behind(source) == []


def test_a_table_without_rows_lands_with_its_columns(
    pipeline: BronzeIngestionPipeline, source: PostgresConnector
) -> None:
    run(source, "TRUNCATE film")
    batch = pipeline.ingest_table("film", source_system="shop", formats=["parquet", "json"])
    schema = pq.read_schema(batch.paths["parquet"])
    assert schema.names == [*source.schema("film").names, *STAMP]
    assert schema.field("price").type == source.schema("film").field("price").type
    assert batch.rows == 0
    assert batch.paths["json"].read_bytes() == b""


def test_the_dataframe_road_lands_the_same_rows(pipeline: BronzeIngestionPipeline) -> None:
    stamp: dict[str, Any] = {"source_system": "shop", "source_table": "film", "extraction_method": "by_hand"}
    df = pipeline.add_bronze_metadata(pipeline.extract_table("film"), **stamp)
    paths = pipeline.write_bronze(df, source_system="shop", table_name="film", formats=["parquet", "json"])
    streamed = pipeline.ingest_table("film", source_system="shop2", formats=["parquet", "json"])
    business = ["id", "price", "at", "tags", "picture", "nothing"]
    assert pq.read_table(paths["parquet"]).select(business).to_pylist() == (
        pq.read_table(streamed.paths["parquet"]).select(business).to_pylist()
    )
    assert [row["bronze_extraction_method"] for row in json_rows(paths["json"])] == ["by_hand"] * 2
    assert list(paths) == ["parquet", "json"]
    assert all(path.is_file() for path in paths.values())


@pytest.mark.parametrize("rows", [0, 2])
def test_a_stamp_has_types_whatever_its_values(pipeline: BronzeIngestionPipeline, rows: int) -> None:
    frame = pd.DataFrame({"a": range(rows)}, index=[7] * rows)
    nowhere = BronzeIngestionPipeline(
        PostgresConnector(replace(pipeline.connector.config, host=None)),  # type: ignore[attr-defined]
        pipeline.bronze_path,
    )
    stamped = nowhere.add_bronze_metadata(frame, source_system="s", source_table="t")
    assert list(frame.columns) == ["a"]
    assert list(stamped.columns) == ["a", *STAMP]
    assert str(stamped["bronze_load_timestamp"].dtype) == "datetime64[us, UTC]"
    assert stamped["bronze_source_host"].isna().all()
    paths = nowhere.write_bronze(stamped, source_system="s", table_name="t")
    landed = pq.read_table(paths["parquet"])
    assert landed.column_names == ["a", *STAMP]
    assert "string" in str(landed.schema.field("bronze_source_host").type)
    assert str(landed.schema.field("bronze_load_timestamp").type) == "timestamp[us, tz=UTC]"


def test_rows_are_stamped_once(pipeline: BronzeIngestionPipeline, source: PostgresConnector) -> None:
    frame = pipeline.add_bronze_metadata(pd.DataFrame({"a": [1]}), source_system="s", source_table="t")
    message = (
        "the rows have Bronze metadata already; seen: {}; expected: rows as the source has them;"
        " next: stamp rows once, or rename the source's columns"
    )
    with pytest.raises(ConfigurationError) as caught:
        pipeline.add_bronze_metadata(frame, source_system="s", source_table="t")
    assert str(caught.value) == message.format(", ".join(sorted(STAMP)))
    run(source, "ALTER TABLE film ADD COLUMN bronze_source_host text")
    with pytest.raises(ConfigurationError) as caught:
        pipeline.ingest_table("film", source_system="s")
    assert str(caught.value) == message.format("bronze_source_host")
    assert not pipeline.bronze_path.exists()
    assert left_behind(source) == []


class SpiedConnector(PostgresConnector):
    """Counts what it is asked to read."""

    read = 0

    def extract(self, *args: Any, **options: Any) -> Any:
        self.read += 1
        return super().extract(*args, **options)


@pytest.mark.parametrize("formats", [["parquet", "csw"], [], "parquet"])
def test_a_wrong_format_is_refused_before_the_source_is_read(
    source: PostgresConnector, tmp_path: Path, formats: Any
) -> None:
    spied = SpiedConnector(source.config)
    pipeline = BronzeIngestionPipeline(spied, tmp_path / "bronze")
    with pytest.raises(ConfigurationError, match="format"):
        pipeline.ingest_table("film", source_system="shop", formats=formats)
    with pytest.raises(ConfigurationError, match="format"):
        pipeline.write_bronze(
            pd.DataFrame({"a": [1, "x"]}), source_system="shop", table_name="film", formats=formats
        )
    assert spied.read == 0
    assert not pipeline.bronze_path.exists()


def test_a_second_run_of_the_day_replaces_the_first(
    pipeline: BronzeIngestionPipeline, source: PostgresConnector
) -> None:
    first = pipeline.ingest_table("film", source_system="shop", formats=["parquet", "json"])
    run(source, "DELETE FROM film WHERE id = 1")
    second = pipeline.ingest_table("film", source_system="shop")
    if first.folder == second.folder:  # the day may have changed in between
        assert sorted(path.name for path in second.folder.iterdir()) == [
            "_metadata.json",
            "part-0001.parquet",
        ]
    assert pq.read_table(second.paths["parquet"])["id"].to_pylist() == [2]


def missing_table(source: PostgresConnector) -> None:
    run(source, "DROP TABLE film")


def error_in_the_middle(source: PostgresConnector) -> None:
    run(
        source,
        "DROP TABLE film",
        "CREATE VIEW film AS SELECT i, repeat('x', 100), 1 / (100000 - i) AS v FROM generate_series(1, 200000) i",
    )


def value_without_a_form(source: PostgresConnector) -> None:
    run(source, "INSERT INTO film (at) VALUES ('infinity')")


def ended_by_the_server(source: PostgresConnector) -> None:
    run(
        source,
        "DROP TABLE film",
        "CREATE VIEW film AS SELECT i, CASE WHEN i = 100000 THEN pg_terminate_backend(pg_backend_pid())::text"
        " ELSE repeat('x', 100) END AS v FROM generate_series(1, 200000) i",
    )


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (missing_table, ExtractionError),
        (error_in_the_middle, ExtractionError),
        (value_without_a_form, ExtractionError),
        (ended_by_the_server, TryAgainError),
    ],
)
def test_an_error_of_the_source_leaves_the_earlier_batch(
    pipeline: BronzeIngestionPipeline, source: PostgresConnector, spoil: Any, kind: type[DatakitError]
) -> None:
    pipeline.ingest_table("film", source_system="shop", formats=["parquet", "json"])
    before = files_below(pipeline.bronze_path)
    spoil(source)
    with pytest.raises(kind) as caught:
        pipeline.ingest_table("film", source_system="shop", formats=["parquet", "json"])
    assert "table public.film" in str(caught.value)
    assert files_below(pipeline.bronze_path) == before
    assert not list(pipeline.bronze_path.rglob(".*"))
    assert left_behind(source) == []


def test_a_storage_that_fails_ends_the_reading(source: PostgresConnector, tmp_path: Path) -> None:
    run(source, "CREATE VIEW many AS SELECT i, repeat('x', 100) AS v FROM generate_series(1, 3000000) i")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        BronzeIngestionPipeline(source, tmp_path / "file").ingest_table("many", source_system="s")
    assert left_behind(source) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_gets_full_ends_the_reading_while_the_error_lives(
    source: PostgresConnector, small_disk: Path
) -> None:
    run(source, "CREATE VIEW many AS SELECT i, md5(i::text) AS v FROM generate_series(1, 3000000) i")
    with pytest.raises(StorageError) as caught:
        BronzeIngestionPipeline(source, small_disk).ingest_table("many", source_system="s", formats=["json"])
    assert left_behind(source) == []
    assert caught.value.seen == "OSError: No space left on device"
    assert files_below(small_disk) == {}


def test_a_mixed_column_is_named_and_its_values_are_not(pipeline: BronzeIngestionPipeline) -> None:
    frame = pd.DataFrame({"fine": [1, 2], "the price": pd.Series([1, "canary"], dtype=object)})
    with pytest.raises(ConfigurationError) as caught:
        pipeline.write_bronze(frame, source_system="s", table_name="t")
    assert str(caught.value) == (
        "a column of the DataFrame has no single Arrow type (column the price); seen: int, str;"
        " next: give the column one type"
    )
    assert not pipeline.bronze_path.exists()


def test_a_dataframe_of_all_kinds_lands_alike_in_both_formats(pipeline: BronzeIngestionPipeline) -> None:
    moment = datetime(2024, 2, 29, 12, 0, 0, 5, tzinfo=UTC)
    frame = pd.DataFrame(
        {
            "decimal": pd.Series([Decimal("1.10"), None], dtype=object),
            "list": pd.Series([["a", None], None], dtype=object),
            "bytes": pd.Series([b"\x00", None], dtype=object),
            "nothing": pd.Series([None, None], dtype=object),
            "aware": [moment, None],
            "naive": [moment.replace(tzinfo=None), None],
            "category": pd.Categorical(["x", None]),
            "date": pd.Series([date(2024, 2, 29), None], dtype=object),
        }
    ).set_index(pd.Index([5, 5], name="left out"))
    paths = pipeline.write_bronze(frame, source_system="s", table_name="t", formats=["parquet", "json"])
    nothing = dict.fromkeys(frame.columns)
    assert pq.read_table(paths["parquet"]).to_pylist() == [
        {
            "decimal": Decimal("1.10"),
            "list": ["a", None],
            "bytes": b"\x00",
            "nothing": None,
            "aware": moment,
            "naive": moment.replace(tzinfo=None),
            "category": "x",
            "date": date(2024, 2, 29),
        },
        nothing,
    ]
    assert json_rows(paths["json"]) == [
        {
            "decimal": "1.10",
            "list": ["a", None],
            "bytes": "AA==",
            "nothing": None,
            "aware": "2024-02-29T12:00:00.000005Z",
            "naive": "2024-02-29T12:00:00.000005",
            "category": "x",
            "date": "2024-02-29",
        },
        nothing,
    ]


class FilesOfMyOwn:
    """The least that a connector of a user's own has."""

    host = None

    def get_tables(self, schema: str | None = None) -> list[str]:
        return ["t"]

    def schema(self, table: str) -> Any:
        import pyarrow as pa

        return pa.schema([("a", pa.int64())])

    def extract(self, table: str) -> Any:
        import pyarrow as pa

        if table == "t":
            yield pa.RecordBatch.from_pydict({"a": [1]})
            yield pa.RecordBatch.from_pydict({"a": [2, 3]})

    def read_dataframe(self, table: str) -> pd.DataFrame:
        raise NotImplementedError


def test_any_connector_will_do(tmp_path: Path) -> None:
    batch = BronzeIngestionPipeline(FilesOfMyOwn(), str(tmp_path)).ingest_table("t", source_system="files")
    landed = pq.read_table(batch.paths["parquet"])
    assert landed["a"].to_pylist() == [1, 2, 3]
    assert landed["bronze_source_host"].to_pylist() == [None] * 3
    empty = BronzeIngestionPipeline(FilesOfMyOwn(), str(tmp_path)).ingest_table("none", source_system="files")
    assert pq.read_schema(empty.paths["parquet"]) == landed.schema
    assert empty.rows == 0
