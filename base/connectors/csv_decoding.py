"""Blocks of a server's CSV as Arrow tables, and what becomes of values that their type cannot hold.

A block is parsed at full speed; only one that Arrow refuses is read again as text, to find the values that do not fit.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlmodel_framework.base.connectors.source_columns import SourceColumn, finished_array
from sqlmodel_framework.base.errors import ExtractionError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["REJECT_COLUMNS", "Decoded", "Decoder", "delivered"]

_log = logging.getLogger(__name__)

REJECT_COLUMNS = "reject_columns"


@dataclass(frozen=True)
class Decoded:
    """The rows of one block, as batches.

    `rejected` are the rows left out, each column as the text that the server printed, and the names of the columns that
    did not fit in the list column REJECT_COLUMNS; None where there is none. `nulled` counts the values that became NULL
    by column.
    """

    batches: list[pa.RecordBatch]
    rejected: pa.RecordBatch | None = None
    nulled: Counter[str] = field(default_factory=Counter)


class Decoder:
    """Parses blocks of whole rows into batches of at most `batch_size` rows; threads may share one.

    `where` says in messages what is being read.
    """

    def __init__(self, columns: Sequence[SourceColumn], batch_size: int, where: str) -> None:
        import pyarrow as pa

        self._columns = columns
        self._batch_size = batch_size
        self.where = where
        self._names = [str(position) for position in range(len(columns))]
        parsed = [column.parsed for column in columns]
        self._options = self._convert(parsed)
        # Checking whether texts are UTF-8 is a quarter of the parsing, and most blocks need none.
        self._options_of_ascii = self._convert(parsed, check_utf8=False)
        self.schema = pa.schema([column.field for column in columns])

    def decode(self, block: bytes | bytearray) -> Decoded:
        """The rows of a block. Raises ExtractionError for a value that does not fit and whose column's policy is `fail`."""
        import pyarrow as pa

        try:
            options = self._options_of_ascii if block.isascii() else self._options
            return Decoded(self._finished(self._parsed(block, options)))
        except pa.ArrowInvalid:
            return self._decode_slowly(block)

    def _convert(self, types: Iterable[pa.DataType], *, check_utf8: bool = True) -> Any:
        from pyarrow import csv

        return csv.ConvertOptions(
            column_types=dict(zip(self._names, types, strict=True)),
            check_utf8=check_utf8,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        )

    def _parsed(self, block: bytes | bytearray, options: Any) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv

        return csv.read_csv(
            pa.BufferReader(block),
            read_options=csv.ReadOptions(
                column_names=self._names, block_size=max(len(block), 1), use_threads=False
            ),
            # A NULL in a table of one column is an empty line, which Arrow would skip by default.
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=options,
        )

    def _finished(self, table: pa.Table) -> list[pa.RecordBatch]:
        import pyarrow as pa

        arrays = [
            finished_array(array, column) for array, column in zip(table.columns, self._columns, strict=True)
        ]
        finished = pa.Table.from_arrays(arrays, schema=self.schema)
        batches: list[pa.RecordBatch] = finished.to_batches(max_chunksize=self._batch_size)
        return batches

    def _decode_slowly(self, block: bytes | bytearray) -> Decoded:
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            texts = self._parsed(block, self._convert([pa.string()] * len(self._columns)))
        except pa.ArrowInvalid:
            # Arrow's message quotes the row.
            raise ExtractionError("a row cannot be read", where=self.where) from None
        unfit = {
            position: bad
            for position, column in enumerate(self._columns)
            if (bad := _unfit(texts.column(position), column)) is not None
        }
        for position in unfit:
            if self._columns[position].policy == "fail":
                raise self._refusal(self._columns[position])
        nulled = {at: bad for at, bad in unfit.items() if self._columns[at].policy == "null"}
        rejected = {at: bad for at, bad in unfit.items() if self._columns[at].policy == "reject"}
        kept, left_out = texts, None
        if rejected:
            out = _any_of(list(rejected.values()))
            left_out = self._rejected(texts, rejected, out)
            kept = texts.filter(pc.invert(out))
            nulled = {at: bad.filter(pc.invert(out)) for at, bad in nulled.items()}
        counts = Counter(
            {self._columns[at].name: count for at, bad in nulled.items() if (count := pc.sum(bad).as_py())}
        )
        return Decoded(self._converted(kept, nulled), left_out, counts)

    def _converted(self, texts: pa.Table, nulled: dict[int, pa.ChunkedArray]) -> list[pa.RecordBatch]:
        """Texts that all fit as the types they are given, by the same parser."""
        import io

        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv

        if not texts.num_rows:
            return []
        for position, bad in nulled.items():
            blank = pc.if_else(bad, pa.scalar(None, pa.string()), texts.column(position))
            texts = texts.set_column(position, self._names[position], blank)
        block = io.BytesIO()
        csv.write_csv(texts, block, csv.WriteOptions(include_header=False, quoting_style="needed"))
        try:
            return self._finished(self._parsed(block.getvalue(), self._options))
        except pa.ArrowInvalid:
            raise ExtractionError("a row cannot be read", where=self.where) from None

    def _rejected(
        self, texts: pa.Table, rejected: dict[int, pa.ChunkedArray], out: pa.ChunkedArray
    ) -> pa.RecordBatch:
        import pyarrow as pa

        named = [self._columns[at].name for at in rejected]
        marks = zip(*(bad.filter(out).to_pylist() for bad in rejected.values()), strict=True)
        blamed = [[name for name, bad in zip(named, row, strict=True) if bad] for row in marks]
        rows = texts.filter(out).rename_columns([column.name for column in self._columns])
        return (
            rows.append_column(REJECT_COLUMNS, pa.array(blamed, pa.list_(pa.string())))
            .combine_chunks()
            .to_batches()[0]
        )

    def _refusal(self, column: SourceColumn) -> ExtractionError:
        return ExtractionError(
            "a value does not fit its Arrow type",
            where=f"{self.where}, column {column.name}",
            expected=str(column.given),
            next_step="choose null, string or reject with on_unrepresentable, or correct the value",
        )


def _unfit(texts: pa.ChunkedArray, column: SourceColumn) -> pa.ChunkedArray | None:
    """True where a text does not fit the type that the column is given as; None where all fit."""
    import pyarrow.compute as pc

    if column.fitting is None:
        return None
    bad = pc.fill_null(pc.invert(pc.match_substring_regex(texts, column.fitting)), False)
    return bad if pc.any(bad).as_py() else None


def _any_of(masks: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    found = masks[0]
    for mask in masks[1:]:
        found = pc.or_(found, mask)
    return found


def delivered(
    blocks: Generator[Decoded, None, None],
    schema: pa.Schema,
    on_reject: Callable[[pa.RecordBatch], None] | None,
    where: str,
) -> Generator[pa.RecordBatch, None, None]:
    """The batches of the blocks, at least one; rejected rows go to `on_reject`, what became NULL is logged by count."""
    import pyarrow as pa

    nulled: Counter[str] = Counter()
    given = False
    try:
        with closing(blocks):
            for block in blocks:
                nulled += block.nulled
                if block.rejected is not None and on_reject is not None:
                    on_reject(block.rejected)
                for batch in block.batches:
                    given = True
                    yield batch
        if not given:
            yield pa.RecordBatch.from_pylist([], schema=schema)
    finally:
        # Also where the caller stops early: the batches are with it.
        for column, values in sorted(nulled.items()):
            _log.warning(
                "%s: column %s: values that do not fit their Arrow type and became NULL: %d",
                where,
                column,
                values,
            )
