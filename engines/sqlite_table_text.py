"""What a CREATE TABLE or CREATE INDEX statement says, as far as SQLite's pragmas do not tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel_framework.engines.sqlite_ddl_text import Token, Walk, plain, split_by_comma, tokens_of

__all__ = [
    "ColumnText",
    "ConstraintText",
    "IndexText",
    "ReferenceText",
    "TableText",
    "parse_index",
    "parse_table",
    "renamed_table",
]

_TABLE_CLAUSES = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
_COLUMN_CLAUSES = {
    *("CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES"),
    *("GENERATED", "AS", "DEFERRABLE"),
}


@dataclass
class ColumnText:
    """One column. `definition` is its text as written; `computed` holds the expression, `stored` says how it is kept.

    `constraints` counts its own keys and CHECKs. `descending_key`: INTEGER PRIMARY KEY DESC, which is not the rowid, other than in every other spelling.
    """

    name: str
    definition: str
    collation: str | None = None
    computed: Sequence[Token] | None = None
    stored: bool = False
    autoincrement: bool = False
    descending_key: bool = False
    null_conflict: str | None = None
    constraints: int = 0


@dataclass(frozen=True)
class ReferenceText:
    """What a foreign key refers to. No columns: the primary key. `deferrable` is the clause that makes it so."""

    table: str
    columns: tuple[str, ...]
    on_delete: str | None
    on_update: str | None
    deferrable: str | None


@dataclass(frozen=True)
class ConstraintText:
    """One constraint of a column or table. `terms` are the columns of a key, `condition` the expression of a CHECK."""

    kind: str
    name: str | None
    terms: tuple[Sequence[Token], ...] = ()
    condition: Sequence[Token] = ()
    conflict: str | None = None
    reference: ReferenceText | None = None


@dataclass
class TableText:
    """One CREATE TABLE; `columns` by their plain names. `autoincrement` is that of a key outside its column."""

    columns: dict[str, ColumnText] = field(default_factory=dict)
    constraints: list[ConstraintText] = field(default_factory=list)
    strict: bool = False
    without_rowid: bool = False

    @property
    def key(self) -> ConstraintText | None:
        """The primary key."""
        return next((one for one in self.constraints if one.kind == "PRIMARY KEY"), None)


@dataclass(frozen=True)
class IndexText:
    """One CREATE INDEX; `where` is empty for a whole index."""

    unique: bool
    terms: tuple[Sequence[Token], ...]
    where: Sequence[Token]


def parse_table(sql: str) -> TableText:
    """Read a CREATE TABLE statement, as it was written or as SQLite changed it since."""
    walk = Walk(tokens_of(sql))
    _table_head(walk)
    table = TableText()
    for item in split_by_comma(walk.take_group()):
        part = Walk(item)
        if part.sees_any(_TABLE_CLAUSES):
            _read_clauses(part, None, table)
        else:
            _read_column(part, item, sql, table)
    _read_options(walk, table)
    return table


def parse_index(sql: str) -> IndexText:
    """Read a CREATE INDEX statement."""
    walk = Walk(tokens_of(sql))
    walk.accept("CREATE")
    unique = walk.accept("UNIQUE")
    while walk and not walk.accept("ON"):
        walk.take()
    walk.take()
    terms = tuple(split_by_comma(walk.take_group()))
    walk.accept("WHERE")
    return IndexText(unique, terms, _remaining(walk))


def renamed_table(sql: str, quoted: str) -> str:
    """The same CREATE TABLE for a table of another name in the same schema; `quoted` is that name with its quotes."""
    name = _table_head(Walk(tokens_of(sql)))
    return sql[: name.start] + quoted + sql[name.end :]


def _table_head(walk: Walk) -> Token:
    """Step over everything before the columns; gives the table's name."""
    walk.accept("CREATE")
    walk.accept_any("TEMP", "TEMPORARY")
    walk.accept("TABLE")
    walk.accept("IF", "NOT", "EXISTS")
    name = walk.take()
    return walk.take() if walk.accept(".") else name


def _read_column(walk: Walk, item: Sequence[Token], sql: str, table: TableText) -> None:
    column = ColumnText(walk.take().value, sql[item[0].start : item[-1].end])
    table.columns[plain(column.name)] = column
    while walk and not walk.sees_any(_COLUMN_CLAUSES):
        walk.take()
    _read_clauses(walk, column, table)


