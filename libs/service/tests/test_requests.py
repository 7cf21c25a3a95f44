"""What happens around every request: its ids, its lines in the log, its measurements."""

import asyncio
import io
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import orjson
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Counter

from triptych.core.config import LogSettings
from triptych.core.logging import configure_logging, get_logger
from triptych.service.app import create_app

NEW_ID = re.compile(r"[0-9a-f]{32}")
TRACE = "0af7651916cd43dd8448eb211c80319c"

Logged = Callable[[str], list[dict[str, Any]]]

log = get_logger("shelves")


@pytest.fixture
def registry() -> CollectorRegistry:
    """Where the service keeps its measurements."""
    return CollectorRegistry()


@pytest.fixture
def app(registry: CollectorRegistry) -> FastAPI:
    """A service that says something while it answers."""
    router = APIRouter(prefix="/v1")

    @router.get("/shelves/{shelf}")
    async def shelf(shelf: int) -> int:
        await asyncio.sleep(0)  # other requests may go on now
        log.info("shelf.read", shelf=shelf)
        return shelf

    @router.get("/in-a-thread")
    def in_a_thread() -> None:
        log.info("shelf.read", shelf=0)

    @router.get("/crash")
    async def crash() -> None:
        raise RuntimeError("canary")

    @router.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        def pages() -> Iterator[bytes]:
            yield b"page 1"
            raise RuntimeError("canary")

        return StreamingResponse(pages())

    return create_app(
        title="Shelves",
        description="",
        version="1",
        routers=[router],
        probes={},
        registry=registry,
    )


