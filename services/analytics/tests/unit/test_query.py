"""What can be asked of a metric, and what is refused before any table is read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from triptych.analytics.domain.columns import UnknownColumn
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import (
    Comparison,
    Fill,
    MetricQuery,
    Order,
    UnfitQuery,
    UnknownDimension,
    UnknownMetric,
    find,
    parse_order,
)
from triptych.core.domain.time import EmptyRange, Grain

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
    assert MetricQuery({"revenue": REVENUE}, by=by).keys == by


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
        MetricQuery({"revenue": REVENUE}, by=by)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1)])
def test_a_range_that_is_empty_is_refused(length: timedelta) -> None:
    with pytest.raises(EmptyRange):
        MetricQuery({"revenue": REVENUE}, NOON, NOON + length)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"compare": Comparison.PREVIOUS_PERIOD}, "need 'from' and 'to'"),
        ({"fill": Fill.ZERO, "grain": Grain.DAY}, "need 'from' and 'to'"),
        ({"fill": Fill.ZERO, "start": NOON, "end": NOON + timedelta(1)}, "needs a 'grain'"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(UnfitQuery, match=why):
        MetricQuery({"revenue": REVENUE}, **wrong)


def test_an_order_by_what_is_not_in_the_answer_is_refused() -> None:
    with pytest.raises(UnknownColumn, match="'country': there are: revenue"):
        MetricQuery({"revenue": REVENUE}, order=(Order("country"),))


def test_no_two_rows_have_the_same_place_in_an_order() -> None:
    query = MetricQuery(
        {"revenue": REVENUE},
        grain=Grain.DAY,
        by=("country",),
        order=parse_order("-revenue,country"),
    )

    assert query.sorted_by() == (Order("revenue", descending=True), Order("country"), Order("time"))


def test_the_period_before_has_as_many_buckets_and_ends_where_this_one_begins() -> None:
    start, end = datetime(2030, 3, 1, tzinfo=UTC), datetime(2030, 5, 1, tzinfo=UTC)
    query = MetricQuery({"revenue": REVENUE}, start, end, Grain.MONTH)

    before, buckets = query.previous()

    assert (before.start, before.end) == (datetime(2030, 1, 1, tzinfo=UTC), start)
    assert buckets == [datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC)]


def test_more_buckets_than_anybody_reads_are_refused() -> None:
    query = MetricQuery({"revenue": REVENUE}, NOON, NOON + timedelta(days=365), Grain.MINUTE)

    with pytest.raises(UnfitQuery, match="more than 10000 buckets"):
        query.buckets()
