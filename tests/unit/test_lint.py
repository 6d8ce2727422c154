"""Lint: what is a finding and what is none, suppressions, classes that cannot be imported, formats, settings, speed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import new_class
from typing import Annotated, Any, Literal
from xml.etree import ElementTree

import pytest
import sqlalchemy
from jsonschema import Draft202012Validator
from pydantic import NaiveDatetime, create_model
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    PickleType,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlmodel import Field, SQLModel

from sqlmodel_framework.base.errors import ConfigurationError, DiscoveryError
from sqlmodel_framework.base.models import BronzeMetadata, SilverMetadata, time_field
from sqlmodel_framework.benchmarks.generated import table_classes
from sqlmodel_framework.config.settings import LintSettings, read_lint_settings
from sqlmodel_framework.utils.discovery import Datakit, load_datakit
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.linting import LintResult, lint_datakit
from sqlmodel_framework.utils.reports import FORMATS, TargetReport, render, report_schema
from sqlmodel_framework.utils.rules import Rules
from sqlmodel_framework.utils.tables import TableLike, TableScope

Kits = Callable[..., Path]
KEY = (int, Field(primary_key=True))


def kit_of(*tables: TableLike, name: str = "shop") -> Datakit:
    return Datakit(name, Path(), (), tables)


def table_class(name: str = "Item", /, *, base: Any = SQLModel, args: Any = None, **fields: Any) -> Any:
    """A table class that belongs to no kit."""
    namespace: dict[str, Any] = {"__tablename__": name.lower(), "__annotations__": {}, "__module__": __name__}
    if args is not None:
        namespace["__table_args__"] = args
    for field, (annotation, value) in {"id": KEY, **fields}.items():
        namespace["__annotations__"][field] = annotation
        if value is not ...:
            namespace[field] = value
    bases = base if isinstance(base, tuple) else (base,)
    with TableScope.new().entered():
        return new_class(name, bases, {"table": True}, lambda body: body.update(namespace))


def lint(*tables: TableLike, name: str = "shop", **options: Any) -> LintResult:
    return lint_datakit(kit_of(*tables, name=name), **options)


def codes(*tables: TableLike, **options: Any) -> list[str]:
    return [finding.code for finding in lint(*tables, **options).findings]


def codes_of_field(annotation: Any, value: Any = ..., **options: Any) -> list[str]:
    return codes(table_class(x=(annotation, value)), **options)


# what is a finding, and what is none


class Wrapped(TypeDecorator[Any]):
    """Writes lists as text."""

    impl = Text
    cache_ok = True


@pytest.mark.parametrize(
    ("annotation", "value", "found"),
    [
        (int, ..., []),
        (int, Field(ge=0, le=100, sa_column_args=[CheckConstraint("x BETWEEN 0 AND 100")]), []),
        (int, Field(ge=0, le=100, sa_column_args=[CheckConstraint("x >= 0")]), ["DL203"]),
        (int, Field(ge=0, sa_column_args=[CheckConstraint("x > -1 AND id > 0")]), []),
        (int, Field(multiple_of=5, sa_column_args=[CheckConstraint("x % 5 = 0")]), []),
        (int, Field(multiple_of=5, ge=0, sa_column_args=[CheckConstraint("x % 5 = 0")]), ["DL203"]),
        (int, Field(ge=0, sa_column_args=[CheckConstraint("strange_function(x) = 1")]), []),
        (str, Field(min_length=2, max_length=9, sa_column_args=[CheckConstraint("length(x) > 1")]), []),
        (str, Field(min_length=2, max_length=9, sa_column_args=[CheckConstraint("length(x) > 0")]), ["DL203"]),
        (Literal["a", "b"], Field(sa_type=String(1), sa_column_args=[CheckConstraint("x IN ('a', 'b')")]), []),
        (str, Field(sa_column=Column(String(5))), ["DL204"]),
        (dict[str, Any], Field(sa_column=Column(JSON)), ["DL204"]),
        (str | None, Field(sa_column=Column(String(5))), []),
        (Any, Field(sa_column=Column(JSON)), []),
        (str, Field(sa_column=Column(String(5), nullable=False)), []),
        (int, Field(le=2**40, sa_type=BigInteger), ["DL203"]),
        (int, Field(le=2**40), ["DL106", "DL203"]),
        (int, Field(default=2**31, sa_column_kwargs={"server_default": "2147483648"}), ["DL106"]),
        (int, Field(sa_type=SmallInteger), []),
        (Decimal, ..., ["DL101"]),
        (Decimal, Field(max_digits=5, decimal_places=2), []),
        (Annotated[Decimal, Field(max_digits=5, decimal_places=2)], ..., []),
        (Decimal, Field(sa_type=Numeric(8, 2)), []),
        (Decimal, Field(max_digits=5, decimal_places=2, sa_type=Numeric(8, 2)), ["DL103"]),
        (Decimal, Field(max_digits=8, decimal_places=0, sa_type=Numeric(8, 2)), ["DL103"]),
        (float, Field(sa_type=Double), []),
        (float, Field(sa_type=Float(53)), []),
        (float, Field(sa_type=Float(24)), ["DL109"]),
        (str, ..., ["DL102"]),
        (str, Field(sa_type=Text), []),
        (str, Field(sa_type=String(20)), []),
        (str, Field(max_length=20, sa_type=String(20)), []),
        (str, Field(max_length=30, sa_type=String(20)), ["DL103"]),
        (Literal["a", "b"], Field(sa_type=String(1)), ["DL203"]),
        (datetime, time_field(), []),
        (datetime, Field(sa_type=sqlalchemy.DateTime), ["DL104", "DL105"]),
        (NaiveDatetime, Field(sa_type=mysql.DATETIME(fsp=6)), []),
        (timedelta, ..., ["DL105"]),
        (list[str], Field(sa_type=JSON), []),
        (list[str] | None, Field(default=None, sa_type=Wrapped), []),
        (list[str], Field(sa_type=PickleType), ["DL108"]),
        (dict[str, Any], Field(sa_type=String(50)), ["DL108"]),
        (bool, Field(default=False), ["DL202"]),
        (bool | None, None, []),
    ],
)  # fmt: skip
def test_findings_of_one_field(annotation: Any, value: Any, found: list[str]) -> None:
    if "fsp" in str(getattr(getattr(value, "sa_type", None), "__dict__", "")):
        assert codes_of_field(annotation, value, databases=["mysql"]) == found
    else:
        assert codes_of_field(annotation, value) == found


@pytest.mark.parametrize("name", ["size_bytes", "took_ms", "epoch", "seen_us"])
def test_a_name_of_big_numbers_is_a_reason_and_a_limit_is_none(name: str) -> None:
    assert codes(table_class(**{name: (int, ...)})) == ["DL106"]
    checked = [CheckConstraint(f"{name} BETWEEN 0 AND 1000")]
    assert codes(table_class(**{name: (int, Field(ge=0, le=1000, sa_column_args=checked))})) == []


def test_a_key_that_the_server_numbers_is_big_only_where_it_may_not_be_given() -> None:
    numbered = create_model(
        "Numbered", __base__=SQLModel, __cls_kwargs__={"table": True}, id=(int | None, Field(default=None, primary_key=True))
    )  # fmt: skip
    assert codes(numbered) == ["DL106"]
    assert codes(numbered, databases=["sqlite"]) == []
    assert codes(table_class()) == []


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("mysql", ["DL101", "DL102", "DL105", "DL109"]),
        ("postgres", ["DL403"]),
        ("sqlite", ["DL101", "DL403"]),
    ],
)
def test_a_database_alone_has_its_own_findings(kind: str, found: list[str]) -> None:
    item = table_class(
        price=(Decimal, ...),
        note=(str, ...),
        seen=(datetime, ...),
        ratio=(float, ...),
        other=(int, Field(foreign_key="item.id")),
    )
    result = lint(item, databases=[kind])
    assert sorted(finding.code for finding in result.findings) == found
    assert result.databases == (kind,)
    assert all(kind in finding.cause for finding in result.findings)


def test_the_leading_columns_of_any_index_serve_a_foreign_key() -> None:
    def item(*args: Any, **options: Any) -> Any:
        field = Field(foreign_key="item.id", **options)
        return table_class("Sale", args=args, item_id=(int, field), day=(int, ...))

    assert codes(item()) == ["DL403"]
    assert codes(item(index=True)) == []
    assert codes(item(unique=True)) == []
    assert codes(item(Index("ix_a", "item_id", "day"))) == []
    assert codes(item(UniqueConstraint("item_id", "day"))) == []
    assert codes(item(Index("ix_b", "day", "item_id"))) == ["DL403"]
    whole = table_class(
        "Sale",
        args=(ForeignKeyConstraint(["a", "b"], ["x.a", "x.b"]), Index("ix_ba", "b", "a")),
        a=(int, ...),
        b=(int, ...),
    )
    assert codes(whole) == []


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (Field(max_length=768, index=True), []),
        (Field(max_length=769, index=True), ["DL401"]),
        (Field(max_length=769, unique=True), ["DL401"]),
        (Field(max_length=769), []),
        (Field(sa_type=Text, index=True), ["DL401"]),
    ],
)
def test_the_width_of_an_index(field: Any, found: list[str]) -> None:
    item = table_class(x=(str, field))
    assert codes(item) == found
    assert codes(item, databases=["postgres", "sqlite"]) == []


def test_the_width_of_an_index_over_several_columns() -> None:
    texts = {"a": (str, Field(max_length=500)), "b": (str, Field(max_length=500))}
    wide = table_class(args=(Index("ix_wide", "a", "b"),), **texts)
    (finding,) = lint(wide).findings
    assert (finding.code, finding.column, finding.part) == ("DL401", None, "ix_wide")
    assert "4000" in finding.cause
    short = Index("ix_short", "a", "b", mysql_length={"a": 100, "b": 100})
    assert codes(table_class(args=(short,), **texts)) == []


def test_names() -> None:
    long = "n" * 64
    (finding,) = lint(table_class(**{long: (int, ...)})).findings
    assert (finding.code, finding.column) == ("DL301", long)
    assert finding.cause == "postgres: takes 63 bytes, and this has 64"
    assert codes(table_class(**{"n" * 63: (int, ...)})) == []
    named = UniqueConstraint("a", name="u" * 65)
    assert codes(table_class(args=(named,), a=(int, ...))) == ["DL301"]
    # SQLAlchemy cuts the names that it makes.
    assert codes(table_class(**{"n" * 60: (int, Field(index=True))})) == []
    keyed = {"other_id": (int, Field(foreign_key="item.id", index=True))}
    assert codes(table_class("T" * 60, **keyed), databases=["mysql"]) == ["DL301"]
    assert codes(table_class("T" * 60, **keyed), databases=["postgres"]) == []


def test_enums() -> None:
    class Same(Enum):
        A = "A"

    class Other(Enum):
        A = "a"

    assert codes_of_field(Same, databases=["mysql"]) == []
    assert codes_of_field(Same, databases=["sqlite"]) == ["DL203"]
    assert codes_of_field(Other, databases=["mysql"]) == ["DL107"]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"id": (int | None, Field(default=None, primary_key=True, sa_type=BigInteger))}, ["DL404"]),
        (
            {
                "id": (int | None, Field(default=None, primary_key=True, sa_type=BigInteger)),
                "code": (str, Field(max_length=5, unique=True)),
            },
            [],
        ),
    ],
)
def test_the_key_of_a_silver_table(fields: dict[str, Any], found: list[str]) -> None:
    assert codes(table_class(base=(SilverMetadata, SQLModel), **fields)) == found
    assert codes(table_class(**fields), name="silver_shop") == found
    assert codes(table_class(**fields)) == []


def test_a_table_without_a_class_is_linted_too() -> None:
    table = Table("silver_link", MetaData(), Column("a", Integer), Column("price", Numeric))
    assert codes(table) == ["DL101", "DL404"]


def every_type() -> Iterator[Any]:
    for module in (sqlalchemy, postgresql, mysql, sqlite):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, sqlalchemy.types.TypeEngine):
                for arguments in ((), (10,), ("a",), (Integer,)):
                    with suppress(TypeError, ValueError, AssertionError, sqlalchemy.exc.SQLAlchemyError):
                        yield kind(*arguments)
                        break


OPTIONS: list[dict[str, Any]] = [{}, {"index": True}, {"unique": True}]


def test_no_type_is_too_strange() -> None:
    types = list(every_type())
    assert len(types) > 80
    for kind in types:
        for options in OPTIONS:
            table = Table(
                "t", MetaData(), Column("id", Integer, primary_key=True), Column("x", kind, **options)
            )
            lint(table)


def test_the_metadata_of_a_bronze_table() -> None:
    assert codes(table_class(base=(BronzeMetadata, SQLModel)), name="bronze_shop") == []
    assert codes(table_class(), name="bronze_shop") == ["DL502"]


def test_a_shared_column_is_found_at_the_first_class() -> None:
    class Noted(SQLModel):
        note: str = Field(sa_column=Column(Text))

    assert codes(table_class(base=Noted), ignore=["DL204"]) == ["DL501"]
    assert codes(table_class(note=(str, Field(sa_column=Column(Text, nullable=False))))) == []


def test_a_check_between_two_columns_enforces_no_limit_of_either() -> None:
    fields = {"q": (int, Field(gt=0)), "r": (int, Field(le=1000))}
    found = lint(table_class(args=(CheckConstraint("q <= r"),), **fields)).findings
    assert [(finding.code, finding.column) for finding in found] == [("DL203", "q"), ("DL203", "r")]
    both = CheckConstraint("q <= r AND q > 0 AND r <= 1000")
    assert codes(table_class(args=(both,), **fields)) == []
    either = CheckConstraint("q > 0 OR r > 0")
    assert codes(table_class(args=(either,), **fields)) == ["DL203", "DL203"]


# suppressions and places


def test_a_field_of_a_mixin_is_shown_and_suppressed_there(write_kit: Kits) -> None:
    mixin = """
        class Noted(SQLModel):
            note: str{comment}
    """
    table = """
        from mixins import Noted

        class Item(Noted, table=True):
            id: int = Field(primary_key=True)
    """
    bare = write_kit("bare", {"mixins.py": mixin.format(comment=""), "tables.py": table})
    (finding,) = lint_datakit(bare).findings
    assert (finding.code, Path(str(finding.file)).name, finding.line) == ("DL102", "mixins.py", 4)
    quiet = mixin.format(comment="  # datakit: ignore[DL102] any length that 255 has room for")
    assert lint_datakit(write_kit("quiet", {"mixins.py": quiet, "tables.py": table})).findings == ()


def test_suppressions_by_name_several_at_once_over_lines_and_at_the_class(write_kit: Kits) -> None:
    kit = write_kit("shop", {"tables.py": """
        from decimal import Decimal

        class Item(SQLModel, table=True):  # datakit: ignore[bronze-without-metadata]
            __tablename__ = "bronze_item"

            id: int = Field(primary_key=True)
            price: Decimal = Field(
                description="in euro",  # datakit: ignore[DL101, description-no-comment]
            )
    """})  # fmt: skip
    assert lint_datakit(kit).findings == ()


def test_a_suppression_that_is_of_no_use_and_one_that_is_wrong(write_kit: Kits) -> None:
    kit = write_kit("shop", {"tables.py": """
        # datakit: ignore[DL102]
        class Item(SQLModel, table=True):
            id: int = Field(primary_key=True)  # datakit: ignore[DL101]
            text: str  # datakit: ignore
            name: str = "# datakit: ignore[DL102]"
    """})  # fmt: skip
    found = [(finding.code, finding.line, finding.table) for finding in lint_datakit(kit).findings]
    assert found == [
        ("DL001", 3, "shop"), ("DL001", 5, "item"), ("DL002", 6, "item"), ("DL102", 6, "item"), ("DL102", 7, "item"),
        ("DL202", 7, "item"),
    ]  # fmt: skip
    # Whether it is of use cannot be told from some of the databases.
    assert "DL001" not in [finding.code for finding in lint_datakit(kit, databases=["mysql"]).findings]


def test_findings_are_chosen_by_code_and_place() -> None:
    item = table_class(price=(Decimal, ...), note=(str, ...))
    assert codes(item, select=["DL101"]) == ["DL101"]
    assert codes(item, ignore=["text-without-length:item.note"]) == ["DL101"]
    assert lint(item, ignore=["DL1"]).notes == ("2 findings left out by select and ignore",)
    assert lint(item, ignore=["DL1"]).success


# bad input


def test_what_names_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"no database of this type is known; seen: oracle; expected: one of mysql"
    ):
        lint(table_class(), databases=["oracle"])
    with pytest.raises(ConfigurationError, match="databases are a list of types"):
        lint(table_class(), databases="mysql")
    with pytest.raises(ConfigurationError, match="a rule names no kind of finding"):
        lint(table_class(), select=["DL999"])
    with pytest.raises(ConfigurationError, match="did you mean postgres"):
        lint(table_class(), databases=["postgresql"])
    with pytest.raises(ConfigurationError, match="did you mean mysql"):
        lint(table_class(), databases=["mariadb"])
    with pytest.raises(ConfigurationError, match=r"did you mean text-without-length\? see docs/lint.md"):
        lint(table_class(), select=["text-without-lenght"])
    with pytest.raises(ConfigurationError, match="repeat the option"):
        lint(table_class(), select=["DL101,DL102"])
    with pytest.raises(ConfigurationError, match="a rule of lint names a finding of validation"):
        lint(table_class(), select=["DK201"])
    with pytest.raises(
        ConfigurationError, match=r"a rule of validation names a finding of lint.*docs/findings.md"
    ):
        Rules(ignore=["DL101"])
    with pytest.raises(DiscoveryError, match="no such folder"):
        lint_datakit(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DiscoveryError, match="the datakit defines no table"):
        lint_datakit(tmp_path / "empty")


def test_a_rule_whose_place_is_in_no_table_is_a_note() -> None:
    item = table_class("Item", price=(Decimal, ...))
    note = "the rule DL101:bronze_produkt matched nothing: no table is named so"
    assert lint(item, ignore=["DL101:bronze_produkt"]).notes == (note,)
    assert lint(item, ignore=["DL102:item.*", "DL102:it*", "DL102"]).notes == ()


def test_findings_stand_in_the_order_of_files_and_lines(write_kit: Kits) -> None:
    kit = write_kit("shop", {
        "b.py": "class A(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    x: str\n",
        "a.py": (
            "class Z(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    x: str\n"
            "class B(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    x: str\n"
        ),
    })  # fmt: skip
    assert [finding.table for finding in lint_datakit(kit).findings] == ["z", "b", "a"]


def test_a_suppression_in_any_letter_case(write_kit: Kits) -> None:
    kit = write_kit("shop", {"a.py": """
        class Item(SQLModel, table=True):
            id: int = Field(primary_key=True)
            note: str  # DataKit: Ignore[dl102]
            text: str  # datakit: IGNORE[Text-Without-Length]
    """})  # fmt: skip
    assert lint_datakit(kit).findings == ()


def test_what_to_write_for_a_regex(write_kit: Kits) -> None:
    kit = write_kit("shop", {"a.py": r"""
        class Item(SQLModel, table=True):
            id: int = Field(primary_key=True)
            code: str = Field(max_length=5, regex=r"^\d+$")
    """})  # fmt: skip
    (finding,) = lint_datakit(kit, select=["DL103"], fix_hints=True).findings
    assert finding.expected == r"Annotated[str, StringConstraints(pattern=r'^\d+$')]"
    assert finding.fix is not None
    assert r"pattern=r'^\d+$')" in finding.fix.new


def test_warnings_fail_in_junit_and_stay_warnings_elsewhere() -> None:
    report = TargetReport("shop", "", lint=lint(table_class(note=(str, ...))))
    texts = {fmt: render([report], fmt, kit="shop", tables=["item"]) for fmt in FORMATS}
    suites = ElementTree.fromstring(texts["junit"])  # noqa: S314 - our own
    assert suites.get("failures") == "1"
    assert json.loads(texts["sarif"])["runs"][0]["results"][0]["level"] == "warning"
    assert texts["github"].startswith("::warning ")


def test_a_broken_module_has_a_place_in_every_format(write_kit: Kits) -> None:
    result = lint_datakit(write_kit("shop", {"a.py": BROKEN, "b.py": PRICE}))
    report = TargetReport("shop", "", lint=result, error=result.error)
    ((file, line),) = result.broken
    assert (Path(file).name, line) == ("a.py", 2)
    github = render([report], "github", kit="shop", tables=[])
    assert f"::error file={file},line=2,title=DiscoveryError::" in github
    (told,) = json.loads(render([report], "sarif", kit="shop", tables=[]))["runs"][0]["invocations"][0][
        "toolExecutionNotifications"
    ]
    assert told["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    suites = ElementTree.fromstring(render([report], "junit", kit="shop", tables=[]))  # noqa: S314 - our own
    assert "shop" in [case.get("name") for case in suites.iter("testcase") if case.find("error") is not None]


def test_no_place_breaks_inside_of_a_word_at_120_columns() -> None:
    item = table_class("Bronze_order_of_the_week", status=(Decimal, ...))
    found = [replace(one, file="kits/bronze_shop/tables.py", line=12) for one in lint(item).findings]
    report = TargetReport("shop", "", lint=replace(lint(item), findings=tuple(found)))
    text = render([report], "text", kit="shop", tables=[], width=120)
    assert "bronze_order_of_the_week.status" in text
    assert "kits/bronze_shop/tables.py:12" in text


BROKEN = "import no_such_module"
PRICE = """
    from decimal import Decimal

    class Item(SQLModel, table=True):
        id: int = Field(primary_key=True)
        price: Decimal
