"""What one extraction reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2

from sqlmodel_framework.base.connectors.csv_decoding import Decoder
from sqlmodel_framework.base.connectors.postgres_types import describe_columns
from sqlmodel_framework.base.connectors.source_columns import OnUnrepresentable, SourceColumn, chosen_columns
from sqlmodel_framework.base.errors import ConfigurationError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver's class is lower case

__all__ = ["Reading", "bound"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What to read.

    `source` is what stands after FROM and `condition` what stands after WHERE, both as SQL text with the values in
    place; an empty condition is none. `where` says in messages what is being read. `columns` None means all of them.
    """

    source: str
    where: str
    condition: str = ""
    columns: Sequence[str] | None = None
    batch_size: int = 65_536
    on_unrepresentable: OnUnrepresentable = "fail"

    def described(self, connection: PsycopgConnection) -> list[SourceColumn]:
        """The columns that are read, each under its policy."""
        every = describe_columns(connection, self.source, self.where)
        return chosen_columns(every, self.columns, self.on_unrepresentable, self.where)

    def decoder(self, columns: Sequence[SourceColumn]) -> Decoder:
        """What makes batches of these columns."""
        return Decoder(columns, self.batch_size, self.where)

    def copies(self, columns: Sequence[SourceColumn], pieces: Sequence[str]) -> list[str]:
        """A COPY statement of these columns for the rows of each piece; an empty piece is all rows."""
        selected = ", ".join(column.printed for column in columns)
        return [self._copy(selected, piece) for piece in pieces]

    def _copy(self, selected: str, piece: str) -> str:
        conditions = [f"({condition}\n)" for condition in (self.condition, piece) if condition]
        filtered = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"COPY (SELECT {selected} FROM {self.source}{filtered}) TO STDOUT (FORMAT csv)"  # noqa: S608 - as asked for


def bound(connection: PsycopgConnection, text: str, parameters: Mapping[str, Any] | None, where: str) -> str:
    """SQL text with the values of `%(name)s` in their places; None leaves the text as it is, percent signs too.

    Raises ConfigurationError for a name without value and for a value that the driver does not know.
    """
    if parameters is None:
        return text
    try:
        with connection.cursor() as cursor:
            return cursor.mogrify(text, parameters).decode()
    except (KeyError, TypeError, IndexError, ValueError, psycopg2.ProgrammingError):
        # The driver's message may quote the value.
        raise ConfigurationError(
            "the parameters do not fit the placeholders",
            where=where,
            seen="parameters " + ", ".join(sorted(map(str, parameters))),
            expected="a value the driver knows for each %(name)s; a percent sign itself is %%",
        ) from None
