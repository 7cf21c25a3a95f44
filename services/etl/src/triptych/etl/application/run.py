"""Run a pipeline: read what is new, transform it, commit it exactly once."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from triptych.etl.application.execution import Execution
from triptych.etl.application.history import History, Report
from triptych.etl.application.inputs import attach_inputs, reading_of
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import (
    Batches,
    EngineFactory,
    Resources,
    Rows,
    Sink,
    Staged,
    Watcher,
    Writing,
)
from triptych.etl.application.quarantine import Quarantine
from triptych.etl.domain.pipeline import Refresh
from triptych.etl.domain.reconciliation import Reconciliation
from triptych.lake.change import Progress


@dataclass(frozen=True, slots=True)
class Run:
    """Run pipelines, each exactly once over every row of its source."""

    resources: Resources
    engines: EngineFactory
    history: History

    def __call__(self, pipeline: Pipeline, watcher: Watcher | None = None) -> list[Report]:
        """Read what is new since the last run and commit it; a report for each output.

        A run that died between its commits is finished first, over just the rows that it had read;
        so is an output that is new in the pipeline: then there are more reports.

        Raises:
            ConcurrentCommit: another run of this pipeline was faster; nothing of this one was
                written that the other has not written, too.
            NotReconciled, ChecksFailed, QueryFailed: nothing was written.
        """
        reports: list[Report] = []
        while True:
            behind, after, until, last = self._next(pipeline)
            if until == after:
                return reports or [_nothing(pipeline, name) for name in behind]
            reports += self._run(pipeline, behind, after, until, watcher or Watcher())
            if last:  # what has come meanwhile waits for the next run
                return reports

    def _next(self, pipeline: Pipeline) -> tuple[dict[str, Sink], int, int, bool]:
        """The outputs that are furthest behind, where they are, how far they are to come, and
        whether all outputs are there then."""
        sinks = pipeline.sinks
        at = {name: sink.position(self.resources, pipeline.writer) for name, sink in sinks.items()}
        after = min(at.values())
        behind = {name: sink for name, sink in sinks.items() if at[name] == after}
        quarantined = Quarantine(self.resources.lake, pipeline).positions()
        if further := [at for at in (*at.values(), *quarantined.values()) if at > after]:
            return behind, after, min(further), False
        newest = pipeline.source.plugin.newest(reading_of(self.resources, pipeline), after)
        return behind, after, newest, True

    def _run(
        self,
        pipeline: Pipeline,
        behind: Mapping[str, Sink],
        after: int,
        until: int,
        watcher: Watcher,
    ) -> list[Report]:
        with (
            self.history.record(pipeline) as recording,
            self.engines.open() as engine,
            ExitStack() as undo,
        ):
            begin = 0 if pipeline.file.refresh is Refresh.FULL else after
            rows = pipeline.source.plugin.read(reading_of(self.resources, pipeline), begin, until)
            inputs = attach_inputs(self.resources, engine, pipeline)
            execution = Execution(engine, pipeline, self.resources, inputs, watcher)
            made = execution.run(_counted(rows, watcher))
            quarantine = Quarantine(self.resources.lake, pipeline)
            staged: list[tuple[Report, Staged]] = []
            faulty = quarantine.stage(execution, after, until, recording.id)
            undo.callback(faulty.discard)
            for name, sink in behind.items():
                progress = Progress(pipeline.writer, after, until)
                output = sink.stage(Writing(self.resources, engine), made[name].rows, progress)
                undo.callback(output.discard)
                watcher.step(f"sink {sink.target}", output.rows)
                report = recording.report(name, made[name], output.rows)
                if self.history.telling:
                    recording.trace(report, made[name].rows, execution.lineage)
                staged.append((report, output))
            # The quarantine first: where it is ahead of an output, a run is to be finished.
            faulty.commit({"pipeline": pipeline.name, "run_id": recording.id})
            for report, output in staged:
                recording.commit(report, output)
            return recording.done


def _nothing(pipeline: Pipeline, name: str) -> Report:
    target = pipeline.sinks[name].target
    return Report(pipeline.name, name, "", target, None, Reconciliation(0))


def _counted(rows: Rows, watcher: Watcher) -> Rows:
    if isinstance(rows, Batches):
        return Batches(rows.schema, _counting(rows.batches, watcher))
    return rows


def _counting(batches: Iterable[pa.RecordBatch], watcher: Watcher) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        watcher.reading(batch.num_rows)
