"""Give what was refused another chance, after its contract or its database was mended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from triptych.core.domain.clock import Clock
from triptych.core.domain.result import Err, Ok
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.commit import GroupCommit
from triptych.ingestion.application.ports import (
    ContractSource,
    KeptRejection,
    RejectionFilter,
    Rejections,
)
from triptych.ingestion.domain.admission import Candidate, Door, EventLimits
from triptych.ingestion.domain.outcome import Outcome, refused


class NoSuchRejection(TriptychError):
    """There is no such rejection."""

    kind = Kind.NOT_FOUND
    hint = "GET /v1/rejections lists all there are."


@dataclass(frozen=True, slots=True)
class Replay:
    """Let what was refused come again. Whatever happens, nothing is stored twice."""

    rejections: Rejections
    contracts: ContractSource
    commit: GroupCommit
    clock: Clock
    limits: EventLimits

    async def one(self, id_: int) -> Outcome:
        """What becomes of a rejection now; if it is refused again, it stays as it was.

        Raises:
            NoSuchRejection: there is none with this id.
            TriptychError: of kind UNAVAILABLE, when the store is away.
        """
        kept = await asyncio.to_thread(self.rejections.get, id_)
        if kept is None:
            raise NoSuchRejection(str(id_))
        [outcome] = await self._replay([kept])
        return outcome

    async def many(
        self, wanted: RejectionFilter, before: int | None, limit: int
    ) -> list[tuple[KeptRejection, Outcome]]:
        """What becomes of at most `limit` rejections with ids below `before`, the newest first."""
        found = await asyncio.to_thread(self.rejections.list, wanted, before, limit)
        return list(zip(found, await self._replay(found), strict=True))

    async def _replay(self, found: Sequence[KeptRejection]) -> list[Outcome]:
        door = Door(self.contracts.current())
        candidates = [Candidate.parse(kept.arrival, self.limits) for kept in found]
        decisions = [door.admit(candidate) for candidate in candidates]
        admitted = [decision for decision in decisions if isinstance(decision, Ok)]
        size = sum(len(decision.value.arrival.raw) for decision in admitted)
        stored = iter(await self.commit(admitted, size))
        outcomes = [
            refused(decision.error) if isinstance(decision, Err) else next(stored)
            for decision in decisions
        ]
        # Should this fail, they are replayed again, and found to be duplicates.
        done = [kept.id for kept, told in zip(found, outcomes, strict=True) if not told.refused]
        await asyncio.to_thread(self.rejections.replayed, done, self.clock.now())
        return outcomes
