"""Take candidates in: decide about each, store them together."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from triptych.ingestion.application.commit import GroupCommit
from triptych.ingestion.application.ports import ContractSource
from triptych.ingestion.domain.admission import Candidate, Decision, Door, anything
from triptych.ingestion.domain.outcome import Outcome

_AT_A_TIME: Final = 100
"""After so many candidates, a few milliseconds, other requests have their turn."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Take candidates in. It runs on an event loop."""

    contracts: ContractSource
    commit: GroupCommit

    async def __call__(
        self,
        candidates: Iterable[Candidate],
        may_send: Callable[[str], bool] = anything,
        traceparent: str | None = None,
    ) -> list[Outcome]:
        """What became of each candidate, in their order; all of it is on disk.

        Raises:
            Overloaded: too much waits to be stored already; nothing of this is stored.
            NoAnswerInTime: the store took too long; what became of this is unknown.
            TriptychError: of kind UNAVAILABLE, when the store is away.
        """
        door = Door(self.contracts.current(), may_send, traceparent)
        decisions: list[Decision] = []
        size = 0
        # Not in threads: deciding is pure Python, so they would only get in each other's way.
        rest = iter(candidates)
        while some := list(islice(rest, _AT_A_TIME)):
            if decisions:
                await asyncio.sleep(0)
            for candidate in some:
                decisions.append(door.admit(candidate))
                size += len(candidate.arrival.raw)
        return await self.commit(decisions, size)
