"""Conditions as MySQL and MariaDB write them."""

from __future__ import annotations

import re
from datetime import datetime

from sqlmodel_framework.engines.conditions import Arithmetic, Conditions

__all__ = ["CONDITIONS"]

CONDITIONS = Conditions(
    spellings=((re.compile(r"\bRLIKE\b", re.IGNORECASE), "REGEXP"),),
    functions={
        ("lcase", 1): lambda value: str(value).lower(),
        ("month", 1): lambda value: datetime.fromisoformat(str(value)).month,
        ("ucase", 1): lambda value: str(value).upper(),
        ("year", 1): lambda value: datetime.fromisoformat(str(value)).year,
    },
    # https://dev.mysql.com/doc/refman/8.0/en/arithmetic-functions.html, div_precision_increment
    arithmetic=Arithmetic(whole_division=False, division_digits=4),
)
