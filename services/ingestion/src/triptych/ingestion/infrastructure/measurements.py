"""What ingestion measures, for Prometheus. Labels are bounded: types are those with contracts."""

from collections.abc import Collection
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from triptych.ingestion.domain.outcome import Outcome, Status

OTHER = "(other)"
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Queue(Protocol):
    """Something in which events wait."""

    events: int
    bytes: int


class Measurements:
    """Counts events and times commits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["type", "status"]
        self.events = Counter("ingestion_events", "Events answered.", labels, registry=registry)
        self.rejections = Counter(
            "ingestion_rejections", "Events refused.", ["reason"], registry=registry
        )
        self.batches = Histogram(
            "ingestion_batch_events", "Events of a request.", buckets=_EVENTS, registry=registry
        )
        self.groups = Histogram(
            "ingestion_commit_events", "Events of a commit.", buckets=_EVENTS, registry=registry
        )
        self.commits = Histogram(
            "ingestion_commit_seconds", "Time of a commit.", buckets=_SECONDS, registry=registry
        )
        self.queued_events = Gauge(
            "ingestion_queue_events", "Events that wait to be stored.", registry=registry
        )
        self.queued_bytes = Gauge(
            "ingestion_queue_bytes", "Bytes that wait to be stored.", registry=registry
        )
        self._children: dict[tuple[str, Status], Counter] = {}

    def answered(self, outcomes: Collection[Outcome], known_types: Collection[str]) -> None:
        """Count what became of a request's events."""
        self.batches.observe(len(outcomes))
        for outcome in outcomes:
            type_ = outcome.type if outcome.type in known_types else OTHER
            self._child(type_ or OTHER, outcome.status).inc()
            if outcome.reason is not None:
                self.rejections.labels(outcome.reason.value).inc()

    def _child(self, type_: str, status: Status) -> Counter:
        """The counter of these labels: looking it up is dearer than counting."""
        child = self._children.get((type_, status))
        if child is None:
            child = self._children[type_, status] = self.events.labels(type_, status.value)
        return child

    def watch(self, queue: Queue) -> None:
        """Measure how much waits to be stored."""
        self.queued_events.set_function(lambda: queue.events)
        self.queued_bytes.set_function(lambda: queue.bytes)

    def committed(self, events: int, seconds: float) -> None:
        """Count a commit."""
        self.groups.observe(events)
        self.commits.observe(seconds)
