"""What every transform promises."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.errors import SqlglotError

from triptych.core.errors import TriptychError
from triptych.etl.application.execution import RAW
from triptych.etl.application.ports import ArrowTransform, Batches, QueryFailed
from triptych.etl.domain.plugins import Effect
from triptych.etl.domain.reconciliation import NotReconciled
from triptych.etl.domain.relation import ROW, Relation
from triptych.etl.domain.secrets import show
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.testing import tables
from triptych.etl.testing.configuration import Conformance
from triptych.etl.testing.steps import Outcome, run_steps

generated = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


class TransformConformance(Conformance):
    """Derive from it, say what the transform is given and makes, and run it with pytest."""

    rows: ClassVar[pa.Table]
    """Some rows that it is given."""
    expected: ClassVar[list[dict[str, Any]]]
    """What it makes of them, in whichever order."""
    columns: ClassVar[tuple[str, ...]] = ()
    """The columns of `rows` that the configuration names as they are: not within expressions."""
    inputs: ClassVar[Mapping[str, pa.Table]] = {}
    """The pipeline's other inputs, where it reads some."""

    def outcome(self, rows: pa.Table, transform: Any = None) -> Outcome:
        """What the transform makes of rows, on a fresh engine."""
        with DuckDb().open() as engine:
            step = transform or self.configured()
            try:
                return run_steps(engine, rows, [step], inputs=self.inputs)
            except NotReconciled as error:
                pytest.fail(f"its effect is {step.effect}, but rows came or went: {error}")

    def any_rows(self) -> st.SearchStrategy[pa.Table]:
        """Whatever rows it may be given: override it where not every value will do."""
        return tables.like(self.rows)

    def test_rows_become_what_is_expected(self) -> None:
        made = self.outcome(self.rows).rows
        if sorted(map(repr, made)) != sorted(map(repr, self.expected)):
            pytest.fail(f"it made {made}, not {self.expected}")

    def test_its_effect_is_true(self) -> None:
        self._check_effect(self.rows)

    def test_a_table_without_rows_will_do(self) -> None:
        self._check_runs(self.rows.slice(0, 0), "a table without rows")

    def test_nulls_will_do(self) -> None:
        self._check_runs(tables.nothing_but_nulls(self.rows), "nulls")

    @generated
    @given(data=st.data())
    def test_any_rows_will_do(self, data: st.DataObject) -> None:
        self._check_effect(data.draw(self.any_rows()))

    def test_it_builds_the_same_query_each_time(self) -> None:
        transform = self.configured()
        if isinstance(transform, ArrowTransform):
            first, second = (list(transform.stream(self.rows.to_batches())) for _ in range(2))
            if first != second:
                pytest.fail("it made other rows of the same batches: it has to keep no state")
            return
        built = [self._query(transform) for _ in range(2)]
        if built[0] != built[1]:
            pytest.fail("it built another query of the same relation: copy what you keep")

    def test_the_number_of_each_row_is_kept(self) -> None:
        transform = self.configured()
        if transform.effect is Effect.REGRAINS:
            return
        try:
            numbers = self._numbers(transform)
        except (KeyError, QueryFailed):
            pytest.fail(f"it drops {ROW}, which tells a row's origin: use Relation.select")
        if len(set(numbers)) != len(numbers) or not set(numbers) <= set(self._given_numbers()):
            pytest.fail(f"it changes {ROW}, which tells a row's origin: use Relation.select")

    def test_names_of_columns_are_quoted(self) -> None:
        extra = self.rows
        for name in tables.HOSTILE:
            extra = extra.append_column(name, pa.nulls(len(extra), pa.string()))
        self._check_runs(extra, f"columns such as {tables.HOSTILE[0]!r}")
        for name in self.columns:
            for hostile in tables.HOSTILE:
                self._check_renamed({name: hostile})

    def test_a_column_that_is_missing_is_named(self) -> None:
        for name in self.columns:
            try:
                self.outcome(tables.with_names(self.rows, {name: tables.ANOTHER}))
            except QueryFailed as error:
                if f"{name!r}" in str(error):
                    continue
            pytest.fail(f"without {name!r} it does not say so: see Relation.check_has")

    def test_no_secret_is_shown_in_its_query(self) -> None:
        transform = self.configured()
        if not self.secrets or isinstance(transform, ArrowTransform):
            return
        query = show(self._query(transform), "duckdb")
        if any(secret in query for secret in self.secrets.values()):
            pytest.fail("the query shows a secret: use triptych.etl.domain.secrets.hidden")

    def _check_renamed(self, names: Mapping[str, str]) -> None:
        changed = tables.renamed(self.configuration, names)
        transform = self.configured(**changed)
        self._check_runs(tables.with_names(self.rows, names), f"a column {names}", transform)

    def _check_runs(self, rows: pa.Table, what: str, transform: Any = None) -> Outcome:
        try:
            return self.outcome(rows, transform)
        except (TriptychError, SqlglotError) as error:
            pytest.fail(f"{what} will not do: {error}")

    def _check_effect(self, rows: pa.Table) -> None:
        outcome = self._check_runs(rows, f"{rows.to_pylist()}")
        tally, effect = outcome.tally, self.configured().effect
        if tally.filtered < 0 or tally.duplicates < 0:
            pytest.fail(f"its effect is {effect}, but it makes rows: {tally}")

    def _query(self, transform: Any) -> exp.Query:
        with DuckDb().open() as engine:
            query: exp.Query = transform.apply(_loaded(engine, self.rows), self._attached(engine))
            return query

    def _attached(self, engine: Any) -> dict[str, Relation]:
        return {
            name: engine.attach(f"input_{name}", _batches(table), name)
            for name, table in self.inputs.items()
        }

    def _numbers(self, transform: Any) -> list[Any]:
        if isinstance(transform, ArrowTransform):
            numbered = self.rows.append_column(ROW, pa.array(range(len(self.rows)), pa.int64()))
            made = pa.Table.from_batches(transform.stream(numbered.to_batches()))
            return list(made[ROW].to_pylist())
        with DuckDb().open() as engine:
            query = transform.apply(_loaded(engine, self.rows), self._attached(engine))
            found = engine.stream(query, "numbers")
            return list(pa.Table.from_batches(found.batches, found.schema)[ROW].to_pylist())

    def _given_numbers(self) -> range:
        return range(len(self.rows) + 1)  # an engine may count from 0 or from 1


def _loaded(engine: Any, rows: pa.Table) -> Relation:
    relation: Relation = engine.load(RAW, _batches(rows), "rows")
    return relation


def _batches(table: pa.Table) -> Batches:
    return Batches(table.schema, table.to_batches())
