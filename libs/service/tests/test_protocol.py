"""What a client may do before anybody reads its request, and what it may not."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson
import pytest
import uvicorn
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from triptych.service.app import create_app
from triptych.service.body import read_body
from triptych.service.protocol import guarded
from triptych.service.server import listen
from triptych.service.settings import HttpSettings

LIMIT = 1024
BODY_LIMIT = 100_000


@dataclass(frozen=True)
class Answer:
    """What a server sent until it hung up, or all of its first answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = orjson.loads(self.body)
        assert document["status"] == self.status
        return document


@dataclass
class Line:
    """A connection to a server, byte by byte."""

    socket: socket.socket
    unread: bytes = b""

    def say(self, text: bytes) -> None:
        self.socket.sendall(text)

    def hear(self) -> Answer:
        """The next answer; it has a Content-Length."""
        while b"\r\n\r\n" not in self.unread:
            self._more()
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
        while len(self.unread) < (length := int(headers["content-length"])):
            self._more()
        body, self.unread = self.unread[:length], self.unread[length:]
        return Answer(int(first.split()[1]), headers, body)

    def _more(self) -> None:
        packet = self.socket.recv(65536)
        assert packet, f"the server hung up after {self.unread!r}"
        self.unread += packet

    def rest(self) -> bytes:
        """Everything until the server hangs up."""
        while packet := self.socket.recv(65536):
            self.unread += packet
        rest, self.unread = self.unread, b""
        return rest


@dataclass(frozen=True)
class Server:
    """A server in a thread."""

    port: int
    stack: ExitStack
    go_on: threading.Event
    """Lets `/wait` answer."""

    def connect(self) -> Line:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return Line(self.stack.enter_context(connection))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Serve = Callable[..., Server]


def echoing(go_on: threading.Event) -> APIRouter:
    """`/echo` answers with what came, `/wait` when it is told to, `/no` before it reads a body."""
    router = APIRouter()

    @router.post("/echo")
    async def echo(request: Request) -> JSONResponse:
        body = await read_body(request, limit=BODY_LIMIT, seconds=30)
        return JSONResponse({"body": body.decode(), "headers": list(request.headers)})

    @router.get("/wait")
    def wait() -> str:
        assert go_on.wait(30)
        return "waited"

    @router.post("/no")
    async def no() -> Response:
        return Response("no", 403)

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"begun"
            assert go_on.wait(30)
            yield b"ended"

        return StreamingResponse(parts())

    return router


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    """Both event loops: their transports close in ways of their own."""
    name: str = request.param
    return name


@pytest.fixture
def serve(loop: str) -> Iterator[Serve]:
    """Start a server with these settings."""
    with ExitStack() as stack:

        def start(**settings: object) -> Server:
            given = HttpSettings.model_validate({"header_bytes": LIMIT, **settings})
            return stack.enter_context(_serving(given, loop))

        yield start


@pytest.fixture(scope="module")
def server(loop: str) -> Iterator[Server]:
    """The server of those tests that need no settings."""
    with _serving(HttpSettings(header_bytes=LIMIT), loop) as server:
        yield server


@pytest.fixture
def line(server: Server) -> Line:
    """A connection to it."""
    return server.connect()


@contextmanager
def _serving(settings: HttpSettings, loop: str) -> Iterator[Server]:
    go_on = threading.Event()
    app = create_app(title="Echo", description="", version="1", routers=[echoing(go_on)], probes={})
    config = uvicorn.Config(app, http=guarded(settings), loop=loop, ws="none", log_config=None)
    server = uvicorn.Server(config)
    listener = listen(settings, section="echo")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with ExitStack() as stack:
            yield Server(listener.getsockname()[1], stack, go_on)
    finally:
        go_on.set()
        server.should_exit = True
        thread.join(30)


def a_request(path: str = "/livez", *, method: str = "GET", headers: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n".encode()


def a_request_of(size: int) -> bytes:
    """A request whose line and headers have about this many bytes."""
    return a_request(headers=f"X-Filler: {'x' * (size - len(a_request()) - 12)}\r\n")


# What is no HTTP.


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET \xff HTTP/1.1\r\n\r\n",
        b"CONNECT example.test:80 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nrubbish\r\n",
    ],
    ids=[
        "tls",
        "http2",
        "a-word",
        "http09",
        "header",
        "url",
        "proxy",
        "lengths",
        "length",
        "chunk",
    ],
)
def test_what_is_no_http_is_answered_with_a_problem(line: Line, rubbish: bytes) -> None:
    line.say(rubbish)
    answer = line.hear()

    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.problem["type"] == "urn:triptych:problem:bad-request"
    assert "HTTP" in answer.problem["detail"]
    assert answer.headers["x-request-id"]
    assert line.rest() == b""


# Size.


@pytest.mark.parametrize("pieces", [1, 7])
def test_headers_within_the_limit_are_read(line: Line, pieces: int) -> None:
    request = a_request_of(LIMIT - 10)

    for piece in _pieces(request, pieces):
        line.say(piece)

    assert line.hear().status == 200


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("size", [LIMIT + 10, 50 * LIMIT])
def test_headers_beyond_the_limit_are_refused(line: Line, size: int, pieces: int) -> None:
    for piece in _pieces(a_request_of(size), pieces):
        line.say(piece)
    answer = line.hear()

    assert (answer.status, answer.headers["connection"]) == (431, "close")
    assert answer.problem["type"] == "urn:triptych:problem:request-header-fields-too-large"
    assert str(LIMIT) in answer.problem["detail"]
    assert line.rest() == b""


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"xx"),
        (b"GET / HTTP/1.1\r\n", b"xx"),
        (b"GET / HTTP/1.1\r\nX-Filler: ", b"xx"),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
        (b"", b"\r\n"),
    ],
    ids=["line", "name", "value", "headers", "nothing"],
)
def test_headers_that_never_end_are_refused(line: Line, begin: bytes, more: bytes) -> None:
    line.say(begin)
    for _ in range(LIMIT):
        line.say(more)

    assert line.hear().status == 431


