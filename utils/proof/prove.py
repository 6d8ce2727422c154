"""The round-trip proof: what a class promises about its rows is tried on the database, and nothing stays there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any

from sqlalchemy import Table

from sqlmodel_framework.base.errors import ConfigurationError, NoScratchPlaceError, RowsNotGeneratedError
from sqlmodel_framework.base.models.contract import Contract, contract_of
from sqlmodel_framework.base.models.tables import TableLike, table_of
from sqlmodel_framework.base.results import Result
from sqlmodel_framework.config.targets import TargetConfig
from sqlmodel_framework.engines.base import Scratch, TargetEngine, engine_of
from sqlmodel_framework.engines.ddl import schemas_of, with_referred
from sqlmodel_framework.engines.live import LiveTarget, open_target
from sqlmodel_framework.engines.reading import TableKey
from sqlmodel_framework.utils.findings import Finding, Severity
from sqlmodel_framework.utils.proof.forbidden import notes_of
from sqlmodel_framework.utils.proof.losses import Losses
from sqlmodel_framework.utils.proof.plain import plain_values
from sqlmodel_framework.utils.proof.rows import Row, edges_of
from sqlmodel_framework.utils.proof.store import NotWritableError, RowStore
from sqlmodel_framework.utils.proof.table_proof import TableProof
from sqlmodel_framework.utils.table_order import Order, Reference, order_of, references_of
from sqlmodel_framework.utils.tables import tables_of

__all__ = ["ProofResult", "prove_deployment"]

_FEWEST_ROWS = 6
_SPARE_PARENTS = 4
_LATE_KEYS = 12
_NO_PARENT = "no rows of "
_NOT_WRITABLE = "rows cannot be written or read here: "


@dataclass(frozen=True)
class ProofResult(Result):
    """The outcome of a proof. `tables` are those of the classes; each is in `proven` or, with the reason, in `not_proven`.

    A table is proven when all its rows were written, read and compared and all its forbidden rows were tried; `findings`
    say what came of it. `rows` and `forbidden` count those. `notes` say what this kind of database never enforces.
    """

    target: str
    tables: tuple[str, ...]
    findings: tuple[Finding, ...]
    proven: tuple[str, ...]
    not_proven: Mapping[str, str]
    rows: int
    forbidden: int
    notes: tuple[str, ...]
    seconds: float

    @property
    def success(self) -> bool:
        """True without a finding of severity error; tables that are not proven do not count."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def prove_deployment(tables: Iterable[TableLike], target: TargetConfig, *, seed: int = 0) -> ProofResult:
    """Write rows at the edges of what the classes allow, read them back, and try rows that they forbid.

    It happens in a transaction that is rolled back, or in a scratch place: nothing on the target changes. The same seed
    gives the same rows. Raises TryAgainError when the target is not reachable or a table is locked, ConfigurationError
    and DeploymentError when it cannot be read. A target that cannot be written to is no error: its tables are not proven.
    """
    started = perf_counter()
    classes = list(tables) if isinstance(tables, Iterable) else tables
    wanted = tables_of(classes)
    contracts = {table_of(one).fullname: contract_of(one) for one in classes}
    if isinstance(target, TargetConfig):
        engine_of(target).refuse_if_absent(target)
    live = open_target(target)
    proof = _Proof(wanted, contracts, live.engine, seed)
    with live.engine.errors(target, "prove"):
        live.engine.attach_schemas(live, schemas_of(proof.all_tables), create=False)
        _rehearse(live, proof)
    names = [table.fullname for table in wanted]
    findings = [
        finding
        for name in names
        if name in proof.tables
        for finding in proof.tables[name].losses.found.values()
    ]
    return ProofResult(
        target=target.name,
        tables=tuple(names),
        findings=tuple(sorted(findings, key=lambda finding: finding.sort_key)),
        proven=tuple(name for name in names if name not in proof.reasons),
        not_proven={name: proof.reasons[name] for name in names if name in proof.reasons},
        rows=sum(one.written for one in proof.tables.values()),
        forbidden=sum(one.tried for one in proof.tables.values()),
        notes=(
            *notes_of(sum((one.never for one in proof.tables.values()), Counter()), live.engine.kind),
            *(note for name in names if name in proof.tables for note in proof.tables[name].notes),
        ),
        seconds=perf_counter() - started,
    )


def _rehearse(live: LiveTarget, proof: _Proof) -> None:
    with live.sql.connect() as connection:
        try:
            there = live.engine.existing_tables(connection, live.places(connection, proof.all_tables))
            with live.engine.rehearsal(live, connection, proof.all_tables) as scratch:
                proof.run(scratch, {".".join(part for part in key if part) for key in there})
        except NoScratchPlaceError as exc:
            proof.fail_all(f"{exc.what}: {exc.seen}")
        finally:
            connection.rollback()


