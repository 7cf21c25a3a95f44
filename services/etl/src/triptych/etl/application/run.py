"""Run a pipeline: read what is new, transform it, commit it exactly once."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import pyarrow as pa

from triptych.core.logging import bind, get_logger
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Engine, EngineFactory, Resources
from triptych.etl.domain.plan import INPUT, Plan
from triptych.etl.domain.plugins import Drop
from triptych.etl.domain.reconciliation import Reconciliation
from triptych.lake.change import Progress

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    pipeline: str
    run_id: str
    table: str
    version: int | None
    """The table's new version; none when there was nothing new to read."""
    rows: Reconciliation

    def __str__(self) -> str:
        where = f"{self.table} version {self.version}" if self.version is not None else "no change"
        return f"{self.pipeline}: {self.rows} -> {where}"


@dataclass(frozen=True, slots=True)
class Run:
    """Run pipelines, each exactly once over every row of its source."""

    resources: Resources
    engines: EngineFactory

    def __call__(self, pipeline: Pipeline, progress: Callable[[int], None]) -> list[Report]:
        """Read what is new since the last run and commit it; report the rows read meanwhile.

        A run that died between its two commits, of the quarantine and of the table, is finished
        first, over just the rows that it had read: so there can be two reports.

        Raises:
            ConcurrentCommit: another run of this pipeline was faster; nothing was written.
            NotReconciled: rows are unaccounted for; nothing was written.
            QueryFailed: a step cannot be computed; nothing was written.
        """
        reports = []
        writer = f"etl:{pipeline.name}"
        at = pipeline.sink.positions(self.resources, writer)
        if at.quarantine > at.output:
            reports.append(self._run(pipeline, writer, at.quarantine, progress))
        newest = pipeline.source.newest(self.resources)
        reports.append(self._run(pipeline, writer, newest, progress))
        return reports

    def _run(
        self, pipeline: Pipeline, writer: str, until: int, progress: Callable[[int], None]
    ) -> Report:
        sink, plan, resources = pipeline.sink, pipeline.plan, self.resources
        run_id = uuid.uuid4().hex
        with (
            bind(pipeline=pipeline.name, run_id=run_id),
            self.engines.open() as engine,
            ExitStack() as staged,
        ):
            at = sink.positions(resources, writer)
            batches = pipeline.source.read(resources, at.output, until)
            read = engine.load(INPUT, _counted(batches, progress))
            if not read:
                nothing = Reconciliation(0, 0, 0, 0, 0)
                return Report(pipeline.name, run_id, sink.table, None, nothing)
            dropped = _transform(engine, plan)
            faulty = Progress(writer, at.quarantine, until)
            quarantined = sink.quarantine(resources, engine, plan.quarantine, faulty)
            staged.callback(quarantined.discard)
            output = sink.output(resources, engine, plan.output, Progress(writer, at.output, until))
            staged.callback(output.discard)
            rows = Reconciliation(
                read,
                output.rows,
                quarantined.rows,
                dropped[Drop.FILTERED],
                dropped[Drop.DUPLICATES],
            )
            rows.check()
            notes = {"pipeline": pipeline.name, "run_id": run_id, "rows": str(rows)}
            # The quarantine first: where it is ahead of the table, a run is to be finished.
            if quarantined.rows and at.quarantine < until:
                quarantined.commit(notes)
            version = output.commit(notes)
            log.info("run.finished", table=sink.table, version=version, **asdict(rows))
            return Report(pipeline.name, run_id, sink.table, version, rows)


def _transform(engine: Engine, plan: Plan) -> dict[Drop, int]:
    """Make the plan's relations; how many rows were left out, and as what."""
    dropped = dict.fromkeys(Drop, 0)
    before = INPUT
    for step in plan.steps:
        if step.drops:
            rows = engine.count(before)
            dropped[step.drops] += rows - engine.table(step.relation, step.query, step.label)
        elif step.relation in (plan.decoded, plan.checked):
            engine.table(step.relation, step.query, step.label)
        else:
            engine.view(step.relation, step.query, step.label)
        before = step.relation
    return dropped


def _counted(
    batches: Iterator[pa.RecordBatch], progress: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        progress(batch.num_rows)
