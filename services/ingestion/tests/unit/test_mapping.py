"""How a row of columns becomes an event."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from triptych.core.domain.json import Json, Violation
from triptych.core.domain.result import Err, Ok
from triptych.ingestion.domain.mapping import EventMapping, missing_columns

FIRST, LAST = datetime(1950, 1, 1), datetime(2049, 12, 31)  # noqa: DTZ001  # of a wall clock
LONDON = {"column": "when", "format": "%Y-%m-%d %H:%M", "zone": "Europe/London"}


def a_mapping(**parts: Any) -> EventMapping:
    defaults = {"type": "test.happened", "source": "urn:test", "id": "no", "data": {}}
    return EventMapping.model_validate({**defaults, **parts})


def made(mapping: EventMapping, **row: str) -> Any:
    match mapping.apply({"no": "1", **row}):
        case Ok(event):
            return event
        case Err(violation):
            pytest.fail(f"no event was made: {violation}")


def refused(mapping: EventMapping, **row: str) -> Violation:
    match mapping.apply({"no": "1", **row}):
        case Err(violation):
            return violation
        case Ok(event):
            pytest.fail(f"an event was made: {event}")


def test_a_row_becomes_an_event_in_the_json_format() -> None:
    mapping = a_mapping(data={"country": "Country"})

    assert made(mapping, Country="France") == {
        "specversion": "1.0",
        "type": "test.happened",
        "source": "urn:test",
        "id": "1",
        "data": {"country": "France"},
    }


def test_several_columns_are_joined_to_one_id() -> None:
    mapping = a_mapping(id=["no", "line"])

    assert made(mapping, no="7", line="2")["id"] == "7/2"


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2011-01-15 12:00", "2011-01-15T12:00:00Z"),
        ("2011-07-15 12:00", "2011-07-15T11:00:00Z"),
        ("2011-07-15 00:30", "2011-07-14T23:30:00Z"),
    ],
    ids=["winter", "summer", "summer-midnight"],
)
def test_a_time_is_read_from_the_clock_of_its_zone(local: str, utc: str) -> None:
    assert made(a_mapping(time=LONDON), when=local)["time"] == utc


def test_a_time_without_a_zone_is_utc() -> None:
    mapping = a_mapping(time={"column": "when", "format": "%d.%m.%Y"})

    assert made(mapping, when="15.07.2011")["time"] == "2011-07-15T00:00:00Z"


def test_an_offset_in_the_cell_wins_over_the_zone() -> None:
    mapping = a_mapping(time={**LONDON, "format": "%Y-%m-%d %H:%M%z"})

    assert made(mapping, when="2011-07-15 12:00+0530")["time"] == "2011-07-15T06:30:00Z"


def test_of_a_repeated_hour_the_first_is_meant() -> None:
    assert made(a_mapping(time=LONDON), when="2011-10-30 01:30")["time"] == "2011-10-30T00:30:00Z"


def test_a_time_that_the_clocks_skipped_is_refused() -> None:
    violation = refused(a_mapping(time=LONDON), when="2011-03-27 01:30")

    assert violation.pointer == "/time"
    assert "does not exist in Europe/London" in violation.message


@pytest.mark.parametrize("text", ["", "noon", "2011-13-01 00:00", "2011-01-15", "15/01/2011 12:00"])
def test_a_time_of_another_format_is_refused(text: str) -> None:
    violation = refused(a_mapping(time=LONDON), when=text)

    assert violation.pointer == "/time"
    assert repr(text) in violation.message


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Europe", "z" * 300, "../../etc/passwd"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="is no time zone"):
        a_mapping(time={**LONDON, "zone": zone})


@pytest.mark.parametrize("text", ["%Q", "%Y %Y", "%"])
def test_a_format_that_reads_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is no format of a time"):
        a_mapping(time={**LONDON, "format": text})


@pytest.mark.parametrize(
    ("absent", "text"),
    [({}, ""), ({"absent": ["", "(blank)"]}, "(blank)"), ({"absent": ["-"]}, "-")],
    ids=["by-default", "one-of-several", "another"],
)
def test_what_stands_for_no_value_is_left_out(absent: dict[str, Any], text: str) -> None:
    mapping = a_mapping(data={"customer": {"column": "Customer", **absent}})

    assert made(mapping, Customer=text)["data"] == {}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "05", "05"),
        ("text", " a ", " a "),
        ("integer", "5", 5),
        ("integer", "-12", -12),
        ("boolean", "true", True),
        ("boolean", "FALSE", False),
        ("boolean", "1", True),
        ("boolean", "0", False),
    ],
)
def test_a_cell_is_read_as_its_type(kind: str, text: str, value: Json) -> None:
    mapping = a_mapping(data={"m": {"column": "M", "type": kind}})

    data = made(mapping, M=text)["data"]

    assert data == {"m": value}
    assert type(data["m"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "2.5"),
        ("integer", "many"),
        ("integer", "1e3"),
        ("integer", " 5 "),
        ("integer", "1_000"),
        ("integer", "\u0663"),
        ("integer", "9" * 30),
        ("boolean", "perhaps"),
    ],
)
def test_a_cell_of_another_type_is_refused(kind: str, text: str) -> None:
    mapping = a_mapping(data={"m": {"column": "M", "type": kind}})

    violation = refused(mapping, M=text)

    assert (violation.pointer, violation.keyword) == ("/data/m", "type")
    assert f"{text!r} in column 'M' is no {kind}" in violation.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": []},
        {"data": {"m": {"column": "M", "type": "money"}}},
        {"data": {"m": {"colum": "M"}}},
        {"tme": LONDON},
    ],
    ids=["no-id", "unknown-type", "unknown-key-of-a-column", "unknown-key"],
)
def test_a_mapping_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_mapping(**wrong)


def test_a_mapping_knows_every_column_that_it_reads() -> None:
    mapping = a_mapping(id=["no", "line"], time=LONDON, data={"m": "M", "k": {"column": "K"}})

    assert mapping.columns() == {"no", "line", "when", "M", "K"}


def test_columns_that_the_header_lacks_are_found() -> None:
    mapping = a_mapping(id=["no", "line"], data={"m": "M"})

    assert missing_columns(mapping, ["M", "x"]) == ["line", "no"]


@given(row=st.fixed_dictionaries({name: st.text() for name in ("no", "when", "N", "B", "T")}))
def test_any_row_makes_an_event_or_is_refused_with_a_reason(row: dict[str, str]) -> None:
    data = {
        "n": {"column": "N", "type": "integer"},
        "b": {"column": "B", "type": "boolean"},
        "t": "T",
    }

    match a_mapping(time=LONDON, data=data).apply(row):
        case Ok(event):
            assert isinstance(event, dict)
        case Err(violation):
            assert violation.message


@given(
    local=st.datetimes(FIRST, LAST),
    zone=st.sampled_from(["Europe/London", "America/St_Johns", "Asia/Kolkata", "UTC"]),
)
def test_a_time_that_is_read_shows_the_same_on_the_clock_it_came_from(
    local: datetime, zone: str
) -> None:
    text = f"{local:%Y-%m-%d %H:%M}"

    match a_mapping(time={**LONDON, "zone": zone}).apply({"no": "1", "when": text}):
        case Ok({"time": str(time)}):
            at = datetime.fromisoformat(time)
            assert at.utcoffset() == UTC.utcoffset(None)
            assert f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" == text
        case other:
            assert "the clocks were put forward" in str(other)
