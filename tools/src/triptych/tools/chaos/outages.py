"""The database goes away, or has no room, and comes back."""

import itertools
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from triptych.testing.postgres import PostgresServer
from triptych.tools.chaos.clients import UNAVAILABLE, Ledger, Load, wait_until
from triptych.tools.chaos.disk import NoDisk, small_disk
from triptych.tools.chaos.house import CLIENT_SECONDS, House
from triptych.tools.chaos.kills import STORED_ONCE
from triptych.tools.chaos.verdict import Findings, Verdict
from triptych.tools.stores import NewStore, Store, StoreName

OK: Final = 200


@dataclass(frozen=True, slots=True)
class Outage:
    """A way to go away, and to come back."""

    name: str
    begin: Callable[[PostgresServer], None]
    end: Callable[[PostgresServer], None]


OUTAGES: Final = (
    Outage("stopped", lambda server: server.stop(), lambda server: server.start()),
    Outage("killed", lambda server: server.kill(), lambda server: server.start()),
    Outage("paused", lambda server: server.pause(), lambda server: server.pause(signal.SIGCONT)),
)


def database_away(new_store: NewStore, outage: Outage, *, seconds: float) -> Verdict:
    """Take PostgreSQL away under load, and give it back."""
    findings = Findings(
        f"PostgreSQL {outage.name} under load",
        f"503 with Retry-After within {CLIENT_SECONDS:g} s; /readyz 503, /livez 200; "
        f"work goes on without a restart; {STORED_ONCE}",
    )
    store = new_store()
    server = store.server
    assert server is not None  # noqa: S101  # it is of PostgreSQL only
    ledger = Ledger()
    with House(store) as house:
        with Load(house, ledger) as load:
            outage.begin(server)
            try:
                _refused(house, findings, seconds)
            finally:
                outage.end(server)
            _recovered(house, load, findings)
        _answers(ledger, findings)
        ledger.check(house.store, findings)
    return findings.verdict()


def disk_full(*, disk_mb: int = 16, ballast_mb: int = 8) -> Verdict:
    """Fill the disk that an SQLite log is on, and make room again."""
    findings = Findings(
        "disk full (SQLite) under load",
        f"503 with Retry-After, /livez 200; work goes on without a restart; {STORED_ONCE}",
    )
    try:
        with small_disk(disk_mb) as disk:
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(ballast_mb * 1024 * 1024))
            _fill(Store(StoreName.SQLITE, f"sqlite:///{disk}/eventlog.db"), ballast, findings)
    except NoDisk as error:
        return findings.skipped(str(error))
    return findings.verdict()


def _fill(store: Store, ballast: Path, findings: Findings) -> None:
    ledger = Ledger()
    with House(store) as house:
        with Load(house, ledger) as load:
            full = wait_until(lambda: bool(ledger.answers.keys() - {"200"}))
            findings.add("it became full", holds=full)
            findings.add("/livez 200", holds=house.status("/livez") == OK)
            ballast.unlink()
            _recovered(house, load, findings)
        _answers(ledger, findings)
        ledger.check(house.store, findings)


def _refused(house: House, findings: Findings, seconds: float) -> None:
    """While the database is away, ask again and again."""
    ledger = Ledger()
    slowest = 0.0
    alive = True
    began = time.monotonic()
    with httpx2.Client(timeout=CLIENT_SECONDS) as client:
        for number in itertools.count():
            asked = time.monotonic()
            ledger.send(client, house.url, [("urn:chaos:probe", str(number))])
            slowest = max(slowest, time.monotonic() - asked)
            alive = alive and house.status("/livez") == OK
            if time.monotonic() > began + seconds:
                break
    refused = ledger.answers.keys() == {"503"}
    findings.add(f"answers {dict(ledger.answers)}, the slowest {slowest:.1f} s", holds=refused)
    findings.add("/livez 200", holds=alive)
    unready = wait_until(lambda: house.status("/readyz") == UNAVAILABLE)
    findings.add("/readyz 503", holds=unready)


def _recovered(house: House, load: Load, findings: Findings) -> None:
    began = time.monotonic()
    ready = wait_until(lambda: house.status("/readyz") == OK)
    load.wait_for_more()
    same = ready and house.service.process.poll() is None
    findings.add(f"recovered in {time.monotonic() - began:.1f} s without a restart", holds=same)


def _answers(ledger: Ledger, findings: Findings) -> None:
    foreseen = ledger.answers.keys() <= {"200", "503"}
    findings.add(f"answers to the load {dict(ledger.answers)}", holds=foreseen)
