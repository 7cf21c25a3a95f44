"""What can be asked of a metric, and the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from triptych.analytics.domain.metric import Metric
from triptych.core.documents import nearest
from triptych.core.domain.time import Grain
from triptych.core.errors import Kind, TriptychError

MAX_ROWS: Final = 10_000

Cell: TypeAlias = str | int | float | Decimal | bool | date | datetime | None


class UnknownMetric(TriptychError):
    """There is no such metric."""

    kind = Kind.NOT_FOUND
    hint = "GET /v1/metrics lists them all."


class UnknownDimension(TriptychError):
    """The metric cannot be broken down by this."""

    kind = Kind.INVALID
    hint = "GET /v1/metrics lists the dimensions of each metric."


@dataclass(frozen=True, slots=True)
class Query:
    """A question about a metric: over which time, cut how."""

    start: datetime | None = None
    """The first moment that counts; open when it is left out."""
    end: datetime | None = None
    """The first moment that does not count any more."""
    grain: Grain | None = None
    """The length of the buckets, in UTC; one for all time when it is left out."""
    by: tuple[str, ...] = ()
    """The dimensions that the metric is broken down by."""
    limit: int = MAX_ROWS


@dataclass(frozen=True, slots=True)
class Row:
    """One number: of a bucket and of one value of each dimension."""

    time: datetime | None
    dimensions: tuple[Cell, ...]
    value: Cell


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows in the order of time and dimensions, and the table's version that they come from."""

    table: str
    version: int
    rows: tuple[Row, ...]
    truncated: bool
    """Whether there are more rows than the query's limit."""


def find(metrics: Mapping[str, Metric], name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownMetric: the message has the nearest name that there is.
    """
    if name not in metrics:
        raise UnknownMetric(f"{name!r}: {nearest(name, metrics)}")
    return metrics[name]


def check_dimensions(metric: Metric, by: Sequence[str]) -> None:
    """Make sure that the metric declares all of these dimensions.

    Raises:
        UnknownDimension: the message has the nearest name that there is.
    """
    for name in by:
        if name not in metric.dimensions:
            raise UnknownDimension(f"{name!r}: {nearest(name, metric.dimensions)}")
