"""What every check promises: of each row, or of all rows together."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.errors import SqlglotError

from triptych.core.errors import TriptychError
from triptych.etl.application.execution import ChecksFailed
from triptych.etl.application.ports import Batches, QueryFailed
from triptych.etl.domain.faults import judged
from triptych.etl.domain.plugins import Rule, Severity
from triptych.etl.domain.relation import column
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.testing import tables
from triptych.etl.testing.configuration import Conformance
from triptych.etl.testing.steps import Outcome, run_steps
from triptych.etl.testing.transforms import generated


class CheckConformance(Conformance):
    """What both kinds of checks promise: derive from one of the two below."""

    rows: ClassVar[pa.Table]
    """Some rows to check."""
    columns: ClassVar[tuple[str, ...]] = ()
    """The columns of `rows` that the configuration names as they are: not within expressions."""
    inputs: ClassVar[Mapping[str, pa.Table]] = {}
    """The pipeline's other inputs, where it reads some."""

    def outcome(
        self, rows: pa.Table, severity: Severity | None = None, check: Any = None
    ) -> Outcome:
        """What becomes of rows that are checked, on a fresh engine."""
        with DuckDb().open() as engine:
            checks = [check or self.configured()]
            return run_steps(engine, rows, [], checks, severity=severity, inputs=self.inputs)

    def test_a_table_without_rows_will_do(self) -> None:
        self._check_runs(self.rows.slice(0, 0), "a table without rows")

    def test_nulls_will_do(self) -> None:
        self._check_runs(tables.nothing_but_nulls(self.rows), "nulls")

    def test_names_of_columns_are_quoted(self) -> None:
        for name in self.columns:
            for hostile in tables.HOSTILE:
                names = {name: hostile}
                check = self.configured(**tables.renamed(self.configuration, names))
                rows = tables.with_names(self.rows, names)
                self._check_runs(rows, f"a column {hostile!r}", check)

    def test_a_column_that_is_missing_is_named(self) -> None:
        for name in self.columns:
            try:
                self.outcome(tables.with_names(self.rows, {name: tables.ANOTHER}), Severity.WARN)
            except QueryFailed as error:
                if f"{name!r}" in str(error):
                    continue
            pytest.fail(f"without {name!r} it does not say so: see Relation.check_has")

    def _check_runs(self, rows: pa.Table, what: str, check: Any = None) -> None:
        try:
            self.outcome(rows, Severity.WARN, check)
        except (TriptychError, SqlglotError) as error:
            pytest.fail(f"{what} will not do: {error}")


class RowCheckConformance(CheckConformance):
    """Derive from it, say which rows are at fault, and run it with pytest."""

    faulty: ClassVar[Sequence[int]]
    """Which of `rows` are at fault, counted from 0: at least one, and not all."""

    def test_just_the_rows_at_fault_are_set_aside(self) -> None:
        given = self.rows.to_pylist()
        good = [row for number, row in enumerate(given) if number not in self.faulty]
        if (kept := self.outcome(self.rows).rows) != good:
            pytest.fail(f"it lets pass {kept}, not {good}")

    def test_a_warning_sets_nothing_aside_and_counts(self) -> None:
        outcome = self.outcome(self.rows, Severity.WARN)
        told = sum(warned.rows or 0 for warned in outcome.warnings)
        if len(outcome.rows) != len(self.rows) or told != len(self.faulty):
            pytest.fail(f"{len(self.faulty)} rows are at fault, but it warns of {told}")

    def test_a_row_at_fault_fails_a_run_that_asks_for_it(self) -> None:
        try:
            self.outcome(self.rows, Severity.FAIL)
        except ChecksFailed:
            return
        pytest.fail("with severity 'fail' it lets a row at fault pass")

    def test_a_condition_is_never_null(self) -> None:
        self._check_never_null(self.rows)
        self._check_never_null(tables.nothing_but_nulls(self.rows))

    @generated
    @given(data=st.data())
    def test_a_condition_is_never_null_for_any_rows(self, data: st.DataObject) -> None:
        self._check_never_null(data.draw(tables.like(self.rows)))

    def _check_never_null(self, rows: pa.Table) -> None:
        with DuckDb().open() as engine:
            relation = engine.load("given", Batches(rows.schema, rows.to_batches()), "rows")
            inputs = {
                name: engine.attach(f"input_{name}", Batches(t.schema, t.to_batches()), name)
                for name, t in self.inputs.items()
            }
            for rule in self.configured().rules(relation, inputs):
                null = Rule(
                    rule.fault, exp.Paren(this=rule.holds).is_(exp.null()).not_(), rule.join
                )
                told = engine.table("told", judged(relation, [null]), "rows")
                query = exp.select("*").from_(told.table).where(column("_reasons").neq(_NOTHING))
                found = engine.stream(query, "rows")
                bad = pa.Table.from_batches(found.batches, found.schema)
                if len(bad):
                    pytest.fail(
                        f"{rule.fault!r}: its condition is null, so the row passes unseen, for"
                        f" {bad.to_pylist()[0]}: say what a missing value is"
                    )


_NOTHING = exp.Literal.string("")


class TableCheckConformance(CheckConformance):
    """Derive from it, say what it lets pass and what it does not, and run it with pytest."""

    broken: ClassVar[pa.Table]
    """Rows that do not keep it; `rows` do."""

    def test_what_keeps_it_passes(self) -> None:
        try:
            self.outcome(self.rows)
        except ChecksFailed as error:
            pytest.fail(f"rows that keep it do not pass: {error}")

    def test_what_does_not_keep_it_fails_the_run(self) -> None:
        try:
            self.outcome(self.broken)
        except ChecksFailed:
            return
        pytest.fail("rows that do not keep it pass")

    def test_a_warning_is_told_and_fails_nothing(self) -> None:
        if not self.outcome(self.broken, Severity.WARN).warnings:
            pytest.fail("with severity 'warn' it tells nothing of rows that do not keep it")
