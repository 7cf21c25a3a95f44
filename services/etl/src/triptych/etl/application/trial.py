"""Try a pipeline: what it would do, and what its rows are after any step. Nothing is written."""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import pyarrow as pa
from sqlglot import exp

from triptych.core.documents import nearest
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.execution import Execution, Made, Warned, saying
from triptych.etl.application.history import traced
from triptych.etl.application.inputs import attach_inputs, reading_of
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import (
    Effects,
    Engine,
    EngineFactory,
    Resources,
    Rows,
    Scan,
    Writing,
)
from triptych.etl.domain.lineage import Column
from triptych.etl.domain.pipeline import Refresh
from triptych.etl.domain.reconciliation import Reconciliation


class UnknownStep(TriptychError):
    """The pipeline has no such step."""

    kind = Kind.NOT_FOUND
    hint = "Name one of those that there are."


@dataclass(frozen=True, slots=True)
class PlannedOutput:
    """What a run would do for one output."""

    name: str
    target: str
    after: int
    """The position up to which its rows are committed."""
    rows: Reconciliation
    before: dict[str, str]
    """The target's columns as they are; none before anything is written."""
    columns: dict[str, str]
    """The columns of the rows that would be written."""
    effects: Effects
    warnings: tuple[Warned, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes to compute the rows, as it was found by doing so."""

    seconds: float
    files: int
    bytes: int
    """Of the files that the engine reads; of other sources it is not known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do."""

    pipeline: str
    until: int
    """The position that it would read up to."""
    outputs: tuple[PlannedOutput, ...]
    """Those for which there is something new."""
    queries: tuple[tuple[str, str, exp.Query], ...]
    """The steps in their order: what each is called, the relation that it makes, and its query."""
    cost: Cost


@dataclass(frozen=True, slots=True)
class Try:
    """Try pipelines on what is there, without writing anything."""

    resources: Resources
    engines: EngineFactory

    def plan(self, pipeline: Pipeline) -> Plan:
        """What the next run would do.

        Raises:
            QueryFailed, ChecksFailed, NotReconciled: it would fail.
        """
        positions = self._positions(pipeline)
        after = min(positions.values())
        began = monotonic()
        with self._executed(pipeline, after) as (execution, made, until, rows):
            outputs = tuple(
                self._planned(pipeline, execution.engine, name, made[name], at)
                for name, at in positions.items()
                if at < until
            )
            files = [Path(file) for file in rows.files] if isinstance(rows, Scan) else []
            size = sum(file.stat().st_size for file in files)
            cost = Cost(monotonic() - began, len(files), size)
            return Plan(pipeline.name, until, outputs, tuple(execution.queries), cost)

    def preview(self, pipeline: Pipeline, step: str, rows: int) -> pa.Table:
        """The first rows after a step, of what the next run would read; or of everything.

        Raises:
            UnknownStep: with the steps that there are.
        """
        with self._executed(pipeline, 0) as (execution, _, _, _):
            steps = {name.partition(" ")[0]: found for name, found in execution.steps.items()}
            if step not in steps:
                raise UnknownStep(f"{step!r}: {nearest(step, steps)}")
            found = steps[step]
            query = exp.select("*").from_(found.public()).limit(rows)
            batches = execution.engine.stream(query, step)
            return pa.Table.from_batches(batches.batches, batches.schema)

    def lineage(self, pipeline: Pipeline) -> dict[str, Mapping[str, Set[Column]]]:
        """For each target, the columns that its columns are made of: a source's, and an input's.

        Raises:
            QueryFailed: they cannot be traced, or the pipeline cannot be computed.
        """
        with self._executed(pipeline, 0) as (execution, made, _, _), saying(pipeline.name):
            return {
                sink.target: traced(pipeline, made[name].rows, execution.lineage)
                for name, sink in pipeline.sinks.items()
            }

    def _positions(self, pipeline: Pipeline) -> dict[str, int]:
        return {
            name: sink.position(self.resources, pipeline.writer)
            for name, sink in pipeline.sinks.items()
        }

    @contextmanager
    def _executed(
        self, pipeline: Pipeline, after: int
    ) -> Iterator[tuple[Execution, dict[str, Made], int, Rows]]:
        reading = reading_of(self.resources, pipeline)
        source = pipeline.source.plugin
        until = source.newest(reading, after)
        begin = 0 if pipeline.file.refresh is Refresh.FULL else after
        with self.engines.open() as engine:
            inputs = attach_inputs(self.resources, engine, pipeline)
            execution = Execution(engine, pipeline, self.resources, inputs)
            rows = source.read(reading, begin, until)
            yield execution, execution.run(rows), until, rows

    def _planned(
        self, pipeline: Pipeline, engine: Engine, name: str, made: Made, after: int
    ) -> PlannedOutput:
        sink = pipeline.sinks[name]
        effects = sink.effects(Writing(self.resources, engine), made.rows)
        rows = replace(made.tally, written=effects.given)
        rows.check()
        columns = {column: made.rows.types[column] for column in made.rows.columns}
        before = sink.columns(self.resources)
        return PlannedOutput(
            name, sink.target, after, rows, before, columns, effects, made.warnings
        )
