"""Random small schemas: a description of tables, the metadata of it, and strategies that draw one.

Parts refer to columns and tables by number, so that a name can change alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    CHAR,
    JSON,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
    true,
)
from sqlalchemy import Column as SQLColumn
from sqlalchemy import column as named
from sqlalchemy.types import TypeEngine

NAMES = (
    "item",
    "dot.ted",
    "select",
    "user",
    "Order",
    "MixedCase",
    "UPPER",
    "two words",
    "größe",
    "商品",
    'quo"te',
    "o'clock",
    "back`tick",
    "back\\slash",
    "per%cent",
    "%(x)s",
    "col:on",
    "semi;colon",
    "a [bracket]",
    "paren(s)",
    "com,ma",
    "1st",
    "da-sh",
    "--dash",
)
"""No name begins with a bracket: SQLite 3.40 cannot delete from such a table where a key of it says ON DELETE RESTRICT."""
TEXTS = ("x", "", "it's", "50%", "%s %%", "a\\b", "\\'", 'say "hi"', ":name", "größe", "NULL", "a, b)")
NUMBERS = (0, 7, -3, 100)
COMMENTS = (None, "plain", 'it\'s 50% \\ "so": größe', "%(x)s;")

TYPES: Mapping[str, Callable[[], TypeEngine[Any]]] = {
    "smallint": SmallInteger,
    "integer": Integer,
    "bigint": BigInteger,
    "numeric(7, 2)": lambda: Numeric(7, 2),
    "numeric(12, 2)": lambda: Numeric(12, 2),
    "numeric(12, 4)": lambda: Numeric(12, 4),
    "real": REAL,
    "float": Float,
    "double": Double,
    "varchar(12)": lambda: String(12),
    "varchar(40)": lambda: String(40),
    "char(12)": lambda: CHAR(12),
    "text": Text,
    "boolean": Boolean,
    "date": Date,
    "time": Time,
    "datetime": DateTime,
    "datetime with zone": lambda: DateTime(timezone=True),
    "interval": Interval,
    "bytes": LargeBinary,
    "json": JSON,
    "uuid": Uuid,
}
ENUMS: Mapping[str, tuple[str, ...]] = {
    "enum": ("red", "tan"),
    "enum reordered": ("tan", "red"),
    "enum with one more": ("red", "tan", "o'live%"),
}
KINDS = (*TYPES, *ENUMS)
WHOLE = ("smallint", "integer", "bigint")
WORDS = ("varchar(12)", "varchar(40)", "char(12)")
INDEXABLE = (*WHOLE, *WORDS, "numeric(7, 2)", "numeric(12, 2)", "numeric(12, 4)", "date", "datetime")

Default = Any
DEFAULTS: Mapping[str, Mapping[str, Default]] = {
    "number": {"0": text("0"), "'7'": "7", "-3": text("-3")},
    "fraction": {"1.5": text("1.5"), "'2.25'": "2.25"},
    "word": {repr(value): value for value in TEXTS},
    "boolean": {"true": true(), "false": false()},
    "date": {"'2020-02-29'": "2020-02-29"},
    "time": {"'12:30:00'": "12:30:00"},
    "moment": {"now": func.now(), "'2020-02-29 12:30:00'": "2020-02-29 12:30:00"},
    "enum": {"red": "red", "tan": "tan"},
}


def family(kind: str) -> str:
    """The types that take the same defaults."""
    if kind in ENUMS:
        return "enum"
    if kind in WHOLE:
        return "number"
    if kind in WORDS:
        return "word"
    if kind.startswith("numeric") or kind in {"real", "float", "double"}:
        return "fraction"
    return "moment" if kind.startswith("datetime") else kind


@dataclass(frozen=True)
class Column:
    """One column. `default` names one of its family's, `computed` is the column that `plus` is added to."""

    number: int
    name: str
    kind: str
    nullable: bool = True
    default: str | None = None
    comment: str | None = None
    computed: int | None = None
    plus: int = 1


@dataclass(frozen=True)
class Unique:
    """One unique constraint."""

    name: str | None
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Indexed:
    """One index. `descending` and `lower` are said of its first column; `lower` makes it an expression."""

    name: str
    columns: tuple[int, ...]
    unique: bool = False
    descending: bool = False
    lower: bool = False


