"""One batch: data files and a receipt, staged beside their place and published by one rename."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.errors import ConfigurationError, StorageError
from sqlmodel_framework.base.lake.formats import check_formats, open_writer
from sqlmodel_framework.base.lake.layout import batch_folder
from sqlmodel_framework.base.lake.leftovers import new_staging, remove_leftovers
from sqlmodel_framework.base.lake.swap import move_over
from sqlmodel_framework.base.models.utc import utc_now

if TYPE_CHECKING:
    import pyarrow as pa

    from sqlmodel_framework.base.lake.formats import DataWriter

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

    `run_date` None is today, UTC. A batch of the same system, table and date is replaced. Raises ConfigurationError for
    an unknown format, names that cannot be used and types that a format cannot hold, StorageError when files cannot be
    written. An error, from `batches` too, leaves what was published before untouched; but for one StorageError that says
    that the batch is visible and not yet safe from a power cut. What killed landings of the table left is removed.
    """
    wanted = check_formats(formats)
    run_date = run_date or utc_now().date()
    folder = batch_folder(root, system=system, table=table, run_date=run_date)
    _refuse_same_names(schema, f"system {system}, table {table}")
    with _staging(folder) as staging:
        paths, rows = _write_files(batches, schema, staging, wanted, folder)
        document = {
            "format_version": 1,
            "system": system,
            "table": table,
            "run_date": run_date.isoformat(),
            "batch_timestamp": utc_now().isoformat(),
            "total_records": rows,
            **(receipt or {}),
        }
        with _storage_errors(folder):
            files = [_file_entry(path, rows) for path in paths.values()]
            _write_durably(staging / RECEIPT, json.dumps({**document, "files": files}, indent=2).encode())
            _commit(staging, folder, root)
        with _durability_errors(folder):
            _sync(folder.parent)
    return PublishedBatch(folder, {name: folder / path.name for name, path in paths.items()}, rows)


def _refuse_same_names(schema: pa.Schema, where: str) -> None:
    twice = sorted(name for name, times in Counter(schema.names).items() if times > 1)
    if twice:
        raise ConfigurationError(
            "the rows have columns of the same name",
            where=where,
            seen=", ".join(twice),
            next_step="give each column a name of its own",
        )


def _write_files(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    staging: Path,
    formats: Sequence[str],
    folder: Path,
) -> tuple[dict[str, Path], int]:
    paths: dict[str, Path] = {}
    writers: list[DataWriter] = []
    rows = 0
    try:
        with _storage_errors(folder):
            for name in formats:
                paths[name], writer = open_writer(name, staging, schema)
                writers.append(writer)
        # An OSError of the source is none of the storage.
        for batch in batches:
            _refuse_other_columns(batch.schema, schema, folder)
            with _storage_errors(folder):
                for writer in writers:
                    writer.write(batch)
            rows += batch.num_rows
        with _storage_errors(folder):
            for writer in writers:
                writer.close()
            for path in paths.values():
                _sync(path)
    except BaseException:
        _abandon(writers)
        raise
    return paths, rows


def _abandon(writers: Iterable[DataWriter]) -> None:
    """Close files whose content nobody will see; closing may fail as writing did."""
    for writer in writers:
        with suppress(Exception):
            writer.close()


def _refuse_other_columns(found: pa.Schema, schema: pa.Schema, folder: Path) -> None:
    if not found.equals(schema):
        raise ConfigurationError(
            "a record batch has other columns than were announced",
            where=str(folder),
            seen=", ".join(f"{field.name} {field.type}" for field in found),
            expected=", ".join(f"{field.name} {field.type}" for field in schema),
        )


def _file_entry(path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": digest}


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the batch's own; what is still in it at the end is removed."""
    with ExitStack() as stack:
        with _storage_errors(folder):
            staging = stack.enter_context(new_staging(folder.parent))
            remove_leftovers(folder.parent)
        yield staging


def _commit(staging: Path, folder: Path, root: Path) -> None:
    """Make the batch visible, with all folders up to the root on disk: a new folder is when its parent is."""
    for path in (staging, *folder.parents):
        _sync(path)
        if path == root:
            break
    move_over(staging, folder)


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
            seen=_described(exc),
            next_step="free space or correct the path, then run again; nothing of this batch became visible",
        ) from exc


@contextmanager
def _durability_errors(folder: Path) -> Iterator[None]:
    """Errors after the rename: readers see the batch already, and taking it back could fail as well."""
    try:
        yield
    except OSError as exc:
        raise StorageError(
            "the batch is visible and complete, but the disk did not confirm its place",
            where=str(folder),
            seen=_described(exc),
            expected="a folder that outlasts a power cut",
            next_step="check the disk, then run again: the new batch takes the place of this one",
        ) from exc


def _described(exc: OSError) -> str:
    return f"{type(exc).__name__}: {os.strerror(exc.errno) if exc.errno else exc}"
