"""What can be asked: of metrics, and of a table's rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Final
from zoneinfo import ZoneInfo

from triptych.analytics.domain.columns import Columns, UnknownColumn
from triptych.analytics.domain.filters import All, Among, Compare, Filter, Not, Some
from triptych.analytics.domain.metric import Metric
from triptych.core.documents import nearest
from triptych.core.domain.time import Grain, TimeRange
from triptych.core.errors import Kind, TriptychError

TIME: Final = "time"
"""The column of an answer that says when its buckets begin."""
ROW: Final = "_row"
"""The column that tells a table's rows apart, in the order of reading."""
PREVIOUS: Final = "_previous"
"""What the name of a metric's value in the period before ends with."""
MAX_BUCKETS: Final = 10_000


class UnknownMetric(TriptychError):
    """There is no such metric."""

    kind = Kind.NOT_FOUND
    hint = "GET /v1/metrics lists them all."


class UnknownDimension(TriptychError):
    """The metric cannot be broken down by this."""

    kind = Kind.INVALID
    hint = "GET /v1/metrics/NAME lists the dimensions of a metric."


class UnknownValue(TriptychError):
    """The dimension has no such value."""

    kind = Kind.INVALID
    hint = "GET /v1/metrics/NAME lists the values of a dimension."


class UnfitQuery(TriptychError):
    """The parameters do not go together."""

    kind = Kind.INVALID
    hint = "The service's /docs tells what each of them needs."


class Fill(StrEnum):
    """What stands in buckets without rows."""

    ZERO = auto()
    NULL = auto()


class Comparison(StrEnum):
    """What values are compared with."""

    PREVIOUS_PERIOD = auto()