@dataclass(frozen=True)
class Check:
    """One CHECK: a column compared with values."""

    name: str | None
    column: int
    operator: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key, to the primary key of a table."""

    name: str | None
    columns: tuple[int, ...]
    target: int
    ondelete: str | None = None
    onupdate: str | None = None


@dataclass(frozen=True)
class Described:
    """One table."""

    number: int
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    uniques: tuple[Unique, ...] = ()
    indexes: tuple[Indexed, ...] = ()
    checks: tuple[Check, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str | None = None

    def __getitem__(self, number: int) -> Column:
        return next(column for column in self.columns if column.number == number)

    def names(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """The names of columns."""
        return tuple(self[number].name for number in numbers)

    @property
    def referring(self) -> set[int]:
        """The columns of foreign keys."""
        return {number for key in self.foreign_keys for number in key.columns}

    @property
    def in_expressions(self) -> set[int]:
        """The columns whose type an expression depends on."""
        return {
            *(check.column for check in self.checks),
            *(column.computed for column in self.columns if column.computed is not None),
            *(index.columns[0] for index in self.indexes if index.lower),
        }

    @property
    def indexed(self) -> set[int]:
        """The columns of keys and indexes."""
        return {number for columns in self.taken for number in columns}

    @property
    def taken(self) -> set[tuple[int, ...]]:
        """The lists of columns that have a key or an index: a second one may be none to the server."""
        uniques = {one.columns for one in self.uniques}
        return {self.key} | uniques | {one.columns for one in self.indexes}

    @property
    def counted(self) -> set[int]:
        """The column that the server counts up: it can be in no expression."""
        return {number for number in self.key if len(self.key) == 1 and self[number].kind in WHOLE}


Schema = tuple[Described, ...]


def build(schema: Schema, *, expression_indexes: bool) -> MetaData:
    """The metadata; without `expression_indexes` an index on an expression is one on the column."""
    metadata = MetaData()
    for described in schema:
        _table(described, schema, metadata, expression_indexes)
    return metadata


def _table(described: Described, schema: Schema, metadata: MetaData, expression_indexes: bool) -> None:
    table = Table(
        described.name,
        metadata,
        *(_column(column, described) for column in described.columns),
        PrimaryKeyConstraint(*described.names(described.key)),
        *(UniqueConstraint(*described.names(one.columns), name=one.name) for one in described.uniques),
        *(CheckConstraint(_condition(one, described), name=one.name) for one in described.checks),
        comment=described.comment,
    )
    for key in described.foreign_keys:
        table.append_constraint(_foreign_key(key, described, schema, metadata))
    for index in described.indexes:
        terms: list[Any] = [table.c[name] for name in described.names(index.columns)]
        if index.lower and expression_indexes:
            terms[0] = func.lower(terms[0])
        if index.descending:
            terms[0] = terms[0].desc()
        Index(index.name, *terms, unique=index.unique)


def _column(column: Column, described: Described) -> SQLColumn[Any]:
    parts = []
    if column.computed is not None:
        parts.append(
            Computed(named(described[column.computed].name) + text(str(column.plus)), persisted=True)
        )
    default = DEFAULTS[family(column.kind)][column.default] if column.default is not None else None
    return SQLColumn(
        column.name,
        _type(column),
        *parts,
        nullable=column.nullable,
        server_default=default,
        comment=column.comment,
    )


def _type(column: Column) -> TypeEngine[Any]:
    if column.kind in ENUMS:
        return Enum(*ENUMS[column.kind], name=f"enum {column.number}")
    return TYPES[column.kind]()


def _condition(check: Check, described: Described) -> Any:
    column = named(described[check.column].name, _type(described[check.column]))
    if check.operator == "IN":
        return column.in_(check.values)
    return column.op(check.operator)(check.values[0])


def _foreign_key(
    key: ForeignKey, described: Described, schema: Schema, metadata: MetaData
) -> ForeignKeyConstraint:
    target = next(one for one in schema if one.number == key.target)
    referred = metadata.tables[target.name].c
    return ForeignKeyConstraint(
        described.names(key.columns),
        [referred[name] for name in target.names(target.key)],
        name=key.name,
        ondelete=key.ondelete,
        onupdate=key.onupdate,
    )


OPERATORS = ("<", ">=", "<>", "IN")
ACTIONS = (None, "CASCADE", "SET NULL", "RESTRICT")


def checked_values(kind: str, operator: str) -> tuple[tuple[Any, ...], ...]:
    """Values to compare a column with; () for a type that has none."""
    values: tuple[Any, ...] = NUMBERS if family(kind) == "number" else TEXTS if family(kind) == "word" else ()
    if operator == "IN":
        return tuple(zip(values, values[1:], values[2:], strict=False))
    return tuple((value,) for value in values)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """One to four tables; foreign keys lead to the table itself or to an earlier one."""
    names = draw(_distinct(NAMES, 1, 4))
    found: list[Described] = []
    for number, name in enumerate(names):
        plain = draw(_tables(number, name))
        found.append(draw(_with_parts(plain, found)))
    return tuple(found)


def _distinct(values: Iterable[Any], least: int, most: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(list(values)), min_size=least, max_size=most, unique=True)


@st.composite
def _tables(draw: st.DrawFn, number: int, name: str) -> Described:
    names = draw(_distinct(NAMES, 1, 6))
    columns = [draw(_columns(100 * number + at, one)) for at, one in enumerate(names)]
    size = draw(st.integers(1, min(2, len(columns))))
    for at in range(size):
        kind = draw(st.sampled_from(INDEXABLE))
        columns[at] = replace(columns[at], kind=kind, nullable=False, default=None)
    key = draw(st.permutations([column.number for column in columns[:size]]))
    order = draw(st.permutations(columns))
    return Described(number, name, tuple(order), tuple(key), comment=draw(st.sampled_from(COMMENTS)))


@st.composite
def _columns(draw: st.DrawFn, number: int, name: str) -> Column:
    kind = draw(st.sampled_from(KINDS))
    return Column(
        number,
        name,
        kind,
        draw(st.booleans()),
        draw(st.sampled_from([None, *DEFAULTS.get(family(kind), ())])),
        draw(st.sampled_from(COMMENTS)),
    )


@st.composite
def _with_parts(draw: st.DrawFn, plain: Described, earlier: list[Described]) -> Described:
    table = plain
    for kind in draw(st.lists(st.sampled_from(list(GROWTH)), min_size=1, max_size=6)):
        options = list(GROWTH[kind]([*earlier, table], table))
        if options:
            table = draw(st.sampled_from(options))
    return table


def free_name(table: Described) -> str:
    """A name that no column of the table has."""
    taken = {column.name for column in table.columns}
    return next(name for name in reversed(NAMES) if name not in taken)


def free_number(table: Described) -> int:
    """A number that no column of the table has."""
    return 1 + max(column.number for column in table.columns)


def with_column(table: Described, column: Column) -> Described:
    """The table with one more column, the last."""
    return replace(table, columns=(*table.columns, column))


def lists_of_columns(table: Described) -> Iterator[tuple[int, ...]]:
    """One or two columns that no key, unique constraint or index has in this order."""
    numbers = [c.number for c in table.columns if c.kind in INDEXABLE and c.computed is None]
    pairs = [(one, other) for one in numbers for other in numbers if one != other]
    yield from (c for c in [*((number,) for number in numbers), *pairs] if c not in table.taken)


def part_name(table: Described, word: str) -> str:
    """A name that is free in the whole schema: it holds the table's number and how many parts there are."""
    parts = (table.uniques, table.indexes, table.checks, table.foreign_keys)
    return f"{word} {table.number}.{sum(map(len, parts))}"


