"""The promise of the service, held against the real process."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import orjson

from triptych.testing.builders import invoice_json
from triptych.testing.processes import run, running

BATCH = "application/cloudevents-batch+json"


def post(url: str, events: list[dict[str, Any]]) -> list[str]:
    """Send a batch; the status of each event."""
    answer = httpx2.post(
        f"{url}/v1/events",
        content=orjson.dumps(events),
        headers={"Content-Type": BATCH},
        timeout=30,
    )
    return [outcome["status"] for outcome in answer.json()["outcomes"]]


def invoices(number: int) -> list[dict[str, Any]]:
    return [invoice_json(invoice=str(100000 + n)) for n in range(number)]


def test_of_eight_senders_of_the_same_events_each_event_is_accepted_from_one(
    environment: dict[str, str],
) -> None:
    events = invoices(50)

    with running("ingestion", environment) as server, ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda _: post(server.url, events), range(8)))

    statuses = [status for answer in answers for status in answer]
    assert statuses.count("accepted") == 50
    assert statuses.count("duplicate") == 350


def test_what_was_acknowledged_before_a_kill_is_there_after_it(
    environment: dict[str, str],
) -> None:
    events = invoices(500)
    acknowledged = []
    enough = threading.Event()

    def send(url: str) -> None:
        for event in events:
            try:
                [status] = post(url, [event])
            except httpx2.TransportError:  # it is dead
                return
            assert status == "accepted"
            acknowledged.append(event["id"])
            if len(acknowledged) == 20:
                enough.set()

    with running("ingestion", environment) as server:
        sender = threading.Thread(target=send, args=(server.url,))
        sender.start()
        assert enough.wait(30)
        server.stop(signal.SIGKILL)
        sender.join(30)
    with running("ingestion", environment) as server:
        statuses = post(server.url, events)

    again = {e["id"] for e, s in zip(events, statuses, strict=True) if s == "duplicate"}
    assert set(acknowledged) <= again
    # At most one was stored whose acknowledgement never arrived.
    assert len(again - set(acknowledged)) <= 1
    assert set(statuses) == {"accepted", "duplicate"}


def test_a_server_that_is_told_to_stop_exits_with_0(environment: dict[str, str]) -> None:
    with running("ingestion", environment) as server:
        assert post(server.url, invoices(1)) == ["accepted"]

        assert server.stop() == 0


def test_a_foreseen_error_leaves_the_process_without_a_traceback() -> None:
    ended = run("ingestion", "serve", env={"TRIPTYCH_CONTRACTS_DIR": "no/such/folder"})

    assert ended.returncode == 2
    assert ended.stderr.startswith("ingestion: error: There are no contracts")
    assert "Traceback" not in ended.stderr
