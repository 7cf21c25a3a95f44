"""`/v1/events`: take events in, and show what was accepted."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import unquote

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.domain.admission import Candidate
from triptych.ingestion.domain.answer import Answer, KeyedRequest
from triptych.ingestion.domain.outcome import Outcome
from triptych.ingestion.entrypoints import openapi
from triptych.ingestion.entrypoints.cloudevents import (
    NDJSON,
    STRUCTURED,
    Lines,
    Mode,
    batch,
    batched,
    binary,
    mode,
    structured,
)
from triptych.ingestion.entrypoints.receipts import Receipt, ReceiptWriter
from triptych.ingestion.settings import WebhookSettings
from triptych.ingestion.wiring import Ingestion
from triptych.service.access import Caller, require
from triptych.service.body import read_body, stream_body
from triptych.service.keys import Scope
from triptych.service.negotiation import choose, prefers_minimal
from triptych.service.tracing import current_traceparent

EVENTS: Final = "/v1/events"
JSON: Final = "application/json"


class BatchTooLarge(TriptychError):
    """The request has too many events."""

    kind = Kind.TOO_LARGE
    hint = "Send it in smaller parts."


class WrongIdempotencyKey(TriptychError):
    """The Idempotency-Key cannot be used."""

    kind = Kind.MALFORMED
    hint = f"It is text of 1 to 255 characters; with {NDJSON} it is not needed: events are stored once."


class NoSuchEvent(TriptychError):
    """There is no event of this name."""

    kind = Kind.NOT_FOUND
    hint = "Write /v1/events/SOURCE/ID, both percent-encoded, also their slashes (%2F)."


class NotPermitted(TriptychError):
    """This sender may not deliver events here."""

    kind = Kind.FORBIDDEN
    hint = "The operator permits senders with TRIPTYCH_WEBHOOK__ORIGINS."


def event_routes(ingestion: Ingestion) -> APIRouter:
    """`/v1/events` and what is below it."""
    router = APIRouter(prefix=EVENTS, tags=["events"])
    door = EventDoor(ingestion)
    webhook = ingestion.settings.webhook
    Writer = Annotated[  # noqa: N806  # a type
        Caller, Depends(require(ingestion.keys, Scope.WRITE))
    ]
    reader = Depends(require(ingestion.keys, Scope.READ))

    @router.post(
        "",
        summary="Store CloudEvents, each exactly once.",
        response_model=Receipt,
        responses=openapi.RECEIPTS,
        openapi_extra=openapi.POST_EVENTS,
    )
    async def post_events(request: Request, caller: Writer) -> Response:
        choose(request.headers.get("accept"), [JSON])
        minimal = prefers_minimal(request.headers)
        answer = await door.answer(request, caller, minimal=minimal)
        headers = {"Preference-Applied": "return=minimal"} if minimal else None
        return Response(answer.body, answer.status, headers, JSON)

    @router.options(
        "",
        summary="The handshake of the CloudEvents webhook specification.",
        response_class=Response,
        responses=openapi.HANDSHAKE,
    )
    async def handshake(
        origin: Annotated[str | None, Header(alias="WebHook-Request-Origin")] = None,
        rate: Annotated[str | None, Header(alias="WebHook-Request-Rate")] = None,
    ) -> Response:
        return Response(headers={"Allow": "OPTIONS, POST", **_permission(webhook, origin, rate)})

    @router.get(
        "/{source:path}/{id}",
        summary="An event that was accepted.",
        response_class=Response,
        responses=openapi.EVENT,
        dependencies=[reader],
    )
    async def get_event(
        request: Request, source: str, id: str  # noqa: A002  # its name
    ) -> Response:
        # Slashes of a source are told from the path's only before they are decoded.
        raw = request.scope["raw_path"].decode("latin-1").partition("?")[0]
        names = [unquote(part) for part in raw.split(f"{EVENTS}/", 1)[1].split("/")]
        if len(names) != len(("source", "id")):
            raise NoSuchEvent(f"{source}/{id}")
        event = await run_in_threadpool(ingestion.store.event, names[0], names[1])
        if event is None:
            raise NoSuchEvent(f"source {names[0]!r}, id {names[1]!r}")
        return Response(orjson.dumps(event.to_json()), media_type=STRUCTURED)

    return router


@dataclass(frozen=True, slots=True)
class EventDoor:
    """Takes the events of requests in."""

    ingestion: Ingestion

    async def answer(self, request: Request, caller: Caller, *, minimal: bool) -> Answer:
        """What becomes of a request's events."""
        how = mode(request.headers.get("content-type", ""), request.headers.raw)
        key = request.headers.get("idempotency-key")
        writer = ReceiptWriter(minimal)
        if how is Mode.STREAMED:
            if key is not None:
                raise WrongIdempotencyKey(f"of a request with {NDJSON}")
            return await self._stream(request, caller, writer)
        limits = self.ingestion.settings.limits
        body = await read_body(request, limit=limits.body_bytes, seconds=limits.body_seconds)
        if key is None:
            return await self._take(request, caller, how, body, writer)

        async def answer() -> Answer:
            return await self._take(request, caller, how, body, writer)

        return await self._once(request, caller, key, body, answer)

    async def _take(
        self, request: Request, caller: Caller, how: Mode, body: bytes, writer: ReceiptWriter
    ) -> Answer:
        limits = self.ingestion.event_limits
        candidates: Iterable[Candidate]
        match how:
            case Mode.STRUCTURED:
                candidates = structured(body, limits)
            case Mode.BATCHED:
                events = batch(body)
                most = self.ingestion.settings.limits.batch_events
                if len(events) > most:
                    raise BatchTooLarge(f"{len(events)} events; at most {most} are allowed")
                candidates = batched(events, limits)
            case _:
                candidates = [binary(request.headers.raw, body, limits)]
        writer.add(await self._ingest(candidates, caller))
        return writer.answer()

    async def _stream(self, request: Request, caller: Caller, writer: ReceiptWriter) -> Answer:
        """Events are stored while the rest of them is still on its way."""
        limits = self.ingestion.settings.limits
        chunks = stream_body(request, limit=limits.stream_bytes, seconds=limits.stream_seconds)
        async for candidates in Lines(self.ingestion.event_limits).read(chunks):
            if writer.events + len(candidates) > limits.stream_events:
                raise BatchTooLarge(
                    f"more than {limits.stream_events} events; the first {writer.events} were taken"
                )
            writer.add(await self._ingest(candidates, caller))
        return writer.answer()

    async def _ingest(self, candidates: Iterable[Candidate], caller: Caller) -> list[Outcome]:
        outcomes = await self.ingestion.ingest(candidates, caller.may_send, current_traceparent())
        known = self.ingestion.contracts.current()
        self.ingestion.measurements.answered(outcomes, known)
        return outcomes

    async def _once(
        self,
        request: Request,
        caller: Caller,
        key: str,
        body: bytes,
        answer: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        if not 1 <= len(key) <= MAX_KEY:
            raise WrongIdempotencyKey(f"it has {len(key)} characters")
        told = [value for name, value in request.headers.raw if _matters(name)]
        digest = hashlib.sha256(b"\n".join([*told, body])).digest()
        keyed = KeyedRequest(hashlib.sha256(f"{caller.name}\n{key}".encode()).digest(), digest)
        return await self.ingestion.once(keyed, answer)


MAX_KEY: Final = 255


def _matters(name: bytes) -> bool:
    """Whether a header is part of what a request asks for."""
    return name.startswith(b"ce-") or name in (b"content-type", b"prefer")


def _permission(webhook: WebhookSettings, origin: str | None, rate: str | None) -> dict[str, str]:
    """What the handshake grants (CloudEvents HTTP 1.1 Web Hooks 1.0.2, 4.2)."""
    if origin is None:
        return {}
    if webhook.origins != "*" and origin not in webhook.origins:
        raise NotPermitted(repr(origin))
    granted = {"WebHook-Allowed-Origin": origin}
    if rate is not None or webhook.rate is not None:
        granted["WebHook-Allowed-Rate"] = str(webhook.rate or "*")
    return granted
