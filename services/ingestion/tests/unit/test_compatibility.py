"""What breaks between two versions of a contract is found, and nothing that breaks is missed."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.core.domain.contract import Contract
from triptych.core.domain.event import Event
from triptych.ingestion.domain.compatibility import Direction, compare

BACKWARD, FORWARD = Direction.BACKWARD, Direction.FORWARD


def contract(schema: dict[str, Any], version: int = 1) -> Contract:
    return Contract("test.happened", version, schema)


def broken(old: dict[str, Any], new: dict[str, Any]) -> set[Direction]:
    """The directions that the step from one schema to the other breaks."""
    changes = compare(contract(old), contract(new, 2))
    return {direction for change in changes for direction in change.breaks}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


NARROWER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"type": "string"}),
    ({"type": ["string", "null"]}, {"type": "string"}),
    ({"type": "number"}, {"type": "integer"}),
    ({"enum": [1, 2, 3]}, {"enum": [1, 3]}),
    ({}, {"const": 5}),
    ({}, {"required": ["a"]}),
    ({"maximum": 10}, {"maximum": 9}),
    ({"minimum": 1}, {"minimum": 1.5}),
    ({}, {"exclusiveMinimum": 0}),
    ({"multipleOf": 2}, {"multipleOf": 4}),
    ({"maxLength": 5}, {"maxLength": 4}),
    ({}, {"pattern": "^a"}),
    ({}, {"format": "date"}),
    ({}, {"uniqueItems": True}),
    ({"minItems": 1}, {"minItems": 2}),
    ({}, {"items": {"type": "string"}}),
    ({"items": {"maximum": 2}}, {"items": {"maximum": 1}}),
    ({"additionalProperties": True}, {"additionalProperties": False}),
    (closed(a={}, b={}), closed(a={})),
    (closed(a={}), closed(a={"type": "string"})),
    ({"properties": {"a": {}}}, {"properties": {"a": {"type": "string"}}}),
    ({}, {"allOf": [{"type": "string"}]}),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}]}),
    (
        {"$ref": "#/$defs/a", "$defs": {"a": {"maximum": 2}}},
        {"$ref": "#/$defs/b", "$defs": {"b": {"maximum": 1}}},
    ),
]


@pytest.mark.parametrize(("old", "new"), NARROWER)
def test_what_refuses_what_was_allowed_breaks_backward_compatibility(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert broken(old, new) == {BACKWARD}


@pytest.mark.parametrize(("new", "old"), NARROWER)
def test_what_allows_what_was_refused_breaks_forward_compatibility(
    new: dict[str, Any], old: dict[str, Any]
) -> None:
    assert broken(old, new) == {FORWARD}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"title": "a"}, {"title": "b", "description": "c", "examples": [1], "x-own": 1}),
        ({"enum": [1, 2]}, {"enum": [2, 1]}),
        ({"maximum": 1}, {"maximum": 1.0}),
        ({"type": "number"}, {"type": ["integer", "number"]}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}, {"type": "null"}),
        (
            {"properties": {"a": {"$ref": "#"}}, "title": "a"},
            {"properties": {"a": {"$ref": "#"}}, "title": "b"},
        ),
    ],
)
def test_what_asserts_the_same_breaks_nothing(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert broken(old, new) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"pattern": "^a"}, {"pattern": "^b"}),
        ({"oneOf": [{}]}, {"oneOf": [{}, {"type": "null"}]}),
        ({"not": {"type": "null"}}, {"not": {"type": "string"}}),
        ({"if": {"minimum": 1}}, {"if": {"minimum": 2}}),
        ({"patternProperties": {"a": {}}}, {"patternProperties": {"b": {}}}),
        ({"prefixItems": [{}]}, {"prefixItems": [{}, {}]}),
    ],
)
def test_what_cannot_be_compared_breaks_both(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert broken(old, new) == {BACKWARD, FORWARD}


def test_a_change_names_its_place_and_what_it_does() -> None:
    old = closed(quantity={"maximum": 1000})

    [change] = compare(contract(old), contract(closed(quantity={"maximum": 500}), 2))

    assert change.pointer == "/properties/quantity/maximum"
    assert change.message == "1000 -> 500: refuses what was allowed"


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=5,
)
BOUNDS = st.integers(0, 3)
TYPES = st.sampled_from(["null", "boolean", "object", "array", "number", "integer", "string"])


def _assertions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "const": SCALARS,
            "required": st.lists(st.sampled_from(["a", "b"]), unique=True),
            "maximum": BOUNDS,
            "minimum": BOUNDS,
            "exclusiveMaximum": BOUNDS,
            "multipleOf": st.integers(1, 4),
            "maxLength": BOUNDS,
            "minLength": BOUNDS,
            "pattern": st.sampled_from(["^a", "b$"]),
            "maxItems": BOUNDS,
            "minProperties": BOUNDS,
            "uniqueItems": st.booleans(),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "properties": members,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "c"]), inner, max_size=1),
            "additionalProperties": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    )


PARTS: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | _assertions(st.booleans()), _assertions, max_leaves=6
)
SCHEMAS: st.SearchStrategy[Any] = _assertions(PARTS)


@st.composite
def steps(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two schemas: the second is the first with some of its keywords replaced, added or removed."""
    old: dict[str, Any] = draw(SCHEMAS)
    other: dict[str, Any] = draw(SCHEMAS)
    kept = {k: v for k, v in old.items() if draw(st.booleans())}
    return old, {**kept, **other} if draw(st.booleans()) else kept


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(step=steps(), values=st.lists(VALUES, min_size=5, max_size=20))
def test_what_is_said_to_be_compatible_is(
    step: tuple[dict[str, Any], dict[str, Any]], values: list[Any]
) -> None:
    old, new = step
    breaks = broken(old, new)

    for value in values:
        before, after = _valid(old, value), _valid(new, value)
        assert BACKWARD in breaks or not before or after
        assert FORWARD in breaks or not after or before


def _valid(schema: dict[str, Any], value: Any) -> bool:
    event = Event(id="1", source="urn:test", type="test.happened", data=value)
    return not contract(schema).violations(event)
