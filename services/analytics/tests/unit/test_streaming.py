"""Long answers are read while they are written, and a part is never taken for the whole."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from triptych.analytics.application.errors import AnswerTooLarge, Busy, QueryTooSlow
from triptych.analytics.application.working import Workers
from triptych.analytics.entrypoints.streaming import Spool, Spools, Stream, Streamed, gzipped

HEADERS = {"Content-Type": "text/csv"}


@asynccontextmanager
async def spooled(
    chunks: Callable[[], Iterator[bytes]], *, most: int = 1000, queue: int = 1
) -> AsyncIterator[Spool]:
    workers = Workers(1, queue)
    spool = Spools(workers, most).joined("key", lambda: Stream(HEADERS, chunks()))
    yield spool
    if spool.readers:
        spool.leave()
    workers.close()


async def sent(spool: Spool, *, leaving: asyncio.Event | None = None) -> list[Any]:
    """The messages of ASGI that the answer is."""
    messages: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, str]:
        await (leaving or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)
        await asyncio.sleep(0)

    await Streamed(spool, HEADERS)({"type": "http"}, receive, send)
    return messages


def test_a_reader_has_the_first_bytes_before_the_last_are_computed() -> None:
    go_on = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"first"
        assert go_on.wait(30)
        yield b"last"

    async def read() -> list[bytes]:
        async with spooled(chunks) as spool:
            assert await spool.begun() == HEADERS
            found = []
            async for chunk in spool.follow():
                found.append(chunk)
                go_on.set()
            return found

    assert asyncio.run(read()) == [b"first", b"last"]


def test_who_computes_does_not_wait_for_who_reads() -> None:
    async def read() -> bytes:
        async with spooled(lambda: iter([b"x" * 100] * 10)) as spool:
            assert spool._task is not None
            await spool._task
            return b"".join([chunk async for chunk in spool.follow()])

    assert asyncio.run(read()) == b"x" * 1000


def test_what_goes_wrong_before_the_first_byte_is_raised() -> None:
    def chunks() -> Iterator[bytes]:
        raise QueryTooSlow("after 30 s")

    async def read() -> None:
        async with spooled(chunks) as spool:
            await spool.begun()

    with pytest.raises(QueryTooSlow):
        asyncio.run(read())


def test_who_would_wait_too_long_is_told_so() -> None:
    async def read() -> None:
        async with spooled(lambda: iter([b"x"]), queue=-1) as spool:
            await spool.begun()

    with pytest.raises(Busy):
        asyncio.run(read())


def test_what_goes_wrong_later_breaks_the_answer_off() -> None:
    async def read() -> list[Any]:
        async with spooled(lambda: iter([b"x" * 600] * 2)) as spool:
            await spool.begun()
            return await sent(spool)

    messages = asyncio.run(read())

    assert messages[0]["status"] == 200
    assert [message["more_body"] for message in messages[1:]] == [True]  # and no end


def test_a_longer_answer_than_is_allowed_is_refused() -> None:
    async def read() -> None:
        async with spooled(lambda: iter([b"x" * 1001])) as spool:
            await spool.begun()

    with pytest.raises(AnswerTooLarge, match="1000 bytes"):
        asyncio.run(read())


def test_nothing_more_is_computed_for_who_has_left() -> None:
    left, computed = threading.Event(), []

    def chunks() -> Iterator[bytes]:
        yield b"first"
        assert left.wait(30)
        for number in range(5):
            computed.append(number)
            yield b"more"

    async def read() -> None:
        async with spooled(chunks) as spool:
            await spool.begun()
            spool.leave()
            left.set()
            assert spool._task is not None
            await spool._task

    asyncio.run(read())

    assert computed == [0]


def test_who_leaves_is_sent_nothing_more() -> None:
    async def read() -> list[Any]:
        leaving = asyncio.Event()
        leaving.set()
        async with spooled(lambda: iter([b"x" * 100] * 10)) as spool:
            assert spool._task is not None
            await spool._task
            return await sent(spool, leaving=leaving)

    assert len(asyncio.run(read())) <= 2


def test_who_asks_for_the_same_follows_it_from_its_beginning() -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def chunks() -> Iterator[bytes]:
        made.append(1)
        yield b"first"
        begun.set()
        assert go_on.wait(30)
        yield b"last"

    async def read(spool: Spool) -> bytes:
        await spool.begun()
        found = b"".join([chunk async for chunk in spool.follow()])
        spool.leave()
        return found

    async def ask() -> tuple[list[bytes], bool]:
        workers = Workers(1, 1)
        spools = Spools(workers, 1000)
        make = lambda: Stream(HEADERS, chunks())  # noqa: E731
        one = asyncio.create_task(read(spools.joined("key", make)))
        await asyncio.to_thread(begun.wait, 30)
        other = asyncio.create_task(read(spools.joined("key", make)))
        go_on.set()
        found = [await one, await other]
        workers.close()
        return found, spools.known("key")

    assert asyncio.run(ask()) == ([b"firstlast"] * 2, False)
    assert made == [1]


def test_what_is_compressed_is_the_same_and_always_the_same_bytes() -> None:
    chunks = [b"abc" * 1000, b"", b"x"]

    once, again = b"".join(gzipped(chunks)), b"".join(gzipped(chunks))

    assert gzip.decompress(once) == b"".join(chunks)
    assert once == again
