"""What a server measures, for Prometheus. Labels are bounded: they are names in pipelines' files."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from triptych.etl.application.history import Report
from triptych.etl.application.scheduler import Outcome, Planned

_SECONDS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200)
_OUTCOMES: Final = ("read", "written", "quarantined", "filtered", "duplicates")


class Measurements:
    """Counts and times runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.turns = Counter(
            "etl_turns", "Turns of pipelines.", ["pipeline", "outcome"], registry=registry
        )
        self.seconds = Histogram(
            "etl_turn_seconds",
            "Time of a turn, without those that found nothing new.",
            ["pipeline"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rows = Counter(
            "etl_rows",
            "Rows of runs, on their way to an output.",
            ["pipeline", "output", "outcome"],
            registry=registry,
        )
        self.success = Gauge(
            "etl_last_success_timestamp_seconds",
            "When a turn ended well here, even if there was nothing new.",
            ["pipeline"],
            registry=registry,
        )
        self.overdue = Gauge(
            "etl_overdue_seconds",
            "For how long a pipeline has been due.",
            ["pipeline"],
            registry=registry,
        )
        self.running = Gauge(
            "etl_running", "Whether some server runs the pipeline.", ["pipeline"], registry=registry
        )
        self._planned: set[str] = set()

    def ended(
        self, pipeline: str, outcome: Outcome, began_at: datetime, ended_at: datetime
    ) -> None:
        """See `Observer.ended`."""
        self.turns.labels(pipeline, outcome.value).inc()
        if outcome is not Outcome.NOTHING_NEW:
            self.seconds.labels(pipeline).observe((ended_at - began_at).total_seconds())
        if outcome in (Outcome.DONE, Outcome.NOTHING_NEW):
            self.success.labels(pipeline).set(ended_at.timestamp())

    def reported(self, report: Report) -> None:
        """See `Observer.reported`."""
        for outcome in _OUTCOMES:
            number: int = getattr(report.rows, outcome)
            self.rows.labels(report.pipeline, report.output, outcome).inc(number)

    def planned(self, planned: Sequence[Planned], now: datetime) -> None:
        """See `Observer.planned`."""
        names = {plan.pipeline.name for plan in planned}
        for gone in self._planned - names:
            self.overdue.remove(gone)
            self.running.remove(gone)
        self._planned = names
        for plan in planned:
            name = plan.pipeline.name
            self.running.labels(name).set(plan.running)
            late = (now - plan.next_at).total_seconds() if plan.next_at else 0
            self.overdue.labels(name).set(max(0, late))
