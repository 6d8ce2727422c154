"""Blocks of COPY's CSV as batches, without a server: what a server would not send is refused too."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pyarrow as pa
import pytest

from sqlmodel_framework.base.connectors.csv_decoding import Decoder
from sqlmodel_framework.base.connectors.source_columns import SourceColumn
from sqlmodel_framework.base.errors import ExtractionError


def decoder(*kinds: pa.DataType) -> Decoder:
    columns = [SourceColumn(f"c{number}", "", kind, kind) for number, kind in enumerate(kinds)]
    return Decoder(columns, 100, "extract table t")


@pytest.mark.parametrize("block", [b"1,a\n2,\n", bytearray("1,é\n2,\n".encode())])
def test_text_of_ascii_and_of_more_is_decoded(block: bytes | bytearray) -> None:
    (batch,) = decoder(pa.int32(), pa.string()).decode(block).batches
    batch.validate(full=True)
    assert batch.to_pydict() == {"c0": [1, 2], "c1": [block[2:-4].decode(), None]}


@pytest.mark.parametrize("block", [b"1,canary\xff\n", b"1,canary,2\n", b"canary,1\n"])
def test_a_block_that_is_none_is_refused_without_its_words(block: bytes) -> None:
    with pytest.raises(ExtractionError) as caught:
        decoder(pa.int32(), pa.string()).decode(block)
    assert str(caught.value).startswith("a row cannot be read (extract table t)")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_stands_beside_a_value_that_does_not_fit_stays_as_it_is() -> None:
    words = ['""', "", '"a ""b"", c"', '"line\nline\r\n"', '"\\N"', "é", "NULL"]
    block = "".join(
        f"{word},{'infinity' if not place else '2024-02-29'}\n" for place, word in enumerate(words)
    )
    columns = [
        SourceColumn("word", "", pa.string(), pa.string()),
        SourceColumn("day", "", pa.date32(), pa.date32(), r"^\d{4}-", "null"),
    ]
    made = Decoder(columns, 3, "extract table t").decode(block.encode())
    rows = pa.Table.from_batches(made.batches).to_pydict()
    assert rows["word"] == ["", None, 'a "b", c', "line\nline\r\n", "\\N", "é", "NULL"]
    assert rows["day"] == [None, *[date(2024, 2, 29)] * 6]
    assert made.nulled == {"day": 1}
    assert [batch.num_rows for batch in made.batches] == [3, 3, 1]


@pytest.mark.parametrize("policy", ["null", "reject"])
def test_one_column_in_which_nothing_fits(policy: Literal["null", "reject"]) -> None:
    column = SourceColumn("a", "", pa.date32(), pa.date32(), r"^\d{4}-", policy)
    made = Decoder([column], 100, "extract table t").decode(b"infinity\n" * 3)
    rows = 3 if policy == "null" else 0
    assert [value for batch in made.batches for value in batch["a"].to_pylist()] == [None] * rows
    assert (made.rejected.num_rows if made.rejected else 0) == 3 - rows


def test_a_row_of_two_policies_is_rejected_and_counts_for_nothing_else() -> None:
    columns = [
        SourceColumn("a", "", pa.date32(), pa.date32(), r"^\d{4}-", "null"),
        SourceColumn("b", "", pa.date32(), pa.date32(), r"^\d{4}-", "reject"),
    ]
    made = Decoder(columns, 100, "extract table t").decode(b"infinity,infinity\n2024-02-29,infinity\n")
    assert made.rejected is not None
    assert made.rejected.to_pylist() == [
        {"a": "infinity", "b": "infinity", "reject_columns": ["b"]},
        {"a": "2024-02-29", "b": "infinity", "reject_columns": ["b"]},
    ]
    assert (sum(batch.num_rows for batch in made.batches), made.nulled) == (0, {})
