"""Send a long answer while it is computed, without ever holding it in memory.

It goes over a file without a name: whoever computes it does not wait for a slow reader, which would
keep others from computing theirs; and the reader begins with the first rows.
"""

import asyncio
import os
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import Response
from starlette.types import Receive, Scope, Send

from triptych.analytics.application.errors import AnswerTooLarge
from triptych.analytics.application.working import Workers
from triptych.core.errors import TriptychError
from triptych.core.logging import get_logger

log = get_logger(__name__)

CHUNK: Final = 256 * 1024  # bytes
_GZIP: Final = 31  # zlib's number for gzip's header and the largest window


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that begins before it is known as a whole."""

    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Spools:
    """Long answers under way: who asks for the same one follows it, too. For one event loop."""

    def __init__(self, workers: Workers, most: int) -> None:
        self._workers = workers
        self._most = most
        self._known: dict[str, Spool] = {}

    def known(self, key: str) -> bool:
        """Whether an answer is under way."""
        return key in self._known

    def joined(self, key: str, make: Callable[[], Stream]) -> "Spool":
        """The answer of this key, with one reader more; begun, if it is not under way."""
        spool = self._known.get(key)
        if spool is None:
            spool = self._known[key] = Spool(self._most, lambda: self._known.pop(key))
            spool.start(self._workers, make)
        spool.readers += 1
        return spool


class Spool:
    """What is written of an answer, from another thread, and read as it comes. For one event loop."""

    def __init__(self, most: int, forget: Callable[[], object]) -> None:
        self.readers = 0
        self._forget = forget
        self._headers: Mapping[str, str] = {}
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed when both are through
        self._written = 0
        self._error: BaseException | None = None
        self._filled = self._abandoned = False
        self._task: asyncio.Task[None] | None = None

    def start(self, workers: Workers, make: Callable[[], Stream]) -> None:
        """Let a worker write the answer that `make` begins."""
        self._task = asyncio.create_task(self._work(workers, make))

    async def begun(self) -> Mapping[str, str]:
        """Wait for the first bytes; the fields that belong to them. Who is told of an error has left.

        Raises:
            TriptychError: there are none.
        """
        try:
            while not (self._written or self._filled):
                await self._more()
            if self._error is not None and not self._written:
                raise self._error
        except BaseException:
            self.leave()
            raise
        return self._headers

    async def follow(self) -> AsyncIterator[bytes]:
        """What was written and is being written, to the end.

        Raises:
            TriptychError: the rest could not be computed.
        """
        position = 0
        while True:
            # Looked at before what is written: else the last bytes could be missed.
            filled = self._filled
            while position < self._written:
                chunk = os.pread(self._file.fileno(), CHUNK, position)
                position += len(chunk)
                yield chunk
            if filled:
                break
            await self._more()
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        """One reader has gone. After the last, what is left need not be computed."""
        self.readers -= 1
        if self.readers:
            return
        self._forget()
        self._abandoned = True
        if self._filled:
            self._file.close()

    async def _work(self, workers: Workers, make: Callable[[], Stream]) -> None:
        try:
            await workers.run(lambda: self._fill(make))
        except Exception as error:  # noqa: BLE001  # it is raised where it is read
            self._error = error
        finally:
            self._filled = True
            self._news.set()
            if self._abandoned:
                self._file.close()

    def _fill(self, make: Callable[[], Stream]) -> None:
        stream = make()
        self._headers = stream.headers
        for chunk in stream.chunks:
            if self._abandoned:
                return
            if self._written + len(chunk) > self._most:
                raise AnswerTooLarge(f"it has more than {self._most} bytes")
            os.pwrite(self._file.fileno(), chunk, self._written)
            self._written += len(chunk)
            self._loop.call_soon_threadsafe(self._news.set)

    async def _more(self) -> None:
        self._news.clear()
        if not self._filled:
            await self._news.wait()


class Streamed(Response):
    """An answer that is sent as it comes. If it breaks off, so does the connection: nobody takes a part for the whole."""

    def __init__(self, spool: Spool, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._spool = spool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        gone = asyncio.create_task(_gone(receive))
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(start)
            async for chunk in self._spool.follow():
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except TriptychError as error:
            log.warning("answer.broken_off", error=error.sentence)
        finally:
            self._spool.leave()
            gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same, compressed; without the time of day, so that the same answer is the same bytes."""
    packer = zlib.compressobj(5, wbits=_GZIP)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()
