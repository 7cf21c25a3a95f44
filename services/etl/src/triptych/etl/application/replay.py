"""Let quarantined rows come again, after the pipeline or its inputs were mended.

Rows that were set aside on one branch go the way of that branch, from the row as it was read: those
that pass now are added to its outputs and leave the quarantine, the others stay with their new
reasons. A replay is named by the version of the quarantine that it reads: every output keeps, with
the rows, which one it has had, so that a replay that dies is finished by the next one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from sqlglot import exp

from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.execution import RAW, Execution
from triptych.etl.application.history import History, Report
from triptych.etl.application.inputs import attach_inputs, reading_of
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import (
    Batches,
    Engine,
    EngineFactory,
    Format,
    Resources,
    Scan,
    Sink,
    Staged,
    Writing,
)
from triptych.etl.domain.faults import quarantined
from triptych.etl.domain.pipeline import MAIN, Refresh
from triptych.etl.domain.relation import Relation, column, text
from triptych.lake.change import Change, Exchange, Progress
from triptych.lake.table import Snapshot, Table

_LABEL: Final = "the quarantine"
_OUTPUTS: Final = "outputs."


class ReadAnyway(TriptychError):
    """The pipeline reads everything again whenever it runs, what was quarantined too."""

    kind = Kind.INVALID
    hint = "Run it, with: etl run."


class CannotReplay(TriptychError):
    """What the quarantine has kept of a row does not fit the pipeline's source any more."""

    kind = Kind.CONFLICT
    hint = (
        "Nothing was written. Give the source its columns back, or read the rows from there again."
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """Let the quarantined rows of pipelines come again."""

    resources: Resources
    engines: EngineFactory
    history: History

    def __call__(self, pipeline: Pipeline) -> list[Report]:
        """Let the rows come again that were set aside as they were read; what became of them.

        Rows that a step had made of several others are not among them: they stay.

        Raises:
            ReadAnyway: the pipeline's refresh is full.
            CannotReplay: a row does not fit the source any more.
            ConcurrentCommit: another replay was faster.
            NotReconciled, ChecksFailed, QueryFailed: nothing was written.
        """
        if pipeline.file.refresh is Refresh.FULL:
            raise ReadAnyway(repr(pipeline.name))
        table = self.resources.lake.table(pipeline.quarantine)
        if not table.exists():
            return []
        reports: list[Report] = []
        for branch in pipeline.branches:
            reports += self._branch(pipeline, table, branch.name)
        return reports

    def _branch(self, pipeline: Pipeline, table: Table, branch: str) -> list[Report]:
        writer = f"{pipeline.writer}.replay.{branch}"
        below = _below(pipeline, branch)
        sinks = {name: sink for name, sink in pipeline.sinks.items() if name in below}
        had = table.position(writer)
        positions = {n: sink.position(self.resources, writer) for n, sink in sinks.items()}
        begun = [at for at in positions.values() if at > had]
        snapshot = table.snapshot(begun[0] - 1 if begun else None)
        left = {name: sink for name, sink in sinks.items() if positions[name] == had}
        with self.engines.open() as engine:
            stored = _attach(engine, snapshot)
            raw = self._raw_schema(pipeline)
            steps = list(_replayable(engine, stored, branch, raw))
            if not steps:
                return []
            progress = Progress(writer, had, snapshot.version + 1)
            return self._replay(
                pipeline, engine, _Aside(table, snapshot, stored, steps, raw, below), left, progress
            )

    def _replay(
        self,
        pipeline: Pipeline,
        engine: Engine,
        aside: "_Aside",
        sinks: Mapping[str, Sink],
        progress: Progress,
    ) -> list[Report]:
        with (
            self.history.record(pipeline) as recording,
            ExitStack() as undo,
        ):
            inputs = attach_inputs(self.resources, engine, pipeline)
            execution = Execution(engine, pipeline, self.resources, inputs)
            made = execution.run(aside.originals(engine))
            staged: list[tuple[Report, Staged]] = []
            for name, sink in sinks.items():
                output = sink.stage(Writing(self.resources, engine), made[name].rows, progress)
                undo.callback(output.discard)
                staged.append((recording.report(name, made[name], output.rows), output))
            still = aside.remaining(engine, execution, recording.id)
            for report, output in staged:
                recording.commit(report, output)
            notes = {"pipeline": pipeline.name, "run_id": recording.id}
            aside.table.commit(still, [progress], notes)
            return recording.done

    def _raw_schema(self, pipeline: Pipeline) -> pa.Schema:
        """The columns of the source's raw rows; nothing is read."""
        source, reading = pipeline.source.plugin, reading_of(self.resources, pipeline)
        at = min(sink.position(self.resources, pipeline.writer) for sink in pipeline.sinks.values())
        return source.read(reading, at, at).schema


@dataclass(frozen=True, slots=True)
class _Aside:
    """The rows of a version of the quarantine that come again: those of some steps."""

    table: Table
    snapshot: Snapshot
    stored: Relation
    steps: Sequence[str]
    raw: pa.Schema
    """The columns of the rows as they were read."""
    branches: Set[str]
    """Those that the rows flow into: only there may they be at fault again."""

    def originals(self, engine: Engine) -> Batches:
        """The rows as they were read."""
        schema = self.raw
        query = exp.select(column("original")).from_(self.stored.table).where(self._chosen())
        found = engine.stream(query.order_by(column("original")), _LABEL)
        texts = [text for batch in found.batches for text in batch.column(0).to_pylist()]
        rows = [json.loads(text, parse_float=str, parse_int=str) for text in texts]
        names = dict.fromkeys([*schema.names, *(name for row in rows for name in row)])
        kinds = [schema.field(n).type if n in schema.names else pa.string() for n in names]
        try:
            columns = [
                pa.array([_text(row.get(name)) for row in rows], pa.string()).cast(kind)
                for name, kind in zip(names, kinds, strict=True)
            ]
        except pa.ArrowException as error:
            raise CannotReplay(str(error).splitlines()[0]) from None
        table = pa.table(dict(zip(names, columns, strict=True)))
        return Batches(table.schema, table.to_batches())

    def remaining(self, engine: Engine, execution: Execution, run_id: str) -> Change:
        """The quarantine without the rows that pass now."""
        names = self.stored.columns
        others = exp.select(*map(column, names)).from_(self.stored.table)
        query: exp.Query = others.where(self._chosen().not_())
        found = [steps for name, steps in execution.faulty.items() if name in self.branches]
        if faulty := [step for steps in found for step in steps]:
            again = quarantined(execution.steps[RAW], faulty, run_id)
            view = engine.view("again", again, _LABEL)
            query = exp.union(
                query, exp.select(*map(column, names)).from_(view.table), distinct=False
            )
        written = engine.write(query, self.table.new_folder())
        return Change(written.files, written.schema, mode=Exchange(self.snapshot.files))

    def _chosen(self) -> exp.Expr:
        return column("step").isin(*(text(step) for step in self.steps))


def _below(pipeline: Pipeline, branch: str) -> set[str]:
    """The branches that the rows of a branch flow into, itself among them."""
    inside = {branch}
    for candidate in pipeline.branches:  # each comes after its origin
        if candidate.origin in inside:
            inside.add(candidate.name)
    return inside


def _attach(engine: Engine, snapshot: Snapshot) -> Relation:
    return engine.attach("aside", Scan(snapshot.files, Format.PARQUET, snapshot.schema), _LABEL)


def _replayable(engine: Engine, stored: Relation, branch: str, raw: pa.Schema) -> Iterator[str]:
    """The steps of a branch that rows were set aside in as they were read."""
    one = exp.alias_(exp.Min(this=column("original")), "one")
    query = exp.select(column("step"), one).from_(stored.table).group_by(column("step"))
    found = engine.stream(query.order_by(column("step")), _LABEL)
    for row in pa.Table.from_batches(found.batches, found.schema).to_pylist():
        if _branch_of(row["step"]) == branch and set(raw.names) <= json.loads(row["one"]).keys():
            yield row["step"]


def _branch_of(step: str) -> str:
    return step.removeprefix(_OUTPUTS).partition(".")[0] if step.startswith(_OUTPUTS) else MAIN


def _text(value: object) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case _:
            raise CannotReplay("a column holds lists or objects")
