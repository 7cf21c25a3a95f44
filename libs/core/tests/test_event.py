"""An event is a valid CloudEvent, or there is none.

CE is the CloudEvents specification 1.0.2, cited by its headings; CE-JSON its JSON event format.
"""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from triptych.core.domain.event import Event, InvalidEvent, event_from_json
from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err, Ok
from triptych.testing.builders import NOON, an_event, event_json
from triptych.testing.strategies import events, json_values, moments, texts

CORE = {"id", "source", "type", "time", "subject", "datacontenttype", "dataschema"}
FORBIDDEN = ["\x00", "\n", "\x1f", "\x7f", "\x9f", "\ud800", "\udfff", "\ufdd0", "\uffff"]

# Members that break one rule each, which both the JSON form and the constructor have to see.
RULES = [
    pytest.param({"id": ""}, "/id", "non-empty", id="CE id: empty"),
    pytest.param({"type": ""}, "/type", "non-empty", id="CE type: empty"),
    pytest.param({"subject": ""}, "/subject", "non-empty", id="CE subject: empty"),
    pytest.param({"source": ""}, "/source", "non-empty", id="CE source: empty"),
    pytest.param({"source": "a b"}, "/source", "uri-reference", id="CE source: space"),
    pytest.param({"source": "/é"}, "/source", "uri-reference", id="CE source: not ASCII"),
    pytest.param({"source": "/%zz"}, "/source", "uri-reference", id="CE source: percent"),
    pytest.param({"source": "<urn:a>"}, "/source", "uri-reference", id="CE source: brackets"),
    pytest.param({"dataschema": ""}, "/dataschema", "non-empty", id="CE dataschema: empty"),
    pytest.param({"dataschema": "/v1"}, "/dataschema", "uri", id="CE dataschema: relative"),
    pytest.param({"dataschema": "1a:b"}, "/dataschema", "uri", id="CE dataschema: no scheme"),
    pytest.param({"dataschema": "urn:a b"}, "/dataschema", "uri", id="CE dataschema: space"),
    pytest.param(
        {"datacontenttype": "text"}, "/datacontenttype", "media-type", id="CE datacontenttype: half"
    ),
    pytest.param(
        {"datacontenttype": "a/b, c/d"},
        "/datacontenttype",
        "media-type",
        id="CE datacontenttype: two",
    ),
    pytest.param({"Trace": "x"}, "/Trace", "attribute-name", id="CE Naming Conventions: capital"),
    pytest.param({"a_b": "x"}, "/a_b", "attribute-name", id="CE Naming Conventions: underscore"),
    pytest.param({"é": "x"}, "/é", "attribute-name", id="CE Naming Conventions: not ASCII"),
    pytest.param({"": "x"}, "/", "attribute-name", id="CE Naming Conventions: no name"),
    pytest.param({"a/b~c": 1}, "/a~1b~0c", "attribute-name", id="CE Naming Conventions: escaped"),
    pytest.param({"ext": 1.5}, "/ext", "type", id="CE Type System: fraction"),
    pytest.param({"ext": 1.0}, "/ext", "type", id="CE Type System: float"),
    pytest.param({"ext": [1]}, "/ext", "type", id="CE Type System: array"),
    pytest.param({"ext": {"a": 1}}, "/ext", "type", id="CE Type System: object"),
    pytest.param({"ext": 2**31}, "/ext", "integer", id="CE Type System: above 32 bits"),
    pytest.param({"ext": -(2**31) - 1}, "/ext", "integer", id="CE Type System: below 32 bits"),
]

