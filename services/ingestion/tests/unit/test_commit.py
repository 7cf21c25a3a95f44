"""Requests that arrive together share a transaction, and each is answered after it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.clock import FixedClock
from triptych.core.domain.result import Ok
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.commit import (
    CommitLimits,
    GroupCommit,
    NoAnswerInTime,
    Overloaded,
)
from triptych.ingestion.domain.admission import Admitted, Arrival, Decision
from triptych.ingestion.domain.outcome import Outcome, Status, stored
from triptych.testing.builders import NOON, an_event

SECONDS = 10.0


class Away(TriptychError):
    """The store is away."""

    kind = Kind.UNAVAILABLE


@dataclass
class GatedStore:
    """A store whose commits wait until they are let through."""

    open: bool = True
    groups: list[list[str]] = field(default_factory=list)
    """The ids of each commit, in their order."""
    failing: bool = False
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        self.groups.append([_id(decision) for decision in decisions])
        self.began.release()
        if not self.open:
            assert self.gate.acquire(timeout=SECONDS)
        if self.failing:
            raise Away
        return [stored(_admitted(decision), Status.ACCEPTED) for decision in decisions]


def _admitted(decision: Decision) -> Admitted:
    assert isinstance(decision, Ok)
    return decision.value


def _id(decision: Decision) -> str:
    return _admitted(decision).document.id


def decisions(*ids: str) -> list[Decision]:
    return [Ok(Admitted(an_event(id=id_).document, Arrival(b"x", "test"), "t/1")) for id_ in ids]


@dataclass
class Bench:
    """A group commit on a store with a gate."""

    store: GatedStore
    commit: GroupCommit

    def send(self, *ids: str, size: int = 1) -> "asyncio.Task[list[Outcome]]":
        return asyncio.create_task(self.commit(decisions(*ids), size))

    async def begun(self) -> None:
        """Wait until a commit is under way."""
        assert await asyncio.to_thread(self.store.began.acquire, timeout=SECONDS)


@asynccontextmanager
async def a_bench(store: GatedStore, limits: CommitLimits) -> AsyncIterator[Bench]:
    with ThreadPoolExecutor(limits.writers) as threads:
        yield Bench(store, GroupCommit(store, FixedClock(NOON), limits, threads, lambda *_: None))
        store.open = True
        store.gate.release(100)


Scenario = Callable[[Bench], Coroutine[Any, Any, None]]


def play(scenario: Scenario, limits: CommitLimits | None = None, *, open_: bool = False) -> None:
    async def run() -> None:
        async with a_bench(GatedStore(open=open_), limits or CommitLimits()) as bench:
            await scenario(bench)

    asyncio.run(run())


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def ids(outcomes: Sequence[Outcome]) -> list[str | None]:
    return [outcome.id for outcome in outcomes]


def test_what_arrives_during_a_commit_is_stored_together_in_the_next() -> None:
    async def scenario(bench: Bench) -> None:
        first = bench.send("1")
        await bench.begun()
        others = [bench.send("2"), bench.send("3", "4"), bench.send("5")]
        await settle()

        bench.store.gate.release(2)
        answers = await asyncio.gather(first, *others)

        assert bench.store.groups == [["1"], ["2", "3", "4", "5"]]
        assert [ids(answer) for answer in answers] == [["1"], ["2"], ["3", "4"], ["5"]]

    play(scenario)


def test_nobody_is_answered_before_the_commit() -> None:
    async def scenario(bench: Bench) -> None:
        waiting = bench.send("1")
        await bench.begun()
        await settle()
        assert not waiting.done()

        bench.store.gate.release()

        assert ids(await waiting) == ["1"]

    play(scenario)


def test_a_request_is_never_split_and_a_large_one_goes_alone() -> None:
    async def scenario(bench: Bench) -> None:
        bench.send("0")
        await bench.begun()
        sizes = (2, 2, 7, 1)
        waiting = [bench.send(*(f"{n}-{k}" for k in range(size))) for n, size in enumerate(sizes)]
        await settle()

        bench.store.gate.release(10)
        await asyncio.gather(*waiting)

        assert [len(group) for group in bench.store.groups] == [1, 4, 7, 1]

    play(scenario, CommitLimits(group_events=5))


@pytest.mark.parametrize(
    "limits", [CommitLimits(queue_events=2), CommitLimits(queue_bytes=2)], ids=["events", "bytes"]
)
def test_a_full_queue_says_so_at_once_and_empties(limits: CommitLimits) -> None:
    async def scenario(bench: Bench) -> None:
        first = bench.send("1")
        await bench.begun()
        second = bench.send("2")
        await settle()

        with pytest.raises(Overloaded):
            await bench.send("3")

        bench.store.gate.release(10)
        await asyncio.gather(first, second)
        assert ids(await bench.send("4")) == ["4"]
        assert (bench.commit.events, bench.commit.bytes) == (0, 0)

    play(scenario, limits)


def test_what_is_larger_than_the_queue_is_taken_when_nothing_else_waits() -> None:
    async def scenario(bench: Bench) -> None:
        assert len(await bench.send("1", "2", "3")) == 3

    play(scenario, CommitLimits(queue_events=2), open_=True)


def test_who_waits_too_long_is_told_and_what_waited_is_not_stored() -> None:
    async def scenario(bench: Bench) -> None:
        first = bench.send("1")
        await bench.begun()
        second = bench.send("2")

        for waiting in (first, second):
            with pytest.raises(NoAnswerInTime):
                await waiting
        third = bench.send("3")
        await settle()
        bench.store.gate.release(10)

        assert ids(await third) == ["3"]
        assert bench.store.groups == [["1"], ["3"]]

    play(scenario, CommitLimits(seconds=0.05))


def test_a_request_that_was_given_up_is_not_stored() -> None:
    async def scenario(bench: Bench) -> None:
        first = bench.send("1")
        await bench.begun()
        gone, stays = bench.send("2"), bench.send("3")
        await settle()
        gone.cancel()
        await settle()

        bench.store.gate.release(10)
        await asyncio.gather(first, stays)

        assert bench.store.groups == [["1"], ["3"]]

    play(scenario)


def test_an_error_reaches_those_of_its_group_and_nobody_else() -> None:
    async def scenario(bench: Bench) -> None:
        first = bench.send("1")
        await bench.begun()
        bench.store.failing = True
        second = bench.send("2")
        await settle()
        bench.store.gate.release(1)
        with pytest.raises(Away):
            await first
        await bench.begun()
        bench.store.gate.release(1)
        with pytest.raises(Away):
            await second
        bench.store.failing = False
        bench.store.gate.release(1)

        assert ids(await bench.send("3")) == ["3"]

    play(scenario)


def test_nothing_is_stored_of_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        assert await bench.commit([], 0) == []
        assert bench.store.groups == []

    play(scenario)


@given(
    requests=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=20),
    writers=st.integers(1, 3),
)
def test_whenever_requests_come_each_is_stored_once_and_answered(
    requests: list[tuple[int, int]], writers: int
) -> None:
    async def scenario(bench: Bench) -> None:
        waiting = []
        for n, (events, pauses) in enumerate(requests):
            waiting.append(bench.send(*(f"{n}-{k}" for k in range(events))))
            for _ in range(pauses):
                await asyncio.sleep(0)

        async with asyncio.timeout(SECONDS):
            answers = await asyncio.gather(*waiting)

        expected = [[f"{n}-{k}" for k in range(events)] for n, (events, _) in enumerate(requests)]
        assert [ids(answer) for answer in answers] == expected
        told = sorted(id_ for group in bench.store.groups for id_ in group)
        assert told == sorted(id_ for request in expected for id_ in request)
        assert (bench.commit.events, bench.commit.bytes) == (0, 0)

    play(scenario, CommitLimits(group_events=5, writers=writers), open_=True)
