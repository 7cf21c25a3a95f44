"""The CloudEvents SDK, which others wrote, is understood in all its modes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from triptych.testing.processes import Service, running

DATA = {"invoice": "100001", "country": "Österreich", "quantity": 2, "unit_price": "3.50"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    contracts = tmp_path_factory.mktemp("contracts")
    (contracts / "shop.invoice.v1.json").write_bytes(b"{}")
    settings = {
        "TRIPTYCH_CONTRACTS_DIR": str(contracts),
        "TRIPTYCH_EVENTLOG_URL": f"sqlite:///{contracts / 'eventlog.db'}",
    }
    with running("ingestion", settings) as started:
        yield started


def an_event(id_: str) -> CloudEvent:
    attributes = {
        "id": id_,
        "source": "/tills/7",
        "type": "shop.invoice",
        "specversion": "1.0",
        "subject": 'Grüße, "Till" 100 %',
        "time": datetime(2030, 1, 1, 12, tzinfo=UTC),
        "datacontenttype": "application/json",
        "dataschema": "urn:shop:invoice",
        "till": "seven",
    }
    del attributes["dataschema"]
    return CloudEvent(attributes, DATA)


def send(service: Service, headers: dict[str, str], body: bytes) -> list[str]:
    answer = httpx2.post(f"{service.url}/v1/events", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return [outcome["status"] for outcome in answer.json()["outcomes"]]


@pytest.mark.parametrize("mode", [to_binary_event, to_structured_event])
def test_an_event_of_the_sdk_is_kept_as_it_was(
    service: Service, mode: Callable[[CloudEvent], HTTPMessage]
) -> None:
    event = an_event(mode.__name__)
    message = mode(event)

    assert send(service, message.headers, message.body) == ["accepted"]

    kept = httpx2.get(f"{service.url}/v1/events/%2Ftills%2F7/{mode.__name__}").content
    read = JSONFormat().read(CloudEvent, kept)
    assert read.get_attributes() == event.get_attributes()
    assert read.get_data() == DATA


def test_both_modes_and_a_batch_are_one_event(service: Service, tmp_path: Path) -> None:
    event = an_event("same")
    binary, structured = to_binary_event(event), to_structured_event(event)
    batch = b"[" + structured.body + b"," + orjson.dumps(orjson.loads(structured.body)) + b"]"

    statuses = [
        *send(service, binary.headers, binary.body),
        *send(service, structured.headers, structured.body),
        *send(service, {"Content-Type": "application/cloudevents-batch+json"}, batch),
    ]

    assert statuses == ["accepted", "duplicate", "duplicate", "duplicate"]
