"""What a check of a calculation comes to outside of a database, held against the servers' own verdicts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    Integer,
    MetaData,
    Numeric,
    Table,
    insert,
    select,
    text,
)

from sqlmodel_framework import TargetConfig, create_engine_for_target
from sqlmodel_framework.engines.base import engine_of
from sqlmodel_framework.utils.generation.checks import RowChecks

CONDITIONS = [
    "price = 0.1 + 0.2",
    "price * 3 <= 0.3",
    "whole / 2 = 1",
    "whole / 2 * 2 = whole",
    "price / 3 = 0.5",
    "price / 7 = 0.214286",
    "price * whole = wide",
    "round(price / 3, 1) = 0.5",
    "round(price * 1.15, 1) >= 0.3",
    "abs(price - whole) < 1.7",
    "wide = 1234567890123456789012.35",
    "wide > 1234567890123456789012.33",
    "wide - price BETWEEN 0 AND 4.5",
    "share * 3 = 0.3",
    "share * price >= 0.15",
    "share = 0.1",
    "whole * price IN (4.5, 0.9)",
    "coalesce(price, 0) * 2 < 1",
    "price * 2.5 - whole >= 0.75",
    "CASE WHEN price * 2 > 1 THEN whole > 2 ELSE whole / 2 > 1 END",
]
ROWS: list[dict[str, Any]] = [
    {"id": 1, "whole": 3, "price": Decimal("0.30"), "wide": Decimal("0.90"), "share": 0.1},
    {"id": 2, "whole": 3, "price": Decimal("1.50"), "wide": Decimal("4.50"), "share": 0.1},
    {
        "id": 3,
        "whole": -3,
        "price": Decimal("0.10"),
        "wide": Decimal("1234567890123456789012.34"),
        "share": 0.5,
    },
    {"id": 4, "whole": 4, "price": None, "wide": Decimal("1234567890123456789012.35"), "share": None},
    {"id": 5, "whole": 7, "price": Decimal("-2.25"), "wide": Decimal("-15.75"), "share": 0.3},
]


def calculations() -> Table:
    return Table(
        "calculations",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("whole", Integer),
        Column("price", Numeric(8, 2)),
        Column("wide", Numeric(30, 2)),
        Column("share", Double),
        *(CheckConstraint(condition, name=f"c{number:02}") for number, condition in enumerate(CONDITIONS)),
    )


def test_verdicts_are_those_of_the_server(target: TargetConfig) -> None:
    table = calculations()
    plain = Table(
        table.name, MetaData(), *(Column(c.name, c.type, primary_key=c.primary_key) for c in table.columns)
    )
    with create_engine_for_target(target).begin() as connection:
        plain.create(connection)
        connection.execute(insert(plain), ROWS)
        tests = [text(f"CASE WHEN ({condition}) IS NOT FALSE THEN 1 ELSE 0 END") for condition in CONDITIONS]
        truth = [
            tuple(map(bool, row))
            for row in connection.execute(select(*tests).select_from(plain).order_by(plain.c.id))
        ]
        plain.drop(connection)
    checks = RowChecks(table, arithmetic=engine_of(target).conditions.arithmetic)
    verdicts = checks.verdicts({name: [row[name] for row in ROWS] for name in ROWS[0]})
    assert verdicts == truth
    everywhere = RowChecks(table).verdicts({name: [row[name] for row in ROWS] for name in ROWS[0]})
    decided = [
        (mine, own)
        for row, server in zip(everywhere, truth, strict=True)
        for mine, own in zip(row, server, strict=True)
    ]
    assert all(mine in (None, own) for mine, own in decided)
    assert sum(mine is not None for mine, _ in decided) >= 80
