"""A request belongs to its client's trace, and is a span of it where spans are wanted."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from triptych.service.app import create_app
from triptych.service.tracing import NoExporter, configure_tracing, current_traceparent

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

WRONG = [
    "",
    TRACE,
    f"00-{TRACE.upper()}-{PARENT}-01",
    f"00-{'0' * 32}-{PARENT}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE}-{PARENT}-01-more",
    f"ff-{TRACE}-{PARENT}-01",
    f"{TRACEPARENT},{TRACEPARENT}",
]

Serve = Callable[..., TestClient]


def shelves() -> APIRouter:
    """`/traceparent` answers with what is to be handed on, from the event loop or a thread."""
    router = APIRouter()

    @router.get("/traceparent/{how}")
    async def from_loop(how: str) -> str | None:
        return current_traceparent()

    @router.post("/traceparent/{how}")
    def from_thread(how: str) -> str | None:
        return current_traceparent()

    @router.get("/crash")
    async def crash() -> None:
        raise RuntimeError("canary")

    @router.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        def pages() -> Iterator[bytes]:
            yield b"page 1"
            raise RuntimeError("canary")

        return StreamingResponse(pages())

    return router


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where spans go."""
    return InMemorySpanExporter()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Make a client of a service whose spans go to a provider, or nowhere."""
    with ExitStack() as stack:

        def make(provider: TracerProvider | None = None) -> TestClient:
            app = create_app(
                title="Shelves",
                description="",
                version="1",
                routers=[shelves()],
                probes={},
                tracer_provider=provider,
            )
            client = TestClient(app, raise_server_exceptions=False)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """A client of a service that traces nothing."""
    return serve()


@pytest.fixture
def traced(serve: Serve, exporter: InMemorySpanExporter) -> TestClient:
    """A client of a service that traces."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return serve(provider)


def ids(span: ReadableSpan) -> tuple[str, str]:
    """A span's trace and its own id."""
    return format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)


# Without spans.


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("traceparent", [TRACEPARENT, f"cc-{TRACE}-{PARENT}-01-more"])
def test_what_is_handed_on_is_the_clients_as_it_came(
    client: TestClient, traceparent: str, method: str
) -> None:
    answer = client.request(method, "/traceparent/x", headers={"traceparent": traceparent})

    assert answer.json() == traceparent


@pytest.mark.parametrize("traceparent", WRONG)
def test_nothing_is_handed_on_without_a_trace(client: TestClient, traceparent: str) -> None:
    client.get("/traceparent/x", headers={"traceparent": TRACEPARENT})

    answer = client.get("/traceparent/x", headers={"traceparent": traceparent})

    assert answer.json() is None


def test_nothing_is_handed_on_outside_of_a_request() -> None:
    assert current_traceparent() is None


def test_who_traces_nothing_does_not_load_what_traces() -> None:
    program = (
        "import sys; from triptych.service import app, server, tracing;"
        "tracing.configure_tracing('shelf', None);"
        "print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    )

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )

    assert run.stdout == "[]\n"


# With spans.


def test_a_request_is_a_span_of_its_clients_trace(
    traced: TestClient, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": TRACEPARENT, "tracestate": "shop=1,bank=2"}

    traced.get("/traceparent/blue?secret=canary", headers=headers)

    [span] = exporter.get_finished_spans()
    assert (span.name, span.kind) == ("GET /traceparent/{how}", SpanKind.SERVER)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/traceparent/{how}",
        "url.path": "/traceparent/blue",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert ids(span)[0] == TRACE
    assert span.parent
    assert format_span_id(span.parent.span_id) == PARENT
    assert span.context.trace_state.to_header() == "shop=1,bank=2"


@pytest.mark.parametrize("traceparent", WRONG)
def test_a_request_without_a_trace_begins_one(
    traced: TestClient, exporter: InMemorySpanExporter, traceparent: str
) -> None:
    traced.get("/traceparent/x", headers={"traceparent": traceparent})

    [span] = exporter.get_finished_spans()
    assert span.parent is None
    assert ids(span)[0] != TRACE


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_handed_on_is_the_requests_own_span(
    traced: TestClient, exporter: InMemorySpanExporter, method: str
) -> None:
    answer = traced.request(method, "/traceparent/x", headers={"traceparent": TRACEPARENT})

    [span] = exporter.get_finished_spans()
    trace, own = ids(span)
    assert answer.json() == f"00-{trace}-{own}-01"
    assert (trace, own) != (TRACE, PARENT)


def test_a_trace_that_is_not_recorded_is_handed_on_all_the_same(
    traced: TestClient, exporter: InMemorySpanExporter
) -> None:
    answer = traced.get("/traceparent/x", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})

    assert exporter.get_finished_spans() == ()
    assert answer.json().startswith(f"00-{TRACE}-")
    assert answer.json().endswith("-00")


def test_the_log_names_the_spans_trace(traced: TestClient, exporter: InMemorySpanExporter) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        traced.get("/traceparent/x")

    [span] = exporter.get_finished_spans()
    assert [line["trace_id"] for line in lines] == [ids(span)[0]]


@pytest.mark.parametrize("path", ["/crash", "/breaks-off"])
def test_a_failure_is_told_without_its_words(
    traced: TestClient, exporter: InMemorySpanExporter, path: str
) -> None:
    traced.get(path)

    [span] = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes
    assert span.attributes["error.type"] == "RuntimeError"
    assert "canary" not in span.to_json()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_what_machines_ask_all_day_is_not_traced(
    traced: TestClient, exporter: InMemorySpanExporter, path: str
) -> None:
    traced.get(path)

    assert exporter.get_finished_spans() == ()


# Where spans go.


def test_who_cannot_send_traces_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)

    with pytest.raises(NoExporter) as caught:
        configure_tracing("shelf", "http://127.0.0.1:4318/v1/traces")

    assert "triptych-service[otlp]" in caught.value.hint
