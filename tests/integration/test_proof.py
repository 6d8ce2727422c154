"""The round-trip proof on real databases: what is faithful passes, what cannot be proven is said, and nothing stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from sqlmodel_framework import (
    Datakit,
    ProofResult,
    TargetConfig,
    TryAgainError,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    prove_deployment,
)
from sqlmodel_framework.utils.proof.store import RowStore

KITS = ("bronze_pagila", "silver_pagila", "bronze_flights", "silver_flights")


@pytest.fixture
def utf8_target(target: TargetConfig) -> TargetConfig:
    """Every target in turn, empty, with texts in UTF-8: that is no matter of course on MySQL."""
    if target.type == "mysql":
        run(target, f"ALTER DATABASE {target.database} CHARACTER SET utf8mb4")
    return target


def run(target: TargetConfig, *statements: str) -> None:
    with create_engine_for_target(target).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def prove(kit: Datakit, target: TargetConfig, *, seed: int = 0) -> ProofResult:
    deploy_data_objects(kit.tables, target)
    return prove_deployment(kit.tables, target, seed=seed)


def places(result: ProofResult) -> set[tuple[str, str]]:
    return {(finding.code, finding.place) for finding in result.findings}


# faithful schemas


@pytest.mark.parametrize("name", KITS)
def test_a_bundled_datakit_is_proven(utf8_target: TargetConfig, name: str) -> None:
    kit = load_datakit(f"sqlmodel_framework.datakits.{name}")
    result = prove(kit, utf8_target)
    assert places(result) == set()
    assert result.not_proven == {}
    assert len(result.proven) == len(kit.tables)
    assert bool(result.notes) is (utf8_target.type == "sqlite")


def test_a_proof_can_be_repeated(utf8_target: TargetConfig) -> None:
    kit = load_datakit("sqlmodel_framework.datakits.silver_pagila")
    deploy_data_objects(kit.tables, utf8_target)
    results = [prove_deployment(kit.tables, utf8_target) for _ in range(2)]
    assert [len(result.proven) for result in results] == [15, 15]


def test_a_check_may_take_one_text_for_another(
    utf8_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    """SQLite's LIKE and MySQL's usual collations do not tell small letters from capital ones."""
    source = """
        from sqlalchemy import CheckConstraint
        class One(SQLModel, table=True):
            __table_args__ = (CheckConstraint("code LIKE 'A%'", name="ck_a"), CheckConstraint("kind IN ('a', 'b')", name="ck_b"))
            id: int = Field(primary_key=True)
            code: str = Field(max_length=10)
            kind: str = Field(max_length=3)
    """
    result = prove(load_datakit(write_kit("letters", {"one.py": source})), utf8_target)
    assert (result.findings, result.proven) == ((), ("one",))


def test_the_same_seed_gives_the_same_rows(utf8_target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    deploy_data_objects(kit.tables, utf8_target)
    sent: list[list[Any]] = []
    for seed in (1, 1, 2):
        sent.append([])
        with recorded(sent[-1]):
            prove_deployment(kit.tables, utf8_target, seed=seed)
    assert sent[0] == sent[1]
    assert sent[0] != sent[2]


@contextmanager
def recorded(into: list[Any]) -> Iterator[None]:
    """Keeps the rows that are written."""
    insert = RowStore.insert

    def keeping(store: RowStore, rows: Any) -> Any:
        into.extend(repr(row) for row in rows)
        return insert(store, rows)

    RowStore.insert = keeping  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        RowStore.insert = insert  # type: ignore[method-assign]


SHAPES = """
    from typing import Optional
    import sqlalchemy as sa

    class Node(SQLModel, table=True):
        id: int = Field(primary_key=True)
        parent_id: int | None = Field(default=None, foreign_key="node.id")
        twin_id: int = Field(foreign_key="node.id")
        label: str = Field(max_length=30, unique=True)

    class Left(SQLModel, table=True):
        id: int = Field(primary_key=True)
        right_id: int = Field(foreign_key="right.id")

    class Right(SQLModel, table=True):
        id: int = Field(primary_key=True)
        left_id: int | None = Field(default=None, foreign_key="left.id", unique=True)

    class Detail(SQLModel, table=True):
        node_id: int = Field(primary_key=True, foreign_key="node.id")
        text: str = Field(max_length=12)

    class Tenant(SQLModel, table=True):
        id: int = Field(primary_key=True)

    class Account(SQLModel, table=True):
        tenant_id: int = Field(primary_key=True, foreign_key="tenant.id")
        number: int = Field(primary_key=True)

    class Entry(SQLModel, table=True):
        __table_args__ = (
            sa.ForeignKeyConstraint(["tenant_id", "source"], ["account.tenant_id", "account.number"]),
            sa.ForeignKeyConstraint(["tenant_id", "goal"], ["account.tenant_id", "account.number"]),
        )
        id: int = Field(primary_key=True)
        tenant_id: int
        source: int
        goal: int | None = None

    friends = sa.Table(
        "friends",
        SQLModel.metadata,
        sa.Column("one", sa.ForeignKey("node.id"), primary_key=True),
        sa.Column("other", sa.ForeignKey("node.id"), primary_key=True),
    )

    class Switch(SQLModel, table=True):
        on: bool = Field(primary_key=True)
        what: str = Field(max_length=20)
