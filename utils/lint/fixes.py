"""The corrected line of a finding, where a rule can write it and a person need not decide."""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlmodel_framework.base.models.contract import ColumnContract
from sqlmodel_framework.engines.base import installed_engines
from sqlmodel_framework.utils.findings import Finding, Fix
from sqlmodel_framework.utils.lint.edits import Edit, corrected_field, corrected_head
from sqlmodel_framework.utils.lint.subject import Subject
from sqlmodel_framework.utils.sources import Place

__all__ = ["JSON_EDIT", "fix_of"]


def fix_of(finding: Finding, subject: Subject, place: Place) -> Fix | None:
    """The corrected field or head of the class; None where there is no such hint."""
    if finding.code == "DL502":
        return corrected_head(
            place, "BronzeMetadata", "from sqlmodel_framework.base.models import BronzeMetadata"
        )
    column = subject.contract.columns.get(finding.column or "")
    make = _EDITS.get(finding.code)
    if column is None or make is None or not isinstance(place.node, ast.AnnAssign):
        return None
    edit = make(column, subject)
    return None if edit is None else corrected_field(place, edit)


def _digits(column: ColumnContract, _: Subject) -> Edit:
    return Edit({"max_digits": "18", "decimal_places": "4"}, drop=("sa_type",))


def _text(column: ColumnContract, subject: Subject) -> Edit:
    if any(column.name in key for key in subject.indexed):
        return Edit({"max_length": "255"}, drop=("sa_type",))
    return Edit({"sa_type": "Text"}, imports=(("sqlalchemy", "Text"),))


def _limit(column: ColumnContract, _: Subject) -> Edit | None:
    """All limits in Field, beside the plain type of the annotation."""
    limits, info = column.limits, column.field_info
    regex = getattr(info, "_attributes_set", {}).get("regex")
    if regex is not None:
        return Edit({}, drop=("regex",), constrain=f"StringConstraints(pattern={regex!r})", raw=str(regex))
    plain = {"text": "str", "binary": "bytes", "decimal": "Decimal"}.get(column.family or "")
    names = (
        "min_length",
        "max_length",
        "max_digits",
        "decimal_places",
        "ge",
        "gt",
        "le",
        "lt",
        "multiple_of",
    )
    given = {name: getattr(limits, name) for name in names if getattr(limits, name) is not None}
    if plain is None or limits.pattern is not None:
        return None
    optional = " | None" if column.nullable and "None" in str(getattr(info, "annotation", "")) else ""
    return Edit(
        {name: _source(value) for name, value in given.items()},
        drop=("sa_type",),
        annotation=plain + optional,
    )


def _source(value: Any) -> str:
    return f"Decimal({str(value)!r})" if isinstance(value, Decimal) else repr(value)


def _time_zone(_: ColumnContract, __: Subject) -> Edit:
    return Edit({"sa_type": "UTCDateTime"}, imports=(("sqlmodel_framework.base.models", "UTCDateTime"),))


def _microseconds(column: ColumnContract, subject: Subject) -> Edit | None:
    if column.family == "datetime" and column.time_zone:
        return _time_zone(column, subject)
    if column.family == "time":
        return Edit({"sa_type": "LocalTime"}, imports=(("sqlmodel_framework.base.models", "LocalTime"),))
    if column.family != "datetime":
        return None
    variants = [engine.capabilities.columns.moment_variant for engine in installed_engines().values()]
    given = [variant for variant in variants if variant]
    sa_type = "DateTime()" + "".join(f".with_variant({variant})" for variant in given)
    dialects = (("sqlalchemy.dialects", variant.partition(".")[0]) for variant in given)
    return Edit({"sa_type": sa_type}, imports=(("sqlalchemy", "DateTime"), *dialects))


