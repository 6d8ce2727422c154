"""`if_exists="replace"` on a server whose DDL cannot be rolled back: old tables with their rows, or new ones, never neither."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sqlmodel_framework import (
    DeploymentError,
    TargetConfig,
    TryAgainError,
    create_custom_target,
    create_engine_for_target,
    deploy_data_objects,
    load_datakit,
    validate_deployment,
)
from sqlmodel_framework.base.errors import TargetNotEmptyError
from sqlmodel_framework.engines.base import engine_of
from sqlmodel_framework.utils.discovery import Datakit

pytestmark = pytest.mark.mysql

SHOP = """
    import sqlalchemy as sa
    class Customer(SQLModel, table=True):
        id: int = Field(primary_key=True)
        mother_id: int | None = Field(default=None, foreign_key="customer.id")
    class Order(SQLModel, table=True):
        __tablename__ = "orders"
        __table_args__ = (
            sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_customer", ondelete="CASCADE"),
            sa.CheckConstraint("quantity > 0", name="ck_quantity"),
        )
        id: int = Field(primary_key=True)
        customer_id: int
        payer_id: int = Field(foreign_key="customer.id", index=True)
        quantity: int = 1
"""
NEW_SHOP = SHOP + "        remark: str | None = Field(default=None, max_length=50)\n"
TRIGGER = """
    sa.event.listen(
        Order.__table__,
        "after_create",
        sa.DDL("CREATE TRIGGER watch BEFORE INSERT ON orders FOR EACH ROW SET NEW.quantity = NEW.quantity + {}"),
    )
"""
REFUSED_DDL = """
    sa.event.listen(Order.__table__, "after_create", sa.DDL("CREATE TRIGGER watch BEFORE nonsense"))
"""


RENAMING = text(
    "SELECT ID FROM information_schema.PROCESSLIST"
    " WHERE DB = DATABASE() AND INFO LIKE 'RENAME TABLE%' AND STATE LIKE 'Waiting%'"
)


@pytest.fixture
def kits(write_kit: Callable[..., Path]) -> Callable[[str], Datakit]:
    """A datakit from its source."""
    numbers = iter(range(100))
    return lambda source: load_datakit(write_kit(f"kit{next(numbers)}", {"kit.py": source}))


def in_any_order(printed: str) -> str:
    """The server prints constraints in the order in which they were made."""
    return "\n".join(sorted(line.rstrip(",") for line in printed.splitlines()))


def state(sql: Engine) -> dict[str, str]:
    """The DDL of every table and trigger as the server prints it, and the rows."""
    with sql.connect() as connection:
        tables = connection.exec_driver_sql("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'").all()
        found = {
            name: in_any_order(connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1])
            for name, _ in tables
        }
        found |= {
            f"rows of {name}": str(connection.exec_driver_sql(f"SELECT * FROM `{name}`").all())
            for name, _ in tables
        }
        triggers = connection.exec_driver_sql("SHOW TRIGGERS").mappings().all()
        return found | {t["Trigger"]: f"{t['Table']} {t['Statement']} {t['sql_mode']}" for t in triggers}


def tables(sql: Engine) -> list[str]:
    return sorted(name for name in state(sql) if not name.startswith("rows of "))


def with_rows(kit: Datakit, target: TargetConfig) -> dict[str, str]:
    """Deploy the tables with rows in them."""
    deploy_data_objects(kit.tables, target)
    sql = create_engine_for_target(target)
    with sql.begin() as connection:
        connection.execute(text("INSERT INTO customer VALUES (1, NULL), (2, 1)"))
        connection.execute(
            text("INSERT INTO orders (id, customer_id, payer_id, quantity) VALUES (1, 2, 1, 3)")
        )
    return state(sql)


@contextmanager
def disturbed(target: TargetConfig, disturb: Callable[[int, Any, Any], None]) -> Iterator[list[str]]:
    """Calls `disturb` with number, statement and raw connection before each DDL statement; gives those that ran."""
    engine = type(engine_of(target))
    execute = engine.execute
    seen: list[str] = []

    def stopping(self: Any, connection: Any, statements: Any, done: Any = id) -> None:
        for statement in statements:
            seen.append(statement.text)
            disturb(len(seen), statement, connection.connection)
            execute(self, connection, [statement], done)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "execute", stopping)
        yield seen


class Proxy:
    """A way to a server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listening]
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)