"""


def test_circles_self_references_and_shared_keys(
    utf8_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    result = prove(load_datakit(write_kit("shapes", {"shapes.py": SHAPES})), utf8_target)
    assert result.findings == ()
    assert result.not_proven == {}


def test_a_circle_that_cannot_be_null_is_said_and_the_others_go_on(
    utf8_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        class Hen(SQLModel, table=True):
            id: int = Field(primary_key=True)
            egg_id: int = Field(foreign_key="egg.id")

        class Egg(SQLModel, table=True):
            id: int = Field(primary_key=True)
            hen_id: int = Field(foreign_key="hen.id")

        class Feather(SQLModel, table=True):
            id: int = Field(primary_key=True)
            hen_id: int = Field(foreign_key="hen.id")

        class Barn(SQLModel, table=True):
            id: int = Field(primary_key=True)
    """
    result = prove(load_datakit(write_kit("farm", {"farm.py": source})), utf8_target)
    assert result.findings == ()
    assert result.proven == ("barn",)
    assert set(result.not_proven) == {"hen", "egg", "feather"}
    assert "circle of foreign keys that cannot be null" in result.not_proven["egg"]
    assert result.not_proven["feather"].startswith("no rows of hen to refer to: a circle")
    assert result.success


DEFERRED = """
    import sqlalchemy as sa

    class Head(SQLModel, table=True):
        id: int = Field(primary_key=True)
        tail_id: int = Field(sa_column=sa.Column(
            sa.ForeignKey("tail.id", deferrable=True, initially="DEFERRED", use_alter=True, name="fk_tail"), nullable=False))

    class Tail(SQLModel, table=True):
        id: int = Field(primary_key=True)
        head_id: int = Field(foreign_key="head.id")
"""


@pytest.mark.postgres
def test_a_circle_that_is_looked_at_later_is_proven(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("snake", {"snake.py": DEFERRED}))
    result = prove(kit, postgres_database)
    assert result.findings == ()
    assert result.not_proven == {}
    run(postgres_database, "ALTER TABLE head DROP CONSTRAINT fk_tail")
    assert places(prove_deployment(kit.tables, postgres_database)) == {("DK911", "head.tail_id")}


@pytest.mark.sqlite
def test_sqlite_looks_at_deferred_keys_at_the_end_only(write_kit: Callable[..., Path]) -> None:
    source = DEFERRED.replace(", use_alter=True", "")
    with create_custom_target("sqlite") as target:
        result = prove(load_datakit(write_kit("snake", {"snake.py": source})), target)
    assert result.findings == ()
    assert result.not_proven == {
        "head": "the foreign key of fk_tail is looked at when a transaction is committed"
    }


# bad input


BAD = """
    import sqlalchemy as sa

    class NoMatch(SQLModel, table=True):
        id: int = Field(primary_key=True)
        code: str = Field(max_length=5, regex="^[a-z]{9}$")

    class Contradiction(SQLModel, table=True):
        __table_args__ = (sa.CheckConstraint("size > 5", name="big"), sa.CheckConstraint("size < 3", name="small"))
        id: int = Field(primary_key=True)
        size: int

    class Child(SQLModel, table=True):
        id: int = Field(primary_key=True)
        of: int = Field(foreign_key="contradiction.id")

    class Pattern(SQLModel, table=True):
        id: int = Field(primary_key=True)
        code: str = Field(max_length=9, regex="^[A-Z]{3}-[0-9]{2,4}$")

    class Checked(SQLModel, table=True):
        __table_args__ = (
            sa.CheckConstraint("low < high", name="ck_order"),
            sa.CheckConstraint("kind IN ('a', 'b')", name="ck_kind"),
        )
        id: int = Field(primary_key=True)
        low: int
        high: int
        kind: str = Field(max_length=10)
"""