def _big(column: ColumnContract, subject: Subject) -> Edit:
    if subject.contract.primary_key == (column.name,) and column.column.autoincrement:
        variants = [engine.capabilities.columns.counting_variant for engine in installed_engines().values()]
        sa_type = "BigInteger()" + "".join(f".with_variant({variant})" for variant in variants if variant)
        return Edit({"sa_type": sa_type}, imports=(("sqlalchemy", "BigInteger"), ("sqlalchemy", "Integer")))
    return Edit({"sa_type": "BigInteger"}, imports=(("sqlalchemy", "BigInteger"),))


def _values(column: ColumnContract, _: Subject) -> Edit:
    kind: Any = column.sql_type
    values = "values_callable=lambda members: [str(member.value) for member in members]"
    return Edit(
        {"sa_type": f"sqlalchemy.Enum({kind.enum_class.__name__}, {values})"}, imports=(("", "sqlalchemy"),)
    )


JSON_EDIT = Edit({"sa_type": "JSON"}, imports=(("sqlalchemy", "JSON"),))


def _json(_: ColumnContract, __: Subject) -> Edit:
    return JSON_EDIT


def _double(_: ColumnContract, __: Subject) -> Edit:
    return Edit({"sa_type": "Double"}, imports=(("sqlalchemy", "Double"),))


def _comment(column: ColumnContract, _: Subject) -> Edit:
    description = getattr(column.field_info, "description", None)
    return Edit({}, column_options={"comment": repr(description)})


def _server_default(column: ColumnContract, _: Subject) -> Edit | None:
    default: Any = column.column.default
    if default is None or not default.is_scalar:
        return None
    value = default.arg
    if isinstance(value, bool):
        name = "true" if value else "false"
        return Edit({}, column_options={"server_default": f"{name}()"}, imports=(("sqlalchemy", name),))
    if isinstance(value, str) and column.family == "text":
        return Edit({}, column_options={"server_default": repr(str(value))})
    if isinstance(value, int | float | Decimal):
        source = f"text({str(value)!r})"
        return Edit({}, column_options={"server_default": source}, imports=(("sqlalchemy", "text"),))
    return None


def _check(column: ColumnContract, subject: Subject) -> Edit | None:
    """A CHECK for ranges and choices: what all databases write alike."""
    limits, name = column.limits, column.name
    if column.family not in ("integer", "decimal", "float", "text") or not name.islower():
        return None
    if isinstance(getattr(column.field_info, "sa_column_args", None), list | tuple):
        return None  # what stands there would be lost
    if limits.pattern is not None or limits.min_length is not None or limits.multiple_of is not None:
        return None
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
    parts = [f"{name} {sign} {bound}" for key, sign in signs if (bound := getattr(limits, key)) is not None]
    if limits.choices is not None:
        values = ", ".join(str(value) if isinstance(value, int) else f"'{value}'" for value in limits.choices)
        parts.append(f"{name} IN ({values})")
    check = f"CheckConstraint({' AND '.join(parts)!r}, name='ck_{subject.table.name}_{name}')"
    return (
        Edit({"sa_column_args": f"[{check}]"}, imports=(("sqlalchemy", "CheckConstraint"),))
        if parts
        else None
    )


def _not_null(_: ColumnContract, __: Subject) -> Edit:
    return Edit({}, in_column={"nullable": "False"})


def _index(_: ColumnContract, __: Subject) -> Edit:
    return Edit({"index": "True"})


def _no_column(_: ColumnContract, __: Subject) -> Edit:
    return Edit({}, without_column=True)


_EDITS: dict[str, Callable[[ColumnContract, Subject], Edit | None]] = {
    "DL101": _digits,
    "DL102": _text,
    "DL103": _limit,
    "DL104": _time_zone,
    "DL105": _microseconds,
    "DL106": _big,
    "DL107": _values,
    "DL108": _json,
    "DL109": _double,
    "DL201": _comment,
    "DL202": _server_default,
    "DL203": _check,
    "DL204": _not_null,
    "DL403": _index,
    "DL501": _no_column,
}
