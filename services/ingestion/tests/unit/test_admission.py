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
    Arrival,
    Candidate,
    ContractSet,
    Door,
    EventLimits,
    Reason,
    Rejection,
    conflict,
)
from triptych.testing.builders import an_event, event_json
from triptych.testing.strategies import events, json_values


def a_contract(version: int = 1, **schema: Any) -> Contract:
    return Contract("test.happened", version, {"$id": f"urn:test:{version}", **schema})


def contracts(*versions: Contract) -> ContractSet:
    return {"test.happened": versions or (a_contract(),)}


def parsed(raw: bytes, limits: EventLimits = EventLimits()) -> Candidate:  # noqa: B008  # frozen
    return Candidate.parse(Arrival(raw, "http"), limits)


def a_candidate(value: object) -> Candidate:
    return parsed(orjson.dumps(value))


def refuse(candidate: Candidate, known: ContractSet | None = None) -> Rejection:
    match Door(contracts() if known is None else known).admit(candidate):
        case Err(rejection):
            return rejection
        case Ok(admitted):
            pytest.fail(f"it was admitted: {admitted}")


def let_in(candidate: Candidate, known: ContractSet) -> Admitted:
    match Door(known).admit(candidate):
        case Ok(admitted):
            return admitted
        case Err(rejection):
            pytest.fail(f"it was refused: {rejection}")


def test_an_event_that_keeps_its_contract_is_admitted() -> None:
    candidate = a_candidate(event_json(id="7"))

    admitted = let_in(candidate, contracts())

    assert admitted == Admitted(an_event(id="7").document, candidate.arrival, "test.happened/1")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b'{"id": NaN}', b"\xff\xfe", b'"\\ud800"', b"{} {}", b"[" * 5000],
    ids=["nothing", "cut-off", "nan", "not-utf8", "lone-surrogate", "two-values", "too-deep"],
)
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    rejection = refuse(parsed(raw))

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

    assert refuse(candidate).arrival is candidate.arrival


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
    rejection = refuse(Candidate(Arrival(b"raw", "shop.csv:2"), Ok(event_json(data=data))))

    assert rejection.reason is Reason.INVALID
    assert [v.pointer for v in rejection.violations] == ["/data"]


def test_a_conflict_names_the_event_and_points_at_its_id() -> None:
    admitted = let_in(a_candidate(event_json(id="7")), contracts())

    rejection = conflict(admitted)

    assert (rejection.reason, rejection.source, rejection.id) == (Reason.CONFLICT, "urn:test", "7")
    assert [v.pointer for v in rejection.violations] == ["/id"]
    assert rejection.arrival is admitted.arrival


@given(raw=st.binary() | json_values().map(orjson.dumps))
def test_whatever_arrives_is_decided_about(raw: bytes) -> None:
    candidate = parsed(raw)

    rejection = refuse(candidate)

    assert rejection.arrival.raw == raw
    assert rejection.violations


@given(event=events().filter(lambda event: not isinstance(event.data, bytes)))
def test_what_is_admitted_is_the_event_that_was_sent(event: Event) -> None:
    uri = event.dataschema or "urn:any"
    known = {event.type: (Contract(event.type, 1, {"$id": uri}),)}

    admitted = let_in(a_candidate(event.to_json()), known)

    assert admitted.document == event.document


def test_whole_numbers_are_kept_exactly_or_refused() -> None:
    exact = event_json(data={"n": 2**63 - 1})
    too_long = orjson.dumps(exact).replace(str(2**63 - 1).encode(), b"18446744073709551616")

    assert f'"n":{2**63 - 1}' in let_in(a_candidate(exact), contracts()).document.json
    assert [v.pointer for v in refuse(parsed(too_long)).violations] == ["/data"]


@pytest.mark.parametrize(("depth", "admitted"), [(3, True), (4, False)])
def test_what_is_nested_deeper_than_the_limit_is_malformed(depth: int, admitted: bool) -> None:
    data: object = 1
    for _ in range(depth - 1):
        data = [data]
    candidate = parsed(orjson.dumps(event_json(data=data)), EventLimits(depth=3))

    decision = Door(contracts()).admit(candidate)

    assert isinstance(decision, Ok) is admitted
    assert admitted or refuse(candidate).violations[0].keyword == "depth"


def test_an_event_beyond_the_limit_is_malformed_and_kept() -> None:
    raw = orjson.dumps(event_json())

    rejection = refuse(parsed(raw, EventLimits(event_bytes=len(raw) - 1)))

    assert (rejection.reason, rejection.arrival.raw) == (Reason.MALFORMED, raw)
    assert isinstance(Door(contracts()).admit(parsed(raw, EventLimits(len(raw)))), Ok)


@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_a_name_that_no_index_can_hold_is_refused(name: str) -> None:
    rejection = refuse(a_candidate(event_json(**{name: "x" * 1025})))

    assert [(v.pointer, v.keyword) for v in rejection.violations] == [(f"/{name}", "max-bytes")]


def test_an_event_that_its_sender_may_not_send_is_refused() -> None:
    door = Door(contracts(), may_send=lambda type_: type_.startswith("shop."))

    match door.admit(a_candidate(event_json())):
        case Err(rejection):
            assert rejection.reason is Reason.FORBIDDEN
        case Ok(_):
            pytest.fail("it was admitted")


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_an_event_keeps_the_trace_that_it_came_in_and_stays_the_same_event() -> None:
    [plain, traced, own] = [
        Door(contracts(), traceparent=trace).admit(a_candidate(event_json(**members)))
        for trace, members in ((None, {}), (TRACE, {}), (TRACE, {"traceparent": "its-own"}))
    ]

    assert isinstance(plain, Ok)
    assert isinstance(traced, Ok)
    assert isinstance(own, Ok)
    assert f'"traceparent":"{TRACE}"' in traced.value.document.json
    assert '"traceparent":"its-own"' in own.value.document.json
    prints = {decision.value.document.fingerprint for decision in (plain, traced, own)}
    assert len(prints) == 1
