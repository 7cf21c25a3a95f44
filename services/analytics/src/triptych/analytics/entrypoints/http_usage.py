"""`/v1/usage`: where a client stands."""

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from triptych.analytics.entrypoints.answers import Service
from triptych.analytics.entrypoints.responding import limit_fields


class StandingBody(BaseModel):
    """Where a client stands with one policy."""

    policy: str = Field(examples=["burst"])
    quota: int
    window: int = Field(description="Seconds.")
    remaining: int
    reset: int = Field(description="Seconds until all of it is there again.")


class UsageBody(BaseModel):
    """Where a client stands."""

    client: str
    policies: list[StandingBody]


def usage_routes(service: Service) -> APIRouter:
    """`/v1/usage`."""
    router = APIRouter(prefix="/v1", tags=["usage"], dependencies=[Depends(service.reader)])

    @router.get("/usage", summary="What you may still ask for. It costs nothing.")
    async def usage(request: Request, response: Response) -> UsageBody:
        client = await service.clients.name(request)
        verdict = await service.responder.limiter.charge(client, 0)
        response.headers.update(limit_fields(verdict))
        policies = [
            StandingBody(
                policy=s.policy.name,
                quota=s.policy.quota,
                window=s.policy.window,
                remaining=s.remaining,
                reset=s.reset,
            )
            for s in verdict.standings
        ]
        return UsageBody(client=client, policies=policies)

    return router
