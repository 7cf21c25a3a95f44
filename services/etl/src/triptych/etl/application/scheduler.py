"""Give each pipeline its turn, when it is due and no other server has it."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Final, Protocol

import stamina

from triptych.core.domain.clock import Clock
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import bind, get_logger
from triptych.etl.application.history import Report
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Watcher
from triptych.etl.application.turns import Turns
from triptych.etl.domain.schedule import Turn, due, due_at
from triptych.lake.errors import ConcurrentCommit

log = get_logger(__name__)

ROLLBACK_SECONDS: Final = 1.0
"""How long a run that is told to stop may take to do so."""
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 5.0
_KEPT_EARLY: Final = 3  # a lease is renewed so many times before it would end


class Interrupted(TriptychError):
    """The run was stopped before it was committed."""

    kind = Kind.FAILED
    hint = "Nothing of it was written. A server that runs begins it again."


class Outcome(StrEnum):
    """What became of a turn."""

    DONE = auto()
    NOTHING_NEW = auto()
    FAILED = auto()
    INTERRUPTED = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done at once, and for how long something is tried."""

    workers: int
    """How many pipelines run at once."""
    look_every: timedelta
    """How often new rows are looked for."""
    lease: timedelta
    """How long a turn lasts that its owner does not keep."""
    retry: timedelta
    """How long what is away is waited for within a turn."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A pipeline, and when it has its turns."""

    pipeline: Pipeline
    turn: Turn
    next_at: datetime | None
    """When it is due, which may be over; none without a schedule."""
    running: bool
    """Whether some server runs it."""


class Observer(Protocol):
    """Is told what happens. Thread-safe."""

    def ended(
        self, pipeline: str, outcome: Outcome, began_at: datetime, ended_at: datetime
    ) -> None:
        """A turn has ended."""
        ...

    def reported(self, report: Report) -> None:
        """A run has written to an output."""
        ...

    def planned(self, planned: Sequence[Planned], now: datetime) -> None:
        """So it stands."""
        ...


@dataclass
class _Job:
    """A turn that this server has."""

    pipeline: Pipeline
    began_at: datetime
    keep_at: datetime
    """When its lease is to be renewed."""
    over: bool = False
    """Whether its run has ended, so that there is no lease to keep."""
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def watcher(self) -> Watcher:
        """Ends the run at its next step, once it is to stop."""
        return Watcher(step=lambda _label, _rows: self.check(), reading=lambda _rows: self.check())

    def check(self) -> None:
        """Go on, unless it is to stop.

        Raises:
            Interrupted: it is.
        """
        if self.stopped.is_set():
            raise Interrupted


