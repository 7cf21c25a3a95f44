"""Every way in that CloudEvents 1.0.2 has over HTTP (CE-HTTP), on every database."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from backports import zstd
from fastapi.testclient import TestClient
from pydantic import SecretStr

from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.settings import (
    IdempotencySettings,
    IngestionSettings,
    LimitSettings,
    WebhookSettings,
)
from triptych.ingestion.wiring import wire
from triptych.testing.builders import event_json, invoice_json

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
ATTRIBUTES = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "urn:till",
    "ce-type": "shop.invoice",
    "Content-Type": "application/json",
}
DATA = invoice_json()["data"]
Client = Callable[..., TestClient]


@pytest.fixture
def contracts(tmp_path: Path, shop: Path) -> Path:
    """The shop's contracts, and others for data that is no JSON."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    name = "shop.invoice.v1.json"
    (folder / name).write_bytes((shop / "contracts" / name).read_bytes())
    (folder / "any.v1.json").write_bytes(b"{}")
    (folder / "picture.v1.json").write_bytes(b'{"contentEncoding": "base64"}')
    return folder


@pytest.fixture
def make(contracts: Path, new_database: Callable[[], str]) -> Iterator[Client]:
    """Make a client of a service with other settings than the usual ones."""
    open_: list[Any] = []

    def made(**sections: Any) -> TestClient:
        url = SecretStr(new_database())
        settings = IngestionSettings(eventlog_url=url, contracts_dir=contracts, **sections)
        wired = wire(settings)
        client = TestClient(create_ingestion(wired.__enter__()))
        open_.extend([wired, client])
        return client.__enter__()

    yield made
    for context in reversed(open_):
        context.__exit__(None, None, None)


@pytest.fixture
def client(make: Client) -> TestClient:
    return make()


def post(client: TestClient, body: object, headers: dict[str, str]) -> Any:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post("/v1/events", content=content, headers=headers)


def statuses(answer: Any) -> list[str]:
    return [outcome["status"] for outcome in answer.json()["outcomes"]]


def kept(client: TestClient, source: str = "urn:till", id_: str = "1") -> Any:
    return client.get(f"/v1/events/{source}/{id_}").json()


def test_binary_mode_is_the_same_event_as_structured_mode(client: TestClient) -> None:
    structured = {**invoice_json(), "id": "1", "source": "urn:till"}
    del structured["time"]
    structured["datacontenttype"] = "application/json"

    first = post(client, DATA, ATTRIBUTES)
    second = post(client, structured, STRUCTURED)

    assert (statuses(first), statuses(second)) == (["accepted"], ["duplicate"])
    assert kept(client) == structured


@pytest.mark.parametrize(
    ("header", "value"),
    [  # CE-HTTP 3.1.3.2
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"quoted \\"text\\""', 'quoted "text"'),
        ("100%25", "100%"),
        ("plain", "plain"),
    ],
)
def test_headers_are_decoded(client: TestClient, header: str, value: str) -> None:
    post(client, DATA, {**ATTRIBUTES, "ce-subject": header})

    assert kept(client)["subject"] == value


@pytest.mark.parametrize(
    "change",
    [{"ce-id": ""}, {"ce-subject": "%FF"}, {"ce-data": "x"}, {"ce-datacontenttype": "text/plain"}],
    ids=["empty", "not-utf8", "data", "datacontenttype"],
)
def test_headers_that_are_no_attributes_are_refused(
    client: TestClient, change: dict[str, str]
) -> None:
    answer = post(client, DATA, {**ATTRIBUTES, **change})

    assert (answer.status_code, statuses(answer)) == (422, ["rejected"])


