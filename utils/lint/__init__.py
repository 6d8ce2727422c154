"""What lint looks for in the classes of a datakit, one file a group. Each rule takes a `Subject` and gives findings."""

from __future__ import annotations

from sqlmodel_framework.utils.lint.keys import (
    float_in_key,
    foreign_key_without_index,
    index_too_wide,
    silver_without_key,
)
from sqlmodel_framework.utils.lint.limits import limit_dropped, limit_not_enforced
from sqlmodel_framework.utils.lint.mixins import bronze_without_metadata, shared_column
from sqlmodel_framework.utils.lint.names import name_reserved, name_too_long, names_differ_in_case
from sqlmodel_framework.utils.lint.numbers import (
    decimal_without_digits,
    float_single_precision,
    integer_too_small,
)
from sqlmodel_framework.utils.lint.server_side import (
    default_no_server_default,
    description_no_comment,
    nullable_for_required,
)
from sqlmodel_framework.utils.lint.subject import Rule
from sqlmodel_framework.utils.lint.texts import enum_stored_by_name, json_without_type, text_without_length
from sqlmodel_framework.utils.lint.times import datetime_without_time_zone, microseconds_lost

__all__ = ["RULES"]

RULES: dict[str, Rule] = {
    "DL101": decimal_without_digits,
    "DL102": text_without_length,
    "DL103": limit_dropped,
    "DL104": datetime_without_time_zone,
    "DL105": microseconds_lost,
    "DL106": integer_too_small,
    "DL107": enum_stored_by_name,
    "DL108": json_without_type,
    "DL109": float_single_precision,
    "DL201": description_no_comment,
    "DL202": default_no_server_default,
    "DL203": limit_not_enforced,
    "DL204": nullable_for_required,
    "DL301": name_too_long,
    "DL302": name_reserved,
    "DL303": names_differ_in_case,
    "DL401": index_too_wide,
    "DL402": float_in_key,
    "DL403": foreign_key_without_index,
    "DL404": silver_without_key,
    "DL501": shared_column,
    "DL502": bronze_without_metadata,
}
"""One rule a code; those of suppressions (DL0…) look at comments, and stand in `suppressions`."""
