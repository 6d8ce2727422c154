"""Typed results that also answer `result["success"]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

__all__ = ["Result"]


class Result:
    """Base of result dataclasses: each field and property can also be read as `result["name"]`."""

    def __getitem__(self, name: str) -> Any:
        """Read a field or property by name; KeyError lists the known names."""
        if name not in self.keys():
            raise KeyError(f"{name!r} is not in this result; it has: {', '.join(self.keys())}")
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Names that `result[name]` answers, `success` first."""
        own = [field.name for field in fields(self) if field.repr]  # type: ignore[arg-type]
        properties = [n for n in dir(type(self)) if isinstance(getattr(type(self), n, None), property)]
        names = dict.fromkeys([*own, *properties])
        return sorted(names, key=lambda name: name != "success")
