"""One batch: data files and a receipt, staged beside their place and published by one rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlmodel_framework.base.errors import StorageError
from sqlmodel_framework.base.lake.formats import DataWriter, open_writer
from sqlmodel_framework.base.lake.layout import batch_folder
from sqlmodel_framework.base.models.utc import utc_now

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PublishedBatch", "publish_batch"]

RECEIPT = "_metadata.json"


@dataclass(frozen=True)
class PublishedBatch:
    """A batch that readers see. `paths` are the data files by format, `rows` the number of rows in each of them."""

    folder: Path
    paths: Mapping[str, Path]
    rows: int


def publish_batch(
    batches: Iterable[pa.RecordBatch],
    *,
    schema: pa.Schema,
    root: Path,
    system: str,
    table: str,
    formats: Sequence[str],
    run_date: date | None = None,
    receipt: Mapping[str, Any] | None = None,
) -> PublishedBatch:
    """Write record batches in every format at once, in constant memory, and publish them with a receipt.

    `run_date` None is today, UTC. A batch of the same system, table and date is replaced. Raises StorageError when
    files cannot be written; an error, from `batches` too, leaves what was published before untouched.
    """
    run_date = run_date or utc_now().date()
    folder = batch_folder(root, system=system, table=table, run_date=run_date)
    with _storage_errors(folder), _staging(folder) as staging:
        paths, rows = _write_files(batches, schema, staging, formats)
        document = {
            "format_version": 1,
            "system": system,
            "table": table,
            "run_date": run_date.isoformat(),
            "batch_timestamp": utc_now().isoformat(),
            "total_records": rows,
            "files": [_file_entry(path, rows) for path in paths.values()],
            **(receipt or {}),
        }
        _write_durably(staging / RECEIPT, json.dumps(document, indent=2).encode())
        _commit(staging, folder)
    return PublishedBatch(folder, {name: folder / path.name for name, path in paths.items()}, rows)


def _write_files(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, staging: Path, formats: Sequence[str]
) -> tuple[dict[str, Path], int]:
    paths: dict[str, Path] = {}
    writers: list[DataWriter] = []
    rows = 0
    with ExitStack() as open_files:
        for name in dict.fromkeys(formats):
            paths[name], writer = open_writer(name, staging, schema)
            open_files.callback(writer.close)
            writers.append(writer)
        for batch in batches:
            for writer in writers:
                writer.write(batch)
            rows += batch.num_rows
    for path in paths.values():
        _sync(path)
    return paths, rows


def _file_entry(path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": digest}


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the batch's own; what is still in it at the end is removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.parent / f".staging-{uuid4().hex}"
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _commit(staging: Path, folder: Path) -> None:
    """Make the batch visible by one rename; an earlier one of the same day is moved away first and then removed."""
    old = folder.parent / f".replaced-{uuid4().hex}"
    replacing = folder.exists()
    if replacing:
        folder.rename(old)
    try:
        staging.rename(folder)
    except OSError:
        if replacing:
            old.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write_durably(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(
            "the batch could not be written",
            where=str(folder),
            seen=f"{type(exc).__name__}: {os.strerror(exc.errno) if exc.errno else exc}",
            next_step="free space or correct the path, then run again; nothing of this batch became visible",
        ) from exc
