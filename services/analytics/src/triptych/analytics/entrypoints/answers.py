"""What the routes share: from a question to an answer's page, and its representation."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from triptych.analytics.application.asking import Ask, Asked
from triptych.analytics.application.caching import Representation, SingleFlight
from triptych.analytics.application.errors import AnswerTooLarge
from triptych.analytics.application.ports import Versions
from triptych.analytics.domain.columns import Column
from triptych.analytics.domain.query import RowQuery, UnfitQuery
from triptych.analytics.entrypoints.clients import Clients
from triptych.analytics.entrypoints.formats import FORMATS, JSON, Answer
from triptych.analytics.entrypoints.recalling import Recall, recalling
from triptych.analytics.entrypoints.responding import Question, Responder
from triptych.analytics.infrastructure.metrics import MetricFolder
from triptych.analytics.settings import QuerySettings
from triptych.analytics.wiring import Analytics
from triptych.service.access import Requirement, require
from triptych.service.keys import Scope


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    ask: Ask
    metrics: MetricFolder
    responder: Responder
    clients: Clients
    limits: QuerySettings
    recall: Recall
    fingerprint: str
    reader: Requirement

    @classmethod
    def of(cls, analytics: Analytics) -> "Service":
        """What the routes of a service work with."""
        responder = Responder(
            analytics.cache,
            SingleFlight(),
            analytics.workers,
            analytics.limiter,
            analytics.across,
            analytics.measurements,
            public=lambda: not analytics.keys.required,
        )
        settings = analytics.settings
        reader = require(analytics.keys, Scope.READ)
        return cls(
            analytics.ask,
            analytics.metrics,
            responder,
            Clients.of(settings.limit.trusted_proxies, reader),
            settings.query,
            Recall(analytics.tables, analytics.metrics),
            analytics.fingerprint,
            reader,
        )

    async def answer(self, request: Request, wanted: "Wanted") -> Response:
        """The answer to what a request wants.

        Raises:
            TriptychError: there is none.
        """
        most = self.limits.rows if wanted.media_type == JSON else self.limits.export_rows
        if wanted.asked.part.limit > most:
            raise UnfitQuery(f"'limit' is {most} at most, as {wanted.media_type}")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        asked = wanted.asked
        if wanted.cursor:
            now = datetime.now(UTC)
            asked = await run_in_threadpool(self.ask.placed, asked, wanted.cursor, now)
        wanted = replace(wanted, asked=asked)
        others = (wanted.media_type, wanted.total, wanted.zone, today.date(), self.fingerprint)
        address = f"{request.url.path}?{_without(request, 'cursor')}"
        told = f"{asked.key}|{others}|{address}"
        question = Question(
            key=hashlib.sha256(told.encode()).hexdigest()[:32],
            cost=asked.cost,
            # A metric's meaning may change, though the version does not.
            lasting=wanted.pinned and isinstance(asked.query, RowQuery),
            make=lambda: self._made(wanted, address, today),
        )
        if not wanted.posted and (wanted.as_of is None or wanted.pinned):
            free = not (wanted.pinned or wanted.cursor)
            versions = {n: t.version for n, t in asked.versions.items()} if free else {}
            self.recall.remember(request, question, versions)
        return await self.respond(request, question)

    async def respond(self, request: Request, question: Question) -> Response:
        """The answer to a question that was read."""
        client = await self.clients.name(request)
        return await self.responder.respond(request, client, question)

    @property
    def route(self) -> type[APIRoute]:
        """The kind of route that answers questions."""
        return recalling(self.recall, self.respond)

    def _made(self, wanted: "Wanted", address: str, today: datetime) -> Representation:
        asked = wanted.asked
        page = self.ask.page(asked, today)
        links = {
            name: f"{address}{'' if address.endswith('?') else '&'}{urlencode({'cursor': cursor})}"
            for name, cursor in (("next", page.next), ("prev", page.prev))
            if cursor
        }
        if wanted.posted:  # there is no address of another page: its cursor stands in the body
            beside = {"next": page.next, "prev": page.prev}
        else:
            beside = {"next": links.get("next"), "prev": links.get("prev")}
        total = (
            {"total": self.ask.tables.count(asked.query, asked.versions)} if wanted.total else {}
        )
        others: Mapping[str, object] = {
            **wanted.others,
            "tables": _told(asked.versions),
            **beside,
            **total,
        }
        answer = Answer(page.rows, wanted.columns, wanted.zone, others)
        body = FORMATS[wanted.media_type](answer)
        if len(body) > self.limits.bytes:
            raise AnswerTooLarge(f"it has {len(body)} bytes, and {self.limits.bytes} are allowed")
        headers = [("Content-Type", wanted.media_type)]
        if links and not wanted.posted:
            told = ", ".join(f'<{link}>; rel="{name}"' for name, link in links.items())
            headers.append(("Link", told))
        if total:
            headers.append(("X-Total-Count", str(total["total"])))
        return Representation(body, tuple(headers))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question, and how its answer is to be told."""

    asked: Asked
    columns: Sequence[Column]
    zone: str
    media_type: str
    cursor: str | None
    as_of: str | None
    total: bool
    posted: bool
    others: Mapping[str, object]

    @property
    def pinned(self) -> bool:
        """Whether it names the version that it is for."""
        return self.as_of is not None and self.as_of.isdigit()


class ExplainedBody(BaseModel):
    """How a question would be answered."""

    sql: str
    parameters: list[str]
    cost: int = Field(description="Units of the quotas that it takes.")
    tables: list[dict[str, int | str]]


def explained(service: Service, asked: Asked) -> ExplainedBody:
    """How a question would be answered."""
    found = service.ask.tables.explain(asked.query, asked.versions, asked.part)
    return ExplainedBody(
        sql=found.sql,
        parameters=[str(value) for value in found.parameters],
        cost=asked.cost,
        tables=[
            {"name": t.name, "version": t.version, "rows": t.rows} for t in asked.versions.values()
        ],
    )


def _told(versions: Versions) -> list[dict[str, object]]:
    return [
        {
            "name": table.name,
            "version": table.version,
            "committed_at": table.committed_at.isoformat().replace("+00:00", "Z"),
        }
        for table in versions.values()
    ]


def _without(request: Request, name: str) -> str:
    pairs = [(key, value) for key, value in request.query_params.multi_items() if key != name]
    return urlencode(pairs)


def routed(
    router: APIRouter, path: str, endpoint: Callable[..., Awaitable[Response]], *, summary: str
) -> None:
    """Answer there with GET and HEAD, in the format that `Accept` or the address's ending names."""
    for where in (path, path + ".{suffix}"):
        for method in ("GET", "HEAD"):
            router.add_api_route(
                where,
                endpoint,
                methods=[method],
                summary=summary,
                response_class=Response,
                include_in_schema=where == path and method == "GET",
            )
