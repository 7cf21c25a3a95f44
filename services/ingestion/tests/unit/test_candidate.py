"""What arrives is read as JSON, or there is a reason why it is not."""

import orjson
import pytest

from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err, Ok
from triptych.ingestion.domain.admission import Arrival, Candidate, EventLimits
from triptych.testing.builders import event_json

EVENT = orjson.dumps(event_json())


def keyword(candidate: Candidate) -> str | None:
    """Why a candidate is no JSON."""
    match candidate.value:
        case Err(Violation(keyword=keyword)):
            return keyword
        case Ok():
            return None


@pytest.mark.parametrize(("depth", "expected"), [(3, None), (2, "depth")])
def test_what_is_nested_deeper_than_the_limit_is_not_read(depth: int, expected: str | None) -> None:
    raw = orjson.dumps(event_json(data=[{"n": 1}]))

    candidate = Candidate.parse(Arrival(raw, "http"), EventLimits(depth=depth))

    assert keyword(candidate) == expected


@pytest.mark.parametrize(("more", "expected"), [(0, None), (-1, "max-bytes")])
def test_what_is_longer_than_the_limit_is_not_read(more: int, expected: str | None) -> None:
    limits = EventLimits(event_bytes=len(EVENT) + more)

    from_bytes = Candidate.parse(Arrival(EVENT, "http"), limits)
    from_json = Candidate.parsed(Arrival(EVENT, "http"), event_json(), limits)

    assert (keyword(from_bytes), keyword(from_json)) == (expected, expected)


def test_where_an_event_was_made_of_something_else_it_is_what_is_read() -> None:
    arrival = Arrival(b"7,8", "shop.csv:2", event=EVENT)

    assert Candidate.parse(arrival).value == Ok(event_json())


def test_brackets_in_text_are_not_deep() -> None:
    raw = orjson.dumps(event_json(data="[{" * 100))

    assert keyword(Candidate.parse(Arrival(raw, "http"), EventLimits(depth=1))) is None
