"""The promise of the service, held against the real process."""

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import orjson

from triptych.database.engine import open_database
from triptych.eventlog.log import EventLogReader
from triptych.testing import processes
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


def test_contracts_are_read_again_on_sighup(
    environment: dict[str, str], shop: Path, tmp_path: Path
) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(shop / "contracts", contracts)
    settings = {**environment, "TRIPTYCH_CONTRACTS_DIR": str(contracts)}

    with running("ingestion", settings) as server:
        (contracts / "shop.invoice.v1.json").write_text("{")
        server.process.send_signal(signal.SIGHUP)
        notes = _until(lambda: httpx2.get(f"{server.url}/readyz").json()["notes"])
        still = post(server.url, invoices(1))
        (contracts / "shop.invoice.v1.json").write_text('{"maximum": 0}')
        (contracts / "other.v1.json").write_text("{}")
        server.process.send_signal(signal.SIGHUP)
        listed = _until(
            lambda: len(httpx2.get(f"{server.url}/v1/contracts").json()["contracts"]) == 2
        )

    assert "shop.invoice.v1.json:1:2" in notes["contracts"]
    assert (still, listed) == (["accepted"], True)


def test_a_load_that_is_killed_goes_on_and_stores_nothing_twice(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(
        b"".join(orjson.dumps({**invoice_json(), "id": str(n)}) + b"\n" for n in range(LOAD_EVENTS))
    )
    url = environment["TRIPTYCH_EVENTLOG_URL"]
    run("ingestion", "migrate", env=environment)
    reader = EventLogReader(open_database(url))
    command = [sys.executable, "-m", "triptych.ingestion", "load", str(file), "--workers", "1"]
    loading = subprocess.Popen(command, env=processes.environment(environment))
    _until(lambda: reader.newest() >= LOAD_EVENTS // 10)
    loading.kill()
    loading.wait()
    before = reader.newest()

    again = run("ingestion", "load", str(file), env=environment)

    assert before < LOAD_EVENTS
    assert again.returncode == 0
    [skipped] = re.findall(r"([\d,]+) loaded before", again.stdout)
    assert int(skipped.replace(",", "")) >= before - 2000
    pages = reader.read(["shop.invoice"], after=0, until=reader.newest())
    assert sum(map(len, pages)) == LOAD_EVENTS
    reader.engine.dispose()


LOAD_EVENTS = 60_000
T = TypeVar("T")


def _until(found: Callable[[], T]) -> T:
    """What is found, as soon as it is there."""
    deadline = time.monotonic() + 30
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return value
