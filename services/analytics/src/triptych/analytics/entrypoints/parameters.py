"""The parameters of requests: what they may be, and what they mean."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from triptych.analytics.application.ports import AsOf, Versions
from triptych.analytics.domain import filters
from triptych.analytics.domain.columns import Column, ColumnType
from triptych.analytics.domain.filters import Filter
from triptych.analytics.domain.metric import Metric, value_type
from triptych.analytics.domain.query import (
    PREVIOUS,
    TIME,
    Comparison,
    Fill,
    MetricQuery,
    check_values,
    parse_order,
    types_of,
)
from triptych.core.domain.time import Grain
from triptych.core.errors import Kind, TriptychError

LIMIT = 100


class WrongVersion(TriptychError):
    """This names no version."""

    kind = Kind.INVALID
    hint = "Give 'as_of' a version's number, or a time with offset, as in 2030-01-01T00:00:00Z."


class WrongZone(TriptychError):
    """There is no such time zone."""

    kind = Kind.INVALID
    hint = "Name one of the IANA database, such as Europe/Berlin."


class Cut(BaseModel):
    """Which part of a metric is asked for, and how it is cut."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: AwareDatetime | None = Field(
        default=None,
        alias="from",
        description="The first moment that counts.",
        examples=["2030-01-01T00:00:00Z"],
    )
    end: AwareDatetime | None = Field(
        default=None, alias="to", description="The first moment that does not count any more."
    )
    grain: Grain | None = Field(default=None, description="The length of the buckets of time.")
    tz: str | None = Field(
        default=None,
        max_length=64,
        examples=["Europe/Berlin"],
        description="The time zone whose calendar cuts them; the metric's, if left out.",
    )
    by: list[str] = Field(
        default=[], max_length=8, description="Dimensions; with commas, or repeated."
    )
    where: str | None = Field(
        default=None,
        max_length=filters.MAX_LENGTH,
        examples=["country in ('France', 'Spain')"],
        description="A filter over the dimensions.",
    )
    having: str | None = Field(
        default=None, max_length=filters.MAX_LENGTH, description="A filter over the values."
    )
    order: str = Field(
        default="",
        max_length=256,
        examples=["-revenue,country"],
        description="Columns to sort by; a minus sorts downwards.",
    )
    compare: Comparison | None = Field(
        default=None, description="Add each metric's value in the period before."
    )
    fill: Fill | None = Field(
        default=None, description="What stands in buckets without rows; else they are left out."
    )
    as_of: str | None = Field(
        default=None, max_length=64, description="A version's number, or a time: as it stood then."
    )
    limit: int = Field(default=LIMIT, ge=1, description="The most rows of a page.")
    cursor: str | None = Field(default=None, max_length=4096, description="From `next` or `prev`.")
    total: bool = Field(default=False, description="Count all rows, too.")

    def query(self, metrics: Mapping[str, Metric], versions: Versions) -> MetricQuery:
        """The question that this asks of metrics.

        Raises:
            TriptychError: what it names is not declared, or does not go together.
        """
        first = next(iter(metrics.values()))
        zone = self.tz or first.zone
        return MetricQuery(
            metrics,
            self.start,
            self.end,
            self.grain,
            _zone(zone),
            tuple(name for text in self.by for name in text.split(",") if name),
            self._where(metrics, versions),
            _having(self.having, metrics, versions),
            parse_order(self.order),
            self.compare,
            self.fill,
        )

    def _where(self, metrics: Mapping[str, Metric], versions: Versions) -> Filter | None:
        if not self.where:
            return None
        tables = {name: table.columns for name, table in versions.items()}
        shared: dict[str, ColumnType] | None = None
        for metric in metrics.values():
            types = types_of(metric, tables)
            shared = (
                dict(types) if shared is None else {n: t for n, t in shared.items() if n in types}
            )
        found = filters.parse(self.where, shared or {})
        for metric in metrics.values():
            check_values(metric, found)
        return found


class ManyMetrics(Cut):
    """A question about several metrics at once."""

    metrics: list[str] = Field(min_length=1, max_length=16, examples=[["revenue", "invoices"]])


def as_of(text: str | None) -> AsOf:
    """The version that is asked for, or the time.

    Raises:
        WrongVersion: it is neither.
    """
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 16:  # noqa: PLR2004  # no table has more
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongVersion(repr(text)) from None
    if at.tzinfo is None:
        raise WrongVersion(f"{text!r} has no offset")
    return at


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise WrongZone(repr(name)) from None
    return name


def _having(text: str | None, metrics: Mapping[str, Metric], versions: Versions) -> Filter | None:
    if not text:
        return None
    types = {name: value_type(m.measure, versions[m.table].columns) for name, m in metrics.items()}
    return filters.parse(text, {**types, **{f"{n}{PREVIOUS}": t for n, t in types.items()}})


def answer_columns(query: MetricQuery, versions: Versions) -> Sequence[Column]:
    """The columns of an answer, with their units."""
    tables = {name: table.columns for name, table in versions.items()}
    first = next(iter(query.metrics.values()))
    dimensions = types_of(first, tables)

    def column(name: str) -> Column:
        metric = query.metrics.get(name.removesuffix(PREVIOUS)) if name not in query.keys else None
        if metric is not None:
            kind = value_type(metric.measure, tables[metric.table])
            return Column(name, kind, metric.unit)
        return Column(name, ColumnType.TIME if name == TIME else dimensions[name])

    return [column(name) for name in query.columns]