def test_trailers_that_never_end_are_refused(line: Line) -> None:
    line.say(a_request("/echo", method="POST", headers="Transfer-Encoding: chunked\r\n"))
    line.say(b"1\r\nx\r\n0\r\n")
    for n in range(LIMIT):
        line.say(b"X-%d: x\r\n" % n)

    assert line.hear().status == 431


def test_trailers_are_no_headers(line: Line) -> None:
    line.say(a_request("/echo", method="POST", headers="Transfer-Encoding: chunked\r\n"))
    line.say(b"1\r\nx\r\n0\r\nX-Trailer: x\r\n\r\n")

    assert "x-trailer" not in orjson.loads(line.hear().body)["headers"]


def test_the_limit_on_headers_is_none_on_bodies(line: Line) -> None:
    body = b"x" * BODY_LIMIT

    for _ in range(2):
        line.say(a_request("/echo", method="POST", headers=f"Content-Length: {len(body)}\r\n"))
        line.say(body)

        assert len(orjson.loads(line.hear().body)["body"]) == BODY_LIMIT


@pytest.mark.parametrize("pieces", [1, 100])
def test_each_of_several_requests_at_once_has_the_whole_limit(line: Line, pieces: int) -> None:
    requests = a_request_of(LIMIT - 10) * 20

    for piece in _pieces(requests, pieces):
        line.say(piece)

    assert [line.hear().status for _ in range(20)] == [200] * 20


# Time.


def test_a_client_that_says_nothing_is_told_so(serve: Serve) -> None:
    line = serve(header_seconds=0.2).connect()

    answer = line.hear()

    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert answer.problem["type"] == "urn:triptych:problem:request-timeout"
    assert line.rest() == b""


@pytest.mark.parametrize("before", [0, 1])
def test_headers_that_trickle_in_are_refused(serve: Serve, before: int) -> None:
    line = serve(header_seconds=0.5).connect()
    for _ in range(before):
        line.say(a_request())
        line.hear()

    started = time.monotonic()
    for byte in a_request() * 100:
        line.say(bytes([byte]))
        if line.socket in _readable(line.socket, seconds=0.05):
            break

    assert line.hear().status == 408
    assert time.monotonic() - started < 5


def test_a_connection_without_work_is_closed_without_a_word(serve: Serve) -> None:
    line = serve(header_seconds=0.2).connect()
    line.say(a_request())
    line.hear()

    line.say(b"\r\n")  # which is nothing

    assert line.rest() == b""


def test_a_request_that_was_read_in_time_may_take_longer_to_answer(serve: Serve) -> None:
    server = serve(header_seconds=0.2)
    line = server.connect()
    line.say(a_request("/wait"))
    idle = server.connect()
    assert idle.hear().status == 408  # so long has it been

    server.go_on.set()

    assert line.hear().body == b'"waited"'


# Answers that come early, and refusals behind answers.


def test_an_answer_before_the_body_is_seen_and_the_connection_goes_on(line: Line) -> None:
    line.say(a_request("/no", method="POST", headers="Content-Length: 100000\r\n"))
    assert line.hear().status == 403

    line.say(b"x" * 100_000 + a_request())

    assert line.hear().status == 200


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_client_that_goes_on_sending_after_its_answer_is_cut_off(
    line: Line, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triptych.service.protocol.LINGER_SECONDS", 0.2)
    headers = f"Content-Length: 1000000000\r\nConnection: {connection}\r\n"
    line.say(a_request("/no", method="POST", headers=headers))
    assert line.hear().status == 403

    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
        for _ in range(1000):
            line.say(b"x" * 1000)
            _readable(seconds=0.01)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_client_that_sends_too_much_sees_the_answer(serve: Serve, connection: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 65536

    answer = httpx2.post(
        f"{serve().url}/echo", content=endless(), headers={"Connection": connection}, timeout=30
    )

    assert answer.status_code == 413


@pytest.mark.parametrize("rest", [b"rubbish\r\n\r\n", a_request_of(2 * LIMIT)])
def test_a_request_gets_its_answer_though_what_follows_is_refused(
    serve: Serve, rest: bytes
) -> None:
    server = serve()
    line = server.connect()
    line.say(a_request("/wait") + rest)

    server.go_on.set()

    assert line.hear().body == b'"waited"'
    assert line.rest() == b""


def test_a_refusal_does_not_get_into_an_answer_under_way(serve: Serve) -> None:
    server = serve()
    line = server.connect()
    line.say(a_request("/stream", headers="Transfer-Encoding: chunked\r\n"))
    assert line.socket.recv(10) == b"HTTP/1.1 2"

    line.say(b"rubbish\r\n")

    assert b"HTTP/1.1" not in line.rest()


# The wish for another protocol.


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_a_wish_for_another_protocol_is_ignored(line: Line, body: bytes) -> None:
    wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    headers = f"{wish}Content-Length: {len(body)}\r\n"

    for _ in range(2):
        line.say(a_request("/echo", method="POST", headers=headers) + body)

        assert orjson.loads(line.hear().body)["body"] == body.decode()


def _pieces(text: bytes, number: int) -> Iterator[bytes]:
    size = -(-len(text) // number)
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _readable(*sockets: socket.socket, seconds: float) -> list[socket.socket]:
    return select.select(sockets, [], [], seconds)[0]