@dataclass(frozen=True, slots=True)
class Order:
    """A column that rows are sorted by; those without a value come last."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """A question about metrics: over which time, cut how."""

    metrics: Mapping[str, Metric]
    start: datetime | None = None
    """The first moment that counts; open when it is left out."""
    end: datetime | None = None
    """The first moment that does not count any more."""
    grain: Grain | None = None
    """The length of the buckets; one for all time when it is left out."""
    zone: str = "UTC"
    """The time zone whose calendar cuts the buckets."""
    by: tuple[str, ...] = ()
    """The dimensions that the metrics are broken down by."""
    where: Filter | None = None
    """Over dimensions."""
    having: Filter | None = None
    """Over the metrics' values."""
    order: tuple[Order, ...] = ()
    compare: Comparison | None = None
    fill: Fill | None = None

    def __post_init__(self) -> None:
        for name, metric in self.metrics.items():
            for dimension in self.by:
                check_dimension(name, metric, dimension)
            if self.grain is not None and self.grain not in metric.grains:
                raise UnfitQuery(f"{name} has no grain {self.grain.value!r}")
        if self.start and self.end:
            TimeRange(self.start, self.end)
        if (self.compare or self.fill) and not (self.start and self.end):
            raise UnfitQuery("'compare' and 'fill' need 'from' and 'to'")
        if self.fill and not self.grain:
            raise UnfitQuery("'fill' needs a 'grain'")
        known = self.columns
        if twice := {name for name in known if known.count(name) > 1}:
            raise UnfitQuery(f"{min(twice)!r} would be the name of two columns")
        for order in self.order:
            if order.column not in known:
                raise UnknownColumn(f"order: {order.column!r}: {nearest(order.column, known)}")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell the rows of the answer apart."""
        return (*([TIME] if self.grain else []), *self.by)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer."""
        previous = [f"{name}{PREVIOUS}" for name in self.metrics] if self.compare else []
        return (*self.keys, *self.metrics, *previous)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that the answer comes from."""
        return tuple(dict.fromkeys(t for metric in self.metrics.values() for t in metric.tables))

    def sorted_by(self) -> tuple[Order, ...]:
        """An order in which no two rows have the same place."""
        return complete(self.order, self.keys)

    def buckets(self) -> list[datetime]:
        """When the buckets of the range begin, in UTC.

        Raises:
            UnfitQuery: there are too many of them.
        """
        if not (self.start and self.end and self.grain):
            return []
        zone, found = ZoneInfo(self.zone), []
        for part in TimeRange(self.start, self.end).split(self.grain, zone):
            found.append(self.grain.floor(part.start, zone))
            if len(found) > MAX_BUCKETS:
                raise UnfitQuery(f"there are more than {MAX_BUCKETS} buckets: take a longer grain")
        return found

    def previous(self) -> "tuple[TimeRange, list[datetime]]":
        """The period before: its range, and when its buckets begin: as many, and as long."""
        assert self.start  # noqa: S101  # or it would not compare
        assert self.end  # noqa: S101
        if self.grain is None:
            try:
                return TimeRange(self.start - (self.end - self.start), self.start), []
            except OverflowError:
                raise UnfitQuery("there is no period before") from None
        zone, wanted = ZoneInfo(self.zone), len(self.buckets())
        end = begin = self.grain.floor(self.start, zone)
        found: list[datetime] = []
        try:
            for _ in range(wanted):
                begin = self.grain.floor(begin - timedelta(microseconds=1), zone)
                found.append(begin)
        except (OverflowError, ValueError):
            raise UnfitQuery("there is no period before") from None
        return TimeRange(begin, end), found[::-1]


@dataclass(frozen=True, slots=True)
class RowQuery:
    """A question about a table's rows."""

    table: str
    columns: tuple[str, ...]
    where: Filter | None = None
    order: tuple[Order, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """The table, as others have several."""
        return (self.table,)

    def sorted_by(self) -> tuple[Order, ...]:
        """An order in which no two rows have the same place: at last, that of reading."""
        return complete(self.order, [ROW])


def complete(order: Iterable[Order], keys: Iterable[str]) -> tuple[Order, ...]:
    """An order that also tells rows apart which are alike in it."""
    found: dict[str, Order] = {}
    for each in (*order, *map(Order, keys)):
        found.setdefault(each.column, each)
    return tuple(found.values())


def parse_order(text: str) -> tuple[Order, ...]:
    """The order that a text like `-revenue,country` says."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(Order(name.lstrip("-+"), name.startswith("-")) for name in names)


def find(metrics: Mapping[str, Metric], name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownMetric: the message has the nearest name that there is.
    """
    if name not in metrics:
        raise UnknownMetric(f"{name!r}: {nearest(name, metrics)}")
    return metrics[name]


def check_dimension(name: str, metric: Metric, dimension: str) -> None:
    """Make sure that the metric declares this dimension.

    Raises:
        UnknownDimension: the message has the nearest name that there is.
    """
    if dimension not in metric.dimensions:
        raise UnknownDimension(f"{name}: {dimension!r}: {nearest(dimension, metric.dimensions)}")


def check_values(metric: Metric, found: Filter) -> None:
    """Make sure that a filter names no value which its dimension cannot have.

    Raises:
        UnknownValue: with the nearest that there is.
    """
    for column, value in _values(found):
        allowed = metric.dimensions[column].values if column in metric.dimensions else None
        if allowed is not None and value not in allowed:
            raise UnknownValue(f"{column}: {value!r}: {nearest(str(value), allowed)}")


def _values(found: Filter) -> Iterator[tuple[str, object]]:
    match found:
        case Not(of):
            yield from _values(of)
        case All(parts) | Some(parts):
            for part in parts:
                yield from _values(part)
        case Compare(column, _, value):
            yield column, value
        case Among(column, values):
            yield from ((column, value) for value in values)


def types_of(metric: Metric, tables: Mapping[str, Columns]) -> Columns:
    """The types of a metric's dimensions, as its tables have them; those that a table lacks are
    left out."""
    found = {}
    for name, dimension in metric.dimensions.items():
        table = metric.joins[dimension.join].table if dimension.join else metric.table
        if (kind := tables[table].get(metric.column(name))) is not None:
            found[name] = kind
    return found
