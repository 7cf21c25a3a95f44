"""What happens around every request: its ids, its log line, its measurements, its last resort."""

import re
import time
import uuid
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triptych.core.logging import bind, get_logger
from triptych.service.problems import http_problem

log = get_logger(__name__)

REQUEST_ID: Final = "X-Request-ID"
CLIENT_GONE: Final = 499  # no answer was sent: as nginx counts it
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(
    r"[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})


class Requests:
    """ASGI middleware: correlates, logs and measures requests, and answers what nobody caught.

    The request's id is the client's `X-Request-ID` when that is sane, else a new one; the trace's
    is taken from `traceparent` (W3C Trace Context). Both stand on every line of the log.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self.requests = Counter(
            "http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "http_request_seconds", "Time to the answer's end.", ["route"], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, trace_id = _ids(Headers(scope=scope))
        with bind(request_id=request_id, trace_id=trace_id):
            await self._handle(scope, receive, _with_header(send, REQUEST_ID, request_id))

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            log.debug("http.client_gone", path=scope["path"])
        except Exception:
            log.exception("http.failed", method=scope["method"], path=scope["path"])
            if status:  # the answer has begun: all that is left is to break it off
                raise
            await http_problem(500)(scope, receive, watch)
        finally:
            self._record(scope, status or CLIENT_GONE, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Known methods, and the route's template: a client must not be able to make up label values.
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        route = getattr(scope.get("route"), "path", "(none)")
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        level = log.debug if scope["path"] in _QUIET else log.info
        level(
            "http.request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


def _ids(headers: Headers) -> tuple[str, str]:
    request_id = headers.get(REQUEST_ID, "")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = uuid.uuid4().hex
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return request_id, trace["trace"] if trace else uuid.uuid4().hex


def _with_header(send: Send, name: str, value: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[name] = value
        await send(message)

    return sending