def computed_columns(_: Sequence[Described], table: Described) -> Iterator[Described]:
    """The table with one more computed column."""
    for column in table.columns:
        usable = column.number not in {*table.key, *table.referring} and column.computed is None
        if column.kind == "integer" and usable and len(table.columns) < len(NAMES):
            new = Column(free_number(table), free_name(table), "bigint", computed=column.number)
            yield with_column(table, new)


def uniques(_: Sequence[Described], table: Described) -> Iterator[Described]:
    """The table with one more unique constraint."""
    for columns in lists_of_columns(table):
        for name in (None, part_name(table, "un%ique")):
            yield replace(table, uniques=(*table.uniques, Unique(name, columns)))


def indexes(_: Sequence[Described], table: Described) -> Iterator[Described]:
    """The table with one more index."""
    name = part_name(table, "Index'")
    for columns in lists_of_columns(table):
        for words in ({}, {"unique": True}, {"descending": True}, {"lower": True}):
            if not words.get("lower") or table[columns[0]].kind in WORDS:
                yield replace(table, indexes=(*table.indexes, Indexed(name, columns, **words)))


def checks(_: Sequence[Described], table: Described) -> Iterator[Described]:
    """The table with one more CHECK."""
    for column in table.columns:
        if column.number in table.referring | table.counted or column.computed is not None:
            continue
        for operator in OPERATORS:
            for values in checked_values(column.kind, operator):
                for name in (None, part_name(table, 'check"')):
                    yield replace(table, checks=(*table.checks, Check(name, column.number, operator, values)))


def foreign_keys(tables: Sequence[Described], table: Described) -> Iterator[Described]:
    """The table with one more foreign key, on new columns of its own."""
    for target in tables:
        if any("." in name for name in (target.name, *target.names(target.key))):
            continue  # engines/ddl.py asks for ForeignKey.target_fullname, which SQLAlchemy 2.1 refuses for these
        grown = table
        for column in target.names(target.key):
            kind = next(one.kind for one in target.columns if one.name == column)
            grown = with_column(grown, Column(free_number(grown), free_name(grown), kind))
        columns = tuple(column.number for column in grown.columns[len(table.columns) :])
        for name in (None, part_name(table, "key$")):
            for ondelete in ACTIONS:
                for onupdate in (None, "CASCADE"):
                    key = ForeignKey(name, columns, target.number, ondelete, onupdate)
                    yield replace(grown, foreign_keys=(*grown.foreign_keys, key))


Growth = Callable[[Sequence[Described], Described], Iterator[Described]]
GROWTH: Mapping[str, Growth] = {
    "computed column": computed_columns,
    "unique": uniques,
    "index": indexes,
    "check": checks,
    "foreign key": foreign_keys,
}
"""All tables that are a table with one more part: what schemas grow by, and the changes that add something."""
