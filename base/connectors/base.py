"""What every connector gives: typed record batches, and what it can read."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BatchSource", "Connector", "ForeignKey", "Keys", "TableDescription"]


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to those of another table, which is named with its schema where the source has schemas."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Keys:
    """The constraints of a table that name its rows or those of others; the unique keys in the order of their names."""

    primary: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    foreign: tuple[ForeignKey, ...]


@dataclass(frozen=True)
class TableDescription:
    """What a source says of a table.

    `schema` is that of the batches. `primary_key` is empty where the source declares none. `row_estimate` comes from the
    source's statistics, and is None where it has none.
    """

    table: str
    schema: pa.Schema
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    row_estimate: int | None = None


class BatchSource(Protocol):
    """What a landing needs of a connector. `host` is None where the source has none, such as a file."""

    @property
    def host(self) -> str | None:
        """The host that Bronze rows are stamped with."""

    def schema(self, table: str) -> pa.Schema:
        """The Arrow schema of the batches that `extract` gives for a table."""

    def extract(self, table: str) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a table, in constant memory, as batches of one schema."""

    def read_dataframe(self, table: str) -> pd.DataFrame:
        """The rows of a table as one DataFrame with Arrow's types."""


class Connector(BatchSource, Protocol):
    """A source."""

    def get_tables(self, schema: str | None = None) -> list[str]:
        """Names of the tables, sorted."""

    def describe(self, table: str) -> TableDescription:
        """The schema, the keys and an estimate of the rows of a table."""

    def extract(
        self, table: str, *, columns: Sequence[str] | None = None, batch_size: int = 65_536
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a table, in constant memory, all of one moment, as batches of one schema.

        There is at least one batch, of at most `batch_size` rows each. `columns` None means all of them. Closing the
        generator ends the source's work. Raises ExtractionError or TryAgainError.
        """

    def count(self, table: str) -> int:
        """The number of rows of a table, counted by the source."""
