"""What is counted of answers, for `/metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from triptych.analytics.application.working import Workers


class Measurements:
    """Counts answers by where they came from, and how long queries take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._answers = Counter(
            "analytics_answers",
            "Answers, by where they came from.",
            ["source"],
            registry=registry,
        )
        self._seconds = Histogram(
            "analytics_query_seconds",
            "Time that queries took, their waiting included.",
            registry=registry,
        )
        self._refused = Counter(
            "analytics_limited", "Questions that were refused for their cost.", registry=registry
        )

    def watch(self, workers: Workers) -> None:
        """Tell how many queries run or wait."""
        waiting = Gauge("analytics_queries", "Queries that run or wait.", registry=self._registry)
        waiting.set_function(lambda: workers.waiting)

    def answered(self, source: str, seconds: float | None) -> None:
        """An answer was sent; of a query that took so long, if it needed one."""
        self._answers.labels(source).inc()
        if seconds is not None:
            self._seconds.observe(seconds)

    def refused(self) -> None:
        """A client has to wait."""
        self._refused.inc()
