"""What a field's annotation allows beside its type: `Field(max_length=…)`, `Annotated[…]`, `Literal[…]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import GenericAlias, UnionType
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
_NONE = Limits()


def limits_of(field: FieldInfo) -> Limits:
    """The limits of a field, wherever they stand: in `Field`, in `Annotated`, or inside `X | None`. Of two of one kind the last counts."""
    found: dict[str, Any] = {}
    # SQLModel takes `regex` and passes it on to nobody; it is what the class says all the same.
    regex = getattr(field, "_attributes_set", {}).get("regex")
    if regex is not None:
        found["pattern"] = regex
    annotation, marks = field.annotation, field.metadata
    if isinstance(annotation, type) and not isinstance(annotation, GenericAlias):
        choices = None
    else:
        marks = [*_marks(annotation), *marks]
        choices = _choices(annotation)
    for mark in marks:
        for name in _names_of(mark):
            value = getattr(mark, name, None)
            if value is not None:
                found[name] = getattr(value, "pattern", value) if name == "pattern" else value
    return Limits(**found, choices=choices) if found or choices else _NONE


_names_on: dict[type, Sequence[str]] = {}


def _names_of(mark: object) -> Sequence[str]:
    """The limits that a mark of this kind may hold: one of SQLModel's holds ten other things."""
    kind: type = type(mark)
    if kind not in _names_on:
        own = {field.name for field in fields(kind)} if is_dataclass(kind) else set(_NAMES)
        _names_on[kind] = [name for name in _NAMES if name in own or hasattr(kind, name)]
    return _names_on[kind]


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