@pytest.fixture
def logged() -> Iterator[Logged]:
    """The lines of the log that have this event."""
    log_file = io.StringIO()

    def read(event: str) -> list[dict[str, Any]]:
        lines = [orjson.loads(line) for line in log_file.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # configuring closes those that it finds, and these are pytest's
    configure_logging(LogSettings(level="info", format="json"))
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(log_file)
    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def client(app: FastAPI, logged: object) -> Iterator[TestClient]:
    """A client of the service, whose log is captured."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("request_id", ["1", "a-b_c.D", "x" * 128])
def test_a_clients_request_id_is_echoed(client: TestClient, request_id: str) -> None:
    answer = client.get("/v1/shelves/1", headers={"X-Request-ID": request_id})

    assert answer.headers["x-request-id"] == request_id


@pytest.mark.parametrize(
    "request_id",
    [b"", b"a b", b"x" * 129, b"a\nb", b"a\r\nSet-Cookie: b", b"a\n", b"\xe9", b"<b>", b'"'],
)
def test_a_request_id_that_could_do_harm_is_replaced(client: TestClient, request_id: bytes) -> None:
    answer = client.get("/v1/shelves/1", headers={b"X-Request-ID": request_id})

    assert NEW_ID.fullmatch(answer.headers["x-request-id"])
    assert "set-cookie" not in answer.headers


def test_requests_without_an_id_get_one_each(client: TestClient) -> None:
    ids = {client.get("/livez").headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/path", 404),
        ("DELETE", "/v1/shelves/1", 405),
        ("GET", "/v1/shelves/blue", 422),
        ("GET", "/v1/crash", 500),
    ],
)
def test_an_error_has_its_request_id_too(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, headers={"X-Request-ID": "abc"})

    assert (answer.status_code, answer.headers["x-request-id"]) == (status, "abc")


def test_a_request_is_one_line_in_the_log(client: TestClient, logged: Logged) -> None:
    client.get("/v1/shelves/blue?limit=1")

    [line] = logged("http.request")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/shelves/blue", 422)
    assert line["milliseconds"] >= 0


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_what_machines_ask_all_day_is_not_logged(
    client: TestClient, logged: Logged, path: str
) -> None:
    client.get(path)

    assert logged("http.request") == []


@pytest.mark.parametrize("path", ["/v1/shelves/0", "/v1/in-a-thread"])
def test_what_is_logged_while_answering_has_the_requests_ids(
    client: TestClient, logged: Logged, path: str
) -> None:
    trace = f"00-{TRACE}-b7ad6b7169203331-01"

    client.get(path, headers={"X-Request-ID": "abc", "traceparent": trace})

    [line] = logged("shelf.read")
    assert (line["request_id"], line["trace_id"]) == ("abc", TRACE)


def test_a_requests_own_line_has_its_ids(client: TestClient, logged: Logged) -> None:
    trace = f"00-{TRACE}-b7ad6b7169203331-01"

    client.get("/v1/shelves/1", headers={"X-Request-ID": "abc", "traceparent": trace})

    [line] = logged("http.request")
    assert (line["request_id"], line["trace_id"]) == ("abc", TRACE)


@pytest.mark.parametrize("traceparent", ["", TRACE, f"00-{TRACE.upper()}-b7ad6b7169203331-01"])
def test_a_trace_that_cannot_be_read_is_replaced(
    client: TestClient, logged: Logged, traceparent: str
) -> None:
    client.get("/v1/shelves/1", headers={"traceparent": traceparent})

    [line] = logged("http.request")
    assert NEW_ID.fullmatch(line["trace_id"])
    assert line["trace_id"] != TRACE


def test_requests_at_the_same_time_keep_their_own_ids(app: FastAPI, logged: Logged) -> None:
    async def ask(client: httpx2.AsyncClient, shelf: int) -> None:
        await client.get(f"/v1/shelves/{shelf}", headers={"X-Request-ID": f"id-{shelf}"})

    async def ask_at_once() -> None:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            await asyncio.gather(*(ask(client, shelf) for shelf in range(20)))

    asyncio.run(ask_at_once())

    lines = logged("shelf.read")
    assert len(lines) == 20
    assert all(line["request_id"] == f"id-{line['shelf']}" for line in lines)


def test_a_crash_is_logged_with_its_cause_and_its_request(
    client: TestClient, logged: Logged
) -> None:
    client.get("/v1/crash", headers={"X-Request-ID": "abc"})

    [line] = logged("http.failed")
    assert "RuntimeError: canary" in line["exception"]
    assert (line["level"], line["path"], line["request_id"]) == ("error", "/v1/crash", "abc")


def test_an_answer_that_breaks_off_is_logged(client: TestClient, logged: Logged) -> None:
    client.get("/v1/breaks-off")

    [line] = logged("http.failed")
    assert "RuntimeError: canary" in line["exception"]


def series(client: TestClient, name: str) -> dict[str, float]:
    """What /metrics says of one measurement: the value by its labels."""
    pattern = re.compile(rf"^{name}\{{(.*)\}} (.*)$", re.MULTILINE)
    return {labels: float(value) for labels, value in pattern.findall(client.get("/metrics").text)}


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/v1/shelves/1", 'method="GET",route="/v1/shelves/{shelf}",status="200"'),
        ("GET", "/v1/shelves/blue", 'method="GET",route="/v1/shelves/{shelf}",status="422"'),
        ("POST", "/v1/shelves/1", 'method="POST",route="/v1/shelves/{shelf}",status="405"'),
        ("GET", "/v1/crash", 'method="GET",route="/v1/crash",status="500"'),
        ("GET", "/no/such/path", 'method="GET",route="(none)",status="404"'),
    ],
)
def test_requests_are_counted_by_their_routes_template(
    client: TestClient, method: str, path: str, labels: str
) -> None:
    client.request(method, path)
    client.request(method, path)

    assert series(client, "http_requests_total") == {labels: 2}


def test_the_time_that_requests_take_is_measured_for_each_route(client: TestClient) -> None:
    client.get("/v1/shelves/1")
    client.get("/v1/shelves/2")

    assert series(client, "http_request_seconds_count") == {'route="/v1/shelves/{shelf}"': 2}


def test_a_client_cannot_make_up_labels(client: TestClient) -> None:
    for n in range(20):
        client.get(f"/made/up/{n}")
        client.get(f"/v1/shelves/{n}?made=up{n}")
        client.request(f"MADEUP{n}", "/v1/shelves/1")

    assert series(client, "http_requests_total") == {
        'method="GET",route="(none)",status="404"': 20,
        'method="GET",route="/v1/shelves/{shelf}",status="200"': 20,
        'method="(other)",route="/v1/shelves/{shelf}",status="405"': 20,
    }


def test_what_a_service_counts_itself_is_among_the_measurements(
    client: TestClient, registry: CollectorRegistry
) -> None:
    books = Counter("books", "Books read.", ["shelf"], registry=registry)

    books.labels("blue").inc()

    assert series(client, "books_total") == {'shelf="blue"': 1}


def test_measurements_are_in_the_format_of_prometheus(client: TestClient) -> None:
    answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
