"""Answer a question over HTTP: at most once, from memory if it was asked before, to who may ask.

The order is: 304 for who has the answer, then the cache, then the limits, then the tables.
"""

import gzip
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from triptych.analytics.application.caching import Cache, Representation, SingleFlight
from triptych.analytics.application.limiting import Limiter, TooMuch
from triptych.analytics.application.working import Workers
from triptych.analytics.domain.limits import Verdict
from triptych.analytics.entrypoints.streaming import Spools, Stream, Streamed, gzipped
from triptych.analytics.infrastructure.measurements import Measurements
from triptych.analytics.infrastructure.redis import SharedFlight

SMALLEST_COMPRESSED: Final = 1024  # bytes
HIT_COST: Final = 1
LASTING: Final = 86_400
"""Seconds for which nobody has to ask again: the cursors in an answer have to lead on meanwhile."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks for, in a representation."""

    key: str
    """Names the answer for ever: a digest of the versions, the query and the representation."""
    cost: int
    lasting: bool
    """Whether the same address has the same answer for ever."""
    make: Callable[[], Representation]
    """Computes it; it may block."""
    stream: Callable[[], Stream] | None = None
    """Begins to compute it, where it is too long to be held in memory."""


@dataclass(frozen=True)
class Responder:
    """Answers questions. For one event loop."""

    cache: Cache
    flights: SingleFlight
    workers: Workers
    limiter: Limiter
    across: SharedFlight | None
    """Where there are replicas, one of them computes."""
    measurements: Measurements
    public: Callable[[], bool]
    """Whether everybody may ask, so that anybody may keep the answers."""
    spools: Spools

    async def respond(self, request: Request, client: str, question: Question) -> Response:
        """The answer.

        Raises:
            TooMuch: the client has to wait.
            TriptychError: the tables cannot answer.
        """
        started = time.perf_counter()
        encoding = _encoding(request.headers.get("accept-encoding", ""))
        key = f"{question.key}-{encoding}"
        headers = {
            "ETag": f'"{key}"',
            "Vary": "Accept, Accept-Encoding, Authorization",
            "Cache-Control": self._freshness(question),
        }
        if _has(request.headers.get("if-none-match"), headers["ETag"]):
            standing = await self.limiter.charge(client, 0)
            self.measurements.answered("unchanged", None)
            return Response(status_code=304, headers={**headers, **limit_fields(standing)})
        if question.stream is not None:
            return await self._stream(request, client, question, encoding, headers)
        found = await self.cache.get(key)
        how = "HIT" if found else "SHARED" if self.flights.running(key) else "MISS"
        cost = question.cost if how == "MISS" else HIT_COST
        headers |= await self.charged(client, cost)
        queried = None
        if found is None:
            found = await self.flights.run(key, lambda: self._made(key, encoding, question))
            queried = time.perf_counter() - started
        self.measurements.answered(how.lower(), queried)
        headers |= dict(found.headers)
        headers["X-Cache"] = how
        total = time.perf_counter() - started
        headers["Server-Timing"] = (
            f"query;dur={(queried or 0) * 1000:.1f}, total;dur={total * 1000:.1f}"
        )
        body = b"" if request.method == "HEAD" else found.body
        if request.method == "HEAD":
            headers["Content-Length"] = str(len(found.body))
        return Response(body, headers=headers)

    async def charged(self, client: str, cost: int) -> Mapping[str, str]:
        """Charge a client; the fields that tell where it stands then.

        Raises:
            TooMuch: it has to wait.
        """
        verdict = await self.limiter.charge(client, cost)
        if not verdict.allowed:
            self.measurements.refused()
            raise TooMuch(_too_much(cost, verdict), headers=_retry(verdict))
        return limit_fields(verdict)

    async def _stream(  # what was found out about the request
        self,
        request: Request,
        client: str,
        question: Question,
        encoding: str,
        headers: Mapping[str, str],
    ) -> Response:
        begin = question.stream
        assert begin is not None  # noqa: S101  # as its caller has seen
        key = headers["ETag"]
        how = "SHARED" if self.spools.known(key) else "STREAM"
        stands = await self.charged(client, HIT_COST if how == "SHARED" else question.cost)
        spool = self.spools.joined(key, lambda: _packed(begin(), encoding))
        self.measurements.answered(how.lower(), None)
        found = {**headers, **stands, **await spool.begun(), "X-Cache": how}
        if request.method == "HEAD":
            spool.leave()
            return Response(headers=found)
        return Streamed(spool, found)

    def _freshness(self, question: Question) -> str:
        who = "public" if self.public() else "private"
        return f"{who}, max-age={LASTING}" if question.lasting else f"{who}, no-cache"

    async def _made(self, key: str, encoding: str, question: Question) -> Representation:
        async def compute() -> Representation:
            found = await self.workers.run(lambda: _compressed(question.make(), encoding))
            await self.cache.put(key, found)
            return found

        return await (self.across.run(key, compute) if self.across else compute())


def _packed(stream: Stream, encoding: str) -> Stream:
    if encoding != "gzip":
        return stream
    return Stream({**stream.headers, "Content-Encoding": "gzip"}, gzipped(stream.chunks))


def _compressed(found: Representation, encoding: str) -> Representation:
    if encoding != "gzip" or len(found.body) < SMALLEST_COMPRESSED:
        return found
    # Without the time of day: the same answer is the same bytes.
    body = gzip.compress(found.body, compresslevel=5, mtime=0)
    return Representation(body, (*found.headers, ("Content-Encoding", "gzip")))


def _encoding(accepted: str) -> str:
    for element in accepted.split(","):
        name, _, weight = element.partition(";")
        if name.strip().lower() == "gzip" and weight.replace(" ", "") not in ("q=0", "q=0.0"):
            return "gzip"
    return "identity"


def _has(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has it already (RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in known or known == ["*"]


def limit_fields(verdict: Verdict) -> dict[str, str]:
    """Where a client stands, as fields (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not verdict.standings:
        return {}
    policies = ", ".join(
        f'"{s.policy.name}";q={s.policy.quota};w={s.policy.window}' for s in verdict.standings
    )
    tightest = verdict.tightest
    now = f'"{tightest.policy.name}";r={tightest.remaining};t={tightest.reset}'
    return {"RateLimit-Policy": policies, "RateLimit": now}


def _retry(verdict: Verdict) -> dict[str, str]:
    return {**limit_fields(verdict), "Retry-After": str(verdict.retry_after)}


def _too_much(cost: int, verdict: Verdict) -> str:
    left = "; ".join(
        f"{s.policy.name}: {s.remaining} of {s.policy.quota} units a {_stretch(s.policy.window)}"
        for s in verdict.standings
    )
    return f"it costs {cost} units, and there are left {left}; in {verdict.retry_after} s there are enough"


def _stretch(seconds: int) -> str:
    known: Mapping[int, str] = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
    return known.get(seconds, f"{seconds} s")