@pytest.mark.parametrize(
    ("type_", "media_type", "body", "member"),
    [
        ("any", "application/json", b'{"n": [1]}', {"data": {"n": [1]}}),
        ("any", "application/vnd.shop+json", b"5", {"data": 5}),
        ("any", "text/plain; charset=utf-8", "Grüße".encode(), {"data": "Grüße"}),
        ("picture", "image/png", b"\x89PNG", {"data_base64": "iVBORw=="}),
        ("picture", "text/plain; charset=latin-1", b"Gr\xfc\xdfe", {"data_base64": "R3L832U="}),
        ("any", "application/json", b"", {}),
    ],
)
def test_data_of_every_kind_is_kept(
    client: TestClient, type_: str, media_type: str, body: bytes, member: dict[str, object]
) -> None:
    headers = {**ATTRIBUTES, "ce-type": type_, "Content-Type": media_type}

    assert statuses(post(client, body, headers)) == ["accepted"]

    event = kept(client)
    assert {k: v for k, v in event.items() if k.startswith("data")} == {
        "datacontenttype": media_type,
        **member,
    }


def test_data_that_is_no_json_though_it_says_so_is_kept_as_a_rejection(
    client: TestClient,
) -> None:
    answer = post(client, b"{nonsense", ATTRIBUTES)

    [rejection] = client.get("/v1/rejections").json()["rejections"]
    assert (answer.status_code, rejection["reason"]) == (422, "malformed")
    assert orjson.loads(rejection["raw"])["data_base64"] == "e25vbnNlbnNl"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/cloudevents+avro",
        "application/cloudevents+json; charset=utf-16",
        "",
    ],
)
def test_what_is_in_no_mode_is_answered_with_415(client: TestClient, content_type: str) -> None:
    answer = post(client, invoice_json(), {"Content-Type": content_type})

    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:triptych:problem:not-understood"


def test_a_stream_is_answered_event_by_event(client: TestClient) -> None:
    lines = [
        orjson.dumps(invoice_json(invoice="100001")),
        b"",
        b"nonsense",
        orjson.dumps(invoice_json(invoice="100001")),
        orjson.dumps(invoice_json(invoice="100001", quantity=5)),
    ]

    answer = post(client, b"\r\n".join(lines), NDJSON)

    assert answer.status_code == 207
    assert statuses(answer) == ["accepted", "rejected", "duplicate", "conflict"]


