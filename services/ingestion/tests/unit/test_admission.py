"""Which candidates are let in, and what is told about the others."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.contract import Contract
from triptych.core.domain.event import Event
from triptych.core.domain.result import Err, Ok
from triptych.ingestion.domain.admission import (
    Admitted,
    Candidate,
    ContractSet,
    Reason,
    Rejection,
    admit,
    conflict,
)
from triptych.testing.builders import an_event, event_json
from triptych.testing.strategies import events, json_values


def a_contract(version: int = 1, **schema: Any) -> Contract:
    return Contract("test.happened", version, {"$id": f"urn:test:{version}", **schema})


def contracts(*versions: Contract) -> ContractSet:
    return {"test.happened": versions or (a_contract(),)}


def a_candidate(value: object) -> Candidate:
    return Candidate.parse(orjson.dumps(value), "http")


def refuse(candidate: Candidate, known: ContractSet | None = None) -> Rejection:
    match admit(candidate, contracts() if known is None else known):
        case Err(rejection):
            return rejection
        case Ok(admitted):
            pytest.fail(f"it was admitted: {admitted}")


def let_in(candidate: Candidate, known: ContractSet) -> Admitted:
    match admit(candidate, known):
        case Ok(admitted):
            return admitted
        case Err(rejection):
            pytest.fail(f"it was refused: {rejection}")


def test_an_event_that_keeps_its_contract_is_admitted() -> None:
    candidate = a_candidate(event_json(id="7"))

    admitted = let_in(candidate, contracts())

    assert admitted == Admitted(an_event(id="7"), candidate, "test.happened/1")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"id": NaN}', b"\xff\xfe", b'"\\ud800"', b"{} {}", b"[" * 5000],
    ids=["nothing", "cut-off", "nan", "not-utf8", "lone-surrogate", "two-values", "too-deep"],
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    rejection = refuse(Candidate.parse(raw, "http"))

    assert rejection.reason is Reason.MALFORMED
    assert [v.keyword for v in rejection.violations] == ["json"]


@pytest.mark.parametrize("value", [None, True, 1, "text", [], {}, [event_json()]])
def test_json_that_is_no_event_is_invalid(value: object) -> None:
    assert refuse(a_candidate(value)).reason is Reason.INVALID


def test_every_rule_of_cloudevents_that_is_broken_is_told() -> None:
    candidate = a_candidate(event_json(specversion="0.3", id="", source="a b", time="noon"))

    rejection = refuse(candidate)

    pointers = {violation.pointer for violation in rejection.violations}
    assert pointers == {"/specversion", "/id", "/source", "/time"}


def test_a_rejection_keeps_the_names_that_can_be_read() -> None:
    rejection = refuse(a_candidate(event_json(specversion="0.3", id=5)))

    assert (rejection.source, rejection.id, rejection.type) == ("urn:test", None, "test.happened")


def test_a_rejection_keeps_what_arrived() -> None:
    candidate = a_candidate(event_json(type="test.other"))

    assert refuse(candidate).candidate is candidate


def test_an_event_of_an_unknown_type_is_refused() -> None:
    rejection = refuse(a_candidate(event_json(type="test.other")))

    assert rejection.reason is Reason.UNKNOWN
    assert [v.pointer for v in rejection.violations] == ["/type"]


def test_an_event_without_dataschema_is_held_to_the_newest_version() -> None:
    known = contracts(a_contract(1), a_contract(2, required=["m"]))

    rejection = refuse(a_candidate(event_json(data={"n": 1})), known)

    assert rejection.contract == "test.happened/2"


def test_dataschema_chooses_the_version() -> None:
    known = contracts(a_contract(1), a_contract(2, required=["m"]))
    candidate = a_candidate(event_json(dataschema="urn:test:1", data={"n": 1}))

    assert let_in(candidate, known).contract == "test.happened/1"


def test_a_dataschema_of_no_version_is_refused() -> None:
    rejection = refuse(a_candidate(event_json(dataschema="urn:test:9")))

    assert rejection.reason is Reason.UNKNOWN
    assert [v.pointer for v in rejection.violations] == ["/dataschema"]


def test_every_rule_of_the_contract_that_is_broken_is_told() -> None:
    schema = {"properties": {"n": {"type": "string"}, "m": {"maximum": 3}}, "required": ["k"]}

    rejection = refuse(
        a_candidate(event_json(data={"n": 1, "m": 4})), contracts(a_contract(1, **schema))
    )

    assert rejection.reason is Reason.CONTRACT
    assert {(v.pointer, v.keyword) for v in rejection.violations} == {
        ("/data/n", "type"),
        ("/data/m", "maximum"),
        ("/data", "required"),
    }


def test_a_rejection_by_contract_names_the_event_and_the_contract() -> None:
    rejection = refuse(a_candidate(event_json()), contracts(a_contract(3, required=["k"])))

    assert (rejection.source, rejection.id) == ("urn:test", "1")
    assert (rejection.type, rejection.contract) == ("test.happened", "test.happened/3")


def test_binary_data_breaks_every_contract() -> None:
    event = event_json(data_base64="AAEC")
    del event["data"]

    rejection = refuse(a_candidate(event))

    assert rejection.reason is Reason.CONTRACT
    assert [v.pointer for v in rejection.violations] == ["/data"]


@pytest.mark.parametrize(
    "data",
    [{"n": "\ud800"}, {"n": 2**64}, orjson.loads(b"[" * 300 + b"]" * 300)],
    ids=["lone-surrogate", "beyond-64-bits", "too-deep"],
)
def test_data_that_cannot_be_written_as_json_is_refused(data: Any) -> None:
    rejection = refuse(Candidate(b"raw", "shop.csv:2", Ok(event_json(data=data))))

    assert rejection.reason is Reason.INVALID
    assert [v.pointer for v in rejection.violations] == ["/data"]


def test_a_conflict_names_the_event_and_points_at_its_id() -> None:
    admitted = let_in(a_candidate(event_json(id="7")), contracts())

    rejection = conflict(admitted)

    assert (rejection.reason, rejection.source, rejection.id) == (Reason.CONFLICT, "urn:test", "7")
    assert [v.pointer for v in rejection.violations] == ["/id"]
    assert rejection.candidate is admitted.candidate


@given(raw=st.binary() | json_values().map(orjson.dumps))
def test_whatever_arrives_is_decided_about(raw: bytes) -> None:
    candidate = Candidate.parse(raw, "http")

    rejection = refuse(candidate)

    assert rejection.candidate.raw == raw
    assert rejection.violations


@given(event=events().filter(lambda event: not isinstance(event.data, bytes)))
def test_what_is_admitted_is_the_event_that_was_sent(event: Event) -> None:
    uri = event.dataschema or "urn:any"
    known = {event.type: (Contract(event.type, 1, {"$id": uri}),)}

    admitted = let_in(a_candidate(event.to_json()), known)

    assert admitted.event == event
