"""The service dies, or has a twin."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import httpx2

from triptych.tools.chaos.clients import Ledger, Load, Name
from triptych.tools.chaos.house import CLIENT_SECONDS, House
from triptych.tools.chaos.verdict import Findings, Verdict
from triptych.tools.stores import NewStore

STORED_ONCE: Final = "0 acknowledged events are missing, 0 are stored twice"
MOMENT_SECONDS: Final = 0.5

_CLIENTS: Final = 8


def killed(new_store: NewStore, *, kills: int, seed: int) -> Verdict:
    """Kill the service under load at random moments; clients resend what was not acknowledged."""
    findings = Findings("killed (SIGKILL) under load", STORED_ONCE)
    chance = random.Random(seed)  # noqa: S311  # moments, no secrets
    ledger = Ledger()
    with House(new_store()) as house:
        with Load(house, ledger) as load:
            for _ in range(kills):
                load.wait_for_more()
                time.sleep(chance.uniform(0, MOMENT_SECONDS))
                house.kill()
            load.wait_for_more()
        findings.add(f"{house.kills} kills, {ledger.answers['none']} requests without an answer")
        ledger.check(house.store, findings)
    return findings.verdict()


def same_event(new_store: NewStore, *, times: int, connections: int) -> Verdict:
    """Send one event many times at once."""
    promised = "one is accepted, every other is a duplicate, one is stored"
    findings = Findings(f"one event {times:,} times over {connections} connections", promised)
    ledger = Ledger()
    name: Name = ("urn:chaos:same", "1")
    with House(new_store()) as house:

        def insist(number: int) -> None:
            with httpx2.Client(timeout=CLIENT_SECONDS) as client:
                for _ in range(number):
                    ledger.send(client, house.url, [name])

        shares = [len(range(start, times, connections)) for start in range(connections)]
        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(insist, shares))
        findings.add(f"answers {dict(ledger.answers)}")
        accepted, duplicate = ledger.statuses["accepted"], ledger.statuses["duplicate"]
        findings.add(f"{accepted} accepted", holds=accepted == 1)
        findings.add(f"{duplicate:,} duplicate", holds=duplicate == times - 1)
        stored = house.store.count("events")
        findings.add(f"{stored} stored", holds=stored == 1)
    return findings.verdict()


def two_replicas(new_store: NewStore, *, batches: int, size: int = 50) -> Verdict:
    """Send the same events to two services on one database, in opposite orders."""
    findings = Findings(
        "two replicas, the same events in opposite orders",
        f"every request is answered 200; {STORED_ONCE}",
    )
    store = new_store()
    names = [("urn:chaos:both", f"{number:06}") for number in range(batches * size)]
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    backwards = [part[::-1] for part in reversed(parts)]
    with ExitStack() as stack:
        houses = [stack.enter_context(House(store)) for _ in range(2)]
        ledgers = [Ledger(), Ledger()]
        pool = stack.enter_context(ThreadPoolExecutor(2 * _CLIENTS))
        # Neighbours are sent at the same time, so that both replicas hold some of each other's.
        with httpx2.Client(timeout=CLIENT_SECONDS) as client:
            sent = [
                pool.submit(ledger.send, client, house.url, part)
                for pair in zip(parts, backwards, strict=True)
                for house, ledger, part in zip(houses, ledgers, pair, strict=True)
            ]
            unacknowledged = sum(len(future.result()) for future in sent)
        answers = ledgers[0].answers + ledgers[1].answers
        findings.add(f"answers {dict(answers)}", holds=answers.keys() == {"200"})
        findings.add(f"{unacknowledged} events unacknowledged", holds=not unacknowledged)
        accepted = sum(ledger.statuses["accepted"] for ledger in ledgers)
        findings.add(f"{accepted:,} of {len(names):,} accepted", holds=accepted == len(names))
        ledgers[0].check(store, findings)
    return findings.verdict()
