"""The SQL that SQLite stores for a table or index, taken apart: SQLite keeps it as it was written.

The rules are those of SQLite's own tokenizer (tokenize.c) and grammar (parse.y). Nothing here raises: text that is no
SQL gives tokens all the same, because what is read has been accepted by SQLite before.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "Token",
    "Walk",
    "normal_text",
    "plain",
    "spelled",
    "split_by_comma",
    "tokens_of",
    "type_text",
    "without_outer_parentheses",
]


class Token(NamedTuple):
    """One token. `kind` is word, name (quoted), string, blob, number or sign; `text` is as written, from `start` on.

    `key` is the keyword or sign in capitals; empty for everything that is neither.
    """

    kind: str
    text: str
    start: int
    key: str

    @property
    def value(self) -> str:
        """The name or string without its quotes; other tokens as written."""
        if self.kind not in ("name", "string") or len(self.text) < 2:
            return self.text
        mark = self.text[0]
        inner = self.text[1:-1]
        return inner if mark == "[" else inner.replace(mark * 2, mark)

    @property
    def end(self) -> int:
        """The position after the token."""
        return self.start + len(self.text)


_TOKEN = re.compile(
    r"""
    (?P<skip> [ \t\n\f\r]+ | --[^\n]* | /\*(?:.|\n)*?(?:\*/|\Z) )
  | (?P<blob> [xX]'[0-9a-fA-F]*' )
  | (?P<string> '(?:[^']|'')*' )
  | (?P<name> "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
  | (?P<number> 0[xX][0-9a-fA-F]+ | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )
  | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
  | (?P<rest> ['"`\[](?:.|\n)* )
  | (?P<sign> \|\| | ->> | -> | <= | >= | <> | << | >> | == | != | (?:.|\n) )
    """,
    re.VERBOSE,
)


def tokens_of(sql: str) -> list[Token]:
    """The tokens of a statement without comments and white space; a quote that is never closed is one `rest` token."""
    found = []
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup or "", match.group()
        if kind == "word":
            found.append(Token(kind, text, match.start(), text.upper()))
        elif kind != "skip":
            found.append(Token(kind, text, match.start(), text if kind == "sign" else ""))
    return found


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def plain(name: str) -> str:
    """A name in the form SQLite compares it in: ASCII letters have no case, others do."""
    return name.translate(_ASCII_LOWER)


_DEPTH = {"(": 1, ")": -1}


class Walk:
    """A way through tokens, from left to right."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._end = len(tokens)

    def __bool__(self) -> bool:
        return self._at < self._end

    def sees_any(self, words: Container[str]) -> bool:
        """Whether the next token is one of these keywords or signs."""
        return bool(self) and self._tokens[self._at].key in words

    def accept(self, *words: str) -> bool:
        """Step over these keywords or signs, if they are next."""
        if not self or self._tokens[self._at].key != words[0]:
            return False
        end = self._at + len(words)
        if tuple(token.key for token in self._tokens[self._at : end]) != words:
            return False
        self._at = end
        return True

    def accept_any(self, *words: str) -> str | None:
        """Step over one of these, if it is next, and give it."""
        return next((word for word in words if self.accept(word)), None)

    def take(self) -> Token:
        """The next token; an empty one at the end."""
        if not self:
            return Token("sign", "", 0, "")
        self._at += 1
        return self._tokens[self._at - 1]

    def take_group(self) -> Sequence[Token]:
        """Step over a parenthesis and give what is in it; nothing where none is next."""
        if not self.accept("("):
            return ()
        start, depth = self._at, 1
        for at in range(start, self._end):
            depth += _DEPTH.get(self._tokens[at].key, 0)
            if not depth:
                self._at = at + 1
                return self._tokens[start:at]
        self._at = self._end
        return self._tokens[start:]


def split_by_comma(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """The parts between the commas that stand in no parenthesis; empty parts are left out."""
    part: list[Token] = []
    depth = 0
    for token in tokens:
        depth += _DEPTH.get(token.key, 0)
        if token.text == "," and not depth:
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def without_outer_parentheses(tokens: Sequence[Token]) -> Sequence[Token]:
    """`((a > 0))` is `a > 0`."""
    while len(tokens) > 2 and tokens[0].text == "(":
        walk = Walk(tokens)
        inner = walk.take_group()
        if walk or not inner:
            break
        tokens = inner
    return tokens


# Words that cannot be a name without quotes.
_RESERVED_WORDS = """
    ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT DEFERRABLE DELETE
    DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO IS ISNULL JOIN
    LIMIT NOT NOTHING NOTNULL NULL ON OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO TRANSACTION UNION
    UNIQUE UPDATE USING VALUES WHEN WHERE
"""
# Words with a meaning in expressions that may be names as well.
_OTHER_WORDS = """
    ASC CAST CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DESC END FALSE GLOB LIKE MATCH REGEXP TRUE
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
_KEYWORDS = _RESERVED | frozenset(_OTHER_WORDS.split())
_SAME_SIGN = {"==": "=", "<>": "!="}
_PLAIN_NAME = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*\Z")


def normal_text(tokens: Sequence[Token], columns: Mapping[str, str]) -> str:
    """An expression in one spelling: quotes, white space and letter case of keywords make no difference.

    `columns` gives the column names by their `plain` form. A name in double quotes that is no column is a string, as
    SQLite reads it.
    """
    words = [_spelling(tokens, at, columns) for at in range(len(tokens))]
    return "".join(("" if at == 0 or _joins(tokens, at) else " ") + word for at, word in enumerate(words))


@lru_cache(maxsize=1024)
def type_text(declared: str) -> str:
    """A declared type in one spelling, such as NUMERIC(10, 2).

    SQLite takes GENERATED ALWAYS for a part of the type, and leaves GENERATED there if a comment follows it.
    """
    tokens = tokens_of(declared)
    if tokens and tokens[-1].key == "GENERATED":
        tokens = tokens[:-1]
    text = " ".join(token.value.upper() for token in tokens)
    return text.replace(" (", "(").replace("( ", "(").replace(" )", ")").replace(" ,", ",")


def _spelling(tokens: Sequence[Token], at: int, columns: Mapping[str, str]) -> str:
    token = tokens[at]
    if at and tokens[at - 1].key == "COLLATE":
        return token.value.upper()
    if token.kind == "word":
        return _word(token, columns, calls=_text_at(tokens, at + 1) == "(")
    if token.kind == "name":
        return _name(token, columns, qualified="." in (_text_at(tokens, at - 1), _text_at(tokens, at + 1)))
    if token.kind == "blob":
        return token.text.upper()
    return _SAME_SIGN.get(token.text, token.text.lower() if token.kind == "number" else token.text)


def _word(token: Token, columns: Mapping[str, str], *, calls: bool) -> str:
    upper = token.key
    if upper in _RESERVED or (upper in _KEYWORDS and plain(token.text) not in columns):
        return upper
    if calls:
        return plain(token.text)
    return spelled(columns.get(plain(token.text), plain(token.text)))


def _name(token: Token, columns: Mapping[str, str], *, qualified: bool) -> str:
    name = plain(token.value)
    if token.text.startswith('"') and name not in columns and not qualified:
        return "'" + token.value.replace("'", "''") + "'"
    return spelled(columns.get(name, name))


def spelled(name: str) -> str:
    """A name as `normal_text` prints it: quoted only where it must be."""
    if _PLAIN_NAME.match(name) and name.upper() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _text_at(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].text if 0 <= at < len(tokens) else ""


def _joins(tokens: Sequence[Token], at: int) -> bool:
    """Whether a token stands directly behind the one before it."""
    before, text = tokens[at - 1], tokens[at].text
    if text in (")", ",", ".") or before.text in ("(", "."):
        return True
    if text == "(":
        return before.kind in ("word", "name") and before.key not in _KEYWORDS - {"CAST"}
    return before.text in ("-", "+") and text[0] not in "-+" and (at == 1 or _opens(tokens[at - 2]))


def _opens(token: Token) -> bool:
    """Whether a sign behind this token belongs to the number that follows."""
    return (token.kind == "sign" and token.text != ")") or token.key in _RESERVED
