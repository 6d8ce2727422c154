"""Fields with a `Literal` and no column type, which SQLModel refuses without a word about them."""

from __future__ import annotations

import ast
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
            imports = f" with {'; '.join(fix.imports)}" if fix.imports else ""
            said.append(
                f"{ast.unparse(field.target)} in line {field.lineno}, write {' '.join(fix.new.split())}{imports}"
            )
    if not said:
        return None
    return f"class {around[-1].name} has a Literal without a column type: {'; '.join(said)}"


def _type_for(field: ast.AnnAssign) -> str | None:
    """The column type of a field whose annotation is a `Literal`, or one that may be None."""
    value = "" if field.value is None else ast.unparse(field.value)
    if "sa_type" in value or "sa_column=" in value:
        return None
    for part in ast.walk(field.annotation):
        if isinstance(part, ast.Subscript) and ast.unparse(part.value).rpartition(".")[2] == "Literal":
            members = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            values = [member.value for member in members if isinstance(member, ast.Constant)]
            if all(isinstance(value, bool) for value in values):
                return "Boolean"
            if all(isinstance(value, int) for value in values):
                return "Integer"
            return f"String({max((len(value) for value in values if isinstance(value, str)), default=1)})"
    return None
