"""The configuration of the plugins that come with the service, and how a pipeline picks one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from triptych.core.documents import Document, Part, WrongDocument
from triptych.etl.application.plugins import TRANSFORM, UnknownPlugin, plugin
from triptych.etl.domain.checks import NotNull, Range
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.plugins import Drop
from triptych.etl.domain.transforms import Derive, Filter
from triptych.etl.infrastructure.events import Events
from triptych.etl.infrastructure.lake import LakeSink


class Known:
    """Plugins that were not installed, but handed over."""

    def find(self, group: str) -> Mapping[str, type[BaseModel]]:
        return {"derive": Derive, "filter": Filter} if group == TRANSFORM.group else {}


def a_step(**value: Any) -> Document:
    return Document(Path("sales.yaml"), value, (), value)


def test_a_plugin_is_found_by_its_name_and_configured() -> None:
    name, transform = plugin(a_step(filter={"where": "a > 0"}), TRANSFORM, Known())

    assert (name, transform) == ("filter", Filter.model_validate({"where": "a > 0"}))


def test_an_unknown_plugin_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownPlugin, match="no transform 'fitler': did you mean 'filter'"):
        plugin(a_step(fitler={}), TRANSFORM, Known())


def test_a_wrong_configuration_is_refused_with_every_problem() -> None:
    with pytest.raises(WrongDocument, match=r"(?s)'where' is missing.*unknown key 'were'"):
        plugin(a_step(filter={"were": "a > 0"}), TRANSFORM, Known())


def test_a_filter_says_that_it_drops_rows_and_derive_that_it_does_not() -> None:
    assert Filter.drops is Drop.FILTERED
    assert Derive.drops is None


def sql_of(check: NotNull | Range) -> dict[str, str]:
    return {reason: condition.sql(DIALECT) for reason, condition in check.rules()}


def test_each_column_that_must_have_a_value_is_a_rule() -> None:
    check = NotNull(columns=("a", "b"))

    assert list(sql_of(check)) == ["a is missing", "b is missing"]


def test_each_bound_of_a_range_is_a_rule() -> None:
    check = Range.model_validate({"column": "a", "min": -5, "max": "1.5"})

    assert list(sql_of(check)) == ["a is less than -5", "a is more than 1.5"]


@pytest.mark.parametrize(
    ("model", "configuration"),
    [
        (Derive, {"columns": {}}),
        (Derive, {"columns": {"n": "getenv('HOME')"}}),
        (Derive, {"columns": {"n": 1}}),
        (Filter, {}),
        (Filter, {"where": "a;b"}),
        (NotNull, {"columns": []}),
        (Range, {"column": "a"}),
        (Range, {"column": "a", "max": "much"}),
        (Range, {"column": "a", "max": float("nan")}),
        (LakeSink, {"table": "../other"}),
        (LakeSink, {"table": "Sales"}),
        (LakeSink, {"table": "sales", "mode": "replace"}),
        (Events, {"types": [], "columns": {"a": "text"}}),
        (Events, {"types": ["t"], "columns": {}}),
        (Events, {"types": ["t"], "columns": {"A": "text"}}),
        (Events, {"types": ["t"], "columns": {"_a": "text"}}),
        (Events, {"types": ["t"], "columns": {"event_id": "text"}}),
        (Events, {"types": ["t"], "columns": {"a": "varchar"}}),
        (Events, {"types": ["t"], "columns": {"a": "decimal(39, 2)"}}),
        (Events, {"types": ["t"], "columns": {"a": "text); drop table x"}}),
        (Events, {"types": ["t"], "columns": {"a": {"type": "text", "at": "no/pointer"}}}),
        (Events, {"types": ["t"], "columns": {"a": {"type": "text", "at": "/a'b"}}}),
        (Events, {"types": ["t"], "columns": {"a": {"type": "text", "at": "/lines/0/a"}}}),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    model: type[Part], configuration: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(configuration)


@pytest.mark.parametrize(
    "kind",
    ["text", "integer", "bigint", "double", "boolean", "date", "timestamptz", "decimal(38, 10)"],
)
def test_every_type_of_column_is_understood(kind: str) -> None:
    events = Events.model_validate({"types": ["t"], "columns": {"a": kind}})

    assert events.columns["a"].type == kind
