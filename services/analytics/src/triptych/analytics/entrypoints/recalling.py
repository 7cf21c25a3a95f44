"""Recall what a request means, so that who asks again is answered without reading it again.

To read a request, look its metrics up, parse its filter and name its answer takes several times as
long as to send the answer. Nothing stale can come of it: what was meant is forgotten as soon as a
table has a newer version, the metrics were read again, or a day has passed. Where it takes a database
to see which version a table has, nothing is recalled.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from fastapi import Request, Response
from fastapi.routing import APIRoute

from triptych.analytics.application.errors import VersionGone
from triptych.analytics.entrypoints.responding import Question
from triptych.analytics.infrastructure.metrics import MetricFolder
from triptych.analytics.infrastructure.places import Places

MOST: Final = 10_000
_Key: TypeAlias = tuple[str, bytes, str | None]


@dataclass(frozen=True, slots=True)
class _Meant:
    question: Question
    versions: Mapping[str, int]
    """Those that have to be the newest still; none if it names its version."""
    metrics: object
    day: int


@dataclass
class Recall:
    """What requests mean. For one event loop."""

    tables: Places
    metrics: MetricFolder
    _known: OrderedDict[_Key, _Meant] = field(default_factory=OrderedDict)

    def remember(self, request: Request, question: Question, versions: Mapping[str, int]) -> None:
        """That this is what a request means, as long as these versions are the newest."""
        if not self.tables.near(versions):
            return
        meant = _Meant(question, versions, self.metrics.metrics, _day())
        self._known[_key(request)] = meant
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def meant(self, request: Request) -> Question | None:
        """What the request means, if it is known and still true."""
        key = _key(request)
        known = self._known.get(key)
        if known is None:
            return None
        if (
            known.metrics is self.metrics.metrics
            and known.day == _day()
            and all(self.tables.version(n).version == v for n, v in known.versions.items())
        ):
            return known.question
        del self._known[key]
        return None


def recalling(
    recall: Recall, answer: Callable[[Request, Question], Awaitable[Response]]
) -> type[APIRoute]:
    """A kind of route that reads a request only if it is not known what it means."""

    class Recalling(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            read: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

            async def handle(request: Request) -> Response:
                question = recall.meant(request) if request.method != "POST" else None
                if question is not None:
                    return await answer(request, question)
                try:
                    return await read(request)
                except VersionGone:
                    if request.query_params.keys() & {"as_of", "cursor"}:
                        raise
                # Nobody named a version: a table moved on after it was seen which one it has.
                return await read(request)

            return handle

    return Recalling


def _key(request: Request) -> _Key:
    return (request.scope["path"], request.scope["query_string"], request.headers.get("accept"))


def _day() -> int:
    return datetime.now(UTC).toordinal()
