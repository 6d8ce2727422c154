"""Stored SQL taken apart: tokens, expressions in one spelling, CREATE TABLE and CREATE INDEX."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmodel_framework.engines.sqlite_ddl_text import (
    normal_text,
    split_by_comma,
    tokens_of,
    type_text,
    without_outer_parentheses,
)
from sqlmodel_framework.engines.sqlite_table_text import parse_index, parse_table, renamed_table

SQL_PIECES = """
    a "b c" [d ] ` ' '' " ( ) , -- /* */ 1 1e . x'0f' | CREATE TABLE CHECK PRIMARY KEY REFERENCES ON CONSTRAINT DEFAULT AS - > = é
"""
EXPRESSION_PIECES = """
    a PRICE "in" [key] key f ( ) , 1 1.5E3 x'0F' 'it''s' - + = == <> || AND not -> é
"""
EXPRESSIONS = st.lists(st.sampled_from(EXPRESSION_PIECES.split()))
ANY_TEXT = st.one_of(st.text(), st.lists(st.sampled_from([" ", "\n", *SQL_PIECES.split()])).map("".join))
COLUMNS = {"a": "a", "price": "Price", "key": "key", "in": "in"}


def normal(sql: str) -> str:
    return normal_text(without_outer_parentheses(tokens_of(sql)), COLUMNS)


@given(ANY_TEXT)
def test_tokens_joined_give_the_same_tokens(text: str) -> None:
    words = [token.text for token in tokens_of(text)]
    assert [token.text for token in tokens_of(" ".join(words))] == words


@given(ANY_TEXT)
def test_tokens_stand_where_they_say(text: str) -> None:
    tokens = tokens_of(text)
    assert [text[token.start : token.end] for token in tokens] == [token.text for token in tokens]


@given(ANY_TEXT)
def test_no_text_is_refused_and_reading_twice_gives_the_same(text: str) -> None:
    for read in (
        parse_table,
        lambda one: parse_table(f"CREATE TABLE t ({one})"),
        lambda one: parse_index(f"CREATE INDEX i ON t ({one}"),
        lambda one: renamed_table(one, "x"),
        normal,
        type_text,
    ):
        assert read(text) == read(text)


@given(EXPRESSIONS)
def test_one_spelling_is_its_own_spelling(words: list[str]) -> None:
    once = normal_text(tokens_of(" ".join(words)), COLUMNS)
    assert normal_text(tokens_of(once), COLUMNS) == once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a>0", "( ( A > 0 ) )"),
        ("[a]>0", '"a" /* why */ > -- because\n 0'),
        ("`a` IN ('x','y')", "a in ( 'x' , 'y' )"),
        ('a = "open"', "a = 'open'"),
        ("a <> 1 AND a == 2", "a != 1 and a = 2"),
        ("LENGTH(price) > 0", 'length( "PRICE" ) > 0'),
        ("key > 0", '"key" > 0'),
        ("a > - 1", "a > -1"),
        ("a between -1 and +1", "A BETWEEN - 1 AND + 1"),
        ("x'0a' = a", "X'0A' = a"),
        ("1E5 < a", "1e5 < a"),
        ("CAST(a AS integer)", "cast (a as INTEGER)"),
        ("a COLLATE NOCASE = 'x'", "a collate \"nocase\" = 'x'"),
        ("t.a > 0", '"t"."a" > 0'),
    ],
)
def test_spellings_of_one_expression(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a > 0", "a >= 0"),
        ("a = 'X'", "a = 'x'"),
        ("a = 'a'", "a = a"),
        ("a IN (1, 2)", "a IN (1, 2, 3)"),
        ("(a > 0) OR (a < 1)", "a > 0 OR (a < 1)"),
        ("a = '--'", "a = ''"),
        ("a = 'x''y'", "a = 'xy'"),
        ('a > "in"', "a > 1 IN (1)"),
        ("a = 1", "a = 1.0"),
        ("é > 0", "É > 0"),
    ],
)
def test_different_expressions(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_an_expression_is_printed_for_people() -> None:
    assert normal('(length( "PRICE")>-1 and A in(\'x\',"y") or "in"=t . a)') == (
        "length(Price) > -1 AND a IN ('x', 'y') OR \"in\" = t.a"
    )


def test_types_have_one_spelling() -> None:
    assert type_text("numeric( 10,2 )") == "NUMERIC(10, 2)"
    assert type_text("double   precision") == type_text("DOUBLE PRECISION")
    assert type_text("numeric /* x */ generated -- x") == "NUMERIC"
    assert type_text("") == ""


def test_commas_in_parentheses_do_not_split() -> None:
    parts = split_by_comma(tokens_of("a, f(b, c), , 'x,y'"))
    assert ["".join(t.text for t in part) for part in parts] == ["a", "f(b,c)", "'x,y'"]


def test_every_clause_of_a_table() -> None:
    table = parse_table(
        """CREATE TABLE IF NOT EXISTS main."my table" (
            [id] INTEGER PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT, -- , not a column
            "check" TEXT COLLATE nocase DEFAULT 'a,)' NOT NULL ON CONFLICT IGNORE CONSTRAINT u UNIQUE,
            `n` GENERATED ALWAYS AS (id * (2 + 1)) STORED CHECK (n > 0),
            r INT REFERENCES other (x) ON UPDATE SET NULL ON DELETE NO ACTION MATCH FULL DEFERRABLE INITIALLY DEFERRED,
            CONSTRAINT c CHECK ("check" <> 'UNIQUE') FOREIGN KEY (r, n) REFERENCES other NOT DEFERRABLE
            , late INT DEFAULT -1 /* added */
        ) WITHOUT ROWID, STRICT"""
    )
    assert list(table.columns) == ["id", "check", "n", "r", "late"]
    assert table.columns["id"].autoincrement
    assert (table.columns["check"].collation, table.columns["check"].null_conflict) == ("NOCASE", "IGNORE")
    assert table.columns["n"].stored
    assert table.columns["late"].definition == "late INT DEFAULT -1"
    assert [(one.kind, one.name) for one in table.constraints] == [
        ("PRIMARY KEY", None),
        ("UNIQUE", "u"),
        ("CHECK", None),
        ("FOREIGN KEY", None),
        ("CHECK", "c"),
        ("FOREIGN KEY", None),
    ]
    first, second = (one.reference for one in table.constraints if one.reference)
    assert first.columns == ("x",)
    assert (first.on_delete, first.on_update) == (None, "SET NULL")
    assert first.deferrable == "DEFERRABLE INITIALLY DEFERRED"
    assert (second.columns, second.deferrable) == ((), None)
    assert table.strict
    assert table.without_rowid


def test_every_clause_of_an_index() -> None:
    index = parse_index('CREATE UNIQUE INDEX IF NOT EXISTS main."on" ON [t] (a DESC, f(b, c)) WHERE (a > 0)')
    assert index.unique
    assert len(index.terms) == 2
    assert normal_text(without_outer_parentheses(index.where), COLUMNS) == "a > 0"


@pytest.mark.parametrize(
    "head", ["CREATE TABLE item", 'create /* item */ table "item"', "CREATE TABLE main.[item]"]
)
def test_only_the_head_is_renamed(head: str) -> None:
    sql = f"{head} (item INTEGER, parent REFERENCES item (item), CHECK (item > 0))"
    renamed = renamed_table(sql, '"item__new"')
    assert renamed.endswith('"item__new" (item INTEGER, parent REFERENCES item (item), CHECK (item > 0))')
    database = sqlite3.connect(":memory:")
    database.execute(renamed)
    database.close()
