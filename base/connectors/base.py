"""What every connector gives: typed record batches, and the names of what it can read."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Connector"]


class Connector(Protocol):
    """A source. `host` is None where the source has none, such as a file."""

    @property
    def host(self) -> str | None:
        """The host that Bronze rows are stamped with."""

    def get_tables(self, schema: str | None = None) -> list[str]:
        """Names of the tables, sorted."""

    def schema(self, table: str) -> pa.Schema:
        """The Arrow schema of the batches that `extract` gives for a table."""

    def extract(self, table: str) -> Generator[pa.RecordBatch, None, None]:
        """The rows of a table, in constant memory, all of one moment, as batches of one schema.

        Closing the generator ends the source's work. Raises ExtractionError or TryAgainError.
        """

    def read_dataframe(self, table: str) -> pd.DataFrame:
        """The rows of a table as one DataFrame with Arrow's types."""
