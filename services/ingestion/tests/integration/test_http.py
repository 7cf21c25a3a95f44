"""`POST /v1/events` and its neighbours, over the real store."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from triptych.database.engine import reading
from triptych.eventlog.log import EventLogReader, events
from triptych.ingestion.entrypoints.cloudevents import BATCH, STRUCTURED
from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.infrastructure.tables import metadata, rejections
from triptych.ingestion.settings import IngestionSettings, LimitSettings
from triptych.ingestion.wiring import Ingestion, wire
from triptych.testing.builders import invoice_json

Serve = Callable[[LimitSettings], TestClient]


@pytest.fixture
def serve(settings: IngestionSettings) -> Iterator[Serve]:
    """Make a client of the service with these limits."""
    with ExitStack() as stack:

        def make(limits: LimitSettings) -> TestClient:
            limited = settings.model_copy(update={"limits": limits})
            service = stack.enter_context(wire(limited))
            return stack.enter_context(TestClient(create_ingestion(service)))

        yield make


@pytest.fixture
def client(service: Ingestion) -> Iterator[TestClient]:
    with TestClient(create_ingestion(service)) as client:
        yield client


def post(client: TestClient, body: object, content_type: str | None = None) -> Any:
    """Send events as the media type that fits, or as the given one."""
    fitting = BATCH if isinstance(body, list) else STRUCTURED
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post(
        "/v1/events",
        content=content,
        headers={"Content-Type": fitting if content_type is None else content_type},
    )


def statuses(answer: Any) -> list[str]:
    return [outcome["status"] for outcome in answer.json()["outcomes"]]


def stored(service: Ingestion) -> list[str]:
    """The ids in the event log, in their order."""
    log = EventLogReader(service.store.engine)
    pages = log.read(["shop.invoice"], after=0, until=log.newest())
    return [entry.event.id for page in pages for entry in page]


def test_one_event_is_stored_before_it_is_acknowledged(
    client: TestClient, service: Ingestion
) -> None:
    answer = post(client, invoice_json(invoice="100007"))

    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
        "outcomes": [
            {
                "index": 0,
                "status": "accepted",
                "source": "urn:test",
                "id": "100007",
                "reason": None,
                "contract": "shop.invoice/1",
                "violations": [],
            }
        ],
    }
    assert stored(service) == ["100007"]


def test_a_batch_is_stored_in_its_order(client: TestClient, service: Ingestion) -> None:
    names = ["100003", "100001", "100002"]

    answer = post(client, [invoice_json(invoice=name) for name in names])

    assert answer.status_code == 200
    assert [outcome["id"] for outcome in answer.json()["outcomes"]] == names
    assert stored(service) == names


def test_a_batch_with_refused_events_is_answered_with_207(client: TestClient) -> None:
    answer = post(
        client,
        [
            invoice_json(invoice="100001", quantity=0),
            invoice_json(invoice="100002"),
            {"id": "no event"},
            invoice_json(invoice="100002"),
        ],
    )

    assert answer.status_code == 207
    assert statuses(answer) == ["rejected", "accepted", "rejected", "duplicate"]
    assert [outcome["index"] for outcome in answer.json()["outcomes"]] == [0, 1, 2, 3]


def test_a_request_whose_events_are_all_refused_is_answered_with_422(client: TestClient) -> None:
    answer = post(client, [invoice_json(quantity=0), invoice_json(country="")])

    assert answer.status_code == 422
    assert statuses(answer) == ["rejected", "rejected"]


def test_a_refused_event_is_answered_with_every_rule_it_breaks(client: TestClient) -> None:
    answer = post(client, invoice_json(invoice="A1", country="", unit_price="0"))

    [outcome] = answer.json()["outcomes"]
    assert (outcome["reason"], outcome["contract"]) == ("contract", "shop.invoice/1")
    pointers = {violation["pointer"] for violation in outcome["violations"]}
    assert pointers == {"/data/invoice", "/data/country", "/data/unit_price"}


def test_a_refused_event_is_kept_as_it_arrived(client: TestClient, service: Ingestion) -> None:
    body = b' {"specversion": "1.0",\n "id": "x"} '

    post(client, body, STRUCTURED)

    with reading(service.store.engine) as connection:
        kept = connection.execute(sa.select(rejections.c.raw, rejections.c.origin)).all()
    assert [tuple(row) for row in kept] == [(body, "http")]


def test_events_that_are_sent_again_are_duplicates(client: TestClient, service: Ingestion) -> None:
    batch = [invoice_json(invoice="100001"), invoice_json(invoice="100002")]
    post(client, batch)

    answer = post(client, batch)

    assert answer.status_code == 200
    assert statuses(answer) == ["duplicate", "duplicate"]
    assert stored(service) == ["100001", "100002"]


def test_an_event_may_be_written_in_another_way_and_is_the_same(client: TestClient) -> None:
    event = invoice_json()
    post(client, event)

    answer = post(client, orjson.dumps(event, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))

    assert statuses(answer) == ["duplicate"]


def test_other_content_under_a_taken_name_is_a_conflict(client: TestClient) -> None:
    post(client, invoice_json(quantity=1))

    answer = post(client, invoice_json(quantity=2))

    assert answer.status_code == 422
    [outcome] = answer.json()["outcomes"]
    assert (outcome["status"], outcome["reason"]) == ("conflict", "conflict")
    assert [violation["pointer"] for violation in outcome["violations"]] == ["/id"]


def test_a_batch_may_be_empty(client: TestClient) -> None:
    answer = post(client, [])

    assert (answer.status_code, answer.json()["outcomes"]) == (200, [])


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"'])
def test_json_that_is_no_event_is_refused(client: TestClient, body: bytes) -> None:
    answer = post(client, body, STRUCTURED)

    assert answer.status_code == 422
    assert answer.json()["outcomes"][0]["reason"] == "invalid"


@pytest.mark.parametrize(
    "content_type",
    [f"{STRUCTURED}; charset=utf-8", STRUCTURED.upper(), f" {STRUCTURED} ;x=y"],
)
def test_a_media_type_may_have_parameters_and_capitals(
    client: TestClient, content_type: str
) -> None:
    assert post(client, invoice_json(), content_type).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_other_content_is_answered_with_415(client: TestClient, content_type: str) -> None:
    answer = post(client, invoice_json(), content_type)

    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:triptych:problem:not-understood"
    assert STRUCTURED in answer.json()["hint"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"", STRUCTURED), (b"{", STRUCTURED), (b"\xff", BATCH), (b"[{},", BATCH), (b"{}", BATCH)],
    ids=["nothing", "cut-off", "not-utf8", "cut-off-batch", "batch-that-is-no-array"],
)
def test_what_cannot_be_read_is_answered_with_400(
    client: TestClient, body: bytes, content_type: str
) -> None:
    answer = post(client, body, content_type)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:triptych:problem:not-json"


def test_an_event_that_is_nested_too_deeply_is_refused(client: TestClient) -> None:
    deep = orjson.dumps(invoice_json()).replace(b'"France"', b"[" * 400 + b"]" * 400)

    for answer in (post(client, deep), post(client, b"[" + deep + b"]", BATCH)):
        assert answer.status_code == 422
        assert answer.json()["outcomes"][0]["violations"][0]["keyword"] == "depth"


def test_a_body_of_just_the_limit_is_taken(serve: Serve) -> None:
    body = orjson.dumps(invoice_json()).ljust(1024)

    assert post(serve(LimitSettings(body_bytes=1024)), body).status_code == 200


def test_a_body_beyond_the_limit_is_answered_with_413(serve: Serve, service: Ingestion) -> None:
    body = orjson.dumps(invoice_json()).ljust(1025)

    answer = post(serve(LimitSettings(body_bytes=1024)), body)

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:triptych:problem:body-too-large"
    assert stored(service) == []


def test_too_many_events_are_answered_with_413(serve: Serve, service: Ingestion) -> None:
    batch = [invoice_json(invoice=str(100000 + n)) for n in range(3)]

    answer = post(serve(LimitSettings(batch_events=2)), batch)

    assert answer.status_code == 413
    assert "3 events; at most 2 are allowed" in answer.json()["detail"]
    assert stored(service) == []


def test_a_service_with_its_store_is_ready(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200


def test_a_service_without_its_store_is_alive_and_not_ready(
    client: TestClient, service: Ingestion
) -> None:
    metadata.drop_all(service.store.engine)

    assert client.get("/livez").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "TRIPTYCH_EVENTLOG_URL" in answer.json()["failures"]["store"]


def test_an_event_that_cannot_be_stored_is_not_acknowledged(
    client: TestClient, service: Ingestion
) -> None:
    events.drop(service.store.engine)

    answer = post(client, invoice_json())

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["type"] == "urn:triptych:problem:database-away"


def test_answered_events_are_counted_by_their_status(client: TestClient) -> None:
    post(client, [invoice_json(invoice="100001"), invoice_json(invoice="100002"), {}])
    post(client, invoice_json(invoice="100001"))

    lines = client.get("/metrics").text.splitlines()

    assert {line for line in lines if line.startswith("ingestion_events_total{")} == {
        'ingestion_events_total{status="accepted",type="shop.invoice"} 2.0',
        'ingestion_events_total{status="duplicate",type="shop.invoice"} 1.0',
        'ingestion_events_total{status="rejected",type="(other)"} 1.0',
    }


def operation(client: TestClient) -> Any:
    return client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]


def test_the_service_describes_itself_in_openapi_3_1(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1.")
    assert {"/v1/events", "/livez", "/readyz", "/metrics"} <= document["paths"].keys()


def test_every_answer_of_the_door_is_described(client: TestClient) -> None:
    responses = operation(client)["responses"]

    assert {"200", "207", "422", "default"} <= responses.keys()


@pytest.mark.parametrize("media_type", [STRUCTURED, BATCH])
def test_the_example_in_the_description_is_accepted(client: TestClient, media_type: str) -> None:
    example = operation(client)["requestBody"]["content"][media_type]["example"]

    answer = post(client, example, media_type)

    assert statuses(answer) == ["accepted"]
