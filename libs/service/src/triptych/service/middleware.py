"""What happens around every request: its ids, its log line, its measurements, its last resort."""

import os
import re
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from opentelemetry.trace import Span, Status, StatusCode, TracerProvider
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triptych.core.logging import bind, get_logger, untag
from triptych.service.problems import http_problem
from triptych.service.tracing import active_tracer, tracing

log = get_logger(__name__)

REQUEST_ID: Final = "X-Request-ID"
CLIENT_GONE: Final = 499  # no answer was sent: as nginx counts it
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_FIELDS: Final = frozenset({b"x-request-id", b"traceparent", b"tracestate"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WELL: Final = (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
_QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})


class Requests:
    """ASGI middleware: correlates, logs and measures requests, and answers what nobody caught.

    The request's id is the client's `X-Request-ID` when that is sane, else a new one; the trace's
    is taken from `traceparent` (W3C Trace Context). Both stand on every line of the log. Where
    there is a provider of spans, each request is one, but for those that machines make all day.
    What goes well (200, 304) on the routes in `quiet` is counted, and logged for debugging only.
    """

    def __init__(
        self,
        app: ASGIApp,
        registry: CollectorRegistry,
        tracer_provider: TracerProvider | None = None,
        quiet: Collection[str] = (),
    ) -> None:
        self.app = app
        self._quiet = frozenset(quiet)
        self.requests = Counter(
            "http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "http_request_seconds", "Time to the answer's end.", ["route"], registry=registry
        )
        # Finding what counts costs more than counting.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._tracer = active_tracer(tracer_provider)
        self._log = log.bind()  # nor is the logger looked up for each request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        fields = _fields(scope)
        request_id = fields.get(b"x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = os.urandom(16).hex()
        tracer = None if scope["path"] in _QUIET else self._tracer
        parent, state = fields.get(b"traceparent", ""), fields.get(b"tracestate", "")
        untag("caller")  # of the request before, whose task may have started this one's
        with (
            tracing(tracer, parent, state) as (trace_id, span),
            bind(request_id=request_id, trace_id=trace_id),
        ):
            await self._handle(scope, receive, send, request_id, span)

    async def _handle(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, span: Span
    ) -> None:
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        started = time.perf_counter()
        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            log.debug("http.client_gone", path=scope["path"])
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            log.exception("http.failed", method=scope["method"], path=scope["path"])
            if status:  # the answer has begun: all that is left is to break it off
                raise
            await http_problem(500)(scope, receive, answer)
        finally:
            self._record(scope, status or CLIENT_GONE, time.perf_counter() - started, span)

    def _record(self, scope: Scope, status: int, seconds: float, span: Span) -> None:
        # Known methods, and the route's template: a client must not be able to make up label values.
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        route = getattr(scope.get("route"), "path", "(none)")
        counter, histogram = self._measures(method, route, status)
        counter.inc()
        histogram.observe(seconds)
        if span.is_recording():
            _describe(span, scope, method, route, status)
        quiet = scope["path"] in _QUIET or (status in _WELL and route in self._quiet)
        level = self._log.debug if quiet else self._log.info
        level(
            "http.request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )

    def _measures(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        key = (method, route, status)
        found = self._series.get(key)
        if found is None:
            counter = self.requests.labels(method, route, str(status))
            found = self._series[key] = counter, self.seconds.labels(route)
        return found


def _fields(scope: Scope) -> dict[bytes, str]:
    """What the client says of its request's identity; what it says repeatedly, with commas."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _FIELDS:
            text = value.decode("latin-1")
            found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _describe(span: Span, scope: Scope, method: str, route: str, status: int) -> None:
    """Say of a span what OpenTelemetry's conventions want of a request's."""
    span.update_name(f"{method} {route}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("http.route", route)
    span.set_attribute("url.path", scope["path"])
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR))
