"""Where Bronze files stand: `<root>/system=<s>/table=<t>/dt=YYYY-MM-DD/`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from urllib.parse import quote

from sqlmodel_framework.base.errors import ConfigurationError

__all__ = ["batch_folder"]


def batch_folder(root: Path, *, system: str, table: str, run_date: date) -> Path:
    """The folder of one batch: one landing of one table on one day (UTC). Values are percent-encoded and cannot leave the root."""
    return root / _part("system", system) / _part("table", table) / f"dt={run_date.isoformat()}"


def _part(key: str, value: str) -> str:
    if not value:
        raise ConfigurationError(f"a Bronze batch needs a {key}", seen="an empty one")
    return f"{key}={quote(value, safe=' ')}"