def test_a_class_whose_rows_cannot_be_made_is_said(
    utf8_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    result = prove(load_datakit(write_kit("bad", {"bad.py": BAD})), utf8_target)
    assert result.findings == ()
    assert sorted(result.proven) == ["checked", "pattern"]
    assert result.not_proven["nomatch"].startswith("no text was found that matches the pattern")
    assert result.not_proven["contradiction"] == "no row was found with which these checks hold: big, small"
    assert result.not_proven["child"].startswith("no rows of contradiction to refer to")


def test_a_table_that_is_not_there_is_not_proven(
    utf8_target: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    other = load_datakit(
        write_kit(
            "other", {"other.py": "class Other(SQLModel, table=True):\n    id: int = Field(primary_key=True)"}
        )
    )
    deploy_data_objects(other.tables, utf8_target)
    result = prove_deployment(kit.tables, utf8_target)
    assert set(result.not_proven.values()) == {"there is no such table"}
    assert len(result.not_proven) == len(kit.tables)


@pytest.mark.postgres
def test_types_that_no_values_are_known_for(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql as pg

        class Secret(sa.TypeDecorator):
            impl = sa.String
            cache_ok = True

            def process_bind_param(self, value, dialect):
                return None if value is None else "/".join(value.steps)

        class Addressed(SQLModel, table=True):
            id: int = Field(primary_key=True)
            address: str = Field(sa_type=pg.INET)

        class Path(SQLModel, table=True):
            id: int = Field(primary_key=True)
            steps: str = Field(sa_type=Secret)

        class Listed(SQLModel, table=True):
            id: int = Field(primary_key=True)
            names: list[str] = Field(sa_type=pg.ARRAY(sa.Text))
            grid: list[int] = Field(sa_type=pg.ARRAY(sa.Integer, dimensions=2))
            document: dict = Field(sa_type=pg.JSONB)
            number: int = Field(sa_column=sa.Column(sa.BigInteger, sa.Identity(always=True), nullable=False))
            twice: int | None = Field(default=None, sa_column=sa.Column(sa.BigInteger, sa.Computed("number / 2", persisted=True)))
    """
    result = prove(load_datakit(write_kit("special", {"special.py": source})), postgres_database)
    assert result.findings == ()
    assert result.proven == ("listed",)
    assert result.not_proven["addressed"] == "no values are known for column address, whose type is INET()"
    assert "the type of steps takes other values" in result.not_proven["path"]


def test_names_that_are_hostile(utf8_target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    source = """
        import sqlalchemy as sa

        odd = sa.Table(
            "per%cent \\"quoted\\" `tick` :colon",
            SQLModel.metadata,
            sa.Column("sel%(x)s ect", sa.Integer, primary_key=True),
            sa.Column("a:b", sa.String(20), nullable=False, unique=True),
            sa.Column("p0", sa.String(20)),
            sa.Column("größe", sa.Integer),
        )
        sa.Table(
            "child",
            SQLModel.metadata,
            sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
            sa.Column("order", sa.Integer, sa.ForeignKey(odd.c["sel%(x)s ect"]), nullable=False),
        )
    """
    result = prove(load_datakit(write_kit("hostile", {"hostile.py": source})), utf8_target)
    assert result.findings == ()
    assert result.not_proven == {}


# tables with rows of others


def test_rows_of_others_are_no_findings(utf8_target: TargetConfig, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    deploy_data_objects(kit.tables, utf8_target)
    edges = (2**31 - 1, -(2**31), -1, 1, 123456)
    run(
        utf8_target,
        *(f"INSERT INTO tenant (id) VALUES ({edge})" for edge in edges),
        "INSERT INTO node (id, twin_id, label) VALUES (1, 1, 'trailing  ')",
        "INSERT INTO node (id, twin_id, label) VALUES (2, 1, 'MiXeD cAsE ßẞ İı')",
    )
    result = prove_deployment(kit.tables, utf8_target)
    assert result.findings == ()
    if utf8_target.type != "mysql":
        run(
            utf8_target,
            *(f"INSERT INTO switch (\"on\", what) VALUES ({value}, 'x')" for value in ("true", "false")),
        )
        result = prove_deployment(kit.tables, utf8_target)
        assert result.findings == ()
        assert "keys are taken by rows that are there" in result.not_proven["switch"]


@pytest.mark.postgres
def test_a_unique_index_over_an_expression(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = """
        import sqlalchemy as sa

        class Person(SQLModel, table=True):
            id: int = Field(primary_key=True)
            email: str = Field(max_length=60)

        sa.Index("ux_email", sa.func.lower(Person.__table__.c.email), unique=True)
    """
    result = prove(load_datakit(write_kit("people", {"people.py": source})), postgres_database)
    assert result.findings == ()
    assert result.not_proven == {}


# nothing stays


def dump(target: TargetConfig) -> str:
    """All that is in the database, by the database's own program."""
    if target.type == "sqlite":
        with closing(create_engine_for_target(target).raw_connection()) as raw:
            connection: Any = raw.dbapi_connection
            return "\n".join(connection.iterdump())
    password = target.password.get_secret_value() if target.password else ""
    if target.type == "mysql":
        command = ["mariadb-dump", "--protocol=tcp", "-h", str(target.host), "-P", str(target.port)]
        command += ["-u", str(target.user), "--skip-dump-date", "--all-databases", "--ignore-database=mysql"]
        command += ["--ignore-database=information_schema", "--ignore-database=performance_schema"]
        command = [*command[: command.index("--all-databases")], str(target.database)]
        return printed(command, MYSQL_PWD=password)
    port = ["-p", str(target.port)] if target.port else []
    command = ["/usr/lib/postgresql/15/bin/pg_dump", "-h", str(target.socket or target.host), *port]
    text = printed([*command, "-U", str(target.user), str(target.database)], PGPASSWORD=password)
    return "\n".join(line for line in text.splitlines() if "restrict" not in line)


def printed(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def dumped_target(utf8_target: TargetConfig) -> TargetConfig:
    """Every target that has a program to dump it."""
    if utf8_target.name == "postgres_embedded":
        pytest.skip("pg_dump 15 does not read a newer server")
    return utf8_target


@pytest.fixture
def filled(dumped_target: TargetConfig, write_kit: Callable[..., Path]) -> Datakit:
    """A kit that is deployed, with rows; its ids come from sequences."""
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    deploy_data_objects(kit.tables, dumped_target)
    run(
        dumped_target,
        "INSERT INTO node (twin_id, label, id) VALUES (5, 'x', 5)",
        "INSERT INTO tenant (id) VALUES (7)",
    )
    return kit


def test_the_database_is_as_before(dumped_target: TargetConfig, filled: Datakit) -> None:
    before, bytes_before = dump(dumped_target), content(dumped_target)
    result = prove_deployment(filled.tables, dumped_target)
    assert result.rows > 50
    assert dump(dumped_target) == before
    assert content(dumped_target) == bytes_before
    assert used_and_left(dumped_target) == set()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("when", [3, 40])
def test_the_database_is_as_before_when_a_proof_is_stopped(
    dumped_target: TargetConfig, filled: Datakit, stop: type[BaseException], when: int
) -> None:
    before, bytes_before = dump(dumped_target), content(dumped_target)
    with stopped_after(when, stop), pytest.raises(stop):
        prove_deployment(filled.tables, dumped_target)
    assert dump(dumped_target) == before
    assert content(dumped_target) == bytes_before
    assert used_and_left(dumped_target) == set()
    assert prove_deployment(filled.tables, dumped_target).findings == ()


@contextmanager
def stopped_after(number: int, stop: type[BaseException]) -> Iterator[None]:
    """Stops a program after so many rows were tried or written."""
    originals = RowStore.insert, RowStore.attempt
    left = [number]

    def counting(original: Any) -> Any:
        def method(*arguments: Any) -> Any:
            outcome = original(*arguments)
            left[0] -= 1
            if left[0] == 0:
                raise stop
            return outcome

        return method

    RowStore.insert, RowStore.attempt = map(counting, originals)  # type: ignore[method-assign]
    try:
        yield
    finally:
        RowStore.insert, RowStore.attempt = originals  # type: ignore[method-assign]


def content(target: TargetConfig) -> bytes:
    """The bytes of a SQLite file."""
    return Path(str(target.database)).read_bytes() if target.conn_method == "file" else b""


USED: set[str] = set()


@pytest.fixture(autouse=True)
def used_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes where rows are written: other tests have scratch places on the same server."""
    USED.clear()
    is_empty = RowStore.is_empty

    def noting(store: RowStore) -> bool:
        USED.add(str(store.schema))
        return is_empty(store)

    monkeypatch.setattr(RowStore, "is_empty", noting)


def used_and_left(target: TargetConfig) -> set[str]:
    """The scratch places of this test that are still there."""
    if target.type != "mysql":
        return set()
    assert all(name.startswith("datakit_shadow_") for name in USED)
    assert USED
    with create_engine_for_target(target).connect() as connection:
        rows = connection.exec_driver_sql("SELECT schema_name FROM information_schema.schemata")
        return USED & {str(name) for (name,) in rows}


# targets that are not to be written


@pytest.mark.sqlite
def test_a_file_that_cannot_be_written(tmp_path: Path, write_kit: Callable[..., Path]) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    file = str(tmp_path / "kit.db")
    with create_custom_target("sqlite", file) as target:
        deploy_data_objects(kit.tables, target)
        with create_custom_target("sqlite", file) as reader:
            event.listen(
                create_engine_for_target(reader),
                "connect",
                lambda raw, _: raw.execute("PRAGMA query_only = ON"),
            )
            result = prove_deployment(kit.tables, reader)
    assert result.findings == ()
    assert len(result.not_proven) == len(kit.tables)
    assert result.not_proven["tenant"].startswith("rows cannot be written or read here: SQLITE_READONLY")


@pytest.mark.postgres
@pytest.mark.parametrize("how", ["read-only", "no right"])
def test_a_user_who_may_only_read(
    postgres_database: TargetConfig,
    on_postgres: Callable[..., None],
    write_kit: Callable[..., Path],
    how: str,
) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    deploy_data_objects(kit.tables, postgres_database)
    statement = (
        "SET default_transaction_read_only = on" if how == "read-only" else "SET ROLE pg_read_all_data"
    )
    assert postgres_database.password
    with create_custom_target(
        "postgres",
        postgres_database.database,
        host=postgres_database.host,
        port=postgres_database.port,
        user=postgres_database.user,
        password=postgres_database.password.get_secret_value(),
    ) as reader:
        in_every_session(create_engine_for_target(reader), statement)
        result = prove_deployment(kit.tables, reader)
    assert result.findings == ()
    assert len(result.not_proven) == len(kit.tables)
    words = "read-only transaction" if how == "read-only" else "permission denied"
    assert words in result.not_proven["tenant"]


def in_every_session(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: Any, _: Any) -> None:
        raw.cursor().execute(statement)
        raw.commit()


@pytest.mark.mysql
def test_a_user_who_may_make_no_scratch_database(
    mysql_database: TargetConfig, on_mysql: Callable[..., None], write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    deploy_data_objects(kit.tables, mysql_database)
    user = f"u{mysql_database.database}"[:32]
    on_mysql(
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'",
        f"GRANT ALL ON {mysql_database.database}.* TO '{user}'@'%'",
    )
    try:
        with create_custom_target(
            "mysql",
            mysql_database.database,
            host=mysql_database.host,
            port=mysql_database.port,
            user=user,
            password="secret",
        ) as target:
            result = prove_deployment(kit.tables, target)
    finally:
        on_mysql(f"DROP USER '{user}'@'%'")
    assert result.findings == ()
    assert len(result.not_proven) == len(kit.tables)
    assert result.not_proven["tenant"].startswith("rows can only be tried in a scratch database")


@pytest.mark.postgres
def test_a_table_that_is_locked_is_tried_again_later(
    postgres_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    deploy_data_objects(kit.tables, postgres_database)
    engine = create_engine_for_target(postgres_database)
    engine.dispose()

    @event.listens_for(engine, "connect")
    def on_connect(raw: Any, _: Any) -> None:
        raw.cursor().execute("SET lock_timeout = '200ms'")
        raw.commit()

    with engine.begin() as other:
        other.exec_driver_sql("LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TryAgainError):
            prove_deployment(kit.tables, postgres_database)


@pytest.mark.sqlite
def test_a_database_that_is_locked_is_tried_again_later(
    tmp_path: Path, write_kit: Callable[..., Path]
) -> None:
    kit = load_datakit(write_kit("shapes", {"shapes.py": SHAPES}))
    file = tmp_path / "kit.db"
    with create_custom_target("sqlite", str(file), options={"timeout": "0.1"}) as target:
        deploy_data_objects(kit.tables, target)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TryAgainError):
                prove_deployment(kit.tables, target)
