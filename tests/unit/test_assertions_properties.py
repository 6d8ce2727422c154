"""assert_rows accepts equal multisets and nothing else: any rows, any one change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmodel_framework import assert_rows, snapshot
from sqlmodel_framework.base.models.utc import UTCDateTime
from sqlmodel_framework.utils.testing.pairing import pair_up

DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - the strategy adds the zone

table = sa.Table(
    "anything",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("word", sa.String(9)),
    sa.Column("price", sa.Numeric(8, 2)),
    sa.Column("ratio", sa.Float),
    sa.Column("at", UTCDateTime),
    sa.Column("document", sa.JSON(none_as_null=True)),
)
FEW = {
    "word": st.sampled_from([None, "", "a", "b", "A"]),
    "price": st.one_of(st.none(), st.decimals(-9, 9, places=2)),
    "ratio": st.one_of(st.none(), st.floats(allow_nan=False)),
    "at": st.one_of(
        st.none(), st.datetimes(DAY, DAY + timedelta(days=1)).map(lambda at: at.replace(tzinfo=UTC, fold=0))
    ),
    "document": st.sampled_from([None, {}, [], {"a": 1}, {"a": True}, [1, 2], "a", 1, True, 0, False]),
}
ROWS = st.lists(st.fixed_dictionaries(FEW), max_size=8)


def stored(rows: Sequence[dict[str, Any]]) -> sa.Engine:
    engine = sa.create_engine("sqlite://")
    table.create(engine)
    if rows:
        with engine.begin() as connection:
            connection.execute(table.insert(), [{"id": n, **row} for n, row in enumerate(rows)])
    return engine


@given(rows=ROWS, data=st.data())
@settings(deadline=None, max_examples=60)
def test_equal_multisets_alone_are_accepted(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    engine = stored(rows)
    shuffled = data.draw(st.permutations(rows))
    assert_rows(engine, table, shuffled, ignore="id")
    assert_rows(engine, table, [{"id": n, **row} for n, row in enumerate(rows)], order="id")
    changed = data.draw(
        st.lists(st.fixed_dictionaries(FEW), min_size=max(0, len(rows) - 1), max_size=len(rows) + 1)
    )
    if sorted(map(identity, changed)) == sorted(map(identity, rows)):
        assert_rows(engine, table, changed, ignore="id")
    else:
        with pytest.raises(AssertionError):
            assert_rows(engine, table, changed, ignore="id")
    engine.dispose()


@given(
    rows=st.lists(st.fixed_dictionaries(FEW), min_size=1, max_size=6), data=st.data(), by_key=st.booleans()
)
@settings(deadline=None, max_examples=60)
def test_any_one_change_is_rejected(rows: list[dict[str, Any]], data: st.DataObject, by_key: bool) -> None:
    engine = stored(rows)
    expected = [{"id": n, **row} for n, row in enumerate(rows)]
    before = snapshot(engine, table)
    position = data.draw(st.integers(0, len(rows) - 1))
    how = data.draw(st.sampled_from(["value", "lost", "twice"]))
    if how == "value":
        column = data.draw(st.sampled_from(sorted(FEW)))
        old = identity(rows[position], [column])
        value = data.draw(FEW[column].filter(lambda new: identity({column: new}, [column]) != old))
        expected[position] = {**expected[position], column: value}
        with engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == position).values({column: value}))
        assert snapshot(engine, table) != before
        (change,) = snapshot(engine, table).changes_since(before).changed
        assert (change.key, list(change.after)) == ({"id": position}, [column])
        with engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == position).values(rows[position]))
        assert snapshot(engine, table) == before
    elif how == "lost":
        del expected[position]
    else:
        expected.append({**expected[position], "id": len(rows)})
    with pytest.raises(AssertionError):
        assert_rows(engine, table, expected, ignore=() if by_key else "id")
    engine.dispose()


def identity(row: dict[str, Any], columns: Sequence[str] = tuple(FEW)) -> str:
    """Another way to say which rows are the same: a text of each value."""
    return " ".join(
        f"{Decimal(value):.2f}"
        if isinstance(value, Decimal) and value
        else "0.00"
        if isinstance(value, Decimal)
        else repr(value + 0.0)
        if isinstance(value, float)
        else repr(value)
        for value in (row[name] for name in columns)
    )


@given(
    left=st.lists(st.integers(0, 12), max_size=7),
    right=st.lists(st.integers(0, 12), max_size=7),
    reach=st.integers(0, 3),
)
def test_as_many_pairs_as_there_can_be(left: list[int], right: list[int], reach: int) -> None:
    def fits(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return abs(one[1] - other[1]) <= reach

    items, others = list(enumerate(sorted(left))), list(enumerate(sorted(right)))
    pairs = pair_up(items, others, fits, lambda _: (0, len(others)))
    assert all(fits(*pair) for pair in pairs)
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
    # On a line the one that ends first takes the first that fits: the textbook's proof of a most.
    free, most = [value for _, value in others], 0
    for _, value in items:
        near = [other for other in free if abs(value - other) <= reach]
        if near:
            free.remove(near[0])
            most += 1
    assert len(pairs) == most


def test_very_many_take_the_first_that_fits() -> None:
    numbers = list(range(500))
    pairs = pair_up(
        numbers, numbers, lambda one, other: abs(one - other) <= 1, lambda one: (max(0, one - 1), one + 2)
    )
    assert len(pairs) == 499 or len(pairs) == 500
    assert all(abs(one - other) <= 1 for one, other in pairs)
    assert len({other for _, other in pairs}) == len(pairs)