# Members that only the JSON form can get wrong.
JSON_RULES = [
    pytest.param({"specversion": None}, "/specversion", "required", id="CE specversion: absent"),
    pytest.param({"specversion": "0.3"}, "/specversion", "const", id="CE specversion: older"),
    pytest.param({"specversion": 1.0}, "/specversion", "const", id="CE specversion: a number"),
    pytest.param({"id": None}, "/id", "required", id="CE id: absent"),
    pytest.param({"source": None}, "/source", "required", id="CE source: absent"),
    pytest.param({"type": None}, "/type", "required", id="CE type: absent"),
    pytest.param({"id": 5}, "/id", "type", id="CE-JSON 2.2: id is a number"),
    pytest.param({"source": ["urn:a"]}, "/source", "type", id="CE-JSON 2.2: source is an array"),
    pytest.param({"type": True}, "/type", "type", id="CE-JSON 2.2: type is a boolean"),
    pytest.param({"subject": {}}, "/subject", "type", id="CE-JSON 2.2: subject is an object"),
    pytest.param({"time": 1893499200}, "/time", "type", id="CE-JSON 2.2: time is a number"),
    pytest.param(
        {"datacontenttype": 1}, "/datacontenttype", "type", id="CE-JSON 2.2: media type is a number"
    ),
    pytest.param({"dataschema": 1}, "/dataschema", "type", id="CE-JSON 2.2: schema is a number"),
    pytest.param(
        {"data_base64": "QQ=="}, "/data_base64", "exclusive", id="CE-JSON 3.1.1: data comes twice"
    ),
    pytest.param(
        {"data": None, "data_base64": "Q"}, "/data_base64", "base64", id="CE-JSON 3.1.2: cut short"
    ),
    pytest.param(
        {"data": None, "data_base64": "QQ==\n"},
        "/data_base64",
        "base64",
        id="CE-JSON 3.1.2: line break",
    ),
    pytest.param(
        {"data": None, "data_base64": "é"}, "/data_base64", "base64", id="CE-JSON 3.1.2: not ASCII"
    ),
]


def found(value: object) -> list[tuple[str, str]]:
    """Where `value` breaks which rule."""
    match event_from_json(value):
        case Err(violations):
            return places(violations)
        case Ok(event):
            pytest.fail(f"an event was made: {event}")


def made(value: object) -> Event:
    """The event that `value` describes."""
    match event_from_json(value):
        case Ok(event):
            return event
        case Err(violations):
            pytest.fail(f"no event was made: {violations}")


def places(violations: tuple[Violation, ...]) -> list[tuple[str, str]]:
    return sorted((violation.pointer, violation.keyword) for violation in violations)


def construct(members: dict[str, Any]) -> Event:
    """What the constructor makes of the members that an event in JSON would have."""
    core = {name: value for name, value in members.items() if name in CORE}
    extensions = {name: value for name, value in members.items() if name not in CORE}
    return an_event(**core, extensions=extensions)


@given(events())
def test_an_event_survives_its_json_form(event: Event) -> None:
    wire = orjson.dumps(event.to_json())

    assert event_from_json(orjson.loads(wire)) == Ok(event)


def test_the_json_form_leaves_out_what_is_absent() -> None:
    event = Event(id="1", source="urn:test", type="test.happened")

    assert event.to_json() == {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:test",
        "type": "test.happened",
    }


def test_bytes_are_written_as_base64() -> None:
    event = an_event(data=b"\x00\xff")

    written = event.to_json()

    assert written["data_base64"] == "AP8="
    assert "data" not in written


@pytest.mark.parametrize("data", [0, False, "", [], {}], ids=repr)
def test_data_that_is_merely_falsy_is_written(data: object) -> None:
    assert an_event(data=data).to_json()["data"] == data


@given(json_values().filter(lambda value: not isinstance(value, dict)))
def test_anything_that_is_no_object_is_no_event(value: object) -> None:
    assert found(value) == [("", "type")]


@given(
    json_values()
    | st.dictionaries(
        st.sampled_from([*sorted(CORE), "specversion", "data", "data_base64", "ext"]) | texts(0),
        json_values(),
        max_size=5,
    ).map(lambda members: event_json(**members))
)
def test_any_json_is_an_event_or_says_why_not(value: object) -> None:
    match event_from_json(value):
        case Ok(event):
            assert event_from_json(event.to_json()) == Ok(event)
        case Err(violations):
            assert violations


@pytest.mark.parametrize(("members", "pointer", "keyword"), [*RULES, *JSON_RULES])
def test_json_that_breaks_a_rule_is_refused_at_its_place(
    members: dict[str, Any], pointer: str, keyword: str
) -> None:
    assert found(event_json(**members)) == [(pointer, keyword)]


