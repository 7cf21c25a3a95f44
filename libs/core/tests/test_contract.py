"""A contract says all that is wrong with an event's data, and is a JSON Schema itself."""

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from triptych.core.domain.contract import DIALECT, Contract, NotASchema
from triptych.core.domain.json import Json
from triptych.testing.builders import an_event
from triptych.testing.strategies import json_values

INVOICE: dict[str, Json] = {
    "$schema": DIALECT,
    "$id": "https://example.com/invoice/1",
    "type": "object",
    "required": ["number", "lines"],
    "additionalProperties": False,
    "properties": {
        "number": {"type": "string", "pattern": "^[0-9]{6}$"},
        "due": {"type": "string", "format": "date"},
        "a/b": {"type": "integer"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "properties": {"price": {"minimum": 0}}}},
}


def a_contract(schema: dict[str, Any]) -> Contract:
    return Contract("shop.invoice", 1, schema)


def broken(schema: dict[str, Any], data: object) -> list[tuple[str, str]]:
    """Where the data breaks which rule of the schema."""
    violations = a_contract(schema).violations(an_event(data=data))
    return sorted((violation.pointer, violation.keyword) for violation in violations)


def test_data_that_keeps_the_contract_breaks_no_rule() -> None:
    data = {"number": "100001", "due": "2030-01-31", "a/b": 1, "lines": [{"price": 3.5}]}

    assert broken(INVOICE, data) == []


def test_every_rule_that_is_broken_is_named_with_its_place() -> None:
    data = {"number": "1", "due": "soon", "a/b": "x", "lines": [{}, {"price": -1}, 5]}

    assert broken(INVOICE, data) == [
        ("/data/a~1b", "type"),
        ("/data/due", "format"),
        ("/data/lines/1/price", "minimum"),
        ("/data/lines/2", "type"),
        ("/data/number", "pattern"),
    ]


def test_what_is_missing_and_what_is_too_much_are_named_at_their_object() -> None:
    assert broken(INVOICE, {"other": 1}) == [
        ("/data", "additionalProperties"),
        ("/data", "required"),
        ("/data", "required"),
    ]


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("date-time", "2030-01-01"),
        ("date", "2030-02-30"),
        ("time", "25:00:00Z"),
        ("duration", "1 day"),
        ("email", "nobody"),
        ("hostname", "-a"),
        ("ipv4", "256.0.0.1"),
        ("ipv6", "12345::"),
        ("uri", "relative"),
        ("uri-reference", "\\"),
        ("uuid", "1"),
        ("json-pointer", "a"),
        ("regex", "("),
    ],
)
def test_formats_are_asserted(format_: str, text: str) -> None:
    assert broken({"format": format_}, text) == [("/data", "format")]


@given(json_values())
def test_whatever_the_data_each_violation_lies_in_it(data: object) -> None:
    violations = a_contract(INVOICE).violations(an_event(data=data))

    assert all(violation.pointer.split("/")[:2] == ["", "data"] for violation in violations)
    assert all(violation.keyword and violation.message for violation in violations)


@given(json_values())
def test_a_contract_that_asks_for_nothing_is_always_kept(data: object) -> None:
    assert broken({}, data) == []


@pytest.mark.parametrize("schema", [{}, {"type": "string"}, INVOICE])
def test_binary_data_keeps_no_contract(schema: dict[str, Any]) -> None:
    assert broken(schema, b"100001") == [("/data", "type")]


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "money"}, "/type"),
        ({"required": "number"}, "/required"),
        ({"allOf": []}, "/allOf"),
        ({"pattern": "("}, "/pattern"),
        ({"$id": 5}, "/$id"),
        ({"properties": {"a/b": {"minimum": "0"}}}, "/properties/a~1b/minimum"),
        ({"$defs": {"line": {"items": {"type": 5}}}}, "/$defs/line/items/type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_schema_is_refused_with_the_place(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(NotASchema) as error:
        a_contract(schema)

    assert f"shop.invoice/1: {place}: " in str(error.value)


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Json] = {}
    for _ in range(1000):
        schema = {"not": schema}

    with pytest.raises(NotASchema, match=r"shop\.invoice/1: "):
        a_contract(schema)


@pytest.mark.parametrize("dialect", ["http://json-schema.org/draft-07/schema#", "", None, 5])
def test_another_dialect_is_refused_and_the_right_one_named(dialect: object) -> None:
    with pytest.raises(NotASchema) as error:
        a_contract({"$schema": dialect})

    assert repr(dialect) in str(error.value)
    assert DIALECT in error.value.hint


@pytest.mark.parametrize(
    "reference", ["#/$defs/nowhere", "https://example.com/other.json", "other.json"]
)
def test_a_reference_that_the_schema_does_not_hold_is_refused(reference: str) -> None:
    with pytest.raises(NotASchema, match=r"shop\.invoice/1: "):
        a_contract({"$ref": reference})


def test_a_reference_to_a_file_is_not_read(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"type": "string"}', encoding="utf-8")

    with pytest.raises(NotASchema):
        a_contract({"$ref": other.as_uri()})


def test_a_reference_to_a_server_is_not_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        with pytest.raises(NotASchema):
            a_contract({"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/other.json"})

        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()


@pytest.mark.parametrize("version", [0, -1])
def test_versions_count_from_one(version: int) -> None:
    with pytest.raises(NotASchema, match="versions count from 1"):
        Contract("shop.invoice", version, {})


def test_a_contract_is_called_by_its_type_and_version() -> None:
    assert Contract("shop.invoice", 2, {}).id == "shop.invoice/2"


@pytest.mark.parametrize(
    ("schema", "uri"), [(INVOICE, "https://example.com/invoice/1"), ({}, None)]
)
def test_the_uri_of_a_contract_is_its_schemas_id(schema: dict[str, Any], uri: str | None) -> None:
    assert a_contract(schema).uri == uri


def test_contracts_with_equal_schemas_are_equal() -> None:
    assert a_contract(INVOICE) == a_contract(dict(INVOICE))
    assert a_contract(INVOICE) != a_contract({})
