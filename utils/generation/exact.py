"""Conditions in which numbers are calculated with, written again so that each operation on a decimal is a function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel_framework.base.models.contract import Contract

__all__ = ["UnreadConditionError", "exact_form"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])|(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)"""
    r"""|(?P<word>\w+)|(?P<sign>\|\||<>|!=|<=|>=|==|<<|>>|[-+*/%=<>(),~&|]))"""
)
_FLOAT_DIGITS = 15
"""Decimals of so many digits are different as 64-bit floats, too, and in the same order."""

_COMPARED = {"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TERMS = {"+": "exact_add", "-": "exact_subtract"}
_FACTORS = {"*": "exact_multiply", "/": "exact_divide", "%": "exact_modulo"}
_OF_NUMBERS = {
    "abs": "exact_absolute",
    "ceil": "exact_ceiling",
    "ceiling": "exact_ceiling",
    "floor": "exact_floor",
    "greatest": "exact_greatest",
    "least": "exact_least",
    "max": "exact_greatest",
    "min": "exact_least",
    "mod": "exact_modulo",
    "round": "exact_round",
    "trunc": "exact_truncate",
}
_THROUGH = {"coalesce", "ifnull", "nullif"}
_ENDS = {
    *(
        "AND",
        "OR",
        "NOT",
        "IS",
        "IN",
        "LIKE",
        "GLOB",
        "MATCH",
        "REGEXP",
        "BETWEEN",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
    ),
    *("ESCAPE", "COLLATE", "ISNULL", "NOTNULL", "AS"),
}


class UnreadConditionError(Exception):
    """A condition that calculates with decimals in a way that is not known here."""


@dataclass(frozen=True)
class _Part:
    """A piece of a condition; `exact` where it may be a decimal, as text."""

    text: str
    exact: bool = False


def exact_form(condition: str, contract: Contract, computed: Mapping[str, str]) -> str | None:
    """The condition in exact operations, for columns whose decimals are text; None where it says the same in floats.

    `computed` are the expressions of computed columns. Raises UnreadConditionError.
    """
    reader = _Reader(condition, contract, computed)
    found = reader.whole()
    return found.text if reader.differs else None


@dataclass
class _Reader:
    """Reads a condition by the precedence of SQLite's operators: https://sqlite.org/lang_expr.html."""

    condition: str
    contract: Contract
    computed: Mapping[str, str]
    differs: bool = False
    tokens: list[tuple[str, str]] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        place, length = 0, len(self.condition.rstrip())
        while place < length:
            found = _TOKEN.match(self.condition, place)
            if found is None or found.lastgroup is None:
                raise UnreadConditionError(self.condition)
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()

    def whole(self) -> _Part:
        found = self._or()
        if self.at < len(self.tokens):
            raise UnreadConditionError(self.condition)
        return found

    # tokens

    def _next(self) -> str:
        """The next token, words in capitals; empty at the end."""
        if self.at >= len(self.tokens):
            return ""
        kind, text = self.tokens[self.at]
        return text.upper() if kind == "word" else text if kind == "sign" else " "

    def _take(self, *wanted: str) -> str | None:
        found = self._next()
        if found not in wanted or not found:
            return None
        self.at += 1
        return found

    def _need(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise UnreadConditionError(self.condition)

    # conditions

    def _or(self) -> _Part:
        found = self._and()
        while self._take("OR"):
            found = _Part(f"{found.text} OR {self._and().text}")
        return found

    def _and(self) -> _Part:
        found = self._not()
        while self._take("AND"):
            found = _Part(f"{found.text} AND {self._not().text}")
        return found

    def _not(self) -> _Part:
        return _Part(f"NOT {self._not().text}") if self._take("NOT") else self._equal()

    def _equal(self) -> _Part:
        found = self._ordered()
        while True:
            if sign := self._take("=", "==", "<>", "!="):
                found = self._comparison(found, sign, self._ordered())
                continue
            negated = "NOT " if self._take("NOT") else ""
            if self._take("IS"):
                found = self._is(found)
            elif self._take("ISNULL") or (negated and self._take("NULL")) or self._take("NOTNULL"):
                word = "NOTNULL" if negated or self.tokens[self.at - 1][1].upper() == "NOTNULL" else "ISNULL"
                found = _Part(f"{found.text} {word}")
            elif self._take("BETWEEN"):
                found = self._between(found, negated)
            elif self._take("IN"):
                found = self._in(found, negated)
            elif operator := self._take("LIKE", "GLOB", "MATCH", "REGEXP"):
                self._refuse(found)
                found = _Part(f"{found.text} {negated}{operator} {self._ordered().text}")
                if self._take("ESCAPE"):
                    found = _Part(f"{found.text} ESCAPE {self._ordered().text}")
            elif negated:
                raise UnreadConditionError(self.condition)
            else:
                return found

    def _is(self, found: _Part) -> _Part:
        negated = "NOT " if self._take("NOT") else ""
        distinct = False
        if self._take("DISTINCT"):
            self._need("FROM")
            distinct = True
        other = self._ordered()
        if not (found.exact or other.exact) or other.text.upper() == "NULL":
            return _Part(f"{found.text} IS {negated}{'DISTINCT FROM ' if distinct else ''}{other.text}")
        same = f"(CASE WHEN {found.text} IS NULL OR {other.text} IS NULL THEN {found.text} IS {other.text}"
        same += f" ELSE exact_compare({found.text}, {other.text}) = 0 END)"
        return _Part(same if bool(negated) == distinct else f"(NOT {same})")

    def _between(self, found: _Part, negated: str) -> _Part:
        low = self._ordered()
        self._need("AND")
        high = self._ordered()
        if not (found.exact or low.exact or high.exact):
            return _Part(f"{found.text} {negated}BETWEEN {low.text} AND {high.text}")
        both = f"{self._comparison(found, '>=', low).text} AND {self._comparison(found, '<=', high).text}"
        return _Part(f"({negated}({both}))")

    def _in(self, found: _Part, negated: str) -> _Part:
        self._need("(")
        items = self._list()
        if not found.exact and not any(item.exact for item in items):
            return _Part(f"{found.text} {negated}IN ({', '.join(item.text for item in items)})")
        any_of = " OR ".join(self._comparison(found, "=", item).text for item in items) or "0"
        return _Part(f"({negated}({any_of}))")

    def _ordered(self) -> _Part:
        found = self._bits()
        while sign := self._take("<", "<=", ">", ">="):
            found = self._comparison(found, sign, self._bits())
        return found

    def _comparison(self, one: _Part, sign: str, other: _Part) -> _Part:
        if not (one.exact or other.exact):
            return _Part(f"{one.text} {sign} {other.text}")
        return _Part(f"exact_compare({one.text}, {other.text}) {_COMPARED[sign]} 0")

    # numbers

    def _bits(self) -> _Part:
        found = self._terms()
        while sign := self._take("&", "|", "<<", ">>"):
            self._refuse(found)
            found = _Part(f"{found.text} {sign} {self._terms().text}")
        return found

    def _terms(self) -> _Part:
        found = self._factors()
        while sign := self._take(*_TERMS):
            found = self._calculated(found, sign, _TERMS[sign], self._factors())
        return found

    def _factors(self) -> _Part:
        found = self._joined()
        while sign := self._take(*_FACTORS):
            found = self._calculated(found, sign, _FACTORS[sign], self._joined())
        return found

    def _calculated(self, one: _Part, sign: str, function: str, other: _Part) -> _Part:
        if not (one.exact or other.exact or sign == "/"):
            return _Part(f"{one.text} {sign} {other.text}")
        self.differs = True
        return _Part(f"{function}({one.text}, {other.text})", exact=True)

    def _joined(self) -> _Part:
        found = self._signed()
        while self._take("||"):
            self._refuse(found)
            found = _Part(f"{found.text} || {self._signed().text}")
        while self._take("COLLATE"):
            found = _Part(f"{found.text} COLLATE {self.tokens[self.at][1]}", found.exact)
            self.at += 1
        return found

    def _signed(self) -> _Part:
        if sign := self._take("-", "+", "~"):
            found = self._signed()
            if found.exact and sign == "-":
                return _Part(f"exact_negate({found.text})", exact=True)
            return found if sign == "+" else _Part(f"{sign}{found.text}")
        return self._single()

    def _refuse(self, part: _Part) -> None:
        """What reads the digits of a number as text is said in another way by each database."""
        if part.exact:
            raise UnreadConditionError(self.condition)

    # single values

    def _single(self) -> _Part:
        if self._take("("):
            items = self._list()
            return _Part(f"({', '.join(item.text for item in items)})", any(item.exact for item in items))
        if self._take("CASE"):
            return self._case()
        if self.at >= len(self.tokens) or self._next() in _ENDS:
            raise UnreadConditionError(self.condition)
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "word" and self._take("("):
            return self._cast() if text.upper() == "CAST" else self._called(text)
        if kind == "number" and "." in text and "e" not in text.lower():
            self.differs |= len(text.replace(".", "")) > _FLOAT_DIGITS
            return _Part(f"'{text}'", exact=True)
        return self._column(text) if kind in ("word", "name") else _Part(text)

    def _list(self) -> list[_Part]:
        """Values between brackets, of which the first is taken."""
        items: list[_Part] = []
        while self._take(")") is None:
            if items:
                self._need(",")
            items.append(self._or())
        return items

    def _column(self, text: str) -> _Part:
        plain = text[1:-1].replace('""', '"') if not text[0].isalnum() and text[0] != "_" else text
        name = next((name for name in self.contract.columns if name.casefold() == plain.casefold()), None)
        if name is None:
            return _Part(text)
        column = self.contract.columns[name]
        if name in self.computed:
            inner = _Reader(self.computed[name], self.contract, self.computed)
            found = inner.whole()
            self.differs |= inner.differs
            if column.family == "decimal" and column.scale is not None:
                return _Part(f"exact_round({found.text}, {column.scale})", exact=True)
            return _Part(f"({found.text})", found.exact)
        is_decimal = column.family == "decimal"
        self.differs |= is_decimal and (column.precision is None or column.precision > _FLOAT_DIGITS)
        return _Part(text, is_decimal)

    def _called(self, name: str) -> _Part:
        items = self._list()
        exact = any(item.exact for item in items)
        lower = name.lower()
        function = _OF_NUMBERS.get(lower)
        several = lower in ("greatest", "least")
        if function is not None and (exact or several):
            self.differs = True
            return _Part(f"{function}({', '.join(item.text for item in items)})", exact=True)
        if exact and lower not in _THROUGH:
            items = [_Part(f"exact_as_float({item.text})") if item.exact else item for item in items]
        through = exact and lower in _THROUGH
        return _Part(f"{name}({', '.join(item.text for item in items)})", through)

    def _cast(self) -> _Part:
        found = self._or()
        self._need("AS")
        start, depth = self.at, 0
        while depth or self._next() != ")":
            if not self._next():
                raise UnreadConditionError(self.condition)
            depth += {"(": 1, ")": -1}.get(self._next(), 0)
            self.at += 1
        words = " ".join(text for _, text in self.tokens[start : self.at])
        self._need(")")
        if not found.exact:
            return _Part(f"CAST({found.text} AS {words})")
        sized = re.fullmatch(r"(?:DECIMAL|NUMERIC)(?: \( \d+(?: , (\d+))? \))?", words, re.IGNORECASE)
        if re.match(r"(BIG|SMALL)?INT|SIGNED|UNSIGNED", words, re.IGNORECASE) or sized:
            self.differs = True
            return _Part(f"exact_round({found.text}, {(sized and sized[1]) or 0})", exact=True)
        if re.match(r"FLOAT|REAL|DOUBLE", words, re.IGNORECASE):
            return _Part(f"exact_as_float({found.text})")
        raise UnreadConditionError(self.condition)

    def _case(self) -> _Part:
        whole, exact = ["CASE"], False
        if self._next() != "WHEN":
            operand = self._or()
            self._refuse(operand)
            whole.append(operand.text)
        while self._take("WHEN"):
            condition = self._or()
            self._need("THEN")
            value = self._or()
            exact |= value.exact
            whole.append(f"WHEN {condition.text} THEN {value.text}")
        if self._take("ELSE"):
            value = self._or()
            exact |= value.exact
            whole.append(f"ELSE {value.text}")
        self._need("END")
        return _Part(f"{' '.join(whole)} END", exact)
