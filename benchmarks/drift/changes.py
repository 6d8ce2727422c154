"""All single changes and all traps; a name stands for one of them."""

from __future__ import annotations

from sqlmodel_framework.benchmarks.drift import columns, histories, keys, parts, traps
from sqlmodel_framework.benchmarks.drift.pairs import Change
from sqlmodel_framework.benchmarks.drift.traps import Trap

CHANGES: tuple[Change, ...] = (*parts.CHANGES, *columns.CHANGES, *keys.CHANGES)

TRAPS: tuple[Trap, ...] = (*traps.TRAPS, *histories.HISTORIES)

_NAMES = [*(change.name for change in CHANGES), *(trap.name for trap in TRAPS)]
if len(set(_NAMES)) != len(_NAMES):
    raise ValueError("two pairs have the same name")