def _read_clauses(walk: Walk, column: ColumnText | None, table: TableText) -> None:
    name: str | None = None
    while walk:
        if walk.accept("CONSTRAINT"):
            name = walk.take().value
            continue
        constraint = _constraint(walk, column, name)
        if constraint is not None:
            table.constraints.append(constraint)
            if column is not None:
                column.constraints += 1
        elif column is None or not _read_property(walk, column):
            walk.take()
        name = None


def _constraint(walk: Walk, column: ColumnText | None, name: str | None) -> ConstraintText | None:
    """The next clause, if it is a constraint of the table; columns of its own stand before it or in it."""
    own: tuple[Sequence[Token], ...] = () if column is None else (tokens_of(_quote(column.name)),)
    if walk.accept("PRIMARY", "KEY"):
        return _primary_key(walk, column, name, own)
    if walk.accept("UNIQUE"):
        terms = own or tuple(split_by_comma(walk.take_group()))
        return ConstraintText("UNIQUE", name, terms, conflict=_conflict(walk))
    if walk.accept("CHECK"):
        condition = walk.take_group()
        _conflict(walk)
        return ConstraintText("CHECK", name, condition=condition)
    if walk.accept("FOREIGN", "KEY"):
        own = tuple(split_by_comma(walk.take_group()))
    if walk.accept("REFERENCES"):
        return ConstraintText("FOREIGN KEY", name, own, reference=_reference(walk))
    return None


def _primary_key(
    walk: Walk, column: ColumnText | None, name: str | None, own: tuple[Sequence[Token], ...]
) -> ConstraintText:
    terms = own or tuple(split_by_comma(walk.take_group()))
    if column is not None and walk.accept_any("ASC", "DESC") == "DESC":
        column.descending_key = True
    conflict = _conflict(walk)
    if column is not None:
        column.autoincrement = walk.accept("AUTOINCREMENT")
    return ConstraintText("PRIMARY KEY", name, terms, conflict=conflict)


def _read_property(walk: Walk, column: ColumnText) -> bool:
    """Step over a clause that belongs to the column alone; False where there is none."""
    if walk.accept("NOT", "NULL"):
        column.null_conflict = _conflict(walk)
    elif walk.accept("NULL"):
        _conflict(walk)
    elif walk.accept("DEFAULT"):
        _step_over_default(walk)
    elif walk.accept("COLLATE"):
        column.collation = walk.take().value.upper()
    elif walk.accept("GENERATED", "ALWAYS", "AS") or walk.accept("AS"):
        column.computed = walk.take_group()
        column.stored = walk.accept_any("STORED", "VIRTUAL") == "STORED"
    else:
        return False
    return True


def _step_over_default(walk: Walk) -> None:
    if walk.sees_any("("):
        walk.take_group()
    else:
        walk.accept_any("+", "-")
        walk.take()


def _conflict(walk: Walk) -> str | None:
    """The ON CONFLICT clause; ABORT is what SQLite does without one."""
    if not walk.accept("ON", "CONFLICT"):
        return None
    action = walk.take().key
    return None if action == "ABORT" else action


def _reference(walk: Walk) -> ReferenceText:
    table = walk.take().value
    columns = tuple(term[0].value for term in split_by_comma(walk.take_group()))
    actions: dict[str, str | None] = {}
    while True:
        if walk.accept("ON"):
            event = walk.take().key
            actions[event] = _action(walk)
        elif walk.accept("MATCH"):
            walk.take()
        else:
            break
    return ReferenceText(table, columns, actions.get("DELETE"), actions.get("UPDATE"), _deferrable(walk))


def _action(walk: Walk) -> str | None:
    if walk.accept("NO", "ACTION"):
        return None
    if walk.accept("SET"):
        return f"SET {walk.take().key}"
    return walk.take().key


def _deferrable(walk: Walk) -> str | None:
    refused = walk.accept("NOT", "DEFERRABLE")
    if not refused and not walk.accept("DEFERRABLE"):
        return None
    when = walk.take().key if walk.accept("INITIALLY") else "IMMEDIATE"
    if refused:
        return None
    return "DEFERRABLE INITIALLY DEFERRED" if when == "DEFERRED" else "DEFERRABLE"


def _read_options(walk: Walk, table: TableText) -> None:
    while walk:
        if walk.accept("WITHOUT", "ROWID"):
            table.without_rowid = True
        elif walk.accept("STRICT"):
            table.strict = True
        else:
            walk.take()


def _remaining(walk: Walk) -> list[Token]:
    found = []
    while walk:
        found.append(walk.take())
    return found


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
