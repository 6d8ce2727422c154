"""Changes to the source of a field or a class, by its syntax tree: what they say, not how they are laid out."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from sqlmodel_framework.utils.findings import Fix
from sqlmodel_framework.utils.sources import Place, SourceFile

__all__ = ["Edit", "corrected_field", "corrected_head", "raw_string"]


@dataclass(frozen=True)
class Edit:
    """A change to one field. `keywords` of `Field` are set, those in `drop` go.

    `column_options` go into `sa_column_kwargs`. `annotation` takes the place of the field's; `constrain` is put beside it
    in `Annotated`. `in_column` are keywords of `sa_column=Column(…)`, or of `Field` where there is none. `raw` is a text
    that is written as an r-string. `without_column` writes `sa_column=Column(…)` as options of `Field`. `imports` are pairs of module and
    name.
    """

    keywords: Mapping[str, str]
    drop: Sequence[str] = ()
    column_options: Mapping[str, str] = field(default_factory=dict)
    annotation: str | None = None
    constrain: str | None = None
    without_column: bool = False
    in_column: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None
    imports: Sequence[tuple[str, str]] = ()


def corrected_field(place: Place, edit: Edit) -> Fix | None:
    """The field with the change made; None where its source is not written in a way that can be changed."""
    node = deepcopy(place.node)
    assert isinstance(node, ast.AnnAssign)
    imports = [*edit.imports]
    if edit.annotation is not None:
        node.annotation = _expression(edit.annotation)
    if edit.constrain is not None:
        node.annotation = _expression(f"Annotated[{ast.unparse(node.annotation)}, {edit.constrain}]")
        imports += [("typing", "Annotated"), ("pydantic", "StringConstraints")]
    call = _field_call(node)
    names = {keyword.arg for keyword in call.keywords}
    if edit.without_column and not _options_of_column(call):
        return None
    if None in names or ("sa_column" in names and not (edit.without_column or edit.in_column)):
        return None
    if edit.in_column and not _set_in_column(call, edit.in_column):
        return None
    call.keywords = [keyword for keyword in call.keywords if keyword.arg not in edit.drop]
    for name, source in edit.keywords.items():
        _set(call, name, _expression(source))
    if edit.column_options and not _add_options(call, edit.column_options):
        return None
    if isinstance(call.func, ast.Name) and call.func.id == "Field":
        imports.append(("sqlmodel", "Field"))
    source = ast.unparse(node)
    if edit.raw is not None:
        source = source.replace(repr(edit.raw), raw_string(edit.raw))
    return _fix(place, source, imports)


def raw_string(text: str) -> str:
    r"""A text as source, as an r-string where one can hold it: backslashes stand once."""
    source = f"r{chr(39)}{text}{chr(39)}"
    try:
        return source if ast.literal_eval(source) == text else repr(text)
    except (SyntaxError, ValueError):
        return repr(text)


def corrected_head(place: Place, base: str, statement: str) -> Fix | None:
    """The head of a class with one base more, the first."""
    node = deepcopy(place.node)
    if not isinstance(node, ast.ClassDef):
        return None
    node.bases.insert(0, ast.Name(base))
    node.decorator_list = []
    node.body = [ast.Pass()]
    head = ast.unparse(node).splitlines()[0]
    _, module, _, name = statement.split(" ")
    return _fix(place, head, [(module, name)])


def _fix(place: Place, source: str, imports: Sequence[tuple[str, str]]) -> Fix | None:
    lines = place.file.lines[place.line - 1 : place.end_line]
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    new = "\n".join(indent + line for line in source.splitlines())
    return Fix(place.line, place.end_line, "\n".join(lines), new, _missing(place.file, imports))


def _missing(file: SourceFile, imports: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The import statements of names that the file does not import."""
    statements = dict.fromkeys(
        f"from {module} import {name}" if module else f"import {name}"
        for module, name in imports
        if name not in file.imported_names
    )
    return tuple(statements)


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def _field_call(node: ast.AnnAssign) -> ast.Call:
    """The call of `Field` or the like that describes the field: a new one where there is none."""
    if isinstance(node.value, ast.Call) and _is_field(node.value):
        return node.value
    inner = [part for part in ast.walk(node.annotation) if isinstance(part, ast.Call) and _is_field(part)]
    if inner:
        return inner[0]
    defaults = [] if node.value is None else [ast.keyword("default", node.value)]
    node.value = ast.Call(ast.Name("Field"), [], defaults)
    return node.value


def _is_field(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name == "Field" or name.endswith("_field")


def _set(call: ast.Call, name: str, value: ast.expr) -> None:
    for keyword in call.keywords:
        if keyword.arg == name:
            keyword.value = value
            return
    call.keywords.append(ast.keyword(name, value))


def _set_in_column(call: ast.Call, keywords: Mapping[str, str]) -> bool:
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "sa_column"), call)
    if not isinstance(given, ast.Call):
        return False
    for name, source in keywords.items():
        _set(given, name, _expression(source))
    return True


def _add_options(call: ast.Call, options: Mapping[str, str]) -> bool:
    given = next((keyword for keyword in call.keywords if keyword.arg == "sa_column_kwargs"), None)
    if given is None:
        given = ast.keyword("sa_column_kwargs", ast.Dict([], []))
        call.keywords.append(given)
    if not isinstance(given.value, ast.Dict):
        return False
    for name, source in options.items():
        given.value.keys.append(ast.Constant(name))
        given.value.values.append(_expression(source))
    return True


_OF_FIELD = ("primary_key", "nullable", "index", "unique")


def _options_of_column(call: ast.Call) -> bool:
    """Write `sa_column=Column(Text, index=True)` as `sa_type=Text, index=True`; False where it says more."""
    given = next((keyword for keyword in call.keywords if keyword.arg == "sa_column"), None)
    if given is None or not isinstance(given.value, ast.Call) or len(given.value.args) != 1:
        return False
    call.keywords.remove(given)
    _set(call, "sa_type", given.value.args[0])
    others = {}
    for keyword in given.value.keywords:
        if keyword.arg in _OF_FIELD:
            _set(call, keyword.arg, keyword.value)
        elif keyword.arg is not None:
            others[keyword.arg] = ast.unparse(keyword.value)
    return not others or _add_options(call, others)