@pytest.mark.parametrize(("members", "pointer", "keyword"), RULES)
def test_the_constructor_refuses_the_same(
    members: dict[str, Any], pointer: str, keyword: str
) -> None:
    with pytest.raises(InvalidEvent) as error:
        construct(members)

    assert places(error.value.violations) == [(pointer, keyword)]


@pytest.mark.parametrize("name", ["id", "specversion", "time", "data", "data_base64"])
def test_an_extension_cannot_take_a_name_that_is_taken(name: str) -> None:
    with pytest.raises(InvalidEvent) as error:
        an_event(extensions={name: "x"})

    assert places(error.value.violations) == [(f"/{name}", "attribute-name")]


# CE, Type System, String: control characters, surrogates and non-characters are not allowed.
@pytest.mark.parametrize("character", FORBIDDEN, ids=ascii)
@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "dataschema", "ext"])
def test_no_text_holds_a_forbidden_character(name: str, character: str) -> None:
    members = {name: f"a{character}b"}

    assert found(event_json(**members)) == [(f"/{name}", "string")]
    with pytest.raises(InvalidEvent):
        construct(members)


@given(texts())
def test_every_other_character_is_kept(text: str) -> None:
    event = made(event_json(id=text, subject=text, ext=text))

    assert (event.id, event.subject, event.extensions["ext"]) == (text, text, text)


def test_all_that_is_wrong_is_said_at_once() -> None:
    value = {
        "specversion": "2.0",
        "id": "",
        "source": 7,
        "subject": "a\x00b",
        "time": "noon",
        "dataschema": "relative",
        "datacontenttype": "text",
        "Trace": "x",
        "ext": 2**31,
        "data": 1,
        "data_base64": "!",
    }

    assert found(value) == [
        ("/Trace", "attribute-name"),
        ("/data_base64", "base64"),
        ("/data_base64", "exclusive"),
        ("/datacontenttype", "media-type"),
        ("/dataschema", "uri"),
        ("/ext", "integer"),
        ("/id", "non-empty"),
        ("/source", "type"),
        ("/specversion", "const"),
        ("/subject", "string"),
        ("/time", "timestamp"),
        ("/type", "required"),
    ]


def test_the_constructor_says_all_at_once_too() -> None:
    with pytest.raises(InvalidEvent) as error:
        an_event(id="", source="a b", time=NOON.replace(tzinfo=None), extensions={"EXT": 0.5})

    assert places(error.value.violations) == [
        ("/EXT", "attribute-name"),
        ("/EXT", "type"),
        ("/id", "non-empty"),
        ("/source", "uri-reference"),
        ("/time", "timestamp"),
    ]
    assert all(violation.message in str(error.value) for violation in error.value.violations)


# CE-JSON 2.2
@pytest.mark.parametrize(
    "name", ["subject", "time", "datacontenttype", "dataschema", "ext", "data_base64"]
)
def test_what_is_null_counts_as_absent(name: str) -> None:
    without = {key: value for key, value in event_json().items() if key != name}

    assert made({**without, name: None}) == made(without)


def test_null_data_is_no_data() -> None:
    assert made(event_json(data=None)).data is None


@pytest.mark.parametrize(("text", "data"), [("", b""), ("QQ==", b"A"), ("AP8=", b"\x00\xff")])
def test_base64_is_read_as_bytes(text: str, data: bytes) -> None:
    assert made(event_json(data=None, data_base64=text)).data == data


@pytest.mark.parametrize("value", ["", "text", True, False, 0, 2**31 - 1, -(2**31)], ids=repr)
def test_an_extension_is_text_a_boolean_or_a_small_integer(value: object) -> None:
    extension = made(event_json(ext=value)).extensions["ext"]

    assert extension == value
    assert type(extension) is type(value)


@pytest.mark.parametrize(
    "source",
    ["urn:a:b", "/sensors/1", "1-555-123-4567", "mailto:a@example.com", "https://e.org/a?b=%20#c"],
)
def test_a_source_is_any_uri_reference(source: str) -> None:
    assert made(event_json(source=source)).source == source


