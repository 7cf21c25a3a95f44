"""`/v1/rejections`: see what was refused, and let it come again."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.concurrency import run_in_threadpool

from triptych.core.domain.page import Cursor, Page
from triptych.core.domain.result import Err, Ok
from triptych.core.domain.time import utc
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.application.ports import KeptRejection, RejectionFilter
from triptych.ingestion.application.replay import NoSuchRejection
from triptych.ingestion.domain.admission import Reason
from triptych.ingestion.domain.outcome import Outcome
from triptych.ingestion.entrypoints import openapi
from triptych.ingestion.entrypoints.receipts import OutcomeBody, ViolationBody, outcome_body
from triptych.ingestion.wiring import Ingestion
from triptych.service.access import require
from triptych.service.keys import Scope


class WrongCursor(TriptychError):
    """The cursor leads nowhere."""

    kind = Kind.MALFORMED
    hint = "Take `next` of the page before, with the same filters; or begin without a cursor."


class RejectionBody(BaseModel):
    """Something that was refused, as it arrived, and everything that is wrong with it."""

    id: int
    reason: Reason
    source: str | None
    event_id: str | None
    type: str | None
    contract: str | None
    violations: list[ViolationBody]
    origin: str = Field(description="`http`, or a file and its line.")
    first_at: datetime
    last_at: datetime
    times: int = Field(description="How often the same thing came.")
    replayed_at: datetime | None = Field(
        default=None, description="When it became an event after all."
    )
    raw: str | None = Field(default=None, description="What arrived, if it is UTF-8 text.")
    raw_base64: str | None = Field(default=None, description="What arrived, if it is not.")


class RejectionPage(BaseModel):
    """Some rejections, the newest first."""

    rejections: list[RejectionBody]
    next: str | None = Field(
        default=None, description="The cursor of the next page; null on the last one."
    )


class Replayed(BaseModel):
    """What became of rejections that came again."""

    replayed: int = Field(description="How many are events now, or were already.")
    refused: int = Field(description="How many are refused still; they stay as they were.")
    outcomes: list[OutcomeBody] = Field(description="`index` is the rejection's id here.")
    next: str | None = Field(default=None, description="The cursor of what was not looked at yet.")


def _filter(  # each is a parameter of the query
    type: Annotated[str | None, Query()] = None,  # noqa: A002  # CloudEvents' name
    reason: Annotated[Reason | None, Query()] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Those that last came at or after it.")
    ] = None,
    until: Annotated[
        AwareDatetime | None, Query(description="Those that last came before it.")
    ] = None,
    open: Annotated[  # noqa: A002  # short, and plain in a URL
        bool | None, Query(description="Whether they still wait, or were replayed.")
    ] = None,
) -> RejectionFilter:
    return RejectionFilter(
        type, reason, utc(since) if since else None, utc(until) if until else None, open
    )


Id = Annotated[int, Path(ge=1, lt=2**63)]
Filter = Annotated[RejectionFilter, Depends(_filter)]
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(description="`next` of the page before.")]


def rejection_routes(ingestion: Ingestion) -> APIRouter:
    """`/v1/rejections` and what is below it."""
    reader = Depends(require(ingestion.keys, Scope.READ))
    admin = Depends(require(ingestion.keys, Scope.ADMIN))
    router = APIRouter(prefix="/v1/rejections", tags=["rejections"], responses=openapi.ACCESS)

    cursors = Cursors(ingestion.cursor_secret)

    @router.get(
        "",
        summary="What was refused, the newest first.",
        dependencies=[reader],
        responses={
            **openapi.WRONG_CURSOR,
            200: openapi.json_answer(
                "A page.", {"rejections": [openapi.REJECTION_EXAMPLE], "next": None}
            ),
        },
    )
    async def list_rejections(
        wanted: Filter, limit: Limit = 100, cursor: After = None
    ) -> RejectionPage:
        start = cursors.read(cursor, wanted)
        found = await run_in_threadpool(ingestion.rejections.list, wanted, start, limit + 1)
        page = Page.of(found, limit, lambda kept: (kept.id,), repr(wanted))
        return RejectionPage(
            rejections=[_body(kept) for kept in page.items], next=cursors.write(page.next)
        )

    @router.get(
        "/{id}",
        summary="One rejection.",
        dependencies=[reader],
        responses={
            **openapi.NO_REJECTION,
            200: openapi.json_answer("The rejection.", openapi.REJECTION_EXAMPLE),
        },
    )
    async def get_rejection(id: Id) -> RejectionBody:  # noqa: A002  # its name
        kept = await run_in_threadpool(ingestion.rejections.get, id)
        if kept is None:
            raise NoSuchRejection(str(id))
        return _body(kept)

    @router.post(
        "/{id}/replay",
        summary="Let one rejection come again.",
        dependencies=[admin],
        responses={
            **openapi.NO_REJECTION,
            200: openapi.json_answer("What became of it.", openapi.OUTCOME_EXAMPLE),
        },
    )
    async def replay_one(id: Id) -> OutcomeBody:  # noqa: A002  # its name
        outcome = await ingestion.replay.one(id)
        return OutcomeBody.model_validate(outcome_body(outcome, id))

    @router.post(
        "/replay",
        summary="Let many rejections come again, the newest first.",
        dependencies=[admin],
        responses={
            **openapi.WRONG_CURSOR,
            200: openapi.json_answer(
                "What became of them.",
                {"replayed": 1, "refused": 0, "outcomes": [openapi.OUTCOME_EXAMPLE], "next": None},
            ),
        },
    )
    async def replay_many(wanted: Filter, limit: Limit = 1000, cursor: After = None) -> Replayed:
        if wanted.open is None:  # what was replayed before need not come again
            wanted = replace(wanted, open=True)
        told = await ingestion.replay.many(wanted, cursors.read(cursor, wanted), limit)
        more = Cursor((told[-1][0].id,), repr(wanted)) if len(told) == limit else None
        return _replayed(told, cursors.write(more))

    return router


@dataclass(frozen=True, slots=True)
class Cursors:
    """Places in the list of rejections, signed so that nobody makes them up."""

    secret: bytes

    def read(self, cursor: str | None, wanted: RejectionFilter) -> int | None:
        """The id before which the list goes on."""
        if cursor is None:
            return None
        match Cursor.decode(cursor, self.secret, scope=repr(wanted)):
            case Ok(Cursor(after=(int() as id_,))):
                return id_
            case Err(why):
                raise WrongCursor(why)
            case _:
                raise WrongCursor("it is of another list")

    def write(self, cursor: Cursor | None) -> str | None:
        """The cursor as text."""
        return cursor.encode(self.secret) if cursor else None


def _replayed(told: Iterable[tuple[KeptRejection, Outcome]], cursor: str | None) -> Replayed:
    outcomes = [(kept.id, outcome) for kept, outcome in told]
    refused = sum(outcome.refused for _, outcome in outcomes)
    return Replayed(
        replayed=len(outcomes) - refused,
        refused=refused,
        outcomes=[OutcomeBody.model_validate(outcome_body(one, id_)) for id_, one in outcomes],
        next=cursor,
    )


def _body(kept: KeptRejection) -> RejectionBody:
    return RejectionBody(
        id=kept.id,
        reason=kept.reason,
        source=kept.source,
        event_id=kept.event_id,
        type=kept.type,
        contract=kept.contract,
        violations=[
            ViolationBody(pointer=v.pointer, keyword=v.keyword, message=v.message)
            for v in kept.violations
        ],
        origin=kept.arrival.origin,
        first_at=kept.first_at,
        last_at=kept.last_at,
        times=kept.times,
        replayed_at=kept.replayed_at,
        **_raw(kept.arrival.raw),
    )


def _raw(raw: bytes) -> dict[str, Any]:
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(raw).decode()}
