"""What a field's annotation allows beside its type: `Field(max_length=…)`, `Annotated[…]`, `Literal[…]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

__all__ = ["Limits", "limits_of"]


@dataclass(frozen=True)
class Limits:
    """Limits as they are written; None means that there is none.

    `ge`, `gt`, `le`, `lt` and `multiple_of` have the type of the field. `pattern` may match anywhere in a text, as
    pydantic takes it. `choices` are the values of a `Literal`.
    """

    min_length: int | None = None
    max_length: int | None = None
    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    multiple_of: Any = None
    max_digits: int | None = None
    decimal_places: int | None = None
    pattern: str | None = None
    choices: tuple[Any, ...] | None = None


_NAMES = [field.name for field in fields(Limits)][:-1]


def limits_of(field: FieldInfo) -> Limits:
    """The limits of a field, wherever they stand: in `Field`, in `Annotated`, or inside `X | None`. Of two of one kind the last counts."""
    found: dict[str, Any] = {}
    # SQLModel takes `regex` and passes it on to nobody; it is what the class says all the same.
    regex = getattr(field, "_attributes_set", {}).get("regex")
    if regex is not None:
        found["pattern"] = regex
    for mark in (*_marks(field.annotation), *field.metadata):
        for name in _NAMES:
            value = getattr(mark, name, None)
            if value is not None:
                found[name] = getattr(value, "pattern", value) if name == "pattern" else value
    return Limits(**found, choices=_choices(field.annotation))


def _marks(annotation: Any) -> Iterator[Any]:
    """What stands beside the type in `Annotated`, inside of unions too."""
    if get_origin(annotation) is Annotated:
        kind, *marks = get_args(annotation)
        yield from _marks(kind)
        for mark in marks:
            yield from mark.metadata if isinstance(mark, FieldInfo) else [mark]
    elif get_origin(annotation) in (Union, UnionType):
        for kind in get_args(annotation):
            yield from _marks(kind)


def _choices(annotation: Any) -> tuple[Any, ...] | None:
    origin = get_origin(annotation)
    if origin is Literal:
        return get_args(annotation)
    if origin is Annotated:
        return _choices(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return next((found for kind in get_args(annotation) if (found := _choices(kind))), None)
    return None