def through(proxy: Proxy, target: TargetConfig) -> TargetConfig:
    """The same database by way of a proxy."""
    assert target.password
    return create_custom_target(
        "mysql",
        target.database,
        host="127.0.0.1",
        port=proxy.port,
        user=target.user,
        password=target.password.get_secret_value(),
    )


def test_the_new_tables_are_as_if_the_old_ones_had_never_been(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    with_rows(kits(SHOP + TRIGGER.format(1)), mysql_database)
    kit = kits(NEW_SHOP + TRIGGER.format(2))
    result = deploy_data_objects(kit.tables, mysql_database, if_exists="replace")
    assert set(result.replaced) == {"customer", "orders"}
    assert validate_deployment(kit.tables, mysql_database, strict=True).findings == ()
    sql = create_engine_for_target(mysql_database)
    found = state(sql)
    assert tables(sql) == ["customer", "orders", "watch"]
    assert found["rows of orders"] == "[]"
    assert "+ 2" in found["watch"]
    with_out = {name: ddl for name, ddl in found.items() if not name.startswith("rows of ")}
    mysql_database.live.drop_created()
    deploy_data_objects(kit.tables, mysql_database)
    assert {name: ddl for name, ddl in state(sql).items() if not name.startswith("rows of ")} == with_out


def test_a_key_name_that_another_table_has_leaves_the_old_tables(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    sql = create_engine_for_target(mysql_database)
    with_rows(kits(SHOP), mysql_database)
    with sql.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE theirs (id INT PRIMARY KEY, up INT,"
                " CONSTRAINT fk_taken FOREIGN KEY (up) REFERENCES theirs (id))"
            )
        )
    before = state(sql)
    clashing = NEW_SHOP.replace("id: int", "id: int", 1) + (
        "    class Parcel(SQLModel, table=True):\n"
        '        __table_args__ = (sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_taken"),)\n'
        "        id: int = Field(primary_key=True)\n"
        "        order_id: int\n"
    )
    # MariaDB names the table, MySQL the key.
    with pytest.raises(DeploymentError, match=r"parcel|fk_taken") as caught:
        deploy_data_objects(kits(clashing).tables, mysql_database, if_exists="replace")
    assert "datakit_shadow_" not in str(caught.value)
    assert state(sql) == before


def test_refused_ddl_of_the_kit_leaves_the_old_tables_and_their_triggers(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    before = with_rows(kits(SHOP + TRIGGER.format(1)), mysql_database)
    with pytest.raises(DeploymentError, match="1064"):
        deploy_data_objects(kits(NEW_SHOP + REFUSED_DDL).tables, mysql_database, if_exists="replace")
    assert state(create_engine_for_target(mysql_database)) == before


@pytest.mark.parametrize("how", ["killed before", "killed after", "Ctrl-C"])
def test_whatever_is_interrupted_there_are_old_tables_or_new_ones(
    how: str, mysql_database: TargetConfig, kits: Callable[[str], Datakit], on_mysql: Callable[..., None]
) -> None:
    """One run for each statement of a replacement, until a run is not interrupted any more."""
    old, new = kits(SHOP + TRIGGER.format(1)), kits(NEW_SHOP + TRIGGER.format(2))
    sql = create_engine_for_target(mysql_database)
    outcomes = []
    for stop in range(1, 40):
        before = with_rows(old, mysql_database)

        def disturb(number: int, _: Any, raw: Any, stop: int = stop) -> None:
            if number == stop + (how == "killed after") and how != "Ctrl-C":
                on_mysql(f"KILL {raw.thread_id()}")
            elif number == stop and how == "Ctrl-C":
                raise KeyboardInterrupt

        with disturbed(mysql_database, disturb) as seen:
            try:
                deploy_data_objects(new.tables, mysql_database, if_exists="replace")
            except (DeploymentError, TryAgainError, KeyboardInterrupt):
                outcomes.append("old" if state(sql) == before else "new")
            else:
                outcomes.append("new")
        after = state(sql)
        if outcomes[-1] == "new":
            assert tables(sql) == ["customer", "orders", "watch"], seen
            assert "remark" in after["orders"]
        on_mysql(
            "SET foreign_key_checks = 0",
            f"DROP TABLE {mysql_database.database}.orders, {mysql_database.database}.customer",
        )
        mysql_database.live.created = type(mysql_database.live.created)()
        if len(seen) < stop:
            break
    dropping = next(number for number, statement in enumerate(seen) if "DROP TABLE" in statement)
    assert len(seen) < stop
    # The statement before the drop only sets a variable: from there on there is no way back.
    assert outcomes[: dropping - 2] == ["old"] * (dropping - 2)
    assert outcomes[dropping:] == ["new"] * (stop - dropping)


def test_a_server_that_is_gone_keeps_the_old_tables_and_the_error_says_the_way_back(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    before = with_rows(kits(SHOP), mysql_database)
    new = kits(NEW_SHOP + TRIGGER.format(2))
    proxy = Proxy(str(mysql_database.host), int(mysql_database.port or 3306))
    by_proxy = through(proxy, mysql_database)

    def cut_after_the_swap(_: int, statement: Any, __: Any) -> None:
        if statement.custom:
            proxy.cut()

    with (
        disturbed(mysql_database, cut_after_the_swap),
        pytest.raises(DeploymentError, match="could not be put back") as caught,
    ):
        deploy_data_objects(new.tables, by_proxy, if_exists="replace")
    sql = create_engine_for_target(mysql_database)
    kept = [name for name in tables(sql) if name.startswith("datakit_before_")]
    assert len(kept) == 2
    for name in kept:
        assert f"{name} was " in str(caught.value)
    assert "mysql-test-secret" not in str(caught.value)

    deploy_data_objects(new.tables, mysql_database, if_exists="replace")
    assert set(kept) < set(tables(sql)), "a later replacement leaves what another one kept"

    way_back = re.search(r"run: (.*)", str(caught.value))
    assert way_back
    # The message ends with the bracket that the statements opened, if they did.
    listed = way_back[1]
    closes = listed.count(")") > listed.count("(")
    statements = (listed.removesuffix(")") if closes else listed).split("; ")
    assert statements[0].startswith("RENAME TABLE ")
    assert "FOREIGN KEY" in statements[1]
    with sql.connect() as connection:
        connection.exec_driver_sql(statements[0])
        connection.exec_driver_sql("SET foreign_key_checks = 0")
        for name in [name for name in tables(sql) if name.startswith("datakit_shadow_")]:
            connection.exec_driver_sql(f"DROP TABLE `{name}`")
        for statement in statements[1:]:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("SET foreign_key_checks = 1")
    assert state(sql) == before


def test_tables_that_cannot_be_dropped_at_the_end_are_named(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit], caplog: pytest.LogCaptureFixture
) -> None:
    with_rows(kits(SHOP), mysql_database)

    def lose_every_drop(_: int, statement: Any, raw: Any) -> None:
        if "DROP TABLE" in statement.text and "datakit_before_" in statement.text:
            with suppress(Exception):
                raw.cursor().execute("KILL CONNECTION_ID()")

    new = kits(NEW_SHOP)
    with disturbed(mysql_database, lose_every_drop):
        assert deploy_data_objects(new.tables, mysql_database, if_exists="replace").success
    kept = [name for name in tables(create_engine_for_target(mysql_database)) if "before" in name]
    assert len(kept) == 2
    assert all(name in caplog.text for name in kept)
    assert validate_deployment(new.tables, mysql_database).success


def test_a_table_that_appears_meanwhile_stays(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    before = with_rows(kits(SHOP), mysql_database)
    sql = create_engine_for_target(mysql_database)

    def create(_: int, statement: Any, __: Any) -> None:
        if statement.text.startswith("RENAME TABLE") and "parcel" not in state(sql):
            with sql.begin() as other:
                other.execute(text("CREATE TABLE parcel (id INTEGER)"))

    more = NEW_SHOP + "    class Parcel(SQLModel, table=True):\n        id: int = Field(primary_key=True)\n"
    with (
        disturbed(mysql_database, create),
        pytest.raises(DeploymentError, match=r"parcel.* already exists"),
    ):
        deploy_data_objects(kits(more).tables, mysql_database, if_exists="replace")
    after = state(sql)
    assert "rows of parcel" in after
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"parcel", "rows of parcel"}


def test_a_table_that_others_refer_to_is_not_replaced(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    with_rows(kits(SHOP), mysql_database)
    sql = create_engine_for_target(mysql_database)
    with sql.begin() as connection:
        connection.execute(
            text("CREATE TABLE theirs (order_id INT, FOREIGN KEY (order_id) REFERENCES orders (id))")
        )
    before = state(sql)
    with pytest.raises(DeploymentError, match="theirs"):
        deploy_data_objects(kits(NEW_SHOP).tables, mysql_database, if_exists="replace")
    assert state(sql) == before
    with sql.begin() as connection:
        connection.execute(text("DROP TABLE theirs"))


def test_a_key_that_others_add_meanwhile_puts_the_old_tables_back(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit]
) -> None:
    before = with_rows(kits(SHOP), mysql_database)
    sql = create_engine_for_target(mysql_database)

    def refer(_: int, statement: Any, __: Any) -> None:
        if statement.text.startswith("RENAME TABLE") and "theirs" not in state(sql):
            with sql.begin() as other:
                other.execute(
                    text("CREATE TABLE theirs (order_id INT, FOREIGN KEY (order_id) REFERENCES orders (id))")
                )

    with (
        disturbed(mysql_database, refer),
        pytest.raises(DeploymentError, match=r"table orders\).*theirs"),
    ):
        deploy_data_objects(kits(NEW_SHOP).tables, mysql_database, if_exists="replace")
    after = state(sql)
    assert {name: after[name] for name in before} == before
    assert "REFERENCES `orders`" in after["theirs"]
    with sql.begin() as connection:
        connection.execute(text("DROP TABLE theirs"))


def test_a_killed_process_leaves_the_rows_where_they_can_be_found(
    mysql_database: TargetConfig, write_kit: Callable[..., Path]
) -> None:
    source = "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
    folder = write_kit("films", {"kit.py": source})
    deploy_data_objects(load_datakit(folder).tables, mysql_database)
    sql = create_engine_for_target(mysql_database)
    command = [sys.executable, "-m", "sqlmodel_framework.scripts.datakit", "deploy", str(folder)]
    command += ["--target", "mysql_local", "--if-exists", "replace"]
    environment = {**os.environ, "DATAKIT_MYSQL_LOCAL_DATABASE": str(mysql_database.database)}
    with sql.begin() as connection:
        connection.execute(text("INSERT INTO film VALUES (7)"))
    with sql.connect() as reader, sql.connect() as watcher:
        reader.execute(text("SELECT * FROM film")).all()
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            while (session := watcher.execute(RENAMING).scalar()) is None:
                assert process.poll() is None
            process.kill()
        reader.rollback()
        ended = text("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = :session")
        while watcher.execute(ended, {"session": session}).scalar():
            pass
    found = state(sql)
    kept = [name for name in tables(sql) if name.startswith("datakit_before_")]
    (place,) = kept or ["film"]
    assert found[f"rows of {place}"] == "[(7,)]"
    if kept:
        with pytest.raises(TargetNotEmptyError, match=place):
            deploy_data_objects(load_datakit(folder).tables, mysql_database, if_exists="fail")


def test_an_exchange_that_waits_for_a_reader_can_be_killed(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit], on_mysql: Callable[..., None]
) -> None:
    source = "class Film(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n    title: str\n"
    deploy_data_objects(kits(source).tables, mysql_database)
    sql = create_engine_for_target(mysql_database)
    before, new = state(sql), kits(source.replace("title", "name"))
    with sql.connect() as reader, sql.connect() as watcher, ThreadPoolExecutor(1) as thread:
        reader.execute(text("SELECT * FROM film")).all()
        deploying = thread.submit(deploy_data_objects, new.tables, mysql_database, if_exists="replace")
        while (session := watcher.execute(RENAMING).scalar()) is None:
            assert not deploying.done()
        on_mysql(f"KILL {session}")
        assert isinstance(deploying.exception(timeout=30), DeploymentError | TryAgainError)
    assert state(sql) == before


def test_named_schemas_and_keys_between_them(
    mysql_database: TargetConfig, kits: Callable[[str], Datakit], on_mysql: Callable[..., None]
) -> None:
    schema = f"{mysql_database.database}_more"
    source = SHOP.replace(
        'name="ck_quantity"),', f'name="ck_quantity"),\n            {{"schema": "{schema}"}},'
    )
    trigger = TRIGGER.replace("ON orders", f"ON {schema}.orders").replace("watch", f"{schema}.watch")
    on_mysql(f"CREATE DATABASE {schema}")
    try:
        deploy_data_objects(kits(source + trigger.format(1)).tables, mysql_database)
        sql = create_engine_for_target(mysql_database)
        there = f"SHOW CREATE TABLE {schema}.orders"
        shown = f"SHOW TRIGGERS FROM {schema}"
        with sql.connect() as connection:
            before = (
                in_any_order(connection.exec_driver_sql(there).one()[1]),
                connection.exec_driver_sql(shown).one()[:5],
            )
        refused = trigger.replace("BEFORE INSERT", "BEFORE nonsense")
        with pytest.raises(DeploymentError, match="1064"):
            deploy_data_objects(kits(source + refused).tables, mysql_database, if_exists="replace")
        with sql.connect() as connection:
            found = (
                in_any_order(connection.exec_driver_sql(there).one()[1]),
                connection.exec_driver_sql(shown).one()[:5],
            )
        assert found == before
        new = kits(source + trigger.format(2))
        deploy_data_objects(new.tables, mysql_database, if_exists="replace")
        assert validate_deployment(new.tables, mysql_database, strict=True).findings == ()
        with sql.connect() as connection:
            assert "+ 2" in str(connection.exec_driver_sql(shown).one())
    finally:
        on_mysql(f"DROP DATABASE {schema}")


def test_a_sequence_starts_again(mysql_database: TargetConfig, kits: Callable[[str], Datakit]) -> None:
    sql = create_engine_for_target(mysql_database)
    with sql.connect() as connection:
        if not connection.dialect.supports_sequences:
            pytest.skip("MySQL has no sequences")
    kit = kits(
        """
        import sqlalchemy as sa
        numbers = sa.Sequence("invoice_number", start=5)
        class Invoice(SQLModel, table=True):
            id: int = Field(primary_key=True)
            number: int = Field(sa_column=sa.Column(sa.Integer, numbers, server_default=numbers.next_value()))
        """
    )
    for mode in ("fail", "skip", "replace"):
        deploy_data_objects(kit.tables, mysql_database, if_exists=mode)
        with sql.begin() as connection:
            connection.execute(text("INSERT INTO invoice () VALUES ()"))
            numbers = connection.execute(text("SELECT number FROM invoice ORDER BY id")).scalars().all()
        assert numbers == ([5, 6] if mode == "skip" else [5])
    assert validate_deployment(kit.tables, mysql_database).success
