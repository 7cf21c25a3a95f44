"""What the use cases need from the world."""

from typing import Protocol

from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import Answer, Query


class Tables(Protocol):
    """Computes metrics over the newest versions of tables. Thread-safe."""

    def aggregate(self, metric: Metric, query: Query) -> Answer:
        """The answer to a query whose dimensions the metric declares.

        Raises:
            TriptychError: of kind NOT_FOUND when the table has no version yet, CONFLICT when
                it lacks a column that the metric names, UNAVAILABLE when it cannot be read.
        """
        ...
