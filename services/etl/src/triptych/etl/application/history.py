"""What runs do, as it is told and kept: in the history of runs, in the log, and as lineage."""

import uuid
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from triptych.core.domain.clock import Clock, SystemClock
from triptych.core.logging import bind, get_logger
from triptych.etl.application.execution import RAW, Made, Warned
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Runs, Staged, Telling, Traced
from triptych.etl.domain.lineage import Column, Lineage
from triptych.etl.domain.pipeline import MAIN
from triptych.etl.domain.reconciliation import Reconciliation
from triptych.etl.domain.relation import Relation

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


@dataclass(slots=True)
class Recording:
    """A run that is under way."""

    pipeline: Pipeline
    id: str
    done: list[Report] = field(default_factory=list)
    """What it has committed."""
    traced: list[Traced] = field(default_factory=list)

    def report(self, name: str, made: Made, written: int) -> Report:
        """What will have been done for an output.

        Raises:
            NotReconciled: rows are unaccounted for.
        """
        rows = replace(made.tally, written=written)
        rows.check()
        target = self.pipeline.sinks[name].target
        for warned in made.warnings:
            log.warning("run.check", check=warned.check, fault=warned.fault, rows=warned.rows)
        return Report(self.pipeline.name, name, self.id, target, None, rows, made.warnings)

    def trace(self, report: Report, rows: Relation, lineage: Lineage) -> None:
        """Keep what the columns of an output were made of."""
        types = {name: rows.types[name] for name in rows.columns}
        try:
            columns = traced(self.pipeline, rows, lineage)
        except ValueError as error:  # no reason for a run to fail
            log.warning("lineage.unknown", target=report.target, reason=str(error))
            columns = {}
        self.traced.append(Traced(report.target, types, columns, report.rows.written))

    def commit(self, report: Report, staged: Staged) -> None:
        """Commit what is staged for an output."""
        notes = {"pipeline": report.pipeline, "run_id": self.id, "rows": str(report.rows)}
        version = staged.commit(notes)
        told = {"output": report.output, "target": report.target, "version": version}
        log.info("run.finished", **told, **asdict(report.rows))
        self.done.append(replace(report, version=version))


@dataclass(frozen=True, slots=True)
class History:
    """Where runs are kept, and who else is told of them."""

    runs: Runs
    telling: Telling | None = None
    clock: Clock = field(default_factory=SystemClock)

    @contextmanager
    def record(self, pipeline: Pipeline) -> Iterator[Recording]:
        """Keep a run: that it begins, what it did, and how it ends."""
        recording = Recording(pipeline, uuid.uuid4().hex)
        with bind(pipeline=pipeline.name, run_id=recording.id):
            began = self.clock.now()
            self.runs.begin(recording.id, pipeline.name, began)
            if self.telling:
                self.telling.began(recording.id, pipeline.name, began)
            try:
                yield recording
            except Exception as error:
                self._end(recording, str(error) or type(error).__name__)
                raise
            self._end(recording, None)

    def _end(self, recording: Recording, error: str | None) -> None:
        ended = self.clock.now()
        name = recording.pipeline.name
        self.runs.end(recording.id, ended, list(map(str, recording.done)), error)
        if self.telling:
            self.telling.ended(recording.id, name, ended, recording.traced, error)


def traced(pipeline: Pipeline, rows: Relation, lineage: Lineage) -> Mapping[str, Set[Column]]:
    """For each column, those of the sources and inputs that it was made of, by where they lie.

    Raises:
        ValueError: they cannot be traced.
    """
    places = {RAW: pipeline.source.plugin.origin} | {
        f"input_{name}": configured.plugin.origin for name, configured in pipeline.inputs.items()
    }
    return {
        name: {(places[relation], column) for relation, column in columns if relation in places}
        for name, columns in lineage.of(rows).items()
    }
