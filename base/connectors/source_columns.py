"""Columns of a source as they are read: what its server prints, the Arrow type, and what becomes of values that do not fit."""

from __future__ import annotations

from binascii import unhexlify
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from sqlmodel_framework.base.errors import ConfigurationError, ExtractionError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "OnUnrepresentable",
    "SourceColumn",
    "Unrepresentable",
    "chosen_columns",
    "finished_array",
    "refuse_options",
    "refuse_unknown",
    "refuse_unusable",
]

Unrepresentable = Literal["fail", "null", "string", "reject"]
OnUnrepresentable = Unrepresentable | Mapping[str, Unrepresentable]


_POLICIES = ("fail", "null", "string", "reject")


@dataclass(frozen=True)
class SourceColumn:
    """One column to read. `printed` is the expression that the server prints, `parsed` the type that the text is parsed as,
    `given` the type that leaves the connector.

    `fitting` is the pattern of the texts that `given` can hold, None where it holds all values of the column; `policy`
    says what becomes of the others. With `in_hex` the text is the bytes of the value in hexadecimal digits.
    """

    name: str
    printed: str
    parsed: pa.DataType
    given: pa.DataType
    fitting: str | None = None
    policy: Unrepresentable = "fail"
    in_hex: bool = False

    @property
    def field(self) -> pa.Field:
        """The Arrow field that leaves the connector."""
        import pyarrow as pa

        return pa.field(self.name, self.given)

    def under(self, policy: Unrepresentable) -> SourceColumn:
        """The column read under a policy; with `string`, one whose values do not all fit is read as text."""
        import pyarrow as pa

        if policy == "string" and self.fitting is not None:
            return replace(self, parsed=pa.string(), given=pa.string(), fitting=None, policy=policy)
        return replace(self, policy=policy)


def chosen_columns(
    described: Sequence[SourceColumn], names: Sequence[str] | None, policy: OnUnrepresentable, where: str
) -> list[SourceColumn]:
    """The columns asked for, None being all of them, each under its policy.

    Raises ExtractionError for a name that is not there or there twice, ConfigurationError for an unknown policy.
    """
    by_name = {column.name: column for column in described}
    if names is not None:
        refuse_unusable(names, where)
        refuse_unknown(names, list(by_name), "column", where)
    policies = policy if isinstance(policy, Mapping) else dict.fromkeys(by_name, policy)
    refuse_unknown(list(policies), list(by_name), "column", where)
    for given in policies.values():
        if given not in _POLICIES:
            raise ConfigurationError(
                "unknown policy for values that do not fit",
                where=where,
                seen=str(given),
                expected="one of " + ", ".join(_POLICIES),
            )
    return [by_name[name].under(policies.get(name, "fail")) for name in names or by_name]


def refuse_options(
    batch_size: int,
    on_unrepresentable: OnUnrepresentable,
    on_reject: Callable[[Any], None] | None,
    where: str,
) -> None:
    """Raise ConfigurationError for batches without rows, and for rejected rows that nobody takes."""
    if batch_size < 1:
        raise ConfigurationError(
            "the batch size is no number of rows", where=where, seen=str(batch_size), expected="1 or more"
        )
    policies = (
        on_unrepresentable.values() if isinstance(on_unrepresentable, Mapping) else [on_unrepresentable]
    )
    if "reject" in policies and on_reject is None:
        raise ConfigurationError(
            "rejected rows would be lost",
            where=where,
            next_step="give on_reject a function that takes them as record batches",
        )


def refuse_unknown(wanted: Sequence[str], known: Sequence[str], kind: str, where: str) -> None:
    """Raise ExtractionError for names that are not among the known ones."""
    unknown = [name for name in wanted if name not in set(known)]
    if unknown:
        raise ExtractionError(
            f"unknown {kind}", where=where, seen=", ".join(unknown), expected="one of " + ", ".join(known)
        )


def refuse_unusable(names: Sequence[str], where: str) -> None:
    """Raise ExtractionError for no name at all and for a name that is there twice."""
    if not names:
        raise ExtractionError("the source has no column", where=where, expected="at least one")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ExtractionError(
            "the source has columns of the same name",
            where=where,
            seen=", ".join(twice),
            next_step="give each column of the query a name of its own",
        )


def finished_array(parsed: pa.ChunkedArray, column: SourceColumn) -> pa.ChunkedArray:
    """The column as it leaves the connector, from the form it was parsed in. Raises pa.ArrowInvalid where a text does not fit."""
    import pyarrow as pa

    if column.in_hex:
        values = pa.chunked_array([_from_hex(chunk) for chunk in parsed.chunks], pa.binary())
        return values.cast(column.given)
    if column.parsed == column.given:
        return parsed
    return parsed.cast(column.given)


def _from_hex(digits: pa.StringArray) -> pa.BinaryArray:
    """All values at once: the digits of a fresh array stand one after the other, two to a byte."""
    import numpy as np
    import pyarrow as pa

    assert digits.offset == 0
    validity, offsets, text = digits.buffers()
    halves = np.frombuffer(offsets, np.int32, len(digits) + 1) // 2
    data = unhexlify(memoryview(text)[: 2 * int(halves[-1])]) if text else b""
    return pa.Array.from_buffers(
        pa.binary(), len(digits), [validity, pa.py_buffer(halves), pa.py_buffer(data)], digits.null_count
    )
