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
from triptych.analytics.entrypoints.responding import HIT_COST, Question, Responder
from triptych.analytics.entrypoints.streaming import Spools, Stream
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
        settings = analytics.settings
        responder = Responder(
            analytics.cache,
            SingleFlight(),
            analytics.workers,
            analytics.limiter,
            analytics.across,
            analytics.measurements,
            public=lambda: not analytics.keys.required,
            spools=Spools(analytics.exporters, settings.query.stream_bytes),
        )
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
            stream=(lambda: self._streamed(wanted, address, today)) if self._long(wanted) else None,
        )
        if not wanted.posted and (wanted.as_of is None or wanted.pinned):
            free = not (wanted.pinned or wanted.cursor)
            versions = {n: t.version for n, t in asked.versions.items()} if free else {}
            self.recall.remember(request, question, versions)
        return await self.respond(request, question)

    def _long(self, wanted: "Wanted") -> bool:
        """Whether the answer may be so long that it is not to be held in memory, nor to be kept."""
        part = wanted.asked.part
        backwards = part.place is not None and part.place.backwards
        return part.limit > self.limits.rows and not backwards

    async def respond(self, request: Request, question: Question) -> Response:
        """The answer to a question that was read."""
        client = await self.clients.name(request)
        return await self.responder.respond(request, client, question)

    async def charge(self, request: Request, response: Response) -> None:
        """What a route depends on that looks at tables, and computes next to nothing: it costs one unit.

        Raises:
            TooMuch: the client has to wait.
        """
        client = await self.clients.name(request)
        response.headers.update(await self.responder.charged(client, HIT_COST))

    @property
    def route(self) -> type[APIRoute]:
        """The kind of route that answers questions."""
        return recalling(self.recall, self.respond)

    def _made(self, wanted: "Wanted", address: str, today: datetime) -> Representation:
        page = self.ask.page(wanted.asked, today)
        told = self._told(wanted, address, page.next, page.prev)
        answer = Answer([page.rows], wanted.columns, wanted.zone, told.body)
        body = b"".join(FORMATS[wanted.media_type](answer))
        if len(body) > self.limits.bytes:
            raise AnswerTooLarge(f"it has {len(body)} bytes, and {self.limits.bytes} are allowed")
        return Representation(body, tuple(told.headers.items()))

    def _streamed(self, wanted: "Wanted", address: str, today: datetime) -> Stream:
        export = self.ask.export(wanted.asked, today)
        told = self._told(wanted, address, export.next, export.prev)
        answer = Answer(export.tables, wanted.columns, wanted.zone, told.body)
        return Stream(told.headers, FORMATS[wanted.media_type](answer))

    def _told(
        self, wanted: "Wanted", address: str, next_: str | None, prev: str | None
    ) -> "_Beside":
        """What is told beside the rows: the pages before and after, the versions, how many there are."""
        cursors = {"next": next_, "prev": prev}
        start = f"{address}{'' if address.endswith('?') else '&'}"
        links = {n: f"{start}{urlencode({'cursor': c})}" for n, c in cursors.items() if c}
        # Of a question that was posted there is no address of another page.
        pages = cursors if wanted.posted else {name: links.get(name) for name in cursors}
        asked = wanted.asked
        body = {**wanted.others, "tables": _versions(asked.versions), **pages}
        headers = {"Content-Type": wanted.media_type}
        if links and not wanted.posted:
            told = (f'<{link}>; rel="{name}"' for name, link in links.items())
            headers["Link"] = ", ".join(told)
        if wanted.total:
            body["total"] = self.ask.tables.count(asked.query, asked.versions)
            headers["X-Total-Count"] = str(body["total"])
        return _Beside(body, headers)


@dataclass(frozen=True, slots=True)
class _Beside:
    body: Mapping[str, object]
    headers: Mapping[str, str]


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


def _versions(versions: Versions) -> list[dict[str, object]]:
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
