"""Reading a request's body without trusting its sender.

A body may be compressed (`Content-Encoding`): gzip, zstd, or one in the other. It is unpacked as it
is read, so that nobody can fill the memory with a few bytes that unpack to many.
"""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import Request
from starlette.requests import ClientDisconnect

from triptych.core.errors import Kind, TriptychError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

CHUNK_BYTES: Final = 65_536
"""The most that is unpacked at a time."""
MAX_ENCODINGS: Final = 2
ACCEPT_ENCODING: Final = "gzip, zstd"

_ZSTD_WINDOW_LOG: Final = (
    23  # 8 MiB: what a decoder has to support, at least and at most (RFC 9659)
)
_GZIP: Final = 31  # zlib's name for it, with the largest window


class BodyTooLarge(TriptychError):
    """The request's body is too large."""

    kind = Kind.TOO_LARGE
    hint = "Send it in smaller parts."


class UnknownEncoding(TriptychError):
    """The body is encoded in a way that is not understood here."""

    kind = Kind.UNSUPPORTED
    hint = f"Use at most {MAX_ENCODINGS} of: {ACCEPT_ENCODING}."
    headers: Mapping[str, str] = {"Accept-Encoding": ACCEPT_ENCODING}  # read only


class BrokenBody(TriptychError):
    """The body is not what its encoding says."""

    kind = Kind.MALFORMED
    hint = "Send it whole, and compressed as its Content-Encoding says."


class SlowBody(TriptychError):
    """The request's body comes too slowly."""

    kind = Kind.TOO_SLOW
    hint = "Send it faster, or in smaller parts."


async def read_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """The whole body, unpacked: at most `limit` bytes, waiting `seconds` at most.

    Raises:
        BodyTooLarge, UnknownEncoding, BrokenBody, SlowBody: as of `stream_body`.
    """
    body = bytearray()
    async for chunk in stream_body(request, limit=limit, seconds=seconds):
        body += chunk
    return bytes(body)


async def stream_body(request: Request, *, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The body, unpacked, as it comes: in chunks that are never empty.

    `limit` counts unpacked bytes. `seconds` counts the time that the client lets us wait, not what
    is done between the chunks.

    Raises:
        BodyTooLarge: it is larger, or says so; the rest of it is never read.
        UnknownEncoding: there is no such `Content-Encoding` here, or too many of them.
        BrokenBody: it is damaged, cut off, or something follows its end.
        SlowBody: the time is over.
    """
    length, encodings = _declared(request)
    layers = [_Layer(_OPEN[name]) for name in reversed(encodings)]
    meters = [*(_Meter(limit, packed=True) for _ in layers), _Meter(limit, packed=False)]
    meters[0].foresee(length)
    async for packet in _packets(request, seconds):
        for chunk in _unpack(packet, layers, meters):
            if chunk:
                yield chunk
            if layers:  # a small packet can hold much work: others may go on
                await asyncio.sleep(0)
    if not all(layer.ended for layer in layers):
        raise BrokenBody("it is cut off")


async def _packets(request: Request, seconds: float) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    more = True
    while more:
        asked = clock()
        try:
            async with asyncio.timeout(seconds):
                message = await request.receive()
        except TimeoutError:
            raise SlowBody("its time is over") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        seconds -= clock() - asked
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _declared(request: Request) -> tuple[str, list[str]]:
    """What the headers say of the body: its length, and what was done to it in this order."""
    length, names = "", []
    for name, value in request.scope["headers"]:  # Headers would decode them all, twice
        if name == b"content-length":
            length = value.decode("latin-1")
        elif name == b"content-encoding":
            names += value.decode("latin-1").lower().split(",")
    encodings = [n for n in map(str.strip, names) if n not in ("", "identity")]
    if len(encodings) > MAX_ENCODINGS:
        raise UnknownEncoding(f"there are {len(encodings)} encodings")
    for encoding in encodings:
        if encoding not in _OPEN:
            raise UnknownEncoding(repr(encoding))
    return length, encodings


def _unpack(data: bytes, layers: "Sequence[_Layer]", meters: "Sequence[_Meter]") -> Iterator[bytes]:
    """What is in `data`, below all its layers. One chunk of each is in memory at a time."""
    meters[0].count(data)
    if not layers:
        yield data
        return
    for chunk in layers[0].unpack(data):
        yield from _unpack(chunk, layers[1:], meters[1:])


@dataclass
class _Meter:
    """Counts what passes; more than the limit is an error."""

    limit: int
    packed: bool
    passed: int = 0

    @property
    def allowed(self) -> int:
        # What does not shrink grows by less than a hundredth when it is compressed.
        return self.limit + (self.limit // 100 + 1024 if self.packed else 0)

    def count(self, data: bytes) -> None:
        self.passed += len(data)
        if self.passed > self.allowed:
            raise BodyTooLarge(f"it has more than {self.limit} bytes")

    def foresee(self, length: str) -> None:
        """Refuse what says itself that it is too large."""
        if length.isdecimal() and int(length) > self.allowed:
            raise BodyTooLarge(f"it has more than {self.limit} bytes")


class _Frame(Protocol):
    """A whole compressed something, of which a body can have several in a row."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _GzipMember:
    """zlib's decompressor, with the manners of zstd's."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        chunk = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        self.needs_input = not self._inflate.unconsumed_tail and len(chunk) < max_length
        return chunk


def _zstd_frame() -> _Frame:
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_OPEN: Final[Mapping[str, Callable[[], _Frame]]] = {
    "gzip": _GzipMember,
    "x-gzip": _GzipMember,
    "zstd": _zstd_frame,
}


class _Layer:
    """One encoding, taken off."""

    def __init__(self, open_: Callable[[], _Frame]) -> None:
        self._open = open_
        self._frame = open_()

    @property
    def ended(self) -> bool:
        return self._frame.eof

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """What is in `data`, in bounded chunks; some are empty."""
        while data or not (self._frame.eof or self._frame.needs_input):
            if self._frame.eof:
                self._frame = self._open()
            try:
                chunk = self._frame.decompress(data, max_length=CHUNK_BYTES)
            except (zlib.error, ZstdError) as error:
                raise BrokenBody(str(error)) from None
            data = self._frame.unused_data if self._frame.eof else b""
            yield chunk
