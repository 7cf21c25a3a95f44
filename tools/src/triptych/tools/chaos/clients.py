"""Clients that keep a promise's other half: they resend what was not acknowledged."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeAlias

import httpx2
import orjson

from triptych.tools.chaos.house import BATCH, CLIENT_SECONDS, House, event
from triptych.tools.chaos.verdict import Findings
from triptych.tools.stores import Store

Name: TypeAlias = tuple[str, str]
"""An event's source and id."""

ACKNOWLEDGED: Final = frozenset({"accepted", "duplicate"})
RESEND_SECONDS: Final = 0.05
BATCH_EVENTS: Final = 20
PATIENCE_SECONDS: Final = 60.0
UNAVAILABLE: Final = 503


class Impatient(Exception):
    """What was waited for did not happen in time."""


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(RESEND_SECONDS)
    return True


@dataclass(slots=True)
class Ledger:
    """Which events were acknowledged. Thread-safe."""

    acknowledged: set[Name] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    """Of events."""
    answers: Counter[str] = field(default_factory=Counter)
    """Of requests, by their status; `none` when there was no answer in time."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, client: httpx2.Client, url: str, names: Sequence[Name]) -> list[Name]:
        """Send events as a batch; those that were not acknowledged."""
        body = orjson.dumps([event(*name) for name in names])
        try:
            answer = client.post(f"{url}/v1/events", content=body, headers=BATCH)
        except httpx2.TransportError:
            with self._lock:
                self.answers["none"] += 1
            return list(names)
        told = _statuses(answer)
        with self._lock:
            self.answers[_label(answer)] += 1
            self.statuses.update(told)
            if not told:
                return list(names)
            pairs = list(zip(names, told, strict=True))
            self.acknowledged |= {name for name, status in pairs if status in ACKNOWLEDGED}
            return [name for name, status in pairs if status not in ACKNOWLEDGED]

    def check(self, store: Store, findings: Findings) -> None:
        """Find that what was acknowledged is in the log, and nothing is there twice."""
        stored = Counter(store.events())
        missing = len(self.acknowledged - stored.keys())
        twice = sum(number > 1 for number in stored.values())
        findings.add(f"{len(self.acknowledged):,} acknowledged, {stored.total():,} stored")
        findings.add(f"{missing} missing", holds=not missing)
        findings.add(f"{twice} stored twice", holds=not twice)


class Load:
    """Clients that send batches, and single events between them, as long as the block lasts.

    Leaving the block waits until each has its last acknowledgement.
    """

    def __init__(self, house: House, ledger: Ledger, clients: int = 8) -> None:
        self.house = house
        self.ledger = ledger
        self._clients = clients
        self._enough = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._working: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._working = [self._pool.submit(self._work, number) for number in range(self._clients)]
        self.wait_for_more()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._pool.shutdown()
        if error is None:
            for client in self._working:
                client.result()

    def wait_for_more(self) -> None:
        """Wait until something else was acknowledged: then the load is on.

        Raises:
            Impatient: nothing was.
        """
        before = len(self.ledger.acknowledged)
        if not wait_until(lambda: len(self.ledger.acknowledged) > before):
            raise Impatient(f"nothing was acknowledged: {dict(self.ledger.answers)}")

    def _work(self, client_number: int) -> None:
        with httpx2.Client(timeout=CLIENT_SECONDS) as client:
            for request in itertools.count():
                size = BATCH_EVENTS if request % 2 else 1
                source = f"urn:chaos:client-{client_number}"
                self._insist(client, [(source, f"{request}-{index}") for index in range(size)])
                if self._enough.is_set():
                    return

    def _insist(self, client: httpx2.Client, names: list[Name]) -> None:
        end: float | None = None
        while names := self.ledger.send(client, self.house.url, names):
            if self._enough.is_set():
                end = end or time.monotonic() + PATIENCE_SECONDS
                if time.monotonic() > end:
                    raise Impatient(f"{names[0]} was never acknowledged")
            time.sleep(RESEND_SECONDS)


def _label(answer: httpx2.Response) -> str:
    if answer.status_code == UNAVAILABLE and "Retry-After" not in answer.headers:
        return "503 without Retry-After"
    return str(answer.status_code)


def _statuses(answer: httpx2.Response) -> list[str]:
    """What became of each event; empty when the answer does not say it."""
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        return []
    return [outcome["status"] for outcome in answer.json()["outcomes"]]