@dataclass
class Scheduler:
    """Runs pipelines when they are due, each in a thread of its own.

    One thread calls `tick`, again and again. A turn counts as had when its run ends, well or not; when its
    server dies, or is told to stop, another one has the turn instead.
    """

    pipelines: Callable[[], Mapping[str, Pipeline]]
    """Those that are served now, by their names."""
    run: Callable[[Pipeline, Watcher], list[Report]]
    turns: Turns
    threads: Executor
    clock: Clock
    pace: Pace
    observer: Observer
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Who this server is, for the others."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Why a pipeline's last run here failed, by its name."""
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _ending: threading.Event = field(default_factory=threading.Event)

    def tick(self) -> None:
        """Keep the turns that are had, and start those that are due.

        Raises:
            DatabaseAway: nobody can tell whose turn it is. What runs goes on.
        """
        now = self.clock.now()
        for name, job in list(self._jobs.items()):
            if now >= job.keep_at:
                self._keep(name, job, now)
        planned = self.plan()
        self.observer.planned(planned, now)
        waiting = [
            plan
            for plan in planned
            if due(plan.pipeline.file.schedule, plan.turn, now, self.pace.look_every)
        ]
        for plan in sorted(waiting, key=lambda plan: (plan.next_at or now, plan.pipeline.name)):
            if self._ending.is_set() or len(self._jobs) >= self.pace.workers:
                break  # another server may have a thread to spare
            if plan.pipeline.name not in self._jobs:
                self._start(plan, now)

    def plan(self) -> list[Planned]:
        """When pipelines have their turns.

        Raises:
            DatabaseAway: nobody can tell.
        """
        now, pipelines = self.clock.now(), self.pipelines()
        turns = self.turns.seen(list(pipelines), now)
        return [
            Planned(
                pipeline,
                turns[name],
                due_at(pipeline.file.schedule, turns[name], self.pace.look_every),
                turns[name].taken(now),
            )
            for name, pipeline in pipelines.items()
        ]

    def stop_starting(self) -> None:
        """Begin no more runs; those that are under way go on."""
        self._ending.set()

    def finish(self, seconds: float) -> bool:
        """Wait so long for what is under way, then have it rolled back; whether all has ended.

        What has not is beyond stopping, and no harm is done by ending the process: see `Run`.
        """
        self.stop_starting()
        if self._all_ended(seconds):
            return True
        for name, job in list(self._jobs.items()):
            log.warning("pipeline.stopping", pipeline=name)
            job.stopped.set()
        if self._all_ended(ROLLBACK_SECONDS):
            return True
        for name in list(self._jobs):
            log.error("pipeline.abandoned", pipeline=name)
            self._give_back(name, None)
        return False

    def _all_ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        jobs = list(self._jobs.values())
        return all(job.ended.wait(max(0, deadline - time.monotonic())) for job in jobs)

    def _start(self, plan: Planned, now: datetime) -> None:
        pipeline = plan.pipeline
        if self.turns.take(plan.turn, self.owner, now, now + self.pace.lease):
            keep_at = now + self.pace.lease / _KEPT_EARLY
            self._jobs[pipeline.name] = job = _Job(pipeline, now, keep_at)
            self.threads.submit(self._have, job)

    def _keep(self, name: str, job: _Job, now: datetime) -> None:
        if self.turns.keep(name, self.owner, now + self.pace.lease):
            job.keep_at = now + self.pace.lease / _KEPT_EARLY
        elif not job.over:  # we were away for so long that another one has it
            log.warning("turn.lost", pipeline=name)
            job.stopped.set()

    def _have(self, job: _Job) -> None:
        name = job.pipeline.name
        try:
            with bind(pipeline=name):
                outcome = self._outcome(job)
                job.over = True
                had = outcome is not Outcome.INTERRUPTED
                self._give_back(name, job.began_at if had else None)
                self.observer.ended(name, outcome, job.began_at, self.clock.now())
        finally:
            del self._jobs[name]
            job.ended.set()

    def _outcome(self, job: _Job) -> Outcome:
        try:
            reports = self._attempt(job)
        except Exception as error:  # a plugin may raise whatever it likes: the others go on
            if job.stopped.is_set() or (self._ending.is_set() and passing(error)):
                log.warning("pipeline.interrupted", error=_told(error))
                return Outcome.INTERRUPTED
            self.troubles[job.pipeline.name] = _told(error)
            unforeseen = None if isinstance(error, TriptychError) else error
            log.error("pipeline.failed", error=_told(error), exc_info=unforeseen)  # noqa: TRY400
            return Outcome.FAILED
        self.troubles.pop(job.pipeline.name, None)
        written = [report for report in reports if report.version is not None]
        for report in written:
            self.observer.reported(report)
        return Outcome.DONE if written else Outcome.NOTHING_NEW

    def _attempt(self, job: _Job) -> list[Report]:
        def again(error: Exception) -> bool:
            return passing(error) and not (self._ending.is_set() or job.stopped.is_set())

        for attempt in stamina.retry_context(
            on=again,
            attempts=None,
            timeout=self.pace.retry,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
        ):
            with attempt:
                job.check()
                return self.run(job.pipeline, job.watcher)
        raise AssertionError  # the last attempt returns, or raises

    def _give_back(self, name: str, had_at: datetime | None) -> None:
        try:
            self.turns.give_back(name, self.owner, had_at)
        except TriptychError as error:  # then it ends by itself, and the pipeline runs again
            log.warning("turn.not_given_back", pipeline=name, error=error.sentence)


def passing(error: Exception) -> bool:
    """Whether the same may succeed in a moment."""
    unavailable = isinstance(error, TriptychError) and error.kind is Kind.UNAVAILABLE
    return unavailable or isinstance(error, ConcurrentCommit)


def _told(error: Exception) -> str:
    return (
        error.sentence if isinstance(error, TriptychError) else f"{type(error).__name__}: {error}"
    )