@dataclass
class _Proof:
    """All tables of a proof, with those that their foreign keys lead to."""

    wanted: Sequence[Table]
    contracts: Mapping[str, Contract]
    engine: TargetEngine
    seed: int
    all_tables: list[Table] = field(init=False)
    order: Order = field(init=False)
    null_first: set[Reference] = field(init=False)
    tables: dict[str, TableProof] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.all_tables = with_referred(self.wanted)
        self.order = order_of(self.all_tables)
        own = {r for table in self.all_tables for r in references_of(table) if r.is_own and r.nullable}
        self.null_first = self.order.cut | own

    def fail_all(self, reason: str) -> None:
        """None of the tables is proven, and what was found until now may come of that reason."""
        self.tables.clear()
        for table in self.wanted:
            self.reasons.setdefault(table.fullname, reason)

    def run(self, scratch: Scratch, there: set[str]) -> None:
        """Write the rows of all tables, compare, then try what is forbidden."""
        for table in (*self.order.cycles, *self.order.tables):
            self._prepare(table, scratch, there)
        # A deferred key that the class does not have is then broken by a row, not by all of them.
        waiting = [(_key(r.table), r.columns) for r in self.order.late]
        self.engine.check_deferred(scratch, self.all_tables, waiting)
        least = self._least_rows()
        late = self._late_keys()
        for name, one in self.tables.items():
            self._step(name, lambda one=one, name=name: self._write(one, least[name], late))
        for reference in sorted(self.null_first, key=lambda r: (r.table.fullname, r.columns)):
            self._set_parents(reference)
        self._check_late_keys(scratch)
        for name, one in self.tables.items():
            self._step(name, lambda one=one: one.forbid(self.tables))
        self._keep_reasons()

    def _keep_reasons(self) -> None:
        self.reasons |= {name: one.reason for name, one in self.tables.items() if one.reason is not None}

    def _set_parents(self, reference: Reference) -> None:
        one, parent = (self.tables.get(table.fullname) for table in (reference.table, reference.parent))
        if one is not None and one.rows and parent is not None:
            self._step(reference.table.fullname, lambda: one.set_parents(reference, parent.rows))

    def _check_late_keys(self, scratch: Scratch) -> None:
        """Check deferred keys; one that does not hold stays deferred, and concerns its own table alone."""
        if not self.order.late:
            return
        broken = self.engine.check_deferred(scratch, self.all_tables)
        for one in self.tables.values():
            one.unchecked = set(broken.get(_key(one.table), ()))
            if one.unchecked:
                keys = "; ".join(sorted(", ".join(columns) for columns in one.unchecked))
                one.fail(
                    f"the deferred key of {keys} does not hold at the end: rows that it leads to were not taken"
                )

    def _step(self, name: str, step: Any) -> None:
        """One step of one table; what stops it is the reason why it is not proven, and the others go on."""
        try:
            step()
        except NotWritableError as exc:
            self.tables[name].fail(f"{_NOT_WRITABLE}{exc}")
        except ConfigurationError as exc:
            self.tables[name].fail(_told(exc))

    def _prepare(self, table: Table, scratch: Scratch, there: set[str]) -> None:
        name = table.fullname
        contract = self.contracts.get(name) or contract_of(table)
        if table in self.order.cycles:
            keys = self.order.cycles[table]
            self.reasons[name] = f"a circle of foreign keys that cannot be null: {keys}"
        elif name not in there:
            self.reasons[name] = "there is no such table"
        elif _key(table) in scratch.closed:
            self.reasons[name] = scratch.closed[_key(table)]
        else:
            try:
                zero = self.engine.capabilities.columns.zero_numbers
                edges = edges_of(contract, table, self.seed, zero_numbers=zero)
            except ConfigurationError as exc:
                self.reasons[name] = _told(exc)
                return
            schema = scratch.places.schemas[table.schema]
            store = RowStore(self.engine, scratch.connection, table, tuple(edges), schema, scratch.others)
            # A text as seed gives the same numbers in every process.
            random = Random(f"{self.seed} {name}")  # noqa: S311 - rows are no secrets
            self.tables[name] = TableProof(
                table,
                contract,
                store,
                Losses(contract, dict(self.engine.capabilities.remedies)),
                edges,
                random,
            )

    def _least_rows(self) -> dict[str, int]:
        """Parents have rows for all rows of their children, and some to spare: a child's key may be its parent's."""
        least = {
            name: max(_FEWEST_ROWS, *(len(edges) for edges in one.edges.values()))
            for name, one in self.tables.items()
        }
        for table in reversed(self.order.tables):
            for reference in references_of(table):
                parent = reference.parent.fullname
                if parent in least and table.fullname in least and not reference.is_own:
                    least[parent] = max(least[parent], least[table.fullname] + _SPARE_PARENTS)
        return least

    def _late_keys(self) -> dict[Reference, list[tuple[Any, ...]]]:
        """Keys of rows that come after those that refer to them."""
        late: dict[Reference, list[tuple[Any, ...]]] = {}
        for reference in self.order.late:
            parent = self.tables.get(reference.parent.fullname)
            if parent is None:
                continue
            makers = [
                plain_values(parent.contract.columns[name], parent.random) for name in reference.referred
            ]
            keys = list(
                dict.fromkeys(tuple(next(maker, None) for maker in makers) for _ in range(_LATE_KEYS))
            )
            parent.wanted = [dict(zip(reference.referred, key, strict=True)) for key in keys]
            late[reference] = keys
        return late

    def _write(self, one: TableProof, least: int, late: Mapping[Reference, list[tuple[Any, ...]]]) -> None:
        rows: dict[str, Sequence[Row]] = {name: other.rows for name, other in self.tables.items()}
        for reference in references_of(one.table):
            parent = reference.parent.fullname
            optional = reference.is_own or reference.nullable or reference in {*late, *self.null_first}
            if not optional and not rows.get(parent):
                failed = self.tables.get(parent)
                reason = self.reasons.get(parent) or (failed.reason if failed else None) or "none was taken"
                # The first cause is told, not the way that led there.
                if not reason.startswith((_NO_PARENT, _NOT_WRITABLE)):
                    reason = f"{_NO_PARENT}{parent} to refer to: {reason}"
                raise RowsNotGeneratedError(reason)
        one.write(least, self.null_first, rows, late)


def _key(table: Table) -> TableKey:
    return table.schema, table.name


def _told(error: ConfigurationError) -> str:
    return ", ".join(part for part in (error.what, error.where, error.seen) if part)