"""


def test_the_other_modules_are_linted_where_one_cannot_be_imported(write_kit: Kits) -> None:
    result = lint_datakit(write_kit("shop", {"a.py": BROKEN, "b.py": PRICE}))
    assert [finding.code for finding in result.findings] == ["DL101"]
    assert not result.success
    assert "a.py, line 2: ModuleNotFoundError" in str(result.error)
    assert TargetReport("shop", "", lint=result, error=result.error).exit_code == 1


def test_a_dict_without_a_type_is_a_finding_with_file_and_line(write_kit: Kits) -> None:
    kit = write_kit("shop", {"a.py": """
        class Film(SQLModel, table=True):
            __tablename__ = "films"
            id: int = Field(primary_key=True)
            tags: list[str]
            more: dict[str, int] = Field(default_factory=dict)
            cast: list["Film"] = Relationship()
    """, "b.py": PRICE})  # fmt: skip
    result = lint_datakit(kit, fix_hints=True)
    assert result.error is None
    found = [(finding.code, finding.place, finding.line) for finding in result.findings]
    assert found == [("DL108", "films.tags", 6), ("DL108", "films.more", 7), ("DL101", "item.price", 7)]
    assert result.findings[0].fix is not None
    assert result.findings[0].fix.new.strip() == "tags: list[str] = Field(sa_type=JSON)"
    # Whoever deploys is told as before.
    with pytest.raises(DiscoveryError, match="has no matching SQLAlchemy type"):
        load_datakit(kit)


def test_a_failure_of_another_kind_is_no_finding(write_kit: Kits) -> None:
    result = lint_datakit(write_kit("shop", {"a.py": "raise ValueError('dict')", "b.py": PRICE}))
    assert [finding.code for finding in result.findings] == ["DL101"]
    assert result.error is not None


def test_a_shared_column_across_modules(write_kit: Kits) -> None:
    result = lint_datakit(write_kit("shop", {
        "mixins.py": """
            from sqlalchemy import Column, Text
            class Noted(SQLModel):
                note: str = Field(sa_column=Column(Text, nullable=False))
        """,
        "a.py": "from mixins import Noted\nclass A(Noted, table=True):\n    id: int = Field(primary_key=True)\n",
        "b.py": "from mixins import Noted\nclass B(Noted, table=True):\n    id: int = Field(primary_key=True)\n",
    }))  # fmt: skip
    assert result.error is None
    assert {(finding.code, Path(str(finding.file)).name, finding.line) for finding in result.findings} == {
        ("DL501", "mixins.py", 5)
    }


def test_a_file_that_is_gone_only_costs_the_places(write_kit: Kits) -> None:
    kit = write_kit("shop", {"a.py": PRICE})
    load_datakit(kit)
    (kit / "a.py").unlink()
    (finding,) = lint_datakit(kit, fix_hints=True).findings
    assert (finding.code, finding.file, finding.line, finding.fix) == ("DL101", None, None, None)


# hints


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("x: Decimal | None = None", "x: Decimal | None = Field(default=None, max_digits=18, decimal_places=4)"),
        ("x: Decimal = Field(sa_type=Numeric)", "x: Decimal = Field(max_digits=18, decimal_places=4)"),
        ("x: Annotated[str, Field(index=True)]", "x: Annotated[str, Field(index=True, max_length=255)]"),
        ("x: str = Field(sa_column=Column(String, nullable=False))", None),
        ("x: str = Field(**{})", None),
        ("x: int = Field(foreign_key='item.id', ondelete='CASCADE')",
         "x: int = Field(foreign_key='item.id', ondelete='CASCADE', index=True)"),
        ("x: timedelta", None),
    ],
)  # fmt: skip
def test_hints(line: str, new: str | None, write_kit: Kits) -> None:
    prelude = (
        "from datetime import timedelta\nfrom decimal import Decimal\nfrom typing import Annotated\n"
        "from sqlalchemy import Column, Numeric, String\n"
    )
    source = (
        f"{prelude}class Item(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    {line}\n"
    )
    (finding,) = lint_datakit(write_kit("shop", {"a.py": source}), fix_hints=True).findings
    assert (None if finding.fix is None else finding.fix.new.strip()) == new


# formats


def whole_result() -> LintResult:
    item = table_class(price=(Decimal, ...), note=(str, Field(sa_type=Text, description="a note")))
    result = lint(item)
    placed = [replace(finding, file="shop/tables.py", line=7) for finding in result.findings]
    return replace(result, findings=tuple(placed))


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_each_finding_and_the_summary_last(
    width: int, write_kit: Callable[..., Path]
) -> None:
    source = "from decimal import Decimal\nfrom sqlmodel import Field, SQLModel\nclass Item(SQLModel, table=True):\n"
    source += "    id: int = Field(primary_key=True, ge=0)\n    price: Decimal\n"
    result = lint_datakit(write_kit("shop", {"a.py": source}), fix_hints=True, select=["DL101", "DL203"])
    report = TargetReport("shop", "mysql, postgres, sqlite", lint=result)
    text = re.sub(r"\x1b\[[0-9;]*m", "", render([report], "text", kit="shop", tables=["item"], width=width))
    lines = [line.rstrip() for line in text.splitlines()]
    head = next(number for number, line in enumerate(lines) if "DL101" in line)
    file = result.findings[0].file
    assert lines[head:] == [
        f"{file}:{result.findings[-1].line}: DL101 error decimal-without-digits: item.price",
        "    expected max_digits and decimal_places, found a Decimal without digits",
        "    mysql: DECIMAL(10, 0), so 12.75 becomes 13",
        "    postgres: keeps every digit",
        "    sqlite: a float, so about 15 digits are kept",
        "    -     price: Decimal",
        "    +     price: Decimal = Field(max_digits=18, decimal_places=4)",
        "",
        f"FAIL shop (mysql, postgres, sqlite): linted: 2 findings (1 error, 1 info) in 1 table, {result.seconds:.2f} s",
    ]
    sentence = "mysql, postgres, sqlite: takes any value, and SQLModel checks no limit of a table class"
    assert sentence in " ".join(" ".join(lines).split())
    assert (f"    {sentence}" in lines) is (width == 140)


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_has_code_file_and_line(fmt: str) -> None:
    report = TargetReport("shop", "mysql, postgres, sqlite", lint=whole_result())
    text = render([report], fmt, kit="shop", tables=["item"])
    assert report.exit_code == 4
    assert "DL101" in text
    if fmt == "json":
        document = json.loads(text)
        Draft202012Validator(report_schema()).validate(document)
        assert document["lint"]["counts"] == {"error": 1, "warning": 0, "info": 1}
        assert document["lint"]["findings"][0]["line"] == 7
    elif fmt == "sarif":
        run = json.loads(text)["runs"][0]
        (place, _) = (result["locations"][0]["physicalLocation"] for result in run["results"])
        assert place == {"artifactLocation": {"uri": "shop/tables.py"}, "region": {"startLine": 7}}
        assert run["tool"]["driver"]["rules"][run["results"][0]["ruleIndex"]]["id"] == "DL101"
    elif fmt == "github":
        assert text.startswith(
            "::error file=shop/tables.py,line=7,title=DL101 decimal-without-digits::shop: item.price"
        )
        assert "\n::notice file=" in text
    elif fmt == "junit":
        assert ElementTree.fromstring(text).find("testsuite/testcase/failure") is not None  # noqa: S314 - our own
    else:
        assert text.startswith(
            "FAIL shop (mysql, postgres, sqlite): linted: 2 findings (1 error, 1 info) in 1 table"
        )
        assert "shop/tables.py:7: DL101" in text


def test_a_clean_kit_in_every_format() -> None:
    report = TargetReport("shop", "mysql", lint=lint(table_class()))
    assert report.exit_code == 0
    for fmt in FORMATS:
        render([report], fmt, kit="shop", tables=["item"])
    assert render([report], "text", kit="shop", tables=["item"]).startswith(
        "ok   shop (mysql): linted: no finding"
    )


def test_findings_of_severity_info_fail_nothing() -> None:
    result = lint(table_class(note=(str, Field(sa_type=Text, description="a note"))))
    assert [finding.severity for finding in result.findings] == [Severity.INFO]
    assert result.success
    assert result["success"] is True


# settings


def test_settings(tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(
        '[lint]\ndatabases = ["mysql"]\nignore = ["DL2"]\n'
        '[kits.shop]\nstrict = true\n[kits.shop.lint]\nselect = ["DL1"]\nignore = ["DL302"]\n'
    )
    assert read_lint_settings("other", tmp_path) == LintSettings(("mysql",), (), ("DL2",))
    assert read_lint_settings("shop", tmp_path) == LintSettings(("mysql",), ("DL1",), ("DL2", "DL302"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[lint]\nstrict = true\n", "the settings for lint have an unknown field"),
        ('[lint]\nignore = "DL1"\n', "a setting for lint has a wrong type"),
        ("[kits.shop]\nlint = 1\n", "a section of a settings file has the wrong type"),
    ],
)
def test_settings_that_are_wrong(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "datakit.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_lint_settings("shop", tmp_path)


# speed


def calls_of_lint(tables: int) -> int:
    """How many functions a lint of so many tables calls; what is made once is there already."""
    with TableScope.new().entered():
        kit = kit_of(*table_classes(tables, checks=True))
    calls = 0

    def count(_: object, what: str, __: object) -> None:
        nonlocal calls
        calls += what == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = lint_datakit(kit)
    finally:
        sys.setprofile(before)
    assert len(result.tables) == tables
    return calls


def test_more_tables_cost_no_more_each() -> None:
    """Seconds are measured by `benchmarks/checks.py`."""
    calls_of_lint(5)
    few, many = calls_of_lint(20), calls_of_lint(80)
    assert many < 4.2 * few


def test_lint_needs_no_pandas_and_no_arrow() -> None:
    code = (
        "import sys; from sqlmodel_framework import lint_datakit;"
        "lint_datakit('sqlmodel_framework.datakits.bronze_pagila');"
        "print([m for m in ('pandas', 'pyarrow', 'duckdb', 'testcontainers') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_same_classes_give_the_same_findings() -> None:
    with TableScope.new().entered():
        classes = table_classes(20)
    first, second = (lint_datakit(kit_of(*classes)).findings for _ in range(2))
    assert first == second
    assert all(isinstance(finding, Finding) and "None" not in finding.cause for finding in first)
