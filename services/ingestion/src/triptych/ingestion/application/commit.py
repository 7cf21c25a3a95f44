"""Group commit: requests that arrive together share a transaction.

A flush to disk takes as long for one event as for hundreds. So while one transaction is being
committed, whatever arrives waits, and is stored together in the next. Nobody waits on purpose: a
request that finds nothing under way is stored at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeAlias

from triptych.core.domain.clock import Clock
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.ports import Store
from triptych.ingestion.domain.admission import Decision
from triptych.ingestion.domain.outcome import Outcome


class Overloaded(TriptychError):
    """More waits to be stored than may."""

    kind = Kind.UNAVAILABLE
    hint = "Nothing of this was stored. Send it again later, and more slowly."


class NoAnswerInTime(TriptychError):
    """The store did not answer in time."""

    kind = Kind.UNAVAILABLE
    hint = "It may be stored or not. Send it again: what is stored is not stored twice."


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """How much is stored at once, and how much may wait for it."""

    group_events: int = 500
    """A transaction takes requests until it has so many events; one request is never split."""
    queue_events: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    seconds: float = 10
    """How long a request waits to be stored."""
    writers: int = 1
    """How many transactions are under way at once."""


@dataclass(slots=True, eq=False)
class _Waiting:
    decisions: Sequence[Decision]
    size: int
    outcomes: "asyncio.Future[list[Outcome]]"


Observe: TypeAlias = Callable[[int, float], None]
"""Is told of each transaction: how many events it had, and how many seconds it took."""


class GroupCommit:
    """Stores what requests bring, many in one transaction. It belongs to one event loop."""

    def __init__(
        self, store: Store, clock: Clock, limits: CommitLimits, threads: Executor, observe: Observe
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._threads = threads
        self._observe = observe
        self._queue: deque[_Waiting] = deque()
        self._writers: set[asyncio.Task[None] | None] = set()
        self.events = 0
        """How many events wait or are being stored."""
        self.bytes = 0

    async def __call__(self, decisions: Sequence[Decision], size: int) -> list[Outcome]:
        """Store decisions of `size` bytes; what became of each, when it is on disk.

        Raises:
            Overloaded: too much waits already; nothing of this is stored.
            NoAnswerInTime: the store took too long; what became of this is unknown.
            TriptychError: of kind UNAVAILABLE, when the store is away.
        """
        if not decisions:
            return []
        self._make_room(len(decisions), size)
        waiting = _Waiting(decisions, size, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self.events += len(decisions)
        self.bytes += size
        if len(self._writers) < self._limits.writers:
            self._writers.add(asyncio.create_task(self._write()))
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await waiting.outcomes
        except TimeoutError:
            raise NoAnswerInTime(f"within {self._limits.seconds:g} s") from None

    def _make_room(self, events: int, size: int) -> None:
        limits = self._limits
        # What is larger than the queue is taken when nothing else is: it would never fit.
        if self.events and (
            self.events + events > limits.queue_events or self.bytes + size > limits.queue_bytes
        ):
            raise Overloaded(f"{self.events} events, {self.bytes} bytes")

    async def _write(self) -> None:
        while group := self._take():
            try:
                await self._commit([one for one in group if not one.outcomes.done()])
            finally:
                self.events -= sum(len(one.decisions) for one in group)
                self.bytes -= sum(one.size for one in group)
        # At once, not when the task is over: who comes in between must not count on this one.
        self._writers.discard(asyncio.current_task())

    def _take(self) -> list[_Waiting]:
        """The requests that waited longest, up to a transaction's fill."""
        group: list[_Waiting] = []
        events = 0
        while self._queue and (
            not group or events + len(self._queue[0].decisions) <= self._limits.group_events
        ):
            group.append(self._queue.popleft())
            events += len(group[-1].decisions)
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        """Store what is still waited for, and tell everybody what became of theirs."""
        decisions = [decision for one in group for decision in one.decisions]
        if not decisions:
            return
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(
                self._threads, self._store.save, decisions, self._clock.now()
            )
        except BaseException as error:
            for one in group:
                if not one.outcomes.done():
                    one.outcomes.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        self._observe(len(decisions), time.perf_counter() - started)
        start = 0
        for one in group:
            end = start + len(one.decisions)
            if not one.outcomes.done():
                one.outcomes.set_result(outcomes[start:end])
            start = end
