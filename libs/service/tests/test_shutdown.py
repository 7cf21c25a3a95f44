"""How a service begins and ends, seen from outside its process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson
import pytest

# `/read` begins its answer and ends it when it has read a line from standard input; `/stuck` begins
# one and never ends it; `/break` begins one and fails. `/thread` blocks a thread for ever, `/loop`
# the event loop, `/probe` what looks whether the service is ready.
PROGRAM = """
import asyncio, sys, threading
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from triptych.core.config import LogSettings
from triptych.core.logging import configure_logging, get_logger
from triptych.service import server
from triptych.service.app import create_app
from triptych.service.settings import HttpSettings

log = get_logger("shelf")
router = APIRouter()

@router.get("/read")
async def read() -> StreamingResponse:
    async def parts():
        yield b"begun, "
        yield (await run_in_threadpool(sys.stdin.readline)).encode()
    return StreamingResponse(parts())

@router.get("/stuck")
async def stuck() -> StreamingResponse:
    async def parts():
        yield b"begun"
        await asyncio.Event().wait()
    return StreamingResponse(parts())

@router.get("/break")
async def break_() -> StreamingResponse:
    async def parts():
        yield b"begun"
        raise RuntimeError
    return StreamingResponse(parts())

def block():
    log.info("shelf.blocked")
    threading.Event().wait()

@router.get("/thread")
def thread():
    block()

@router.get("/loop")
async def loop():
    block()

@router.get("/probe")
async def probe():
    app.state.health.probes["shelf"] = block
    await app.state.health.failures()

configure_logging(LogSettings(format="json"))
app = create_app(title="Shelf", description="", version="1", routers=[router], probes={})
server.GRACE_SECONDS = float(sys.argv[2])
server.serve(app, HttpSettings.model_validate_json(sys.argv[1]), section="shelf")
"""

CUT_OFF = (httpx2.RemoteProtocolError, httpx2.ReadError)


@dataclass(frozen=True)
class Server:
    """A service in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    listening: dict[str, Any]
    """The line of the log that announced it."""

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_for(self, event: str) -> dict[str, Any]:
        """Read the log until it has this event."""
        return _wait_for(self.process, event)

    def say(self, line: str) -> None:
        """Let `/read` go on."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def refuses(self) -> bool:
        """Whether it accepts no connections any more."""
        address = urlsplit(self.url)
        try:
            socket.create_connection((str(address.hostname), address.port or 0)).close()
        except (ConnectionRefusedError, ConnectionResetError):  # reset: it was closing just then
            return True
        return False

    def exit_code(self) -> int:
        """How it ends, which must be soon."""
        return self.process.wait(30)


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a service with these settings; it is ready for requests and signals."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    with ExitStack() as stack:
        yield lambda grace=30, **settings: stack.enter_context(_serving(program, grace, settings))


@contextmanager
def _serving(program: Path, grace: float, settings: dict[str, object]) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, str(program), orjson.dumps(settings).decode(), str(grace)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            listening = _wait_for(process, "http.listening")
            server = Server(process, listening["url"], listening)
            yield server
        finally:
            process.kill()


def _wait_for(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    assert process.stderr
    for text in process.stderr:
        line: dict[str, Any] = orjson.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"the service ended without {event}")


def test_a_service_announces_where_it_listens(serve: Serve) -> None:
    server = serve()

    assert server.listening["service"] == "shelf"
    assert httpx2.get(f"{server.listening['url']}/livez", timeout=30).status_code == 200


def test_a_signal_that_comes_at_once_is_heard(serve: Serve) -> None:
    server = serve()

    server.signal(signal.SIGTERM)

    assert server.exit_code() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_gets_its_whole_answer_before_the_service_ends_with_0(
    serve: Serve, how: signal.Signals
) -> None:
    server = serve()

    with httpx2.stream("GET", f"{server.url}/read", timeout=30) as answer:
        parts = answer.iter_raw()
        begun = next(parts)
        server.signal(how)
        while not server.refuses():
            pass
        server.say("ended")
        rest = b"".join(parts)

    assert begun + rest == b"begun, ended\n"
    assert server.exit_code() == 0


def test_a_client_that_keeps_its_connection_does_not_keep_the_service(serve: Serve) -> None:
    server = serve()

    with httpx2.Client(timeout=30) as client:
        client.get(f"{server.url}/livez")
        server.signal(signal.SIGTERM)

        assert server.exit_code() == 0


def test_a_service_that_drains_says_so_and_goes_on_serving(serve: Serve) -> None:
    server = serve(drain_seconds=60)

    server.signal(signal.SIGTERM)
    draining = server.wait_for("http.draining")

    assert draining["seconds"] == 60
    with pytest.raises(subprocess.TimeoutExpired):  # longer than it takes to stop
        server.process.wait(0.5)
    ready = httpx2.get(f"{server.url}/readyz", timeout=30)
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert httpx2.get(f"{server.url}/livez", timeout=30).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_draining(serve: Serve, how: signal.Signals) -> None:
    server = serve(drain_seconds=60)
    server.signal(how)
    server.wait_for("http.draining")

    server.signal(how)

    assert server.exit_code() == 0


def test_a_request_that_never_ends_is_cut_off_at_the_deadline(serve: Serve) -> None:
    server = serve(shutdown_seconds=1)

    with httpx2.stream("GET", f"{server.url}/stuck", timeout=30) as answer:
        parts = answer.iter_raw()
        begun = next(parts)
        server.signal(signal.SIGTERM)

        assert begun == b"begun"
        with pytest.raises(CUT_OFF):
            next(parts)
    assert server.exit_code() == 0


@pytest.mark.parametrize("what", ["thread", "loop", "probe"])
def test_a_service_in_which_something_blocks_for_ever_is_ended(serve: Serve, what: str) -> None:
    server = serve(grace=0.5, shutdown_seconds=1)
    address = urlsplit(server.url)

    with socket.create_connection((str(address.hostname), address.port or 0)) as connection:
        connection.sendall(f"GET /{what} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        server.wait_for("shelf.blocked")
        server.signal(signal.SIGTERM)

        assert server.wait_for("http.deadline_missed")["seconds"] == 1.5
        assert server.exit_code() == 1


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(serve: Serve) -> None:
    server = serve()

    with pytest.raises(CUT_OFF):
        httpx2.get(f"{server.url}/break", timeout=30)


def test_a_service_does_not_tell_what_it_is_made_of(serve: Serve) -> None:
    answer = httpx2.get(f"{serve().url}/livez", timeout=30)

    assert "server" not in answer.headers
