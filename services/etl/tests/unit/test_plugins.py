"""The configuration of the plugins that come with the service, and how a pipeline picks one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from triptych.core.documents import Document, Part, WrongDocument
from triptych.etl.application.plugins import TRANSFORM, UnknownPlugin, plugin
from triptych.etl.domain.checks.rows import Matches, NotNull, Range
from triptych.etl.domain.transforms.columns import Derive, Mask
from triptych.etl.domain.transforms.relations import Aggregate
from triptych.etl.domain.transforms.rows import Filter
from triptych.etl.domain.transforms.sql import SqlSelect
from triptych.etl.infrastructure.sinks.lake import LakeSink
from triptych.etl.infrastructure.sources.events import Events


class Known:
    """Plugins that were not installed, but handed over."""

    def names(self, group: str) -> Sequence[str]:
        return ["derive", "filter"] if group == TRANSFORM.group else []

    def load(self, group: str, name: str) -> type[BaseModel]:
        known: dict[str, type[BaseModel]] = {"derive": Derive, "filter": Filter}
        return known[name]


def a_step(**value: Any) -> Document:
    return Document(Path("sales.yaml"), value, (), value)


def configured(name: str, value: dict[str, Any], **defaults: Any) -> object:
    step = a_step(**{name: value})
    return plugin(step, name, TRANSFORM, Known(), defaults=defaults, environment={})


def test_a_plugin_is_found_by_its_name_and_configured() -> None:
    assert configured("filter", {"where": "a > 0"}) == Filter.model_validate({"where": "a > 0"})


def test_what_the_file_does_not_say_is_taken_from_the_defaults() -> None:
    wanted = Filter.model_validate({"where": "a > 0"})

    assert configured("filter", {}, where="a > 0") == wanted
    assert configured("filter", {"where": "a > 0"}, where="a > 1") == wanted


def test_an_unknown_plugin_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownPlugin, match="no transform 'fitler': did you mean 'filter'"):
        configured("fitler", {})


def test_a_wrong_configuration_is_refused_with_every_problem() -> None:
    with pytest.raises(WrongDocument, match=r"(?s)'where' is missing.*unknown key 'were'"):
        configured("filter", {"were": "a > 0"})


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
        (Mask, {"columns": {"a": "hash"}, "key": "written in the file"}),
        (Mask, {"columns": {"a": "hash"}, "key": "${UNSET}"}),
        (Aggregate, {"measures": {"n": "a + 1"}}),
        (SqlSelect, {"query": "select * from read_csv('/etc/passwd')"}),
        (SqlSelect, {"query": "drop table rows"}),
        (SqlSelect, {"query": "select getenv('HOME') from rows"}),
        (SqlSelect, {"query": "select * from other.rows"}),
        (Matches, {"column": "a", "pattern": "("}),
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
