"""The door for programs: `POST /v1/events`."""

from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from triptych.core.domain.result import Ok
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.ingestion.application.ingest import Ingest
from triptych.ingestion.domain.admission import Candidate, Reason
from triptych.ingestion.domain.outcome import Outcome, Status, count
from triptych.ingestion.settings import Limits
from triptych.ingestion.wiring import Ingestion
from triptych.service.app import create_app
from triptych.service.body import read_body

log = get_logger(__name__)

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"


class NotUnderstood(TriptychError):
    """The body is of a media type that is not understood here."""

    kind = Kind.UNSUPPORTED
    hint = f"Send {STRUCTURED}, or {BATCH} for several events."


class NotJson(TriptychError):
    """The body is not JSON."""

    kind = Kind.MALFORMED
    hint = "Nothing was stored. Send one JSON object, or an array of them as a batch."


class BatchTooLarge(TriptychError):
    """The batch has too many events."""

    kind = Kind.TOO_LARGE
    hint = "Nothing was stored. Send it in smaller parts."


class ViolationBody(BaseModel):
    """One rule that an event breaks."""

    pointer: str = Field(description="Where in the event: a JSON pointer.", examples=["/data/qty"])
    keyword: str = Field(examples=["minimum"])
    message: str


class OutcomeBody(BaseModel):
    """What became of one event."""

    index: int = Field(description="Its place in the request, from 0.")
    status: Status
    source: str | None
    id: str | None
    reason: Reason | None = None
    contract: str | None = Field(default=None, examples=["shop.invoice/1"])
    violations: list[ViolationBody] = []


class Receipt(BaseModel):
    """What became of a request's events, in their order."""

    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    outcomes: list[OutcomeBody]


def create_ingestion(ingestion: Ingestion, limits: Limits) -> FastAPI:
    """The service's HTTP application."""
    registry = CollectorRegistry()
    return create_app(
        title="Triptych ingestion",
        description="An event that was acknowledged is stored exactly once, whatever dies.",
        version=version("triptych-ingestion"),
        routers=[event_routes(ingestion.ingest, limits, registry)],
        probes={"store": ingestion.store.check},
        registry=registry,
    )


def event_routes(ingest: Ingest, limits: Limits, registry: CollectorRegistry) -> APIRouter:
    """`POST /v1/events`."""
    router = APIRouter(prefix="/v1", tags=["events"])
    events = Counter("ingestion_events", "Events answered.", ["status"], registry=registry)

    @router.post(
        "/events",
        summary="Store CloudEvents, one or a batch, each exactly once.",
        response_model=Receipt,
        responses={
            200: {"description": "Every event is stored, now or before."},
            207: {"model": Receipt, "description": "Some events were refused."},
            422: {"model": Receipt, "description": "All events were refused."},
        },
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def post_events(request: Request) -> JSONResponse:
        body = await read_body(request, limits.body_bytes)
        candidates = _candidates(request.headers.get("content-type", ""), body)
        if len(candidates) > limits.batch_events:
            raise BatchTooLarge(
                f"{len(candidates)} events; at most {limits.batch_events} are allowed"
            )
        outcomes = await run_in_threadpool(ingest, candidates)
        counts = count(outcomes)
        for status, number in counts.items():
            events.labels(status.value).inc(number)
        log.info("events.ingested", **counts)
        return JSONResponse(_receipt(outcomes).model_dump(mode="json"), _status(outcomes))

    return router


def _candidates(content_type: str, body: bytes) -> list[Candidate]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (STRUCTURED, BATCH):
        raise NotUnderstood(repr(media_type) if media_type else "there is no Content-Type")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotJson(str(error)) from None
    if media_type == STRUCTURED:
        return [Candidate(body, "http", Ok(value))]
    if not isinstance(value, list):
        raise NotJson("a batch is an array")
    try:
        return [Candidate(orjson.dumps(event), "http", Ok(event)) for event in value]
    except orjson.JSONEncodeError as error:
        raise NotJson(f"an event is nested too deeply: {error}") from None


def _status(outcomes: Sequence[Outcome]) -> HTTPStatus:
    refused = sum(outcome.refused for outcome in outcomes)
    if not refused:
        return HTTPStatus.OK
    return HTTPStatus.UNPROCESSABLE_ENTITY if refused == len(outcomes) else HTTPStatus.MULTI_STATUS


def _receipt(outcomes: Sequence[Outcome]) -> Receipt:
    return Receipt(
        **{status.value: number for status, number in count(outcomes).items()},
        outcomes=[
            OutcomeBody(
                index=index,
                status=outcome.status,
                source=outcome.source,
                id=outcome.id,
                reason=outcome.reason,
                contract=outcome.contract,
                violations=[
                    ViolationBody(pointer=v.pointer, keyword=v.keyword, message=v.message)
                    for v in outcome.violations
                ],
            )
            for index, outcome in enumerate(outcomes)
        ],
    )


_EXAMPLE: Final = {
    "specversion": "1.0",
    "type": "shop.invoice",
    "source": "urn:example:till",
    "id": "1001",
    "time": "2030-01-01T09:30:00Z",
    "data": {"invoice": "100001", "country": "France", "quantity": 2, "unit_price": "3.50"},
}
_REQUEST_BODY: Final = {
    "required": True,
    "content": {
        STRUCTURED: {"schema": {"type": "object"}, "example": _EXAMPLE},
        BATCH: {
            "schema": {"type": "array", "items": {"type": "object"}},
            "example": [_EXAMPLE],
        },
    },
}
