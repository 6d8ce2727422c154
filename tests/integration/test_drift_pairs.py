"""Every single change is found and named on every server, and equal databases give no finding, strict or not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from sqlmodel_framework import TargetConfig, validate_deployment
from sqlmodel_framework.benchmarks.drift.changes import CHANGES, TRAPS
from sqlmodel_framework.benchmarks.drift.pairs import Change, item, typed
from sqlmodel_framework.benchmarks.drift.places import Place, place_on
from sqlmodel_framework.benchmarks.drift.traps import Trap
from sqlmodel_framework.utils.findings import CODES, Finding


def findings(place: Place, metadata: MetaData, *, strict: bool = False) -> tuple[Finding, ...]:
    return validate_deployment(list(metadata.tables.values()), place.target, strict=strict).findings


def words(found: Sequence[Finding]) -> list[str]:
    return [str(finding) for finding in found]


def only_where(place: Place, dialects: tuple[str, ...]) -> None:
    if place.dialect not in dialects:
        pytest.skip(f"cannot be declared on {place.dialect}")


def names(change: Change, finding: Finding) -> bool:
    """Whether the finding has one of the codes, and names what the change names."""
    return (
        finding.code in change.codes
        and finding.table == change.table
        and change.column in {None, finding.column}
        and change.part in {None, finding.part}
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_is_found_and_nothing_is_when_nothing_changed(place: Place, change: Change) -> None:
    only_where(place, change.on)
    with place.holding(change.before()):
        same = findings(place, change.before(), strict=True)
        found = findings(place, change.after(), strict=change.only_strict)
        again = findings(place, change.after(), strict=change.only_strict)
        lax = findings(place, change.after()) if change.only_strict else ()
    assert words(same) == []
    assert words(lax) == []
    assert words(again) == words(found), "from the cache"
    assert {finding.table for finding in found} <= {change.table}
    if change.stored_by(place.dialect):
        assert any(names(change, finding) for finding in found), words(found)
    else:
        assert words(found) == [], change.lost[place.dialect]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_other_words_for_the_same_are_no_finding(place: Place, trap: Trap) -> None:
    only_where(place, trap.on)
    with place.holding(trap.classes(), trap.statements.get(place.dialect, ())):
        assert words(findings(place, trap.classes(), strict=True)) == []


def test_tables_of_others_are_no_finding_unless_asked_for(place: Place) -> None:
    everything = item()
    Table("alembic_version", everything, Column("version_num", Integer))
    Table("theirs", everything, Column("id", Integer))
    with place.holding(everything):
        assert findings(place, item()) == ()
        assert [(one.code, one.table) for one in findings(place, item(), strict=True)] == [
            ("DK103", "theirs")
        ]


@pytest.mark.mysql
def test_a_database_with_a_charset_of_its_own_is_no_finding(mysql_server: TargetConfig) -> None:
    """The scratch place must have the charset and collation of the database that it stands for."""
    with place_on(mysql_server, "CHARACTER SET latin1 COLLATE latin1_german2_ci") as place:
        with place.holding(item()):
            assert words(findings(place, item(), strict=True)) == []
        with place.holding(item(mysql_charset="latin1")):
            assert [one.code for one in findings(place, item())] == ["DK104"]


def test_each_change_expects_codes_that_exist() -> None:
    for change in CHANGES:
        assert set(change.codes) <= set(CODES), change.name


def test_each_code_has_a_change_that_brings_it() -> None:
    assert {code for change in CHANGES for code in change.codes} == {code for code in CODES if code < "DK9"}


def test_a_change_of_a_type_that_no_one_can_declare_is_not_stored() -> None:
    change = typed("nothing", Integer(), Integer(), on=("sqlite",), lost={"sqlite": "the same"})
    assert not change.stored_by("sqlite")
    assert not change.stored_by("postgresql")
