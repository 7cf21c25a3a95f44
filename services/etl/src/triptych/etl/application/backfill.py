"""Compute days again that were committed before: after a pipeline was mended, say.

Each day is a commit of its own that takes the place of what the table had of it, together with how
many days of the slice are done. So a backfill that dies goes on where it was, and a table is never
without a day. The pipeline's own position stays: a run that commits meanwhile makes the backfill
fail rather than lose what that run added.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta

from sqlglot import exp

from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import bind, get_logger
from triptych.etl.application.execution import Execution
from triptych.etl.application.inputs import attach_inputs, reading_of
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import ByDay, Engine, EngineFactory, Resources, Writing
from triptych.etl.domain.relation import Relation, column, text
from triptych.etl.domain.types import data_type
from triptych.lake.change import Progress

log = get_logger(__name__)


class NoDays(TriptychError):
    """No output of the pipeline keeps days apart."""

    kind = Kind.INVALID
    hint = (
        "Divide a table of the lake by a column of dates (`partition_by`), which is appended to or"
        " whose partitions are replaced."
    )


class OutputsApart(TriptychError):
    """The outputs of the pipeline have not come equally far."""

    kind = Kind.CONFLICT
    hint = "Finish it first, with: etl run."


@dataclass(frozen=True, slots=True)
class Done:
    """A day that was computed again."""

    output: str
    day: date
    rows: int
    version: int


Told = Callable[[Done], None]


@dataclass(frozen=True, slots=True)
class Backfill:
    """Compute days of pipelines again."""

    resources: Resources
    engines: EngineFactory

    def __call__(self, pipeline: Pipeline, days: Sequence[date], parallel: int, told: Told) -> None:
        """Compute those days again, from what was read of the source so far.

        `parallel` slices of them at once, each on an engine of its own.

        Raises:
            NoDays: no output keeps days apart.
            OutputsApart: a run has to be finished first.
            ConcurrentCommit: a run has committed meanwhile; the days that were done are.
            QueryFailed, ChecksFailed, SchemaChanged: the days cannot be computed.
        """
        reach = self._reach(pipeline)
        size = max(1, -(-len(days) // parallel))
        slices = [days[begin : begin + size] for begin in range(0, len(days), size)]
        with ThreadPoolExecutor(parallel) as pool:
            for future in [pool.submit(self._slice, pipeline, s, reach, told) for s in slices]:
                future.result()

    def _reach(self, pipeline: Pipeline) -> int:
        positions = {
            sink.position(self.resources, pipeline.writer) for sink in pipeline.sinks.values()
        }
        if len(positions) > 1:
            raise OutputsApart(f"{pipeline.name!r}: at positions {sorted(positions)}")
        return positions.pop()

    def _slice(self, pipeline: Pipeline, days: Sequence[date], reach: int, told: Told) -> None:
        writer = f"{pipeline.writer}/backfill/{_identity(pipeline, days, reach)}"
        with bind(pipeline=pipeline.name), self.engines.open() as engine:
            found = self._rows(pipeline, engine, days, reach)
            for name, (sink, rows) in found.items():
                table = self.resources.lake.table(pipeline.sinks[name].target)
                for number in range(table.position(writer), len(days)):
                    stays = Progress(pipeline.writer, reach, reach)
                    done = self._day(
                        Writing(self.resources, engine),
                        name,
                        sink,
                        rows,
                        days[number],
                        (stays, Progress(writer, number, number + 1)),
                    )
                    told(done)

    def _rows(
        self, pipeline: Pipeline, engine: Engine, days: Sequence[date], reach: int
    ) -> dict[str, tuple[ByDay, Relation]]:
        """What the pipeline makes for these days, for each sink that keeps days apart."""
        rows = pipeline.source.plugin.read(reading_of(self.resources, pipeline), 0, reach)
        inputs = attach_inputs(self.resources, engine, pipeline)
        made = Execution(engine, pipeline, self.resources, inputs).run(rows)
        found: dict[str, tuple[ByDay, Relation]] = {}
        for name, sink in pipeline.sinks.items():
            if not isinstance(sink, ByDay) or (day := sink.day_column(made[name].rows)) is None:
                log.info("backfill.left_out", output=name, target=sink.target)
                continue
            within = exp.Between(this=column(day), low=_date(days[0]), high=_date(days[-1]))
            query = made[name].rows.all().where(within)
            found[name] = sink, engine.table(f"{name}_days", query, f"output {name}")
        if not found:
            raise NoDays(repr(pipeline.name))
        return found

    def _day(
        self,
        writing: Writing,
        name: str,
        sink: ByDay,
        rows: Relation,
        day: date,
        progress: tuple[Progress, ...],
    ) -> Done:
        of_day = column(str(sink.day_column(rows))).eq(_date(day))
        query = rows.all().where(of_day)
        one = writing.engine.view(f"{rows.name}_one", query, f"output {name}")
        with ExitStack() as undo:
            staged = sink.stage_day(writing, one, day, progress)
            undo.callback(staged.discard)
            version = staged.commit({"backfill": day.isoformat(), "rows": str(staged.rows)})
        log.info("backfill.day", output=name, day=day.isoformat(), rows=staged.rows)
        return Done(name, day, staged.rows, version)


def days_between(first: date, end: date) -> list[date]:
    """The days from the first one up to the end, which is not among them."""
    return [first + timedelta(number) for number in range((end - first).days)]


def _identity(pipeline: Pipeline, days: Sequence[date], reach: int) -> str:
    """What makes a slice the same when it is asked for again: the file, the days, the position."""
    told = (pipeline.path.read_bytes(), days[0].isoformat(), days[-1].isoformat(), str(reach))
    parts = (part if isinstance(part, bytes) else part.encode() for part in told)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _date(day: date) -> exp.Expr:
    return exp.Cast(this=text(day.isoformat()), to=data_type("date"))
