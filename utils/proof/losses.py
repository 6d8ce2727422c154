"""The findings of one table: one for each column and kind of loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel_framework.base.models.contract import Contract
from sqlmodel_framework.engines.base import Refusal
from sqlmodel_framework.utils.findings import Finding
from sqlmodel_framework.utils.proof.comparing import loss_of, shown, shown_pair
from sqlmodel_framework.utils.proof.forbidden import Forbidden
from sqlmodel_framework.utils.proof.rows import Row, loosely
from sqlmodel_framework.utils.proof.store import Refused

__all__ = ["Losses"]

_REFUSALS = {
    "null": "the column takes no null",
    "length": "the column is too short",
    "range": "the column's range is too small",
    "enum": "the column does not have this member, or shortens it",
    "foreign key": "a foreign key that the class does not have",
    "duplicate": "a unique key that the class does not have, or one that takes different values as equal",
    "check": "a CHECK that the class does not have, or another condition",
    "characters": "the character set or the type of the column lacks these characters",
    "unsent": "the driver does not take the value",
    "other": "the column does not take the value",
}


@dataclass
class Losses:
    """What a table loses, changes, refuses or lets in. `remedies` are those of the target's kind of database, by refusal."""

    contract: Contract
    remedies: Mapping[Refusal, str] = field(default_factory=dict)
    found: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def compare(self, sent: Sequence[Row], read: Sequence[Row]) -> list[Row]:
        """Every value of rows that were sent, by primary key; a row without a twin takes the one that is most like it.

        Most like it is one whose key differs in blanks at the end, case or accents alone, then one with most values in common.

        Gives the rows that are there.
        """
        lost = []
        left = list(read)
        waiting = []
        by_key = {self._key(row): row for row in reversed(left)} if self.contract.primary_key else {}
        for row in sent:
            twin = by_key.pop(self._key(row), None) if by_key else None
            if twin is None:
                waiting.append(row)
            else:
                left = [other for other in left if other is not twin]
                self._compare_row(row, twin)
        for row in waiting:
            twin = self._most_like(row, left)
            if twin is None:
                self._lost(row)
                lost.append(row)
            else:
                left = [other for other in left if other is not twin]
                self._compare_row(row, twin)
        return [row for row in sent if not any(row is other for other in lost)]

    def _key(self, row: Row) -> Any:
        values = tuple(row[name] for name in self.contract.primary_key)
        return tuple(bytes(v) if isinstance(v, bytearray | memoryview) else v for v in values)

    def _most_like(self, row: Row, left: Sequence[Row]) -> Row | None:
        names = self.contract.primary_key
        for other in left if names else ():
            if all(loosely(row[name]) == loosely(other.get(name)) for name in names):
                return other
        twin = max(left, key=lambda other: self._equal_values(row, other), default=None)
        return twin if twin is not None and (len(row) == 1 or self._equal_values(row, twin)) else None

    def _equal_values(self, sent: Row, read: Row) -> int:
        return sum(self._loss(name, sent, read) is None for name in sent)

    def _loss(self, name: str, sent: Row, read: Row) -> str | None:
        return loss_of(self.contract.columns[name], sent[name], read.get(name))

    def _compare_row(self, sent: Row, read: Row) -> None:
        for name in sent:
            cause = self._loss(name, sent, read)
            if cause is not None:
                expected, found = shown_pair(sent[name], read.get(name))
                self._add("DK901", name, cause, expected, found)

    def _lost(self, row: Row) -> None:
        names = self.contract.primary_key or tuple(row)[:1]
        key = ", ".join(f"{name} {shown(row[name])}" for name in names)
        cause = "the row was not kept, or its key was changed"
        self._add("DK903", None, cause, f"the row with {key}", "no such row")

    def refused(self, column: str | None, value: str, refused: Refused) -> None:
        """A row that the class allows was refused, because of this column's value where one is named."""
        cause = _REFUSALS.get(refused.reason, _REFUSALS["other"])
        remedy = self.remedies.get(refused.reason)
        cause += f"; where that is the database's own: {remedy}" if remedy else ""
        self._add("DK902", column, cause, value, f"refused: {refused.words}")

    def let_in(self, forbidden: Forbidden, read: Sequence[Any]) -> None:
        """A forbidden row was accepted."""
        column = forbidden.columns[0] if len(forbidden.columns) == 1 else None
        part = None if column else forbidden.part or ", ".join(forbidden.columns)
        told = f"accepted, and read as {', '.join(shown(value) for value in read)}" if read else "accepted"
        expected = f"{forbidden.sent} refused: {_WHY[forbidden.rule]}"
        self._add("DK911", column, _LET_IN[forbidden.rule], expected, told, part)

    def _add(
        self, code: str, column: str | None, cause: str, expected: str, found: str, part: str | None = None
    ) -> None:
        key = (code, column or part or "", cause)
        self.found.setdefault(
            key, Finding(self.contract.table, code, column, expected, found, cause, part=part)
        )


_WHY = {
    "null": "the column is NOT NULL",
    "length": "it is too long",
    "range": "it is out of the range of the type",
    "enum": "it is no member",
    "foreign key": "it leads to no row",
    "duplicate": "the key is unique",
    "check": "it breaks a CHECK",
}
_LET_IN = {
    "null": "the column is nullable in the database, or the session is not strict",
    "length": "the column is longer, or the session is not strict and cuts",
    "range": "the column has a wider type, or the session is not strict",
    "enum": "the column has another type or more members, or the session is not strict",
    "foreign key": "the foreign key is missing, not enforced or switched off",
    "duplicate": "the unique key is missing",
    "check": "the CHECK is missing or not enforced",
}
