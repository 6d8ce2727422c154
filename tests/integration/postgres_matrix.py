"""The fidelity matrix: PostgreSQL's types, the Arrow type of each, and values at its limits. docs/fidelity.md shows it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "OWN_TYPES", "Kind", "shown"]


@dataclass(frozen=True)
class Kind:
    """A type. `form` says what the values are compared with: the driver's own values (`value`), its text (`text`), or the
    elements of the array as text (`array`). `unfit` are values that the Arrow type cannot hold, `since` is the server's version that brought the values.
    """

    sql: str
    arrow: str
    values: tuple[str, ...]
    form: str = "text"
    unfit: tuple[str, ...] = ()
    since: int = 0


def _value(sql: str, arrow: str, *values: str, unfit: tuple[str, ...] = ()) -> Kind:
    return Kind(sql, arrow, values, "value", unfit)


def _text(sql: str, *values: str, since: int = 0) -> Kind:
    return Kind(sql, "string", values, since=since)


def _array(element: str, *values: str) -> Kind:
    return Kind(f"{element}[]", "string", values, "array")


LONG = "123456789012345678901234567890.000000000000000000000000001"
_TIMES = (
    "0001-01-01 00:00:00",
    "1970-01-01 00:00:00",
    "1969-12-31 23:59:59.999999",
    "9999-12-31 23:59:59.999999",
)
_NO_TIMES = (
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00 BC",
    "10000-01-01 00:00:00",
    "294276-12-31 23:59:59.999999",
)

OWN_TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'very happy', 'it''s, "so"');
    CREATE DOMAIN year AS integer CHECK (VALUE > 1900);
    CREATE DOMAIN price AS numeric(6,2);
    CREATE DOMAIN tags AS text[];
    CREATE DOMAIN nested AS price;
    CREATE TYPE pair AS (a integer, b text);
    CREATE TYPE pairs AS (one pair, many pair[]);
    CREATE TYPE floats AS RANGE (subtype = float8);
"""