@pytest.mark.parametrize(
    "media_type", ["text/csv", "application/cloudevents+json", "text/plain; charset=utf-8"]
)
def test_a_media_type_may_have_parameters(media_type: str) -> None:
    assert made(event_json(datacontenttype=media_type)).datacontenttype == media_type


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2030-01-01T12:00:00Z", NOON),
        ("2030-01-01t12:00:00z", NOON),
        ("2030-01-01T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2030-01-01T13:30:00+01:30", NOON),
        ("2030-01-01T00:00:00-12:00", NOON),
        ("2030-01-01T12:00:00-00:00", NOON),
    ],
)
def test_a_time_is_read_from_rfc_3339_and_kept_in_utc(text: str, at: datetime) -> None:
    time = made(event_json(time=text)).time

    assert time == at
    assert time.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2030-01-01",
        "2030-01-01T12:00:00",
        "2030-01-01 12:00:00Z",
        "2030-01-01T12:00Z",
        "20300101T120000Z",
        "2030-W01-2T12:00:00Z",
        "2030-13-01T12:00:00Z",
        "2030-02-29T12:00:00Z",
        "2030-01-01T12:00:00.Z",
        "2030-01-01T12:00:00+24:00",
        "2030-01-01T12:00:00 UTC",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "\u0662030-01-01T12:00:00Z",
    ],
    ids=ascii,
)
def test_a_time_that_is_no_timestamp_is_refused(text: str) -> None:
    assert found(event_json(time=text)) == [("/time", "timestamp")]


def test_a_time_without_a_zone_makes_no_event() -> None:
    with pytest.raises(InvalidEvent) as error:
        an_event(time=NOON.replace(tzinfo=None))

    assert places(error.value.violations) == [("/time", "timestamp")]


@given(events(), st.randoms())
def test_equal_events_have_one_fingerprint_whatever_the_order_of_their_members(
    event: Event, random: Random
) -> None:
    members = list(event.to_json().items())
    random.shuffle(members)

    assert made(dict(members)).document.fingerprint == event.document.fingerprint


@given(moments(), st.integers(-14 * 60, 14 * 60))
def test_equal_events_have_one_fingerprint_whatever_the_offset_of_their_time(
    at: datetime, minutes: int
) -> None:
    elsewhere = at.astimezone(timezone(timedelta(minutes=minutes)))

    read = made(event_json(time=elsewhere.isoformat()))

    assert read == an_event(time=at)
    assert read.document.fingerprint == an_event(time=at).document.fingerprint


@given(json_values(), json_values())
def test_other_data_has_another_fingerprint(one: object, other: object) -> None:
    assume(one != other)

    assert an_event(data=one).document.fingerprint != an_event(data=other).document.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"id": "2"},
        {"source": "urn:other"},
        {"type": "test.other"},
        {"time": NOON + timedelta(microseconds=1)},
        {"time": None},
        {"subject": "s"},
        {"datacontenttype": "application/json"},
        {"dataschema": "urn:schema"},
        {"extensions": {"ext": "1"}},
        {"extensions": {"ext": 1}},
        {"data": b'{"n":1}'},
        {"data": {"n": True}},
    ],
    ids=str,
)
def test_every_part_counts_in_the_fingerprint(change: dict[str, Any]) -> None:
    assert an_event(**change).document.fingerprint != an_event().document.fingerprint


def test_an_event_does_not_change() -> None:
    event = an_event()

    with pytest.raises(FrozenInstanceError):
        event.id = "2"  # type: ignore[misc]  # that is the point


def test_the_extensions_of_an_event_do_not_change() -> None:
    given_ = {"ext": "before"}
    event: Any = an_event(extensions=given_)

    given_["ext"] = "after"

    assert event.extensions == {"ext": "before"}
    with pytest.raises(TypeError):
        event.extensions["ext"] = "after"


def test_data_that_is_nested_too_deeply_to_be_written_is_a_violation() -> None:
    deep: object = 1
    for _ in range(300):
        deep = [deep]

    assert found(event_json(data=deep)) == [("/data", "json")]


@pytest.mark.parametrize("value", [1234, True, ["QQ=="]])
def test_binary_data_is_text(value: object) -> None:
    event = event_json(data_base64=value)
    del event["data"]

    assert found(event) == [("/data_base64", "type")]
