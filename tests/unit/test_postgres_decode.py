"""Blocks of COPY's CSV as batches, without a server: what a server would not send is refused too."""

from __future__ import annotations

import pyarrow as pa
import pytest
from psycopg2 import sql

from sqlmodel_framework.base.connectors.postgres_decode import Decoder
from sqlmodel_framework.base.connectors.postgres_types import SourceColumn
from sqlmodel_framework.base.errors import ExtractionError


def decoder(*kinds: pa.DataType) -> Decoder:
    columns = [SourceColumn(f"c{number}", sql.SQL(""), kind, kind) for number, kind in enumerate(kinds)]
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
