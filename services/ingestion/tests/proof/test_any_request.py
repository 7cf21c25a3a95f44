"""Whatever arrives at the door is answered as the OpenAPI document says, and never with 500."""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import wire
from triptych.testing.builders import event_json
from triptych.testing.conformance import conforming
from triptych.testing.strategies import json_values

ROOT = Path(__file__).parents[4]
DOCUMENTED = {200, 207, 400, 406, 413, 415, 422}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def app(new_database: Callable[[], str]) -> Iterator[FastAPI]:
    url = SecretStr(new_database())
    contracts = ROOT / "examples" / "shop" / "contracts"
    with wire(IngestionSettings(eventlog_url=url, contracts_dir=contracts)) as service:
        yield create_ingestion(service)


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


MEDIA_TYPES = st.sampled_from(
    [
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/x-ndjson",
        "application/json",
        "text/plain; charset=utf-8",
        "image/png",
        "",
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "ce-specversion",
            "ce-id",
            "ce-source",
            "ce-type",
            "ce-time",
            "ce-subject",
            "ce-x",
            "ce-data",
            "Content-Encoding",
            "Prefer",
            "Accept",
            "Idempotency-Key",
            "traceparent",
        ]
    ),
    st.sampled_from(["1.0", "gzip", "zstd", "identity", "*/*", "%FF%", '"', "return=minimal", "€"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
)
EVENTS = st.builds(
    lambda changes: {**event_json(type="shop.invoice"), **changes},
    st.dictionaries(
        st.sampled_from(["id", "source", "type", "specversion", "time", "data", "x", "X y"]),
        json_values(),
    ),
)
BODIES = (
    st.binary(max_size=200)
    | json_values().map(orjson.dumps)
    | EVENTS.map(orjson.dumps)
    | st.lists(EVENTS, max_size=4).map(orjson.dumps)
    | st.lists(EVENTS, max_size=4).map(lambda events: b"\n".join(map(orjson.dumps, events)))
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(media_type=MEDIA_TYPES, headers=HEADERS, body=BODIES)
def test_any_bytes_get_a_documented_answer(
    client: TestClient, media_type: str, headers: dict[str, str], body: bytes
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"Content-Type", media_type.encode()))

    answer = client.post("/v1/events", content=body, headers=raw)

    assert answer.status_code in DOCUMENTED, answer.text
    if answer.status_code in {200, 207} or "outcomes" in answer.json():
        receipt = answer.json()
        told = [receipt[name] for name in ("accepted", "duplicate", "conflict", "rejected")]
        assert sum(told) >= len(receipt["outcomes"])
    else:
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["type"].startswith("urn:triptych:problem:")


def test_all_answers_conform_to_the_openapi_document(app: FastAPI) -> None:
    """schemathesis: requests that the document allows, and some that it does not."""
    assert len(conforming(app)) >= 12
