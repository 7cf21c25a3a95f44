"""Run a pipeline: read what is new, transform it, commit it exactly once."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Final

import pyarrow as pa

from triptych.core.domain.clock import Clock, SystemClock
from triptych.core.logging import bind, get_logger
from triptych.etl.application.execution import Execution, Made, Warned
from triptych.etl.application.inputs import attach_inputs, reading_of
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import (
    Batches,
    EngineFactory,
    Resources,
    Rows,
    Runs,
    Sink,
    Staged,
    Watcher,
    Writing,
)
from triptych.etl.application.quarantine import Quarantine
from triptych.etl.domain.pipeline import MAIN, Refresh
from triptych.etl.domain.reconciliation import Reconciliation
from triptych.etl.domain.relation import Relation
from triptych.lake.change import Progress

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did for one output."""

    pipeline: str
    output: str
    run_id: str
    target: str
    version: int | None
    """The target's new version; none when there was nothing new to read."""
    rows: Reconciliation
    warnings: tuple[Warned, ...] = ()

    def __str__(self) -> str:
        name = self.pipeline if self.output == MAIN else f"{self.pipeline}.{self.output}"
        where = "no change" if self.version is None else f"{self.target} version {self.version}"
        return f"{name}: {self.rows} -> {where}"


_NOTHING: Final = Made(Relation("", {}), Reconciliation(0))


@dataclass(frozen=True, slots=True)
class Run:
    """Run pipelines, each exactly once over every row of its source."""

    resources: Resources
    engines: EngineFactory
    runs: Runs
    clock: Clock = field(default_factory=SystemClock)

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
                return reports or [report_of(pipeline, "", name, _NOTHING, 0) for name in behind]
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
            recorded(self.runs, self.clock, pipeline) as (run_id, done),
            bind(pipeline=pipeline.name, run_id=run_id),
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
            faulty = quarantine.stage(execution, until, run_id)
            undo.callback(faulty.discard)
            for name, sink in behind.items():
                progress = Progress(pipeline.writer, after, until)
                output = sink.stage(Writing(self.resources, engine), made[name].rows, progress)
                undo.callback(output.discard)
                watcher.step(f"sink {sink.target}", output.rows)
                staged.append((report_of(pipeline, run_id, name, made[name], output.rows), output))
            # The quarantine first: where it is ahead of an output, a run is to be finished.
            faulty.commit({"pipeline": pipeline.name, "run_id": run_id})
            for report, output in staged:
                done.append(commit(report, output))
            return done


@contextmanager
def recorded(runs: Runs, clock: Clock, pipeline: Pipeline) -> Iterator[tuple[str, list[Report]]]:
    """A run that is in the history, with what it has done when it ends."""
    run_id = uuid.uuid4().hex
    done: list[Report] = []
    runs.begin(run_id, pipeline.name, clock.now())
    try:
        yield run_id, done
    except Exception as error:
        told = str(error) or type(error).__name__
        runs.end(run_id, clock.now(), list(map(str, done)), told)
        raise
    runs.end(run_id, clock.now(), list(map(str, done)), None)


def commit(report: Report, staged: Staged) -> Report:
    """Commit what a run has staged for one output; the report with the new version."""
    notes = {"pipeline": report.pipeline, "run_id": report.run_id, "rows": str(report.rows)}
    version = staged.commit(notes)
    told = {"output": report.output, "target": report.target, "version": version}
    log.info("run.finished", **told, **asdict(report.rows))
    return replace(report, version=version)


def report_of(pipeline: Pipeline, run_id: str, name: str, made: Made, written: int) -> Report:
    """What will have been done.

    Raises:
        NotReconciled: rows are unaccounted for.
    """
    rows = replace(made.tally, written=written)
    rows.check()
    target = pipeline.sinks[name].target
    for warned in made.warnings:
        log.warning("run.check", check=warned.check, fault=warned.fault, rows=warned.rows)
    return Report(pipeline.name, name, run_id, target, None, rows, made.warnings)


def _counted(rows: Rows, watcher: Watcher) -> Rows:
    if isinstance(rows, Batches):
        return Batches(rows.schema, _counting(rows.batches, watcher))
    return rows


def _counting(batches: Iterable[pa.RecordBatch], watcher: Watcher) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        watcher.reading(batch.num_rows)
