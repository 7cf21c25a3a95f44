"""The HTTP of a service: uvicorn's, with bounds on what a client may do before anybody reads it."""

import asyncio
import os
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from triptych.core.logging import bind, get_logger
from triptych.service.problems import http_problem
from triptych.service.settings import HttpSettings

log = get_logger(__name__)

LINGER_SECONDS: Final = 2.0
"""How long a client may go on sending after it has its answer."""

# What the parser does not hand on: "GET  HTTP/1.1", an empty line; ": " and the end of each header.
_FRAME_BYTES: Final = 17
_LINE_BYTES: Final = 4


class _Stage(Enum):
    """What the next byte from the client belongs to."""

    BETWEEN = auto()
    HEAD = auto()
    BODY = auto()


class _HeadTooLarge(Exception):
    """Stops the parser."""


class _OtherVersion(Exception):
    """Stops the parser, which would read HTTP/0.9 and 2.0, too."""


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which refuses a head that is too large or too slow, and what is no HTTP.

    A refusal is a problem document and ends the connection, so that its client can read it: what
    the client still sends is thrown away for a while. Make the class with `guarded`.
    """

    header_bytes: ClassVar[int]
    header_seconds: ClassVar[float]

    _stage = _Stage.BETWEEN
    _fed = 0  # bytes since the head began, or since the last of the body
    _own = 0  # bytes of this packet that a head beginning in it may have
    _asked = False  # whether there has been a request
    _deaf = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._line = cast("asyncio.Transport", _Line(self))
        self._limit(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unlimit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._deaf:
            return
        self._fed += len(data)
        self._own = len(data) if self._stage is _Stage.BETWEEN else 0
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLarge):
                self._refuse_size()
            elif isinstance(error, httptools.HttpParserCallbackError):
                self._refuse(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1: wrong first line.")
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, f"This is no HTTP/1.1: {error}")
            return
        if self._fed > self.header_bytes:
            self._refuse_size()
        elif self._timer is None and self._waits():
            self._limit(self.header_seconds)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stage = _Stage.HEAD
        self._fed, self._own = self._own, 0

    def on_headers_complete(self) -> None:
        headers = sum(len(name) + len(value) + _LINE_BYTES for name, value in self.headers)
        if _FRAME_BYTES + len(self.url) + headers > self.header_bytes:
            raise _HeadTooLarge
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            raise _OtherVersion
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # `_feed` parses it again, without that wish
        super().on_headers_complete()
        self._asked = True
        self.cycle.transport = self._line
        self.headers = []  # for the trailers, which nobody asked for
        self._stage = _Stage.BODY
        self._unlimit()

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._stage is _Stage.BODY:
            super().on_message_complete()
            self._stage = _Stage.BETWEEN
            self._fed = 0
            self._unlimit()

    def on_response_complete(self) -> None:
        if self._deaf and not self.pipeline:
            return
        super().on_response_complete()
        if self._stage is not _Stage.BETWEEN:  # then this is not a connection without work
            self._unset_keepalive_if_required()
        if self._stage is _Stage.BODY and self.cycle.response_complete:
            self._limit(LINGER_SECONDS)

    def answered(self) -> None:
        """Close the connection after an answer, whole or broken off."""
        still_sends = self._deaf or self._stage is not _Stage.BETWEEN
        if still_sends and self.cycle.response_complete:
            self._hang_up()
        else:
            self.transport.close()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # A server may ignore the wish for another protocol (RFC 9110, 7.8), which some clients
            # have with every request. But the parser takes the body for that protocol's data.
            version = self.parser.get_http_version().encode()
            head = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
            for name, value in self.headers:
                if name != b"upgrade":
                    head += [name, b": ", value, b"\r\n"]
            self.parser = httptools.HttpRequestParser(self)
            self._stage = _Stage.BETWEEN
            self._feed(b"".join([*head, b"\r\n", data[upgrade.args[0] :]]))

    def _waits(self) -> bool:
        """Whether it is the client's turn to say what it wants."""
        between = self._stage is _Stage.BETWEEN
        return self._stage is _Stage.HEAD or (between and self.cycle.response_complete)

    def _limit(self, seconds: float) -> None:
        self._unlimit()
        self._timer = self.loop.call_later(seconds, self._late)

    def _unlimit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        asking = not self._asked or self._stage is _Stage.HEAD
        if self._deaf or not asking:
            self.transport.close()
            return
        limit = f"{self.header_seconds:g} seconds"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The request's headers took more than {limit}.")

    def _refuse_size(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The request's line and headers have more than {self.header_bytes} bytes.",
        )

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer with a problem and hang up."""
        self._deaf = True
        self._unlimit()
        request_id = os.urandom(16).hex()
        with bind(request_id=request_id):
            log.info("http.refused", status=status.value, reason=why)
        cycle = self.cycle
        if self._asked and not cycle.response_complete:
            if not cycle.more_body:  # what is refused came behind it: it gets its answer first
                cycle.keep_alive = False
                return
            if self.pipeline or cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        answer = http_problem(status, {"Connection": "close", "X-Request-ID": request_id}, why)
        lines = [*self.server_state.default_headers, *answer.raw_headers]
        head = b"".join(b"%b: %b\r\n" % line for line in lines)
        self.transport.write(b"".join([STATUS_LINE[status], head, b"\r\n", answer.body]))
        self._hang_up()

    def _hang_up(self) -> None:
        """Say no more, and close when the client has.

        Closing on what it still sends would make its machine throw the answer away.
        """
        self._deaf = True
        self.pipeline.clear()
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._limit(LINGER_SECONDS)


class _Line:
    """What uvicorn's answers see of the transport: they must not close it on a client that sends."""

    def __init__(self, protocol: GuardedHttp) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.close = protocol.answered


def guarded(settings: HttpSettings) -> type[GuardedHttp]:
    """The protocol with these limits, as the class that uvicorn wants."""

    class Guarded(GuardedHttp):
        header_bytes = settings.header_bytes
        header_seconds = settings.header_seconds

    return Guarded
