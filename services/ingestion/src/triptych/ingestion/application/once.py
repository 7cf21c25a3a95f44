"""Answer a request that is sent again as it was answered first."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from triptych.core.domain.clock import Clock
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.ports import Answers
from triptych.ingestion.domain.answer import Answer, Claim, KeyedRequest


class RequestInFlight(TriptychError):
    """The request with this idempotency key is still being answered."""

    kind = Kind.CONFLICT
    hint = "Send it again in a moment: you get the answer of the first."


class KeyUsedOtherwise(TriptychError):
    """The idempotency key belongs to a request that asked for something else."""

    kind = Kind.INVALID
    hint = "Take a new Idempotency-Key for every new request."


@dataclass(frozen=True, slots=True)
class Once:
    """Answers a request once, and repeats that answer for as long as it is remembered."""

    answers: Answers
    clock: Clock
    remembered: timedelta

    async def __call__(
        self, request: KeyedRequest, answer: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer to this request: the one that it got before, else a new one.

        Raises:
            RequestInFlight, KeyUsedOtherwise: it cannot be answered.
        """
        claim = await asyncio.to_thread(self.answers.claim, request, self.clock.now())
        match claim:
            case Answer():
                return claim
            case Claim.IN_FLIGHT:
                raise RequestInFlight
            case Claim.OTHER_REQUEST:
                raise KeyUsedOtherwise
            case Claim.TAKEN:
                return await self._answer(request, answer)

    async def _answer(
        self, request: KeyedRequest, answer: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        try:
            given = await answer()
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self.answers.release, request))
            raise
        until = self.clock.now() + self.remembered
        await asyncio.to_thread(self.answers.keep, request, given, until)
        return given
