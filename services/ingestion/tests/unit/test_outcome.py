"""What became of everything, and how it is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.json import Violation
from triptych.ingestion.domain.admission import Admitted, Arrival, Reason, Rejection
from triptych.ingestion.domain.outcome import Outcome, Status, count, refused, stored
from triptych.testing.builders import an_event

ARRIVAL = Arrival(b"{}", "http")


def an_outcome(status: Status = Status.ACCEPTED) -> Outcome:
    return Outcome(status, "urn:test", "1")


@pytest.mark.parametrize(
    ("status", "is_refused"),
    [
        (Status.ACCEPTED, False),
        (Status.DUPLICATE, False),
        (Status.CONFLICT, True),
        (Status.REJECTED, True),
    ],
)
def test_refused_is_what_is_not_in_the_store(status: Status, is_refused: bool) -> None:
    assert an_outcome(status).refused is is_refused


def test_what_is_stored_has_the_events_name_and_its_contract() -> None:
    admitted = Admitted(an_event(id="7").document, ARRIVAL, "test.happened/1")

    assert stored(admitted, Status.DUPLICATE) == Outcome(
        Status.DUPLICATE, "urn:test", "7", "test.happened", contract="test.happened/1"
    )


@pytest.mark.parametrize("reason", Reason)
def test_only_a_taken_name_is_a_conflict(reason: Reason) -> None:
    outcome = refused(Rejection(ARRIVAL, reason, ()))

    expected = Status.CONFLICT if reason is Reason.CONFLICT else Status.REJECTED
    assert outcome.status is expected


def test_what_is_refused_has_every_reason() -> None:
    violations = (Violation("/id", "required", "id is missing"), Violation("", "type", "no"))

    outcome = refused(Rejection(ARRIVAL, Reason.INVALID, violations, source="urn:test"))

    assert (outcome.source, outcome.id) == ("urn:test", None)
    assert (outcome.reason, outcome.violations) == (Reason.INVALID, violations)


def test_every_status_is_counted_in_its_order_even_when_there_is_none() -> None:
    counts = count([an_outcome(Status.REJECTED), an_outcome(), an_outcome()])

    assert list(counts.items()) == [
        (Status.ACCEPTED, 2),
        (Status.DUPLICATE, 0),
        (Status.CONFLICT, 0),
        (Status.REJECTED, 1),
    ]


@given(statuses=st.lists(st.sampled_from(Status)))
def test_every_outcome_is_counted_once(statuses: list[Status]) -> None:
    assert sum(count(map(an_outcome, statuses)).values()) == len(statuses)
