"""Answer queries about metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from triptych.analytics.application.ports import Tables
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import Answer, Query, check_dimensions, find
from triptych.core.domain.time import TimeRange


@dataclass(frozen=True, slots=True)
class Measure:
    """Answer queries about metrics. Thread-safe."""

    metrics: Mapping[str, Metric]
    tables: Tables

    def __call__(self, name: str, query: Query) -> Answer:
        """The answer to a query about the metric of that name.

        Raises:
            UnknownMetric, UnknownDimension: the query names what is not declared.
            EmptyRange, NaiveTime: its range of time is none.
            TriptychError: the table cannot answer; see `Tables.aggregate`.
        """
        metric = find(self.metrics, name)
        check_dimensions(metric, query.by)
        if query.start and query.end:
            TimeRange(query.start, query.end)
        return self.tables.aggregate(metric, query)