def test_of_a_stream_that_is_too_long_the_first_events_are_taken(make: Client) -> None:
    client = make(limits=LimitSettings(stream_events=500))
    lines = b"\n".join(orjson.dumps(event_json(type="any", id=str(n))) for n in range(501))

    answer = post(client, lines, NDJSON)

    assert answer.status_code == 413
    assert "the first 500 were taken" in answer.json()["detail"]
    assert kept(client, "urn:test", "499")["id"] == "499"


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_body_may_be_packed(
    client: TestClient, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = pack(orjson.dumps([invoice_json(invoice=str(100000 + n)) for n in range(100)]))

    answer = post(client, body, {**BATCH, "Content-Encoding": encoding})

    assert (answer.status_code, answer.json()["accepted"]) == (200, 100)


def test_the_limit_counts_what_is_unpacked(make: Client) -> None:
    client = make(limits=LimitSettings(body_bytes=4096))

    answer = post(client, gzip.compress(b" " * 1_000_000), {**BATCH, "Content-Encoding": "gzip"})

    assert answer.status_code == 413


def test_who_prefers_a_minimal_answer_is_told_of_refusals_only(client: TestClient) -> None:
    batch = [invoice_json(invoice="100001"), invoice_json(invoice="1"), invoice_json(quantity=3)]

    answer = post(client, batch, {**BATCH, "Prefer": "return=minimal"})

    assert answer.headers["preference-applied"] == "return=minimal"
    assert answer.json()["accepted"] == 1
    told = [(outcome["index"], outcome["status"]) for outcome in answer.json()["outcomes"]]
    assert told == [(1, "rejected"), (2, "conflict")]


def test_who_accepts_no_json_gets_406_and_nothing_is_stored(client: TestClient) -> None:
    answer = post(client, invoice_json(), {**STRUCTURED, "Accept": "text/html"})

    assert answer.status_code == 406
    assert client.get("/v1/events/urn:test/100001").status_code == 404


def test_the_first_answer_is_repeated_under_its_key(client: TestClient) -> None:
    headers = {**STRUCTURED, "Idempotency-Key": "order-7"}

    answers = [post(client, invoice_json(), headers) for _ in range(3)]

    assert [statuses(answer) for answer in answers] == [["accepted"]] * 3
    assert len({answer.content for answer in answers}) == 1


def test_a_key_is_for_one_body(client: TestClient) -> None:
    headers = {**STRUCTURED, "Idempotency-Key": "order-7"}
    post(client, invoice_json(), headers)

    answer = post(client, invoice_json(quantity=5), headers)

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:triptych:problem:key-used-otherwise"


def test_a_key_whose_request_could_not_be_read_is_free_again(client: TestClient) -> None:
    headers = {**STRUCTURED, "Idempotency-Key": "order-7"}

    assert post(client, b"{", headers).status_code == 400
    assert post(client, invoice_json(), headers).status_code == 200


def test_an_answer_is_forgotten_in_time(make: Client) -> None:
    client = make(idempotency=IdempotencySettings(hours=1e-9))
    headers = {**STRUCTURED, "Idempotency-Key": "order-7"}

    answers = [post(client, invoice_json(), headers) for _ in range(2)]

    assert [statuses(answer) for answer in answers] == [["accepted"], ["duplicate"]]


@pytest.mark.parametrize("headers", [{**STRUCTURED, "Idempotency-Key": "x" * 256}, NDJSON])
def test_a_key_that_cannot_be_used_is_answered_with_400(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = post(client, invoice_json(), {"Idempotency-Key": "x", **headers})

    assert answer.json()["type"] == "urn:triptych:problem:wrong-idempotency-key"
    assert answer.status_code == 400


def test_the_handshake_permits_a_webhook(make: Client) -> None:
    client = make(webhook=WebhookSettings(origins=("shop.example",), rate=120))

    def ask(origin: str) -> Any:
        headers = {"WebHook-Request-Origin": origin, "WebHook-Request-Rate": "500"}
        return client.options("/v1/events", headers=headers)

    granted, refused = ask("shop.example"), ask("other.example")

    assert granted.status_code == 200
    assert granted.headers["webhook-allowed-origin"] == "shop.example"
    assert granted.headers["webhook-allowed-rate"] == "120"
    assert "POST" in granted.headers["allow"]
    assert refused.status_code == 403
    assert "webhook-allowed-origin" not in refused.headers


def test_another_method_is_answered_with_405_and_those_that_there_are(client: TestClient) -> None:
    answer = client.put("/v1/events")

    assert answer.status_code == 405
    assert {"POST", "OPTIONS"} & set(answer.headers["allow"].replace(" ", "").split(","))


def test_the_trace_is_kept_in_the_event_and_is_no_part_of_it(client: TestClient) -> None:
    traces = [f"00-{n * 32}-b7ad6b7169203331-01" for n in "ab"]

    answers = [post(client, invoice_json(), {**STRUCTURED, "traceparent": t}) for t in traces]

    assert [statuses(answer) for answer in answers] == [["accepted"], ["duplicate"]]
    assert kept(client, "urn:test", "100001")["traceparent"] == traces[0]


def test_an_event_is_found_by_names_with_slashes(client: TestClient) -> None:
    post(client, event_json(type="any", source="/a/b", id="c/d?e"), STRUCTURED)

    found = client.get("/v1/events/%2Fa%2Fb/c%2Fd%3Fe")

    assert found.headers["content-type"] == "application/cloudevents+json"
    assert (found.json()["source"], found.json()["id"]) == ("/a/b", "c/d?e")
    assert client.get("/v1/events/a/b/c").status_code == 404


def test_contracts_are_shown(client: TestClient) -> None:
    listed = client.get("/v1/contracts").json()["contracts"]
    shown = client.get("/v1/contracts/shop.invoice").json()

    assert [contract["id"] for contract in listed] == ["any/1", "picture/1", "shop.invoice/1"]
    assert shown["versions"][0]["json_schema"]["type"] == "object"
    assert client.get("/v1/contracts/none").json()["type"].endswith("no-such-contract")
