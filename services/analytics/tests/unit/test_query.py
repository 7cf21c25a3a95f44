"""What can be asked of a metric, and what is refused before any table is read."""

from datetime import UTC, datetime, timedelta

import pytest

from triptych.analytics.application.measure import Measure
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import (
    Answer,
    Query,
    UnknownDimension,
    UnknownMetric,
    check_dimensions,
    find,
)
from triptych.core.domain.time import EmptyRange

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

REVENUE = Metric.model_validate(
    {
        "description": "What the shop earned.",
        "table": "sales",
        "time": "event_time",
        "measure": {"function": "sum", "column": "revenue"},
        "dimensions": ["country", "cancelled"],
    }
)
METRICS = {"revenue": REVENUE, "refunds": REVENUE}


class Untouched:
    """Tables that nobody may ask."""

    def aggregate(self, metric: Metric, query: Query) -> Answer:
        pytest.fail(f"the tables were asked for {metric} {query}")


def test_a_metric_is_found_by_its_name() -> None:
    assert find(METRICS, "revenue") is REVENUE


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("revenu", "did you mean 'revenue'"),
        ("REVENUE", "there are: refunds, revenue"),
        ("profit", "there are: refunds, revenue"),
        ("", "there are: refunds, revenue"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest_names(name: str, advice: str) -> None:
    with pytest.raises(UnknownMetric, match=f"{name!r}: {advice}"):
        find(METRICS, name)


@pytest.mark.parametrize("by", [(), ("country",), ("cancelled", "country")])
def test_declared_dimensions_may_be_asked_for(by: tuple[str, ...]) -> None:
    check_dimensions(REVENUE, by)


@pytest.mark.parametrize(
    ("by", "advice"),
    [
        (("contry",), "'contry': did you mean 'country'"),
        (("country", "city"), "'city': there are: cancelled, country"),
        (("revenue",), "'revenue': there are: cancelled, country"),
        (("country; drop table sales",), "there are: cancelled, country|did you mean 'country'"),
    ],
)
def test_other_dimensions_are_refused_with_the_nearest_names(
    by: tuple[str, ...], advice: str
) -> None:
    with pytest.raises(UnknownDimension, match=advice):
        check_dimensions(REVENUE, by)


def test_a_metric_without_dimensions_has_none_to_offer() -> None:
    with pytest.raises(UnknownDimension, match="there are none"):
        check_dimensions(REVENUE.model_copy(update={"dimensions": ()}), ["country"])


def test_no_table_is_asked_for_an_unknown_metric() -> None:
    with pytest.raises(UnknownMetric):
        Measure(METRICS, Untouched())("profit", Query())


def test_no_table_is_asked_for_an_unknown_dimension() -> None:
    with pytest.raises(UnknownDimension):
        Measure(METRICS, Untouched())("revenue", Query(by=("city",)))


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1)])
def test_no_table_is_asked_for_a_range_that_is_empty(length: timedelta) -> None:
    with pytest.raises(EmptyRange):
        Measure(METRICS, Untouched())("revenue", Query(start=NOON, end=NOON + length))