KINDS = [
    _value("boolean", "bool", "t", "f"),
    _value("smallint", "int16", "-32768", "0", "32767"),
    _value("integer", "int32", "-2147483648", "0", "2147483647"),
    _value("bigint", "int64", "-9223372036854775808", "0", "9223372036854775807"),
    _value("oid", "uint32", "0", "4294967295"),
    _value("real", "float", "0", "-0", "0.1", "3.4028235e38", "1.1754944e-38", "1e-45", "NaN", "Infinity", "-Infinity"),
    _value(
        "double precision", "double",
        "0", "-0", "0.1", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "NaN", "Infinity", "-Infinity",
    ),
    _value("numeric(12,2)", "decimal128(12, 2)", "-9999999999.99", "0", "0.10", "9999999999.99", unfit=("NaN",)),
    _value("numeric(38,0)", "decimal128(38, 0)", "9" * 38, "-" + "9" * 38, unfit=("NaN",)),
    _value("numeric(38,38)", "decimal128(38, 38)", "0." + "0" * 37 + "1", "-0." + "9" * 38, unfit=("NaN",)),
    _value("numeric(39,3)", "decimal256(39, 3)", "9" * 36 + ".999", "-0.001", unfit=("NaN",)),
    _value("numeric(76,38)", "decimal256(76, 38)", "9" * 38 + "." + "9" * 38, "-1", unfit=("NaN",)),
    _value("numeric(3,-2)", "decimal128(5, 0)", "99900", "-12345", "0", unfit=("NaN",)),
    _value("numeric(3,5)", "decimal128(5, 5)", "0.00999", "-0.00123", unfit=("NaN",)),
    _text("numeric(77,0)", "9" * 77, "NaN"),
    _text("numeric", LONG, "0", "1.10", "-1e-100", "NaN", "Infinity", "-Infinity"),
    _text("money", "-92233720368547758.08", "0", "1234567.89"),
    _value("text", "string", "", " a ", 'q"uo\'ted', "line\nline\r\nline\r", "ünïcode 漢字 🎉 \ufeff", "\\.", "\\N", "NULL", ",", '""', "\x01\x7f"),
    _value("character varying(3)", "string", "", "abc", "漢字🎉"),
    _value("character(5)", "string", "", "a", "a b", "漢"),
    _value('"char"', "string", "x", ","),
    _value("name", "string", "x y", "x" * 63),
    _value("bytea", "binary", "", "\\x00", "\\x00ff0a225c2c", "\\x" + bytes(range(256)).hex()),
    _value(
        "date", "date32[day]", "0001-01-01", "1970-01-01", "2024-02-29", "9999-12-31",
        unfit=("infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "5874897-12-31", "4713-01-01 BC"),
    ),
    _value("time without time zone", "time64[us]", "00:00", "12:30:00.5", "23:59:59.999999", unfit=("24:00",)),
    _value("time(0) without time zone", "time64[us]", "23:59:59", unfit=("23:59:59.6",)),
    _text("time with time zone", "00:00+15:59:59", "12:00:00.5+02", "24:00:00-15:59:59"),
    _value("timestamp without time zone", "timestamp[us]", *_TIMES, unfit=_NO_TIMES),
    _value("timestamp(0) without time zone", "timestamp[us]", "2024-02-29 12:00:00.6", unfit=("infinity",)),
    _value(
        "timestamp with time zone", "timestamp[us, tz=UTC]",
        *(f"{time}+00" for time in _TIMES), "2024-03-31 02:30+02", "1900-01-01 00:00+00:19:32",
        unfit=("infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "10000-01-01 00:00:00+00"),
    ),
    _text("interval", "0", "1 year 2 mons -3 days 04:05:06.7", "-178000000 years", "178000000 years", "-0.000001 s", "P1D"),
    _text("interval", "infinity", "-infinity", since=170_000),
    _text("interval year to month", "1 year 2 mons"),
    _text("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "00000000-0000-0000-0000-000000000000"),
    _text("json", '{"a":  1.10, "a": "é\\n"}', "null", "[]", '"\\u0000"', "1e400"),
    _text("jsonb", '{"b":  1.10, "a": null}', "null", "1e400", '"🎉"'),
    _text("jsonpath", '$."a"[*] ? (@ > 1)'),
    _text("xml", "<a>é</a>", "a, <b c='d'/>"),
    _text("mood", "sad", 'it\'s, "so"'),
    _value("year", "int32", "1901", "2147483647"),
    _value("price", "decimal128(6, 2)", "1234.5", "-9999.99", unfit=("NaN",)),
    _value("nested", "decimal128(6, 2)", "1.10", unfit=("NaN",)),
    Kind("tags", "string", ("{a,b}", "{}"), "array"),
    _text("pair", '(1,"x y")', "(,)", '(1,"")', '(-1,"a ""b"" \\\\, é")'),
    _text("pairs", '("(1,a)","{""(2,b)"",NULL}")', "(,)"),
    _text("int4range", "[1,5)", "empty", "(,)", "[1,]"),
    _text("int8range", "[-9223372036854775808,0)", "empty"),
    _text("numrange", "[0.10,1e50)", "(,NaN]"),
    _text("daterange", "[0044-03-15 BC,infinity)", "[2024-01-01,2024-01-02]"),
    _text("tsrange", "[-infinity,infinity]", "(2024-01-01 00:00:00.5,)"),
    _text("tstzrange", "[2024-03-31 02:30+02,)", "empty"),
    _text("floats", "[0.1,NaN]", "(-Infinity,1e-45)"),
    _text("int4multirange", "{[1,5),[7,9)}", "{}"),
    _text("int8multirange", "{[1,5)}"),
    _text("nummultirange", "{[0.1,0.2],(1,)}"),
    _text("datemultirange", "{[2024-01-01,2024-02-01),[infinity,)}"),
    _text("tsmultirange", "{(,2024-01-01)}"),
    _text("tstzmultirange", "{[2024-03-31 02:30+02,2025-01-01 00:00+00)}"),
    _text("hstore", '"a"=>"1, \\"b\\"", "é"=>NULL', "", '""=>""'),
    _text("inet", "10.0.0.1/8", "::1", "2001:db8::/32", "255.255.255.255"),
    _text("cidr", "10.0.0.0/8", "::/0"),
    _text("macaddr", "08:00:2b:01:02:03"),
    _text("macaddr8", "08:00:2b:01:02:03:04:05"),
    _text("bit(3)", "101", "000"),
    _text("bit varying(70)", "", "1" * 70),
    _text("tsvector", "'a':1A 'b''s':2,3", ""),
    _text("tsquery", "'a' & !'b':*"),
    _text("point", "(1,-0)", "(NaN,Infinity)", "(0.1,1e-300)"),
    _text("line", "{1,-1,0.1}"),
    _text("lseg", "[(1,2),(3,4)]"),
    _text("box", "(3,4),(1,2)"),
    _text("path", "[(1,2),(3,4)]", "((1,2),(3,4))"),
    _text("polygon", "((1,2),(3,4),(5,6))"),
    _text("circle", "<(1,2),0.1>"),
    _text("pg_lsn", "FFFFFFFF/FFFFFFFF", "0/0"),
    _text("xid", "4294967295"),
    _text("xid8", "18446744073709551615"),
    _text("cid", "4294967295"),
    _text("tid", "(4294967295,65535)"),
    _text("pg_snapshot", "10:20:10,14,15"),
    _text("regclass", "pg_class", "0", "4294967295"),
    _text("regtype", "int4", '"char"'),
    _text("regproc", "now"),
    _text("regnamespace", "public"),
    _text("refcursor", "a, b"),
    _text("aclitem", "=r/pg_monitor"),
    Kind("int2vector", "string", ("1 -2 3",), "array"),
    Kind("oidvector", "string", ("1 4294967295",), "array"),
    _array("boolean", "{t,f,NULL}", "{}"),
    _array("smallint", "{-32768,NULL}"),
    _array("integer", "{1,NULL,3}", "{}", "{{1,2},{3,4}}", "{{{1},{2}},{{3},{NULL}}}", "[-1:1]={1,2,3}"),
    _array("bigint", "{9223372036854775807}"),
    _array("oid", "{4294967295}"),
    _array("real", "{0.1,1e-45,NaN,-Infinity}"),
    _array("double precision", "{0.1,5e-324,NaN,Infinity,-0}"),
    _array("numeric", "{" + LONG + ",NaN,1.10}"),
    _array("numeric(6,2)", "{1.1,NULL}"),
    _array("money", "{1.10}"),
    _array("text", '{"a \\"b\\"",NULL,"NULL","","é,\\\\ {}"}', '{"line\nline"}', "{{a,b},{c,NULL}}"),
    _array("character varying(3)", "{abc}"),
    _array("character(3)", "{a}"),
    _array("bytea", '{"\\\\x00ff",NULL,"\\\\x"}'),
    _array("date", "{2024-02-29,infinity,0044-03-15 BC,10000-01-01}"),
    _array("time without time zone", "{24:00,12:30:00.5}"),
    _array("time with time zone", "{12:00+02}"),
    _array("timestamp without time zone", "{2024-01-01 00:00:00.5,-infinity}"),
    _array("timestamp with time zone", "{2024-03-31 02:30+02,infinity}"),
    _array("interval", "{1 mon -1 day}"),
    _array("uuid", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"),
    _array("inet", "{10.0.0.1/8}"),
    _array("mood", '{sad,"very happy","it\'s, \\"so\\""}'),
    _array("bit(3)", "{101}"),
    _array("int4range", '{"[1,5)",empty}'),
    _array("point", '{"(1,2)"}'),
    _array("tsvector", "{\"'a':1\"}"),
]  # fmt: skip


def shown() -> str:
    """The matrix as the page shows it: a row for each type, with the values that do not fit its Arrow type."""
    unfit: dict[tuple[str, str], tuple[str, ...]] = {}
    for kind in KINDS:
        unfit[kind.sql, kind.arrow] = unfit.get((kind.sql, kind.arrow), ()) + kind.unfit
    rows = [
        f"| `{sql}` | `{arrow}` | {', '.join(f'`{value}`' for value in values)} |"
        for (sql, arrow), values in unfit.items()
    ]
    return "\n".join(["| PostgreSQL | Arrow | Tried and does not fit |", "|---|---|---|", *rows]) + "\n"
