"""Fields with a `Literal` and no column type, which SQLModel refuses without a word about them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

__all__ = ["said_of_literals"]

_REFUSAL = "issubclass() arg 1 must be a class"


def said_of_literals(error: BaseException, file: Path, line: int | None) -> str | None:
    """The fields of the class at that line that need a type, and what to write; None for another error."""
    from sqlmodel_framework.utils.lint.edits import Edit, corrected_field
    from sqlmodel_framework.utils.sources import Place, SourceFile

    if not isinstance(error, TypeError) or str(error) != _REFUSAL:
        return None
    source = SourceFile(file)
    around = [
        node for node in source.classes.values() if line and node.lineno <= line <= (node.end_lineno or line)
    ]
    said = []
    for field in around[-1].body if around else ():
        if not isinstance(field, ast.AnnAssign) or (sql_type := _type_for(field)) is None:
            continue
        place = Place(source, field, field.lineno, field.end_lineno or field.lineno)
        fix = corrected_field(
            place, Edit({"sa_type": sql_type}, imports=(("sqlalchemy", sql_type.partition("(")[0]),))
        )
        if fix is not None:
            imports = f" ({'; '.join(fix.imports)})" if fix.imports else ""
            said.append(
                f"{ast.unparse(field.target)} in line {field.lineno}, write {' '.join(fix.new.split())}{imports}"
            )
    if not said:
        return None
    return f"class {around[-1].name} has a Literal without a column type: {'; '.join(said)}"


def _type_for(field: ast.AnnAssign) -> str | None:
    """The column type of a field whose annotation is a `Literal`, or one that may be None; None where its values are no one type."""
    given = "" if field.value is None else ast.unparse(field.value)
    if "sa_type" in given or "sa_column=" in given:
        return None
    for part in ast.walk(field.annotation):
        if isinstance(part, ast.Subscript) and ast.unparse(part.value).rpartition(".")[2] == "Literal":
            members = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            return _type_of(members)
    return None


def _type_of(members: Sequence[ast.expr]) -> str | None:
    try:
        values = [value for member in members if (value := ast.literal_eval(member)) is not None]
    except ValueError:
        return None  # a member of an enum, or a name
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return f"String({max(1, *map(len, values))})"
    return {frozenset([bool]): "Boolean", frozenset([int]): "Integer"}.get(frozenset(kinds))
