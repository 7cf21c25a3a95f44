"""Take candidates in: decide about each, store them together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from triptych.ingestion.application.commit import GroupCommit
from triptych.ingestion.application.ports import ContractSource
from triptych.ingestion.domain.admission import Candidate, Decision, Door, anything
from triptych.ingestion.domain.outcome import Outcome

_BYTES_IN_PASSING: Final = 64 * 1024
"""What is larger is decided upon in another thread, so that nobody else waits for it."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Take candidates in. It runs on an event loop."""

    contracts: ContractSource
    commit: GroupCommit

    async def __call__(
        self,
        candidates: Sequence[Candidate],
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
        size = sum(len(candidate.arrival.raw) for candidate in candidates)
        if size > _BYTES_IN_PASSING:
            decisions = await asyncio.to_thread(_decide, door, candidates)
        else:
            decisions = _decide(door, candidates)
        return await self.commit(decisions, size)


def _decide(door: Door, candidates: Sequence[Candidate]) -> list[Decision]:
    return [door.admit(candidate) for candidate in candidates]
