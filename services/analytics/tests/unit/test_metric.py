"""What a metric may be, as its file declares it."""

from typing import Any

import pytest
from pydantic import ValidationError

from triptych.analytics.domain.metric import Function, Metric, MetricsFile


def a_metric(**parts: Any) -> dict[str, Any]:
    return {
        "description": "What the shop earned.",
        "table": "sales",
        "time": "event_time",
        "measure": {"function": "sum", "column": "revenue"},
        **parts,
    }


PLAIN = sorted(set(Function) - {Function.QUANTILE, Function.RATIO})


@pytest.mark.parametrize("function", PLAIN)
def test_every_function_may_be_computed_over_a_column(function: Function) -> None:
    measure = {"function": function.value, "column": "revenue"}

    metric = Metric.model_validate(a_metric(measure=measure))

    assert (metric.measure.function, metric.measure.column) == (function, "revenue")


def test_rows_are_counted_without_a_column() -> None:
    assert Metric.model_validate(a_metric(measure={"function": "count"})).measure.column is None


@pytest.mark.parametrize("function", [f for f in PLAIN if f is not Function.COUNT])
def test_only_a_count_needs_no_column(function: Function) -> None:
    with pytest.raises(ValidationError, match=f"'{function.value}' needs a column"):
        Metric.model_validate(a_metric(measure={"function": function.value}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"table": "../sales"},
        {"table": "Sales"},
        {"time": "event time"},
        {"time": ""},
        {"dimensions": ["country; drop table sales"]},
        {"dimensions": ['a"b']},
        {"dimensions": "country"},
        {"measure": {"function": "median", "column": "revenue"}},
        {"measure": {"function": "sum", "column": "revenue)--"}},
        {"measure": "count"},
        {"measure": {"function": "quantile", "column": "revenue"}},
        {"measure": {"function": "quantile", "column": "revenue", "quantile": 1}},
        {"measure": {"function": "sum", "column": "revenue", "quantile": 0.5}},
        {"measure": {"function": "ratio"}},
        {"measure": {"function": "ratio", "numerator": {"function": "count"}}},
        {"measure": {"function": "count", "denominator": {"function": "count"}}},
        {"zone": "Mars/Olympus"},
        {"dimensions": {"time": {}}},
        {"dimensions": {"brand": {"join": "products"}}},
        {"hierarchies": {"place": ["country"]}},
        {"filters": []},
    ],
)
def test_a_metric_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Metric.model_validate(a_metric(**wrong))


@pytest.mark.parametrize("part", ["description", "table", "time", "measure"])
def test_a_metric_without_a_necessary_part_is_refused(part: str) -> None:
    metric = a_metric()
    del metric[part]

    with pytest.raises(ValidationError):
        Metric.model_validate(metric)


@pytest.mark.parametrize(
    "file",
    [
        {"metrics": {}},
        {"version": 2, "metrics": {}},
        {"version": 1, "metrics": {"Revenue": a_metric()}},
        {"version": 1, "metrics": [a_metric()]},
    ],
    ids=["no-version", "another-version", "a-capital", "a-list"],
)
def test_a_file_that_says_something_else_is_refused(file: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MetricsFile.model_validate(file)
